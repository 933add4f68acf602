//! The reference of all settings, made from the comments in the code that declares them.

use std::{fmt::Write as _, sync::LazyLock};

#[cfg(test)]
use crate::config::GATEWAY_KEYS;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// What it does, its unit, default and bounds.
    pub text: String,
    /// Whether it holds other settings.
    pub section: bool,
}

static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let mut settings = Vec::new();
    let server = Source::new(include_str!("config.rs"));
    let gateway = Source::new(anywire_gateway::CONFIG_SOURCE);
    server.add("ServerConfig", "", &mut settings);
    gateway.add("GatewayConfig", "", &mut settings);
    settings.push(Setting { key: "jobs".into(), text: "The jobs application.".into(), section: true });
    Source::new(anywire_jobs::CONFIG_SOURCE).add("JobsConfig", "jobs.", &mut settings);
    settings.push(Setting { key: "monitor".into(), text: "The monitor application.".into(), section: true });
    Source::new(anywire_monitor::CONFIG_SOURCE).add("MonitorConfig", "monitor.", &mut settings);
    settings.push(Setting {
        key: "pipeline".into(),
        text: "The pipeline application.".into(),
        section: true,
    });
    Source::new(anywire_pipeline::CONFIG_SOURCE).add("PipelineConfig", "pipeline.", &mut settings);
    let text = "Publications that Socket.IO's emitters in other processes put into Redis.".into();
    settings.push(Setting { key: "socketio.redis".into(), text, section: true });
    Source::new(anywire_redis_emitter::CONFIG_SOURCE).add("RedisConfig", "socketio.redis.", &mut settings);
    settings
});

/// All settings, in the order of their declaration.
#[must_use]
pub fn settings() -> &'static [Setting] {
    &SETTINGS
}

/// What stands in the reference for a name that somebody chose.
const ANY_NAME: &str = "NAME";

/// Whether a key holds other settings.
pub(crate) fn is_section(key: &str) -> bool {
    let within = |setting: &Setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    settings().iter().any(|setting| setting.section && (is_named(&setting.key, key) || within(setting)))
}

/// Whether a key is a setting with a value.
pub(crate) fn is_key(key: &str) -> bool {
    settings().iter().any(|setting| !setting.section && is_named(&setting.key, key))
}

/// Whether a key is the one of the reference, any name standing for [`ANY_NAME`].
fn is_named(known: &str, key: &str) -> bool {
    let (mut known, mut key) = (known.split('.'), key.split('.'));
    loop {
        match (known.next(), key.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other || one == ANY_NAME => {}
            _ => return false,
        }
    }
}

/// The known key that is most like an unknown one, if any is.
pub(crate) fn nearest(key: &str) -> Option<&'static str> {
    let likeness = |setting: &&Setting| (strsim::jaro_winkler(&setting.key, key) * 1000.0) as u32;
    let best = settings().iter().max_by_key(likeness)?;
    (likeness(&best) > 700).then_some(best.key.as_str())
}

/// The reference as a Markdown page.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Configuration\n\nMade by `anywire config --reference`; a test fails when it is stale.\n\n\
         Settings come from a TOML file (`--config FILE`), from environment variables (`ANYWIRE_LIMITS__CHANNELS_MAX=64`: upper case, `__` for a\n\
         dot) and from flags (`--listen`, `--data`, `--lab`, `--set limits.channels_max=64`). Flags win over the environment, the environment over\n\
         the file. An unknown key stops the start.\n\n| setting | meaning |\n|---|---|\n",
    );
    for setting in settings() {
        let name =
            if setting.section { format!("**`[{}]`**", setting.key) } else { format!("`{}`", setting.key) };
        // Writing to a String cannot fail.
        let _ok = writeln!(page, "| {name} | {} |", setting.text.replace('|', "\\|"));
    }
    page
}

/// Source text with settings structs in it.
struct Source<'a> {
    lines: Vec<&'a str>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Self {
        Self { lines: text.lines().collect() }
    }

    /// Adds the fields of a struct, and of the structs in them.
    fn add(&self, name: &str, prefix: &str, settings: &mut Vec<Setting>) {
        let head = format!("pub struct {name} {{");
        let Some(start) = self.lines.iter().position(|line| line.trim_end() == head) else { return };
        let mut text = String::new();
        for line in self.lines[start + 1..].iter().take_while(|line| **line != "}") {
            let line = line.trim();
            if let Some(comment) = line.strip_prefix("///") {
                text.push_str(comment);
                continue;
            }
            let field =
                line.strip_prefix("pub ").and_then(|field| field.trim_end_matches(',').split_once(": "));
            let Some((field, kind)) = field else { continue };
            let by_name = kind.strip_prefix("BTreeMap<String, ");
            let inner = by_name.unwrap_or(kind).trim_start_matches("Vec<").trim_start_matches("Option<");
            let inner = inner.trim_end_matches('>');
            let section = inner.ends_with("Section") || inner.ends_with("Config");
            let mut key = format!("{prefix}{field}");
            let meaning = std::mem::take(&mut text).trim().to_owned();
            settings.push(Setting { key: key.clone(), text: meaning, section });
            if section && by_name.is_some() {
                key = format!("{key}.{ANY_NAME}");
                settings.push(Setting {
                    key: key.clone(),
                    text: "One of them, by its name.".into(),
                    section,
                });
            }
            if section {
                self.add(inner, &format!("{key}."), settings);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_explained() {
        assert!(settings().len() > 30, "{}", settings().len());
        for setting in settings() {
            assert!(setting.text.len() > 15, "{} has no explanation", setting.key);
            assert!(
                setting.section || setting.text.contains("Default") || setting.key == "retention.pattern",
                "{}",
                setting.key
            );
        }
        for key in GATEWAY_KEYS {
            assert!(is_section(key) || is_key(key), "{key}");
        }
    }

    #[test]
    fn the_reference_page_is_up_to_date() {
        let page = include_str!("../../../docs/configuration.md");
        assert_eq!(
            page,
            markdown(),
            "run: cargo run -p anywire -- config --reference > docs/configuration.md"
        );
    }
}
