//! The log as its users see it: an engine, the shared tail in front of it, and who listens.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::{
    AppendError, Appended, Batch, Channel, ChannelState, ChannelTail, Cursor, Engine, Epoch, Event, Follower,
    Gap, Keep, Offset, ReadBatch, ReadError, ReadRequest, RetentionRules, TailConfig, Timestamp, TrimError,
    tail::Tail,
};

/// Who wants to know at once that events were committed. Called by the committing thread: it must return
/// quickly.
pub trait CommitListener: Send + Sync + 'static {
    /// These events can be read now.
    fn committed(&self, events: &[Arc<Event>]);

    /// A batch was committed so long after it was appended. Called by whoever appended, when its wait is
    /// over.
    fn appended(&self, _after: Duration) {}
}

/// One log: append, read, follow, trim.
pub struct Log {
    engine: Arc<dyn Engine>,
    epoch: Epoch,
    rules: RetentionRules,
    shared: Arc<Shared>,
}

/// What the engine's thread and the readers share.
struct Shared {
    tail: Tail,
    listeners: RwLock<Vec<Arc<dyn CommitListener>>>,
    moved: watch::Sender<Offset>,
}

impl Follower for Shared {
    fn committed(&self, events: &[Arc<Event>], through: Offset) {
        self.tail.commit(events, through);
        for listener in &*self.listeners.read() {
            listener.committed(events);
        }
        self.moved.send_replace(through);
    }

    fn trimmed(&self, channel: &Channel, through: Offset) {
        self.tail.trimmed(channel, through);
    }
}

/// Passes the engine's word on to the tail, whose start the engine gives only when it has a follower.
struct Entrance(std::sync::OnceLock<Arc<Shared>>);

impl Follower for Entrance {
    fn committed(&self, events: &[Arc<Event>], through: Offset) {
        self.0.wait().committed(events, through);
    }

    fn trimmed(&self, channel: &Channel, through: Offset) {
        self.0.wait().trimmed(channel, through);
    }
}

impl Log {
    /// Puts the tail in front of an engine. The engine must not have been followed before.
    #[must_use]
    pub fn start(engine: Arc<dyn Engine>, rules: RetentionRules, config: TailConfig) -> Arc<Self> {
        let entrance = Arc::new(Entrance(std::sync::OnceLock::new()));
        let through = engine.follow(Arc::clone(&entrance) as Arc<dyn Follower>);
        let shared = Arc::new(Shared {
            tail: Tail::new(config, rules.clone(), through),
            listeners: RwLock::default(),
            moved: watch::Sender::new(through),
        });
        let _first = entrance.0.set(Arc::clone(&shared));
        Arc::new(Self { epoch: engine.epoch(), engine, rules, shared })
    }

    /// The incarnation of the log.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The engine, for what only it knows: its name, its channels, its size.
    #[must_use]
    pub fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The retention rules.
    #[must_use]
    pub fn rules(&self) -> &RetentionRules {
        &self.rules
    }

    /// The offset of the newest committed event, on any channel. Cost: one atomic load.
    #[must_use]
    pub fn tail_offset(&self) -> Offset {
        self.shared.tail.through()
    }

    /// The cursor of a reader that has seen everything.
    #[must_use]
    pub fn tail_cursor(&self) -> Cursor {
        self.cursor(self.tail_offset())
    }

    /// The cursor at an offset.
    #[must_use]
    pub fn cursor(&self, offset: Offset) -> Cursor {
        Cursor { epoch: self.epoch, offset }
    }

