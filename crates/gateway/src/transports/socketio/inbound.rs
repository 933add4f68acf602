//! What one connection has said so far, and what to do about what it says next.

use std::{collections::HashSet, sync::Arc};

use anywire_log::{Batch, Channel};
use anywire_protocol::{
    Refusal,
    engineio::{Heartbeat, Opening, Packet},
    publish::parse_publication,
    request::check_channels,
    socketio::{
        Ack, Args, Assembler, AssemblerLimits, Emit, Incoming, PUBLISH, ServerPacket, publication_payload,
    },
};
use bytes::Bytes;
use serde_json::json;

use super::recovery::forget_socket;
use super::state::{Handshake, Inbound, PendingHandshake};
use crate::{
    Gateway,
    admission::{act::Act, unfinished::Kept},
    delivery::{Namespaces, Reader, Wire},
    http1::socket::Flow,
    metrics::Transport,
    readers::OpenReader,
};

/// A session ends: why, where its client went over a limit.
pub(super) struct Ended(pub(super) Option<String>);

impl Ended {
    /// Ends a session whose client broke a rule, and says so in the log.
    pub(super) fn by_rule(gateway: &Gateway, reader: &Reader, why: String) -> Self {
        let info = reader.info();
        tracing::info!(client = %info.client, address = %info.address, why, "a Socket.IO session was ended");
        gateway.metrics.refusals.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self(Some(why))
    }
}

impl Inbound {
    pub(super) fn new(kept: Kept, handshake: Handshake, pending: PendingHandshake) -> Self {
        let (assembler, joined) = (Assembler::default(), Vec::new());
        Self { assembler, kept, handshake, joined, pending: Some(pending), asked: false }
    }

    /// The longest message or body that is taken: a short one until a namespace is joined.
    pub(super) fn message_bytes_max(&self, gateway: &Gateway) -> usize {
        let most = gateway.socketio.config.payload_bytes_max;
        match self.is_unknown() {
            true => most.min(gateway.admission.small_message_bytes_max()),
            false => most,
        }
    }

    /// Whether nobody has said yet who this is. Who has just asked to join may have sent what comes after
    /// that together with it.
    fn is_unknown(&self) -> bool {
        self.pending.is_some() && !self.asked && !self.handshake.echoed
    }

    /// Whether it keeps more than may be kept for somebody unknown: it asked to join, and was refused.
    pub(super) fn keeps_too_much(&self, gateway: &Gateway, message_bytes: usize) -> bool {
        let small = gateway.admission.small_message_bytes_max();
        self.is_unknown() && (self.assembler.kept_bytes() > 0 || message_bytes > 2 * small)
    }

    /// Counts what is kept of a packet, and of a message by whoever receives it.
    pub(super) fn count_kept(
        &mut self,
        gateway: &Gateway,
        reader: &Reader,
        message_bytes: usize,
    ) -> Result<(), Ended> {
        let counted = self.kept.set(self.assembler.kept_bytes() + message_bytes);
        counted.map_err(|refusal| {
            self.assembler = Assembler::default();
            Ended::by_rule(gateway, reader, refusal.message)
        })
    }

    /// A reader for this connection, without a namespace yet.
    pub(super) fn open_reader(&self, gateway: &Arc<Gateway>, wire: Wire) -> OpenReader {
        let client = self.handshake.client.as_deref();
        let reader = gateway.readers.open_named(Transport::SocketIo, client, self.handshake.address, wire);
        let now_ms = gateway.delivery.now_ms();
        let ends_ms = now_ms + u64::from(gateway.socketio.config.connect_timeout_ms);
        let ends_ms = (!self.handshake.echoed).then_some(ends_ms);
        reader.set_namespaces(Namespaces::new(Heartbeat::new(now_ms, gateway.delivery.times), ends_ms));
        reader
    }

    /// The first packet to the client.
    pub(super) fn opening(&self, gateway: &Gateway, session: &str, upgrades: bool) -> Bytes {
        let config = &gateway.socketio.config;
        let opening = Opening {
            session,
            upgrades,
            ping_interval_ms: config.ping_interval_ms,
            ping_timeout_ms: config.ping_timeout_ms,
            payload_bytes_max: config.payload_bytes_max,
        };
        opening.packet()
    }

    /// Takes an Engine.IO packet and acts on it.
    pub(super) async fn take_packet(
        &mut self,
        gateway: &Arc<Gateway>,
        reader: &Arc<Reader>,
        packet: Packet<'_>,
    ) -> Result<(), Ended> {
        let heard = self.hear(gateway, reader, packet)?;
        self.count_kept(gateway, reader, 0)?;
        let Some(incoming) = heard else { return Ok(()) };
        match Box::pin(self.act(gateway, reader, incoming)).await {
            Flow::Go => Ok(()),
            Flow::End => Err(Ended(None)),
        }
    }

