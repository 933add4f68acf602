//! Embedded topics: partitions, groups and commits on the log, for whoever has no Kafka.
//!
//! ```text
//!  produce ─▶ writer: numbers the records, one append for all that wait ─▶ $pipeline.topic.<topic>.<partition>
//!  poll ────▶ member: its cursor in the partition's channel            ◀─┘
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
    AppendError, Batch, BoxFuture, Channel, ChannelPattern, Event, EventName, Keep, Log, Offset, Payload,
    Publication, ReadRequest, Retention, RetentionRule,
};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Broker, Member, NewRecord, Partition, PartitionLag, Place, ProduceError, Record, TopicName, Topics,
    TopicsError, weight,
};

mod codec;
mod groups;
mod member;
#[cfg(test)]
mod tests;

use groups::Groups;
use member::EmbeddedMember;

/// How many records may wait for the writer.
const WAITING_MAX: usize = 4096;
/// How many records one append holds at most.
const APPEND_MAX: usize = 1024;
/// How many bytes one append holds at most, beside its last record: the log does not take batches of any
/// size.
const APPEND_BYTES_MAX: usize = 16 << 20;

const TOPIC_PREFIX: &str = "$pipeline.topic.";
const GROUP_PREFIX: &str = "$pipeline.group.";

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
}

/// What the writer and the members share.
struct Shared {
    log: Arc<Log>,
    topics: BTreeMap<TopicName, u32>,
    /// The offset that the next record of a partition gets.
    ends: RwLock<HashMap<Partition, u64>>,
    /// The oldest offset of a partition, with what retention had taken when it was read.
    begins: RwLock<HashMap<Partition, (Offset, u64)>>,
    /// Counts whatever a waiting member should look at: records, members that came or went.
    grown: watch::Sender<u64>,
    groups: Mutex<Groups>,
    commits: RwLock<HashMap<(String, Partition), Commit>>,
    /// Spreads records without a key.
    turn: std::sync::atomic::AtomicU32,
}

/// Where a group goes on in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Commit {
    /// The offset of the next record.
    offset: u64,
    /// Everything before it is at or before this place of the log.
    log: u64,
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
        topics: BTreeMap<TopicName, u32>,
    ) -> Result<Arc<Self>, TopicsError> {
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
        Ok(Arc::new(Self { shared, writer, broker: watch::Sender::new(Broker::Up) }))
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
}

