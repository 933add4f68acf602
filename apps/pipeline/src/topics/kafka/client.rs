//! What all of librdkafka's clients here share: their context, and records as it has them.

use std::{collections::BTreeMap, sync::Arc};

use anywire_log::Timestamp;
use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message as _},
};

use crate::topics::{NewRecord, Partition, Place, Record, TopicName, TopicsError};

/// Under which name a header is passed on whose own name is no text.
const UNREADABLE_HEADER: &str = "anywire-unreadable-header";

/// Hears what librdkafka says.
#[derive(Clone, Default)]
pub(super) struct PendingOffsets {
    /// What a member has yet to commit. It does so before it gives anything away.
    pub(super) pending: Arc<Mutex<BTreeMap<Partition, u64>>>,
    /// Behind which offset the next record of a partition comes, since the member got it.
    pub(super) next: Arc<Mutex<BTreeMap<Partition, u64>>>,
}

impl ClientContext for PendingOffsets {
    fn error(&self, error: KafkaError, reason: &str) {
        // It says so again and again while a broker is away; our own watch says it once.
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for PendingOffsets {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(_) = rebalance
            && let Err(error) = self.commit_pending(consumer)
        {
            tracing::warn!(%error, "a commit before a change of the group failed; its records will be delivered again");
        }
        // Whoever gets a partition goes on from what was committed, which may be before what was read.
        if let Rebalance::Revoke(list) | Rebalance::Assign(list) = rebalance {
            self.next.lock().retain(|partition, _| {
                list.find_partition(partition.topic.as_str(), number(partition)).is_none()
            });
        }
    }
}

impl PendingOffsets {
    /// Commits what is pending. It stays pending where that fails.
    pub(super) fn commit_pending(&self, consumer: &BaseConsumer<Self>) -> Result<(), KafkaError> {
        let mut pending = self.pending.lock();
        if pending.is_empty() {
            return Ok(());
        }
        // What is somebody else's now is theirs to commit.
        let assigned = consumer.assignment()?;
        let mine = |partition: &Partition| {
            assigned.find_partition(partition.topic.as_str(), number(partition)).is_some()
        };
        pending.retain(|partition, _| mine(partition));
        if pending.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for (partition, next) in &*pending {
            let offset = Offset::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
            list.add_partition_offset(partition.topic.as_str(), number(partition), offset)?;
        }
        let later = [RDKafkaErrorCode::RebalanceInProgress, RDKafkaErrorCode::IllegalGeneration];
        match consumer.commit(&list, CommitMode::Sync) {
            Err(error) if error.rdkafka_error_code().is_some_and(|code| later.contains(&code)) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                pending.clear();
                Ok(())
            }
        }
    }
}

/// A message as we know records.
pub(super) fn record(message: &BorrowedMessage<'_>) -> Record {
    let bytes = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let topic = TopicName::trusted(message.topic());
    let partition = Partition { topic, number: u32::try_from(message.partition()).unwrap_or_default() };
    Record {
        place: Place { partition, offset: u64::try_from(message.offset()).unwrap_or_default() },
        time: Timestamp::from_millis(message.timestamp().to_millis().unwrap_or_default()),
        content: NewRecord {
            key: message.key().map(bytes),
            headers: message.headers().map(headers).unwrap_or_default(),
            value: message.payload().map(bytes),
        },
    }
}

/// Headers as we know them. One whose name is no text makes the library panic: such a record must not take
/// its consumer along.
fn headers(headers: &BorrowedHeaders) -> Vec<(String, Option<Bytes>)> {
    let read = |index: usize| {
        let header = headers.get(index);
        (header.key.to_owned(), header.value.map(Bytes::copy_from_slice))
    };
    let one = |index: usize| std::panic::catch_unwind(|| read(index)).ok();
    let unreadable = || (UNREADABLE_HEADER.to_owned(), None);
    (0..headers.count()).map(|index| one(index).unwrap_or_else(unreadable)).collect()
}

pub(super) fn number(partition: &Partition) -> i32 {
    i32::try_from(partition.number).unwrap_or(i32::MAX)
}

pub(super) fn failed(error: KafkaError) -> TopicsError {
    use RDKafkaErrorCode as Code;
    let detail = error.to_string();
    match error.rdkafka_error_code() {
        Some(Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut) => {
            TopicsError::Away { detail }
        }
        _ => TopicsError::Failed { detail },
    }
}
