//! What the engine's threads and its callers share.
//!
//! Locks are taken in this order: the follower's, then the index's. Nothing is written or synced under the index's lock.
//!
//! Knows: what is shared. Does not know: who does what with it.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use anywire_log::{AppendError, Channel, Clock, Epoch, Follower, Offset, RetentionRules};
use parking_lot::{Mutex, RwLock};

use super::{
    config::EmbeddedConfig,
    index::Index,
    queue::Queue,
    segment::{FileError, Files},
    sidecar::KeyRecord,
    upkeep::Jobs,
};

/// What the engine's threads and its callers share.
pub(super) struct Shared {
    pub(super) config: EmbeddedConfig,
    pub(super) rules: RetentionRules,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) epoch: Epoch,
    /// Held while what was committed or trimmed goes into the index and is told, so that it is told in that order.
    pub(super) follower: Mutex<Option<Arc<dyn Follower>>>,
    pub(super) index: RwLock<Index>,
    pub(super) files: Files,
    pub(super) queue: Queue,
    pub(super) jobs: Jobs,
    /// Why the last append could not be stored.
    pub(super) trouble: Mutex<Option<AppendError>>,
    /// Offsets up to here may be in use, as a durable record says.
    pub(super) reserved: AtomicU64,
    /// Held while sealed segments are rewritten, indexed again or removed.
    pub(super) carried: Mutex<Carried>,
}

/// What the checkpoint carries on beside the index.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Keys of segments that are gone, oldest first.
    pub(super) keys: Vec<KeyRecord>,
    /// Channels that are ephemeral now and were durable before, with what they lost by that.
    pub(super) once_durable: Vec<(Channel, Offset)>,
    /// A hash of the retention rules.
    pub(super) rules: u64,
}

impl Shared {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.config.directory.join(name)
    }

    pub(super) fn place(&self) -> String {
        self.config.directory.display().to_string()
    }

    /// Tells of what was trimmed. The caller holds the follower's lock.
    pub(super) fn tell_trimmed(follower: Option<&Arc<dyn Follower>>, trimmed: &[(Channel, Offset)]) {
        if let Some(follower) = follower {
            for (channel, through) in trimmed {
                follower.trimmed(channel, *through);
            }
        }
    }

    /// Does something that reads index files; if one of them turns out to be damaged, makes it again and does it once more.
    pub(super) fn mending<T>(&self, work: impl Fn() -> Result<T, FileError>) -> Result<T, FileError> {
        match work() {
            Err(error) if error.is_damaged_index() => {
                tracing::warn!(%error, "making the index again");
                super::compaction::index_again(self, &error)?;
                work()
            }
            result => result,
        }
    }
}
