//! What can be configured about sockets, authorization and limits.

use std::collections::BTreeMap;

use anywire_access::{AccessConfig, IssuerSection, KeySection, SecretSection};
use anywire_settings::{OutOfRange, SettingValue, settings};

use crate::transports::socketio::SocketIoConfig;

settings! {
    /// Everything about the gateway.
    pub struct GatewayConfig {
        /// Silence after which a client hears a heartbeat that carries its cursor.
        pub heartbeat_ms: u32 = 25_000, in 1_000..=300_000;
        /// Window over which clients are told to come back after a restart.
        pub restart_window_ms: u32 = 5_000, in 0..=600_000;
        /// How many fan-out shards walk the connections; 0 takes one a core.
        pub shards: u32 = 0, in 0..=64;
        /// Who may connect, and what they may do.
        pub auth: AuthConfig = AuthConfig::default();
        /// Limits. Every limit is finite.
        pub limits: LimitsConfig = LimitsConfig::default();
        /// Socket.IO: sessions, heartbeat, namespaces.
        pub socketio: SocketIoConfig = SocketIoConfig::default();
    }
}

settings! {
    /// Who may do what.
    pub struct AuthConfig {
        /// API keys of back ends: each may publish and subscribe to everything. At least 16 characters each.
        pub api_keys: Vec<String> = Vec::new();
        /// API keys with names, rights and ends, one a section.
        pub keys: Vec<KeySection> = Vec::new();
        /// Roles beside `admin`, `operator`, `viewer` and `publisher`, or in their place: a name, and a
        /// list of what it may do: `subscribe:PATTERN` and `publish:PATTERN`, in which `{user}` stands for
        /// the id of the user, `APP:read` and `APP:manage`, or `*` for everything.
        pub roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
        /// Secret with which clients' tokens are signed (HS256). At least 32 characters.
        pub jwt_secret: Option<String> = None;
        /// Several such secrets, each with the `kid` of its tokens, so that one takes the place of another
        /// without logging everybody out.
        pub jwt_secrets: Vec<SecretSection> = Vec::new();
        /// Public key (PEM) with which clients' tokens are checked (RS256, ES256, EdDSA).
        pub jwt_public_key: Option<String> = None;
        /// The `iss` that these tokens must have. Without it: any.
        pub jwt_issuer: Option<String> = None;
        /// What this server is called in the `aud` of these tokens. Without it only tokens that name no
        /// audience are taken.
        pub jwt_audience: Vec<String> = Vec::new();
        /// The roles that these tokens may give by their claim `roles`. Others in it are passed over.
        pub jwt_roles_allowed: Vec<String> = Vec::new();
        /// Other issuers of tokens, such as Keycloak or Auth0, each with its keys and what it may say.
        pub issuers: Vec<IssuerSection> = Vec::new();
        /// Channel patterns everybody may subscribe to without a token.
        pub anonymous_subscribe: Vec<String> = Vec::new();
        /// Origins of pages that may connect, such as `https://app.example.com`, `https://*.example.com` for
        /// all below a name, or `*` for every page. The server's own is always allowed. Wildcards let no
        /// credentials of the browser through, unless the entry says so: `https://*.example.com credentials`.
        pub origins: Vec<String> = Vec::new();
        /// Whether a server without keys answers what a proxy passes on: whoever reaches the proxy may then
        /// do everything. What shows a proxy is a header such as `Forwarded`, `X-Forwarded-For`, `X-Real-IP`
        /// or `Via`, or HTTP/1.0.
        pub open_behind_proxy: bool = false;
    }
}

impl AuthConfig {
    /// A setting that is set and about people who have to say who they are, if any.
    pub(crate) fn about_known_people(&self) -> Option<&'static str> {
        let set = [
            ("auth.roles", !self.roles.is_empty()),
            ("auth.jwt_issuer", self.jwt_issuer.is_some()),
            ("auth.jwt_audience", !self.jwt_audience.is_empty()),
            ("auth.jwt_roles_allowed", !self.jwt_roles_allowed.is_empty()),
            ("auth.anonymous_subscribe", !self.anonymous_subscribe.is_empty()),
        ];
        set.into_iter().find_map(|(setting, is_set)| is_set.then_some(setting))
    }

    /// The part of it that is about who somebody is.
    #[must_use]
    pub fn access(&self) -> AccessConfig {
        AccessConfig {
            api_keys: self.api_keys.clone(),
            keys: self.keys.clone(),
            roles: self.roles.clone(),
            jwt_secret: self.jwt_secret.clone(),
            jwt_secrets: self.jwt_secrets.clone(),
            jwt_public_key: self.jwt_public_key.clone(),
            jwt_issuer: self.jwt_issuer.clone(),
            jwt_audience: self.jwt_audience.clone(),
            jwt_roles_allowed: self.jwt_roles_allowed.clone(),
            issuers: self.issuers.clone(),
        }
    }
}

