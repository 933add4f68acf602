//! Codecs and session machines of every transport, without I/O.
//!
//! Bytes, commands and `now` go in; bytes and decisions come out. The gateway owns sockets and clocks.

pub mod chunks;
#[cfg(test)]
mod differential;
pub mod engineio;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod head;
pub mod json;
pub mod judgement;
#[cfg(test)]
mod lists;
pub mod liveness;
pub mod names;
pub mod native;
pub mod poll;
pub mod publish;
pub mod request;
mod scan;
pub mod socketio;
pub mod sse;
#[cfg(test)]
mod testing;
pub mod websocket;

pub use anywire_codes::{Code, Refusal, conditional};

/// Which of an event's encoding slots belongs to which protocol.
pub mod slots {
    /// A whole WebSocket frame, header and all.
    pub const WEBSOCKET: usize = 0;
    /// A whole SSE block.
    pub const SSE: usize = 1;
    /// The event's JSON, for polls.
    pub const POLL: usize = 2;
    /// Socket.IO packets on `/` as whole WebSocket frames.
    pub const SOCKETIO: usize = 3;
}
