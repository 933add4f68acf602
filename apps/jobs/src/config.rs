//! What can be set for jobs, with a default and a range for each.

use std::{collections::BTreeMap, path::PathBuf};

use anywire_settings::{OutOfRange, SettingValue, quoted, settings};

use crate::{
    commands::parser::{Parser, PatternError},
    domain::ParserKind,
};

settings! {
    /// Limits of jobs, uploads, reports, commands and streams. Every limit is finite.
    #[derive(PartialEq, Eq)]
    pub struct JobsConfig {
        /// The largest upload.
        pub upload_bytes_max: u64 = 1 << 30, in 1..=1 << 40;
        /// How many uploads may be unfinished at once.
        pub uploads_open_max: usize = 64, in 1..=100_000;
        /// How many bytes of the disk are kept for the log: an upload is refused that does not fit beside
        /// them, and stopped when less than half of them is free.
        pub disk_reserve_bytes: u64 = 256 << 20, in 0..=1 << 40;
        /// An unfinished upload that got no byte for this long is removed.
        pub upload_expires_ms: u64 = 24 * HOUR_MS, in 60_000..=YEAR_MS;
        /// A request that carries an upload and brings no byte for this long is ended; what came is kept.
        pub upload_idle_ms: u64 = 60_000, in 1000..=HOUR_MS;
        /// The least time between two updates of one job's progress.
        pub progress_interval_ms: u64 = 250, in 50..=60_000;
        /// How many reports are made at the same time; others are queued.
        pub reports_running_max: usize = 2, in 1..=64;
        /// How many jobs may be unfinished at once.
        pub jobs_open_max: usize = 10_000, in 1..=1_000_000;
        /// How many finished jobs are kept; past it the oldest are forgotten with their files.
        pub jobs_finished_max: usize = 1000, in 1..=1_000_000;
        /// How much all jobs may take in memory, with their steps, metadata and results: finished ones are
        /// forgotten before more is taken, the oldest first, and then nothing that makes a job larger is
        /// taken, but for its end.
        pub memory_bytes_max: u64 = 256 << 20, in 1 << 20..=1 << 40;
        /// A running job that nobody moved for this long counts as interrupted.
        pub job_idle_ms: u64 = 7 * 24 * HOUR_MS, in 60_000..=YEAR_MS;
        /// The most columns a CSV file may have for a report.
        pub report_columns_max: usize = 500, in 1..=5000;
        /// The longest row of a CSV file.
        pub report_row_bytes_max: usize = 1 << 20, in 1024..=64 << 20;
        /// How many commands (videos too) run at the same time; others are queued.
        pub commands_running_max: usize = 2, in 1..=64;
        /// Whether a request may bring a command line of its own (`POST /api/commands` with `argv`). With
        /// it, whoever may call the API can run anything here.
        pub commands_adhoc: bool = false;
        /// How long a command may take to end when it is cancelled, timed out or the server stops, before it
        /// is killed. Keep it below `stop_ms`.
        pub command_stop_ms: u64 = 3000, in 100..=60_000;
        /// How much of one command's output is kept; past it lines in the middle are cut.
        pub command_log_bytes_max: u64 = 4 << 20, in 64 << 10..=1 << 30;
        /// How many bytes the files of one command may take; past it the job fails.
        pub command_files_bytes_max: u64 = 4 << 30, in 1 << 20..=1 << 40;
        /// The program beside the server that watches over commands. Without it: this program itself. Needed
        /// only where Anywire is a library of another program.
        pub worker: Option<PathBuf> = None;
        /// When a stream of `/api/video-progress/` ends with `timeout`; the client goes on from its cursor.
        pub stream_ms: u64 = 600_000, in 1000..=24 * HOUR_MS;
        /// The pause after which such a stream says `heartbeat`.
        pub stream_heartbeat_ms: u64 = 30_000, in 100..=300_000;
        /// How long the events of a finished job are kept before they are cleaned up but for the last.
        pub events_kept_ms: u64 = HOUR_MS, in 0..=YEAR_MS;
        /// Commands that jobs can be made of, by name.
        pub commands: BTreeMap<String, CommandSection> = BTreeMap::new();
    }
}

settings! {
    /// One command.
    #[derive(PartialEq, Eq)]
    pub struct CommandSection {
        /// The program and its arguments, never given to a shell. `{name}` in an argument is a parameter of
        /// the request. It must be given.
        pub argv: Vec<String> = Vec::new();
        /// What people call it. Without it: its name.
        pub title: Option<String> = None;
        /// How its output becomes progress: `lines` (`[3/9] name`, `42 %`), `json` (a JSON object a line),
        /// `ffmpeg` (`-progress pipe:1`) or `pattern`.
        pub parser: ParserKind = ParserKind::Lines;
        /// A regular expression for `parser = "pattern"`, with groups named `step`, `percent`, `message`, or
        /// `done` and `total`.
        pub pattern: Option<String> = None;
        /// When it is ended and the job fails.
        pub timeout_ms: u64 = HOUR_MS, in TIMEOUT_MS;
        /// Its working directory. Without it: one of its own, whose files can be downloaded; the path of that
        /// is in `ANYWIRE_FILES` either way.
        pub directory: Option<PathBuf> = None;
        /// The variables of the server's environment that it gets beside `PATH`, `HOME`, `USER`, `TZ` and
        /// `TMPDIR`.
        pub environment: Vec<String> = Vec::new();
        /// Variables that are set for it, such as `{ LANG = "vi_VN.UTF-8" }`.
        pub set: BTreeMap<String, String> = BTreeMap::new();
    }
}

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 365 * 24 * HOUR_MS;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is outside its range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
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
    /// Checks every setting.
    ///
    /// # Errors
    /// [`ConfigError`] names the first that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_ranges("jobs")?;
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
        let parser = Parser::new(self.parser, self.pattern.as_deref());
        parser.map(drop).map_err(|error| ConfigError::Pattern { name: name.to_owned(), error })
    }
}

impl SettingValue for ParserKind {
    fn default_text(&self, _key: &str) -> String {
        quoted(match self {
            Self::Lines => "lines",
            Self::Json => "json",
            Self::Ffmpeg => "ffmpeg",
            Self::Pattern => "pattern",
        })
    }
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
