//! The reference of all settings, made from where they are declared.

use std::{fmt::Write as _, sync::LazyLock};

use anywire_gateway::GatewayConfig;
use anywire_jobs::JobsConfig;
use anywire_monitor::MonitorConfig;
use anywire_pipeline::PipelineConfig;
use anywire_redis_emitter::RedisConfig;
pub(crate) use anywire_settings::ANY_NAME;
pub use anywire_settings::Setting;
use anywire_settings::{Range, SettingValue};

use crate::sections::ServerConfig;

static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let mut settings = Vec::new();
    ServerConfig::add_settings("", &mut settings);
    GatewayConfig::add_settings("", &mut settings);
    add::<JobsConfig>("jobs", "The jobs application.", &mut settings);
    add::<MonitorConfig>("monitor", "The monitor application.", &mut settings);
    add::<PipelineConfig>("pipeline", "The pipeline application.", &mut settings);
    let emitters = "Publications that Socket.IO's emitters in other processes put into Redis.";
    add::<RedisConfig>("socketio.redis", emitters, &mut settings);
    settings
});

fn add<V: SettingValue>(key: &str, meaning: &str, settings: &mut Vec<Setting>) {
    settings.push(Setting::section(key, meaning));
    V::add_settings(key, settings);
}

/// All settings, in the order of their declaration.
#[must_use]
pub fn settings() -> &'static [Setting] {
    &SETTINGS
}

/// Whether a key holds other settings.
pub(crate) fn is_section(key: &str) -> bool {
    let within = |setting: &Setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    settings().iter().any(|setting| setting.section && (is_named(&setting.key, key) || within(setting)))
}

/// What a setting may be, where that is known.
pub(crate) fn range(key: &str) -> Option<&'static Range> {
    settings().iter().find(|setting| !setting.section && is_named(&setting.key, key))?.range.as_ref()
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
         the file. An unknown key or a number outside its range stops the start.\n\n| setting | default | range | meaning |\n|---|---|---|---|\n",
    );
    for setting in settings() {
        let name =
            if setting.section { format!("**`[{}]`**", setting.key) } else { format!("`{}`", setting.key) };
        let range = setting.range.as_ref().map(|range| range.written(&setting.key)).unwrap_or_default();
        let cells =
            [name.as_str(), &setting.default, &range, &setting.meaning].map(|cell| cell.replace('|', "\\|"));
        // Writing to a String cannot fail.
        let _ok = writeln!(page, "| {} |", cells.join(" | "));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_explained() {
        assert!(settings().len() > 30, "{}", settings().len());
        for setting in settings() {
            assert!(setting.meaning.len() > 15, "{} has no explanation", setting.key);
            assert!(setting.section || !setting.default.is_empty(), "{} has no default", setting.key);
        }
        for key in ["heartbeat_ms", "restart_window_ms", "shards", "auth", "limits", "socketio"] {
            assert!(is_section(key) || is_key(key), "{key}");
        }
    }

    #[test]
    fn the_reference_page_is_up_to_date() {
        let (page, made) = (include_str!("../../../docs/configuration.md"), markdown());
        let stale = page.lines().zip(made.lines()).find(|(old, new)| old != new);
        let way_out = "run: cargo run -p anywire -- config --reference > docs/configuration.md";
        assert!(page == made, "docs/configuration.md is stale, first at {stale:?}; {way_out}");
    }
}
