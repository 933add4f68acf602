//! One run of a command: from the queue to its end.
//!
//! What it writes is read as fast as it comes, and published in bundles: a step at once (but not more than
//! twenty times a second), everything else every `progress_interval_ms`. So a command that writes a million
//! lines costs its watchers four events a second.
//!
//! Invariants:
//! - When [`run`] returns, no process of the command is left.
//! - What is held between two bundles is bounded.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    child::{self, Ended, Start},
    journal::Journal,
    lines::read_lines,
    parser::ParsedLine,
    plan::{self, Plan},
    programs,
    progress::ProgressReporter,
    text::cut,
};
use crate::{
    decisions::{ONLY_STEP, StepCommand},
    disk::blocking,
    domain::{Job, JobError, Json, Percent, Pipe},
    service::{ChangeError, JobService},
};

/// How often the size of the files is looked at.
const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// How many lines wait between pipe and run.
const LINES_WAITING: usize = 256;
/// How long pipes may stay open after the command has ended: somebody out of reach may hold them.
const PIPES_MAX: Duration = Duration::from_secs(2);
/// How many of the last lines explain a failure.
const LAST_LINES: usize = 3;

/// Why a command was stopped.
enum Why {
    /// It was cancelled, or the server stops.
    Stopped,
    TimedOut,
    TooLarge(u64),
    /// The job does not want it any more, or the log does not take it.
    Refused(ChangeError),
}

/// Runs the command of a job.
pub(crate) async fn run(service: &Arc<JobService>, job: &Job, stop: CancellationToken) {
    let ended = match prepare(service, job).await {
        Ok((plan, journal)) => Run::new(service, job, plan, journal).work(stop).await,
        Err(message) => Err(message),
    };
    let attempt = job.attempt;
    let written = match ended {
        Ok(Some(result)) => {
            service.change(&job.id, None, move |job| job.decide_own_complete(attempt, result.clone())).await
        }
        // Stopped by the server, the job is interrupted. Stopped by a request, it has its state already.
        Ok(None) => service.change(&job.id, None, |job| Ok(job.decide_interrupt())).await,
        Err(message) => {
            let error = JobError { step: None, message, line: None, column: None };
            service.change(&job.id, None, move |job| job.decide_own_fail(attempt, error.clone())).await
        }
    };
    match written {
        // A job that was cancelled or retried meanwhile refuses what this attempt still says.
        Ok(_) | Err(ChangeError::Refused(_)) => {}
        Err(error) => {
            tracing::error!(session_id = %job.id, %error, "the end of a command could not be written down")
        }
    }
}

async fn prepare(service: &Arc<JobService>, job: &Job) -> Result<(Plan, Journal), String> {
    let files = |error: std::io::Error| {
        format!("the folder of the command could not be made: {error}; see the server's disk")
    };
    service.run_files.begin(job).await.map_err(files)?;
    let (log, bytes_max) = (service.run_files.log(job), service.config.command_log_bytes_max);
    let journal = blocking(move || Journal::open(log, bytes_max)).await.map_err(files)?;
    let spec = job.spec.as_ref().ok_or("the job has no command")?;
    let plan = plan::plan(&service.config, &service.supervisor, spec).map_err(|error| error.to_string())?;
    if let Some(directory) = plan.directory.as_ref().filter(|directory| !directory.is_dir()) {
        return Err(format!(
            "the working directory {} is not there; make it, or change the setting",
            directory.display()
        ));
    }
    Ok((plan, journal))
}

