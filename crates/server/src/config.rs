//! The configuration: one TOML file, environment variables and flags, merged into one tree.
//!
//! Invariants:
//! - An unknown key stops the start and names the nearest known one.
//! - Flags win over the environment, the environment over the file, the file over the defaults.

use std::{net::SocketAddr, path::PathBuf};

use anywire_gateway::GatewayConfig;
use anywire_jobs::JobsConfig;
use anywire_log::{ChannelPattern, Durability, Keep, Retention, RetentionRule};
use anywire_monitor::MonitorConfig;
use anywire_pipeline::PipelineConfig;
use anywire_redis_emitter::RedisConfig;
use serde::Deserialize;
use toml::{Table, Value};

use crate::reference;

/// Everything about one server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server itself.
    pub server: ServerConfig,
    /// Sockets, authorization, limits.
    pub gateway: GatewayConfig,
    /// The jobs application.
    pub jobs: JobsConfig,
    /// The monitor application.
    pub monitor: MonitorConfig,
    /// The pipeline application.
    pub pipeline: PipelineConfig,
    /// Emitters in other processes.
    pub emitters: RedisConfig,
}

/// The server itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// The address to listen on. Default `127.0.0.1:8000`. Port 0 takes a free one. Any address but loopback
    /// needs `auth.api_keys`.
    pub listen: SocketAddr,
    /// More addresses for the same server, each with a name by which Socket.IO namespaces can be told apart.
    /// Default none.
    pub listeners: Vec<ListenerSection>,
    /// The directory for events and files. Default `data`. Made if it is missing; one server at a time.
    pub data: PathBuf,
    /// Where events are kept: `embedded` (files in `data`) or `memory` (nothing survives a restart). Default
    /// `embedded`.
    pub engine: EngineKind,
    /// Allows the network lab to break connections on purpose. Default false. Not for a server that people
    /// rely on.
    pub lab: bool,
    /// How long connections may take to end when the server stops, in milliseconds. Default 10 000; 0 to 600
    /// 000.
    pub stop_ms: u64,
    /// The newest events kept in memory.
    pub tail: TailSection,
    /// Certificate files; with them the server speaks TLS.
    pub tls: TlsSection,
    /// What is written to the log of the process.
    pub logging: LoggingSection,
    /// How long channels keep their events: rules in order, the first whose pattern matches decides.
    pub retention: Vec<RetentionSection>,
}

/// One more address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerSection {
    /// Its name, such as `pipeline`; `main` is taken. Default none.
    pub name: String,
    /// The address, such as `127.0.0.1:3001`. Default none.
    pub listen: SocketAddr,
}

/// Where events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// In files.
    Embedded,
    /// In memory.
    Memory,
}

/// The newest events kept in memory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TailSection {
    /// How many bytes of events are kept in memory for readers that are nearly live. Default 67 108 864.
    pub bytes_max: u64,
}

/// Certificate files.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSection {
    /// The certificate chain, a PEM file. Default none.
    pub certificate: Option<PathBuf>,
    /// Its private key, a PEM file. Default none.
    pub key: Option<PathBuf>,
}

/// What is written to the log of the process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoggingSection {
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `info,anywire_gateway=debug`. Default `info`.
    pub level: String,
    /// `text` for people, `json` for collectors. Default `text`.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

/// One rule of retention.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSection {
    /// Which channels: literal text in which `*` stands for anything.
    pub pattern: String,
    /// Whether events are written down before anybody sees them. Default true; false keeps them in memory
    /// only.
    pub durable: Option<bool>,
    /// Whether a reader that is behind gets only the newest event. Default false.
    pub latest: Option<bool>,
    /// How many events are kept. Default 1 000 000 (memory: 1 000).
    pub events_max: Option<u64>,
    /// How old events get, in milliseconds. Default 604 800 000, seven days (memory: 300 000).
    pub age_max_ms: Option<u64>,
    /// How many bytes are kept. Default 1 073 741 824 (memory: 4 194 304).
    pub bytes_max: Option<u64>,
    /// Whether the channel keeps a list of who is on it. Default false.
    pub presence: Option<bool>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            listeners: Vec::new(),
            data: PathBuf::from("data"),
            engine: EngineKind::Embedded,
            lab: false,
            stop_ms: 10_000,
            tail: TailSection::default(),
            tls: TlsSection::default(),
            logging: LoggingSection::default(),
            retention: Vec::new(),
        }
    }
}

