//! RFC 6455 as a server speaks it: bytes in, messages out; messages in, frames out.
//!
//! [`accept`] judges the opening handshake and [`Accepted::response`] writes the answer. A [`Receiver`]
//! decodes what the client sends. [`text_frame`] and its sisters encode what the server sends, unmasked,
//! ready to be shared by every connection. Extensions are not offered, so the reserved bits are always zero.
//!
//! Invariants:
//! - The same bytes give the same items and the same [`Violation`], however they were cut on their way.
//! - A [`Receiver`] between messages owns no heap memory.
//! - Nothing of a frame is kept before its header has passed every check, limits included.

mod close;
mod encode;
mod frame;
mod handshake;
mod receiver;
#[cfg(test)]
mod recordings;

pub use close::is_close_code_allowed;
pub use encode::{
    HeaderBytes, close_frame, close_reply_frame, frame_header, ping_frame, pong_frame, text_frame,
};
pub use frame::{Opcode, Violation};
pub use handshake::{Accepted, HandshakeError, SUBPROTOCOL, Subprotocols, accept, accept_key};
pub use receiver::{Limits, Received, Receiver};
