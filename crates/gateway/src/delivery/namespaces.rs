//! What a Socket.IO reader has beside its cursor: the namespaces of its connection, its heartbeat, and the
//! poll that waits.
//!
//! Invariants:
//! - A namespace gets an event once, and only events after the place where it joined the channel.

use std::sync::Arc;

use anywire_access::Principal;
use anywire_log::{Channel, Event, Gap, Offset};
use anywire_protocol::{
    engineio::Heartbeat,
    socketio::{Args, DEFAULT_NAMESPACE, Emit, PacketEncoding, ServerPacket, event_frames},
};
use bytes::Bytes;
use smallvec::SmallVec;
use tokio::net::TcpStream;

use super::context::Terms;

/// One namespace of a connection.
pub(crate) struct NamespaceSession {
    pub(crate) namespace: Arc<str>,
    /// The public id.
    pub(crate) socket: Box<str>,
    pub(crate) principal: Principal,
    /// Events carry their cursor.
    pub(crate) with_cursor: bool,
    /// The private id, with which the client may come back.
    pub(crate) recovery: Option<Box<str>>,
    /// What it follows, each with the place after which it does.
    pub(crate) channels: SmallVec<[(Channel, Offset); 1]>,
}

impl NamespaceSession {
    pub(crate) fn follows(&self, channel: &Channel) -> bool {
        self.channels.iter().any(|(other, _)| other == channel)
    }

    fn wants(&self, event: &Event) -> bool {
        self.channels.iter().any(|(channel, after)| *channel == event.channel && event.offset > *after)
    }

    fn encoding<'a>(&'a self, terms: Terms<'a>, polling: bool) -> PacketEncoding<'a> {
        let cursor = self.with_cursor.then_some(terms.epoch);
        PacketEncoding { namespace: &self.namespace, cursor, polling, own: terms.own }
    }
}

/// A namespace of a connected Socket.IO client, for the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedNamespace {
    /// Its name.
    pub namespace: String,
    /// The client's public id there.
    pub socket: String,
    /// The `sub` of its token.
    pub user: Option<String>,
    /// The channels it has joined.
    pub rooms: Vec<Channel>,
}

/// A poll that waits for packets.
pub(crate) struct Waiting {
    /// Whose it is: the count of polls of this session.
    pub(super) turn: u32,
    /// When it came: the count of all requests.
    pub(super) arrival: u64,
    pub(super) direct: Option<Direct>,
}

/// The socket of an answer that the fan-out may write itself, and the origin of the page that may read it.
pub(crate) type Direct = (Arc<TcpStream>, Option<Box<str>>);

/// All of it.
pub(crate) struct Namespaces {
    pub(crate) list: SmallVec<[NamespaceSession; 1]>,
    pub(super) heartbeat: Heartbeat,
    /// When the session ends: no namespace was joined in time, or a token has run out.
    pub(crate) ends_ms: Option<u64>,
    /// A WebSocket is being tried: no poll waits meanwhile.
    pub(super) probing: bool,
    pub(super) turn: u32,
    pub(super) waiting: Option<Waiting>,
    /// An answer, or what is left of one, for the task whose poll it is.
    pub(super) answer: Option<(u32, Bytes)>,
    /// A poll that is refused, since an earlier one came after all.
    pub(super) refused: Option<u32>,
    /// Where a session that polls surely stands: its last poll came after everything up to here was answered.
    pub(super) confirmed: Option<Offset>,
}

/// Bytes that all readers with the same encoding share.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct EncodingKey {
    namespace: Arc<str>,
    with_cursor: bool,
    polling: bool,
}

impl Namespaces {
    pub(crate) fn new(heartbeat: Heartbeat, ends_ms: Option<u64>) -> Self {
        Self {
            list: SmallVec::new(),
            heartbeat,
            ends_ms,
            probing: false,
            turn: 0,
            waiting: None,
            answer: None,
            refused: None,
            confirmed: None,
        }
    }

    pub(crate) fn find(&mut self, namespace: &str) -> Option<&mut NamespaceSession> {
        self.list.iter_mut().find(|entry| &*entry.namespace == namespace)
    }

