//! The embedded engine: one directory, no server to install, safe through `kill -9` at any instruction.
//!
//! It writes files of its own (segments), not a database. That is a choice made with numbers: with batches of
//! 100 records and a sync for each group, a plain file took 450 000 records a second where the best embedded
//! database took 330 000 and held up single commits for 138 ms while it compacted. A log that is only ever
//! appended to and read in order needs none of what a database adds. What it does need stands in these
//! folders:
//!
//! ```text
//! append ─▶ queue ─▶ committer ── one write, one sync ──▶ active segment        journal/
//!                        │                                      │ sealed
//!                        ├─▶ index (in memory) ◀── upkeep: index files,         index/  compaction/
//!                        │                         removal, merging
//!                        └─▶ follower                           │
//! read ──▶ plan (index) ──▶ index files, segments ◀─────────────┘               reader.rs  segment/
//! open ──▶ checkpoint, index files, the active segment ──▶ index                recovery/
//!
//! directory:  LOCK  meta  manifest  checkpoint  synced  spare
//!             <base>.log  <base>.idx  <base>.<generation>.log …
//! ```
//!
//! Memory is bounded by segments × channels, by the active segment's entries (16 bytes an event) and by
//! constants, never by the events on the disk.
//!
//! Invariants:
//! - An append is answered, and its events told, only after they are synced (or are ephemeral, within a
//!   synced reservation).
//! - Whatever the directory looked like after a crash, opening it gives every answered event and no other
//!   meaning to an offset.

mod check;
mod checkpoint;
mod checksummed;
mod compaction;
mod config;
mod descriptors;
mod disk;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod index;
mod journal;
mod losses;
mod manifest;
mod reader;
mod recovery;
mod segment;
mod shared;
mod synced;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
};

