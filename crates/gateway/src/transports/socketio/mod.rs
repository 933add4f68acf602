//! Socket.IO clients, unchanged, on the same log (PROTOCOL.md, section 16).
//!
//! A client over a WebSocket is one connection with one reader, like a native one. A client that polls is a
//! [`session::Session`]: a reader whose packets leave in answers to its polls. When its WebSocket takes over,
//! a new reader goes on with the same subscription.
//!
//! Invariants:
//! - The Engine.IO id is a secret of its client and appears nowhere else; what others see is the public id of
//!   a socket.
//! - Every session ends by itself: no namespace in time, no pong in time, no token any more.

pub(crate) mod acks;
mod config;
mod connect;
mod emit;
mod handler;
pub(crate) mod http;
mod inbound;
mod namespaces;
pub(crate) mod places;
pub(crate) mod polling;
mod recovery;
pub(crate) mod requests;
mod rooms;
mod session;
pub(crate) mod sessions;
pub(crate) mod state;
mod upgrade;
mod websocket;

pub use config::{NamespaceSection, SocketIoConfig};
pub use emit::AskError;
pub use handler::{HandlerReply, SocketHandler, SocketInfo};
pub use namespaces::SocketIoError;
pub use recovery::socketio_channels;
