//! Where every change of a job is decided, and what the parts of the application share.
//!
//! Invariants:
//! - A change is one batch: when its append fails, nothing changed.
//! - A change is appended only if nobody else wrote to the channel of its job since the state was read; else
//!   it is decided again. So several servers may decide at once.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
};

use anywire_app::{
    AppContext, CallKey, DecideError, Decision, KeyReused, Projected, Service, Snapshot, SnapshotError,
    Sources,
};
use anywire_log::{AppendError, Offset, ReadError, Timestamp};
use bytes::Bytes;
use parking_lot::MappedRwLockReadGuard;
use tokio::sync::{Notify, OwnedMutexGuard, Semaphore};

use crate::{
    commands::{child::Supervisor, files::Runs},
    config::{ConfigError, JobsConfig},
    decisions::Refusal,
    domain::{Job, JobId},
    events::{Change, Record, progress_channel, publications, update},
    integrity::Integrity,
    leases::Leases,
    projection::{Entry, PastCall, ReadModel},
    uploads::{files::Files, partials::Partials, writers::Writers},
    work::WorkInProgress,
};

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
    Append(#[from] ChangeError),
}

/// Everything the parts of the application share.
pub(crate) struct JobService {
    /// What the application was given.
    pub(crate) context: AppContext,
    /// What was set.
    pub(crate) config: JobsConfig,
    /// Where uploads and reports are.
    pub(crate) files: Files,
    /// Parts of files that come side by side.
    pub(crate) partials: Partials,
    /// Where commands leave their files.
    pub(crate) run_files: Runs,
    /// The program that supervises commands.
    pub(crate) supervisor: Supervisor,
    /// Wakes the schedule: the status of a job changed.
    pub(crate) wake: Arc<Notify>,
    /// Who writes to which upload.
    pub(crate) writers: Writers,
    /// Uploads that are being made and not in the read model yet.
    pub(crate) creating: AtomicUsize,
    /// How many bytes those will have.
    pub(crate) announced_bytes: AtomicU64,
    /// Bytes that arrived by uploads since the start, for the metrics.
    pub(crate) received_bytes: AtomicU64,
    /// When those who drive jobs elsewhere were last heard of.
    pub(crate) leases: Leases,
    /// What this server works on.
    pub(crate) work: WorkInProgress,
    /// Places for reports that are made anew in another reading.
    pub(crate) rereadings: Arc<Semaphore>,
    /// Which files were found to be what they were.
    pub(crate) integrity: Integrity,
    /// All jobs as they stand, and the one way to change them.
    jobs: Service<ReadModel>,
}

/// Why a change did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The rules of a job do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The key was used for another call.
    #[error(transparent)]
    KeyReused(#[from] KeyReused),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The call was made before, and what it answered is not kept any more.
    #[error(
        "this call was made before, with Idempotency-Key {key:?}, and was carried out on job {id}; its answer is not kept any more: see GET /api/progress/{id}"
    )]
    AnswerGone {
        /// Its key.
        key: String,
        /// The job.
        id: JobId,
    },
    /// The answer of the first call could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The server stopped while it was decided, or the decision failed by a bug of ours.
    #[error("the server stopped before the change was decided; ask again")]
    Stopped,
}

impl From<DecideError<Self>> for ChangeError {
    fn from(error: DecideError<Self>) -> Self {
        match error {
            DecideError::Refused(error) => error,
            DecideError::Append(error) => error.into(),
            DecideError::Stopped => Self::Stopped,
        }
    }
}

/// What the rules make of a command: a change, nothing new, or a refusal.
pub(crate) type Ruling = Result<Option<Change>, Refusal>;

/// What came of a command.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// The job as it is now; it may be unchanged.
    Now(Entry),
    /// The job is gone.
    Gone,
    /// The call was made before: this was the state it left, as it was published, and its cursor.
    Before(Bytes, Offset),
}

