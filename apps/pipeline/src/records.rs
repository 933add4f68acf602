//! All records on their way and the counters: the projection of channels `pipeline` and `$pipeline.ledger`.
//!
//! The newest records are kept whole; of those before them each partition keeps which were received and
//! finished, and what failed.
//!
//! Invariant: a record delivered again is never counted again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use anywire_app::{Projection, Snapshot};
use anywire_log::{Channel, Event, Gap, Offset, Timestamp};
use serde_json::value::RawValue;

use crate::{
    domain::{ConsumerId, Entry, LogId, Marks, Status, Totals},
    events::{
        Activity, Change, Completed, ConsumerStatus, Counted, DeadLettered, Failed, Received, Started,
        Statistics, ledger_channel,
    },
    topics::{Partition, Place, TopicName},
};

/// How many failed records are remembered beside those that are kept whole.
const FAILED_MAX: usize = 100_000;
/// How many dead letters one part of a snapshot holds.
const DEAD_PER_PART: usize = 4096;
/// How many stopped consumers are remembered.
const CONSUMERS_MAX: usize = 256;

/// All records, counters and consumers.
#[derive(Debug)]
pub(crate) struct Records {
    kept_max: usize,
    entries: HashMap<LogId, Kept>,
    /// The entries in the order in which they came.
    order: VecDeque<LogId>,
    /// The entries by their last change.
    changes: BTreeMap<Offset, LogId>,
    totals: Totals,
    marks: HashMap<Partition, Marks>,
    consumers: BTreeMap<ConsumerId, bool>,
    wanted: Option<Vec<ConsumerId>>,
    dead: HashMap<LogId, Place>,
    applied: Offset,
    /// What happened up to here is in the snapshot: it is shown, not counted.
    counted_through: Offset,
    changes_applied: u64,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    changed: Offset,
    /// As what this record is counted, beside among the received.
    counted: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Processed,
    Failed,
}

impl Records {
    /// Nothing yet.
    pub(crate) fn empty(kept_max: usize) -> Self {
        Self {
            kept_max,
            entries: HashMap::new(),
            order: VecDeque::new(),
            changes: BTreeMap::new(),
            totals: Totals::default(),
            marks: HashMap::new(),
            consumers: BTreeMap::new(),
            wanted: None,
            dead: HashMap::new(),
            applied: Offset::ZERO,
            counted_through: Offset::ZERO,
            changes_applied: 0,
        }
    }

    /// A record.
    pub(crate) fn get(&self, id: LogId) -> Option<&Entry> {
        self.entries.get(&id).map(|kept| &kept.entry)
    }

    /// The newest records, newest first.
    pub(crate) fn newest(&self, limit: usize) -> impl Iterator<Item = &Entry> {
        self.order.iter().rev().filter_map(|id| self.get(*id)).take(limit)
    }

    /// The records that changed after a place of the log, in the order of their last change.
    pub(crate) fn changed_after(&self, after: Offset) -> impl Iterator<Item = &Entry> {
        self.changes.range(after.next()..).filter_map(|(_, id)| self.get(*id))
    }

    /// Everything up to here is contained.
    pub(crate) fn applied(&self) -> Offset {
        self.applied
    }

    /// The counters.
    pub(crate) fn statistics(&self, timestamp: Timestamp) -> Statistics {
        let active_consumers = self.consumers.values().filter(|active| **active).count();
        Statistics { totals: self.totals, active_consumers, timestamp }
    }

    /// The consumers that were seen, with whether they run.
    pub(crate) fn consumers(&self) -> &BTreeMap<ConsumerId, bool> {
        &self.consumers
    }

    /// The consumers that shall run; none when nobody ever said.
    pub(crate) fn wanted(&self) -> Option<&[ConsumerId]> {
        self.wanted.as_deref()
    }

    /// How many changes were applied since the start.
    pub(crate) fn changes_applied(&self) -> u64 {
        self.changes_applied
    }

    /// What has to be known after a restart beside the events that are kept.
    fn counted(&self) -> Counted {
        let dead = self.dead.iter().map(|(id, place)| DeadLettered {
            log_id: *id,
            topic: place.partition.topic.as_str().to_owned(),
            partition: place.partition.number,
            offset: place.offset,
        });
        let marks = self.marks.iter();
        Counted {
            totals: self.totals,
            marks: marks
                .map(|(of, marks)| (of.topic.as_str().to_owned(), of.number, marks.clone()))
                .collect(),
            wanted: self.wanted.clone(),
            dead: dead.collect(),
        }
    }

