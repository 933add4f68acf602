//! A consumer at work: takes records, has them processed, writes down what came of them, commits.
//!
//! Records of one partition come one after the other; the partitions a consumer holds go side by side, so that one that waits for a slow
//! sink or its next attempt does not hold up the others.
//!
//! Knows: the order of things. Does not know: Kafka, the log's writing, what processing does.
//!
//! Invariants:
//! - A record is committed only after what came of it is in the log: a crash leads to redelivery, never to loss.
//! - A record that cannot be processed is a dead letter before its partition goes on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{ConsumerId, DataType, LogId},
    events::{
        Change, Completed, DeadLettered, Failed, FailedWord, ProcessedWord, ProcessingWord, Received, Started,
    },
    plant::Plant,
    processing::Failure,
    topics::{Member, NewRecord, Partition, Place, ProduceError, Record, TopicsError},
};

/// How long a poll waits for records.
const POLL_WAIT: Duration = Duration::from_secs(1);
/// How often a member says that it is alive while it works, and commits what is done so far.
const TEND_EVERY: Duration = Duration::from_secs(1);
/// How many characters of a reason are kept: a hook may say anything, and it goes to every browser.
const REASON_MAX: usize = 1000;
/// After how many records without a wait the others on this thread have their turn.
const YIELD_EVERY: usize = 64;

/// What a consumer does at the moment, for whoever looks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub(crate) partitions: Vec<Partition>,
    pub(crate) processed: u64,
    pub(crate) failed: u64,
    pub(crate) error: Option<String>,
}

pub(crate) struct Worker {
    pub(crate) plant: Arc<Plant>,
    pub(crate) id: ConsumerId,
    pub(crate) progress: Arc<Mutex<Progress>>,
    pub(crate) stop: CancellationToken,
}

/// The offset after the last record that is done, by partition.
type Done = Mutex<HashMap<Partition, u64>>;

/// Nothing more shall be done: the consumer stops, or the partition is somebody else's.
struct Stopped;

impl Worker {
    /// Works until it is told to stop, or its member fails.
    pub(crate) async fn run(&self, member: &mut dyn Member) -> Result<(), TopicsError> {
        let records_max = self.plant.config.batch_records_max;
        while !self.stop.is_cancelled() {
            let records = tokio::select! {
                records = member.poll(records_max, POLL_WAIT) => records?,
                () = self.stop.cancelled() => return Ok(()),
            };
            self.progress.lock().partitions = member.holds();
            if !records.is_empty() {
                self.work(member, records).await?;
            }
        }
        Ok(())
    }

