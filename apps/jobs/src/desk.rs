//! The desk: where every wish about a job is decided, one at a time a job.
//!
//! Knows: the log, the board, who waits for whom. Does not know: HTTP, CSV.
//!
//! Invariants:
//! - Decisions on one job follow each other: the next one sees what the last one committed.
//! - A change is one batch. When its append fails nothing changed.
//! - A caller that goes away does not tear a decision apart: it is finished in a task of its own.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
};

use anywire_app::{AppContext, rebuild};
use anywire_log::{AppendError, Offset, ReadError, ReadRequest, Timestamp};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use crate::{
    JobsConfig, StartError,
    board::{Board, Ear, Entry, PastCall},
    command::{child::Supervisor, files::Runs},
    domain::{Job, JobId, Status},
    events::{Change, KeyUse, Record, batch, jobs_channel, progress_channel},
    files::Files,
    locks::NamedLocks,
    rules::Refusal,
    tus::Writers,
};

/// Everything the parts of the application share.
pub(crate) struct Desk {
    /// What the application was given.
    pub(crate) context: AppContext,
    /// What was set.
    pub(crate) config: JobsConfig,
    /// Where uploads and reports are.
    pub(crate) files: Files,
    /// Where commands leave their files.
    pub(crate) run_files: Runs,
    /// The program that watches over commands.
    pub(crate) worker: Supervisor,
    /// All jobs as they stand.
    pub(crate) board: Arc<RwLock<Board>>,
    /// Wakes the schedule: something changed.
    pub(crate) wake: Arc<Notify>,
    /// Who writes to which upload.
    pub(crate) writers: Writers,
    /// Uploads that are being made and not on the board yet.
    pub(crate) creating: AtomicUsize,
    /// Bytes that arrived by uploads since the start, for the metrics.
    pub(crate) received_bytes: AtomicU64,
    /// Work in progress, by job: how it is told to stop.
    runs: Mutex<HashMap<JobId, CancellationToken>>,
    locks: NamedLocks,
}

/// Why a change did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The rules of a job do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The key was used for another call.
    #[error("Idempotency-Key {key:?} was used for another call within a day; use a new key for a new call")]
    KeyConflict {
        /// The key.
        key: String,
    },
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The answer of the first call could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The server stopped while it was decided, or the decision failed by a bug of ours.
    #[error("the server stopped before the change was decided; ask again")]
    Stopped,
}

/// What the rules make of a wish: a change, nothing new, or a refusal.
pub(crate) type Decision = Result<Option<Change>, Refusal>;

/// What came of a wish.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// The job as it is now; it may be unchanged.
    Now(Entry),
    /// The job is gone.
    Gone,
    /// The call was made before: this was the state it left, as it was published, and its cursor.
    Before(Bytes, Offset),
}

