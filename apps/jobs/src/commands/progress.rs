//! The progress of a command: gathered, and published in bundles.
//!
//! Invariants:
//! - Between two bundles at most [`PENDING_MAX`] steps, [`WINDOW_LINES`] lines to publish and
//!   [`JOURNAL_LINES`] for the journal are held.
//! - Lines that are left out are counted, and the count is published.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anywire_log::Timestamp;
use tokio::time::Instant;

use super::{files::ARTEFACTS_MAX, journal::Journal};
use crate::{
    decisions::StepCommand,
    domain::{Artefact, Job, Line, Pipe, is_artefact_name},
    events::log_lines,
    service::{ChangeError, JobService},
};

/// A new step is published this soon after the last bundle.
const STEP_EVERY: Duration = Duration::from_millis(50);
/// How many lines one bundle shows; those before them are left out and counted.
const WINDOW_LINES: usize = 200;
/// How many bytes of text one bundle shows.
const WINDOW_BYTES: usize = 64 << 10;
/// How many lines wait for the journal.
const JOURNAL_LINES: usize = 1000;
/// How many steps wait for their bundle; of more in so short a time those in between are passed over.
const PENDING_MAX: usize = 32;
/// How much metadata one run may leave, in bytes of JSON; what would be more is left out.
const METADATA_BYTES_MAX: usize = 16 << 10;

/// Gathers the progress of one run and publishes it.
pub(crate) struct ProgressReporter<'a> {
    service: &'a Arc<JobService>,
    job: &'a Job,
    journal: Option<Journal>,
    /// Lines for the journal, and of these the ones that are shown.
    unwritten: Vec<Line>,
    shown: VecDeque<Line>,
    shown_bytes: usize,
    cut: u64,
    /// Steps in their order; the last one gathers what changes.
    pending: VecDeque<StepCommand>,
    /// The step that was published last.
    step: StepName,
    flushed: Instant,
    due: Option<Instant>,
}

impl<'a> ProgressReporter<'a> {
    pub(crate) fn new(service: &'a Arc<JobService>, job: &'a Job, journal: Journal) -> Self {
        let long_ago = Instant::now() - Duration::from_secs(1);
        Self {
            service,
            job,
            journal: Some(journal),
            unwritten: Vec::new(),
            shown: VecDeque::new(),
            shown_bytes: 0,
            cut: 0,
            pending: VecDeque::new(),
            step: StepName::default(),
            flushed: long_ago,
            due: None,
        }
    }

    /// When the next bundle is due; none while there is nothing to publish.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn is_due(&mut self, step: bool) {
        let interval = Duration::from_millis(self.service.config.progress_interval_ms);
        let at = due_after(self.flushed, step, interval);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// A step begins.
    pub(crate) fn step(&mut self, name: &str) {
        self.report(StepCommand { name: name.to_owned(), ..StepCommand::default() });
    }

    /// A step begins (if it has a name, and a new one) or the current one changes.
    pub(crate) fn report(&mut self, mut command: StepCommand) {
        let current = self.pending.back().map_or_else(|| self.step.clone(), StepName::of);
        let is_step = current.is_left_by(&command);
        if !is_step {
            (command.name, command.number) = (current.name, current.number);
            let nothing =
                StepCommand { name: command.name.clone(), number: command.number, ..StepCommand::default() };
            if command == nothing {
                return;
            }
        }
        let full = self.pending.len() >= PENDING_MAX;
        match self.pending.back_mut().filter(|_| full || !is_step) {
            Some(last) => merge(last, command),
            None => self.pending.push_back(command),
        }
        self.is_due(is_step);
    }

    /// A file that the command says is ready; nothing when it is none that can be downloaded.
    pub(crate) async fn artefact(&self, name: &str) -> Option<Artefact> {
        if !is_artefact_name(name) {
            tracing::debug!(session_id = %self.job.id, name, "a command named a file that cannot be downloaded");
            return None;
        }
        let path = self.service.run_files.files(self.job).join(name);
        let file = tokio::fs::symlink_metadata(path).await.ok().filter(std::fs::Metadata::is_file)?;
        Some(Artefact { name: name.to_owned(), size_bytes: file.len(), sha256: None })
    }

    /// These files are ready.
    pub(crate) fn artefacts(&mut self, artefacts: Vec<Artefact>) {
        if !artefacts.is_empty() {
            self.report(StepCommand { artefacts, ..StepCommand::default() });
        }
    }

