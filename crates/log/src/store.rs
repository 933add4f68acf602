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

/// One channel: its kept events and what is gone.
#[derive(Debug, Default)]
pub struct StoredChannel {
    events: VecDeque<Arc<Event>>,
    bytes: u64,
    last: Offset,
    trimmed_through: Offset,
}

impl StoredChannel {
    fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.weight_bytes();
        self.last = event.offset;
        self.events.push_back(event);
    }

    fn pop_oldest(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.weight_bytes();
            self.trimmed_through = self.trimmed_through.max(event.offset);
        }
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
}

impl ChannelStore {
    /// An empty store. Channels nobody has written to yet count as trimmed up to `floor`: zero for a new log,
    /// the tail at start for ephemeral channels after a restart.
    #[must_use]
    pub fn new(rules: RetentionRules, floor: Offset) -> Self {
        Self { channels: BTreeMap::new(), rules, floor, empty: 0, bytes: 0 }
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
        let before = channel.bytes;
        channel.push(event);
        let grew = channel.enforce(retention, now);
        self.bytes = (self.bytes + channel.bytes).saturating_sub(before);
        grew.then_some(channel.trimmed_through)
    }

    /// Applies retention everywhere; returns the channels that lost something. Cost: O(channels).
    pub fn enforce(&mut self, now: Timestamp) -> Vec<(Channel, Offset)> {
        let mut trimmed = Vec::new();
        for (name, channel) in &mut self.channels {
            if channel.events.is_empty() {
                continue;
            }
            let before = channel.bytes;
            if channel.enforce(self.rules.of(name), now) {
                trimmed.push((name.clone(), channel.trimmed_through));
                self.bytes = (self.bytes + channel.bytes).saturating_sub(before);
                self.empty += usize::from(channel.events.is_empty());
            }
        }
        self.forget_empty();
        trimmed
    }

    /// Removes everything on a channel up to `through`; returns what it has lost, if that grew.
    pub fn trim(&mut self, name: &Channel, through: Offset) -> Option<Offset> {
        let channel = self.channels.get_mut(name)?;
        let (before, held) = (channel.bytes, !channel.events.is_empty());
        let grew = channel.trim(through);
        self.bytes = (self.bytes + channel.bytes).saturating_sub(before);
        self.empty += usize::from(held && channel.events.is_empty());
        grew.then_some(channel.trimmed_through)
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

    fn forget_empty(&mut self) {
        if self.empty <= EMPTY_CHANNELS_MAX {
            return;
        }
        let mut gone: Vec<_> =
            self.channels.values().filter(|c| c.events.is_empty()).map(|c| c.last).collect();
        gone.sort_unstable();
        let keep = gone.len().saturating_sub(EMPTY_CHANNELS_MAX / 2);
        let Some(limit) = gone.get(keep.saturating_sub(1)).copied() else { return };
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
