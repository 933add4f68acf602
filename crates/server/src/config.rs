//! The configuration: one TOML file, environment variables and flags, merged into one tree.
//!
//! Invariants:
//! - An unknown key stops the start and names the nearest known one.
//! - Flags win over the environment, the environment over the file, the file over the defaults.

use std::path::PathBuf;

use anywire_gateway::GatewayConfig;
use anywire_jobs::JobsConfig;
use anywire_monitor::MonitorConfig;
use anywire_pipeline::PipelineConfig;
use anywire_redis_emitter::RedisConfig;
use anywire_settings::{Amount, OutOfRange, Range, SettingValue, joined};
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use tracing_subscriber::filter::LevelFilter;

use crate::reference;
pub use crate::sections::{
    EngineKind, ListenerSection, LogFormat, LoggingSection, RetentionSection, ServerConfig, TailSection,
    TlsSection,
};

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
    /// Whether a damaged log is opened with what can be read of it. Not a setting: it is for one start.
    pub accept_loss: bool,
}

impl Config {
    fn check_ranges(&self) -> Result<(), OutOfRange> {
        self.server.check_ranges("")?;
        self.gateway.check_ranges("")?;
        self.jobs.check_ranges("jobs")?;
        self.monitor.check_ranges("monitor")?;
        self.pipeline.check_ranges("pipeline")?;
        self.emitters.check_ranges("socketio.redis")
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
    #[error("{key}: {message}")]
    Value {
        /// The setting.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// Something else than a whole number from zero on.
    #[error("{key} is {value}; set it to a whole number between {} and {}", range.min, range.max)]
    Number {
        /// The setting.
        key: String,
        /// What it was set to.
        value: String,
        /// What it may be.
        range: Range,
    },
    /// A flag that is no setting.
    #[error("--set {text:?}: expected KEY=VALUE, such as limits.channels_max=64")]
    Flag {
        /// The text.
        text: String,
    },
    /// A value outside its range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
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
        let gateway: Table = gateway_keys().filter_map(|key| server.remove_entry(&key)).collect();
        let config = Config {
            server: read("", Value::Table(server))?,
            gateway: read("", Value::Table(gateway))?,
            jobs: read("jobs", jobs)?,
            monitor: read("monitor", monitor)?,
            pipeline: read("pipeline", pipeline)?,
            emitters: read("socketio.redis", emitters)?,
            accept_loss: false,
        };
        check_level(&config.server.logging.level)?;
        config.check_ranges()?;
        Ok(config)
    }
}

impl Config {
    /// Takes out what must not be shown, and says what that was.
    pub(crate) fn take_secrets(&mut self) -> Vec<&'static str> {
        let auth = &mut self.gateway.auth;
        let is_secret = |option: &mut String| {
            let name = option.split_once('=').map_or("", |(name, _)| name).to_ascii_lowercase();
            ["password", "secret", "token", "key.pem", "sasl.jaas", "oauthbearer.config"]
                .iter()
                .any(|word| name.contains(word))
        };
        let hidden = [
            ("auth.api_keys", !std::mem::take(&mut auth.api_keys).is_empty()),
            ("auth.keys.key", taken(auth.keys.iter_mut().map(|one| &mut one.key))),
            ("auth.jwt_secret", auth.jwt_secret.take().is_some()),
            ("auth.jwt_secrets", !std::mem::take(&mut auth.jwt_secrets).is_empty()),
            ("auth.issuers.secret", taken(auth.issuers.iter_mut().map(|one| &mut one.secret))),
            // Whoever knows the address may post there.
            ("monitor.webhook_url", self.monitor.webhook_url.take().is_some()),
            ("monitor.webhook_token", self.monitor.webhook_token.take().is_some()),
            // It may hold a password.
            ("socketio.redis.url", self.emitters.url.take().is_some()),
            // With a password in it, or a query that may be one.
            ("pipeline.sink", self.pipeline.sink.take_if(|sink| sink.contains(['@', '?'])).is_some()),
            ("pipeline.kafka_options", self.pipeline.kafka_options.extract_if(.., is_secret).count() > 0),
        ];
        hidden.into_iter().filter_map(|(key, was_there)| was_there.then_some(key)).collect()
    }

    /// A TOML file that makes the same configuration again.
    ///
    /// # Errors
    /// [`toml::ser::Error`] names what TOML cannot say.
    pub(crate) fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let mut file = Table::try_from(&self.server)?;
        merge(&mut file, Table::try_from(&self.gateway)?);
        let mut socketio = Table::new();
        socketio.insert("redis".to_owned(), Value::try_from(&self.emitters)?);
        let mut sections = Table::new();
        sections.insert("jobs".to_owned(), Value::try_from(&self.jobs)?);
        sections.insert("monitor".to_owned(), Value::try_from(&self.monitor)?);
        sections.insert("pipeline".to_owned(), Value::try_from(&self.pipeline)?);
        sections.insert("socketio".to_owned(), Value::Table(socketio));
        merge(&mut file, sections);
        toml::to_string_pretty(&file)
    }
}

