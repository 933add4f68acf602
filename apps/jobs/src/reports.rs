//! From a complete file to its report: eight steps after `receive`, each on a thread for blocking work.
//!
//! ```text
//! checksum ▶ dialect ▶ parse ▶ validate ▶ statistics ▶ charts ▶ render ▶ publish
//! ```
//! While a step works, its share is read every `progress_interval_ms` and published if it moved. A step
//! checks between chunks whether it is to stop.
//!
//! Invariant: a step of an earlier attempt changes nothing: the service refuses it.

use std::{sync::Arc, time::Duration};

use anywire_csv_report::{self as report, Dialect, Faults, Limits, Reading, StepError, Ticker};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    decisions::StepCommand,
    domain::{Job, JobError, Json, Percent, REPORT_STEPS, Upload},
    service::{ChangeError, JobService, Outcome},
};

/// Where each step begins, in percent of the whole; `receive` is the first half. The shares are about the
/// time they take.
const BEGINS: [f64; 10] = [0.0, 50.0, 56.0, 60.0, 70.0, 80.0, 93.0, 96.0, 98.0, 100.0];

/// Makes the report of a job whose file is complete.
pub(crate) async fn run(service: &Arc<JobService>, job: &Job, stop: CancellationToken) {
    let Some(upload) = &job.upload else { return };
    let run = ReportRun { service, job, upload, stop };
    let began = service.now();
    let ended = match run.report().await {
        Ok(made) => run.complete(made, service.now().millis_since(began)).await,
        Err(Ended::Failed(error)) => run.fail(error).await,
        Err(Ended::Stopped) => run.stopped().await,
        Err(Ended::Change(error)) => Err(error),
    };
    match ended {
        // A job that was cancelled or retried meanwhile refuses what this attempt still says.
        Ok(_) | Err(ChangeError::Refused(_)) => {}
        Err(error) => {
            tracing::error!(session_id = %job.id, %error, "the end of a report could not be written down")
        }
    }
}

/// What came out of the steps.
struct Made {
    rows: u64,
    columns: usize,
    sha256: String,
    report_sha256: String,
    dialect: Dialect,
    faults: Value,
}

/// Why the steps ended early.
enum Ended {
    /// It was stopped.
    Stopped,
    /// The file, or the disk.
    Failed(JobError),
    /// The job does not want it any more, or the log does not take it.
    Change(ChangeError),
}

impl From<ChangeError> for Ended {
    fn from(error: ChangeError) -> Self {
        Self::Change(error)
    }
}

struct ReportRun<'a> {
    service: &'a Arc<JobService>,
    job: &'a Job,
    upload: &'a Upload,
    stop: CancellationToken,
}