    async fn work(&self, member: &mut dyn Member, records: Vec<Record>) -> Result<(), TopicsError> {
        let received = records.iter().map(|record| self.received(record)).collect();
        if self.plant.journal.write(received).await.is_err() {
            return Ok(());
        }
        let held = Mutex::new(member.holds());
        let done = Done::default();
        let mut lanes: FuturesUnordered<_> =
            by_partition(records).into_iter().map(|records| self.lane(records, &held, &done)).collect();
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + TEND_EVERY, TEND_EVERY);
        loop {
            tokio::select! {
                lane = lanes.next() => if lane.is_none() { break },
                _ = tick.tick() => {
                    // First, because the group may change while the member says that it is alive: whoever gets a partition then goes on
                    // behind what is done here.
                    self.commit(member, &done).await?;
                    member.tend().await?;
                    *held.lock() = member.holds();
                    self.progress.lock().partitions = member.holds();
                }
            }
        }
        drop(lanes);
        self.commit(member, &done).await
    }

    /// Commits what is done, after it is in the log.
    async fn commit(&self, member: &mut dyn Member, done: &Done) -> Result<(), TopicsError> {
        let done = std::mem::take(&mut *done.lock());
        if done.is_empty() || self.plant.journal.barrier().await.is_err() {
            return Ok(());
        }
        let places = done.into_iter().map(|(partition, offset)| Place { partition, offset });
        let failure = member.commit(places.collect()).await.err().map(|error| error.to_string());
        let mut progress = self.progress.lock();
        if let Some(error) = failure.as_ref().filter(|_| progress.error != failure) {
            // The broker is away, most likely. Should the member end before it is back, the records come again, and do not count again.
            tracing::warn!(consumer = %self.id, error, "a commit failed; it is tried again");
        }
        progress.error = failure;
        Ok(())
    }

    /// Processes the records of one partition in their order.
    async fn lane(&self, records: Vec<Record>, held: &Mutex<Vec<Partition>>, done: &Done) {
        for (turn, record) in records.iter().enumerate() {
            let partition = &record.place.partition;
            if self.stop.is_cancelled() || !held.lock().contains(partition) {
                return;
            }
            if self.one(record).await.is_err() {
                return;
            }
            done.lock().insert(partition.clone(), record.place.offset + 1);
            if turn % YIELD_EVERY == YIELD_EVERY - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn one(&self, record: &Record) -> Result<(), Stopped> {
        let plant = &self.plant;
        let ended = match plant.attempt(record, &self.id, &self.stop).await {
            Ok(changes) => {
                self.progress.lock().processed += 1;
                plant.journal.write(changes).await
            }
            Err(Ended::Stopped) => return Err(Stopped),
            Err(Ended::Failed(mut changes, reason)) => {
                self.progress.lock().failed += 1;
                changes.extend(self.bury(record, &reason).await?);
                plant.journal.write(changes).await
            }
        };
        ended.map_err(|_| Stopped)
    }

    /// Makes a record a dead letter, however long the broker takes: without it the record would be lost.
    async fn bury(&self, record: &Record, reason: &str) -> Result<Vec<Change>, Stopped> {
        let plant = &self.plant;
        let topic = record.place.partition.topic.dead_letters(&plant.config.dead_letter_suffix);
        let mut letter = dead_letter(record, reason, &self.id);
        let mut wait_ms = plant.config.retry_min_ms;
        loop {
            match plant.topics.produce(&topic, vec![letter.clone()]).await {
                Ok(places) => {
                    let dead = places.into_iter().next().map(|place| dead_lettered(record, place));
                    return Ok(dead.into_iter().chain([failed(plant, record, reason)]).collect());
                }
                // Its own topic took it without what a dead letter says more, or takes more. Waiting would not make it smaller.
                Err(ProduceError::BrokerTooLarge { bytes, .. }) if !is_empty_letter(&letter) => {
                    letter = empty_letter(letter, bytes);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(consumer = %self.id, %error, "a dead letter waits for its topic");
                    self.progress.lock().error = Some(error.to_string());
                }
            }
            plant.wait(wait_ms, &self.stop).await.map_err(|_| Stopped)?;
            wait_ms = (wait_ms * 2).min(plant.config.retry_max_ms);
        }
    }

    fn received(&self, record: &Record) -> Change {
        let Place { partition, offset } = &record.place;
        let (data_type, row_count) = DataType::of(record);
        Change::Received(Received {
            log_id: LogId::of(record),
            topic: partition.topic.as_str().to_owned(),
            partition: partition.number,
            offset: offset.to_string(),
            data_type,
            row_count,
            timestamp: self.plant.context.clock.now(),
        })
    }
}

/// Why attempts at a record ended without success.
pub(crate) enum Ended {
    /// The consumer was told to stop.
    Stopped,
    /// It failed for good: what is to be written down, and why.
    Failed(Vec<Change>, String),
}

impl Plant {
    /// Tries a record as often as is set, and gives what is to be written down.
    pub(crate) async fn attempt(
        &self,
        record: &Record,
        consumer: &ConsumerId,
        stop: &CancellationToken,
    ) -> Result<Vec<Change>, Ended> {
        let log_id = LogId::of(record);
        let mut wait_ms = self.config.retry_min_ms;
        for attempt in 1.. {
            let now = self.context.clock.now();
            let mut changes =
                vec![Change::Started(Started { log_id, status: ProcessingWord::It, timestamp: now })];
            // Who looks sees that it began while it waits; what needs no wait is written down in one go.
            if self.processing.waits() {
                self.journal.write(std::mem::take(&mut changes)).await.map_err(|_| Ended::Stopped)?;
            }
            let (reason, again) = match self.processing.process(record).await {
                Ok(()) => {
                    let timestamp = self.context.clock.now();
                    let status = ProcessedWord::It;
                    changes.push(Change::Completed(Completed {
                        log_id,
                        consumer_id: consumer.clone(),
                        status,
                        timestamp,
                    }));
                    return Ok(changes);
                }
                Err(Failure::Record(reason)) => (reason, false),
                Err(Failure::Passing(reason)) => (reason, attempt < self.config.attempts_max),
            };
            if !again {
                return Err(Ended::Failed(changes, reason.chars().take(REASON_MAX).collect()));
            }
            self.wait(wait_ms, stop).await.map_err(|_| Ended::Stopped)?;
            wait_ms = (wait_ms * 2).min(self.config.retry_max_ms);
        }
        Err(Ended::Stopped)
    }

    /// Waits, or ends early because the consumer stops.
    async fn wait(&self, wait_ms: u64, stop: &CancellationToken) -> Result<(), ()> {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => Ok(()),
            () = stop.cancelled() => Err(()),
        }
    }
}

