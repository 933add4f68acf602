//! Events in memory, by channel, under retention. The in-memory engine is this and a counter; engines that
//! write use it for their ephemeral channels.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    Channel, ChannelState, Event, Offset, ReadBatch, ReadRequest, Retention, RetentionRules, Timestamp,
};

/// How many channels that hold no event are remembered with what they lost. Past it the oldest are forgotten,
/// and from then on every unknown channel counts as trimmed up to the greatest offset forgotten: a gap too
/// many rather than one too few.
const EMPTY_CHANNELS_MAX: usize = 100_000;

/// What a channel takes beside its events, with its name.
const CHANNEL_BYTES: u64 = 256;

/// One channel: its kept events and what is gone.
#[derive(Debug, Default)]
pub struct StoredChannel {
    events: VecDeque<Arc<Event>>,
    bytes: u64,
    /// What the events take in memory.
    memory_bytes: u64,
    last: Offset,
    trimmed_through: Offset,
}

impl StoredChannel {
    fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.weight_bytes();
        self.memory_bytes += event.memory_bytes();
        self.last = event.offset;
        self.events.push_back(event);
    }

    fn pop_oldest(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.weight_bytes();
            self.memory_bytes -= event.memory_bytes();
            self.trimmed_through = self.trimmed_through.max(event.offset);
        }
    }

    fn sizes(&self) -> (u64, u64) {
        (self.bytes, self.memory_bytes)
    }

    fn enforce(&mut self, retention: &Retention, now: Timestamp) -> bool {
        let before = self.trimmed_through;
        // The clock may have been ahead when the oldest was written: it is no younger than the newest.
        let newest = self.events.back().map_or(now, |event| event.time);
        while let Some(oldest) = self.events.front() {
            if !retention.exceeded(self.events.len() as u64, self.bytes, oldest.time.min(newest), now) {
                break;
            }
            self.pop_oldest();
        }
        self.trimmed_through != before
    }

    fn trim(&mut self, through: Offset) -> bool {
        let before = self.trimmed_through;
        while self.events.front().is_some_and(|event| event.offset <= through) {
            self.pop_oldest();
        }
        self.trimmed_through != before
    }

    fn state(&self, floor: Offset) -> ChannelState {
        let trimmed_through = self.trimmed_through.max(floor);
        ChannelState {
            last: self.last.max(trimmed_through),
            trimmed_through,
            events: self.events.len() as u64,
        }
    }
}

/// Many channels.
#[derive(Debug)]
pub struct ChannelStore {
    channels: BTreeMap<Channel, StoredChannel>,
    rules: RetentionRules,
    /// Channels that are not in the map count as trimmed up to here.
    floor: Offset,
    empty: usize,
    bytes: u64,
    /// What the events take in memory, and how much that may be, with their channels.
    memory_bytes: u64,
    memory_bytes_max: u64,
}

impl ChannelStore {
    /// An empty store. Channels nobody has written to yet count as trimmed up to `floor`: zero for a new log,
    /// the tail at start for ephemeral channels after a restart.
    #[must_use]
    pub fn new(rules: RetentionRules, floor: Offset) -> Self {
        let memory_bytes_max = u64::MAX;
        Self {
            channels: BTreeMap::new(),
            rules,
            floor,
            empty: 0,
            bytes: 0,
            memory_bytes: 0,
            memory_bytes_max,
        }
    }

    /// Limits what the events and their channels may take in memory; see [`ChannelStore::fit`].
    #[must_use]
    pub fn within(self, memory_bytes_max: u64) -> Self {
        Self { memory_bytes_max, ..self }
    }

