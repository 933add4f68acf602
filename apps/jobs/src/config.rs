//! What can be set for jobs, with a default and a range for each.
//!
//! Knows: names, defaults, ranges. Does not know: who uses them.

use serde::Deserialize;

/// Limits of jobs, uploads and reports. Every limit is finite.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// The largest upload, in bytes. Default 1 GiB; 1 to 1 TiB.
    pub upload_bytes_max: u64,
    /// How many uploads may be unfinished at once. Default 64; 1 to 100 000.
    pub uploads_open_max: usize,
    /// An unfinished upload that got no byte for this long is removed, in milliseconds. Default 24 hours; 1 minute to 1 year.
    pub upload_expires_ms: u64,
    /// A request that carries an upload and brings no byte for this long is ended, in milliseconds; what came is kept. Default
    /// 60 000; 1 000 to 3 600 000.
    pub upload_idle_ms: u64,
    /// The least time between two updates of one job's progress, in milliseconds. Default 250; 50 to 60 000.
    pub progress_interval_ms: u64,
    /// How many reports are made at the same time; others are queued. Default 2; 1 to 64.
    pub reports_running_max: usize,
    /// How many jobs may be unfinished at once. Default 10 000; 1 to 1 000 000.
    pub jobs_open_max: usize,
    /// How many finished jobs are kept; past it the oldest are forgotten with their files. Default 1 000; 1 to 1 000 000.
    pub jobs_finished_max: usize,
    /// A running job that nobody moved for this long counts as interrupted, in milliseconds. Default 7 days; 1 minute to 1 year.
    pub job_idle_ms: u64,
    /// The most columns a CSV file may have for a report. Default 500; 1 to 5 000.
    pub report_columns_max: usize,
    /// The longest row of a CSV file, in bytes. Default 1 MiB; 1 KiB to 64 MiB.
    pub report_row_bytes_max: usize,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            upload_bytes_max: 1 << 30,
            uploads_open_max: 64,
            upload_expires_ms: 24 * HOUR_MS,
            upload_idle_ms: 60_000,
            progress_interval_ms: 250,
            reports_running_max: 2,
            jobs_open_max: 10_000,
            jobs_finished_max: 1000,
            job_idle_ms: 7 * 24 * HOUR_MS,
            report_columns_max: 500,
            report_row_bytes_max: 1 << 20,
        }
    }
}

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 365 * 24 * HOUR_MS;

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("jobs.{field} is {value}; set it between {min} and {max}")]
pub struct ConfigError {
    /// The setting.
    pub field: &'static str,
    /// What it was.
    pub value: u64,
    /// The least it may be.
    pub min: u64,
    /// The most it may be.
    pub max: u64,
}

impl JobsConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is outside its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        range("upload_bytes_max", self.upload_bytes_max, 1, 1 << 40)?;
        range("uploads_open_max", count(self.uploads_open_max), 1, 100_000)?;
        range("upload_expires_ms", self.upload_expires_ms, 60_000, YEAR_MS)?;
        range("upload_idle_ms", self.upload_idle_ms, 1000, HOUR_MS)?;
        range("progress_interval_ms", self.progress_interval_ms, 50, 60_000)?;
        range("reports_running_max", count(self.reports_running_max), 1, 64)?;
        range("jobs_open_max", count(self.jobs_open_max), 1, 1_000_000)?;
        range("jobs_finished_max", count(self.jobs_finished_max), 1, 1_000_000)?;
        range("job_idle_ms", self.job_idle_ms, 60_000, YEAR_MS)?;
        range("report_columns_max", count(self.report_columns_max), 1, 5000)?;
        range("report_row_bytes_max", count(self.report_row_bytes_max), 1024, 64 << 20)
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn range(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(ConfigError { field, value, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_inside_their_ranges() {
        assert_eq!(JobsConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_setting_outside_its_range_is_named_with_its_value() {
        let config = JobsConfig { reports_running_max: 0, ..JobsConfig::default() };
        let message = config.check().expect_err("0 is outside").to_string();
        assert_eq!(message, "jobs.reports_running_max is 0; set it between 1 and 64");
    }
}