/// Takes secrets out, and says whether there were any.
fn taken<'s>(secrets: impl Iterator<Item = &'s mut Option<String>>) -> bool {
    secrets.filter_map(Option::take).count() > 0
}

/// Variables that begin with `ANYWIRE_` and are no settings: of tests, of the lab's restart, and what a job
/// tells its command.
const INTERNAL: [&str; 11] = [
    "BIN",
    "CRASH_ROUNDS",
    "KAFKA",
    "RESTART_LISTEN",
    "URL",
    "TOKEN",
    "KEY",
    "ALLOW_MISSING",
    "JOB",
    "FILES",
    "FILES_URL",
];

/// Reads a section; an error names the setting by its whole key.
fn read<T: DeserializeOwned>(section: &str, value: Value) -> Result<T, ConfigError> {
    value.try_into().map_err(|error: toml::de::Error| {
        let text = error.to_string();
        let place = text.rsplit_once("in `").and_then(|(_, place)| place.split_once('`'));
        let key = place.map_or("", |(key, _)| key);
        let key =
            if section.is_empty() || key.is_empty() { [section, key].concat() } else { joined(section, key) };
        ConfigError::Value { key, message: error.message().to_owned() }
    })
}

/// A level for everything, or for parts of the program: `info,anywire_gateway=debug`. A word that is no level
/// would be taken for a part of the program.
fn check_level(text: &str) -> Result<(), ConfigError> {
    let unknown = |one: &&str| !one.contains(['=', '[']) && one.parse::<LevelFilter>().is_err();
    match text.split(',').map(str::trim).find(unknown) {
        None => Ok(()),
        Some(one) => Err(ConfigError::Value {
            key: "logging.level".into(),
            message: format!(
                "{one:?} is no level; use off, error, warn, info, debug or trace, or name a part of the program: anywire_gateway=debug"
            ),
        }),
    }
}

/// The top-level keys that belong to the gateway.
fn gateway_keys() -> impl Iterator<Item = String> {
    let mut settings = Vec::new();
    GatewayConfig::add_settings("", &mut settings);
    settings.into_iter().map(|setting| setting.key).filter(|key| !key.contains('.'))
}

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
    // `KEY=VALUE` as a TOML document: numbers, booleans and lists come out as such, everything else is a
    // text.
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
            _ if reference::is_key(&path) => check_number(&path, value)?,
            _ => return Err(unknown(&path, source_name)),
        }
    }
    Ok(())
}

