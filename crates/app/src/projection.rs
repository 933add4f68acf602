//! State as a projection of the log: rebuilt at start, then changed by what is committed, and by nothing
//! else.
//!
//! Invariant: events are applied in the log's order, each once; [`Live::apply`] is the only writer of the
//! state.

use std::{future::Future, sync::Arc};

use anywire_log::{
    Channel, ChannelPattern, CommitListener, Event, Follow, Followed, Gap, Log, Offset, Position, ReadError,
};
use parking_lot::{MappedRwLockReadGuard, Mutex, RwLock, RwLockReadGuard};

/// How many channels are looked through for those of a pattern at the start.
const CHANNELS_MAX: usize = 1_000_000;
/// How many events may be committed while the state is rebuilt. With more it is rebuilt once more.
const BUFFERED_MAX: usize = 100_000;

/// State that events change.
pub trait Projection: Send + Sync + 'static {
    /// Applies the next event. The same events give the same state, whenever they come.
    ///
    /// Called under a lock by the thread that commits: it must return quickly and must not call the log.
    fn apply(&mut self, event: &Event);

    /// Retention took events that were never applied: what was built on them is gone.
    fn lost(&mut self, gap: &Gap);

    /// Everything up to `through` was applied that was committed together: the moment to wake who waits for a
    /// change.
    fn settled(&mut self, _through: Offset) {}
}

/// The channels of a projection: by name, and all those that match a pattern, also the ones that come later.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    channels: Vec<Channel>,
    patterns: Vec<ChannelPattern>,
}

impl Sources {
    /// These channels.
    #[must_use]
    pub fn channels(channels: impl IntoIterator<Item = Channel>) -> Self {
        Self { channels: channels.into_iter().collect(), patterns: Vec::new() }
    }

    /// And the channels that match a pattern.
    #[must_use]
    pub fn with_pattern(mut self, pattern: ChannelPattern) -> Self {
        self.patterns.push(pattern);
        self
    }

    fn has(&self, channel: &Channel) -> bool {
        self.channels.contains(channel)
            || self.patterns.iter().any(|pattern| pattern.matches(channel.as_str()))
    }

    /// Those events that are on one of its channels.
    fn of<'e>(&'e self, events: &'e [Arc<Event>]) -> impl Iterator<Item = &'e Arc<Event>> {
        let mut held: Option<(&'e Channel, bool)> = None;
        // Most neighbours are on one channel, and most channels are nobody's here.
        events.iter().filter(move |event: &&'e Arc<Event>| match held {
            Some((channel, has)) if *channel == event.channel => has,
            _ => {
                let has = self.has(&event.channel);
                held = Some((&event.channel, has));
                has
            }
        })
    }

