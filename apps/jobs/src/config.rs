//! What can be set for jobs, with a default and a range for each.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use crate::{
    commands::parser::{Parser, PatternError},
    domain::ParserKind,
};

/// Limits of jobs, uploads, reports, commands and streams. Every limit is finite.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// The largest upload, in bytes. Default 1 GiB; 1 to 1 TiB.
    pub upload_bytes_max: u64,
    /// How many uploads may be unfinished at once. Default 64; 1 to 100 000.
    pub uploads_open_max: usize,
    /// An unfinished upload that got no byte for this long is removed, in milliseconds. Default 24 hours; 1
    /// minute to 1 year.
    pub upload_expires_ms: u64,
    /// A request that carries an upload and brings no byte for this long is ended, in milliseconds; what came
    /// is kept. Default 60 000; 1 000 to 3 600 000.
    pub upload_idle_ms: u64,
    /// The least time between two updates of one job's progress, in milliseconds. Default 250; 50 to 60 000.
    pub progress_interval_ms: u64,
    /// How many reports are made at the same time; others are queued. Default 2; 1 to 64.
    pub reports_running_max: usize,
    /// How many jobs may be unfinished at once. Default 10 000; 1 to 1 000 000.
    pub jobs_open_max: usize,
    /// How many finished jobs are kept; past it the oldest are forgotten with their files. Default 1 000; 1
    /// to 1 000 000.
    pub jobs_finished_max: usize,
    /// A running job that nobody moved for this long counts as interrupted, in milliseconds. Default 7 days;
    /// 1 minute to 1 year.
    pub job_idle_ms: u64,
    /// The most columns a CSV file may have for a report. Default 500; 1 to 5 000.
    pub report_columns_max: usize,
    /// The longest row of a CSV file, in bytes. Default 1 MiB; 1 KiB to 64 MiB.
    pub report_row_bytes_max: usize,
    /// How many commands (videos too) run at the same time; others are queued. Default 2; 1 to 64.
    pub commands_running_max: usize,
    /// Whether a request may bring a command line of its own (`POST /api/commands` with `argv`). Default
    /// false: whoever may call the API could run anything here.
    pub commands_adhoc: bool,
    /// How long a command may take to end when it is cancelled, timed out or the server stops, before it is
    /// killed, in milliseconds. Default 3 000; 100 to 60 000. Keep it below `stop_ms`.
    pub command_stop_ms: u64,
    /// How much of one command's output is kept, in bytes; past it lines in the middle are cut. Default 4
    /// MiB; 64 KiB to 1 GiB.
    pub command_log_bytes_max: u64,
    /// How many bytes the files of one command may take; past it the job fails. Default 4 GiB; 1 MiB to 1
    /// TiB.
    pub command_files_bytes_max: u64,
    /// The program beside the server that watches over commands. Default none: this program itself. Needed
    /// only where Anywire is a library of another program.
    pub worker: Option<PathBuf>,
    /// When a stream of `/api/video-progress/` ends with `timeout`, in milliseconds; the client goes on from
    /// its cursor. Default 600 000; 1 000 to 86 400 000.
    pub stream_ms: u64,
    /// The pause after which such a stream says `heartbeat`, in milliseconds. Default 30 000; 100 to 300 000.
    pub stream_heartbeat_ms: u64,
    /// How long the events of a finished job are kept before they are cleaned up but for the last, in
    /// milliseconds. Default 1 hour; 0 to 1 year.
    pub events_kept_ms: u64,
    /// Commands that jobs can be made of, by name.
    pub commands: BTreeMap<String, CommandSection>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommandSection {
    /// The program and its arguments, never given to a shell. `{name}` in an argument is a parameter of the
    /// request. Default none: it must be given.
    pub argv: Vec<String>,
    /// What people call it. Default its name.
    pub title: Option<String>,
    /// How its output becomes progress: `lines` (`[3/9] name`, `42 %`), `json` (a JSON object a line),
    /// `ffmpeg` (`-progress pipe:1`) or `pattern`. Default `lines`.
    pub parser: ParserKind,
    /// A regular expression for `parser = "pattern"`, with groups named `step`, `percent`, `message`, or
    /// `done` and `total`. Default none.
    pub pattern: Option<String>,
    /// When it is ended and the job fails, in milliseconds. Default 1 hour; 1 000 to 604 800 000.
    pub timeout_ms: u64,
    /// Its working directory. Default one of its own, whose files can be downloaded; the path of that is in
    /// `ANYWIRE_FILES` either way.
    pub directory: Option<PathBuf>,
    /// The variables of the server's environment that it gets beside `PATH`, `HOME`, `USER`, `TZ` and
    /// `TMPDIR`. Default none.
    pub environment: Vec<String>,
    /// Variables that are set for it, such as `{ LANG = "vi_VN.UTF-8" }`. Default none.
    pub set: BTreeMap<String, String>,
}

