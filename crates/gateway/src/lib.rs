//! Sockets: WebSocket, SSE, long-poll, poll and publish; authorization, limits, and the fan-out between the log and them.
//!
//! [`Gateway::start`] makes one in front of a log. [`Gateway::serve`] owns a listener and answers the hot transports on the socket
//! directly; [`Gateway::router`] is the same for somebody's own axum application.
//!
//! Knows: connections. Does not know: files, applications, the console.

mod accept;
mod admission;
mod auth;
mod body;
mod clients;
mod config;
mod direct;
mod drive;
#[cfg(feature = "echo")]
mod echo;
mod fanout;
mod gateway;
mod http;
mod http1;
mod lab;
mod limits;
mod metrics;
mod polling;
mod presence;
mod publishing;
mod reply;
mod shutdown;
mod socketio;
mod tls;
mod websocket;
mod woken;

pub use anywire_protocol::socketio::Args as SocketArgs;

pub use accept::{PeerAddress, ServeError};
pub use admission::cors::PageHeaders;
pub use auth::{AuthError, Credentials, Gate, Principal};
pub use clients::Client;
pub use config::{AuthConfig, GatewayConfig, LimitsConfig, OutOfBounds};
pub use fanout::ConnectedNamespace;
pub use gateway::{Gateway, GatewayError};
pub use lab::Lab;
pub use metrics::{Latency, Metrics, MetricsCollector, Transport};
pub use socketio::{
    AskError, Heard, MAIN_LISTENER, NamespaceSection, SocketHandler, SocketInfo, SocketIoConfig,
    SocketIoError, socketio_channels,
};
pub use tls::{Tls, TlsError};

/// The source of this crate's settings: the configuration reference is made from its comments.
pub const CONFIG_SOURCE: &str = concat!(include_str!("config.rs"), include_str!("socketio/config.rs"));