    /// What the events and their channels take in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes + self.channels.len() as u64 * CHANNEL_BYTES
    }

    /// Takes the oldest events of all channels where they take more memory than they may; returns what the
    /// channels lost.
    ///
    /// Cost: O(1) while there is room; else a look at every event, for which a tenth of the limit goes.
    pub fn fit(&mut self) -> Vec<(Channel, Offset)> {
        if self.memory_bytes() > self.memory_bytes_max {
            // They would make the events of others go, each time.
            self.forget_empty();
        }
        if self.memory_bytes() <= self.memory_bytes_max {
            return Vec::new();
        }
        let mut surplus = self.memory_bytes() - self.memory_bytes_max / 10 * 9;
        let events = self.channels.values().flat_map(|channel| &channel.events);
        let mut events: Vec<_> = events.map(|event| (event.offset, event.memory_bytes())).collect();
        events.sort_unstable();
        let mut through = Offset::ZERO;
        for (offset, bytes) in events {
            through = offset;
            surplus = surplus.saturating_sub(bytes);
            if surplus == 0 {
                break;
            }
        }
        let has_older = |channel: &StoredChannel| channel.events.front().is_some_and(|e| e.offset <= through);
        let older = self.channels.iter().filter(|(_, channel)| has_older(channel));
        let older: Vec<Channel> = older.map(|(name, _)| name.clone()).collect();
        let lost = older.into_iter().filter_map(|name| self.trim(&name, through).map(|lost| (name, lost)));
        let lost = lost.collect();
        self.forget_empty();
        lost
    }

    /// Counts what became of a channel that had these sizes.
    fn resize(&mut self, before: (u64, u64), after: (u64, u64)) {
        self.bytes = (self.bytes + after.0).saturating_sub(before.0);
        self.memory_bytes = (self.memory_bytes + after.1).saturating_sub(before.1);
    }

    /// Stores an event with a greater offset than all before; returns what its channel has now lost, if that
    /// grew.
    pub fn push(&mut self, event: Arc<Event>, now: Timestamp) -> Option<Offset> {
        let retention = self.rules.of(&event.channel);
        let floor = self.floor;
        let channel = self
            .channels
            .entry(event.channel.clone())
            .or_insert_with(|| StoredChannel { trimmed_through: floor, ..StoredChannel::default() });
        if channel.events.is_empty() && channel.last > Offset::ZERO {
            self.empty = self.empty.saturating_sub(1);
        }
        let before = channel.sizes();
        channel.push(event);
        let lost = channel.enforce(retention, now).then_some(channel.trimmed_through);
        let after = channel.sizes();
        self.resize(before, after);
        lost
    }

    /// Applies retention everywhere; returns the channels that lost something. Cost: O(channels).
    pub fn enforce(&mut self, now: Timestamp) -> Vec<(Channel, Offset)> {
        let mut trimmed = Vec::new();
        for (name, channel) in &mut self.channels {
            if channel.events.is_empty() {
                continue;
            }
            let before = channel.sizes();
            if channel.enforce(self.rules.of(name), now) {
                trimmed.push((name.clone(), channel.trimmed_through));
                let after = channel.sizes();
                self.bytes = (self.bytes + after.0).saturating_sub(before.0);
                self.memory_bytes = (self.memory_bytes + after.1).saturating_sub(before.1);
                self.empty += usize::from(channel.events.is_empty());
            }
        }
        self.forget_empty();
        trimmed
    }

    /// Removes everything on a channel up to `through`; returns what it has lost, if that grew.
    pub fn trim(&mut self, name: &Channel, through: Offset) -> Option<Offset> {
        let channel = self.channels.get_mut(name)?;
        let (before, held) = (channel.sizes(), !channel.events.is_empty());
        let lost = channel.trim(through).then_some(channel.trimmed_through);
        let after = channel.sizes();
        self.empty += usize::from(held && channel.events.is_empty());
        self.resize(before, after);
        lost
    }

    /// What is known of a channel.
    #[must_use]
    pub fn state(&self, name: &Channel) -> ChannelState {
        match self.channels.get(name) {
            Some(channel) => channel.state(Offset::ZERO),
            None => ChannelState { last: self.floor, trimmed_through: self.floor, events: 0 },
        }
    }

    /// Channels that hold events, by name.
    pub fn list<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (Channel, ChannelState)> + 'a {
        self.channels
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
            .take_while(move |(name, _)| name.as_str().starts_with(prefix))
            .filter(|(_, channel)| !channel.events.is_empty())
            .map(|(name, channel)| (name.clone(), channel.state(Offset::ZERO)))
    }

    /// How many channels hold events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len() - self.empty
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the kept events weigh, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads events in offset order. Cost: O(channels · log events + what is returned).
    #[must_use]
    pub fn read(&self, request: &ReadRequest) -> ReadBatch {
        let mut trimmed = Vec::new();
        let mut events = Vec::new();
        for name in &request.channels {
            let state = self.state(name);
            if state.trimmed_through > request.after {
                trimmed.push((name.clone(), state.trimmed_through));
            }
            if let Some(channel) = self.channels.get(name) {
                let from = channel.events.partition_point(|event| event.offset <= request.after);
                let wanted = channel.events.range(from..).take_while(|event| event.offset <= request.through);
                events.extend(wanted.take(request.events_max.max(1)).cloned());
            }
        }
        events.sort_unstable_by_key(|event| event.offset);
        let through = cut(&mut events, request);
        ReadBatch { events, through, trimmed, damaged: Vec::new() }
    }

    /// How many empty channels are kept at most: of the memory there is they have a quarter.
    fn empty_max(&self) -> usize {
        let fitting = self.memory_bytes_max / 4 / CHANNEL_BYTES;
        EMPTY_CHANNELS_MAX.min(usize::try_from(fitting).unwrap_or(EMPTY_CHANNELS_MAX))
    }

    fn forget_empty(&mut self) {
        let empty_max = self.empty_max();
        if self.empty <= empty_max {
            return;
        }
        let mut gone: Vec<_> =
            self.channels.values().filter(|c| c.events.is_empty()).map(|c| c.last).collect();
        gone.sort_unstable();
        let surplus = gone.len().saturating_sub(empty_max / 2);
        let Some(limit) = gone.get(surplus.saturating_sub(1)).copied() else { return };
        self.channels.retain(|_, channel| !channel.events.is_empty() || channel.last > limit);
        self.floor = self.floor.max(limit);
        self.empty = self.channels.values().filter(|c| c.events.is_empty()).count();
    }
}