impl Default for TailSection {
    fn default() -> Self {
        Self { bytes_max: 64 << 20 }
    }
}

impl Default for LoggingSection {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
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

/// Why a configuration is not one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path}: {error}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: Box<toml::de::Error>,
    },
    /// A key that does not exist.
    #[error("{source_name}: there is no setting {key:?}{hint}; `anywire config --reference` lists all")]
    UnknownKey {
        /// Where it stands.
        source_name: String,
        /// The key.
        key: String,
        /// The nearest known key.
        hint: String,
    },
    /// A value of the wrong kind.
    #[error("the configuration does not fit: {0}")]
    Value(Box<toml::de::Error>),
    /// A flag that is no setting.
    #[error("--set {text:?}: expected KEY=VALUE, such as limits.channels_max=64")]
    Flag {
        /// The text.
        text: String,
    },
    /// A value out of its bounds.
    #[error("{0}")]
    Bounds(String),
}

/// The settings of one source, by dotted key.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    tree: Table,
}

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and the key.
    pub fn add_file(&mut self, path: PathBuf) -> Result<(), ConfigError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return Err(ConfigError::Read { path, error }),
        };
        self.add_text(&text, path)
    }

    fn add_text(&mut self, text: &str, path: PathBuf) -> Result<(), ConfigError> {
        let table: Table = match toml::from_str(text) {
            Ok(table) => table,
            Err(error) => return Err(ConfigError::Syntax { path, error: Box::new(error) }),
        };
        check_keys(&table, "", &path.display().to_string())?;
        merge(&mut self.tree, table);
        Ok(())
    }

    /// Takes every `ANYWIRE_…` variable; `__` stands for a dot: `ANYWIRE_LIMITS__CHANNELS_MAX=64`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`].
    pub fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let Some(key) = name.strip_prefix("ANYWIRE_").filter(|key| !INTERNAL.contains(key)) else {
                continue;
            };
            let key = key.to_ascii_lowercase().replace("__", ".");
            self.set(&key, value_of(&value), &format!("environment variable {name}"))?;
        }
        Ok(())
    }

    /// Takes `KEY=VALUE`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn add_flag(&mut self, text: &str) -> Result<(), ConfigError> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(ConfigError::Flag { text: text.to_owned() });
        };
        self.set(key.trim(), value_of(value.trim()), "--set")
    }

    /// Sets one key.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`].
    pub fn set(&mut self, key: &str, value: Value, source_name: &str) -> Result<(), ConfigError> {
        let nested = key
            .rsplit('.')
            .fold(value, |value, part| Value::Table(Table::from_iter([(part.to_owned(), value)])));
        let Value::Table(table) = nested else { return Ok(()) };
        check_keys(&table, "", source_name)?;
        merge(&mut self.tree, table);
        Ok(())
    }

    /// The configuration these settings make.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    pub fn finish(self) -> Result<Config, ConfigError> {
        let mut server = self.tree;
        let mut section = |name: &str| server.remove(name).unwrap_or_else(|| Value::Table(Table::new()));
        let (jobs, monitor, pipeline) = (section("jobs"), section("monitor"), section("pipeline"));
        let emitters = take_nested(&mut server, "socketio", "redis");
        let gateway: Table = GATEWAY_KEYS.iter().filter_map(|key| server.remove_entry(*key)).collect();
        let fit = |error| ConfigError::Value(Box::new(error));
        let config = Config {
            server: Value::Table(server).try_into().map_err(fit)?,
            gateway: Value::Table(gateway).try_into().map_err(fit)?,
            jobs: jobs.try_into().map_err(fit)?,
            monitor: monitor.try_into().map_err(fit)?,
            pipeline: pipeline.try_into().map_err(fit)?,
            emitters: emitters.try_into().map_err(fit)?,
        };
        config.gateway.check().map_err(|error| ConfigError::Bounds(error.to_string()))?;
        Ok(config)
    }
}

/// Variables that begin with `ANYWIRE_` and are no settings: of tests, of the lab's restart, and what a job
/// tells its command.
const INTERNAL: [&str; 10] = [
    "BIN",
    "CRASH_ROUNDS",
    "KAFKA",
    "RESTART_LISTEN",
    "URL",
    "TOKEN",
    "ALLOW_MISSING",
    "JOB",
    "FILES",
    "FILES_URL",
];
/// The top-level keys that belong to the gateway.
pub(crate) const GATEWAY_KEYS: [&str; 6] =
    ["heartbeat_ms", "restart_window_ms", "shards", "auth", "limits", "socketio"];

