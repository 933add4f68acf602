//! What can be configured about Socket.IO.

use serde::Deserialize;

/// Socket.IO: sessions, heartbeat, namespaces.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SocketIoConfig {
    /// Whether Socket.IO clients are served. Default true.
    pub enabled: bool,
    /// Where they connect. Default `/socket.io/`. Begins and ends with a slash.
    pub path: String,
    /// How often a client is pinged, in milliseconds. Default 25 000; 100 to 300 000.
    pub ping_interval_ms: u32,
    /// How long a client has to answer a ping, in milliseconds. Default 20 000; 100 to 300 000.
    pub ping_timeout_ms: u32,
    /// Bytes of one request body or message from a client. Default 1 000 000; 1 000 to 67 108 864.
    pub payload_bytes_max: usize,
    /// How long a client may take to join its first namespace, in milliseconds. Default 45 000; 100 to 300
    /// 000.
    pub connect_timeout_ms: u32,
    /// How long a change from polling to WebSocket may take, in milliseconds. Default 10 000; 100 to 300 000.
    pub upgrade_timeout_ms: u32,
    /// Sessions that have joined no namespace yet. Default 10 000; 1 to 1 000 000. Who comes after that is
    /// refused.
    pub handshakes_max: usize,
    /// Namespaces of one connection. Default 16; 1 to 1 000.
    pub namespaces_max: usize,
    /// Clients that have gone and may come back, of this process: the newest ones; who went before them
    /// begins anew. Default 100 000; 1 to 10 000 000.
    pub recoveries_max: usize,
    /// The namespaces there are, in order; the first whose name and listener fit decides. Default one, `/`.
    pub namespaces: Vec<NamespaceSection>,
}

/// One namespace, or all that fit a pattern.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamespaceSection {
    /// The name, such as `/chat`, or a pattern in which `*` stands for anything, such as `/team-*`. Default
    /// `/`.
    pub name: String,
    /// The listener it is for. Default all: the main listener is called `main`, others as in `listeners`.
    pub listener: Option<String>,
    /// Channels a client joins as it connects; `{user}` stands for the `sub` of its token. Default none. The
    /// token has to allow them.
    pub channels: Vec<String>,
    /// An event every client gets as it connects. Default none.
    pub welcome_event: Option<String>,
    /// The JSON that comes with the welcome event; the text `"$now"` in it becomes the time. Default `null`.
    pub welcome_data: Option<String>,
    /// Whether every client may come back where it stopped, as socket.io-client does by itself: then each
    /// event has its cursor as one more argument. Default false; a client asks for it with `auth: {recover:
    /// true}`.
    pub recovery: bool,
    /// The channel to which events that clients emit are published, where the token allows. Default none:
    /// only `publish` publishes.
    pub emit_to: Option<String>,
    /// Whether clients may join and leave channels by `subscribe` and `unsubscribe`. Default true.
    pub subscribe: Option<bool>,
    /// Patterns of channels whose newest event a client gets at once after `subscribe`. Default none.
    pub newest_first: Vec<String>,
}

impl Default for SocketIoConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/socket.io/".to_owned(),
            ping_interval_ms: 25_000,
            ping_timeout_ms: 20_000,
            payload_bytes_max: 1_000_000,
            connect_timeout_ms: 45_000,
            upgrade_timeout_ms: 10_000,
            handshakes_max: 10_000,
            namespaces_max: 16,
            recoveries_max: 100_000,
            namespaces: vec![NamespaceSection { name: "/".to_owned(), ..NamespaceSection::default() }],
        }
    }
}

impl SocketIoConfig {
    /// Every number with its bounds.
    pub(crate) fn bounds(&self) -> [(&'static str, u64, u64, u64); 8] {
        [
            ("socketio.ping_interval_ms", self.ping_interval_ms.into(), 100, 300_000),
            ("socketio.ping_timeout_ms", self.ping_timeout_ms.into(), 100, 300_000),
            ("socketio.payload_bytes_max", self.payload_bytes_max as u64, 1_000, 64 << 20),
            ("socketio.connect_timeout_ms", self.connect_timeout_ms.into(), 100, 300_000),
            ("socketio.upgrade_timeout_ms", self.upgrade_timeout_ms.into(), 100, 300_000),
            ("socketio.handshakes_max", self.handshakes_max as u64, 1, 1_000_000),
            ("socketio.namespaces_max", self.namespaces_max as u64, 1, 1_000),
            ("socketio.recoveries_max", self.recoveries_max as u64, 1, 10_000_000),
        ]
    }
}
