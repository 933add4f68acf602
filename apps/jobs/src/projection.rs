//! All jobs as they stand: the projection of channel `jobs`.
//!
//! The records of the log change it, in their order: at the start by reading them, then with each commit.
//!
//! Invariants:
//! - [`ReadModel::take`] is the only writer, and takes each record once.
//! - Nothing here calls the log: the thread that commits waits for the lock under which this is read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use anywire_app::{CallKey, PastCalls, Projection, Snapshot};
use anywire_log::{Channel, Event, Gap, Offset, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::{
    domain::{Job, JobId, Status, UploadId},
    events::{Change, Record, jobs_channel},
};

/// A job and where it last changed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The job.
    pub(crate) job: Arc<Job>,
    /// Its last update on `progress_<id>`: where to subscribe from.
    pub(crate) cursor: Offset,
}

impl Entry {
    /// A job after a change whose record is at `record`. The update is the event after it; a snapshot has
    /// none with it, and whoever subscribes after it misses nothing either.
    pub(crate) fn after(mut job: Job, change: &Change, record: Offset) -> Self {
        if matches!(change, Change::Started { .. }) {
            job.number = record.get();
        }
        let cursor = if matches!(change, Change::Snapshot { .. }) { record } else { record.next() };
        Self { job: Arc::new(job), cursor }
    }
}

/// What a call left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastCall {
    /// Whose job it changed.
    pub(crate) id: JobId,
    /// The update it made, or found as it wanted it; none when it forgot the job.
    pub(crate) update: Option<Offset>,
}

/// All jobs.
#[derive(Debug, Default)]
pub(crate) struct ReadModel {
    jobs: HashMap<JobId, Entry>,
    order: BTreeMap<u64, JobId>,
    uploads: HashMap<UploadId, JobId>,
    /// What waits for its turn, in order.
    queue: BTreeMap<(Timestamp, u64), JobId>,
    /// What all jobs take in memory.
    memory_bytes: usize,
    /// How many jobs stand in each status, in the order of [`Status::ALL`].
    counts: [usize; 6],
    /// A job changed its status since the schedule was last woken.
    status_changed: bool,
    calls: PastCalls<PastCall>,
    /// Records up to here have been taken.
    taken: Offset,
    /// Events up to here, on any channel, are contained: who subscribes after it misses nothing.
    seen: Offset,
    /// Wakes the schedule.
    wake: Arc<Notify>,
}

