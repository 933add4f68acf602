//! What the writer and the members of embedded topics share: where partitions end, what groups committed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use anywire_log::{Batch, Channel, Event, EventName, Log, Offset, Payload, Publication, ReadRequest};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{codec, groups::Groups};
use crate::topics::{NewRecord, Partition, PartitionLag, Place, Record, TopicName, TopicsError};

pub(super) const TOPIC_PREFIX: &str = "$pipeline.topic.";
pub(super) const GROUP_PREFIX: &str = "$pipeline.group.";

/// What the writer and the members share.
pub(super) struct Shared {
    pub(super) log: Arc<Log>,
    pub(super) topics: BTreeMap<TopicName, u32>,
    /// The offset that the next record of a partition gets.
    pub(super) ends: RwLock<HashMap<Partition, u64>>,
    /// The oldest offset of a partition, with what retention had taken when it was read.
    pub(super) begins: RwLock<HashMap<Partition, (Offset, u64)>>,
    /// Counts whatever a waiting member should look at: records, members that came or went.
    pub(super) grown: watch::Sender<u64>,
    pub(super) groups: Mutex<Groups>,
    pub(super) commits: RwLock<HashMap<(String, Partition), Commit>>,
    /// Spreads records without a key.
    pub(super) turn: std::sync::atomic::AtomicU32,
}

/// Where a group goes on in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commit {
    /// The offset of the next record.
    pub(super) offset: u64,
    /// Everything before it is at or before this place of the log.
    pub(super) log: u64,
}

impl Shared {
    pub(super) fn partitions<'a>(&self, topics: impl IntoIterator<Item = &'a TopicName>) -> Vec<Partition> {
        let of = |topic: &TopicName| {
            let topic = topic.clone();
            let count = self.topics.get(&topic).copied().unwrap_or(0);
            (0..count).map(move |number| Partition { topic: topic.clone(), number })
        };
        topics.into_iter().flat_map(of).collect()
    }

    pub(super) fn end(&self, partition: &Partition) -> u64 {
        self.ends.read().get(partition).copied().unwrap_or(0)
    }

    /// Which partition a record comes into: by its key, else in turn.
    pub(super) fn choose(&self, record: &NewRecord, partitions: u32) -> u32 {
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
    pub(super) async fn newest(&self, partition: &Partition) -> Result<Option<(u64, Offset)>, TopicsError> {
        let channel = topic_channel(partition)?;
        let Some(state) = self.log.engine().channel_state(&channel).filter(|state| state.events > 0) else {
            return Ok(None);
        };
        let found = self.first_after(partition, state.last.previous()).await?;
        Ok(found.map(|(at, record)| (record.place.offset, at)))
    }

    /// The first record of a partition after a place of the log.
    pub(super) async fn first_after(
        &self,
        partition: &Partition,
        after: Offset,
    ) -> Result<Option<(Offset, Record)>, TopicsError> {
        Ok(self.read_after(partition, after, 1).await?.pop())
    }

    /// Records of a partition after a place of the log, each with its place there.
    pub(super) async fn read_after(
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
    pub(super) async fn seek(&self, partition: &Partition, offset: u64) -> Result<Offset, TopicsError> {
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

    pub(super) async fn lag(&self, group: &str, partition: Partition) -> Result<PartitionLag, TopicsError> {
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
    pub(super) async fn begin(&self, partition: &Partition, end: u64) -> Result<u64, TopicsError> {
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
    pub(super) async fn commit_of(
        &self,
        group: &str,
        partition: &Partition,
    ) -> Result<Option<Commit>, TopicsError> {
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

    pub(super) async fn commit(
        &self,
        group: &str,
        commits: Vec<(Partition, Commit)>,
    ) -> Result<(), TopicsError> {
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
    pub(super) fn wake(&self) {
        self.grown.send_modify(|count| *count += 1);
    }
}

/// How many bytes one read takes from the log, beside the first record.
const READ_BYTES_MAX: usize = 4 << 20;

pub(super) fn record(partition: &Partition, event: &Event) -> Option<(Offset, Record)> {
    let (offset, content) = codec::decode(event.payload.as_bytes().clone())?;
    let place = Place { partition: partition.clone(), offset };
    Some((event.offset, Record { place, time: event.time, content }))
}

pub(super) fn topic_channel(partition: &Partition) -> Result<Channel, TopicsError> {
    Channel::new(&format!("{TOPIC_PREFIX}{}.{}", partition.topic, partition.number)).map_err(failed)
}

pub(super) fn group_channel(group: &str, partition: &Partition) -> Result<Channel, TopicsError> {
    let number = partition.number;
    Channel::new(&format!("{GROUP_PREFIX}{group}.{}.{number}", partition.topic)).map_err(failed)
}

pub(super) fn name(text: &str) -> Result<EventName, TopicsError> {
    EventName::new(text).map_err(failed)
}

pub(super) fn failed(error: impl std::fmt::Display) -> TopicsError {
    TopicsError::Failed { detail: error.to_string() }
}
