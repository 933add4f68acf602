//! Socket.IO 5 over Engine.IO 4: packets with namespaces, acknowledgements and attachments, and how events of
//! the log look in them.
//!
//! [`Assembler`] makes [`Incoming`] of what a client sends; [`ServerPacket`]s are what the server sends;
//! [`event_frames`] is an event as most clients get it, and [`PacketEncoding`] as the others do.

mod args;
mod assemble;
mod auth;
mod encode;
mod event;
mod packet;
#[cfg(test)]
mod tests;

pub use args::{Args, publication_payload};
pub use assemble::{Assembler, AssemblerLimits, Incoming, NamespaceName};
pub use auth::{ConnectAuth, recovery_name};
pub use encode::{Ack, Emit, ServerPacket, frames, payload, reframe};
pub use event::{OwnNames, PacketEncoding, event_frames};
pub use packet::PacketError;

/// The namespace of a packet that names none.
pub const DEFAULT_NAMESPACE: &str = "/";
/// The event by which a client publishes.
pub const PUBLISH: &str = "publish";
/// The most attachments of one packet.
pub const ATTACHMENTS_MAX: usize = 10;