impl ReportRun<'_> {
    async fn report(&self) -> Result<Made, Ended> {
        let config = &self.service.config;
        let limits =
            Limits { columns_max: config.report_columns_max, row_bytes_max: config.report_row_bytes_max };
        let path = self.service.files.data(self.upload.id);
        let draft = self.service.files.draft(self.upload.id);

        let file = path.clone();
        let sha256 = self.step(1, move |ticker| report::checksum(&file, ticker)).await?;
        let file = path.clone();
        let dialect = self.step(2, move |ticker| report::detect(&file, &Reading::default(), ticker)).await?;
        let source = report::Source::new(path, dialect, limits.row_bytes_max);
        let shape =
            self.step(3, with(&source, move |source, ticker| report::parse(source, limits, ticker))).await?;
        let shape = Arc::new(shape);
        let input = Arc::clone(&shape);
        let kinds = self
            .step(4, with(&source, move |source, ticker| report::validate(source, &input, ticker)))
            .await?;
        let input = Arc::clone(&shape);
        let statistics = self
            .step(5, with(&source, move |source, ticker| report::statistics(source, &input, kinds, ticker)))
            .await?;
        let (rows, columns, faults) = (shape.rows, shape.names.len(), faults(&shape.faults));
        let (statistics, charts) =
            self.step(6, move |ticker| report::charts(statistics, rows, ticker)).await?;
        let facts = report::Facts {
            title: self.upload.filename.clone(),
            size_bytes: self.upload.size_bytes,
            sha256: sha256.clone(),
            made_at: anywire_app::time::iso(self.service.now()),
            dialect: source.dialect.clone(),
        };
        self.step(7, move |_| report::render(&facts, &shape, &statistics, &charts, &draft)).await?;
        let report_sha256 = self.publish().await?;
        Ok(Made { rows, columns, sha256, report_sha256, dialect: source.dialect.clone(), faults })
    }

    /// Runs one step: publishes its beginning, then its share as it moves.
    async fn step<T: Send + 'static>(
        &self,
        index: usize,
        work: impl FnOnce(&Ticker) -> Result<T, StepError> + Send + 'static,
    ) -> Result<T, Ended> {
        self.report_step(index, 0.0).await?;
        let ticker = Arc::new(Ticker::default());
        let own = Arc::clone(&ticker);
        let mut work = tokio::task::spawn_blocking(move || work(&own));
        let every = Duration::from_millis(self.service.config.progress_interval_ms);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                () = self.stop.cancelled() => {
                    ticker.stop();
                    break work.await;
                }
                () = tokio::time::sleep(every) => {
                    if let Err(error) = self.report_step(index, ticker.part()).await {
                        // The job was cancelled: the thread is stopped too, and waited for.
                        ticker.stop();
                        let _stopped = work.await;
                        return Err(error);
                    }
                }
            }
        };
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(StepError::Stopped)) => Err(Ended::Stopped),
            Ok(Err(error)) => Err(Ended::Failed(job_error(index, &error))),
            Err(panic) => {
                tracing::error!(session_id = %self.job.id, step = REPORT_STEPS[index], %panic, "a step broke");
                let message = "the step broke by a bug of ours; see the server's log".to_owned();
                Err(Ended::Failed(JobError {
                    step: Some(REPORT_STEPS[index].to_owned()),
                    message,
                    line: None,
                    column: None,
                }))
            }
        }
    }

    /// The report becomes visible, whole or not at all.
    async fn publish(&self) -> Result<String, Ended> {
        let draft = self.service.files.draft(self.upload.id);
        let sha256 = self.step(8, move |ticker| report::checksum(&draft, ticker)).await?;
        let published = self.service.files.publish(self.upload.id).await;
        published.map_err(|error| Ended::Failed(job_error(8, &StepError::from(error))))?;
        Ok(sha256)
    }

    async fn report_step(&self, index: usize, part: f64) -> Result<(), Ended> {
        let at = |index: usize| Percent::new(BEGINS[index]).unwrap_or_default();
        let command = StepCommand {
            name: REPORT_STEPS[index].to_owned(),
            percent: Some(at(index).toward(at(index + 1), part)),
            ..StepCommand::default()
        };
        let attempt = self.job.attempt;
        self.service
            .change(&self.job.id, None, move |job| job.decide_own_step(attempt, command.clone()))
            .await?;
        Ok(())
    }

    async fn complete(&self, made: Made, duration_ms: u64) -> Result<Outcome, ChangeError> {
        let result = json!({
            "report_url": format!("/api/jobs/{}/report", self.job.id),
            "rows": made.rows,
            "columns": made.columns,
            "size_bytes": self.upload.size_bytes,
            "sha256": made.sha256,
            "report_sha256": made.report_sha256,
            "encoding": made.dialect.encoding(),
            "delimiter": made.dialect.delimiter(),
            "header_line": made.dialect.header_line(),
            "faults": made.faults,
            "duration_ms": duration_ms,
        });
        let result = Json::from(result);
        let attempt = self.job.attempt;
        self.service
            .change(&self.job.id, None, move |job| job.decide_own_complete(attempt, result.clone()))
            .await
    }

    async fn fail(&self, error: JobError) -> Result<Outcome, ChangeError> {
        let attempt = self.job.attempt;
        self.service.change(&self.job.id, None, move |job| job.decide_own_fail(attempt, error.clone())).await
    }

    /// Stopped by the server, the job is interrupted. Stopped by a request, it has its state already.
    async fn stopped(&self) -> Result<Outcome, ChangeError> {
        self.service.change(&self.job.id, None, |job| Ok(job.decide_interrupt())).await
    }
}

/// Gives a step its own hold on the source.
fn with<T>(
    source: &Arc<report::Source>,
    work: impl FnOnce(&report::Source, &Ticker) -> Result<T, StepError> + Send + 'static,
) -> impl FnOnce(&Ticker) -> Result<T, StepError> + Send + 'static {
    let source = Arc::clone(source);
    move |ticker| work(&source, ticker)
}

/// How many faults of each kind there are.
fn faults(faults: &Faults) -> Value {
    faults.iter().map(|(kind, found)| (kind.name().to_owned(), Value::from(found.count))).collect()
}

fn job_error(index: usize, error: &StepError) -> JobError {
    let (line, column) = error.place().unzip();
    JobError { step: Some(REPORT_STEPS[index].to_owned()), message: error.to_string(), line, column }
}
