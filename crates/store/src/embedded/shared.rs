//! What the engine's threads and its callers share.
//!
//! Invariant: locks are taken in this order: the checkpoint's, the manifest's, the follower's, the index's.
//! Nothing is written or synced under the index's lock.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use anywire_log::{AppendError, Channel, Clock, Epoch, Follower, Offset, RetentionRules};
use parking_lot::{Mutex, RwLock};

use crate::embedded::{
    compaction::jobs::{Jobs, Stop},
    config::EmbeddedConfig,
    index::Index,
    journal::queue::Queue,
    segment::{files::Files, segment_index::KeyRecord},
};

pub(crate) const CHECKPOINT_FILE: &str = "checkpoint";
/// Holds nothing: on a full disk it is removed, so that there is room for the checkpoint without which no
/// segment can be removed.
pub(crate) const SPARE_FILE: &str = "spare";
/// How many channels are visited under one lock.
pub(crate) const CHANNELS_AT_ONCE: usize = 256;

/// What the engine's threads and its callers share.
pub(crate) struct Shared {
    pub(crate) config: EmbeddedConfig,
    pub(crate) rules: RetentionRules,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) epoch: Epoch,
    /// Held while what was committed or trimmed goes into the index and is told, so that it is told in that
    /// order.
    pub(crate) follower: Mutex<Option<Arc<dyn Follower>>>,
    pub(crate) index: RwLock<Index>,
    pub(crate) files: Files,
    pub(crate) queue: Queue,
    pub(crate) jobs: Jobs,
    pub(crate) scrub: Stop,
    /// Why the last append could not be stored.
    pub(crate) trouble: Mutex<Option<AppendError>>,
    /// How many channels hold events.
    pub(crate) channels: AtomicUsize,
    /// Offsets up to here may be in use, as a durable record says.
    pub(crate) reserved: AtomicU64,
    /// The number of the newest checkpoint. Held while the manifest is written.
    pub(crate) manifest: Mutex<u64>,
    /// Held while sealed segments are rewritten, indexed again or removed.
    pub(crate) checkpoint: Mutex<CheckpointState>,
}

/// What the checkpoint says beside the index.
#[derive(Debug, Default)]
pub(crate) struct CheckpointState {
    /// Keys of segments that are gone, oldest first.
    pub(crate) keys: Vec<KeyRecord>,
    /// Channels that are ephemeral now and were durable before, with what they lost by that.
    pub(crate) once_durable: Vec<(Channel, Offset)>,
    /// A hash of the retention rules.
    pub(crate) rules: u64,
}

impl Shared {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.config.directory.join(name)
    }

    pub(crate) fn place(&self) -> String {
        self.config.directory.display().to_string()
    }

    /// Notes how many channels hold events, for those who ask without waiting for a commit.
    pub(crate) fn count_channels(&self, index: &Index) {
        self.channels.store(index.channel_count(), Ordering::Relaxed);
    }

    /// Tells of what was trimmed. The caller holds the follower's lock.
    pub(crate) fn tell_trimmed(follower: Option<&Arc<dyn Follower>>, trimmed: &[(Channel, Offset)]) {
        if let Some(follower) = follower {
            for (channel, through) in trimmed {
                follower.trimmed(channel, *through);
            }
        }
    }
}
