//! From polling to WebSocket: the probe, and the moment at which the WebSocket takes over.
//!
//! ```text
//!  client                                   server
//!    │── GET ?sid=… (poll waits) ──────────▶ │
//!    │── WebSocket ?sid=… , "2probe" ──────▶ │
//!    │ ◀───────────────────── "3probe" ──────│
//!    │ ◀──────── "6": the poll is released ──│   from here to "5" no poll waits
//!    │── "5" ──────────────────────────────▶ │   the same subscription goes on with another reader
//! ```
//!
//! Invariants:
//! - Until `5` the session polls; a WebSocket that ends before changes nothing.
//! - A session has at most one WebSocket that is being tried.

use std::{sync::Arc, time::Duration};

use anywire_protocol::{
    engineio::{EngineError, PONG_PROBE, Packet, packet},
    websocket::{
        Limits, Received, Receiver, Violation, close_frame, close_reply_frame, pong_frame, text_frame,
    },
};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::state::{Inbound, Session};
use crate::{Gateway, delivery::Handover};

/// The close code for what the server's rules do not allow (RFC 6455, section 7.4.1).
pub(super) const POLICY: u16 = 1008;

/// The close code for a message over its limit.
const TOO_LARGE: u16 = 1009;

/// A session that a WebSocket has taken over.
pub(crate) struct Taken {
    pub(super) inbound: Box<Inbound>,
    pub(super) handover: Handover,
    pub(super) receiver: Receiver,
    /// What came behind the packet that took over.
    pub(super) rest: Vec<Message>,
}

/// A message that came in the same read.
pub(crate) enum Message {
    Text(Box<str>),
    Binary(Box<[u8]>),
    /// The connection ends, after this frame.
    Close(Bytes),
    Pong(Bytes),
}

/// The WebSocket that is being tried; it is not any more when this is dropped.
struct Trial<'a>(&'a Session);

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        self.0.give_up_websocket();
    }
}

/// Serves a new WebSocket until it takes the session over; `None` if it ends before.
pub(super) async fn try_over<S>(
    gateway: &Arc<Gateway>,
    mut stream: S,
    session: &Arc<Session>,
) -> Option<Taken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let patience = Duration::from_millis(gateway.socketio.config.upgrade_timeout_ms.into());
    let taken = match session.try_websocket() {
        true => {
            let _trial = Trial(session);
            tokio::time::timeout(patience, probe(gateway, &mut stream, session)).await.ok().flatten()
        }
        false => None,
    };
    if taken.is_some() {
        gateway.socketio.forget(session);
    } else {
        let _gone = stream.shutdown().await;
    }
    taken
}

async fn probe<S>(gateway: &Gateway, stream: &mut S, session: &Session) -> Option<Taken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut receiver = Receiver::new();
    let mut kept = gateway.admission.unfinished.keep_nothing();
    let mut buffer = BytesMut::with_capacity(1024);
    let mut probed = false;
    loop {
        buffer.clear();
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
        let mut messages =
            receive(gateway, session.message_bytes_max(gateway), &mut receiver, &mut buffer).into_iter();
        kept.set(receiver.kept_bytes()).ok()?;
        while let Some(message) = messages.next() {
            match message {
                Message::Text(text) => match packet(&text) {
                    Ok(Packet::Ping("probe")) => {
                        probed = true;
                        // Before the answer: a poll that the client sends after it must find the trial.
                        session.reader().set_probing(true);
                        stream.write_all(&text_frame(PONG_PROBE.as_bytes())).await.ok()?;
                        session.reader().release_poll(&gateway.delivery);
                    }
                    Ok(Packet::Upgrade) if probed => {
                        let inbound = session.take_inbound()?;
                        let handover = session.reader().begin_handover(&gateway.delivery)?;
                        return Some(Taken { inbound, handover, receiver, rest: messages.collect() });
                    }
                    _ => return None,
                },
                Message::Pong(frame) => stream.write_all(&frame).await.ok()?,
                Message::Binary(_) => return None,
                Message::Close(frame) => {
                    let _gone = stream.write_all(&frame).await;
                    return None;
                }
            }
        }
    }
}

/// What a WebSocket for a session that is none hears.
pub(super) fn stray_frame() -> Bytes {
    close_frame(POLICY, &EngineError::UnknownSession.to_string())
}

/// What a client is told that broke the framing, or a limit of it.
pub(super) fn violation_words(gateway: &Gateway, violation: &Violation, bytes_max: usize) -> String {
    match violation.close_code {
        TOO_LARGE => {
            format!("a message has more than {bytes_max} bytes ({})", limit_words(gateway, bytes_max))
        }
        _ => violation.reason.to_owned(),
    }
}

/// Why a message or body may have so many bytes only.
pub(super) fn limit_words(gateway: &Gateway, bytes_max: usize) -> &'static str {
    match bytes_max < gateway.socketio.config.payload_bytes_max {
        true => "who has joined no namespace needs no more",
        false => "socketio.payload_bytes_max",
    }
}

/// The messages in what was read.
pub(super) fn receive(
    gateway: &Gateway,
    message_bytes_max: usize,
    receiver: &mut Receiver,
    bytes: &mut [u8],
) -> Vec<Message> {
    let limits = Limits { message_bytes_max };
    let mut messages = Vec::new();
    let received = receiver.receive(bytes, &limits, &mut |received| {
        messages.extend(match received {
            Received::Text(text) => Some(Message::Text(text.into())),
            Received::Binary(bytes) => Some(Message::Binary(bytes.into())),
            Received::Ping(payload) => Some(Message::Pong(pong_frame(payload))),
            Received::Pong(_) => None,
            Received::Close { code, .. } => Some(Message::Close(close_reply_frame(code))),
        });
    });
    if let Err(violation) = received {
        let why = violation_words(gateway, &violation, limits.message_bytes_max);
        let frame = close_frame(violation.close_code, &why);
        messages.push(Message::Close(frame));
    }
    messages
}
