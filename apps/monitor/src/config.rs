//! What can be set for the monitor, with a default and a range for each.

use anywire_settings::{OutOfRange, SettingValue, settings};

use crate::domain::{HostName, HostNameError};

settings! {
    /// Collecting, keeping and alerting. Every limit is finite.
    #[derive(PartialEq)]
    pub struct MonitorConfig {
        /// Whether this server samples its own machine and process. Hosts can report to it either way.
        pub collect: bool = true;
        /// The time between two samples of this server.
        pub interval_ms: u32 = 1000, in 250..=60_000;
        /// The name of this machine in the list of hosts, 1 to 64 characters of `A-Z a-z 0-9 . _ -`. Without
        /// it: the name the system has.
        pub host: Option<String> = None;
        /// How many hosts may report, this one included.
        pub hosts_max: usize = 64, in 1..=1000;
        /// How many figures of one host are kept in its history; figures of further cores and disks are live
        /// only.
        pub figures_max: usize = 160, in 40..=1000;
        /// How long history is kept at full resolution.
        pub keep_samples_ms: u64 = DAY_MS, in 3_600_000..=31 * DAY_MS;
        /// How long the minutes of history (least, mean, greatest) are kept.
        pub keep_minutes_ms: u64 = 31 * DAY_MS, in DAY_MS..=5 * 366 * DAY_MS;
        /// Where alerts are posted to as JSON, an `http` or `https` address.
        pub webhook_url: Option<String> = None;
        /// What goes with it as `Authorization: Bearer …`.
        pub webhook_token: Option<String> = None;
        /// How many alerts a minute are posted at most; further ones are dropped and said so in the log.
        pub webhook_per_minute_max: u32 = 60, in 1..=1000;
    }
}

const DAY_MS: u64 = 24 * 3_600_000;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number outside its range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
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
    /// Checks every setting.
    ///
    /// # Errors
    /// [`ConfigError`] names the first that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_ranges("monitor")?;
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