/// What is written down of a record that failed for good.
pub(crate) fn failed(plant: &Plant, record: &Record, reason: &str) -> Change {
    let timestamp = plant.context.clock.now();
    Change::Failed(Failed {
        log_id: LogId::of(record),
        status: FailedWord::It,
        error: reason.to_owned(),
        timestamp,
    })
}

fn dead_lettered(record: &Record, place: Place) -> Change {
    Change::DeadLettered(DeadLettered {
        log_id: LogId::of(record),
        topic: place.partition.topic.as_str().to_owned(),
        partition: place.partition.number,
        offset: place.offset,
    })
}

/// A record as it was, with headers that say where it comes from and why it is here.
fn dead_letter(record: &Record, reason: &str, consumer: &ConsumerId) -> NewRecord {
    let Place { partition, offset } = &record.place;
    let mut letter = record.content.clone();
    letter.headers.extend([
        mark("reason", reason.to_owned()),
        mark("topic", partition.topic.as_str().to_owned()),
        mark("partition", partition.number.to_string()),
        mark("offset", offset.to_string()),
        mark("time", crate::time::iso(record.time)),
        mark("consumer", consumer.as_str().to_owned()),
    ]);
    letter
}

/// A dead letter with nothing but what it says: the record stays where it was, and that is written on it.
fn empty_letter(letter: NewRecord, bytes: usize) -> NewRecord {
    let mut headers = letter.headers;
    headers.retain(|(name, _)| name.starts_with(DEAD_LETTER_PREFIX));
    headers.push(mark(LEFT_OUT, format!("{bytes} bytes, more than this topic takes")));
    NewRecord { key: None, headers, value: None }
}

/// Whether a dead letter does not hold its record.
pub(crate) fn is_empty_letter(letter: &NewRecord) -> bool {
    let left_out = |name: &str| name.strip_prefix(DEAD_LETTER_PREFIX) == Some(LEFT_OUT);
    letter.headers.iter().any(|(name, _)| left_out(name))
}

fn mark(name: &str, value: String) -> (String, Option<Bytes>) {
    (format!("{DEAD_LETTER_PREFIX}{name}"), Some(Bytes::from(value)))
}

/// The header of a dead letter whose record was left out.
const LEFT_OUT: &str = "left-out";

/// What the names of the headers begin with that a dead letter got.
pub(crate) const DEAD_LETTER_PREFIX: &str = "anywire-dead-letter-";

fn by_partition(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut lanes: HashMap<Partition, Vec<Record>> = HashMap::new();
    for record in records {
        lanes.entry(record.place.partition.clone()).or_default().push(record);
    }
    lanes.into_values().collect()
}

#[cfg(test)]
mod tests {
    use anywire_log::Timestamp;

    use super::*;
    use crate::topics::TopicName;

    #[test]
    fn a_dead_letter_that_does_not_fit_says_where_its_record_is_and_leaves_it_out() {
        let partition = Partition { topic: TopicName::new("t").expect("a name"), number: 3 };
        let content = NewRecord {
            key: Some(Bytes::from_static(b"k")),
            headers: vec![("own".to_owned(), None)],
            value: Some(Bytes::from_static(b"v")),
        };
        let place = Place { partition, offset: 7 };
        let record = Record { place, time: Timestamp::from_millis(0), content: content.clone() };
        let letter = dead_letter(&record, "bad", &ConsumerId::new("c").expect("a name"));
        assert_eq!(
            (&letter.key, &letter.value, &letter.headers[0]),
            (&content.key, &content.value, &content.headers[0])
        );
        assert!(!is_empty_letter(&letter));
        let letter = empty_letter(letter, 2_000_000);
        assert!(is_empty_letter(&letter) && letter.key.is_none() && letter.value.is_none());
        let said = |name: &str| {
            letter.headers.iter().find(|(header, _)| header == name).and_then(|(_, value)| value.clone())
        };
        assert_eq!(said("anywire-dead-letter-offset").as_deref(), Some(&b"7"[..]));
        assert_eq!(said("anywire-dead-letter-reason").as_deref(), Some(&b"bad"[..]));
        assert_eq!(said("own"), None);
    }
}
