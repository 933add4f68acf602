//! The gateway's WebSocket as an echo server, for the Autobahn suite (feature `echo`).
//!
//! The sockets, the framing and the writes are those of every connection; only what a message means is
//! different.

use std::{io, net::IpAddr, sync::Arc};

use anywire_access::Principal;
use anywire_protocol::{
    head::{self, Head},
    request::StreamQuery,
    websocket::{
        Limits, Opcode, Received, Receiver, Subprotocols, accept, close_frame, close_reply_frame,
        frame_header, pong_frame, text_frame,
    },
};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    Gateway,
    admission::entry::Admitted,
    delivery::{Reader, Wire},
    http1::connection::{Input, drive},
    http1::socket::Flow,
    metrics::Transport,
};

/// The largest message of the suite.
const LIMITS: Limits = Limits { message_bytes_max: 16 << 20 };

struct Echo {
    gateway: Arc<Gateway>,
    reader: Arc<Reader>,
    receiver: Receiver,
    answers: Vec<Bytes>,
}

impl Input for Echo {
    fn receive(&mut self, bytes: &mut [u8]) -> Flow {
        let answers = &mut self.answers;
        let received = self.receiver.receive(bytes, &LIMITS, &mut |received| {
            answers.extend(match received {
                Received::Text(text) => Some(text_frame(text.as_bytes())),
                Received::Binary(bytes) => {
                    Some([frame_header(Opcode::Binary, bytes.len()).as_slice(), bytes].concat().into())
                }
                Received::Ping(payload) => Some(pong_frame(payload)),
                Received::Pong(_) => None,
                Received::Close { code, .. } => Some(close_reply_frame(code)),
            });
        });
        if let Err(violation) = received {
            self.answers.push(close_frame(violation.close_code, violation.reason));
        }
        Flow::Go
    }

    async fn act(&mut self) -> Flow {
        for answer in std::mem::take(&mut self.answers) {
            if !self.reader.send(&self.gateway.delivery, answer) {
                return Flow::End;
            }
        }
        if self.receiver.is_closed() { Flow::End } else { Flow::Go }
    }
}

impl Gateway {
    /// Answers every WebSocket message of every connection with the same message.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve_echo(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let gateway = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(error) = echo(gateway, stream, peer.ip()).await {
                    tracing::debug!(%error, "an echo connection broke off");
                }
            });
        }
    }
}

async fn echo(gateway: Arc<Gateway>, mut stream: TcpStream, address: IpAddr) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    let rest = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        if let Head::Complete(request) = head::parse(&bytes) {
            let headers = request.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            let accepted = accept("GET", headers, Subprotocols::Any).map_err(io::Error::other)?;
            stream.write_all(&accepted.response()).await?;
            let length = request.bytes;
            break bytes.split_off(length);
        }
    };
    let stream = Arc::new(stream);
    let principal = Principal::nobody();
    let query = StreamQuery::default();
    let admitted = Admitted { principal, account: None, origin: None, query, credentials: false };
    let reader =
        gateway.readers.open(Transport::WebSocket, &admitted, address, Wire::Direct(Arc::clone(&stream)));
    let mut input = Echo {
        gateway: Arc::clone(&gateway),
        reader: Arc::clone(&reader),
        receiver: Receiver::new(),
        answers: Vec::new(),
    };
    let mut rest = rest;
    if !rest.is_empty() {
        input.receive(&mut rest);
        input.act().await;
    }
    drive(&gateway, &reader, &stream, &mut input).await;
    Ok(())
}
