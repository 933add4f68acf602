//! All jobs as they stand: the projection of channel `jobs`.
//!
//! It is changed by one thing only, the records of the log in their order: at start by reading them, then by the log telling of each commit
//! before the append is answered. So who has appended a change finds it here.
//!
//! Knows: jobs, which calls were made. Does not know: the log's reading and writing, HTTP.
//!
//! Invariants:
//! - [`Board::take`] is the only writer, and takes each record once.
//! - Nothing here calls the log: it is read and written under a lock that the committing thread needs.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use anywire_app::Projection;
use anywire_log::{Channel, CommitListener, Event, Gap, Offset, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::{
    domain::{Job, JobId, Status},
    events::{Change, KeyUse, Record, jobs_channel},
    files::UploadId,
};

/// How many idempotency keys are remembered.
const KEYS_MAX: usize = 10_000;
/// How long an idempotency key is remembered.
const KEY_AGE_MAX_MS: u64 = 24 * 3600 * 1000;

/// A job and where it last changed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The job.
    pub(crate) job: Arc<Job>,
    /// Its last update on `progress_<id>`: where to subscribe from.
    pub(crate) cursor: Offset,
}

/// A call that was made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastCall {
    /// A hash of the call.
    pub(crate) call: u64,
    /// Whose job it changed.
    pub(crate) id: JobId,
    /// The update it made; none when it forgot the job.
    pub(crate) update: Option<Offset>,
}

/// All jobs.
#[derive(Debug, Default)]
pub(crate) struct Board {
    jobs: HashMap<JobId, Entry>,
    order: BTreeMap<u64, JobId>,
    uploads: HashMap<UploadId, JobId>,
    /// What waits for its turn, in order.
    queue: BTreeMap<(Timestamp, u64), JobId>,
    /// How many jobs stand in each status, in the order of [`Status::ALL`].
    standing: [usize; 6],
    /// A job changed its status since somebody last looked.
    stirred: bool,
    calls: HashMap<Box<str>, PastCall>,
    call_order: VecDeque<(Timestamp, Box<str>)>,
    /// Records up to here have been taken.
    taken: Offset,
    /// Events up to here, on any channel, are contained: who subscribes after it misses nothing.
    seen: Offset,
    /// How many records the log holds for these jobs.
    records: u64,
}

impl Board {
    /// A job.
    pub(crate) fn get(&self, id: &JobId) -> Option<&Entry> {
        self.jobs.get(id)
    }

    /// The job of an upload.
    pub(crate) fn of_upload(&self, id: UploadId) -> Option<&Entry> {
        self.uploads.get(&id).and_then(|id| self.jobs.get(id))
    }

    /// All jobs, newest first.
    pub(crate) fn newest_first(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.order.values().rev().filter_map(|id| self.jobs.get(id))
    }

    /// The jobs that were started before a job, newest first.
    pub(crate) fn before(&self, number: u64) -> impl Iterator<Item = &Entry> {
        self.order.range(..number).rev().filter_map(|(_, id)| self.jobs.get(id))
    }

    /// What waits for its turn, in order.
    pub(crate) fn queued(&self) -> impl Iterator<Item = &Entry> {
        self.queue.values().filter_map(|id| self.jobs.get(id))
    }

    /// Where a reader of the whole board goes on.
    pub(crate) fn seen(&self) -> Offset {
        self.seen
    }

    /// Everything up to here was read.
    pub(crate) fn saw(&mut self, offset: Offset) {
        self.seen = self.seen.max(offset);
    }

    /// Records up to here have been taken.
    pub(crate) fn taken(&self) -> Offset {
        self.taken
    }

    /// How many records were taken since the last compaction.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Earlier records were trimmed.
    pub(crate) fn compacted(&mut self, records: u64) {
        self.records = records;
    }

    /// A call by its key.
    pub(crate) fn past_call(&self, key: &str) -> Option<&PastCall> {
        self.calls.get(key)
    }

    /// How many jobs have this status.
    pub(crate) fn count(&self, status: Status) -> usize {
        self.standing[place(status)]
    }

    /// How many jobs are finished.
    pub(crate) fn finished(&self) -> usize {
        Status::ALL.into_iter().filter(|status| status.is_finished()).map(|status| self.count(status)).sum()
    }

    /// How many jobs are not.
    pub(crate) fn open(&self) -> usize {
        self.jobs.len() - self.finished()
    }

