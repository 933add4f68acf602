//! Topics: the one interface of embedded topics and Kafka's.
//!
//! A topic has partitions; a partition is a row of records, each with an offset. The members of a group share
//! the partitions among them, and a group remembers in each partition the offset it goes on from.
//!
//! Invariants, held by [`contract`] for every implementation:
//! - An offset means one record for ever, and a record keeps its key, headers and value byte for byte.
//! - A partition belongs to at most one member of a group at a time, as far as anybody can tell who is alive.
//! - What was not committed is delivered again.

use std::{fmt, sync::Arc, time::Duration};

use anywire_log::{BoxFuture, Timestamp};
use bytes::Bytes;
use tokio::sync::watch;

#[cfg(test)]
mod contract;
mod embedded;
#[cfg(feature = "kafka")]
mod kafka;

pub(crate) use embedded::{EmbeddedTopics, channels};
#[cfg(feature = "kafka")]
pub(crate) use kafka::KafkaTopics;

/// The name of a topic: 1 to 200 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`. Kafka allows 249; the rest
/// is for `.dead`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, schemars::JsonSchema)]
pub struct TopicName(#[schemars(regex(pattern = "^[a-zA-Z0-9._-]{1,200}$"))] Arc<str>);

/// Why a text is no topic name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no topic name; expected 1 to 200 of a-z A-Z 0-9 . _ -")]
pub struct TopicNameError {
    /// The text, cut to 64 characters.
    pub name: String,
}

impl TopicName {
    /// Checks a text and makes it a name.
    ///
    /// # Errors
    /// [`TopicNameError`].
    pub fn new(name: &str) -> Result<Self, TopicNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let sound =
            (1..=200).contains(&name.len()) && name.bytes().all(allowed) && !matches!(name, "." | "..");
        if sound {
            Ok(Self(Arc::from(name)))
        } else {
            Err(TopicNameError { name: name.chars().take(64).collect() })
        }
    }

    /// A name that a broker gave.
    #[cfg(feature = "kafka")]
    pub(crate) fn trusted(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where this topic's records go that cannot be processed.
    #[must_use]
    pub fn dead_letters(&self, suffix: &str) -> Self {
        Self(Arc::from(format!("{}{suffix}", self.0)))
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The topic.
    pub topic: TopicName,
    /// Its number, from 0.
    pub number: u32,
}

/// One place in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The partition.
    pub partition: Partition,
    /// The offset, from 0.
    pub offset: u64,
}

/// What somebody produces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// Records with one key come into one partition, in their order.
    pub key: Option<Bytes>,
    /// Names may repeat. A header without a value is not one with an empty value.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// None is a tombstone, which is not an empty value.
    pub value: Option<Bytes>,
}

/// Whether records fit into what is set. Dead letters need not: a record that somebody else produced may be
/// larger.
///
/// # Errors
/// [`ProduceError::TooLarge`].
pub(crate) fn check_size(
    topic: &TopicName,
    records: &[NewRecord],
    bytes_max: usize,
) -> Result<(), ProduceError> {
    match records.iter().map(weight).find(|bytes| *bytes > bytes_max) {
        Some(bytes) => Err(ProduceError::TooLarge { topic: topic.clone(), bytes, max: bytes_max }),
        None => Ok(()),
    }
}

/// What a record weighs in limits, in bytes.
pub(crate) fn weight(record: &NewRecord) -> usize {
    let bytes = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + bytes(value)).sum();
    headers + bytes(&record.key) + bytes(&record.value)
}

/// A record at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub place: Place,
    /// When it was produced.
    pub time: Timestamp,
    /// What it is.
    pub content: NewRecord,
}

/// How far a group is in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionLag {
    /// The partition.
    pub(crate) partition: Partition,
    /// The oldest offset that is kept.
    pub(crate) begin: u64,
    /// The offset the next record will get.
    pub(crate) end: u64,
    /// The offset the group goes on from; none when it never committed.
    pub(crate) committed: Option<u64>,
    /// When the oldest record was produced that the group has not committed; none when there is none, or it
    /// is not known.
    pub(crate) oldest: Option<Timestamp>,
}

impl PartitionLag {
    /// How many records the group has not committed; none when it never committed.
    #[must_use]
    pub(crate) fn records(&self) -> Option<u64> {
        self.committed.map(|committed| self.end.saturating_sub(committed.max(self.begin)))
    }
}

/// Whether the broker can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broker {
    /// It answers.
    Up,
    /// It does not. Embedded topics are always there.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code))]
    Away {
        /// Why, as far as is known.
        reason: String,
    },
}

/// How a topic is not what it was, or what was expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "kafka"), expect(dead_code))]
pub(crate) enum Shape {
    /// Partitions were added.
    PartitionsAdded { before: u32, now: u32 },
    /// It has another number of partitions than is set for topics that are made.
    PartitionsDiffer { set: u32, now: u32 },
    /// It was deleted.
    Gone,
    /// It was deleted and made anew: other records stand at the same offsets.
    Anew,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PartitionsAdded { before, now } => write!(
                f,
                "the topic has {now} partitions now and had {before}; all are read, and records of one key \
                 may come into another partition from now on"
            ),
            Self::PartitionsDiffer { set, now } => write!(
                f,
                "the topic has {now} partitions and pipeline.partitions is {set}, which is only how many a \
                 topic gets that is made; all {now} are read"
            ),
            Self::Gone => f.write_str("the topic is not there any more"),
            Self::Anew => f.write_str("the topic was made anew; it is read from its beginning"),
        }
    }
}

