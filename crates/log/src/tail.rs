//! The tail: the newest events of every channel, in memory, shared by all readers. It is a cache: what it
//! does not hold any more is read from the engine. One budget of bytes holds over all channels; when it is
//! exceeded, the oldest event of the whole log leaves first.
//!
//! Invariants:
//! - A channel's tail holds every event of the channel after its `evicted_through`.
//! - `through` moves after the events up to it are in place, so who has read `through` finds them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, RwLock, RwLockUpgradableReadGuard};

use crate::{Channel, Event, Keep, Offset, ReadLimit, RetentionRules};

/// The tail's limits.
#[derive(Debug, Clone)]
pub struct TailConfig {
    /// How many bytes of events ([`Event::weight_bytes`]) it holds over all channels. Default 64 MiB.
    pub bytes_max: u64,
}

impl Default for TailConfig {
    fn default() -> Self {
        Self { bytes_max: 64 << 20 }
    }
}

/// One channel's newest events. A reader holds it for each of its channels.
#[derive(Debug)]
pub struct ChannelTail {
    channel: Channel,
    keep: Keep,
    /// Never below the offset of the channel's newest event, nor below `evicted_through`: when a reader's
    /// cursor is at or past it, there is nothing for the reader and no lock is taken.
    newest: AtomicU64,
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    events: VecDeque<Arc<Event>>,
    evicted_through: Offset,
}

impl ChannelTail {
    fn new(channel: Channel, keep: Keep, evicted_through: Offset) -> Self {
        let held = Held { events: VecDeque::new(), evicted_through };
        Self { channel, keep, newest: AtomicU64::new(evicted_through.get()), held: RwLock::new(held) }
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// What a reader that is behind gets.
    #[must_use]
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// Whether the tail may hold something after `after`. Cost: one atomic load.
    #[must_use]
    pub fn has_after(&self, after: Offset) -> bool {
        self.newest.load(Ordering::Acquire) > after.get()
    }

    /// An offset not below that of the channel's newest event; see [`crate::Log::newest`] for the exact one.
    #[must_use]
    pub fn newest_bound(&self) -> Offset {
        Offset::new(self.newest.load(Ordering::Acquire))
    }

    /// Appends the events in `(after, through]` to `out`, at most `events_max` of them; false if some of them
    /// may not be here any more.
    fn read(&self, after: Offset, through: Offset, events_max: usize, out: &mut Vec<Arc<Event>>) -> bool {
        let held = self.held.read();
        if self.keep == Keep::Latest {
            return held.latest(after, through, out);
        }
        if held.evicted_through > after {
            return false;
        }
        let from = held.begin(after);
        let wanted = held.events.range(from..).take_while(|event| event.offset <= through);
        out.extend(wanted.take(events_max).cloned());
        true
    }

    fn push(&self, event: Arc<Event>) {
        self.newest.store(event.offset.get(), Ordering::Release);
        self.held.write().events.push_back(event);
    }

    /// Drops everything up to `through`; the channel counts as incomplete up to there.
    fn drop_through(&self, through: Offset) {
        let mut held = self.held.write();
        while held.events.front().is_some_and(|event| event.offset <= through) {
            held.events.pop_front();
        }
        held.evicted_through = held.evicted_through.max(through);
        self.newest.fetch_max(through.get(), Ordering::AcqRel);
        if held.events.is_empty() {
            held.events.shrink_to_fit();
        }
    }

    /// Learns that the channel has no event in `(last, evicted_through]`, so readers from `last` on are not
    /// behind.
    pub(crate) fn complete_after(&self, last: Offset) {
        let mut held = self.held.write();
        if last < held.evicted_through && held.events.is_empty() {
            // Under the lock: an event pushed meanwhile has raised `newest` past what is compared here.
            let (old, new) = (held.evicted_through.get(), last.get());
            if self.newest.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                held.evicted_through = last;
            }
        }
    }