settings! {
    /// Limits of the gateway.
    pub struct LimitsConfig {
        /// Payload bytes of one event.
        pub message_bytes_max: usize = 1 << 20, in 1..=64 << 20;
        /// Bytes of one publish request.
        pub request_bytes_max: usize = 8 << 20, in 1..=256 << 20;
        /// Bytes of all requests that have not come whole: bodies on their way, halves of messages,
        /// attachments without the rest of their packet. What would be more is refused; one request alone
        /// always fits. At its default it takes no more than an eighth of what the process may use.
        pub unfinished_bytes_max: usize = 64 << 20, in 1 << 20..=64 << 30;
        /// Events of one publish request.
        pub batch_events_max: usize = 10_000, in 1..=100_000;
        /// Channels of one connection.
        pub channels_max: usize = 128, in 1..=10_000;
        /// Channels that hold events, in all: publications that would make another are refused, but not those
        /// of the server itself.
        pub channels_total_max: usize = 500_000, in 1..=100_000_000;
        /// Channels that one user's tokens may make in seven days (API keys: without limit).
        pub channels_per_principal_max: usize = 1000, in 1..=100_000_000;
        /// Connections in all. The process needs a file descriptor for each, and takes no more than the
        /// system has.
        pub connections_max: usize = 19_000, in 1..=1_000_000;
        /// Connections of one address.
        pub connections_per_address_max: usize = 19_000, in 1..=1_000_000;
        /// Proxies in front, as addresses or networks (`10.0.0.0/8`). The client that they name in
        /// `Forwarded` or `X-Forwarded-For` is then the one that counts for limits, and is shown.
        pub trusted_proxies: Vec<String> = Vec::new();
        /// Events a second that one user may publish, over all connections and transports. A user is the
        /// `sub` of a token, or else an address; so it is for all rates here.
        pub publish_per_second: u32 = 100, in 1..=1_000_000;
        /// Events that one user may publish at once; a larger batch is refused.
        pub publish_burst: u32 = 200, in 1..=1_000_000;
        /// Channels a second that one user may ask for: to subscribe, to poll, or who is on them.
        pub subscribe_per_second: u32 = 1_000, in 1..=1_000_000;
        /// Channels that one user may ask for at once.
        pub subscribe_burst: u32 = 20_000, in 1..=1_000_000;
        /// Times a second that one user may become a member of a channel.
        pub presence_per_second: u32 = 10, in 1..=1_000_000;
        /// Channels of which one user may become a member at once.
        pub presence_burst: u32 = 200, in 1..=1_000_000;
        /// Acknowledgements a second of one user.
        pub ack_per_second: u32 = 1_000, in 1..=1_000_000;
        /// Acknowledgements of one user at once.
        pub ack_burst: u32 = 10_000, in 1..=1_000_000;
        /// WebSockets and Socket.IO sessions a second that one address may begin.
        pub handshake_per_second: u32 = 500, in 1..=1_000_000;
        /// WebSockets and Socket.IO sessions that one address may begin at once: all behind a proxy come back
        /// together after a restart.
        pub handshake_burst: u32 = 20_000, in 1..=1_000_000;
        /// Bytes a second that one user's Socket.IO clients may have kept for their return: what they follow.
        pub recovery_bytes_per_second: u32 = 64 << 10, in 1024..=64 << 20;
        /// Bytes that one user's Socket.IO clients may have kept at once.
        pub recovery_burst_bytes: u32 = 4 << 20, in 64 << 10..=1 << 30;
        /// Whether these rates hold for back ends too (API keys; on a server without keys everybody), by
        /// their address.
        pub backends_limited: bool = false;
        /// Bytes written to one reader before it is another's turn.
        pub drain_bytes_max: usize = 256 << 10, in 4096..=16 << 20;
    }
}

impl GatewayConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`OutOfRange`] for the first that is outside.
    pub fn check(&self) -> Result<(), OutOfRange> {
        self.check_ranges("")
    }
}
