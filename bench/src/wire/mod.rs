//! The bytes on the wire, as far as a load generator needs them: HTTP/1.1 answers, WebSocket frames, SSE,
//! marked payloads.
//!
//! Written against PROTOCOL.md and the RFCs, and on purpose not with the server's own codecs: a mistake there
//! must not hide here.

pub(crate) mod http;
pub(crate) mod mark;
pub(crate) mod sse;
pub(crate) mod websocket;
