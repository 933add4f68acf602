//! The settings of the server itself.

use std::{net::SocketAddr, path::PathBuf};

use anywire_log::{ChannelPattern, Durability, Keep, Retention, RetentionRule};
use anywire_settings::{SettingValue, quoted, settings, written};
use serde::{Deserialize, Serialize};

settings! {
    /// The server itself.
    pub struct ServerConfig {
        /// The address to listen on. Port 0 takes a free one. Any address but loopback needs an account
        /// (`anywire user add`) or `auth.api_keys`.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8000));
        /// More addresses for the same server, each with a name by which Socket.IO namespaces can be told
        /// apart.
        pub listeners: Vec<ListenerSection> = Vec::new();
        /// The directory for events and files. Made if it is missing; one server at a time.
        pub data: PathBuf = PathBuf::from("data");
        /// Where events are kept: `embedded` (files in `data`) or `memory` (nothing survives a restart).
        pub engine: EngineKind = EngineKind::Embedded;
        /// How many bytes of old events are read each second, so that damage is found while a back-up still
        /// has what it took. 0 turns it off.
        pub scrub_bytes_per_s: u64 = 1 << 20, in 0..=1 << 30;
        /// Allows the network lab to break connections on purpose. Not for a server that people rely on.
        pub lab: bool = false;
        /// How long connections may take to end when the server stops.
        pub stop_ms: u64 = 10_000, in 0..=600_000;
        /// The newest events kept in memory.
        pub tail: TailSection = TailSection::default();
        /// Events of channels that are not durable.
        pub ephemeral: EphemeralSection = EphemeralSection::default();
        /// Certificate files; with them the server speaks TLS.
        pub tls: TlsSection = TlsSection::default();
        /// What is written to the log of the process.
        pub logging: LoggingSection = LoggingSection::default();
        /// How long channels keep their events: rules in order, the first whose pattern matches decides.
        pub retention: Vec<RetentionSection> = Vec::new();
    }
}

settings! {
    /// One more address.
    pub struct ListenerSection {
        /// Its name, such as `pipeline`; `main` is taken.
        pub name: String;
        /// The address, such as `127.0.0.1:3001`.
        pub listen: SocketAddr;
    }
}

/// Where events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// In files.
    Embedded,
    /// In memory.
    Memory,
}

settings! {
    /// The newest events kept in memory.
    #[derive(Default)]
    pub struct TailSection {
        /// How much memory events take that are kept for readers that are nearly live.
        pub bytes_max: Option<u64>, in 0..=1 << 40, else fitting();
    }
}

settings! {
    /// Events of channels that are not durable.
    #[derive(Default)]
    pub struct EphemeralSection {
        /// How much memory they may take, with their channels: past it the oldest of all are let go.
        pub bytes_max: Option<u64>, in 1 << 20..=1 << 40, else fitting();
    }
}

settings! {
    /// Certificate files.
    pub struct TlsSection {
        /// The certificate chain, a PEM file.
        pub certificate: Option<PathBuf> = None;
        /// Its private key, a PEM file.
        pub key: Option<PathBuf> = None;
    }
}

settings! {
    /// What is written to the log of the process.
    pub struct LoggingSection {
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
        /// `info,anywire_gateway=debug`.
        pub level: String = "info".to_owned();
        /// `text` for people, `json` for collectors.
        pub format: LogFormat = LogFormat::Text;
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

settings! {
    /// One rule of retention.
    pub struct RetentionSection {
        /// Which channels: literal text in which `*` stands for anything.
        pub pattern: String;
        /// Whether events are written down before anybody sees them. `false` keeps them in memory only.
        pub durable: Option<bool>, else "`true`".to_owned();
        /// Whether a reader that is behind gets only the newest event.
        pub latest: Option<bool>, else "`false`".to_owned();
        /// How many events are kept.
        pub events_max: Option<u64>, in 1..=1_000_000_000_000, else kept("events_max", |kept| kept.events_max);
        /// How old events get.
        pub age_max_ms: Option<u64>, in 1..=CENTURY_MS, else kept("age_max_ms", |kept| kept.age_max_ms);
        /// How many bytes are kept.
        pub bytes_max: Option<u64>, in 1..=1 << 50, else kept("bytes_max", |kept| kept.bytes_max);
        /// Whether the channel keeps a list of who is on it.
        pub presence: Option<bool>, else "`false`".to_owned();
    }
}

const CENTURY_MS: u64 = 36_500 * 86_400_000;

/// What is kept where a rule says nothing: of events that are written down, and of those in memory only.
fn kept(key: &str, limit: fn(&Retention) -> u64) -> String {
    let (durable, memory) = (limit(&Retention::default()), limit(&Retention::ephemeral()));
    format!("{}; with `durable = false` {}", written(key, durable), written(key, memory))
}

/// How large the tail is where nothing is said.
fn fitting() -> String {
    format!("{}, or an eighth of what the process may use if that is less", written("bytes_max", 64 << 20))
}

impl SettingValue for EngineKind {
    fn default_text(&self, _key: &str) -> String {
        quoted(match self {
            Self::Embedded => "embedded",
            Self::Memory => "memory",
        })
    }
}

impl SettingValue for LogFormat {
    fn default_text(&self, _key: &str) -> String {
        quoted(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl RetentionSection {
    /// The rule as the log knows it.
    #[must_use]
    pub fn rule(&self) -> RetentionRule {
        let base = if self.durable.unwrap_or(true) { Retention::default() } else { Retention::ephemeral() };
        let retention = Retention {
            durability: if self.durable.unwrap_or(true) {
                Durability::Durable
            } else {
                Durability::Ephemeral
            },
            keep: if self.latest.unwrap_or(false) { Keep::Latest } else { Keep::All },
            events_max: self.events_max.unwrap_or(base.events_max),
            age_max_ms: self.age_max_ms.unwrap_or(base.age_max_ms),
            bytes_max: self.bytes_max.unwrap_or(base.bytes_max),
            presence: self.presence.unwrap_or(false),
        };
        RetentionRule { pattern: ChannelPattern::new(&self.pattern), retention }
    }
}