/// A number that has a range is a whole number, before it is held to the range.
fn check_number(key: &str, value: &Value) -> Result<(), ConfigError> {
    let whole = value.as_integer().is_some_and(|number| number >= 0);
    match reference::range(key).filter(|range| range.amount == Amount::Number) {
        Some(range) if !whole => {
            let key = key.to_owned();
            Err(ConfigError::Number { key, value: value.to_string(), range: range.clone() })
        }
        _ => Ok(()),
    }
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
        for (value, shown) in [("\"soon\"", "\"soon\""), ("-5", "-5"), ("1.5", "1.5"), ("[]", "[]")] {
            let error = settings(&format!("heartbeat_ms = {value}")).expect_err("no number").to_string();
            let expected =
                format!("heartbeat_ms is {shown}; set it to a whole number between 1000 and 300000");
            assert_eq!(error, expected);
        }
        let text = "[jobs.commands.a]\nargv = ['true']\nparser = 'loud'";
        let error = settings(text).expect("known").finish().expect_err("no parser").to_string();
        assert!(
            error.starts_with("jobs.commands.a.parser: unknown variant `loud`, expected one of"),
            "{error}"
        );
        let error =
            settings("logging.level = 'loud'").expect("known").finish().expect_err("no level").to_string();
        assert!(error.starts_with("logging.level: \"loud\" is no level; use off, error"), "{error}");
        settings("logging.level = 'warn,anywire_gateway=debug'").expect("known").finish().expect("levels");
        let error = settings("heartbeat_ms = 1").expect("known").finish().expect_err("too small").to_string();
        assert!(error.contains("heartbeat_ms is 1; set it between 1000 and 300000"), "{error}");
        assert!(settings("listen = \"nowhere\"").expect("known").finish().is_err());
    }

    /// The key of a setting as somebody gives it, and what must stand beside it.
    fn given(key: &str) -> (String, Table) {
        let beside = match key {
            key if key.starts_with("retention.") => "retention = [{ pattern = 'a' }]",
            key if key.starts_with("jobs.commands.") => "jobs.commands.a.argv = ['true']",
            _ => "",
        };
        (key.replace(reference::ANY_NAME, "a"), toml::from_str(beside).expect("TOML"))
    }

    /// The server with one setting.
    fn finish(key: &str, value: Value) -> Result<Config, ConfigError> {
        let (key, beside) = given(key);
        let mut settings = Settings { tree: beside };
        match (key.strip_prefix("retention."), settings.tree.get_mut("retention")) {
            (Some(field), Some(Value::Array(rules))) => {
                rules.iter_mut().filter_map(Value::as_table_mut).for_each(|rule| {
                    rule.insert(field.to_owned(), value.clone());
                });
            }
            _ => settings.set(&key, value, "a test")?,
        }
        settings.finish()
    }

    /// What is as large as a setting with a range can be.
    fn as_large_as(range: &Range, size: u64) -> Value {
        match range.amount {
            Amount::Number => Value::Integer(size.try_into().expect("an integer of TOML")),
            Amount::Entries => Value::Array((0..size).map(|n| Value::String(format!("t{n}"))).collect()),
        }
    }

    #[test]
    fn every_setting_with_a_range_is_held_to_it_and_its_default_is_inside() {
        Settings::default().finish().expect("the defaults");
        let ranged =
            reference::settings().iter().filter_map(|one| one.range.as_ref().map(|range| (one, range)));
        let mut count = 0;
        for (setting, range) in ranged {
            let key = &setting.key;
            for inside in [range.min, range.max] {
                finish(key, as_large_as(range, inside)).expect(key);
            }
            for outside in [range.min.checked_sub(1), Some(range.max + 1)].into_iter().flatten() {
                let error = finish(key, as_large_as(range, outside)).expect_err(key).to_string();
                let named = given(key).0.replace("retention.", "retention[0].");
                let Range { amount, min, max } = range;
                let expected = format!("{named}{amount} is {outside}; set it between {min} and {max}");
                assert_eq!(error, expected);
            }
            count += 1;
        }
        assert!(count > 50, "{count} settings have a range");
    }

    #[test]
    fn every_number_has_a_range() {
        for setting in reference::settings().iter().filter(|setting| setting.range.is_none()) {
            let number = setting.default.starts_with(|first: char| first.is_ascii_digit());
            assert!(!number, "{} is {} by default and has no range", setting.key, setting.default);
        }
    }

    #[test]
    fn no_setting_that_may_be_a_secret_is_shown() {
        let planted = "planted-0123456789abcdef0123456789abcdef";
        let plants = [
            ("auth.api_keys", format!("['{planted}']")),
            (
                "auth.keys.key",
                format!("auth.keys = [{{ name = 'a', key = '{planted}', roles = ['viewer'] }}]"),
            ),
            ("auth.jwt_secret", format!("'{planted}'")),
            ("auth.jwt_secrets", format!("[{{ secret = '{planted}' }}]")),
            (
                "auth.issuers.secret",
                format!("auth.issuers = [{{ issuer = 'https://a.example', secret = '{planted}' }}]"),
            ),
            ("monitor.webhook_url", format!("'https://hooks.example/{planted}'")),
            ("monitor.webhook_token", format!("'{planted}'")),
            ("socketio.redis.url", format!("'redis://u:{planted}@127.0.0.1/0'")),
            ("pipeline.sink", format!("'http://u:{planted}@127.0.0.1/'")),
            ("pipeline.sink", format!("'http://127.0.0.1/?key={planted}'")),
            ("pipeline.kafka_options", format!("['sasl.password={planted}', 'ssl.key.pem={planted}']")),
            ("pipeline.kafka_options", format!("['sasl.oauthbearer.config=a={planted}']")),
        ];
        for (key, value) in &plants {
            let text = if value.starts_with("auth.") { value.clone() } else { format!("{key} = {value}") };
            let mut config = settings(&text).expect(key).finish().expect(key);
            assert!(config.take_secrets().contains(key), "{key}");
            let shown = config.to_toml().expect("TOML");
            assert!(!shown.contains("planted"), "{key}: {shown}");
        }
        // A new one by whose name or meaning it may be a secret is to be planted above, or named here.
        let open = [
            "tls.key",
            "auth.jwt_public_key",
            "auth.issuers.public_key",
            "socketio.redis.emitter_key",
            "pipeline.key",
        ];
        let words = ["key", "secret", "token", "password", "url", "sink", "options", "credential"];
        for setting in
            reference::settings().iter().filter(|setting| !setting.section && setting.range.is_none())
        {
            let name = setting.key.rsplit('.').next().unwrap_or_default();
            let suspect = words.iter().any(|word| {
                name.split('_').any(|part| part.trim_end_matches('s') == word.trim_end_matches('s'))
            });
            let known = plants.iter().any(|(key, _)| setting.key.starts_with(key))
                || open.contains(&setting.key.as_str());
            assert!(!suspect || known, "{} may be a secret: hide it in take_secrets", setting.key);
        }
    }

    #[test]
    fn retention_rules_have_defaults_of_their_kind() {
        let text = "[[retention]]\npattern = \"a_*\"\ndurable = false\nevents_max = 5";
        let config = settings(text).expect("known").finish().expect("sound");
        let rule = config.server.retention[0].rule();
        assert_eq!((rule.retention.events_max, rule.retention.age_max_ms), (5, 300_000));
    }
}
