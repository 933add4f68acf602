//! Sockets: WebSocket, SSE, long-poll, poll and publish; authorization, limits, and the fan-out between the
//! log and them.
//!
//! [`Gateway::start`] makes one in front of a log. [`Gateway::serve`] owns a listener and answers the hot
//! transports on the socket directly; [`Gateway::router`] is the same for somebody's own axum application.

mod admission;
mod clients;
mod config;
mod delivery;
#[cfg(feature = "echo")]
mod echo;
mod ends;
mod gateway;
mod http;
mod http1;
mod lab;
mod listener;
mod metrics;
mod names;
mod pollers;
mod presence;
mod readers;
mod reply;
mod shutdown;
mod start;
mod timed;
mod transports;
mod turns;

pub use anywire_protocol::socketio::Args as SocketArgs;

pub use admission::auth::{AuthError, Gate};
pub use admission::cors::PageHeaders;
pub use admission::credentials::{Addressed, Credentials};
pub use admission::limits::turned_away_at_once;
pub use admission::origin::OriginError;
pub use admission::place::{MAIN_LISTENER, PeerAddress};
pub use anywire_access::{IssuerSection, KeySection, SecretSection};
pub use clients::Client;
pub use config::{AuthConfig, GatewayConfig, LimitsConfig};
pub use delivery::ConnectedNamespace;
pub use ends::Whose;
pub use gateway::Gateway;
pub use lab::Lab;
pub use listener::ServeError;
pub use listener::tls::{Tls, TlsError};
pub use metrics::{Latency, Metrics, MetricsCollector, Transport};
pub use start::GatewayError;
pub use transports::socketio::{
    AskError, HandlerReply, NamespaceSection, SocketHandler, SocketInfo, SocketIoConfig, SocketIoError,
    socketio_channels,
};