/// What a decision answers.
enum Answer {
    Before(PastCall),
    Unchanged(Option<Entry>),
    Changed(Box<(Record, Option<Job>)>),
}

impl JobService {
    /// Reads all jobs from the log, and keeps them up to date from then on.
    pub(crate) async fn open(context: AppContext, config: JobsConfig) -> Result<Arc<Self>, StartError> {
        let unusable = |source| StartError::Files { path: context.data_dir.clone(), source };
        let files = Files::open(&context.data_dir).map_err(unusable)?;
        let partials = Partials::open(&context.data_dir, context.clock.now()).map_err(unusable)?;
        let run_files = Runs::open(&context.data_dir).map_err(unusable)?;
        let wake = Arc::new(Notify::new());
        let sources = Sources::channels([ReadModel::channel()]);
        let jobs = Projected::open_from_snapshot(&context.log, sources, || ReadModel::new(Arc::clone(&wake)))
            .await?;
        Ok(Arc::new(Self {
            supervisor: Supervisor::new(config.worker.as_deref()),
            work: WorkInProgress::new(context.shutdown.clone()),
            rereadings: Arc::new(Semaphore::new(config.reports_running_max)),
            jobs: Service::new(jobs),
            context,
            config,
            files,
            partials,
            run_files,
            wake,
            writers: Writers::default(),
            creating: AtomicUsize::new(0),
            announced_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            leases: Leases::default(),
            integrity: Integrity::default(),
        }))
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// The time by which things grow old: a wall clock that is set ends nothing.
    pub(crate) fn steady(&self) -> Timestamp {
        self.context.clock.steady()
    }

    /// All jobs as they stand. Hold it briefly, never twice in one thread and never across an await: commits
    /// wait for it.
    pub(crate) fn model(&self) -> MappedRwLockReadGuard<'_, ReadModel> {
        self.jobs.read()
    }

    /// A job as it stands.
    pub(crate) fn find(&self, id: &JobId) -> Result<Entry, Refusal> {
        let not_found = || Refusal::NotFound { id: id.to_string() };
        self.model().get(id).cloned().ok_or_else(not_found)
    }

    /// The jobs that are so, newest first.
    pub(crate) fn entries(&self, of: impl Fn(&Job) -> bool) -> Vec<Entry> {
        self.model().newest_first().filter(|entry| of(&entry.job)).cloned().collect()
    }

    /// The place of a job in its queue; see [`WorkInProgress::place`].
    pub(crate) fn place(&self, job: &Job) -> Option<usize> {
        self.work.place(&self.model(), job)
    }

    /// Whoever drives a job called.
    pub(crate) fn heard(&self, id: &JobId) {
        if self.model().get(id).is_some_and(|entry| entry.job.lease_ms.is_some()) {
            self.leases.heard(id, self.steady());
        }
    }

    /// Waits until nobody else decides on a job; for work beside the log, such as its files.
    pub(crate) async fn lock(&self, id: &JobId) -> OwnedMutexGuard<()> {
        self.jobs.lock(&entity(id)).await
    }

    /// Decides on a job that is there.
    pub(crate) async fn change(
        self: &Arc<Self>,
        id: &JobId,
        key: Option<CallKey>,
        mut rule: impl FnMut(&Job) -> Ruling + Send + 'static,
    ) -> Result<Outcome, ChangeError> {
        let name = id.to_string();
        let missing = move || Refusal::NotFound { id: name.clone() };
        self.decide(id, key, move |_, job| rule(job.ok_or_else(&missing)?)).await
    }

