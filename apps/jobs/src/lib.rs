//! Jobs: uploads and reports whose progress is never lost.
//!
//! A backend starts a job and reports its steps over HTTP, or somebody uploads a CSV file over tus and nine real steps turn it into a report.
//! Whoever looks reads the state and subscribes after its cursor: every change is one event on `progress_<id>`, and only a change is.
//!
//! ```text
//!  HTTP ──▶ api, tus ──▶ desk: lock the job, decide (domain), append one batch ──▶ log
//!                                                                                   │ committed
//!  pipeline ──────────────▲              board: all jobs, the projection ◀──────────┘
//!  (csv-report: dialect … render)               │
//!        ▲                                      └── schedule: what is queued, too old, too many
//!        └──────────────────────────────────────────────┘
//! ```
//!
//! Mounting: give [`channels`] to the log's retention rules, make [`Jobs`] with [`Jobs::start`], serve its routes, spawn its `run`. The CORS
//! layer around it should allow [`ALLOWED_HEADERS`] and expose [`EXPOSED_HEADERS`].
//!
//! Knows: jobs, uploads, CSV. Does not know: transports, engines, other applications.

mod api;
mod board;
mod command;
mod config;
mod desk;
mod domain;
mod events;
mod files;
mod locks;
mod metrics;
mod order;
mod pipeline;
mod request;
mod rules;
mod schedule;
mod stream;
mod telling;
mod time;
mod tus;
mod wire;

use std::sync::Arc;

use anywire_app::{AppContext, Application};
use anywire_log::{BoxFuture, ChannelPattern, ReadError, Retention, RetentionRule};

use desk::Desk;

pub use command::{Ended, Running, Start, Supervisor, read_lines, start};
pub use command::{Lines, Parser, PatternError, Told};
pub use config::{CommandSection, ConfigError, JobsConfig, ParserKind};
pub use desk::ChangeError;
pub use domain::{Job, JobError, JobId, JobIdError, Percent, REPORT_STEPS, STEPS_MAX, Status, Step, Upload};
pub use events::{JOBS_CHANNEL, PROGRESS_PREFIX, STATUS_CHANNEL};
pub use files::UploadId;
pub use order::{Artefact, Kind, Order, is_artefact_name};
pub use rules::Refusal;

/// The response headers a page of another origin must be able to read.
pub const EXPOSED_HEADERS: [&str; 12] = [
    "Location",
    "ETag",
    "Retry-After",
    "Anywire-Session",
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Checksum-Algorithm",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Expires",
];

/// The request headers a page of another origin must be able to send.
pub const ALLOWED_HEADERS: [&str; 9] = [
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Tus-Resumable",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Checksum",
    "X-HTTP-Method-Override",
];

/// The retention its channels need.
#[must_use]
pub fn channels() -> Vec<RetentionRule> {
    const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
    let rule = |pattern: &str, retention| RetentionRule { pattern: ChannelPattern::new(pattern), retention };
    let source = Retention {
        age_max_ms: 100 * YEAR_MS,
        events_max: 10_000_000,
        bytes_max: 8 << 30,
        ..Retention::default()
    };
    let progress = Retention { events_max: 20_000, bytes_max: 32 << 20, ..Retention::default() };
    let status = Retention { events_max: 10_000, bytes_max: 8 << 20, ..Retention::default() };
    vec![
        // The single source of truth: the application itself trims what snapshots contain.
        rule(JOBS_CHANNEL, source),
        rule(&format!("{PROGRESS_PREFIX}*"), progress),
        rule(STATUS_CHANNEL, status),
    ]
}

/// Why the application could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory for files cannot be used.
    #[error("the directory {path} for uploads cannot be used: {source}; check its owner and its disk")]
    Files {
        /// The directory.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The log could not be read.
    #[error("jobs cannot be read from the log: {0}")]
    Read(#[from] ReadError),
    /// What the last run left running could not be marked as interrupted.
    #[error("jobs cannot be written to the log: {0}")]
    Append(#[from] desk::ChangeError),
}

/// The application.
pub struct Jobs {
    desk: Arc<Desk>,
}

impl Jobs {
    /// Reads all jobs from the log and marks those that were running as interrupted.
    ///
    /// Cost: one read of channel `jobs`.
    ///
    /// # Errors
    /// [`StartError`] names the setting, the directory or the log that is in the way.
    pub async fn start(context: AppContext, config: JobsConfig) -> Result<Arc<Self>, StartError> {
        config.check()?;
        let desk = Desk::open(context, config).await?;
        schedule::after_restart(&desk).await?;
        Ok(Arc::new(Self { desk }))
    }
}

impl Application for Jobs {
    fn name(&self) -> &'static str {
        "jobs"
    }

    fn routes(&self) -> axum::Router {
        let desk = || Arc::clone(&self.desk);
        api::routes(desk())
            .merge(tus::routes(desk()))
            .merge(command::api::routes(desk()))
            .merge(stream::routes(desk()))
    }

    /// Makes reports and keeps the limits. When the server stops, work in progress is marked as interrupted before this
    /// ends: close the log after it.
    fn run(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(schedule::run(Arc::clone(&self.desk)))
    }

    fn metrics(&self) -> String {
        metrics::text(&self.desk)
    }
}

/// What the program does when it is not the server: it watches over one command (`supervise`), or makes a video (`make-video`).
#[must_use]
pub fn worker(arguments: Vec<std::ffi::OsString>) -> std::process::ExitCode {
    let mut arguments = arguments.into_iter();
    match arguments.next().as_ref().and_then(|name| name.to_str()) {
        Some("supervise") => command::supervise::supervise(arguments.collect()),
        Some("make-video") => anywire_video::make_video(arguments.collect()),
        _ => {
            eprintln!("this is for the server's own use: supervise …, make-video …");
            std::process::ExitCode::from(2)
        }
    }
}

/// The source of this crate's settings: the configuration reference is made from its comments.
pub const CONFIG_SOURCE: &str = include_str!("config.rs");
