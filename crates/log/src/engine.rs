//! The port behind which events are kept: in memory, in files, or on servers of their own (JetStream: its
//! stream sequence is our offset).
//!
//! It asks for no more than all of them can give: an append is answered later, maybe by another machine; what
//! is committed is learned by following, not from the answer to an append, so events published on another
//! node arrive the same way.
//!
//! Invariants every engine holds, and [`crate::contract`] checks:
//! - The follower is told of every committed event once, in offset order, and of an event only after it is
//!   committed.
//! - The follower is told before the append is answered.
//! - A batch gets consecutive offsets, all or none of it.
//! - A batch that expects something is refused unless that holds at its place in the order of commits.
//! - `read` returns events in offset order, never one at or below `after`, and names exactly what retention
//!   took.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::{Channel, ChannelError, Epoch, Event, Gap, IdempotencyKey, Offset, Publication, Timestamp};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Publications that go into the log together, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What is published, in order. Not empty.
    pub publications: Vec<Publication>,
    /// The key by which a repetition is known.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What must still hold when the batch is committed; a repetition is known before it is looked at.
    pub expect: Option<Expect>,
}

/// The condition of a batch: nothing was committed on a channel since its writer looked. Of two writers that
/// decide on the same state at once, on one node or on two, the second is refused and decides again.
///
/// It holds while [`ChannelState::last`] of the channel is not greater than `seen`. The offset is one of the
/// whole log: whoever has seen everything up to the tail names the tail, also for a channel that never had an
/// event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The channel.
    pub channel: Channel,
    /// The writer has seen everything on the channel up to here.
    pub seen: Offset,
}

impl Expect {
    /// Whether it holds where `last` is the channel's [`ChannelState::last`].
    ///
    /// # Errors
    /// [`AppendError::Unexpected`] if not.
    pub fn check(&self, last: Offset) -> Result<(), AppendError> {
        if last <= self.seen {
            return Ok(());
        }
        Err(AppendError::Unexpected { channel: self.channel.clone(), seen: self.seen, last })
    }
}

impl Batch {
    /// A batch without an idempotency key.
    #[must_use]
    pub fn new(publications: Vec<Publication>) -> Self {
        Self { publications, idempotency_key: None, expect: None }
    }

    /// A batch of one.
    #[must_use]
    pub fn one(publication: Publication) -> Self {
        Self::new(vec![publication])
    }

    /// The same batch under a key.
    #[must_use]
    pub fn with_key(self, key: IdempotencyKey) -> Self {
        Self { idempotency_key: Some(key), ..self }
    }

    /// The same batch, appended only if nothing was committed on `channel` after `seen`.
    #[must_use]
    pub fn expecting(self, channel: Channel, seen: Offset) -> Self {
        Self { expect: Some(Expect { channel, seen }), ..self }
    }
}

/// The answer to an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the first event; the others follow without a hole.
    pub first: Offset,
    /// How many events.
    pub count: u32,
    /// The key was known: these are the offsets of the first time and nothing was appended.
    pub duplicate: bool,
}

impl Appended {
    /// The offsets, in the order of the publications.
    pub fn offsets(&self) -> impl ExactSizeIterator<Item = Offset> + use<> {
        let first = self.first;
        (0..self.count).map(move |step| first.plus(u64::from(step)))
    }

    /// The offset of the last event.
    #[must_use]
    pub fn last(&self) -> Offset {
        self.first.plus(u64::from(self.count.max(1)) - 1)
    }
}

/// Why a batch was not appended. Nothing of it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The batch held nothing.
    #[error("the batch is empty; publish at least one event")]
    Empty,
    /// The key was used for another batch within the window.
    #[error("idempotency key {key:?} was used for another body; use a new key")]
    Conflict {
        /// The key.
        key: String,
    },
    /// Somebody else wrote to the channel meanwhile: read what came, and decide again.
    #[error("an event came on {channel} at {last}, after {seen}; read what came and decide again")]
    Unexpected {
        /// The channel.
        channel: Channel,
        /// How far the writer had seen.
        seen: Offset,
        /// The channel's newest event.
        last: Offset,
    },
    /// The queue of batches waiting for their commit is full.
    #[error("{waiting_bytes} bytes wait to be committed, the limit; publish more slowly")]
    Busy {
        /// How much waits.
        waiting_bytes: u64,
    },
    /// The disk is full. Reading goes on; appending works again when there is room.
    #[error("no room to store events in {place}: {detail}; free disk space, reading goes on")]
    Full {
        /// Where events are stored.
        place: String,
        /// What the system said.
        detail: String,
    },
    /// Storing failed otherwise.
    #[error("storing events in {place} failed: {detail}")]
    Failed {
        /// Where events are stored.
        place: String,
        /// What the system said.
        detail: String,
    },
    /// The engine is closing.
    #[error("the log is closing; publish again after the restart")]
    Closed,
}

/// What a reader that is behind the tail asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// The channels.
    pub channels: Vec<Channel>,
    /// The reader has seen everything up to here.
    pub after: Offset,
    /// The greatest offset it wants.
    pub through: Offset,
    /// How many events at most; at least 1.
    pub events_max: usize,
    /// About how many payload bytes at most; at least one event is returned.
    pub bytes_max: usize,
}