    /// Begins with what was counted up to `through`.
    fn begin_with(&mut self, counted: Counted, through: Offset) {
        self.counted_through = through;
        self.totals = counted.totals;
        self.wanted = counted.wanted;
        self.marks.clear();
        self.dead.clear();
        self.add(counted.marks, &counted.dead);
    }

    fn add(&mut self, marks: Vec<(String, u32, Marks)>, dead: &[DeadLettered]) {
        for (topic, number, marks) in marks {
            let Ok(topic) = TopicName::new(&topic) else { continue };
            self.marks.insert(Partition { topic, number }, marks);
        }
        dead.iter().for_each(|dead| self.dead_lettered(dead));
    }

    fn change(&mut self, change: Change, at: Offset) {
        match change {
            Change::Received(change) => self.received(change, at),
            Change::Started(change) => self.started(&change, at),
            Change::Completed(change) => self.completed(change, at),
            Change::Failed(change) => self.failed(change, at),
            Change::Consumer(change) => self.consumer(change),
            Change::DeadLettered(change) => self.dead_lettered(&change),
            Change::Wanted(change) => self.wanted = Some(change.consumers),
            Change::TopicAnew(change) => {
                self.marks.retain(|partition, _| partition.topic.as_str() != change.topic);
            }
            Change::ServerStarted => self.consumers.values_mut().for_each(|active| *active = false),
            // Its one writer wrote nothing between taking and writing it.
            Change::Snapshot(counted) => self.begin_with(*counted, at),
            Change::Statistics(_) => {}
        }
    }

    fn received(&mut self, change: Received, at: Offset) {
        let (Ok(topic), Ok(offset)) = (TopicName::new(&change.topic), change.offset.parse::<u64>()) else {
            return;
        };
        let marks = self.marks.entry(Partition { topic, number: change.partition }).or_default();
        let id = change.log_id;
        // One that is kept was counted, also when its topic was made anew since.
        if marks.received.insert(offset) && !self.entries.contains_key(&id) {
            self.totals.total_messages += 1;
        }
        if let Some(kept) = self.entries.get_mut(&id) {
            kept.entry.received_at = change.timestamp;
            if !kept.entry.status.is_final() {
                kept.entry.status = Status::Received;
            }
            return self.touch(id, at);
        }
        let finished = marks.finished.contains(offset);
        let counted = finished
            .then(|| if marks.failed.contains(&offset) { Outcome::Failed } else { Outcome::Processed });
        let entry = Entry {
            log_id: id,
            topic: change.topic,
            partition: change.partition,
            offset,
            data_type: change.data_type,
            row_count: change.row_count,
            status: Status::Received,
            error: None,
            consumer_id: None,
            attempts: 0,
            received_at: change.timestamp,
            started_at: None,
            finished_at: None,
            dead_letter: self.dead.get(&id).cloned(),
        };
        self.entries.insert(id, Kept { entry, changed: at, counted });
        self.changes.insert(at, id);
        self.order.push_back(id);
        self.shed();
    }

    fn started(&mut self, change: &Started, at: Offset) {
        let Some(kept) = self.entries.get_mut(&change.log_id) else { return };
        kept.entry.status = Status::Processing;
        kept.entry.started_at = Some(change.timestamp);
        kept.entry.finished_at = None;
        kept.entry.attempts += 1;
        self.touch(change.log_id, at);
    }

    fn completed(&mut self, change: Completed, at: Offset) {
        let Some(kept) = self.entries.get_mut(&change.log_id) else { return };
        kept.entry.status = Status::Processed;
        kept.entry.error = None;
        kept.entry.consumer_id = Some(change.consumer_id.as_str().to_owned());
        kept.entry.finished_at = Some(change.timestamp);
        self.count(change.log_id, Outcome::Processed, at);
        self.touch(change.log_id, at);
    }

    fn failed(&mut self, change: Failed, at: Offset) {
        let Some(kept) = self.entries.get_mut(&change.log_id) else { return };
        kept.entry.status = Status::Failed;
        kept.entry.error = Some(change.error);
        kept.entry.finished_at = Some(change.timestamp);
        self.count(change.log_id, Outcome::Failed, at);
        self.touch(change.log_id, at);
    }

