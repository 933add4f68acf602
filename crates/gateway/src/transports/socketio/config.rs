//! What can be configured about Socket.IO.

use anywire_settings::settings;

settings! {
    /// Socket.IO: sessions, heartbeat, namespaces.
    pub struct SocketIoConfig {
        /// Whether Socket.IO clients are served.
        pub enabled: bool = true;
        /// Where they connect. Begins and ends with a slash.
        pub path: String = "/socket.io/".to_owned();
        /// How often a client is pinged.
        pub ping_interval_ms: u32 = 25_000, in 100..=300_000;
        /// How long a client has to answer a ping.
        pub ping_timeout_ms: u32 = 20_000, in 100..=300_000;
        /// Bytes of one request body or message from a client.
        pub payload_bytes_max: usize = 1_000_000, in 1_000..=64 << 20;
        /// How long a client may take to join its first namespace. Until then it may send short messages
        /// only, without attachments.
        pub connect_timeout_ms: u32 = 10_000, in 100..=300_000;
        /// How long a change from polling to WebSocket may take.
        pub upgrade_timeout_ms: u32 = 10_000, in 100..=300_000;
        /// Sessions that have joined no namespace yet. Who comes after that is refused.
        pub handshakes_max: usize = 10_000, in 1..=1_000_000;
        /// Namespaces of one connection.
        pub namespaces_max: usize = 16, in 1..=1_000;
        /// Clients that have gone and may come back, of this process: the newest ones; who went before them
        /// begins anew.
        pub recoveries_max: usize = 100_000, in 1..=10_000_000;
        /// The namespaces there are, in order; the first whose name and listener fit decides. Without any
        /// there is one, `/`.
        pub namespaces: Vec<NamespaceSection> = vec![NamespaceSection::default()];
    }
}

settings! {
    /// One namespace, or all that fit a pattern.
    pub struct NamespaceSection {
        /// The name, such as `/chat`, or a pattern in which `*` stands for anything, such as `/team-*`.
        pub name: String = "/".to_owned();
        /// The listener it is for. Without it: for all. The main listener is called `main`, others as in
        /// `listeners`.
        pub listener: Option<String> = None;
        /// Channels a client joins as it connects; `{user}` stands for the `sub` of its token. The token has
        /// to allow them.
        pub channels: Vec<String> = Vec::new();
        /// An event every client gets as it connects.
        pub welcome_event: Option<String> = None;
        /// The JSON that comes with the welcome event; the text `"$now"` in it becomes the time. Without it:
        /// `null`.
        pub welcome_data: Option<String> = None;
        /// Whether every client may come back where it stopped, as socket.io-client does by itself: then each
        /// event has its cursor as one more argument. Otherwise a client asks for it with `auth: {recover:
        /// true}`.
        pub recovery: bool = false;
        /// The channel to which events that clients emit are published, where the token allows. Without it
        /// only `publish` publishes.
        pub emit_to: Option<String> = None;
        /// Whether clients may join and leave channels by `subscribe` and `unsubscribe`.
        pub subscribe: bool = true;
        /// Patterns of channels whose newest event a client gets at once after `subscribe`.
        pub newest_first: Vec<String> = Vec::new();
    }
}