impl ReadModel {
    /// No jobs. `wake` is notified when the status of a job has changed.
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        Self { wake, ..Self::default() }
    }

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

    /// Where a reader of the whole model goes on.
    pub(crate) fn seen(&self) -> Offset {
        self.seen
    }

    /// The calls that were made.
    pub(crate) fn calls(&self) -> &PastCalls<PastCall> {
        &self.calls
    }

    /// How many jobs have this status.
    pub(crate) fn count(&self, status: Status) -> usize {
        self.counts[place(status)]
    }

    /// How many jobs are finished.
    pub(crate) fn finished(&self) -> usize {
        Status::ALL.into_iter().filter(|status| status.is_finished()).map(|status| self.count(status)).sum()
    }

    /// How many jobs are not.
    pub(crate) fn open(&self) -> usize {
        self.jobs.len() - self.finished()
    }

    /// What all jobs take in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// How many uploads are so.
    pub(crate) fn uploads(&self, of: impl Fn(&Job) -> bool) -> usize {
        let jobs = self.uploads.values().filter_map(|id| self.jobs.get(id));
        jobs.filter(|entry| of(&entry.job)).count()
    }

    /// How many bytes unfinished uploads still miss.
    pub(crate) fn missing_bytes(&self) -> u64 {
        let jobs = self.uploads.values().filter_map(|id| self.jobs.get(id));
        let open = jobs.filter(|entry| entry.job.is_unfinished_upload());
        let missing = open.filter_map(|entry| entry.job.upload.as_ref());
        missing.map(|upload| upload.size_bytes.saturating_sub(upload.received_bytes)).sum()
    }

    /// Takes the next event of `jobs` in.
    fn take(&mut self, event: &Event) {
        if event.offset <= self.taken {
            return;
        }
        self.taken = event.offset;
        self.seen = self.seen.max(event.offset);
        match Record::read(event.payload.as_bytes()) {
            Ok(record) => self.take_record(&record, event.offset),
            Err(error) => {
                tracing::warn!(offset = event.offset.get(), %error, "an event on channel jobs is none of ours and is left out");
            }
        }
    }

    fn take_record(&mut self, record: &Record, offset: Offset) {
        let before = self.jobs.get(&record.session_id).map(|entry| Arc::clone(&entry.job));
        let after = record.change.apply(before.as_deref(), record, offset);
        let update = match record.change {
            Change::Unchanged => self.jobs.get(&record.session_id).map(|entry| entry.cursor),
            _ => after.is_some().then(|| offset.next()),
        };
        if let Some(key) = &record.key {
            let call = PastCall { id: record.session_id.clone(), update };
            self.calls.record(record.at, key, call);
        }
        match after {
            _ if record.change == Change::Unchanged => {}
            Some(job) => self.put(Entry::after(job, &record.change, offset)),
            None => self.remove(&record.session_id),
        }
        if record.change == Change::Withdrawn {
            self.calls.forget(|call| call.id == record.session_id);
        }
    }

    fn put(&mut self, entry: Entry) {
        let job = &entry.job;
        self.order.insert(job.number, job.id.clone());
        if let Some(upload) = &job.upload {
            self.uploads.insert(upload.id, job.id.clone());
        }
        self.seen = self.seen.max(entry.cursor);
        self.memory_bytes += job.memory_bytes();
        let (id, status) = (job.id.clone(), job.status);
        let place = queue_place(job);
        let before = self.jobs.insert(id.clone(), entry);
        if let Some(before) = before.as_ref().and_then(|before| queue_place(&before.job)) {
            self.queue.remove(&before);
        }
        if let Some(place) = place {
            self.queue.insert(place, id);
        }
        self.memory_bytes -= before.as_ref().map_or(0, |before| before.job.memory_bytes());
        self.stand(before.map(|entry| entry.job.status), Some(status));
    }

    fn stand(&mut self, before: Option<Status>, after: Option<Status>) {
        if let Some(before) = before {
            self.counts[place(before)] -= 1;
        }
        if let Some(after) = after {
            self.counts[place(after)] += 1;
        }
        self.status_changed |= before != after;
    }

    fn remove(&mut self, id: &JobId) {
        let Some(entry) = self.jobs.remove(id) else { return };
        self.memory_bytes -= entry.job.memory_bytes();
        self.stand(Some(entry.job.status), None);
        self.order.remove(&entry.job.number);
        if let Some(place) = queue_place(&entry.job) {
            self.queue.remove(&place);
        }
        if let Some(upload) = &entry.job.upload {
            self.uploads.remove(&upload.id);
        }
    }
}

impl Projection for ReadModel {
    fn apply(&mut self, event: &Event) {
        self.take(event);
    }

    fn lost(&mut self, gap: &Gap) {
        // We trim only what snapshots contain; anything else was somebody's setting, and jobs whose start is
        // gone are gone.
        tracing::info!(through = %gap.to, "records of jobs up to here were trimmed");
    }

    fn settled(&mut self, through: Offset) {
        self.seen = self.seen.max(through);
        // Nobody is woken for a percent more.
        if std::mem::take(&mut self.status_changed) {
            self.wake.notify_one();
        }
    }
}

/// About how large one part of a snapshot is, in bytes.
const PART_BYTES: usize = 256 << 10;

/// The read model at one moment.
pub(crate) struct Image {
    jobs: Vec<Entry>,
    calls: Vec<(Timestamp, CallKey, PastCall)>,
}

