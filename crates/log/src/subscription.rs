//! Subscriptions: what one reader follows and where it stands.
//!
//! A subscription is a few groups of channels with a cursor each, lowest first. Delivery serves the lowest
//! group, up to where the next one stands; there the two become one. So a channel that is added with an older
//! cursor catches up first, and a reader's own rule "my cursor is the last offset I saw" holds meanwhile.
//! Nearly always there is one group.
//!
//! Invariants:
//! - Groups are sorted by cursor and no two stand at the same place.
//! - A channel is in one group at most.
//! - [`Subscription::advance`] is the only writer of a cursor after the start, and never moves it back.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::{
    Channel, ChannelTail, Event, Gap, Log, Offset, ReadLimit, ReadRequest,
    tail::{Tail, TailRead},
};

#[derive(Debug, Clone)]
struct Group {
    cursor: Offset,
    channels: SmallVec<[Arc<ChannelTail>; 1]>,
}

/// Channels and cursors of one reader.
#[derive(Debug, Clone, Default)]
pub struct Subscription {
    groups: SmallVec<[Group; 1]>,
}

/// What there is for a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peek {
    /// The output holds everything up to `through` (maybe nothing). Deliver it, then
    /// [`Subscription::advance`].
    Ready {
        /// Where the reader stands after it.
        through: Offset,
        /// There is nothing more at the moment.
        live: bool,
    },
    /// The tail does not hold it any more: ask [`Log::read_behind`].
    Behind(ReadRequest),
}

impl Subscription {
    /// A subscription to nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it has no channel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All channels.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<ChannelTail>> {
        self.groups.iter().flat_map(|group| group.channels.iter())
    }

    /// Whether it follows a channel.
    #[must_use]
    pub fn follows(&self, channel: &Channel) -> bool {
        self.channels().any(|tail| tail.channel() == channel)
    }

    /// Where it stands on one channel; `None` if it does not follow it.
    #[must_use]
    pub fn position(&self, channel: &Channel) -> Option<Offset> {
        let holds = |group: &&Group| group.channels.iter().any(|tail| tail.channel() == channel);
        self.groups.iter().find(holds).map(|group| group.cursor)
    }

    /// The cursor that holds for every channel: the lowest. `tail` where there is no channel.
    #[must_use]
    pub fn cursor(&self, tail: Offset) -> Offset {
        self.groups.first().map_or(tail, |group| group.cursor)
    }

    /// How many channels it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.channels.len()).sum()
    }

    /// Adds a channel that is to be read after `after`; a channel that is there already moves there.
    pub fn add(&mut self, tail: Arc<ChannelTail>, after: Offset) {
        self.remove(tail.channel());
        let at = self.groups.partition_point(|group| group.cursor < after);
        match self.groups.get_mut(at) {
            Some(group) if group.cursor == after => group.channels.push(tail),
            _ => self.groups.insert(at, Group { cursor: after, channels: smallvec![tail] }),
        }
    }

    /// Removes a channel; returns whether it was there.
    pub fn remove(&mut self, channel: &Channel) -> bool {
        let before = self.len();
        for group in &mut self.groups {
            group.channels.retain(|tail| tail.channel() != channel);
        }
        self.groups.retain(|group| !group.channels.is_empty());
        before != self.len()
    }

    /// Looks for what comes next and appends it to `out`; moves no cursor.
    ///
    /// Cost: one atomic load a channel when there is nothing; no allocation beyond `out`.
    pub fn peek(&self, log: &Log, limit: ReadLimit, out: &mut Vec<Arc<Event>>) -> Peek {
        let tail = log.tail_offset();
        let Some(group) = self.groups.first() else { return Peek::Ready { through: tail, live: true } };
        let upto = self.groups.get(1).map_or(tail, |next| next.cursor.min(tail)).max(group.cursor);
        match Tail::read(&group.channels, group.cursor, upto, limit, out) {
            TailRead::Through(through) => {
                Peek::Ready { through, live: self.groups.len() == 1 && through >= tail }
            }
            TailRead::Behind => Peek::Behind(group.request(upto, limit)),
        }
    }

    /// Moves a reader that has everything over what other channels' events made of the tail; one that has not
    /// stays.
    pub fn move_to_tail(&mut self, log: &Log) {
        let mut events = Vec::new();
        let one = ReadLimit { events_max: 1, bytes_max: 1 };
        if let Peek::Ready { through, .. } = self.peek(log, one, &mut events)
            && events.is_empty()
        {
            self.advance(through);
        }
    }

    /// Whether the only difference between this reader and a shared read is where it stands: one group, at
    /// `after`, and of its channels only `channel` has anything new. Such readers share the bytes of one
    /// read.
    #[must_use]
    pub fn needs_only(&self, channel: &Arc<ChannelTail>, after: Offset) -> bool {
        let [group] = self.groups.as_slice() else { return false };
        group.cursor == after
            && group.channels.iter().all(|tail| Arc::ptr_eq(tail, channel) || !tail.has_after(after))
    }

    /// The reader was told of a gap: each channel goes on after what it lost.
    pub fn skip(&mut self, gap: &Gap) {
        for (channel, through) in &gap.lost {
            let found = self.channels().find(|tail| tail.channel() == channel).cloned();
            if let Some(tail) = found {
                self.add(tail, *through);
            }
        }
    }

    /// The reader has everything of the lowest group up to `through`.
    pub fn advance(&mut self, through: Offset) {
        let Some(first) = self.groups.first_mut() else { return };
        first.cursor = first.cursor.max(through);
        while self.groups.len() > 1 && self.groups[0].cursor >= self.groups[1].cursor {
            let mut merged = self.groups.remove(0);
            // The groups meet: `peek` never reads past the next group's cursor.
            self.groups[0].channels.append(&mut merged.channels);
        }
    }
}

impl Group {
    fn request(&self, upto: Offset, limit: ReadLimit) -> ReadRequest {
        ReadRequest {
            channels: self.channels.iter().map(|tail| tail.channel().clone()).collect(),
            after: self.cursor,
            through: upto,
            events_max: limit.events_max,
            bytes_max: limit.bytes_max,
        }
    }
}
