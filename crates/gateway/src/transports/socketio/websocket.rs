//! A Socket.IO connection over a WebSocket: events are written by the fan-out, this task reads what the
//! client says.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use anywire_protocol::{
    engineio::{Packet, packet},
    socketio::{Incoming, ServerPacket},
    websocket::{Limits, Received, Receiver, close_frame, close_reply_frame, pong_frame},
};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{
    inbound::Ended,
    state::{Inbound, random_id},
    upgrade::{Message, POLICY, Taken, violation_words},
};
use crate::{
    Gateway,
    delivery::{Reader, Wire},
    http::connection::drive_woken,
    http1::connection::{Input, drive},
    http1::socket::Flow,
    metrics::Transport,
    readers::OpenReader,
    transports::websocket::TRY_AGAIN_LATER,
};

/// What came in one read.
enum Arrived {
    Incoming(Incoming),
    Frame(Bytes),
    Close(Option<Bytes>),
}

struct Socket {
    gateway: Arc<Gateway>,
    reader: Arc<Reader>,
    receiver: Receiver,
    inbound: Box<Inbound>,
    arrived: Vec<Arrived>,
}

/// Serves a new connection whose socket the gateway owns; `bytes` were read behind its request.
pub(super) async fn serve_direct(
    gateway: &Arc<Gateway>,
    stream: &Arc<TcpStream>,
    inbound: Box<Inbound>,
    bytes: BytesMut,
) {
    let reader = inbound.open_reader(gateway, Wire::Direct(Arc::clone(stream)));
    let mut socket = Socket::begin(gateway, &reader, inbound);
    if Box::pin(socket.take_rest(bytes)).await == Flow::Go {
        drive(gateway, &reader, stream, &mut socket).await;
    }
}

/// Goes on with a session that polled, on a socket that the gateway owns.
pub(super) async fn go_on_direct(
    gateway: &Arc<Gateway>,
    stream: &Arc<TcpStream>,
    taken: Box<Taken>,
    address: IpAddr,
) {
    let reader = take_over(gateway, &taken.inbound, Wire::Direct(Arc::clone(stream)), address);
    if let Some(mut socket) = Box::pin(Socket::go_on(gateway, &reader, *taken)).await {
        drive(gateway, &reader, stream, &mut socket).await;
    }
}

/// Serves a new connection over any stream: TLS, or another server's.
pub(super) async fn serve_woken<S>(gateway: Arc<Gateway>, stream: S, inbound: Box<Inbound>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let reader = inbound.open_reader(&gateway, Wire::Woken);
    let mut socket = Socket::begin(&gateway, &reader, inbound);
    drive_woken(&gateway, &reader, stream, &mut socket).await;
}

/// Goes on with a session that polled, over any stream.
pub(super) async fn go_on_woken<S>(gateway: Arc<Gateway>, stream: S, taken: Taken, address: IpAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let reader = take_over(&gateway, &taken.inbound, Wire::Woken, address);
    if let Some(mut socket) = Socket::go_on(&gateway, &reader, taken).await {
        drive_woken(&gateway, &reader, stream, &mut socket).await;
    }
}

fn take_over(gateway: &Arc<Gateway>, inbound: &Inbound, wire: Wire, address: IpAddr) -> OpenReader {
    gateway.readers.open_named(Transport::SocketIo, inbound.handshake.client.as_deref(), address, wire)
}

impl Socket {
    /// A new connection: the opening packet is queued.
    fn begin(gateway: &Arc<Gateway>, reader: &Arc<Reader>, inbound: Box<Inbound>) -> Self {
        let opening = inbound.opening(gateway, &random_id(), false);
        reader.send_packets(&gateway.delivery, &[ServerPacket::Text(opening)]);
        let (gateway, reader) = (Arc::clone(gateway), Arc::clone(reader));
        Self { gateway, reader, receiver: Receiver::new(), inbound, arrived: Vec::new() }
    }