    /// Starts a job that is not there yet, if there is room for one.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        id: &JobId,
        key: Option<CallKey>,
        started: Change,
    ) -> Result<Outcome, ChangeError> {
        let (name, open_max) = (id.clone(), self.config.jobs_open_max);
        self.decide(id, key, move |model, job| match (job, model.open()) {
            (Some(job), _) => Err(Refusal::Exists { id: name.clone(), status: job.status }),
            (None, open) if open >= open_max => Err(Refusal::TooManyOpen { open }),
            (None, _) => Ok(Some(started.clone())),
        })
        .await
    }

    /// Decides on a job that may not be there. A repeated call is answered as the first time, and nothing is
    /// decided.
    async fn decide(
        self: &Arc<Self>,
        id: &JobId,
        key: Option<CallKey>,
        rule: impl FnMut(&ReadModel, Option<&Job>) -> Ruling + Send + 'static,
    ) -> Result<Outcome, ChangeError> {
        let (service, id) = (Arc::clone(self), id.clone());
        to_the_end(async move { service.decide_now(id, key, rule).await }).await
    }

    async fn decide_now(
        self: Arc<Self>,
        id: JobId,
        key: Option<CallKey>,
        mut rule: impl FnMut(&ReadModel, Option<&Job>) -> Ruling + Send + 'static,
    ) -> Result<Outcome, ChangeError> {
        // The key too: two calls that start a job under one key may have made different names for it.
        let key_entity = key.as_ref().map(|key| format!("key {}", key.key));
        let entities: Vec<String> = key_entity.into_iter().chain([entity(&id)]).collect();
        let (service, name) = (Arc::clone(&self), key.as_ref().map(|key| key.given().to_owned()));
        let decide = move |model: &ReadModel| {
            if let Some(key) = &key
                && let Some(call) = model.calls().find(key)?
            {
                return Ok(Decision::nothing(Answer::Before(call.clone())));
            }
            let entry = model.get(&id);
            Ok(match rule(model, entry.map(|entry| &*entry.job))? {
                Some(change) => service.decision(model, &id, key.clone(), change)?,
                None => service.nothing(&id, key.clone(), entry),
            })
        };
        let decided = self.jobs.decide::<_, ChangeError>(entities, decide).await?;
        match decided.answer {
            Answer::Before(call) => self.answer_again(name.unwrap_or_default(), call).await,
            Answer::Unchanged(entry) => Ok(entry.map_or(Outcome::Gone, Outcome::Now)),
            Answer::Changed(changed) => {
                let (record, after) = *changed;
                announce(&record, after.as_ref());
                let first = decided.appended.map_or(Offset::ZERO, |appended| appended.first);
                Ok(after.map_or(Outcome::Gone, |job| Outcome::Now(Entry::after(job, &record.change, first))))
            }
        }
    }

    /// A change as its events.
    fn decision(
        &self,
        model: &ReadModel,
        id: &JobId,
        key: Option<CallKey>,
        change: Change,
    ) -> Result<Decision<Answer>, Refusal> {
        let record = Record { session_id: id.clone(), at: self.now(), key, change };
        let before = model.get(id).map(|entry| &*entry.job);
        // Its number is not known yet and does not show in the state.
        let after = record.change.apply(before, &record, Offset::ZERO);
        self.check_memory(model, before, after.as_ref())?;
        // A job that begins to wait is the last; in the read model it does not wait yet.
        let place = after.as_ref().and_then(|job| self.work.place(model, job));
        let events = publications(&record, before, after.as_ref(), place);
        let answer = Answer::Changed(Box::new((record, after)));
        Ok(Decision::append(events, answer).expecting(progress_channel(id)))
    }

    /// Refuses what makes a job larger when all of them are too large. A job may always end: that makes room.
    fn check_memory(
        &self,
        model: &ReadModel,
        before: Option<&Job>,
        after: Option<&Job>,
    ) -> Result<(), Refusal> {
        let Some(after) = after.filter(|job| !job.status.is_finished()) else { return Ok(()) };
        let (before, after) = (before.map_or(0, Job::memory_bytes), after.memory_bytes());
        let bytes = (model.memory_bytes() + after).saturating_sub(before) as u64;
        let max = self.config.memory_bytes_max;
        if bytes > max / 10 * 9 {
            // Finished jobs are forgotten.
            self.wake.notify_one();
        }
        if after <= before || bytes <= max { Ok(()) } else { Err(Refusal::TooMuchMemory { bytes, max }) }
    }

    /// Nothing changes. A key is remembered all the same: what comes later must not make its repetition mean
    /// something else.
    fn nothing(&self, id: &JobId, key: Option<CallKey>, entry: Option<&Entry>) -> Decision<Answer> {
        let answer = Answer::Unchanged(entry.cloned());
        let Some(key) = key.filter(|_| entry.is_some()) else { return Decision::nothing(answer) };
        let record =
            Record { session_id: id.clone(), at: self.now(), key: Some(key), change: Change::Unchanged };
        Decision::append(publications(&record, None, None, None), answer).expecting(progress_channel(id))
    }

    /// The log remembers what a call left: the update it made, as long as that is kept.
    async fn answer_again(&self, key: String, call: PastCall) -> Result<Outcome, ChangeError> {
        let Some(update) = call.update else { return Ok(Outcome::Gone) };
        match self.context.log.event_at(&progress_channel(&call.id), update).await? {
            Some(event) => Ok(Outcome::Before(event.payload.as_bytes().clone(), update)),
            None => Err(ChangeError::AnswerGone { key, id: call.id }),
        }
    }

    /// Publishes the states of jobs that wait. No decision on them happens meanwhile, so none of them is out
    /// of date.
    pub(crate) async fn publish_places(self: &Arc<Self>, ids: Vec<JobId>) -> Result<(), ChangeError> {
        let service = Arc::clone(self);
        let entities: Vec<String> = ids.iter().map(entity).collect();
        let decide = move |model: &ReadModel| {
            let jobs = ids.iter().filter_map(|id| model.get(id)).map(|entry| &entry.job);
            let waiting = jobs.filter_map(|job| Some(update(job, Some(service.work.place(model, job)?))));
            Ok(Decision::append(waiting.collect(), ()))
        };
        self.jobs.decide::<_, ChangeError>(entities, decide).await?;
        Ok(())
    }

    /// How many records were committed since the last snapshot of the read model.
    pub(crate) fn records(&self) -> u64 {
        self.jobs.projected().since_snapshot()
    }

    /// Replaces the records on channel `jobs` by a snapshot of the read model.
    pub(crate) async fn shorten(&self) -> Result<(), SnapshotError> {
        self.jobs.projected().snapshot().await
    }
}

