//! What is said over each transport, whoever carries it.

pub(crate) mod poll;
pub(crate) mod publish;
pub(crate) mod socketio;
pub(crate) mod sse;
pub(crate) mod websocket;
