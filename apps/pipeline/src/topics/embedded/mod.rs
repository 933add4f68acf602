//! Embedded topics: partitions, groups and commits on the log, for whoever has no Kafka.
//!
//! ```text
//!  produce ─▶ writer: numbers the records, one append for all that wait
//!               └─▶ $pipeline.topic.<topic>.<partition>
//!  poll ────▶ member: its cursor in that channel
//!  commit ──▶ $pipeline.group.<group>.<topic>.<partition>, where only the newest event counts
//! ```
//!
//! Invariants:
//! - Only the writer gives offsets; a partition's offsets have no holes.
//! - The newest record of a partition is never trimmed, so that an offset never comes twice.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use anywire_log::{
    AppendError, Batch, BoxFuture, ChannelPattern, Clock as _, Keep, Log, Payload, Publication, Retention,
    RetentionRule, SystemClock,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Broker, Member, NewRecord, Notice, Partition, PartitionLag, Place, ProduceError, Record, Shape,
    TopicName, Topics, TopicsError, weight,
};

mod codec;
mod groups;
mod member;
mod shared;
#[cfg(test)]
mod tests;

use member::EmbeddedMember;
use shared::{GROUP_PREFIX, Shared, TOPIC_PREFIX, name, topic_channel};

/// The most partitions a topic has.
const PARTITIONS_MAX: u32 = 256;
/// How many records may wait for the writer.
const WAITING_MAX: usize = 4096;
/// How many records one append holds at most.
const APPEND_MAX: usize = 1024;
/// How many bytes one append holds at most, beside its last record: the log does not take batches of any
/// size.
const APPEND_BYTES_MAX: usize = 16 << 20;

/// The retention embedded topics need.
pub(crate) fn channels(partition_records_max: u64, partition_bytes_max: u64) -> Vec<RetentionRule> {
    let rule = |prefix: &str, retention| RetentionRule {
        pattern: ChannelPattern::new(&format!("{prefix}*")),
        retention,
    };
    let forever = Retention { age_max_ms: u64::MAX, ..Retention::default() };
    let topic =
        Retention { events_max: partition_records_max, bytes_max: partition_bytes_max, ..forever.clone() };
    vec![rule(TOPIC_PREFIX, topic), rule(GROUP_PREFIX, Retention { keep: Keep::Latest, ..forever })]
}

/// Topics on the log.
pub(crate) struct EmbeddedTopics {
    shared: Arc<Shared>,
    writer: mpsc::Sender<Write>,
    broker: watch::Sender<Broker>,
    notices: Vec<Notice>,
}

/// A record on its way to the log.
struct Write {
    partition: Partition,
    record: NewRecord,
    answer: oneshot::Sender<Result<Place, ProduceError>>,
}

impl EmbeddedTopics {
    /// Finds where the topics end, and starts the writer, which ends with the last user of these topics.
    ///
    /// # Errors
    /// [`TopicsError`] when the log cannot be read.
    pub(crate) async fn open(
        log: Arc<Log>,
        mut topics: BTreeMap<TopicName, u32>,
    ) -> Result<Arc<Self>, TopicsError> {
        let notices = keep_partitions(&log, &mut topics)?;
        let shared = Arc::new(Shared {
            log,
            topics,
            ends: RwLock::default(),
            begins: RwLock::default(),
            grown: watch::Sender::new(0),
            groups: Mutex::default(),
            commits: RwLock::default(),
            turn: std::sync::atomic::AtomicU32::new(0),
        });
        for partition in shared.partitions(shared.topics.keys()) {
            let end = shared.newest(&partition).await?.map_or(0, |(offset, _)| offset + 1);
            shared.ends.write().insert(partition, end);
        }
        let (writer, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(Arc::clone(&shared), waiting));
        Ok(Arc::new(Self { shared, writer, broker: watch::Sender::new(Broker::Up), notices }))
    }

    /// How many partitions a topic has.
    fn partitions(&self, topic: &TopicName) -> Result<u32, ProduceError> {
        let unknown = || {
            let known: Vec<&str> = self.shared.topics.keys().map(TopicName::as_str).collect();
            ProduceError::UnknownTopic { topic: topic.clone(), known: known.join(", ") }
        };
        self.shared.topics.get(topic).copied().ok_or_else(unknown)
    }
}

/// Gives topics at least the partitions that hold records: fewer in the settings would hide them.
fn keep_partitions(log: &Log, topics: &mut BTreeMap<TopicName, u32>) -> Result<Vec<Notice>, TopicsError> {
    let mut notices = Vec::new();
    for (topic, count) in topics {
        let set = *count;
        for number in set..PARTITIONS_MAX {
            let channel = topic_channel(&Partition { topic: topic.clone(), number })?;
            if log.engine().channel_state(&channel).is_some_and(|state| state.events > 0) {
                *count = number + 1;
            }
        }
        if *count > set {
            let shape = Shape::PartitionsDiffer { set, now: *count };
            tracing::warn!(%topic, "{shape}");
            notices.push(Notice { topic: topic.clone(), shape, since: SystemClock.now() });
        }
    }
    Ok(notices)
}

impl Topics for EmbeddedTopics {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn topics(&self) -> Vec<(TopicName, u32)> {
        self.shared.topics.iter().map(|(name, count)| (name.clone(), *count)).collect()
    }

