//! Which shards watch a channel.

use std::sync::{Arc, atomic::AtomicU64};

use anywire_log::ChannelTail;

/// Which shards watch a channel, and in which of them it is marked.
pub(super) struct Watch {
    pub(super) tail: Arc<ChannelTail>,
    pub(super) shards: AtomicU64,
    pub(super) marked: AtomicU64,
    /// When the first commit since the last pass was made, in microseconds since the start.
    pub(super) committed_us: AtomicU64,
}

impl Watch {
    pub(super) fn new(tail: &Arc<ChannelTail>) -> Self {
        Self {
            tail: Arc::clone(tail),
            shards: AtomicU64::new(0),
            marked: AtomicU64::new(0),
            committed_us: AtomicU64::new(0),
        }
    }
}