    /// How many uploads are so.
    pub(crate) fn uploads(&self, of: impl Fn(&Job) -> bool) -> usize {
        let jobs = self.uploads.values().filter_map(|id| self.jobs.get(id));
        jobs.filter(|entry| of(&entry.job)).count()
    }

    /// Takes the next event of `jobs` in.
    fn take(&mut self, event: &Event) {
        if event.offset <= self.taken {
            return;
        }
        self.taken = event.offset;
        self.seen = self.seen.max(event.offset);
        match serde_json::from_slice::<Record>(event.payload.as_bytes()) {
            Ok(record) => self.take_record(&record, event.offset),
            Err(error) => {
                tracing::warn!(offset = event.offset.get(), %error, "an event on channel jobs is none of ours and is left out");
            }
        }
    }

    fn take_record(&mut self, record: &Record, offset: Offset) {
        self.records += 1;
        let before = self.jobs.get(&record.session_id).map(|entry| Arc::clone(&entry.job));
        let after = record.change.apply(before.as_deref(), record, offset);
        if let Some(key) = &record.key {
            self.remember(key, record, after.is_some().then(|| offset.next()));
        }
        match after {
            // A snapshot has no update with it; whoever subscribes after it misses nothing either.
            Some(job) if matches!(record.change, Change::Snapshot { .. }) => self.put(job, offset),
            Some(job) => self.put(job, offset.next()),
            None => self.remove(&record.session_id),
        }
    }

    fn put(&mut self, job: Job, cursor: Offset) {
        self.order.insert(job.number, job.id.clone());
        if let Some(upload) = &job.upload {
            self.uploads.insert(upload.id, job.id.clone());
        }
        self.seen = self.seen.max(cursor);
        let (id, status) = (job.id.clone(), job.status);
        let place = queue_place(&job);
        let before = self.jobs.insert(id.clone(), Entry { job: Arc::new(job), cursor });
        if let Some(before) = before.as_ref().and_then(|before| queue_place(&before.job)) {
            self.queue.remove(&before);
        }
        if let Some(place) = place {
            self.queue.insert(place, id);
        }
        self.stand(before.map(|entry| entry.job.status), Some(status));
    }

    fn stand(&mut self, before: Option<Status>, after: Option<Status>) {
        if let Some(before) = before {
            self.standing[place(before)] -= 1;
        }
        if let Some(after) = after {
            self.standing[place(after)] += 1;
        }
        self.stirred |= before != after;
    }

    fn remove(&mut self, id: &JobId) {
        let Some(entry) = self.jobs.remove(id) else { return };
        self.stand(Some(entry.job.status), None);
        self.order.remove(&entry.job.number);
        if let Some(place) = queue_place(&entry.job) {
            self.queue.remove(&place);
        }
        if let Some(upload) = &entry.job.upload {
            self.uploads.remove(&upload.id);
        }
    }

    fn remember(&mut self, key: &KeyUse, record: &Record, update: Option<Offset>) {
        let call = PastCall { call: key.call, id: record.session_id.clone(), update };
        self.calls.insert(key.key.as_str().into(), call);
        self.call_order.push_back((record.at, key.key.as_str().into()));
        while let Some((at, _)) = self.call_order.front() {
            let old = record.at.millis_since(*at) > KEY_AGE_MAX_MS;
            if !old && self.call_order.len() <= KEYS_MAX {
                break;
            }
            if let Some((_, key)) = self.call_order.pop_front() {
                self.calls.remove(&key);
            }
        }
    }
}

impl Projection for Board {
    fn apply(&mut self, event: &Event) {
        self.take(event);
    }

    fn lost(&mut self, gap: &Gap) {
        // We trim only what snapshots contain; anything else was somebody's setting, and jobs whose start is gone are gone.
        tracing::info!(through = %gap.to, "records of jobs up to here were trimmed");
    }
}

/// Takes what the log commits to the board, in the committing thread.
pub(crate) struct Ear {
    channel: Channel,
    board: Arc<RwLock<Board>>,
    wake: Arc<Notify>,
    /// What is committed while the board is still being rebuilt; none once it is live.
    waiting: Mutex<Option<Vec<Arc<Event>>>>,
}

impl Ear {
    /// Listens, and keeps what it hears until [`Ear::go_live`].
    pub(crate) fn new(board: Arc<RwLock<Board>>, wake: Arc<Notify>) -> Self {
        Self { channel: jobs_channel(), board, wake, waiting: Mutex::new(Some(Vec::new())) }
    }