    fn produce(
        &self,
        topic: &TopicName,
        records: Vec<NewRecord>,
    ) -> BoxFuture<'static, Result<Vec<Place>, ProduceError>> {
        let partitions = self.partitions(topic);
        let (topic, writer, shared) = (topic.clone(), self.writer.clone(), Arc::clone(&self.shared));
        Box::pin(async move {
            let partitions = partitions?;
            let closed = || ProduceError::Away { detail: "the server is stopping".to_owned() };
            let mut answers = Vec::with_capacity(records.len());
            for record in records {
                let number = shared.choose(&record, partitions);
                let (answer, answered) = oneshot::channel();
                let partition = Partition { topic: topic.clone(), number };
                writer.send(Write { partition, record, answer }).await.map_err(|_| closed())?;
                answers.push(answered);
            }
            let mut places = Vec::with_capacity(answers.len());
            for answered in answers {
                places.push(answered.await.map_err(|_| closed())??);
            }
            Ok(places)
        })
    }

    fn join(&self, group: &str, name: &str, topics: &[TopicName]) -> Result<Box<dyn Member>, TopicsError> {
        let partitions = self.shared.partitions(topics);
        Ok(Box::new(EmbeddedMember::join(Arc::clone(&self.shared), group, name, partitions)?))
    }

    fn read(&self, place: &Place) -> BoxFuture<'static, Result<Option<Record>, TopicsError>> {
        let (shared, place) = (Arc::clone(&self.shared), place.clone());
        Box::pin(async move {
            if place.offset >= shared.end(&place.partition) {
                return Ok(None);
            }
            let after = shared.seek(&place.partition, place.offset).await?;
            let found = shared.first_after(&place.partition, after).await?;
            Ok(found.map(|(_, record)| record).filter(|record| record.place == place))
        })
    }

    fn lag(
        &self,
        group: &str,
        topics: &[TopicName],
    ) -> BoxFuture<'static, Result<Vec<PartitionLag>, TopicsError>> {
        let (shared, group, topics) = (Arc::clone(&self.shared), group.to_owned(), topics.to_vec());
        Box::pin(async move {
            let mut lags = Vec::new();
            for partition in shared.partitions(&topics) {
                lags.push(shared.lag(&group, partition).await?);
            }
            Ok(lags)
        })
    }

    fn broker(&self) -> watch::Receiver<Broker> {
        self.broker.subscribe()
    }

    fn notices(&self) -> Vec<Notice> {
        self.notices.clone()
    }

    fn take_anew(&self) -> Vec<TopicName> {
        Vec::new()
    }
}

/// Takes what waits, numbers it, appends it. One append at a time: what comes meanwhile goes with the next.
async fn write(shared: Arc<Shared>, mut waiting: mpsc::Receiver<Write>) {
    let mut writes = Vec::with_capacity(APPEND_MAX);
    while waiting.recv_many(&mut writes, APPEND_MAX).await > 0 {
        while !writes.is_empty() {
            let rest = writes.split_off(fitting(&writes));
            append(&shared, std::mem::replace(&mut writes, rest)).await;
        }
    }
}

/// How many of them go into one append.
fn fitting(writes: &[Write]) -> usize {
    let mut bytes = 0;
    let before = writes.iter().take_while(|write| {
        let more = bytes < APPEND_BYTES_MAX;
        bytes += weight(&write.record);
        more
    });
    before.count()
}

async fn append(shared: &Shared, writes: Vec<Write>) {
    let (batch, places, ends) = match number(shared, &writes) {
        Ok(numbered) => numbered,
        Err(error) => return answer_all(writes, &ProduceError::Failed { detail: error.to_string() }),
    };
    match shared.log.append(batch).await {
        Ok(_) => {
            shared.ends.write().extend(ends);
            shared.wake();
            for (write, place) in writes.into_iter().zip(places) {
                // Whoever asked may be gone: the record is kept all the same.
                let _gone = write.answer.send(Ok(place));
            }
        }
        Err(error @ AppendError::Busy { .. }) => {
            answer_all(writes, &ProduceError::Busy { detail: error.to_string() })
        }
        Err(error) => answer_all(writes, &ProduceError::Away { detail: error.to_string() }),
    }
}

type Numbered = (Batch, Vec<Place>, HashMap<Partition, u64>);

fn number(shared: &Shared, writes: &[Write]) -> Result<Numbered, TopicsError> {
    let mut ends: HashMap<Partition, u64> = HashMap::new();
    let (mut places, mut publications) = (Vec::new(), Vec::new());
    for Write { partition, record, .. } in writes {
        let end = ends.entry(partition.clone()).or_insert_with(|| shared.end(partition));
        places.push(Place { partition: partition.clone(), offset: *end });
        let payload = Payload::Binary(codec::encode(*end, record));
        publications.push(Publication { channel: topic_channel(partition)?, name: name("record")?, payload });
        *end += 1;
    }
    Ok((Batch::new(publications), places, ends))
}

fn answer_all(writes: Vec<Write>, error: &ProduceError) {
    for write in writes {
        let _gone = write.answer.send(Err(error.clone()));
    }
}
