//! One answer of HTTP: made once, and rendered by two thin writers, `http1` for sockets that the gateway owns
//! and `http` for the HTTP library (TLS, HTTP/2, other people's servers).
//!
//! Invariant: status, headers and body are decided here and in [`Cors`]; a writer adds only what its carrier
//! needs.

use std::{borrow::Cow, fmt};

use anywire_log::Cursor;
use anywire_protocol::{
    Code, Refusal,
    engineio::EngineError,
    poll, sse,
    websocket::{Accepted, HandshakeError},
};
use bytes::Bytes;
use http::StatusCode;
use smallvec::SmallVec;

/// The type of every JSON body.
const JSON: &str = "application/json";

/// One answer, as far as it does not depend on who reads it.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// Its own headers. Names are written as HTTP/1.1 shows them.
    pub(crate) headers: SmallVec<[(&'static str, Value); 5]>,
    pub(crate) content: Content,
    /// Whether it depends on who asks, for caches.
    pub(crate) personal: bool,
    /// Whether it tells of a failure, whatever its status.
    refuses: bool,
}

/// What follows the head.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Nothing ever: of `101`, `204` and `304`.
    None,
    /// A body whose length is known.
    Whole(Bytes),
    /// A stream, which whoever writes the head sends afterwards.
    Stream,
}

/// A header's value, made into text where it is written.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(Cow<'static, str>),
    Cursor(Cursor),
    /// A cursor as an entity tag.
    Tag(Cursor),
    Seconds(u32),
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Cursor(cursor) => cursor.fmt(out),
            Self::Tag(cursor) => write!(out, "\"{cursor}\""),
            Self::Seconds(seconds) => seconds.fmt(out),
        }
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl Reply {
    fn new(status: StatusCode, content: Content) -> Self {
        Self {
            status,
            headers: SmallVec::new(),
            content,
            personal: false,
            refuses: status.is_client_error() || status.is_server_error(),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A JSON body that no cache keeps.
    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self::published(body).with("Cache-Control", "no-store")
    }

    /// The answer to a publication.
    pub(crate) fn published(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, Content::Whole(body.into())).with("Content-Type", JSON)
    }

    /// The head of a stream of events.
    pub(crate) fn stream() -> Self {
        Self::new(StatusCode::OK, Content::Stream)
            .with("Content-Type", sse::CONTENT_TYPE)
            .with("Cache-Control", "no-cache, no-transform")
            .with("X-Accel-Buffering", "no")
    }

    /// A refusal as the only event of a stream.
    pub(crate) fn refused_stream(refusal: &Refusal, retry_ms: u32) -> Self {
        let event = sse::refusal_event(refusal, retry_ms);
        Self { content: Content::Whole(event.into()), refuses: true, ..Self::stream() }
    }

    /// A poll's answer with events, a gap, or where to begin.
    pub(crate) fn events(answer: poll::Answer, credentials: bool) -> Self {
        let caching = answer.caching.header(credentials);
        let reply = Self::new(StatusCode::OK, Content::Whole(answer.body)).with("Content-Type", JSON);
        reply.standing_at(answer.cursor, caching)
    }

    /// A poll's answer where there is nothing new.
    pub(crate) fn nothing_new(cursor: Cursor) -> Self {
        Self::new(StatusCode::NO_CONTENT, Content::None).standing_at(cursor, "no-store")
    }

    /// A poll's answer where the client has already what it would get.
    pub(crate) fn not_modified(cursor: Cursor) -> Self {
        Self::new(StatusCode::NOT_MODIFIED, Content::None).standing_at(cursor, "no-store")
    }

    fn standing_at(self, cursor: Cursor, caching: &'static str) -> Self {
        let reply = self.with("Anywire-Cursor", Value::Cursor(cursor)).with("ETag", Value::Tag(cursor));
        Self { personal: true, ..reply.with("Cache-Control", caching) }
    }

    /// Packets of Engine.IO.
    pub(crate) fn packets(payload: Bytes) -> Self {
        Self::engine(payload, "text/plain; charset=UTF-8")
    }

    /// The answer to a post of Engine.IO.
    pub(crate) fn taken() -> Self {
        Self::engine(Bytes::from_static(b"ok"), "text/html; charset=utf-8")
    }

    fn engine(body: Bytes, kind: &'static str) -> Self {
        let reply = Self::new(StatusCode::OK, Content::Whole(body)).with("Content-Type", kind);
        reply.with("Cache-Control", "no-store")
    }

    /// The connection becomes a WebSocket.
    pub(crate) fn switching(accepted: &Accepted) -> Self {
        let reply = Self::new(StatusCode::SWITCHING_PROTOCOLS, Content::None)
            .with("Upgrade", "websocket")
            .with("Connection", "Upgrade")
            .with("Sec-WebSocket-Accept", Value::Text(Cow::Owned(accepted.accept_key.clone())));
        match &accepted.subprotocol {
            Some(name) => reply.with("Sec-WebSocket-Protocol", Value::Text(Cow::Owned(name.to_string()))),
            None => reply,
        }
    }

    /// A refusal in the words of Engine.IO.
    pub(crate) fn engine_error(error: &EngineError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let retry_ms = if let EngineError::Forbidden { retry_ms, .. } = error { *retry_ms } else { None };
        Self::error(status, error.body(), retry_ms)
    }

    /// A WebSocket handshake that is none.
    pub(crate) fn handshake_error(error: &HandshakeError) -> Self {
        let refusal = Refusal::new(Code::InvalidRequest, error.to_string());
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let reply = Self::error(status, refusal.body(), None);
        error.headers().iter().fold(reply, |reply, (name, value)| reply.with(name, *value))
    }

    fn error(status: StatusCode, body: String, retry_ms: Option<u32>) -> Self {
        let reply = Self::new(status, Content::Whole(body.into()));
        let reply = reply.with("Content-Type", JSON).with("Cache-Control", "no-store");
        match retry_ms {
            Some(retry_ms) => reply.with("Retry-After", Value::Seconds(retry_ms.div_ceil(1000))),
            None => reply,
        }
    }

    /// Whether it tells of a failure.
    pub(crate) fn is_refusal(&self) -> bool {
        self.refuses
    }

    /// Whose answers differ from this one, for caches.
    pub(crate) fn vary(&self) -> &'static str {
        if self.personal { "Origin, Authorization" } else { "Origin" }
    }
}

impl From<&Refusal> for Reply {
    fn from(refusal: &Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.code.http_status());
        Self::error(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), refusal.body(), refusal.retry_ms)
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::from(&refusal)
    }
}