/// What changed about a topic, and when it was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) topic: TopicName,
    pub(crate) shape: Shape,
    pub(crate) since: Timestamp,
}

/// Why a record was not produced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProduceError {
    /// There is no such topic.
    #[error("there is no topic {topic}; known are: {known}; add it to pipeline.topics")]
    UnknownTopic {
        /// The topic.
        topic: TopicName,
        /// Those that are.
        known: String,
    },
    /// The record is larger than is set.
    #[error(
        "the record has {bytes} bytes and topic {topic} takes at most {max}; send less, or raise pipeline.record_bytes_max"
    )]
    TooLarge {
        /// The topic.
        topic: TopicName,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        max: usize,
    },
    /// The record is larger than the broker takes, which does not say how much that is.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code))]
    #[error(
        "the record has {bytes} bytes, more than the broker takes; send less, or raise max.message.bytes of topic {topic}"
    )]
    BrokerTooLarge {
        /// The topic.
        topic: TopicName,
        /// How large it is.
        bytes: usize,
    },
    /// The broker did not answer in time. The record may or may not be in the topic.
    #[error("the broker did not take the record: {detail}; try again when it is back")]
    Away {
        /// What it said.
        detail: String,
    },
    /// Too much waits for the broker.
    #[error("too many records wait to be taken: {detail}; send more slowly")]
    Busy {
        /// What is full.
        detail: String,
    },
    /// Anything else.
    #[error("the record was not taken: {detail}")]
    Failed {
        /// What was said.
        detail: String,
    },
}

/// Why topics could not be read or joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicsError {
    /// The broker does not answer.
    #[error("the broker does not answer: {detail}")]
    Away {
        /// What it said.
        detail: String,
    },
    /// Another member of the group has this name.
    #[error("group {group} has a member {name} already; choose another name")]
    NameTaken {
        /// The group.
        group: String,
        /// The name.
        name: String,
    },
    /// Anything else.
    #[error("{detail}")]
    Failed {
        /// What was said.
        detail: String,
    },
}

/// Topics somewhere.
pub(crate) trait Topics: Send + Sync + 'static {
    /// A short name for people: `embedded` or `kafka`.
    fn kind(&self) -> &'static str;

    /// Every topic that can be produced to, with its partitions.
    fn topics(&self) -> Vec<(TopicName, u32)>;

    /// Appends records to a topic, and answers when all of them are kept. After an error some of them may be.
    /// How large a record may be is for the caller to check, as far as the broker does not.
    fn produce(
        &self,
        topic: &TopicName,
        records: Vec<NewRecord>,
    ) -> BoxFuture<'static, Result<Vec<Place>, ProduceError>>;

    /// Joins a group as a member with a name, for some topics.
    ///
    /// # Errors
    /// [`TopicsError`].
    fn join(&self, group: &str, name: &str, topics: &[TopicName]) -> Result<Box<dyn Member>, TopicsError>;

    /// Reads one record; none when it is not there any more, or not yet.
    fn read(&self, place: &Place) -> BoxFuture<'static, Result<Option<Record>, TopicsError>>;

    /// How far a group is.
    fn lag(
        &self,
        group: &str,
        topics: &[TopicName],
    ) -> BoxFuture<'static, Result<Vec<PartitionLag>, TopicsError>>;

    /// Whether the broker can be reached.
    fn broker(&self) -> watch::Receiver<Broker>;

    /// What changed last about each topic that is not as it was.
    fn notices(&self) -> Vec<Notice>;

    /// The topics that were made anew since the last call: what was counted of their offsets says nothing any
    /// more.
    fn take_anew(&self) -> Vec<TopicName>;
}

/// A member of a group.
///
/// A caller of [`Member::poll`] has done with everything that earlier calls returned: a partition is given
/// away between calls only. Who works for long must [`Member::tend`] meanwhile, and look afterwards at what
/// it still holds.
pub(crate) trait Member: Send {
    /// The next records of the partitions this member holds; empty after `wait`, and when partitions came or
    /// went.
    fn poll(&mut self, records_max: usize, wait: Duration)
    -> BoxFuture<'_, Result<Vec<Record>, TopicsError>>;

    /// Tells the group that this member is alive, in the middle of its work.
    fn heartbeat(&mut self) -> BoxFuture<'_, Result<(), TopicsError>>;

    /// The partitions this member holds.
    fn holds(&self) -> Vec<Partition>;

    /// The group goes on from these places. The broker may learn it a little later: with a following poll or
    /// commit, and in any case before a partition is given away or the member leaves.
    fn commit(&mut self, places: Vec<Place>) -> BoxFuture<'_, Result<(), TopicsError>>;

    /// Gives its partitions to the others, at once.
    fn leave(self: Box<Self>) -> BoxFuture<'static, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_too_large_is_refused_with_its_size() {
        let topic = TopicName::new("t").expect("a name");
        let record = |bytes: usize| NewRecord {
            key: Some(Bytes::from_static(b"k")),
            headers: vec![("h".to_owned(), None)],
            value: Some(Bytes::from(vec![0; bytes])),
        };
        assert_eq!(check_size(&topic, &[record(8), record(0)], 10), Ok(()));
        let refused = check_size(&topic, &[record(8), record(9)], 10);
        assert_eq!(refused, Err(ProduceError::TooLarge { topic, bytes: 11, max: 10 }));
    }
}