/// One part of a snapshot: some of the jobs, or of the calls.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    jobs: Vec<KeptJob>,
    calls: Vec<KeptCall>,
}

/// A list in parts, each an object whose one member is some of the list.
fn parts(name: &str, items: impl Iterator<Item = impl Serialize>) -> Result<Vec<String>, serde_json::Error> {
    let (mut parts, mut list) = (Vec::new(), String::new());
    for item in items {
        if list.len() >= PART_BYTES {
            parts.push(format!(r#"{{"{name}":[{}]}}"#, std::mem::take(&mut list)));
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&serde_json::to_string(&item)?);
    }
    parts.push(format!(r#"{{"{name}":[{list}]}}"#));
    Ok(parts)
}

#[derive(Serialize, Deserialize)]
struct KeptJob {
    cursor: u64,
    job: Arc<Job>,
}

#[derive(Serialize, Deserialize)]
struct KeptCall {
    at: i64,
    key: CallKey,
    id: JobId,
    update: Option<u64>,
}

impl Snapshot for ReadModel {
    type Image = Image;

    fn channel() -> Channel {
        jobs_channel()
    }

    fn image(&self) -> Image {
        let calls = self.calls.iter().map(|(at, key, call)| (at, key, call.clone())).collect();
        Image { jobs: self.order.values().filter_map(|id| self.jobs.get(id)).cloned().collect(), calls }
    }

    fn parts(image: Image) -> Result<Vec<String>, serde_json::Error> {
        let jobs = image.jobs.into_iter().map(|entry| KeptJob { cursor: entry.cursor.get(), job: entry.job });
        let calls = image.calls.into_iter().map(|(at, key, call)| KeptCall {
            at: at.as_millis(),
            key,
            id: call.id,
            update: call.update.map(Offset::get),
        });
        Ok([parts("jobs", jobs)?, parts("calls", calls)?].concat())
    }

    fn restore(&mut self, parts: &[&RawValue], through: Offset) -> Result<(), serde_json::Error> {
        for part in parts {
            let Part { jobs, calls } = serde_json::from_str(part.get())?;
            for KeptJob { job, cursor } in jobs {
                self.put(Entry { job, cursor: Offset::new(cursor) });
            }
            for KeptCall { at, key, id, update } in calls {
                let call = PastCall { id, update: update.map(Offset::new) };
                self.calls.record(Timestamp::from_millis(at), &key, call);
            }
        }
        self.taken = through;
        self.seen = self.seen.max(through);
        Ok(())
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
    use anywire_app::CallKey;
    use anywire_log::{EventName, Payload, Publication};

    use super::*;

    fn event(offset: u64, record: &Record) -> Event {
        let payload = Payload::Json(serde_json::to_vec(record).expect("plain data").into());
        let name = EventName::new(record.change.name()).expect("a name");
        let publication = Publication { channel: jobs_channel(), name, payload };
        Event::new(Offset::new(offset), record.at, publication)
    }

    fn record(id: &str, at: i64, key: Option<&str>, change: Change) -> Record {
        let key = key.map(call);
        Record { session_id: JobId::new(id).expect(id), at: Timestamp::from_millis(at), key, change }
    }

    fn call(key: &str) -> CallKey {
        CallKey { key: key.to_owned(), call: 7 }
    }

    fn past_call(model: &ReadModel, key: &str) -> Option<PastCall> {
        model.calls().find(&call(key)).expect("the same call").cloned()
    }

    fn start() -> Change {
        Change::Started { title: "x".to_owned(), total_steps: 2, upload: None, lease_ms: None, spec: None }
    }

    #[test]
    fn a_record_is_taken_once_however_often_it_comes() {
        let mut model = ReadModel::default();
        let started = event(5, &record("a", 1, None, start()));
        let retried = event(7, &record("a", 2, None, Change::Retried { received_bytes: None }));
        for event in [&started, &retried, &started, &retried] {
            model.apply(event);
        }
        let entry = model.get(&JobId::new("a").expect("a name")).expect("a job");
        assert_eq!((entry.job.attempt, entry.cursor), (1, Offset::new(8)));
        assert_eq!((model.count(Status::Running), model.open(), model.finished()), (1, 1, 0));
    }

    #[test]
    fn a_forgotten_job_leaves_nothing_but_the_call_that_forgot_it() {
        let mut model = ReadModel::default();
        model.apply(&event(1, &record("a", 1, Some("k1"), start())));
        model.apply(&event(3, &record("a", 2, Some("k2"), Change::Forgotten)));
        assert_eq!(model.newest_first().count(), 0);
        assert_eq!(past_call(&model, "k2").and_then(|call| call.update), None);
        assert_eq!(past_call(&model, "k1").and_then(|call| call.update), Some(Offset::new(2)));
    }

    #[test]
    fn an_idempotency_key_is_forgotten_after_a_day() {
        let mut model = ReadModel::default();
        model.apply(&event(1, &record("a", 0, Some("old"), start())));
        let later = 24 * 3600 * 1000 + 1;
        model.apply(&event(3, &record("b", later, Some("new"), start())));
        assert!(past_call(&model, "old").is_none() && past_call(&model, "new").is_some());
    }

    #[test]
    fn a_snapshot_has_all_jobs_where_they_stand_and_the_calls_that_were_made() {
        let mut model = ReadModel::default();
        model.apply(&event(1, &record("a", 1, Some("k1"), start())));
        model.apply(&event(3, &record("b", 2, None, start())));
        model.apply(&event(5, &record("b", 3, Some("k2"), Change::Forgotten)));
        model.apply(&event(7, &record("c", 4, None, start())));
        let parts = ReadModel::parts(model.image()).expect("written");
        let parts: Vec<Box<RawValue>> =
            parts.into_iter().map(|part| RawValue::from_string(part).expect("JSON")).collect();
        let parts: Vec<&RawValue> = parts.iter().map(|part| &**part).collect();
        let mut again = ReadModel::default();
        again.restore(&parts, Offset::new(8)).expect("read");
        let shown = |model: &ReadModel| -> Vec<(Job, Offset)> {
            model.newest_first().map(|entry| (Job::clone(&entry.job), entry.cursor)).collect()
        };
        assert_eq!(shown(&again), shown(&model));
        assert_eq!((again.count(Status::Running), again.seen()), (2, Offset::new(8)));
        assert_eq!(past_call(&again, "k1"), past_call(&model, "k1"));
        assert!(past_call(&again, "k2").is_some());
        again.apply(&event(7, &record("c", 4, None, Change::Cancelled)));
        assert_eq!(again.count(Status::Cancelled), 0, "what the snapshot contains is not applied again");
    }

    #[test]
    fn a_job_that_an_earlier_release_wrote_down_whole_is_there_and_subscribed_to_from_there() {
        let mut model = ReadModel::default();
        model.apply(&event(1, &record("a", 1, None, start())));
        let job = Box::new(Job::clone(&model.get(&JobId::new("a").expect("a name")).expect("a job").job));
        let mut later = ReadModel::default();
        later.apply(&event(9, &record("a", 2, None, Change::Snapshot { job: job.clone() })));
        let entry = later.get(&job.id).expect("a job");
        assert_eq!((&*entry.job, entry.cursor), (&*job, Offset::new(9)));
    }

    #[test]
    fn an_event_that_is_none_of_ours_is_left_out() {
        let mut model = ReadModel::default();
        let publication = Publication {
            channel: jobs_channel(),
            name: EventName::new("x").expect("a name"),
            payload: Payload::Json("{\"a\":1}".into()),
        };
        model.apply(&Event::new(Offset::new(1), Timestamp::from_millis(0), publication));
        assert_eq!(model.newest_first().count(), 0);
    }
}