/// Finishes work that has several parts, also when the caller stops waiting: a connection may break between
/// two of them.
pub(crate) async fn to_the_end<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<ChangeError> + Send + 'static,
{
    tokio::spawn(work).await.unwrap_or_else(|_| Err(ChangeError::Stopped.into()))
}

/// What decisions on one job lock.
fn entity(id: &JobId) -> String {
    format!("job {id}")
}

/// Writes the lines that people look for in the server's log.
fn announce(record: &Record, after: Option<&Job>) {
    let id = &record.session_id;
    let Some(job) = after else {
        tracing::info!(session_id = %id, "[PROGRESS] Forgot session: {id}");
        return;
    };
    match &record.change {
        Change::Started { total_steps, .. } => {
            tracing::info!(session_id = %id, total_steps, "[PROGRESS] Starting session: {id} | total_steps={total_steps}");
            if let Some(name) = job.step_name() {
                tracing::info!(session_id = %id, step = 1, "[PROGRESS] Step 1: {name}");
            }
        }
        Change::StepBegan { name, .. } => {
            let step = job.step();
            tracing::info!(session_id = %id, step, "[PROGRESS] Step {step}: {name}");
        }
        Change::Failed { error } => {
            tracing::warn!(session_id = %id, error = error.message, "[PROGRESS] Session failed: {id}");
        }
        Change::StepChanged { .. } => {}
        _ => tracing::info!(session_id = %id, "[PROGRESS] Session {}: {id}", job.status.as_str()),
    }
    tracing::info!(session_id = %id, "[WebSocket] Broadcasted progress_update to progress_{id}");
}
