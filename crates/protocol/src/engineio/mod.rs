//! Engine.IO 4: packets over HTTP polling or WebSocket, the handshake, and the heartbeat.
//!
//! A request is read by [`Query`] and refused with an [`EngineError`]; what a client sends is taken apart by
//! [`packet`] (one WebSocket message) or [`payload`] (one body); when to ping and when to give up is decided
//! by [`Heartbeat`].

mod error;
mod heartbeat;
mod packet;
mod query;

pub use error::EngineError;
pub use heartbeat::{Beat, Heartbeat, HeartbeatTimes};
pub use packet::{
    CLOSE, NOOP, Opening, PACKETS_MAX, PAYLOAD_PACKETS_MAX, PING, PONG_PROBE, Packet, PacketError, SEPARATOR,
    base64_packet, packet, payload,
};
pub use query::{Carrier, Query};