/// Takes a section out of the one it stands in: the two belong to different parts. A section that is empty
/// then goes as well.
fn take_nested(tree: &mut Table, outer: &str, inner: &str) -> Value {
    let Some(Value::Table(section)) = tree.get_mut(outer) else { return Value::Table(Table::new()) };
    let taken = section.remove(inner);
    if section.is_empty() {
        tree.remove(outer);
    }
    taken.unwrap_or_else(|| Value::Table(Table::new()))
}

fn value_of(text: &str) -> Value {
    // `KEY=VALUE` as a TOML document: numbers, booleans and lists come out as such, everything else is a text.
    let parsed = toml::from_str::<Table>(&format!("value = {text}")).ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn check_keys(table: &Table, prefix: &str, source_name: &str) -> Result<(), ConfigError> {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match value {
            Value::Table(inner) if reference::is_section(&path) => {
                check_keys(inner, &format!("{path}."), source_name)?;
            }
            Value::Array(rules) if reference::is_section(&path) => {
                for rule in rules.iter().filter_map(Value::as_table) {
                    check_keys(rule, &format!("{path}."), source_name)?;
                }
            }
            _ if reference::is_key(&path) => {}
            _ => return Err(unknown(&path, source_name)),
        }
    }
    Ok(())
}

fn unknown(key: &str, source_name: &str) -> ConfigError {
    let hint = reference::nearest(key).map_or(String::new(), |near| format!(" (did you mean {near:?}?)"));
    ConfigError::UnknownKey { source_name: source_name.to_owned(), key: key.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, ConfigError> {
        let mut settings = Settings::default();
        settings.add_text(text, PathBuf::from("anywire.toml")).map(|()| settings)
    }

    #[test]
    fn an_unknown_key_names_its_place_and_the_nearest_known_one() {
        let error = settings("[limits]\nchanels_max = 3").expect_err("unknown").to_string();
        assert!(error.contains("anywire.toml"), "{error}");
        assert!(error.contains("\"limits.chanels_max\" (did you mean \"limits.channels_max\"?)"), "{error}");
        let error = settings("lissten = \"x\"").expect_err("unknown").to_string();
        assert!(error.contains("did you mean \"listen\""), "{error}");
        let error = settings("[[retention]]\npatern = \"a\"").expect_err("unknown").to_string();
        assert!(error.contains("retention.pattern"), "{error}");
    }

    #[test]
    fn flags_win_over_the_environment_and_the_environment_over_the_file() {
        let mut settings =
            settings("heartbeat_ms = 2000\n[limits]\nchannels_max = 3\nbatch_events_max = 7").expect("known");
        let variables = [
            ("ANYWIRE_LIMITS__CHANNELS_MAX".to_owned(), "4".to_owned()),
            ("ANYWIRE_HEARTBEAT_MS".to_owned(), "3000".to_owned()),
            ("HOME".to_owned(), "x".to_owned()),
        ];
        settings.add_environment(variables).expect("known");
        settings.add_flag("heartbeat_ms=4000").expect("known");
        let config = settings.finish().expect("sound");
        assert_eq!(config.gateway.heartbeat_ms, 4000);
        assert_eq!((config.gateway.limits.channels_max, config.gateway.limits.batch_events_max), (4, 7));
    }

    #[test]
    fn a_value_of_the_wrong_kind_or_out_of_bounds_is_refused() {
        assert!(settings("heartbeat_ms = \"soon\"").expect("known").finish().is_err());
        let error = settings("heartbeat_ms = 1").expect("known").finish().expect_err("too small").to_string();
        assert!(error.contains("heartbeat_ms is 1; expected 1000 to 300000"), "{error}");
        assert!(settings("listen = \"nowhere\"").expect("known").finish().is_err());
    }

    #[test]
    fn retention_rules_have_defaults_of_their_kind() {
        let text = "[[retention]]\npattern = \"a_*\"\ndurable = false\nevents_max = 5";
        let config = settings(text).expect("known").finish().expect("sound");
        let rule = config.server.retention[0].rule();
        assert_eq!((rule.retention.events_max, rule.retention.age_max_ms), (5, 300_000));
    }
}