impl Shared {
    fn partitions<'a>(&self, topics: impl IntoIterator<Item = &'a TopicName>) -> Vec<Partition> {
        let of = |topic: &TopicName| {
            let topic = topic.clone();
            let count = self.topics.get(&topic).copied().unwrap_or(0);
            (0..count).map(move |number| Partition { topic: topic.clone(), number })
        };
        topics.into_iter().flat_map(of).collect()
    }

    fn end(&self, partition: &Partition) -> u64 {
        self.ends.read().get(partition).copied().unwrap_or(0)
    }

    /// Which partition a record comes into: by its key, else in turn.
    fn choose(&self, record: &NewRecord, partitions: u32) -> u32 {
        let partitions = partitions.max(1);
        match &record.key {
            // FNV-1a: it must stay the same over restarts and releases.
            Some(key) => {
                key.iter()
                    .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
                    % partitions
            }
            None => self.turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % partitions,
        }
    }

    /// The newest record of a partition with its place in the log.
    async fn newest(&self, partition: &Partition) -> Result<Option<(u64, Offset)>, TopicsError> {
        let channel = topic_channel(partition)?;
        let Some(state) = self.log.engine().channel_state(&channel).filter(|state| state.events > 0) else {
            return Ok(None);
        };
        let found = self.first_after(partition, state.last.previous()).await?;
        Ok(found.map(|(at, record)| (record.place.offset, at)))
    }

    /// The first record of a partition after a place of the log.
    async fn first_after(
        &self,
        partition: &Partition,
        after: Offset,
    ) -> Result<Option<(Offset, Record)>, TopicsError> {
        Ok(self.read_after(partition, after, 1).await?.pop())
    }

    /// Records of a partition after a place of the log, each with its place there.
    async fn read_after(
        &self,
        partition: &Partition,
        after: Offset,
        records_max: usize,
    ) -> Result<Vec<(Offset, Record)>, TopicsError> {
        let channels = vec![topic_channel(partition)?];
        let (through, mut after) = (self.log.tail_offset(), after);
        let found = loop {
            let channels = channels.clone();
            let request =
                ReadRequest { channels, after, through, events_max: records_max, bytes_max: READ_BYTES_MAX };
            // A gap of retention is no error here: the group goes on with the oldest record that is kept, as
            // with Kafka.
            match self.log.read_behind(request).await.map_err(failed)? {
                (_, Some(gap)) if gap.to.offset > after => after = gap.to.offset,
                (found, _) => break found,
            }
        };
        Ok(found.events.iter().filter_map(|event| record(partition, event)).collect())
    }

    /// A place of the log after which the first record has this offset or a greater one.
    ///
    /// Cost: a binary search over the log, about forty reads.
    async fn seek(&self, partition: &Partition, offset: u64) -> Result<Offset, TopicsError> {
        let channel = topic_channel(partition)?;
        let Some(state) = self.log.engine().channel_state(&channel) else { return Ok(Offset::ZERO) };
        if offset >= self.end(partition) {
            return Ok(state.last);
        }
        let (mut low, mut high) = (state.trimmed_through.get(), state.last.get());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.first_after(partition, Offset::new(middle)).await? {
                Some((at, record)) if record.place.offset < offset => low = at.get(),
                _ => high = middle,
            }
        }
        Ok(Offset::new(low))
    }

    async fn lag(&self, group: &str, partition: Partition) -> Result<PartitionLag, TopicsError> {
        let commit = self.commit_of(group, &partition).await?;
        let end = self.end(&partition);
        let begin = self.begin(&partition, end).await?;
        let next = match commit {
            Some(commit) if commit.offset < end => {
                self.first_after(&partition, Offset::new(commit.log)).await?
            }
            _ => None,
        };
        let oldest = next.map(|(_, record)| record.time);
        Ok(PartitionLag { partition, begin, end, committed: commit.map(|commit| commit.offset), oldest })
    }

    /// The oldest offset that is kept. It is read again only after retention took something: lag is measured
    /// every second.
    async fn begin(&self, partition: &Partition, end: u64) -> Result<u64, TopicsError> {
        let channel = topic_channel(partition)?;
        let state = self.log.engine().channel_state(&channel).filter(|state| state.events > 0);
        let Some(trimmed) = state.map(|state| state.trimmed_through) else { return Ok(end) };
        if let Some((known, begin)) = self.begins.read().get(partition)
            && *known == trimmed
        {
            return Ok(*begin);
        }
        let Some((_, oldest)) = self.first_after(partition, trimmed).await? else { return Ok(end) };
        self.begins.write().insert(partition.clone(), (trimmed, oldest.place.offset));
        Ok(oldest.place.offset)
    }

    /// Where a group goes on in a partition, from memory, else from the log.
    async fn commit_of(&self, group: &str, partition: &Partition) -> Result<Option<Commit>, TopicsError> {
        let key = (group.to_owned(), partition.clone());
        if let Some(commit) = self.commits.read().get(&key) {
            return Ok(Some(*commit));
        }
        let channel = group_channel(group, partition)?;
        let Some(state) = self.log.engine().channel_state(&channel).filter(|state| state.events > 0) else {
            return Ok(None);
        };
        let request = ReadRequest {
            channels: vec![channel],
            after: state.last.previous(),
            through: state.last,
            events_max: 1,
            bytes_max: READ_BYTES_MAX,
        };
        let (found, _gap) = self.log.read_behind(request).await.map_err(failed)?;
        let commit =
            found.events.last().and_then(|event| serde_json::from_slice(event.payload.as_bytes()).ok());
        if let Some(commit) = commit {
            self.commits.write().entry(key).or_insert(commit);
        }
        Ok(commit)
    }

    async fn commit(&self, group: &str, commits: Vec<(Partition, Commit)>) -> Result<(), TopicsError> {
        let mut publications = Vec::with_capacity(commits.len());
        for (partition, commit) in &commits {
            let json = serde_json::to_vec(commit).map_err(failed)?;
            let channel = group_channel(group, partition)?;
            publications.push(Publication {
                channel,
                name: name("commit")?,
                payload: Payload::Json(json.into()),
            });
        }
        if publications.is_empty() {
            return Ok(());
        }
        self.log.append(Batch::new(publications)).await.map_err(failed)?;
        let mut known = self.commits.write();
        for (partition, commit) in commits {
            known.insert((group.to_owned(), partition), commit);
        }
        Ok(())
    }

    /// Wakes whoever waits for records or partitions.
    fn wake(&self) {
        self.grown.send_modify(|count| *count += 1);
    }
}

/// How many bytes one read takes from the log, beside the first record.
const READ_BYTES_MAX: usize = 4 << 20;

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

fn record(partition: &Partition, event: &Event) -> Option<(Offset, Record)> {
    let (offset, content) = codec::decode(event.payload.as_bytes().clone())?;
    let place = Place { partition: partition.clone(), offset };
    Some((event.offset, Record { place, time: event.time, content }))
}

fn topic_channel(partition: &Partition) -> Result<Channel, TopicsError> {
    Channel::new(&format!("{TOPIC_PREFIX}{}.{}", partition.topic, partition.number)).map_err(failed)
}

fn group_channel(group: &str, partition: &Partition) -> Result<Channel, TopicsError> {
    let number = partition.number;
    Channel::new(&format!("{GROUP_PREFIX}{group}.{}.{number}", partition.topic)).map_err(failed)
}

fn name(text: &str) -> Result<EventName, TopicsError> {
    EventName::new(text).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> TopicsError {
    TopicsError::Failed { detail: error.to_string() }
}
