//! The embedded engine's configuration: where its files are, and its limits.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use crate::embedded::disk::Faults;

/// Is told of every commit, for metrics. Called by the committing thread: it must return quickly.
pub trait CommitObserver: Send + Sync + 'static {
    /// A group was committed and everyone in it answered: how many events, how many bytes went to the disk (0
    /// if all were ephemeral), and how long its oldest batch had waited from the call of `append` until then.
    fn committed(&self, events: usize, bytes: usize, latency: Duration);
}

/// Where the embedded engine keeps its files, and its limits. Every limit is finite.
#[derive(Clone)]
#[non_exhaustive]
pub struct EmbeddedConfig {
    /// The directory, made if it is missing. One process at a time.
    pub directory: PathBuf,
    /// How large a segment file grows. Default 64 MiB; 4 KiB to 512 MiB (outside of it the nearest is taken).
    /// Disk space is given back a segment at a time.
    pub segment_bytes_max: u64,
    /// How many bytes of batches may wait for their commit before `append` answers that it is busy. Default
    /// 64 MiB.
    pub queue_bytes_max: u64,
    /// How far ahead of what is written disk space is allocated, so that a sync need not. Default 8 MiB; 0
    /// turns it off.
    pub preallocate_bytes: u64,
    /// Opens a damaged directory with what can be read of it: readers are told of a gap for what is lost.
    /// Default off: damage is an error that names the place.
    pub accept_loss: bool,
    /// How many bytes of sealed segments are read each second to find damage before a reader does. Default
    /// 1 MiB; 0 turns it off.
    pub scrub_bytes_per_s: u64,
    /// How much memory the events of ephemeral channels may take, with their channels: past it the oldest of
    /// all are let go, and their readers get a gap. Default 64 MiB.
    pub ephemeral_bytes_max: u64,
    /// Who is told of commits. Default nobody.
    pub observer: Option<Arc<dyn CommitObserver>>,
    /// What goes wrong on purpose, in tests.
    pub(crate) faults: Faults,
}

impl EmbeddedConfig {
    /// The defaults, in a directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_bytes_max: 64 << 20,
            queue_bytes_max: 64 << 20,
            preallocate_bytes: 8 << 20,
            accept_loss: false,
            scrub_bytes_per_s: 1 << 20,
            ephemeral_bytes_max: 64 << 20,
            observer: None,
            faults: Faults::default(),
        }
    }

    pub(crate) fn preallocate(&self) -> u64 {
        self.preallocate_bytes.min(self.segment_bytes())
    }

    /// The segment size within its bounds: positions in a segment are 32-bit numbers everywhere.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes_max.clamp(4 << 10, 512 << 20)
    }
}

impl fmt::Debug for EmbeddedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedConfig")
            .field("directory", &self.directory)
            .field("segment_bytes_max", &self.segment_bytes_max)
            .field("queue_bytes_max", &self.queue_bytes_max)
            .field("preallocate_bytes", &self.preallocate_bytes)
            .field("accept_loss", &self.accept_loss)
            .field("scrub_bytes_per_s", &self.scrub_bytes_per_s)
            .field("ephemeral_bytes_max", &self.ephemeral_bytes_max)
            .finish_non_exhaustive()
    }
}