impl Default for CommandSection {
    fn default() -> Self {
        Self {
            argv: Vec::new(),
            title: None,
            parser: ParserKind::Lines,
            pattern: None,
            timeout_ms: HOUR_MS,
            directory: None,
            environment: Vec::new(),
            set: BTreeMap::new(),
        }
    }
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
            commands_running_max: 2,
            commands_adhoc: false,
            command_stop_ms: 3000,
            command_log_bytes_max: 4 << 20,
            command_files_bytes_max: 4 << 30,
            worker: None,
            stream_ms: 600_000,
            stream_heartbeat_ms: 30_000,
            events_kept_ms: HOUR_MS,
            commands: BTreeMap::new(),
        }
    }
}

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 365 * 24 * HOUR_MS;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is outside its range.
    #[error("jobs.{field} is {value}; set it between {min} and {max}")]
    Range {
        /// The setting.
        field: String,
        /// What it was.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
    /// The name of a command cannot be part of an address.
    #[error("jobs.commands has a command named {name:?}; use 1 to 64 characters of a-z 0-9 - _")]
    Name {
        /// The name.
        name: String,
    },
    /// A command without a program.
    #[error(
        "jobs.commands.{name}.argv is empty; give the program and its arguments, such as [\"ffmpeg\", \"-i\", \"{{file}}\"]"
    )]
    NoProgram {
        /// Its name.
        name: String,
    },
    /// A command whose output cannot be read.
    #[error("jobs.commands.{name}: {error}")]
    Pattern {
        /// Its name.
        name: String,
        /// Why.
        error: PatternError,
    },
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
        range("report_row_bytes_max", count(self.report_row_bytes_max), 1024, 64 << 20)?;
        range("commands_running_max", count(self.commands_running_max), 1, 64)?;
        range("command_stop_ms", self.command_stop_ms, 100, 60_000)?;
        range("command_log_bytes_max", self.command_log_bytes_max, 64 << 10, 1 << 30)?;
        range("command_files_bytes_max", self.command_files_bytes_max, 1 << 20, 1 << 40)?;
        range("stream_ms", self.stream_ms, 1000, 24 * HOUR_MS)?;
        range("stream_heartbeat_ms", self.stream_heartbeat_ms, 100, 300_000)?;
        range("events_kept_ms", self.events_kept_ms, 0, YEAR_MS)?;
        self.commands.iter().try_for_each(|(name, command)| command.check(name))
    }
}

/// The longest a command may run.
pub(crate) const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1000..=7 * 24 * HOUR_MS;

impl CommandSection {
    fn check(&self, name: &str) -> Result<(), ConfigError> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
            return Err(ConfigError::Name { name: name.chars().take(64).collect() });
        }
        if self.argv.first().is_none_or(String::is_empty) {
            return Err(ConfigError::NoProgram { name: name.to_owned() });
        }
        Parser::new(self.parser, self.pattern.as_deref())
            .map_err(|error| ConfigError::Pattern { name: name.to_owned(), error })?;
        range(&format!("commands.{name}.timeout_ms"), self.timeout_ms, *TIMEOUT_MS.start(), *TIMEOUT_MS.end())
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn range(field: &str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::Range { field: field.to_owned(), value, min, max })
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

    #[test]
    fn a_command_that_cannot_run_stops_the_start_and_is_named() {
        let check = |name: &str, command: CommandSection, words: &str| {
            let config = JobsConfig {
                commands: BTreeMap::from([(name.to_owned(), command)]),
                ..JobsConfig::default()
            };
            let message = config.check().expect_err("refused").to_string();
            assert!(message.contains(words), "{message}");
        };
        let usable = CommandSection { argv: vec!["true".to_owned()], ..CommandSection::default() };
        check("a", CommandSection::default(), "jobs.commands.a.argv is empty");
        check("A b", usable.clone(), "named \"A b\"");
        check("a", CommandSection { timeout_ms: 1, ..usable.clone() }, "jobs.commands.a.timeout_ms is 1");
        check("a", CommandSection { parser: ParserKind::Pattern, ..usable }, "pattern is missing");
    }
}