impl Desk {
    /// Reads the board from the log and keeps it up to date from then on.
    pub(crate) async fn open(context: AppContext, config: JobsConfig) -> Result<Arc<Self>, StartError> {
        let unusable = |source| StartError::Files { path: context.data_dir.clone(), source };
        let files = Files::open(&context.data_dir).map_err(unusable)?;
        let run_files = Runs::open(&context.data_dir).map_err(unusable)?;
        let wake = Arc::new(Notify::new());
        let board = open_board(&context, &wake).await?;
        Ok(Arc::new(Self {
            worker: Supervisor::new(config.worker.as_deref()),
            context,
            config,
            files,
            run_files,
            board,
            wake,
            writers: Writers::default(),
            creating: AtomicUsize::new(0),
            received_bytes: AtomicU64::new(0),
            runs: Mutex::default(),
            locks: NamedLocks::default(),
        }))
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// A job as it stands.
    pub(crate) fn find(&self, id: &JobId) -> Result<Entry, Refusal> {
        let not_found = || Refusal::NotFound { id: id.to_string() };
        self.board.read().get(id).cloned().ok_or_else(not_found)
    }

    /// Decides on a job that is there.
    pub(crate) async fn change(
        self: &Arc<Self>,
        id: &JobId,
        key: Option<KeyUse>,
        decide: impl FnOnce(&Job) -> Decision + Send + 'static,
    ) -> Result<Outcome, ChangeError> {
        let missing = Refusal::NotFound { id: id.to_string() };
        self.decide(id, key, move |job| decide(job.ok_or(missing)?)).await
    }

    /// Decides on a job that may not be there. A repeated call is answered as the first time, and nothing is decided.
    pub(crate) async fn decide(
        self: &Arc<Self>,
        id: &JobId,
        key: Option<KeyUse>,
        decide: impl FnOnce(Option<&Job>) -> Decision + Send + 'static,
    ) -> Result<Outcome, ChangeError> {
        let (desk, id) = (Arc::clone(self), id.clone());
        // In a task: when the caller's connection breaks, the lock is still held until the append is done.
        let decided = tokio::spawn(async move {
            // The key first: two calls that start a job under one key may have made different names for it.
            let _key = match &key {
                Some(key) => Some(desk.locks.lock(&format!("key {}", key.key)).await),
                None => None,
            };
            let _job = desk.lock(&id).await;
            match desk.past_call(key.as_ref())? {
                Some(call) => desk.answer_again(call).await,
                None => desk.commit(id, key, decide).await,
            }
        });
        decided.await.unwrap_or(Err(ChangeError::Stopped))
    }

    /// Refuses when as many jobs as allowed are unfinished.
    pub(crate) fn room_for_a_job(&self) -> Result<(), Refusal> {
        let open = self.board.read().open();
        if open < self.config.jobs_open_max { Ok(()) } else { Err(Refusal::TooManyOpen { open }) }
    }

    /// The place of a job in its queue, from 1, while it waits there. Reports and commands wait for different things.
    pub(crate) fn place(&self, job: &Job) -> Option<usize> {
        if job.status != Status::Queued || self.is_run(&job.id) {
            return None;
        }
        let board = self.board.read();
        let runs = self.runs.lock();
        let waiting = board
            .queued()
            .map(|entry| &entry.job)
            .filter(|other| other.is_own_command() == job.is_own_command());
        let before =
            waiting.take_while(|other| other.id != job.id).filter(|other| !runs.contains_key(&other.id));
        Some(before.count() + 1)
    }

    /// Work on a job begins; the token tells it to stop.
    pub(crate) fn begin_run(&self, id: &JobId) -> CancellationToken {
        let stop = self.context.shutdown.child_token();
        self.runs.lock().insert(id.clone(), stop.clone());
        stop
    }

    /// Work on a job has ended.
    pub(crate) fn end_run(&self, id: &JobId) {
        self.runs.lock().remove(id);
    }

    /// Whether somebody works on a job.
    pub(crate) fn is_run(&self, id: &JobId) -> bool {
        self.runs.lock().contains_key(id)
    }

    /// Tells the work on a job to stop.
    pub(crate) fn stop_run(&self, id: &JobId) {
        if let Some(stop) = self.runs.lock().get(id) {
            stop.cancel();
        }
    }

    /// Waits until nobody else decides on a job.
    pub(crate) async fn lock(&self, id: &JobId) -> OwnedMutexGuard<()> {
        self.locks.lock(&format!("job {id}")).await
    }

    async fn commit(
        &self,
        id: JobId,
        key: Option<KeyUse>,
        decide: impl FnOnce(Option<&Job>) -> Decision,
    ) -> Result<Outcome, ChangeError> {
        let before = self.board.read().get(&id).cloned();
        let Some(change) = decide(before.as_ref().map(|entry| &*entry.job))? else {
            return Ok(before.map_or(Outcome::Gone, Outcome::Now));
        };
        let record = Record { session_id: id, at: self.now(), key, change };
        let before = before.as_ref().map(|entry| &*entry.job);
        // Its place is not known yet and does not show in the state.
        let after = record.change.apply(before, &record, Offset::ZERO);
        // Whoever begins to wait is the last; on the board it does not wait yet.
        let place = after.as_ref().and_then(|job| self.place(job));
        self.context.log.append(batch(&record, before, after.as_ref(), place)).await?;
        announce(&record, after.as_ref());
        // The log told the board before it answered.
        Ok(self.board.read().get(&record.session_id).cloned().map_or(Outcome::Gone, Outcome::Now))
    }

    fn past_call(&self, key: Option<&KeyUse>) -> Result<Option<PastCall>, ChangeError> {
        let Some(key) = key else { return Ok(None) };
        match self.board.read().past_call(&key.key) {
            Some(past) if past.call != key.call => Err(ChangeError::KeyConflict { key: key.key.clone() }),
            past => Ok(past.cloned()),
        }
    }

    /// The log remembers what a call left: the update it made.
    async fn answer_again(&self, call: PastCall) -> Result<Outcome, ChangeError> {
        let Some(update) = call.update else { return Ok(Outcome::Gone) };
        let request = ReadRequest {
            channels: vec![progress_channel(&call.id)],
            after: update.previous(),
            through: update,
            events_max: 1,
            bytes_max: usize::MAX,
        };
        let (found, _gap) = self.context.log.read_behind(request).await?;
        match found.events.first() {
            Some(event) => Ok(Outcome::Before(event.payload.as_bytes().clone(), update)),
            // Retention took it: the state of now is the best there is.
            None => Ok(self.find(&call.id).map(Outcome::Now)?),
        }
    }
}

/// Rebuilds the board, and leaves an ear at the log that keeps it up to date.
async fn open_board(context: &AppContext, wake: &Arc<Notify>) -> Result<Arc<RwLock<Board>>, ReadError> {
    let mut rebuilt = Board::default();
    let follow = rebuild(&context.log, &[jobs_channel()], &mut rebuilt).await?;
    let board = Arc::new(RwLock::new(rebuilt));
    let ear = Arc::new(Ear::new(Arc::clone(&board), Arc::clone(wake)));
    context.log.listen(Arc::clone(&ear) as Arc<dyn anywire_log::CommitListener>);
    // What another writer committed between the end of the rebuilding and the listening is found by reading on.
    catch_up(follow, &board).await?;
    ear.go_live();
    Ok(board)
}

async fn catch_up(mut follow: anywire_log::Follow, board: &RwLock<Board>) -> Result<(), ReadError> {
    use anywire_app::Projection;
    use anywire_log::Followed;
    while let Some(found) = follow.ready().await? {
        let mut board = board.write();
        match found {
            Followed::Events(events) => events.iter().for_each(|event| board.apply(event)),
            Followed::Gap(gap) => board.lost(&gap),
        }
    }
    board.write().saw(follow.cursor().offset);
    Ok(())
}

/// The lines people look for in the server's log.
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