    /// Takes a packet as far as that needs no waiting.
    pub(super) fn hear(
        &mut self,
        gateway: &Gateway,
        reader: &Reader,
        packet: Packet<'_>,
    ) -> Result<Option<Incoming>, Ended> {
        reader.record_packet(gateway.delivery.now_ms(), gateway.delivery.times);
        if self.handshake.echoed {
            return self.echo(gateway, reader, &packet);
        }
        let limits = AssemblerLimits {
            bytes_max: gateway.config.limits.message_bytes_max,
            attachments: !self.is_unknown(),
            publish: gateway.admission.publish_limits(),
        };
        let heard = match packet {
            Packet::Message(text) => self.assembler.text(text, &limits),
            Packet::Binary(bytes) => self.assembler.binary(&bytes, &limits),
            Packet::Pong | Packet::Noop => return Ok(None),
            Packet::Close | Packet::Ping(_) | Packet::Upgrade => return Err(Ended(None)),
        };
        self.asked |= matches!(heard, Ok(Some(Incoming::Connect { .. })));
        heard.map_err(|error| {
            let ended = Ended::by_rule(gateway, reader, error.to_string());
            Ended(ended.0.filter(|_| error.is_limit()))
        })
    }

    /// Every message comes back.
    fn echo(
        &self,
        gateway: &Gateway,
        reader: &Reader,
        packet: &Packet<'_>,
    ) -> Result<Option<Incoming>, Ended> {
        let answer = match packet {
            Packet::Message(text) => ServerPacket::Text(format!("4{text}").into()),
            Packet::Binary(bytes) => ServerPacket::Binary(Bytes::copy_from_slice(bytes)),
            Packet::Pong => return Ok(None),
            _ => return Err(Ended(None)),
        };
        if reader.send_packets(&gateway.delivery, &[answer]) { Ok(None) } else { Err(Ended(None)) }
    }

    /// Acts on what a client said.
    pub(super) async fn act(
        &mut self,
        gateway: &Arc<Gateway>,
        reader: &Arc<Reader>,
        incoming: Incoming,
    ) -> Flow {
        // The server may have put it out of a namespace.
        self.joined.retain(|joined| reader.namespace_of(&joined.socket).is_some());
        match incoming {
            Incoming::Connect { namespace, auth } => {
                let flow = self.connect(gateway, reader, &namespace, auth.as_deref()).await;
                self.asked = false;
                flow
            }
            Incoming::Disconnect { namespace } => self.leave(gateway, reader, &namespace).await,
            Incoming::Event { namespace, ack, name, args } => match self.place_of(&namespace) {
                Ok(at) => self.event(gateway, reader, at, ack, &name, args).await,
                Err(flow) => flow,
            },
            Incoming::Publish { namespace, ack, batch } => match self.place_of(&namespace) {
                Ok(at) => {
                    let answer = self.publish(gateway, at, batch).await;
                    self.answer(gateway, reader, at, ack, answer)
                }
                Err(flow) => flow,
            },
            Incoming::Ack { namespace, ack, args } => {
                let joined = self.joined.iter().find(|joined| *joined.path == *namespace);
                // Nobody is told: who was asked too much answers as fast as it can.
                if let Some(joined) = joined
                    && gateway.admission.charge(joined.account.as_deref(), Act::Ack, 1).is_ok()
                {
                    gateway.socketio.pending_acks.answer(&joined.socket, ack, args);
                }
                Flow::Go
            }
        }
    }

    /// Which of the joined namespaces an event is for.
    fn place_of(&self, namespace: &str) -> Result<usize, Flow> {
        // Who was put out of a namespace may still have had something on the way.
        let outside = if self.pending.is_some() { Flow::End } else { Flow::Go };
        self.joined.iter().position(|joined| *joined.path == *namespace).ok_or(outside)
    }

    async fn leave(&mut self, gateway: &Gateway, reader: &Arc<Reader>, namespace: &str) -> Flow {
        let Some(at) = self.joined.iter().position(|joined| *joined.path == *namespace) else {
            return Flow::Go;
        };
        let left = self.joined.remove(at);
        let gone = reader.change_namespaces(|subscription, namespaces| {
            let gone = namespaces.remove(namespace);
            for channel in &gone {
                subscription.remove(channel);
            }
            (gone, [].into_iter().collect())
        });
        for channel in gone.unwrap_or_default() {
            gateway.readers.fanout.unwatch_reader(reader, &channel);
        }
        if let Some(recovery) = &left.recovery {
            forget_socket(&gateway.log, &recovery.0).await;
        }
        Flow::Go
    }