/// Events for a reader.
#[derive(Debug, Clone, Default)]
pub struct ReadBatch {
    /// The events, in offset order.
    pub events: Vec<Arc<Event>>,
    /// Everything on the channels up to here is in `events` or gone: the reader's next `after`.
    pub through: Offset,
    /// For each channel that retention took something from after `after`: the greatest offset taken.
    pub trimmed: Vec<(Channel, Offset)>,
    /// For each channel of which what comes right after `after` cannot be read any more: up to where.
    pub damaged: Vec<(Channel, Offset)>,
}

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store could not be read.
    #[error("reading events from {place} failed: {detail}")]
    Failed {
        /// Where events are stored.
        place: String,
        /// What the system said.
        detail: String,
    },
    /// The engine is closing.
    #[error("the log is closing; come back after the restart")]
    Closed,
}

/// Why a trim failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrimError {
    /// It could not be written down.
    #[error("trimming {channel} in {place} failed: {detail}")]
    Failed {
        /// The channel.
        channel: String,
        /// Where events are stored.
        place: String,
        /// What the system said.
        detail: String,
    },
    /// The engine is closing.
    #[error("the log is closing; trim after the restart")]
    Closed,
}

/// What an engine knows of a channel without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelState {
    /// What a reader of the channel from its beginning has seen in the end: the greatest offset that was ever
    /// committed on it, kept or not, and never below `trimmed_through`. Zero where there was none.
    ///
    /// Trims, retention and compaction leave it as it is. A restart does so too on durable channels; on
    /// ephemeral ones it is then the tail at the start, up to which everything counts as lost.
    pub last: Offset,
    /// The greatest offset that retention took.
    pub trimmed_through: Offset,
    /// How many events are kept.
    pub events: u64,
}

/// A place where events cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file and byte, and what is wrong there.
    pub place: String,
    /// The only channel that lost something; none if that is not known, and all may have.
    pub channel: Option<Channel>,
    /// The first offset that is lost.
    pub first: Offset,
    /// The last.
    pub last: Offset,
}

/// Who is told of what is committed and trimmed.
pub trait Follower: Send + Sync + 'static {
    /// These events are committed; with them everything up to `through` is. Called in offset order, from one
    /// thread at a time, and must return quickly: the engine commits nothing meanwhile.
    fn committed(&self, events: &[Arc<Event>], through: Offset);
    /// Retention took everything on the channel up to `through`.
    fn trimmed(&self, channel: &Channel, through: Offset);
}

/// Keeps events. See the module's head for what every engine promises.
pub trait Engine: Send + Sync + 'static {
    /// A short name for logs and the health page, such as `memory` or `embedded`.
    fn name(&self) -> &'static str;

    /// The incarnation of the log.
    fn epoch(&self) -> Epoch;

    /// Sets the one follower and returns the offset through which everything is committed; the follower is
    /// told of everything after it. Called once, before any append.
    fn follow(&self, follower: Arc<dyn Follower>) -> Offset;

    /// Appends a batch: resolves when it is committed (durable channels: synced) and the follower was told.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of the batch is in the log then.
    fn append(&self, batch: Batch) -> BoxFuture<'static, Result<Appended, AppendError>>;

    /// Reads events after an offset.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read(&self, request: ReadRequest) -> BoxFuture<'static, Result<ReadBatch, ReadError>>;

    /// Removes everything on the channel up to `through`. Later readers that needed it get a gap.
    ///
    /// # Errors
    /// [`TrimError`].
    fn trim(&self, channel: Channel, through: Offset) -> BoxFuture<'static, Result<(), TrimError>>;

    /// What is known of a channel, at once; `None` where the engine would have to ask over a network. It is
    /// at least as new as what the follower was told.
    fn channel_state(&self, channel: &Channel) -> Option<ChannelState>;

    /// Up to `limit` channels that hold events, by name, beginning with `prefix`.
    fn channels(&self, prefix: &str, limit: usize) -> Vec<(Channel, ChannelState)>;

    /// How many channels hold events. Cost: O(1), no waiting.
    fn channel_count(&self) -> usize;

    /// Applies retention at `now`. The server calls it about once a second.
    fn enforce_retention(&self, now: Timestamp);

    /// Whether appends can succeed at the moment; else why not, for the health page.
    ///
    /// # Errors
    /// The error that an append would get.
    fn writable(&self) -> Result<(), AppendError> {
        Ok(())
    }

    /// Where events cannot be read any more, and why, oldest place first; empty as it should be. Readers that
    /// needed them get a gap.
    fn damage(&self) -> Vec<Damage> {
        Vec::new()
    }

    /// How many bytes the events take where they are kept.
    fn stored_bytes(&self) -> u64;

    /// How much memory events take that are kept in memory alone; see [`crate::Durability::Ephemeral`].
    fn ephemeral_bytes(&self) -> u64 {
        0
    }

    /// Ends background work; appends after it are [`AppendError::Closed`].
    fn close(&self) -> BoxFuture<'static, ()>;
}

impl ReadBatch {
    /// The gap of a reader that stood at `after`, if retention or damage took something it needed.
    #[must_use]
    pub fn gap(&self, epoch: Epoch, after: Offset) -> Option<Gap> {
        let from = crate::Cursor { epoch, offset: after };
        Gap::by_retention(from, self.trimmed.iter().cloned())
            .or_else(|| Gap::by_damage(from, self.damaged.iter().cloned()))
    }
}

impl From<ChannelError> for ReadError {
    fn from(error: ChannelError) -> Self {
        Self::Failed { place: "request".to_owned(), detail: error.to_string() }
    }
}