    /// The channels that there are now.
    fn found(&self, log: &Log) -> Vec<Channel> {
        let mut found = self.channels.clone();
        for pattern in &self.patterns {
            let prefix = pattern.as_str().split('*').next().unwrap_or_default();
            let listed = log.engine().channels(prefix, CHANNELS_MAX).into_iter().map(|(channel, _)| channel);
            found.extend(listed.filter(|channel| pattern.matches(channel.as_str())));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A projection that follows its log. Cheap to clone; all clones share one state.
pub struct Projected<P> {
    log: Arc<Log>,
    shared: Arc<Shared<P>>,
}

impl<P> Clone for Projected<P> {
    fn clone(&self) -> Self {
        Self { log: Arc::clone(&self.log), shared: Arc::clone(&self.shared) }
    }
}

/// What a state begins with: the state before the first event that is read, and from where each channel is
/// read. Channels that are not named are read from their oldest event.
pub struct Start<P> {
    /// The state.
    pub state: P,
    /// Where channels are read from.
    pub positions: Vec<(Vec<Channel>, Position)>,
}

impl<P> Start<P> {
    /// A state before the first event.
    #[must_use]
    pub fn oldest(state: P) -> Self {
        Self { state, positions: Vec::new() }
    }
}

impl<P: Projection> Projected<P> {
    /// Rebuilds the state from everything the sources hold, and keeps it up to date from then on. `empty`
    /// makes the state before the first event.
    ///
    /// Cost: one read of everything that is kept on the sources.
    ///
    /// # Errors
    /// [`ReadError`] of the engine.
    pub async fn open(
        log: &Arc<Log>,
        sources: Sources,
        empty: impl Fn() -> P + Send,
    ) -> Result<Self, ReadError> {
        Self::open_at(log, sources, move |_channels| std::future::ready(Ok(Start::oldest(empty())))).await
    }

    /// Rebuilds the state from where `begin` lets it begin, and keeps it up to date from then on. `begin` is
    /// given the channels there are; what it reads of them itself it leaves out by their positions. First it
    /// is given none: what it makes then stands until the rebuild is done.
    ///
    /// # Errors
    /// [`ReadError`] of the engine or of `begin`.
    pub async fn open_at<F>(
        log: &Arc<Log>,
        sources: Sources,
        begin: impl Fn(Vec<Channel>) -> F + Send,
    ) -> Result<Self, ReadError>
    where
        F: Future<Output = Result<Start<P>, ReadError>> + Send,
    {
        Self::open_shortened(log, sources, None, begin).await
    }

    pub(crate) async fn open_shortened<F>(
        log: &Arc<Log>,
        sources: Sources,
        shortened: Option<Shortened>,
        begin: impl Fn(Vec<Channel>) -> F + Send,
    ) -> Result<Self, ReadError>
    where
        F: Future<Output = Result<Start<P>, ReadError>> + Send,
    {
        let first = begin(Vec::new()).await?.state;
        let live = Live { state: first, through: Offset::ZERO, records: 0, shortened };
        let rebuild = Mutex::new(Some(Buffer::default()));
        let shared = Arc::new(Shared { sources, live: RwLock::new(live), rebuild });
        // First: what is committed from here on waits in the buffer.
        log.listen(Arc::clone(&shared) as Arc<dyn CommitListener>);
        loop {
            let channels = shared.sources.found(log);
            let start = begin(channels.clone()).await?;
            let shortened = shared.live.read().shortened.clone();
            let mut live = Live { state: start.state, through: Offset::ZERO, records: 0, shortened };
            let mut follow = follow(log, &channels, &start.positions);
            live.catch_up(&mut follow).await?;
            if shared.go_live(live, &channels) {
                return Ok(Self { log: Arc::clone(log), shared });
            }
            tracing::info!(
                "more was committed meanwhile than is buffered, or on new channels: reading once more"
            );
        }
    }

    /// The state. Hold it briefly and never across an await: commits wait for it.
    pub fn read(&self) -> MappedRwLockReadGuard<'_, P> {
        RwLockReadGuard::map(self.shared.live.read(), |live| &live.state)
    }

    /// What is asked of the state with the offset up to which it contains everything, and of how many events
    /// there are since the last snapshot.
    pub(crate) fn at_one_moment<T>(&self, ask: impl FnOnce(&P, Offset, u64) -> T) -> T {
        let live = self.shared.live.read();
        ask(&live.state, live.through, live.records)
    }

    /// The log it follows.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Everything that its sources held up to here is applied, seen by a reader that calls
    /// [`Projected::read`] after it.
    #[must_use]
    pub fn seen(&self) -> Offset {
        self.log.told_through()
    }

    /// Resolves when the state has everything up to `offset`.
    pub async fn reached(&self, offset: Offset) {
        self.log.reached(offset).await;
    }
}

fn follow(log: &Arc<Log>, channels: &[Channel], positions: &[(Vec<Channel>, Position)]) -> Follow {
    let named = |channel: &Channel| positions.iter().any(|(named, _)| named.contains(channel));
    let others: Vec<Channel> = channels.iter().filter(|channel| !named(channel)).cloned().collect();
    let follow = log.follow(&others, Position::Oldest);
    positions.iter().fold(follow, |follow, (channels, position)| follow.and(channels, *position))
}

/// What the committing thread and the readers share.
struct Shared<P> {
    sources: Sources,
    live: RwLock<Live<P>>,
    /// Events committed during the rebuild; none once live.
    rebuild: Mutex<Option<Buffer>>,
}

/// The state, and how far it is.
struct Live<P> {
    state: P,
    /// Everything that the sources held up to here is applied.
    through: Offset,
    /// How many events of the shortened channel were applied since its last snapshot.
    records: u64,
    shortened: Option<Shortened>,
}

/// The channel that has snapshots among its events.
#[derive(Clone)]
pub(crate) struct Shortened {
    pub(crate) channel: Channel,
    /// Whether an event is part of a snapshot, and if so whether the last.
    pub(crate) part_of: fn(&Event) -> Option<bool>,
}

impl<P: Projection> Live<P> {
    fn apply(&mut self, event: &Event) {
        if let Some(shortened) = self.shortened.as_ref().filter(|one| one.channel == event.channel) {
            if let Some(is_last) = (shortened.part_of)(event) {
                self.records = if is_last { 0 } else { self.records };
                return;
            }
            self.records += 1;
        }
        self.state.apply(event);
    }

    fn settle(&mut self, through: Offset) {
        self.through = self.through.max(through);
        self.state.settled(self.through);
    }

    /// Applies everything there is.
    async fn catch_up(&mut self, follow: &mut Follow) -> Result<(), ReadError> {
        while let Some(found) = follow.ready().await? {
            match found {
                Followed::Events(events) => events.iter().for_each(|event| self.apply(event)),
                Followed::Gap(gap) => self.state.lost(&gap),
            }
        }
        self.through = follow.cursor().offset;
        Ok(())
    }
}

#[derive(Default)]
struct Buffer {
    events: Vec<Arc<Event>>,
    /// There were more than the limit: the rebuild starts over.
    overflowed: bool,
}

impl Buffer {
    fn push(&mut self, event: &Arc<Event>) {
        if self.events.len() >= BUFFERED_MAX {
            self.overflowed = true;
            self.events = Vec::new();
        }
        if !self.overflowed {
            self.events.push(Arc::clone(event));
        }
    }
}

impl<P: Projection> Shared<P> {
    /// Puts the state that was rebuilt from `channels` in place, with what was committed after it. False if
    /// that is not known any more, or would come out of order: the rebuild starts over.
    fn go_live(&self, rebuilt: Live<P>, channels: &[Channel]) -> bool {
        let mut rebuild = self.rebuild.lock();
        let buffer = rebuild.take().unwrap_or_default();
        let through = rebuilt.through;
        let unread = |event: &Arc<Event>| event.offset <= through && !channels.contains(&event.channel);
        if buffer.overflowed || buffer.events.iter().any(unread) {
            *rebuild = Some(Buffer::default());
            return false;
        }
        let mut live = self.live.write();
        *live = rebuilt;
        let fresh = buffer.events.iter().filter(|event| event.offset > through);
        fresh.for_each(|event| live.apply(event));
        live.settle(buffer.events.last().map_or(through, |event| event.offset));
        true
    }
}

impl<P: Projection> CommitListener for Shared<P> {
    fn committed(&self, events: &[Arc<Event>]) {
        let mut ours = self.sources.of(events).peekable();
        if ours.peek().is_none() {
            return;
        }
        let mut rebuild = self.rebuild.lock();
        if let Some(buffer) = &mut *rebuild {
            ours.for_each(|event| buffer.push(event));
            return;
        }
        let mut live = self.live.write();
        ours.for_each(|event| live.apply(event));
        if let Some(last) = events.last() {
            live.settle(last.offset);
        }
    }
}
