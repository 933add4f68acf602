//! What can be configured about sockets, authorization and limits.

use serde::Deserialize;

use crate::transports::socketio::SocketIoConfig;

/// Everything about the gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Silence after which a client hears a heartbeat that carries its cursor, in milliseconds. Default 25
    /// 000; 1 000 to 300 000.
    pub heartbeat_ms: u32,
    /// Window over which clients are told to come back after a restart, in milliseconds. Default 5 000; 0 to
    /// 600 000.
    pub restart_window_ms: u32,
    /// How many fan-out shards walk the connections; 0 takes one a core. Default 0; 0 to 64.
    pub shards: u32,
    /// Who may connect, and what they may do.
    pub auth: AuthConfig,
    /// Limits. Every limit is finite.
    pub limits: LimitsConfig,
    /// Socket.IO: sessions, heartbeat, namespaces.
    pub socketio: SocketIoConfig,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            heartbeat_ms: 25_000,
            restart_window_ms: 5_000,
            shards: 0,
            auth: AuthConfig::default(),
            limits: LimitsConfig::default(),
            socketio: SocketIoConfig::default(),
        }
    }
}

/// Who may do what.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// API keys of back ends: each may publish and subscribe to everything. Default none; at least 16
    /// characters each.
    pub api_keys: Vec<String>,
    /// Secret with which clients' tokens are signed (HS256). Default none; at least 32 characters.
    pub jwt_secret: Option<String>,
    /// Public key (PEM) with which clients' tokens are checked (RS256, ES256, EdDSA). Default none.
    pub jwt_public_key: Option<String>,
    /// Channel patterns everybody may subscribe to without a token. Default none.
    pub anonymous_subscribe: Vec<String>,
    /// Origins of pages that may connect, such as `https://app.example.com`. The server's own is always
    /// allowed. Default none.
    pub origins: Vec<String>,
}

impl AuthConfig {
    /// Whether anything is configured that lets somebody in.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.api_keys.is_empty() || self.jwt_secret.is_some() || self.jwt_public_key.is_some()
    }
}

/// Limits of the gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Payload bytes of one event. Default 1 048 576; 1 to 67 108 864.
    pub message_bytes_max: usize,
    /// Bytes of one publish request. Default 8 388 608; 1 to 268 435 456.
    pub request_bytes_max: usize,
    /// Events of one publish request. Default 10 000; 1 to 100 000.
    pub batch_events_max: usize,
    /// Channels of one connection. Default 128; 1 to 10 000.
    pub channels_max: usize,
    /// Connections in all. Default 19 000; 1 to 1 000 000. The process needs a file descriptor for each.
    pub connections_max: usize,
    /// Connections of one address. Default 19 000; 1 to 1 000 000.
    pub connections_per_address_max: usize,
    /// Events a second that one WebSocket connection may publish, and over HTTP one user's tokens (API keys:
    /// without limit). Default 100; 1 to 1 000 000.
    pub publish_per_second: u32,
    /// Events that one WebSocket connection, or over HTTP one user's tokens, may publish at once. Default
    /// 200; 1 to 1 000 000.
    pub publish_burst: u32,
    /// Bytes written to one reader before it is another's turn. Default 262 144; 4 096 to 16 777 216.
    pub drain_bytes_max: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes_max: 1 << 20,
            request_bytes_max: 8 << 20,
            batch_events_max: 10_000,
            channels_max: 128,
            connections_max: 19_000,
            connections_per_address_max: 19_000,
            publish_per_second: 100,
            publish_burst: 200,
            drain_bytes_max: 256 << 10,
        }
    }
}

/// A value that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}; expected {least} to {most}")]
pub struct OutOfBounds {
    /// The setting.
    pub key: &'static str,
    /// Its value.
    pub value: u64,
    /// The least allowed.
    pub least: u64,
    /// The greatest allowed.
    pub most: u64,
}

impl GatewayConfig {
    /// Checks every number against its bounds.
    ///
    /// # Errors
    /// [`OutOfBounds`] for the first that is outside.
    pub fn check(&self) -> Result<(), OutOfBounds> {
        let limits = &self.limits;
        let table: [(&'static str, u64, u64, u64); 12] = [
            ("heartbeat_ms", self.heartbeat_ms.into(), 1_000, 300_000),
            ("restart_window_ms", self.restart_window_ms.into(), 0, 600_000),
            ("shards", self.shards.into(), 0, 64),
            ("limits.message_bytes_max", limits.message_bytes_max as u64, 1, 64 << 20),
            ("limits.request_bytes_max", limits.request_bytes_max as u64, 1, 256 << 20),
            ("limits.batch_events_max", limits.batch_events_max as u64, 1, 100_000),
            ("limits.channels_max", limits.channels_max as u64, 1, 10_000),
            ("limits.connections_max", limits.connections_max as u64, 1, 1_000_000),
            ("limits.connections_per_address_max", limits.connections_per_address_max as u64, 1, 1_000_000),
            ("limits.publish_per_second", limits.publish_per_second.into(), 1, 1_000_000),
            ("limits.publish_burst", limits.publish_burst.into(), 1, 1_000_000),
            ("limits.drain_bytes_max", limits.drain_bytes_max as u64, 4096, 16 << 20),
        ];
        let mut all = table.into_iter().chain(self.socketio.bounds());
        let outside = all.find(|(_, value, least, most)| !(least..=most).contains(&value));
        match outside {
            Some((key, value, least, most)) => Err(OutOfBounds { key, value, least, most }),
            None => Ok(()),
        }
    }
}