    async fn event(
        &mut self,
        gateway: &Arc<Gateway>,
        reader: &Arc<Reader>,
        at: usize,
        ack: Option<u64>,
        name: &str,
        args: Args,
    ) -> Flow {
        let may_subscribe = self.joined[at].namespace.subscribe;
        let answer = match name {
            "subscribe" if may_subscribe => match self.subscribe(gateway, reader, at, ack, &args).await {
                Ok(()) => return Flow::Go,
                Err(refusal) => Err(refusal),
            },
            "unsubscribe" if may_subscribe => self.unsubscribe(gateway, reader, at, &args).await,
            "auth" => self.renew(gateway, reader, at, &args),
            PUBLISH => self.publish(gateway, at, publication_of(gateway, args)).await,
            _ => return self.other(gateway, reader, at, ack, name, args).await,
        };
        self.answer(gateway, reader, at, ack, answer)
    }

    /// An event that is none of the server's own: a handler's, or a publication.
    async fn other(
        &mut self,
        gateway: &Arc<Gateway>,
        reader: &Arc<Reader>,
        at: usize,
        ack: Option<u64>,
        name: &str,
        args: Args,
    ) -> Flow {
        let info = self.joined[at].info(&self.handshake);
        let heard = gateway.socketio.handlers().iter().find_map(|handler| handler.heard(&info, name, &args));
        let Some(heard) = heard else {
            let answer = self.emit(gateway, at, name, args).await;
            return self.answer(gateway, reader, at, ack, answer);
        };
        let namespace = &*self.joined[at].path;
        let mut sent = true;
        for (name, args) in &heard.emits {
            sent &=
                reader.send_packets(&gateway.delivery, &Emit { namespace, name, ack: None, args }.packets());
        }
        if let (Some(id), Some(args)) = (ack, &heard.answer) {
            sent &= reader.send_packets(&gateway.delivery, &Ack { namespace, id, args }.packets());
        }
        if sent { Flow::Go } else { Flow::End }
    }

    /// Tells the client how it went, if it wants to know.
    fn answer(
        &self,
        gateway: &Gateway,
        reader: &Arc<Reader>,
        at: usize,
        ack: Option<u64>,
        answer: Result<serde_json::Value, Refusal>,
    ) -> Flow {
        let value = answer.unwrap_or_else(|refusal| {
            gateway.metrics.refusals.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tracing::debug!(client = %reader.info().client, %refusal, "a Socket.IO event was refused");
            json!({ "ok": false, "code": refusal.code.as_str(), "message": refusal.message })
        });
        let Some(id) = ack else { return Flow::Go };
        let args = Args { values: vec![value.to_string()], attachments: Vec::new() };
        let packets = Ack { namespace: &self.joined[at].path, id, args: &args }.packets();
        if reader.send_packets(&gateway.delivery, &packets) { Flow::Go } else { Flow::End }
    }

    /// Charges an act in a namespace, or refuses it.
    pub(super) fn charge(&self, gateway: &Gateway, at: usize, act: Act, count: usize) -> Result<(), Refusal> {
        gateway.admission.charge(self.joined[at].account.as_deref(), act, count)
    }

    /// Refuses channels, each named once, that are too many beside those this connection follows already.
    pub(super) fn check_channels(
        reader: &Reader,
        gateway: &Gateway,
        channels: &[Channel],
    ) -> Result<(), Refusal> {
        let known: HashSet<Channel> = Self::channels(reader, gateway).into_iter().collect();
        let fresh = channels.iter().filter(|channel| !known.contains(*channel)).count();
        check_channels(known.len() + fresh, gateway.config.limits.channels_max)
    }

    /// All channels this connection follows, in any namespace.
    pub(super) fn channels(reader: &Reader, gateway: &Gateway) -> Vec<Channel> {
        reader.stats(gateway.log.tail_offset()).channels
    }
}

/// What an event `publish` publishes that comes with attachments, or with anything but one object.
fn publication_of(gateway: &Gateway, args: Args) -> Result<Batch, Refusal> {
    let payload = publication_payload(args);
    let text = std::str::from_utf8(payload.as_bytes()).unwrap_or_default();
    parse_publication(text, &gateway.admission.publish_limits())
}

/// The packet for a namespace that could not be joined.
pub(super) fn refused(namespace: &str, refusal: &Refusal) -> ServerPacket {
    ServerPacket::connect_error(namespace, &refusal.message, Some(refusal.code.as_str()))
}