use anywire_log::{
    AppendError, Appended, Batch, BoxFuture, Channel, ChannelState, Clock, Damage, Engine, Epoch, Follower,
    Offset, ReadBatch, ReadError, ReadRequest, RetentionRules, Timestamp, TrimError, fingerprint,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use check::{Checked, Finding, check};
pub use config::{CommitObserver, EmbeddedConfig};
pub use recovery::OpenError;

use compaction::{retention, scrub, upkeep};
use journal::queue::{Command, Pending};
use segment::layout;
use shared::Shared;

/// No batch can be larger: positions in a segment are 32-bit numbers.
const BATCH_BYTES_MAX: u64 = 1 << 30;

/// Keeps events in files. Dropping it closes it, which takes as long as the last commit.
pub struct EmbeddedEngine {
    shared: Arc<Shared>,
    /// What runs in the background, until it is closed.
    running: Arc<Mutex<Option<Running>>>,
}

struct Running {
    committer: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    scrub: JoinHandle<()>,
    /// Keeps other processes out.
    lock: File,
}

impl EmbeddedEngine {
    /// Opens the directory, making it if it is missing, and starts committing. Blocks: milliseconds, plus a
    /// few for each segment whose index is missing.
    ///
    /// # Errors
    /// [`OpenError`] names the file and the way out.
    pub fn open(
        config: EmbeddedConfig,
        rules: RetentionRules,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let directory = config.directory.clone();
        let opened = recovery::open(config, rules, clock)?;
        descriptors::keep_spares();
        let shared = opened.shared;
        let failed = |source| OpenError::Io { path: directory.clone(), source };
        let background = Arc::clone(&shared);
        let upkeep = spawn("anywire-upkeep", move || upkeep::run(&background)).map_err(failed)?;
        let background = Arc::clone(&shared);
        let scrub = spawn("anywire-scrub", move || scrub::run(&background)).map_err(failed)?;
        let committer = opened.committer;
        let committer = spawn("anywire-commit", move || committer.run()).map_err(failed)?;
        let running = Running { committer, upkeep, scrub, lock: opened.lock };
        Ok(Self { shared, running: Arc::new(Mutex::new(Some(running))) })
    }

    fn push(&self, batch: Batch) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, AppendError> {
        if batch.publications.is_empty() {
            return Err(AppendError::Empty);
        }
        let contents = batch.publications.iter().map(|publication| {
            publication.channel.as_str().len()
                + publication.name.as_str().len()
                + publication.payload.as_bytes().len()
        });
        let key = batch.idempotency_key.as_ref().map(anywire_log::IdempotencyKey::as_str);
        let bytes = layout::batch_bytes_max(key, contents);
        if bytes > BATCH_BYTES_MAX {
            let detail = format!("a batch of {bytes} bytes is larger than 1 GiB; publish less at a time");
            return Err(AppendError::Failed { place: self.shared.place(), detail });
        }
        let fingerprint = key.map_or(0, |_| fingerprint(&batch.publications));
        let (answer, answered) = oneshot::channel();
        let pending = Pending { batch, fingerprint, bytes, answer };
        self.shared.queue.push(Command::Append(pending))?;
        Ok(answered)
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Ends what runs in the background and lets other processes in.
fn stop(shared: &Shared, running: &Mutex<Option<Running>>) {
    // Held until the end, so that whoever closes at the same time waits for it too.
    let mut running = running.lock();
    if let Some(Running { committer, upkeep, scrub, lock }) = running.take() {
        shared.scrub.stop();
        shared.queue.close();
        let committed = committer.join();
        shared.jobs.stop();
        let kept_up = upkeep.join();
        let scrubbed = scrub.join();
        if committed.is_err() || kept_up.is_err() || scrubbed.is_err() {
            tracing::error!(directory = %shared.place(), "a thread of the log had ended with a panic");
        }
        drop(lock);
    }
}

impl Drop for EmbeddedEngine {
    fn drop(&mut self) {
        stop(&self.shared, &self.running);
    }
}

impl Engine for EmbeddedEngine {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    fn follow(&self, follower: Arc<dyn Follower>) -> Offset {
        let mut held = self.shared.follower.lock();
        *held = Some(follower);
        self.shared.index.read().through
    }

    fn append(&self, batch: Batch) -> BoxFuture<'static, Result<Appended, AppendError>> {
        let pushed = self.push(batch);
        // The committer answers everyone it took; it goes without an answer only if it panicked.
        Box::pin(async move { pushed?.await.unwrap_or(Err(AppendError::Closed)) })
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'static, Result<ReadBatch, ReadError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let plan = reader::plan(&shared, request.clone());
            if !plan.needs_files() {
                return Ok(plan.without_files());
            }
            let read = tokio::task::spawn_blocking(move || reader::read(&shared, &request, plan));
            read.await.unwrap_or(Err(ReadError::Closed))
        })
    }

    fn trim(&self, channel: Channel, through: Offset) -> BoxFuture<'static, Result<(), TrimError>> {
        let (answer, answered) = oneshot::channel();
        let pushed = self.shared.queue.push(Command::Trim { channel, through, answer });
        let pushed = pushed.map_err(|_closed| TrimError::Closed);
        Box::pin(async move {
            pushed?;
            answered.await.unwrap_or(Err(TrimError::Closed))
        })
    }

    fn channel_state(&self, channel: &Channel) -> Option<ChannelState> {
        Some(self.shared.index.read().state(channel))
    }

    fn channels(&self, prefix: &str, limit: usize) -> Vec<(Channel, ChannelState)> {
        self.shared.index.read().list(prefix, limit)
    }

    fn channel_count(&self) -> usize {
        self.shared.channels.load(Ordering::Relaxed)
    }

    fn enforce_retention(&self, now: Timestamp) {
        retention::enforce(&self.shared, now);
        self.shared.jobs.tick();
        descriptors::keep_spares();
        if self.shared.trouble.lock().is_some() {
            // Closed is the only answer that is no.
            let _closed = self.shared.queue.push(Command::Probe);
        }
    }

    fn writable(&self) -> Result<(), AppendError> {
        self.shared.trouble.lock().clone().map_or(Ok(()), Err)
    }

    fn damage(&self) -> Vec<Damage> {
        self.shared.index.read().losses.damage()
    }

    fn stored_bytes(&self) -> u64 {
        let index = self.shared.index.read();
        let segments = index.segments.values().map(|segment| segment.log_bytes.load(Ordering::Relaxed));
        segments.sum::<u64>() + index.ephemeral.bytes()
    }

    fn ephemeral_bytes(&self) -> u64 {
        self.shared.index.read().ephemeral.memory_bytes()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let (shared, running) = (Arc::clone(&self.shared), Arc::clone(&self.running));
        Box::pin(async move {
            let stopped = tokio::task::spawn_blocking(move || stop(&shared, &running));
            if stopped.await.is_err() {
                tracing::error!("closing the log was interrupted");
            }
        })
    }
}
