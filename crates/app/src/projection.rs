//! State as a projection of the log: rebuilt at start, then changed by what is committed, and by nothing
//! else.
//!
//! Invariant: events are applied in the log's order, each once; [`Shared::apply`] is the only writer of the
//! state.

use std::sync::Arc;

use anywire_log::{
    Channel, ChannelPattern, CommitListener, Event, Follow, Followed, Gap, Log, Offset, Position, ReadError,
};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

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
        let shared = Arc::new(Shared {
            sources,
            state: RwLock::new(empty()),
            rebuild: Mutex::new(Some(Buffer::default())),
        });
        // First: what is committed from here on waits in the buffer.
        log.listen(Arc::clone(&shared) as Arc<dyn CommitListener>);
        loop {
            let mut rebuilt = empty();
            let channels = shared.sources.found(log);
            let mut follow = log.follow(&channels, Position::Oldest);
            let through = catch_up(&mut follow, &mut rebuilt).await?;
            if shared.go_live(rebuilt, &channels, through) {
                return Ok(Self { log: Arc::clone(log), shared });
            }
            tracing::info!(
                "more was committed meanwhile than is buffered, or on new channels: reading once more"
            );
        }
    }

    /// The state. Hold it briefly and never across an await: commits wait for it.
    pub fn read(&self) -> RwLockReadGuard<'_, P> {
        self.shared.state.read()
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

/// Applies everything there is; returns up to where the sources were read.
async fn catch_up<P: Projection>(follow: &mut Follow, state: &mut P) -> Result<Offset, ReadError> {
    while let Some(found) = follow.ready().await? {
        match found {
            Followed::Events(events) => events.iter().for_each(|event| state.apply(event)),
            Followed::Gap(gap) => state.lost(&gap),
        }
    }
    Ok(follow.cursor().offset)
}

/// What the committing thread and the readers share.
struct Shared<P> {
    sources: Sources,
    state: RwLock<P>,
    /// Events committed during the rebuild; none once live.
    rebuild: Mutex<Option<Buffer>>,
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
    /// Puts the state that was rebuilt from `channels` in place, with what was committed after `through`.
    /// False if that is not known any more, or would come out of order: the rebuild starts over.
    fn go_live(&self, rebuilt: P, channels: &[Channel], through: Offset) -> bool {
        let mut rebuild = self.rebuild.lock();
        let buffer = rebuild.take().unwrap_or_default();
        let unread = |event: &Arc<Event>| event.offset <= through && !channels.contains(&event.channel);
        if buffer.overflowed || buffer.events.iter().any(unread) {
            *rebuild = Some(Buffer::default());
            return false;
        }
        let mut state = self.state.write();
        *state = rebuilt;
        let fresh = buffer.events.iter().filter(|event| event.offset > through);
        fresh.for_each(|event| state.apply(event));
        state.settled(buffer.events.last().map_or(through, |event| event.offset.max(through)));
        true
    }
}

impl<P: Projection> CommitListener for Shared<P> {
    fn committed(&self, events: &[Arc<Event>]) {
        let mut ours = events.iter().filter(|event| self.sources.has(&event.channel)).peekable();
        if ours.peek().is_none() {
            return;
        }
        let mut rebuild = self.rebuild.lock();
        if let Some(buffer) = &mut *rebuild {
            ours.for_each(|event| buffer.push(event));
            return;
        }
        let mut state = self.state.write();
        ours.for_each(|event| state.apply(event));
        if let Some(last) = events.last() {
            state.settled(last.offset);
        }
    }
}

/// Applies everything the channels hold, and returns the reader that goes on from there.
///
/// Cost: one read of everything that is kept on the channels.
///
/// # Errors
/// [`ReadError`] of the engine.
pub async fn rebuild(
    log: &Arc<Log>,
    channels: &[Channel],
    projection: &mut impl Projection,
) -> Result<Follow, ReadError> {
    let mut follow = log.follow(channels, Position::Oldest);
    catch_up(&mut follow, projection).await?;
    Ok(follow)
}
