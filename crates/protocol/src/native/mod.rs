//! The native WebSocket frames (PROTOCOL.md, section 8): JSON objects with an `op`.

mod client;
mod server;

pub use client::{ClientFrame, Command, FrameError, FrameLimits, parse_frame};
pub use server::{Member, ServerFrame, event_frame, write_member, write_presence, write_published};