/// Cuts sorted events to the request's limits and returns the offset up to which they are complete.
pub(crate) fn cut(events: &mut Vec<Arc<Event>>, request: &ReadRequest) -> Offset {
    let mut bytes = 0;
    let mut kept = 0;
    for event in events.iter().take(request.events_max.max(1)) {
        bytes += event.payload.as_bytes().len();
        if kept > 0 && bytes > request.bytes_max {
            break;
        }
        kept += 1;
    }
    if kept == events.len() && kept < request.events_max.max(1) {
        return request.through;
    }
    events.truncate(kept);
    events.last().map_or(request.through, |event| event.offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventName, Payload, Publication};

    fn event(channel: &str, offset: u64) -> Arc<Event> {
        let publication = Publication {
            channel: Channel::new(channel).expect(channel),
            name: EventName::new("x").expect("a name"),
            payload: Payload::null(),
        };
        Arc::new(Event::new(Offset::new(offset), Timestamp::from_millis(0), publication))
    }

    #[test]
    fn the_oldest_of_all_channels_go_when_they_take_more_memory_than_they_may() {
        let each = event("c0", 1).memory_bytes() + CHANNEL_BYTES;
        let mut store = ChannelStore::new(RetentionRules::default(), Offset::ZERO).within(1000 * each);
        for offset in 1..=1000 {
            store.push(event(&format!("c{offset}"), offset), Timestamp::from_millis(0));
            assert_eq!(store.fit(), [], "{offset}");
        }
        store.push(event("c1001", 1001), Timestamp::from_millis(0));
        let lost = store.fit();
        assert!((100..200).contains(&lost.len()), "a tenth goes at once: {}", lost.len());
        let expected = |(name, through): &(Channel, Offset)| name.as_str() == format!("c{}", through.get());
        assert!(lost.iter().all(expected) && lost.iter().all(|(_, through)| through.get() <= 200));
        assert_eq!(store.len(), 1001 - lost.len());
        for offset in 1002..=20_000 {
            store.push(event(&format!("c{}", offset % 3000), offset), Timestamp::from_millis(0));
            store.fit();
            let held: u64 = store.channels.values().flat_map(|c| &c.events).map(|e| e.memory_bytes()).sum();
            assert_eq!(store.memory_bytes, held);
            assert!(store.memory_bytes <= 1000 * each);
        }
    }

    #[test]
    fn channels_that_are_empty_take_no_event_from_others() {
        let each = event("c0", 1).memory_bytes() + CHANNEL_BYTES;
        let mut store = ChannelStore::new(RetentionRules::default(), Offset::ZERO).within(100 * each);
        store.push(event("kept", 1), Timestamp::from_millis(0));
        for offset in 2..=10_000 {
            let name = format!("c{offset}");
            store.push(event(&name, offset), Timestamp::from_millis(0));
            store.trim(&Channel::new(&name).expect("a name"), Offset::new(offset));
            assert_eq!(store.fit(), [], "{offset}");
            assert!(store.memory_bytes() <= 100 * each);
        }
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn forgotten_channels_become_a_gap_too_many_never_one_too_few() {
        let retention = Retention { age_max_ms: 10, ..Retention::default() };
        let mut store = ChannelStore::new(RetentionRules::new(vec![], retention), Offset::ZERO);
        let count = EMPTY_CHANNELS_MAX as u64 + 10;
        for offset in 1..=count {
            store.push(event(&format!("c{offset}"), offset), Timestamp::from_millis(0));
        }
        store.enforce(Timestamp::from_millis(11));
        assert!(store.channels.len() <= EMPTY_CHANNELS_MAX);
        let first = store.state(&Channel::new("c1").expect("a name"));
        assert!(first.trimmed_through >= Offset::new(1), "a reader of c1 is still told");
        assert_eq!(store.bytes(), 0);
    }
}
