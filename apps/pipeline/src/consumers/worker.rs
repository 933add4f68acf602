//! A consumer at work: takes records, has them processed, writes down what came of them, commits.
//!
//! Records of one partition come one after the other; the partitions a consumer holds go side by side, so
//! that one that waits for a slow sink or its next attempt does not hold up the others.
//!
//! Invariants:
//! - A record is committed only after what came of it is in the log: a crash leads to redelivery, never to
//!   loss.
//! - A record that cannot be processed is a dead letter before its partition goes on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Ended, failed},
    dead_letter::{dead_letter, dead_lettered, empty_letter, is_empty_letter},
};
use crate::{
    domain::{ConsumerId, DataType, LogId},
    events::{Change, Received, TopicAnew},
    state::PipelineState,
    topics::{Member, Partition, Place, ProduceError, Record, TopicsError},
};

/// How long a poll waits for records.
const POLL_WAIT: Duration = Duration::from_secs(1);
/// How often a member says that it is alive while it works, and commits what is done so far.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
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
    pub(crate) state: Arc<PipelineState>,
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
        let records_max = self.state.config.batch_records_max;
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
        let anew = self.state.topics.take_anew().into_iter();
        let anew = anew.map(|topic| Change::TopicAnew(TopicAnew { topic: topic.as_str().to_owned() }));
        let received = anew.chain(records.iter().map(|record| self.received(record))).collect();
        if self.state.journal.write(received).await.is_err() {
            return Ok(());
        }
        let held = Mutex::new(member.holds());
        let done = Done::default();
        let mut workers: FuturesUnordered<_> = by_partition(records)
            .into_iter()
            .map(|records| self.process_partition(records, &held, &done))
            .collect();
        let mut tick =
            tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT_EVERY, HEARTBEAT_EVERY);
        loop {
            tokio::select! {
                ended = workers.next() => if ended.is_none() { break },
                _ = tick.tick() => {
                    // First, because the group may change while the member says that it is alive: whoever
                    // gets a partition then goes on behind what is done here.
                    self.commit(member, &done).await?;
                    member.heartbeat().await?;
                    *held.lock() = member.holds();
                    self.progress.lock().partitions = member.holds();
                }
            }
        }
        drop(workers);
        self.commit(member, &done).await
    }

    /// Commits what is done, after it is in the log.
    async fn commit(&self, member: &mut dyn Member, done: &Done) -> Result<(), TopicsError> {
        let done = std::mem::take(&mut *done.lock());
        if done.is_empty() || self.state.journal.barrier().await.is_err() {
            return Ok(());
        }
        let places = done.into_iter().map(|(partition, offset)| Place { partition, offset });
        let failure = member.commit(places.collect()).await.err().map(|error| error.to_string());
        let mut progress = self.progress.lock();
        if let Some(error) = failure.as_ref().filter(|_| progress.error != failure) {
            // The broker is away, most likely. Should the member end before it is back, the records come
            // again, and do not count again.
            tracing::warn!(consumer = %self.id, error, "a commit failed; it is tried again");
        }
        progress.error = failure;
        Ok(())
    }

    /// Processes the records of one partition in their order.
    async fn process_partition(&self, records: Vec<Record>, held: &Mutex<Vec<Partition>>, done: &Done) {
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
        let state = &self.state;
        let ended = match state.attempt(record, &self.id, &self.stop).await {
            Ok(changes) => {
                self.progress.lock().processed += 1;
                state.journal.write(changes).await
            }
            Err(Ended::Stopped) => return Err(Stopped),
            Err(Ended::Failed(mut changes, reason)) => {
                self.progress.lock().failed += 1;
                changes.extend(self.write_dead_letter(record, &reason).await?);
                state.journal.write(changes).await
            }
        };
        ended.map_err(|_| Stopped)
    }

    /// Makes a record a dead letter, however long the broker takes: without it the record would be lost.
    async fn write_dead_letter(&self, record: &Record, reason: &str) -> Result<Vec<Change>, Stopped> {
        let state = &self.state;
        let topic = record.place.partition.topic.dead_letters(&state.config.dead_letter_suffix);
        let mut letter = dead_letter(record, reason, &self.id);
        let mut wait_ms = state.config.retry_min_ms;
        loop {
            match state.topics.produce(&topic, vec![letter.clone()]).await {
                Ok(places) => {
                    let dead = places.into_iter().next().map(|place| dead_lettered(record, place));
                    return Ok(dead.into_iter().chain([failed(state, record, reason)]).collect());
                }
                // Its own topic took it without what a dead letter says more, or takes more. Waiting would
                // not make it smaller.
                Err(ProduceError::BrokerTooLarge { bytes, .. }) if !is_empty_letter(&letter) => {
                    letter = empty_letter(letter, bytes);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(consumer = %self.id, %error, "a dead letter waits for its topic");
                    self.progress.lock().error = Some(error.to_string());
                }
            }
            state.wait(wait_ms, &self.stop).await.map_err(|_| Stopped)?;
            wait_ms = (wait_ms * 2).min(state.config.retry_max_ms);
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
            timestamp: self.state.context.clock.now(),
        })
    }
}

fn by_partition(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut partitions: HashMap<Partition, Vec<Record>> = HashMap::new();
    for record in records {
        partitions.entry(record.place.partition.clone()).or_default().push(record);
    }
    partitions.into_values().collect()
}