    /// The board has everything that was there before: from now on it is kept up to date.
    pub(crate) fn go_live(&self) {
        let mut waiting = self.waiting.lock();
        let mut board = self.board.write();
        for event in waiting.take().unwrap_or_default() {
            board.take(&event);
        }
    }
}

impl CommitListener for Ear {
    fn committed(&self, events: &[Arc<Event>]) {
        let ours = |event: &&Arc<Event>| event.channel == self.channel;
        if !events.iter().any(|event| ours(&event)) {
            return;
        }
        let mut waiting = self.waiting.lock();
        if let Some(waiting) = &mut *waiting {
            waiting.extend(events.iter().filter(ours).cloned());
            return;
        }
        let mut board = self.board.write();
        events.iter().filter(ours).for_each(|event| board.take(event));
        if let Some(last) = events.last() {
            board.seen = board.seen.max(last.offset);
        }
        // Nobody is woken for a percent more.
        if std::mem::take(&mut board.stirred) {
            self.wake.notify_one();
        }
    }
}

/// Where a job waits: first by when it began to wait.
fn queue_place(job: &Job) -> Option<(Timestamp, u64)> {
    (job.status == Status::Queued).then_some((job.updated_at, job.number))
}

/// A status's place in [`Status::ALL`].
fn place(status: Status) -> usize {
    Status::ALL.into_iter().position(|one| one == status).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use anywire_log::{EventName, Payload, Publication};

    use super::*;
    use crate::domain::JobId;

    fn event(offset: u64, record: &Record) -> Event {
        let payload = Payload::Json(serde_json::to_vec(record).expect("plain data").into());
        let name = EventName::new(record.change.name()).expect("a name");
        let publication = Publication { channel: jobs_channel(), name, payload };
        Event::new(Offset::new(offset), record.at, publication)
    }

    fn record(id: &str, at: i64, key: Option<&str>, change: Change) -> Record {
        let key = key.map(|key| KeyUse { key: key.to_owned(), call: 7 });
        Record { session_id: JobId::new(id).expect(id), at: Timestamp::from_millis(at), key, change }
    }

    fn start() -> Change {
        Change::Started { title: "x".to_owned(), total_steps: 2, upload: None, order: None }
    }

    #[test]
    fn a_record_is_taken_once_however_often_it_comes() {
        let mut board = Board::default();
        let started = event(5, &record("a", 1, None, start()));
        let retried = event(7, &record("a", 2, None, Change::Retried { received_bytes: None }));
        for event in [&started, &retried, &started, &retried] {
            board.apply(event);
        }
        let entry = board.get(&JobId::new("a").expect("a name")).expect("a job");
        assert_eq!((entry.job.attempt, entry.cursor), (1, Offset::new(8)));
        assert_eq!((board.count(Status::Running), board.open(), board.finished()), (1, 1, 0));
    }

    #[test]
    fn a_forgotten_job_leaves_nothing_but_the_call_that_forgot_it() {
        let mut board = Board::default();
        board.apply(&event(1, &record("a", 1, Some("k1"), start())));
        board.apply(&event(3, &record("a", 2, Some("k2"), Change::Forgotten)));
        assert_eq!(board.newest_first().count(), 0);
        assert_eq!(board.past_call("k2").and_then(|call| call.update), None);
        assert_eq!(board.past_call("k1").and_then(|call| call.update), Some(Offset::new(2)));
    }

    #[test]
    fn an_idempotency_key_is_forgotten_after_a_day() {
        let mut board = Board::default();
        board.apply(&event(1, &record("a", 0, Some("old"), start())));
        let later = i64::try_from(KEY_AGE_MAX_MS).expect("fits") + 1;
        board.apply(&event(3, &record("b", later, Some("new"), start())));
        assert!(board.past_call("old").is_none() && board.past_call("new").is_some());
    }

    #[test]
    fn an_event_that_is_none_of_ours_is_left_out() {
        let mut board = Board::default();
        let publication = Publication {
            channel: jobs_channel(),
            name: EventName::new("x").expect("a name"),
            payload: Payload::Json("{\"a\":1}".into()),
        };
        board.apply(&Event::new(Offset::new(1), Timestamp::from_millis(0), publication));
        assert_eq!(board.newest_first().count(), 0);
    }
}