    /// A line of the log.
    pub(crate) async fn line(&mut self, pipe: Pipe, text: String, at: Timestamp) {
        let Some(number) = self.journal.as_mut().map(Journal::number) else { return };
        let line = Line { number, at, pipe, text };
        self.unwritten.push(line.clone());
        self.shown_bytes += line.text.len();
        self.shown.push_back(line);
        while self.shown.len() > WINDOW_LINES || self.shown_bytes > WINDOW_BYTES {
            self.shown_bytes -= self.shown.pop_front().map_or(0, |line| line.text.len());
            self.cut += 1;
        }
        if self.unwritten.len() >= JOURNAL_LINES {
            self.write().await;
        }
        self.is_due(false);
    }

    /// Publishes everything there is.
    pub(crate) async fn flush(&mut self) -> Result<(), ChangeError> {
        self.due = None;
        self.flushed = Instant::now();
        self.write().await;
        if !self.shown.is_empty() {
            let (lines, cut) = (Vec::from(std::mem::take(&mut self.shown)), std::mem::take(&mut self.cut));
            self.shown_bytes = 0;
            self.service.context.log.append(log_lines(self.job, &lines, cut)).await?;
        }
        while let Some(command) = self.pending.pop_front() {
            self.step = StepName::of(&command);
            // What begins a step brings no files; they come right after.
            let files = StepCommand {
                name: command.name.clone(),
                number: command.number,
                artefacts: command.artefacts.clone(),
                ..StepCommand::default()
            };
            self.change(command).await?;
            if !files.artefacts.is_empty() {
                self.change(files).await?;
            }
        }
        Ok(())
    }

    async fn change(&self, command: StepCommand) -> Result<(), ChangeError> {
        let attempt = self.job.attempt;
        let decide = move |job: &Job| job.decide_own_step(attempt, with_room(command.clone(), job));
        self.service.change(&self.job.id, None, decide).await.map(|_| ())
    }

    /// A disk that takes no line is no reason to end the command: the lines are lost to the journal, and that
    /// is said once.
    async fn write(&mut self) {
        let Some(mut journal) = self.journal.take() else { return };
        let lines = std::mem::take(&mut self.unwritten);
        let written = tokio::task::spawn_blocking(move || {
            let done = journal.write(&lines);
            (journal, done)
        });
        match written.await {
            Ok((journal, Ok(()))) => self.journal = Some(journal),
            Ok((_, Err(error))) => {
                tracing::error!(session_id = %self.job.id, %error, "the log of a command cannot be written and ends here");
            }
            Err(error) => tracing::error!(session_id = %self.job.id, %error, "the log of a command broke"),
        }
    }
}

/// Which step it is.
#[derive(Debug, Clone, Default)]
struct StepName {
    name: String,
    number: Option<u32>,
}

impl StepName {
    fn of(command: &StepCommand) -> Self {
        Self { name: command.name.clone(), number: command.number }
    }

    /// Whether another step begins by that: one without a name belongs to this.
    fn is_left_by(&self, command: &StepCommand) -> bool {
        let another = command.number.is_some() && command.number != self.number;
        !command.name.is_empty() && (command.name != self.name || another)
    }
}

/// What is said later counts.
fn merge(last: &mut StepCommand, command: StepCommand) {
    (last.name, last.number) = (command.name, command.number);
    last.message = command.message.or(last.message.take());
    last.percent = command.percent.or(last.percent);
    last.total_steps = command.total_steps.or(last.total_steps);
    last.metadata.extend(command.metadata);
    for file in command.artefacts {
        last.artefacts.retain(|known| known.name != file.name);
        last.artefacts.push(file);
    }
}

/// No more files and metadata than allowed; files that are known already may change.
fn with_room(mut command: StepCommand, job: &Job) -> StepCommand {
    let mut room = ARTEFACTS_MAX.saturating_sub(job.artefacts.len());
    if job.metadata.bytes() + command.metadata.bytes() > METADATA_BYTES_MAX {
        command.metadata.clear();
    }
    command.artefacts.retain(|file| {
        let known = job.artefacts.iter().any(|known| known.name == file.name);
        let fits = known || room > 0;
        room -= usize::from(fits && !known);
        fits
    });
    command
}

/// When the next bundle is due: soon for a step, in its time for everything else.
fn due_after(last: Instant, is_step: bool, interval: Duration) -> Instant {
    last + if is_step { STEP_EVERY.min(interval) } else { interval }
}
