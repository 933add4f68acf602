//! The tail: the newest events of every channel, in memory, shared by all readers. It is a cache: what it
//! does not hold any more is read from the engine. One budget of memory holds over all channels: for events,
//! their encodings and the places they have here. When it is exceeded, the oldest event of the whole log
//! leaves first.
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

use crate::{
    Channel, Event, Keep, Offset, ReadLimit, RetentionRules,
    event::{EncodedBytes, allocated},
};

/// The tail's limits.
#[derive(Debug, Clone)]
pub struct TailConfig {
    /// How much memory its events take over all channels, with what codecs left in them. Default 64 MiB.
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

    /// Adds an event; returns whether it is the only one.
    fn push(&self, event: Arc<Event>) -> bool {
        self.newest.store(event.offset.get(), Ordering::Release);
        let mut held = self.held.write();
        if held.events.is_empty() {
            // Most channels of a log that has very many hold one event.
            held.events.reserve_exact(1);
        }
        held.events.push_back(event);
        held.events.len() == 1
    }

    /// Drops everything up to `through`; the channel counts as incomplete up to there. Returns whether it
    /// held something and does not any more.
    fn drop_through(&self, through: Offset) -> bool {
        let mut held = self.held.write();
        let before = held.events.len();
        while held.events.front().is_some_and(|event| event.offset <= through) {
            held.events.pop_front();
        }
        held.evicted_through = held.evicted_through.max(through);
        self.newest.fetch_max(through.get(), Ordering::AcqRel);
        if held.events.is_empty() {
            held.events.shrink_to_fit();
        }
        before > 0 && held.events.is_empty()
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
    /// How many channels hold an event here.
    occupied: AtomicUsize,
    encoded: EncodedBytes,
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

/// What an event's places in the ring and in its channel take: both grow by doubling.
const PLACES_BYTES: u64 =
    (size_of::<(Arc<ChannelTail>, Offset, u64)>() + size_of::<Arc<Event>>()) as u64 * 3 / 2;
/// What a channel takes that holds an event: itself, and its place in the map.
const CHANNEL_BYTES: u64 =
    (allocated(size_of::<ChannelTail>() + 16) + 2 * size_of::<(Channel, Arc<ChannelTail>)>()) as u64;

impl Tail {
    pub(crate) fn new(config: TailConfig, rules: RetentionRules, through: Offset) -> Self {
        Self {
            config,
            rules,
            through: AtomicU64::new(through.get()),
            channels: RwLock::default(),
            ring: Mutex::default(),
            occupied: AtomicUsize::new(0),
            encoded: EncodedBytes::default(),
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
            event.count_encodings(&self.encoded);
            if tail.push(Arc::clone(event)) {
                self.occupied.fetch_add(1, Ordering::Relaxed);
            }
            let weight = event.memory_bytes() + PLACES_BYTES;
            ring.bytes += weight;
            ring.entries.push_back((Arc::clone(&tail), event.offset, weight));
            previous = Some(tail);
        }
        self.through.store(through.get(), Ordering::Release);
        drop((channels, previous));
        self.shrink(&mut ring);
    }

    /// What it takes in memory, in bytes.
    fn memory_bytes(&self, ring: &Ring) -> u64 {
        let channels = self.occupied.load(Ordering::Relaxed) as u64 * CHANNEL_BYTES;
        ring.bytes + channels + self.encoded.get()
    }

    /// Lets the oldest events go that the budget has no room for, and the channels that are empty then.
    fn shrink(&self, ring: &mut Ring) {
        let mut emptied = Vec::new();
        while self.memory_bytes(ring) > self.config.bytes_max {
            let Some((tail, offset, weight)) = ring.entries.pop_front() else { break };
            ring.bytes -= weight;
            if tail.drop_through(offset) {
                self.occupied.fetch_sub(1, Ordering::Relaxed);
            }
            if tail.is_empty() {
                emptied.push(tail);
            }
        }
        ring.fit();
        if emptied.is_empty() {
            return;
        }
        let mut channels = self.channels.write();
        for tail in emptied {
            // Who still has it may be about to read it; those in the map and here do not.
            if Arc::strong_count(&tail) == 2 && tail.is_empty() {
                channels.remove(tail.channel());
            }
        }
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
        if found.is_some_and(|tail| tail.drop_through(through)) {
            self.occupied.fetch_sub(1, Ordering::Relaxed);
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
    /// Gives back what it needed when events were smaller and so more.
    fn fit(&mut self) {
        if self.entries.capacity() > 1024 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventName, Payload, Publication, Timestamp};

    fn event(channel: &Channel, offset: u64, payload_bytes: usize) -> Arc<Event> {
        let payload = Payload::Binary(bytes::Bytes::from(vec![0; payload_bytes]));
        let name = EventName::new("x").expect("a name");
        let publication = Publication { channel: channel.clone(), name, payload };
        Arc::new(Event::new(Offset::new(offset), Timestamp::default(), publication))
    }

    #[test]
    fn the_budget_holds_for_events_their_encodings_and_their_channels() {
        const BYTES_MAX: u64 = 1 << 20;
        let tail = Tail::new(TailConfig { bytes_max: BYTES_MAX }, RetentionRules::default(), Offset::ZERO);
        let mut kept = Vec::new();
        for offset in 1..=20_000 {
            let channel = Channel::new(&format!("c{}", offset % 5_000)).expect("a name");
            let event = event(&channel, offset, 100);
            tail.commit(std::slice::from_ref(&event), Offset::new(offset));
            event.encoding(0, |_| bytes::Bytes::from(vec![0; 200]));
            event.encoding(1, |_| bytes::Bytes::from(vec![0; 200]));
            kept.push(Arc::downgrade(&event));
        }
        let alive = kept.iter().filter(|event| event.strong_count() > 0).count();
        // 512 of the event, its texts and payload, 2 × 320 of its encodings, its places, its channel.
        assert!((500..1_000).contains(&alive), "{alive}");
        let ring = tail.ring.lock();
        assert!(tail.memory_bytes(&ring) <= BYTES_MAX + 2 * 320, "{}", tail.memory_bytes(&ring));
        assert_eq!(tail.channels.read().len(), alive, "channels that are empty are let go");
        assert_eq!(tail.occupied.load(Ordering::Relaxed), alive);
    }

    #[test]
    fn a_channel_that_somebody_has_stays_when_it_is_empty() {
        let tail = Tail::new(TailConfig { bytes_max: 0 }, RetentionRules::default(), Offset::ZERO);
        let channel = Channel::new("a").expect("a name");
        let (held, _) = tail.open(&channel);
        tail.commit(&[event(&channel, 1, 10)], Offset::new(1));
        assert!(Arc::ptr_eq(&held, &tail.open(&channel).0));
        drop(held);
        tail.commit(&[event(&channel, 2, 10)], Offset::new(2));
        assert!(tail.channels.read().is_empty());
    }

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
