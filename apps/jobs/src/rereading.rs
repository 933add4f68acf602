//! A report made anew, at once, in a reading of the file that somebody chose. Nothing of it is kept: the job
//! keeps the report that it made.
//!
//! Invariant: at most `reports_running_max` are made at a time, beside those of jobs; more are refused, none
//! waits.

use std::sync::Arc;

use anywire_app::http::{ApiError, invalid};
use anywire_codes::Code;
use anywire_csv_report::{self as report, Limits, Reading, StepError, Ticker};

use crate::{
    api::errors::file_error,
    domain::{Job, Upload},
    integrity::Sums,
    service::JobService,
};

/// Makes the page. Whoever stops waiting for it stops the work.
pub(crate) async fn page(
    service: &JobService,
    job: &Job,
    upload: &Upload,
    reading: Reading,
) -> Result<Vec<u8>, ApiError> {
    let permit = Arc::clone(&service.rereadings).try_acquire_owned().map_err(|_| {
        let max = service.config.reports_running_max;
        let message = format!("{max} reports are being made anew, jobs.reports_running_max; ask again");
        ApiError::new(Code::Busy, message)
    })?;
    let work = Work {
        path: service.files.data(upload.id),
        limits: Limits {
            columns_max: service.config.report_columns_max,
            row_bytes_max: service.config.report_row_bytes_max,
        },
        title: upload.filename.clone(),
        size_bytes: upload.size_bytes,
        sha256: Sums::of(job).sha256,
        made_at: anywire_app::time::iso(service.now()),
        reading,
    };
    let stop = StopWhenDropped(Arc::new(Ticker::default()));
    let ticker = Arc::clone(&stop.0);
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work.page(&ticker)
    });
    let page = tokio::select! {
        done = done => done.unwrap_or(Err(StepError::Stopped)),
        () = service.context.shutdown.cancelled() => Err(StepError::Stopped),
    };
    page.map(String::into_bytes).map_err(refusal)
}

/// Tells the work to stop when nobody waits for it any more.
struct StopWhenDropped(Arc<Ticker>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct Work {
    path: std::path::PathBuf,
    limits: Limits,
    title: String,
    size_bytes: u64,
    /// Known when the job has made its own report.
    sha256: Option<String>,
    made_at: String,
    reading: Reading,
}

impl Work {
    fn page(self, ticker: &Ticker) -> Result<String, StepError> {
        let sha256 = match self.sha256 {
            Some(known) => known,
            None => report::checksum(&self.path, ticker)?,
        };
        let dialect = report::detect(&self.path, &self.reading, ticker)?;
        let source = report::Source::new(self.path, dialect, self.limits.row_bytes_max);
        let shape = report::parse(&source, self.limits, ticker)?;
        let kinds = report::validate(&source, &shape, ticker)?;
        let statistics = report::statistics(&source, &shape, kinds, ticker)?;
        let (statistics, charts) = report::charts(statistics, shape.rows, ticker)?;
        let facts = report::Facts {
            title: self.title,
            size_bytes: self.size_bytes,
            sha256,
            made_at: self.made_at,
            dialect: source.dialect.clone(),
        };
        Ok(report::page(&facts, &shape, &statistics, &charts))
    }
}

fn refusal(error: StepError) -> ApiError {
    match error {
        StepError::Stopped => ApiError::new(Code::ShuttingDown, "the server stops; ask again"),
        StepError::Io(error) => file_error("reading the upload", &error),
        StepError::File(_) | StepError::Place { .. } => invalid(format!("no report can be made so: {error}")),
    }
}