    /// The event at an offset that is committed. `Err` if it may be gone from here only.
    fn event_at(&self, offset: Offset) -> Result<Option<Arc<Event>>, NotHeld> {
        let held = self.held.read();
        if held.evicted_through >= offset {
            return Err(NotHeld);
        }
        let at = held.events.binary_search_by_key(&offset, |event| event.offset);
        Ok(at.ok().map(|at| Arc::clone(&held.events[at])))
    }

    fn is_empty(&self) -> bool {
        self.held.read().events.is_empty()
    }
}

/// From how many events on the place of a cursor is searched for by halves.
const NEAR: usize = 8;

impl Held {
    /// Where the events after `after` begin. Nearly every reader lacks only the newest, so the search begins
    /// there.
    fn begin(&self, after: Offset) -> usize {
        let newest = self.events.iter().rev().take(NEAR);
        match newest.take_while(|event| event.offset > after).count() {
            NEAR => self.events.partition_point(|event| event.offset <= after),
            newer => self.events.len() - newer,
        }
    }

    fn latest(&self, after: Offset, through: Offset, out: &mut Vec<Arc<Event>>) -> bool {
        match self.events.iter().rev().find(|event| event.offset <= through) {
            Some(event) if event.offset > after => out.push(Arc::clone(event)),
            Some(_) => {}
            None => return self.evicted_through <= after,
        }
        true
    }
}

/// What a read of the tail found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailRead {
    /// Everything on the channels up to this offset is in the output, or the limit cut it there.
    Through(Offset),
    /// Some of it is not in memory any more.
    Behind,
}

/// The tail cannot tell: ask the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotHeld;

type Channels = HashMap<Channel, Arc<ChannelTail>, foldhash::fast::RandomState>;

/// All channels' tails.
#[derive(Debug)]
pub(crate) struct Tail {
    config: TailConfig,
    rules: RetentionRules,
    through: AtomicU64,
    channels: RwLock<Channels>,
    ring: Mutex<Ring>,
    /// When the map has grown to this size, entries nobody needs are swept.
    sweep_at: AtomicUsize,
}

/// Every event put into the tail, oldest first: the order in which they leave.
#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<(Arc<ChannelTail>, Offset, u64)>,
    bytes: u64,
}

const SWEEP_FIRST_AT: usize = 1024;

impl Tail {
    pub(crate) fn new(config: TailConfig, rules: RetentionRules, through: Offset) -> Self {
        Self {
            config,
            rules,
            through: AtomicU64::new(through.get()),
            channels: RwLock::default(),
            ring: Mutex::default(),
            sweep_at: AtomicUsize::new(SWEEP_FIRST_AT),
        }
    }

    /// The offset of the newest committed event.
    pub(crate) fn through(&self) -> Offset {
        Offset::new(self.through.load(Ordering::Acquire))
    }

    /// A channel's tail. The second value says that it is new and counts as incomplete up to the log's tail.
    pub(crate) fn open(&self, channel: &Channel) -> (Arc<ChannelTail>, bool) {
        if let Some(found) = self.channels.read().get(channel) {
            return (Arc::clone(found), false);
        }
        let mut channels = self.channels.write();
        if let Some(found) = channels.get(channel) {
            return (Arc::clone(found), false);
        }
        if channels.len() >= self.sweep_at.load(Ordering::Relaxed) {
            channels.retain(|_, tail| Arc::strong_count(tail) > 1 || !tail.is_empty());
            self.sweep_at.store((channels.len() * 2).max(SWEEP_FIRST_AT), Ordering::Relaxed);
        }
        // No commit can run while the map is locked, so everything up to `through` is not in this new entry.
        let tail = Arc::new(ChannelTail::new(channel.clone(), self.rules.of(channel).keep, self.through()));
        channels.insert(channel.clone(), Arc::clone(&tail));
        (tail, true)
    }