struct Run<'a> {
    service: &'a Arc<JobService>,
    job: &'a Job,
    plan: Plan,
    reporter: ProgressReporter<'a>,
    /// What the command said of its end.
    result: Option<Json>,
    error: Option<String>,
    /// The last lines, for the message if it fails.
    last: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(service: &'a Arc<JobService>, job: &'a Job, plan: Plan, journal: Journal) -> Self {
        let reporter = ProgressReporter::new(service, job, journal);
        Self { service, job, plan, reporter, result: None, error: None, last: Vec::new() }
    }

    /// The result; none when it was stopped; else what went wrong.
    async fn work(mut self, stop: CancellationToken) -> Result<Option<Json>, String> {
        let files = self.service.run_files.files(self.job);
        let mut environment = self.plan.environment.clone();
        environment.extend(plan::own_environment(self.job.id.as_str(), &files));
        let start = Start {
            argv: &self.plan.argv,
            environment: &environment,
            directory: self.plan.directory.as_deref().unwrap_or(&files),
            grace: Duration::from_millis(self.service.config.command_stop_ms),
        };
        let started = child::start(&self.service.supervisor, &start);
        let (running, stdout, stderr) =
            started.map_err(|error| format!("the command could not be started: {error}"))?;
        // A command need not name a step; that it runs shows at once.
        self.reporter.step(ONLY_STEP);
        let end = CancellationToken::new();
        let _whatever_happens = end.clone().drop_guard();
        let ended = tokio::spawn(running.ended(end.clone()));
        let (sender, lines) = mpsc::channel(LINES_WAITING);
        let readers = [read_lines(stdout, Pipe::Out, sender.clone()), read_lines(stderr, Pipe::Err, sender)];
        let (ended, why) = self.follow(lines, ended, &end, &stop).await;
        readers.iter().for_each(JoinHandle::abort);
        self.conclude(ended, why).await
    }

    /// Takes lines in until the command and everything it started has ended.
    async fn follow(
        &mut self,
        mut lines: mpsc::Receiver<(Pipe, String)>,
        mut ended: JoinHandle<Ended>,
        end: &CancellationToken,
        stop: &CancellationToken,
    ) -> (Ended, Option<Why>) {
        let timeout = Instant::now() + self.plan.timeout;
        let never = timeout + self.plan.timeout;
        let (mut over, mut pipes_end) = (None, never);
        let mut measure = tokio::time::interval(MEASURE_EVERY);
        let mut why = None;
        let mut talking = true;
        loop {
            if let Some(ended) = over.take_if(|_| !talking) {
                return (ended, why);
            }
            let due = self.reporter.due();
            let news = tokio::select! {
                line = lines.recv(), if talking => match line {
                    Some((pipe, line)) => { self.take(pipe, line).await; None }
                    None => { talking = false; None }
                },
                done = &mut ended, if over.is_none() => {
                    over = Some(done.unwrap_or_else(|error| Ended::Unusable(error.to_string())));
                    pipes_end = Instant::now() + PIPES_MAX;
                    None
                }
                () = tokio::time::sleep_until(pipes_end), if over.is_some() => { talking = false; None }
                () = tokio::time::sleep_until(due.unwrap_or(timeout)), if due.is_some() => {
                    self.reporter.flush().await.err().map(Why::Refused)
                }
                () = stop.cancelled(), if why.is_none() => Some(Why::Stopped),
                () = tokio::time::sleep_until(timeout), if why.is_none() && over.is_none() => Some(Why::TimedOut),
                _ = measure.tick(), if why.is_none() => self.too_large().await.map(Why::TooLarge),
            };
            if let Some(news) = news {
                end.cancel();
                why.get_or_insert(news);
            }
        }
    }

    async fn too_large(&self) -> Option<u64> {
        let (_, bytes) = self.service.run_files.scan(self.job).await.ok()?;
        Some(bytes).filter(|bytes| *bytes > self.service.config.command_files_bytes_max)
    }

    async fn take(&mut self, pipe: Pipe, text: String) {
        let told = self.plan.parser.read(&text);
        let ParsedLine { hidden, step, number, total_steps, percent, message, metadata, .. } = told;
        let ParsedLine { artefact, result, error, .. } = told;
        self.result = result.or(self.result.take());
        self.error = error.or(self.error.take());
        let artefacts = match artefact {
            Some(name) => self.reporter.artefact(&name).await.into_iter().collect(),
            None => Vec::new(),
        };
        let (name, percent) = (step.unwrap_or_default(), percent.and_then(Percent::new));
        let command = StepCommand { name, number, message, percent, metadata, total_steps, artefacts };
        self.reporter.report(command);
        if !hidden {
            if self.last.len() == LAST_LINES {
                self.last.remove(0);
            }
            self.last.push(cut(&text, 300));
            self.reporter.line(pipe, text, self.service.now()).await;
        }
    }

    async fn conclude(mut self, ended: Ended, why: Option<Why>) -> Result<Option<Json>, String> {
        // What was stopped or failed leaves what it left; only a result is worth reading again.
        let files = match why {
            None => self.service.run_files.ready(self.job).await,
            Some(_) => self.service.run_files.scan(self.job).await.map(|(files, _)| files),
        };
        match files {
            Ok(files) => self.reporter.artefacts(files),
            Err(error) => {
                tracing::warn!(session_id = %self.job.id, %error, "the files of a command cannot be listed")
            }
        }
        // The job may have ended meanwhile by somebody's command: its last lines still go to the journal.
        let told = self.reporter.flush().await;
        match why {
            Some(Why::Stopped) => return Ok(None),
            Some(Why::TimedOut) => return Err(self.timed_out()),
            Some(Why::TooLarge(bytes)) => return Err(self.too_many_bytes(bytes)),
            Some(Why::Refused(error)) => return Err(error.to_string()),
            None => told.map_err(|error| error.to_string())?,
        }
        let program =
            self.plan.argv.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
        match ended {
            Ended::Exited(0) if self.error.is_none() => Ok(Some(self.result.unwrap_or(Json::null()))),
            Ended::Missing => Err(programs::missing(&program)),
            Ended::Unusable(why) => Err(format!("{program} could not be run: {why}")),
            Ended::Exited(code) => Err(self.failure(&format!("{program} ended with status {code}"))),
            Ended::Signalled(signal) => Err(self.failure(&format!("{program} was ended by signal {signal}"))),
        }
    }

    /// What the command says of it is better than what we know.
    fn failure(&self, fact: &str) -> String {
        match (&self.error, self.last.is_empty()) {
            (Some(error), _) => error.clone(),
            (None, true) => fact.to_owned(),
            (None, false) => format!("{fact}: {}", self.last.join(" / ")),
        }
    }

    fn timed_out(&self) -> String {
        let seconds = self.plan.timeout.as_secs_f64();
        format!(
            "it took longer than {seconds} s and was ended; raise {}, or give it less to do",
            self.plan.timeout_setting
        )
    }

    fn too_many_bytes(&self, bytes: u64) -> String {
        let limit = self.service.config.command_files_bytes_max;
        format!(
            "its files take {bytes} bytes, the limit is {limit}; raise jobs.command_files_bytes_max, or let it write less"
        )
    }
}