    /// Ends a namespace; returns the channels that no other follows.
    pub(crate) fn remove(&mut self, namespace: &str) -> Vec<Channel> {
        let Some(at) = self.list.iter().position(|entry| &*entry.namespace == namespace) else {
            return Vec::new();
        };
        let gone = self.list.remove(at);
        let channels = gone.channels.into_iter().map(|(channel, _)| channel);
        channels.filter(|channel| !self.list.iter().any(|entry| entry.follows(channel))).collect()
    }

    pub(super) fn connected(&self) -> Vec<ConnectedNamespace> {
        let connected = self.list.iter().map(|entry| ConnectedNamespace {
            namespace: entry.namespace.to_string(),
            socket: entry.socket.to_string(),
            user: entry.principal.user().map(str::to_owned),
            rooms: entry.channels.iter().map(|(channel, _)| channel.clone()).collect(),
        });
        connected.collect()
    }

    /// Whether an event looks to this reader as to most: one namespace, `/`, without cursors.
    pub(super) fn is_plain(&self) -> bool {
        let [entry] = self.list.as_slice() else { return false };
        !entry.with_cursor && &*entry.namespace == DEFAULT_NAMESPACE && !entry.is_partial()
    }

    /// The encoding this reader shares with others: it has one namespace and gets every event its
    /// subscription has.
    pub(super) fn shared_encoding(&self, polling: bool) -> Option<EncodingKey> {
        let [entry] = self.list.as_slice() else { return None };
        let key =
            EncodingKey { namespace: Arc::clone(&entry.namespace), with_cursor: entry.with_cursor, polling };
        (!entry.is_partial()).then_some(key)
    }

    /// Each event's bytes for this reader, empty where no namespace wants it.
    pub(super) fn encode(&self, events: &[Arc<Event>], terms: Terms<'_>, polling: bool) -> Vec<Bytes> {
        events.iter().map(|event| self.encode_one(event, terms, polling)).collect()
    }

    fn encode_one(&self, event: &Event, terms: Terms<'_>, polling: bool) -> Bytes {
        let mut bytes = Bytes::new();
        for entry in self.list.iter().filter(|entry| entry.wants(event)) {
            let fresh = entry.encoding(terms, polling).encode(event);
            bytes = match (bytes.is_empty(), polling) {
                (true, _) => fresh,
                (false, false) => [bytes, fresh].concat().into(),
                (false, true) => [bytes.as_ref(), b"\x1e", &fresh].concat().into(),
            };
        }
        bytes
    }

    /// The `gap` event for every namespace that lost something.
    pub(super) fn tell_gap(&self, gap: &Gap) -> SmallVec<[ServerPacket; 1]> {
        let mut packets = SmallVec::new();
        for entry in &self.list {
            let lost: Vec<_> =
                gap.lost.iter().filter(|(channel, _)| entry.follows(channel)).cloned().collect();
            if !lost.is_empty() {
                let mut data = Vec::new();
                anywire_protocol::json::write_gap(&mut data, "", &Gap { lost, ..gap.clone() });
                let value = String::from_utf8(data).unwrap_or_default();
                let args = Args { values: vec![value], attachments: vec![] };
                let emit = Emit { namespace: &entry.namespace, name: "gap", ack: None, args: &args };
                packets.extend(emit.packets());
            }
        }
        packets
    }
}

impl NamespaceSession {
    /// Whether it joined a channel later than its connection's subscription stands.
    fn is_partial(&self) -> bool {
        self.channels.iter().any(|(_, after)| *after > Offset::ZERO)
    }
}

impl EncodingKey {
    pub(super) fn encode(&self, event: &Event, terms: Terms<'_>) -> Bytes {
        if !self.polling && !self.with_cursor && &*self.namespace == DEFAULT_NAMESPACE {
            return event_frames(event, terms.own).clone();
        }
        let (namespace, polling) = (&*self.namespace, self.polling);
        let cursor = self.with_cursor.then_some(terms.epoch);
        PacketEncoding { namespace, cursor, polling, own: terms.own }.encode(event)
    }
}
