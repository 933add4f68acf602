//! Jobs: uploads and reports whose progress is never lost.
//!
//! A backend starts a job and reports its steps over HTTP, or somebody uploads a CSV file over tus and nine
//! real steps turn it into a report. A reader reads the state and subscribes after its cursor: every
//! change is one event on `progress_<id>`, and only a change is.
//!
//! ```text
//!  HTTP ──▶ api, uploads, commands ──▶ service: lock the job, decide, append one batch ──▶ log
//!                                         ▲                                                │ committed
//!  reports, commands: runner ─────────────┘      projection: all jobs as they stand ◀──────┘
//!        ▲                                           │
//!        └── schedule: starts and stops work ◀───────┘    retention: what is too old or too many goes
//! ```
//!
//! Mounting: give [`channels`] to the log's retention rules, make [`Jobs`] with [`Jobs::start`], serve its
//! routes, spawn its `run`. The CORS layer around it should allow [`ALLOWED_HEADERS`] and expose
//! [`EXPOSED_HEADERS`].

mod api;
mod commands;
mod config;
mod decisions;
mod description;
mod disk;
mod domain;
mod events;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod integrity;
mod leases;
mod metrics;
mod projection;
mod reports;
mod rereading;
mod retention;
mod schedule;
mod service;
mod stream;
mod uploads;
mod work;

use std::sync::Arc;

use anywire_app::{AppContext, Application, Owned};
use anywire_log::{BoxFuture, ChannelPattern, Retention, RetentionRule};

use service::JobService;

pub use commands::cut;
pub use commands::{
    Ended, Lines, ParsedLine, Parser, PatternError, Running, Start, Streams, Supervisor, start_with,
};
pub use config::{CommandSection, ConfigError, JobsConfig};
pub use decisions::Refusal;
pub use description::operations as description;
pub use domain::{
    Artefact, CommandSpec, Job, JobError, JobId, JobIdError, Json, Kind, Metadata, ParserKind, Percent,
    REPORT_STEPS, STEPS_MAX, Status, Step, Upload, UploadId, is_artefact_name,
};
pub use events::{JOBS_CHANNEL, PROGRESS_PREFIX, STATUS_CHANNEL};
pub use service::{ChangeError, StartError};

/// The response headers a page of another origin must be able to read.
pub const EXPOSED_HEADERS: [&str; 13] = [
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
    "Upload-Concat",
];

/// The request headers a page of another origin must be able to send.
pub const ALLOWED_HEADERS: [&str; 10] = [
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Tus-Resumable",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Checksum",
    "Upload-Concat",
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

/// The application.
pub struct Jobs {
    service: Arc<JobService>,
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
        let service = JobService::open(context, config).await?;
        retention::after_restart(&service).await?;
        Ok(Arc::new(Self { service }))
    }
}

impl Application for Jobs {
    fn name(&self) -> &'static str {
        "jobs"
    }

    fn owns(&self) -> Vec<Owned> {
        let progress = format!("{PROGRESS_PREFIX}*");
        vec![Owned::state(JOBS_CHANNEL), Owned::shown(&progress), Owned::shown(STATUS_CHANNEL)]
    }

    fn routes(&self) -> axum::Router {
        let service = || Arc::clone(&self.service);
        api::routes(service())
            .merge(uploads::api::routes(service()))
            .merge(commands::api::routes(service()))
            .merge(stream::routes(service()))
    }

    /// Makes reports and keeps the limits. When the server stops, work in progress is marked as interrupted
    /// before this ends: close the log after it.
    fn run(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(schedule::run(Arc::clone(&self.service)))
    }

    fn metrics(&self) -> Vec<anywire_app::Metric> {
        metrics::of(&self.service)
    }
}

/// What the program does when it is not the server: it watches over one command (`supervise`), or makes a
/// video (`make-video`).
#[must_use]
pub fn worker(arguments: Vec<std::ffi::OsString>) -> std::process::ExitCode {
    let mut arguments = arguments.into_iter();
    match arguments.next().as_ref().and_then(|name| name.to_str()) {
        Some("supervise") => commands::supervise::supervise(arguments.collect()),
        Some("make-video") => anywire_video::make_video(arguments.collect()),
        _ => {
            eprintln!("this is for the server's own use: supervise …, make-video …");
            std::process::ExitCode::from(2)
        }
    }
}