    /// A session that polled before; `None` if it has ended.
    async fn go_on(gateway: &Arc<Gateway>, reader: &Arc<Reader>, taken: Taken) -> Option<Self> {
        let Taken { inbound, handover, receiver, rest } = taken;
        reader.take_over(&gateway.delivery, handover);
        gateway.readers.watch(reader, &Inbound::channels(reader, gateway));
        gateway.readers.places.record_moved(reader);
        let (gateway, reader) = (Arc::clone(gateway), Arc::clone(reader));
        let mut socket = Self { gateway, reader, receiver, inbound, arrived: Vec::new() };
        for message in rest {
            match message {
                Message::Text(text) => socket.hear(packet(&text)),
                Message::Binary(bytes) => socket.hear::<()>(Ok(Packet::Binary(Cow::Owned(bytes.into_vec())))),
                Message::Pong(frame) => socket.arrived.push(Arrived::Frame(frame)),
                Message::Close(frame) => socket.arrived.push(Arrived::Close(Some(frame))),
            }
        }
        (socket.act().await == Flow::Go).then_some(socket)
    }

    async fn take_rest(&mut self, mut bytes: BytesMut) -> Flow {
        if bytes.is_empty() {
            return Flow::Go;
        }
        self.receive(&mut bytes);
        self.act().await
    }

    fn hear<E>(&mut self, packet: Result<Packet<'_>, E>) {
        let heard = match packet {
            Ok(packet) => self.inbound.hear(&self.gateway, &self.reader, packet),
            Err(_) => Err(Ended(None)),
        };
        match heard {
            Ok(incoming) => self.arrived.extend(incoming.map(Arrived::Incoming)),
            Err(Ended(why)) => {
                let frame = why.map(|why| close_frame(POLICY, &why));
                self.arrived.push(Arrived::Close(frame));
            }
        }
    }
}

impl Input for Socket {
    fn receive(&mut self, bytes: &mut [u8]) -> Flow {
        let limits = Limits { message_bytes_max: self.inbound.message_bytes_max(&self.gateway) };
        let mut receiver = std::mem::take(&mut self.receiver);
        let received = receiver.receive(bytes, &limits, &mut |received| match received {
            Received::Text(text) => self.hear(packet(text)),
            Received::Binary(bytes) => self.hear::<()>(Ok(Packet::Binary(Cow::Borrowed(bytes)))),
            Received::Ping(payload) => self.arrived.push(Arrived::Frame(pong_frame(payload))),
            Received::Pong(_) => {}
            Received::Close { code, .. } => self.arrived.push(Arrived::Close(Some(close_reply_frame(code)))),
        });
        self.receiver = receiver;
        if let Err(violation) = received {
            let why = violation_words(&self.gateway, &violation, limits.message_bytes_max);
            let frame = close_frame(violation.close_code, &why);
            let _ended = Ended::by_rule(&self.gateway, &self.reader, why);
            self.arrived.push(Arrived::Close(Some(frame)));
        }
        let kept_bytes = self.receiver.kept_bytes();
        if let Err(Ended(why)) = self.inbound.count_kept(&self.gateway, &self.reader, kept_bytes) {
            self.receiver = Receiver::new();
            let frame = why.map(|why| close_frame(TRY_AGAIN_LATER, &why));
            self.arrived.push(Arrived::Close(frame));
        }
        Flow::Go
    }

    async fn act(&mut self) -> Flow {
        for arrived in std::mem::take(&mut self.arrived) {
            let flow = match arrived {
                Arrived::Incoming(incoming) => {
                    Box::pin(self.inbound.act(&self.gateway, &self.reader, incoming)).await
                }
                Arrived::Frame(frame) => match self.reader.send(&self.gateway.delivery, frame) {
                    true => Flow::Go,
                    false => Flow::End,
                },
                Arrived::Close(frame) => {
                    let frame = frame.unwrap_or_else(|| close_frame(1000, ""));
                    self.reader.send(&self.gateway.delivery, frame);
                    Flow::End
                }
            };
            if flow == Flow::End {
                return Flow::End;
            }
            // One read may bring thousands: others have their turn between them.
            tokio::task::consume_budget().await;
        }
        if self.inbound.keeps_too_much(&self.gateway, self.receiver.kept_bytes()) {
            let frame = close_frame(POLICY, "who has joined no namespace sends short messages only");
            self.reader.send(&self.gateway.delivery, frame);
            return Flow::End;
        }
        Flow::Go
    }
}
