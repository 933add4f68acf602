//! What can be set for the monitor, with a default and a range for each.

use serde::Deserialize;

use crate::domain::{HostName, HostNameError};

/// Collecting, keeping and alerting. Every limit is finite.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// Whether this server samples its own machine and process. Default true; hosts can report to it either
    /// way.
    pub collect: bool,
    /// The time between two samples of this server, in milliseconds. Default 1 000; 250 to 60 000.
    pub interval_ms: u32,
    /// The name of this machine in the list of hosts, 1 to 64 characters of `A-Z a-z 0-9 . _ -`. Default: the
    /// name the system has.
    pub host: Option<String>,
    /// How many hosts may report, this one included. Default 64; 1 to 1 000.
    pub hosts_max: usize,
    /// How many figures of one host are kept in its history; figures of further cores and disks are live
    /// only. Default 160; 40 to 1 000.
    pub figures_max: usize,
    /// How long history is kept at full resolution, in milliseconds. Default 86 400 000, one day; 1 hour to
    /// 31 days.
    pub keep_samples_ms: u64,
    /// How long the minutes of history (least, mean, greatest) are kept, in milliseconds. Default 31 days; 1
    /// day to 5 years.
    pub keep_minutes_ms: u64,
    /// Where alerts are posted to as JSON, an `http` or `https` address. Default none.
    pub webhook_url: Option<String>,
    /// What goes with it as `Authorization: Bearer …`. Default none.
    pub webhook_token: Option<String>,
    /// How many alerts a minute are posted at most; further ones are dropped and said so in the log. Default
    /// 60; 1 to 1 000.
    pub webhook_per_minute_max: u32,
}

const DAY_MS: u64 = 24 * 3_600_000;

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            collect: true,
            interval_ms: 1000,
            host: None,
            hosts_max: 64,
            figures_max: 160,
            keep_samples_ms: DAY_MS,
            keep_minutes_ms: 31 * DAY_MS,
            webhook_url: None,
            webhook_token: None,
            webhook_per_minute_max: 60,
        }
    }
}

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number.
    #[error("monitor.{field} is {value}; set it between {min} and {max}")]
    Range {
        /// The setting.
        field: &'static str,
        /// What it was.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
    /// A name.
    #[error("monitor.host: {0}")]
    Host(#[from] HostNameError),
    /// An address.
    #[error("monitor.webhook_url is {url:?}; it must begin with http:// or https://")]
    Webhook {
        /// What it was.
        url: String,
    },
}

impl MonitorConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        range("interval_ms", u64::from(self.interval_ms), 250, 60_000)?;
        range("hosts_max", self.hosts_max as u64, 1, 1000)?;
        range("figures_max", self.figures_max as u64, 40, 1000)?;
        range("keep_samples_ms", self.keep_samples_ms, 3_600_000, 31 * DAY_MS)?;
        range("keep_minutes_ms", self.keep_minutes_ms, DAY_MS, 5 * 366 * DAY_MS)?;
        range("webhook_per_minute_max", u64::from(self.webhook_per_minute_max), 1, 1000)?;
        if let Some(name) = &self.host {
            HostName::new(name)?;
        }
        let fits = |url: &&String| !(url.starts_with("http://") || url.starts_with("https://"));
        match self.webhook_url.as_ref().filter(fits) {
            Some(url) => Err(ConfigError::Webhook { url: url.clone() }),
            None => Ok(()),
        }
    }
}

fn range(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(ConfigError::Range { field, value, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_inside_their_ranges() {
        assert_eq!(MonitorConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_setting_outside_its_range_is_named_with_its_value() {
        let config = MonitorConfig { interval_ms: 10, ..MonitorConfig::default() };
        let message = config.check().expect_err("too often").to_string();
        assert_eq!(message, "monitor.interval_ms is 10; set it between 250 and 60000");
        let config = MonitorConfig { webhook_url: Some("ftp://x".into()), ..MonitorConfig::default() };
        assert!(config.check().expect_err("no web").to_string().contains("\"ftp://x\""));
    }
}