    /// Takes committed events in, in offset order; called by one thread at a time.
    pub(crate) fn commit(&self, events: &[Arc<Event>], through: Offset) {
        let mut ring = self.ring.lock();
        // Until `through` has moved nobody makes a channel; see `open`.
        let mut channels = self.channels.upgradable_read();
        let mut previous: Option<Arc<ChannelTail>> = None;
        for event in events {
            let tail = match previous.take() {
                Some(tail) if tail.channel == event.channel => tail,
                _ => match self.channel_of(event, &mut channels) {
                    Some(tail) => tail,
                    None => continue,
                },
            };
            tail.push(Arc::clone(event));
            let weight = event.weight_bytes();
            ring.bytes += weight;
            ring.entries.push_back((Arc::clone(&tail), event.offset, weight));
            previous = Some(tail);
        }
        self.through.store(through.get(), Ordering::Release);
        drop(channels);
        ring.shrink_to(self.config.bytes_max);
    }

    /// Where the event goes. Nowhere if its channel keeps one event and nobody has opened it: whoever does
    /// reads that one from the engine, and a log may have very many of them that nobody ever opens.
    fn channel_of(
        &self,
        event: &Event,
        channels: &mut RwLockUpgradableReadGuard<'_, Channels>,
    ) -> Option<Arc<ChannelTail>> {
        if let Some(found) = channels.get(&event.channel) {
            return Some(Arc::clone(found));
        }
        let keep = self.rules.of(&event.channel).keep;
        if keep == Keep::Latest {
            return None;
        }
        let fresh = Arc::new(ChannelTail::new(event.channel.clone(), keep, event.offset.previous()));
        RwLockUpgradableReadGuard::with_upgraded(channels, |channels| {
            channels.insert(event.channel.clone(), Arc::clone(&fresh))
        });
        Some(fresh)
    }

    /// The event of a channel at a committed offset; none if there is no such event. Opens no channel.
    pub(crate) fn event_at(&self, channel: &Channel, offset: Offset) -> Result<Option<Arc<Event>>, NotHeld> {
        let found = self.channels.read().get(channel).cloned();
        found.ok_or(NotHeld)?.event_at(offset)
    }

    pub(crate) fn trimmed(&self, channel: &Channel, through: Offset) {
        let found = self.channels.read().get(channel).cloned();
        if let Some(tail) = found {
            tail.drop_through(through);
        }
    }

    /// Reads the channels after `after`, up to `upto`, in offset order.
    pub(crate) fn read(
        channels: &[Arc<ChannelTail>],
        after: Offset,
        upto: Offset,
        limit: ReadLimit,
        out: &mut Vec<Arc<Event>>,
    ) -> TailRead {
        let start = out.len();
        let mut contributors = 0;
        for tail in channels {
            if !tail.has_after(after) {
                continue;
            }
            contributors += 1;
            if !tail.read(after, upto, limit.events_max, out) {
                out.truncate(start);
                return TailRead::Behind;
            }
        }
        if contributors > 1 {
            out[start..].sort_unstable_by_key(|event| event.offset);
        }
        TailRead::Through(limit.cut(out, start, upto))
    }
}

impl Ring {
    fn shrink_to(&mut self, bytes_max: u64) {
        while self.bytes > bytes_max {
            let Some((tail, offset, weight)) = self.entries.pop_front() else { break };
            tail.drop_through(offset);
            self.bytes -= weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventName, Payload, Publication, Timestamp};

    #[test]
    fn a_read_begins_after_its_cursor_however_far_that_is_behind() {
        let channel = Channel::new("a").expect("a name");
        let tail = ChannelTail::new(channel.clone(), Keep::All, Offset::ZERO);
        let name = EventName::new("x").expect("a name");
        for offset in 1..=3 * NEAR as u64 {
            let publication =
                Publication { channel: channel.clone(), name: name.clone(), payload: Payload::null() };
            tail.push(Arc::new(Event::new(Offset::new(2 * offset), Timestamp::default(), publication)));
        }
        for after in 0..=6 * NEAR as u64 + 1 {
            let mut events = Vec::new();
            assert!(tail.read(Offset::new(after), Offset::MAX, usize::MAX, &mut events), "{after}");
            let offsets: Vec<u64> = events.iter().map(|event| event.offset.get()).collect();
            let expected: Vec<u64> = (1..=3 * NEAR as u64).map(|n| 2 * n).filter(|n| *n > after).collect();
            assert_eq!(offsets, expected, "after {after}");
        }
    }
}