    /// Appends a batch; resolves when it is committed and can be read.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of the batch is in the log then.
    pub async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        let started = Instant::now();
        let appended = self.engine.append(batch).await?;
        let after = started.elapsed();
        for listener in &*self.shared.listeners.read() {
            listener.appended(after);
        }
        Ok(appended)
    }

    /// Removes everything on a channel up to `through`.
    ///
    /// # Errors
    /// [`TrimError`].
    pub async fn trim(&self, channel: Channel, through: Offset) -> Result<(), TrimError> {
        self.engine.trim(channel, through).await
    }

    /// Applies retention; to be called about once a second.
    pub fn enforce_retention(&self, now: Timestamp) {
        self.engine.enforce_retention(now);
    }

    /// Tells a listener of every commit from now on.
    pub fn listen(&self, listener: Arc<dyn CommitListener>) {
        self.shared.listeners.write().push(listener);
    }

    /// A channel's tail, for a subscription.
    #[must_use]
    pub fn channel(&self, channel: &Channel) -> Arc<ChannelTail> {
        let (tail, fresh) = self.shared.tail.open(channel);
        if fresh && let Some(state) = self.engine.channel_state(channel) {
            // Outside the tail's locks: an engine tells its follower while it holds its own.
            tail.complete_after(state.last);
        }
        tail
    }

    /// The greatest offset ever committed on a channel; zero if there was none. This is the canonical
    /// position of a reader that is caught up.
    #[must_use]
    pub fn newest(&self, channel: &Channel) -> Offset {
        let state = self.engine.channel_state(channel);
        state.map_or_else(|| self.channel(channel).newest_bound(), |state| state.last.min(self.tail_offset()))
    }

    /// The position before the oldest kept event of a channel.
    pub(crate) fn oldest(&self, channel: &Channel) -> Offset {
        self.engine.channel_state(channel).map_or(Offset::ZERO, |state: ChannelState| state.trimmed_through)
    }

    /// Reads for a reader that [`Subscription::peek`] found behind the tail, from the engine. If there is a
    /// gap, tell it, [`Subscription::skip`] it and peek again: the events of this read do not count then.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_behind(&self, request: ReadRequest) -> Result<(ReadBatch, Option<Gap>), ReadError> {
        let after = request.after;
        let mut batch = self.engine.read(request).await?;
        // Where only the newest counts, what went before it is not missed; where even that is gone, it is.
        batch
            .trimmed
            .retain(|(channel, _)| self.rules.of(channel).keep == Keep::All || self.is_bare(channel));
        let gap = batch.gap(self.epoch, after);
        Ok((batch, gap))
    }

    /// How many channels hold events. Cost: O(1).
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.engine.channel_count()
    }

    /// The event of a channel at an offset; none if there never was one there, or if it is gone.
    ///
    /// Cost: one lookup and a search by halves while the tail holds the channel from there on; else one read
    /// of the engine, which is one record of a file where the engine has files.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn event_at(&self, channel: &Channel, offset: Offset) -> Result<Option<Arc<Event>>, ReadError> {
        if offset == Offset::ZERO || offset > self.tail_offset() {
            return Ok(None);
        }
        if let Ok(found) = self.shared.tail.event_at(channel, offset) {
            return Ok(found);
        }
        let (channels, after) = (vec![channel.clone()], offset.previous());
        let request = ReadRequest { channels, after, through: offset, events_max: 1, bytes_max: 1 };
        let events = self.engine.read(request).await?.events;
        Ok(events.into_iter().find(|event| event.offset == offset))
    }

    /// Whether a channel keeps nothing at all.
    fn is_bare(&self, channel: &Channel) -> bool {
        self.engine.channel_state(channel).is_some_and(|state| state.events == 0)
    }

    /// Everything up to here is committed and every listener was told of it.
    #[must_use]
    pub fn told_through(&self) -> Offset {
        *self.shared.moved.borrow()
    }

    /// Resolves when everything up to `offset` is committed and every listener was told of it.
    pub async fn reached(&self, offset: Offset) {
        let mut moved = self.shared.moved.subscribe();
        // The sender lives as long as the log: waiting cannot fail.
        let _moved = moved.wait_for(|through| *through >= offset).await;
    }

    /// Sees every move of [`Log::told_through`].
    pub(crate) fn watch(&self) -> watch::Receiver<Offset> {
        self.shared.moved.subscribe()
    }

    /// Resolves when the tail has moved past `offset`.
    pub async fn moved_past(&self, offset: Offset) {
        let mut moved = self.shared.moved.subscribe();
        // The sender lives as long as the log: waiting cannot fail.
        let _moved = moved.wait_for(|through| *through > offset).await;
    }
}
