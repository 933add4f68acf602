//! How each server is spoken to: what a poll, a reply and a publication are, and how a stream is read.

use super::options::Options;
use crate::floor;
use crate::peers::{Peer, Transport};
use crate::wire::http::{self, Answer};
use crate::wire::mark;
use crate::wire::websocket;

/// The channel everything happens on.
pub(crate) const CHANNEL: &str = "bench";

/// How the bytes of a subscriber are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A stream in which only the marks matter (SSE).
    Stream,
    /// WebSocket frames.
    Frames,
    /// Answers, each followed by the next request.
    Polls,
}

#[derive(Debug)]
pub(crate) struct Dialect {
    pub(super) peer: Peer,
    pub(super) transport: Transport,
    /// Host and port of the server.
    pub(super) address: String,
    payload_bytes: usize,
}

impl Dialect {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            peer: options.peer,
            transport: options.transport,
            address: options.address.clone(),
            payload_bytes: options.payload,
        }
    }

    pub(crate) fn reading(&self) -> Reading {
        match self.transport {
            Transport::Websocket | Transport::Socketio => Reading::Frames,
            Transport::Sse => Reading::Stream,
            Transport::Longpoll | Transport::SocketioPolling => Reading::Polls,
        }
    }

    /// Joining the default namespace; at Anywire the channel is named, the peer sends everything to
    /// everybody.
    pub(super) fn socketio_join(&self) -> String {
        match self.peer {
            Peer::Anywire => format!(r#"40{{"channels":["{CHANNEL}"]}}"#),
            _ => "40".to_owned(),
        }
    }

    /// The request that follows an answer to a poll. `None`: the answer is no such thing.
    pub(crate) fn poll_after(&self, answer: &Answer) -> Option<Vec<u8>> {
        let field = |name| answer.head.field(name);
        match (self.peer, answer.head.status) {
            (Peer::Nchan, 200 | 304 | 408) => Some(self.nchan_poll(field("last-modified"), field("etag"))),
            (_, 200 | 204) => Some(self.anywire_poll(field("anywire-cursor")?)),
            _ => None,
        }
    }

    pub(super) fn anywire_poll(&self, after: &str) -> Vec<u8> {
        http::get(&self.address, &format!("/anywire/poll?channels={CHANNEL}&after={after}&wait=60"), "")
    }

    pub(super) fn nchan_poll(&self, modified: Option<&str>, tag: Option<&str>) -> Vec<u8> {
        let modified = modified.map(|value| format!("If-Modified-Since: {value}\r\n")).unwrap_or_default();
        let tag = tag.map(|value| format!("If-None-Match: {value}\r\n")).unwrap_or_default();
        http::get(&self.address, &format!("/sub?id={CHANNEL}"), &(modified + &tag))
    }

    /// What a message has to be answered with: Engine.IO's ping is one.
    pub(crate) fn reply(&self, message: &[u8]) -> Option<Vec<u8>> {
        let engine_io = self.peer == Peer::Socketio || self.transport == Transport::Socketio;
        (engine_io && message == b"2").then(|| websocket::client_frame(websocket::TEXT, b"3"))
    }

    /// Connections that publish, so that `in_flight` messages can be under way without pipelining.
    pub(crate) fn publishers_for(&self, in_flight: usize) -> usize {
        if self.peer == Peer::Floor { 1 } else { in_flight }
    }

    /// The bytes that publish one message.
    pub(crate) fn publication(&self, number: u64) -> Vec<u8> {
        let payload = mark::payload(number, self.payload_bytes);
        let post = |target: &str, body: &[u8]| http::post(&self.address, target, "", body);
        match self.peer {
            Peer::Floor => floor::publication(&floor::ready_bytes(self.transport, number, &payload)),
            Peer::Nchan => post(&format!("/pub?id={CHANNEL}"), payload.as_bytes()),
            Peer::Ws | Peer::Socketio => post("/publish", payload.as_bytes()),
            Peer::Anywire => {
                let body = format!(r#"{{"channel":"{CHANNEL}","event":"m","data":"{payload}"}}"#);
                http::post(
                    &self.address,
                    "/anywire/publish",
                    "Content-Type: application/json\r\n",
                    body.as_bytes(),
                )
            }
        }
    }
}