    /// Moves a record among the counters, once for every change of its outcome.
    fn count(&mut self, id: LogId, outcome: Outcome, at: Offset) {
        let Some(kept) = self.entries.get_mut(&id) else { return };
        let before = kept.counted.replace(outcome);
        if at <= self.counted_through || before == Some(outcome) {
            return;
        }
        match before {
            Some(Outcome::Processed) => {
                self.totals.processed_messages = self.totals.processed_messages.saturating_sub(1)
            }
            Some(Outcome::Failed) => {
                self.totals.failed_messages = self.totals.failed_messages.saturating_sub(1)
            }
            None => {}
        }
        match outcome {
            Outcome::Processed => self.totals.processed_messages += 1,
            Outcome::Failed => self.totals.failed_messages += 1,
        }
        let (offset, number) = (kept.entry.offset, kept.entry.partition);
        let Ok(topic) = TopicName::new(&kept.entry.topic) else { return };
        let marks = self.marks.entry(Partition { topic, number }).or_default();
        marks.finished.insert(offset);
        match outcome {
            Outcome::Failed => marks.failed.insert(offset),
            Outcome::Processed => marks.failed.remove(&offset),
        };
        if marks.failed.len() > FAILED_MAX {
            marks.failed.pop_first();
        }
    }

    fn consumer(&mut self, change: ConsumerStatus) {
        self.consumers.insert(change.consumer_id, change.status == Activity::Active);
        if self.consumers.len() > CONSUMERS_MAX {
            let idle = self.consumers.iter().find(|(_, active)| !**active).map(|(id, _)| id.clone());
            idle.and_then(|id| self.consumers.remove(&id));
        }
    }

    fn dead_lettered(&mut self, change: &DeadLettered) {
        let Ok(topic) = TopicName::new(&change.topic) else { return };
        let place = Place { partition: Partition { topic, number: change.partition }, offset: change.offset };
        if let Some(kept) = self.entries.get_mut(&change.log_id) {
            kept.entry.dead_letter = Some(place.clone());
        }
        self.dead.insert(change.log_id, place);
        if self.dead.len() > 2 * self.kept_max + FAILED_MAX {
            self.dead.retain(|id, _| self.entries.contains_key(id));
        }
    }

    fn touch(&mut self, id: LogId, at: Offset) {
        let Some(kept) = self.entries.get_mut(&id) else { return };
        self.changes.remove(&kept.changed);
        kept.changed = at;
        self.changes.insert(at, id);
    }

    /// Lets the oldest records go. One that is not finished may stay for as long again.
    fn shed(&mut self) {
        while self.order.len() > self.kept_max {
            let Some(oldest) = self.order.front() else { return };
            let finished = self.get(*oldest).is_none_or(|entry| entry.status.is_final());
            if !finished && self.order.len() <= 2 * self.kept_max {
                return;
            }
            if let Some(kept) = self.order.pop_front().and_then(|id| self.entries.remove(&id)) {
                self.changes.remove(&kept.changed);
                self.dead.remove(&kept.entry.log_id);
            }
        }
    }
}

impl Projection for Records {
    fn apply(&mut self, event: &Event) {
        self.applied = self.applied.max(event.offset);
        let Some(change) = Change::parse(event) else { return };
        self.changes_applied += 1;
        self.change(change, event.offset);
    }

    fn lost(&mut self, gap: &Gap) {
        // What was counted is in the snapshot; records before the gap are not shown any more.
        tracing::debug!(through = %gap.to, "events of the pipeline up to here were trimmed");
    }
}

impl Snapshot for Records {
    type Image = Counted;

    /// Records of before are shown, not counted.
    const REREAD: bool = true;

    fn channel() -> Channel {
        ledger_channel()
    }

    fn image(&self) -> Counted {
        self.counted()
    }

    fn parts(image: Counted) -> Result<Vec<String>, serde_json::Error> {
        let Counted { totals, marks, wanted, dead } = image;
        let first = Counted { totals, wanted, ..Counted::default() };
        let marks = marks.into_iter().map(|marks| Counted { marks: vec![marks], ..Counted::default() });
        let dead =
            dead.chunks(DEAD_PER_PART).map(|dead| Counted { dead: dead.to_vec(), ..Counted::default() });
        std::iter::once(first).chain(marks).chain(dead).map(|part| serde_json::to_string(&part)).collect()
    }

    fn restore(&mut self, parts: &[&RawValue], through: Offset) -> Result<(), serde_json::Error> {
        for (at, part) in parts.iter().enumerate() {
            let part: Counted = serde_json::from_str(part.get())?;
            if at == 0 {
                self.begin_with(part, through);
            } else {
                self.add(part.marks, &part.dead);
            }
        }
        self.applied = through;
        Ok(())
    }
}
