//! All channels: what is kept of each, and which segments hold it. Ephemeral ones are in a [`ChannelStore`],
//! whose floor is the tail at start, so that readers of what a restart lost get a gap.
//!
//! Invariants:
//! - It holds committed events only.
//! - A channel it does not know counts as trimmed up to `floor`.

pub(crate) mod channel;
mod channels;
mod runs;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anywire_log::{
    Channel, ChannelState, ChannelStore, Durability, Event, Offset, Retention, RetentionRules, Timestamp,
};

use crate::embedded::{
    index::{
        channel::{ChannelIndex, Run},
        channels::Channels,
    },
    losses::{Ahead, Losses},
    segment::{error::FileError, file::Segment, files::Files, layout::Place, segment_index::EntryMap},
};

/// How many channels that hold no event are remembered with what they lost; as in [`ChannelStore`].
pub(crate) const EMPTY_CHANNELS_MAX: usize = if cfg!(test) { 100 } else { 100_000 };

/// All channels.
pub(crate) struct Index {
    rules: RetentionRules,
    /// What the rules say, each once however many channels it is for.
    retentions: Vec<Arc<Retention>>,
    channels: Channels,
    /// Durable channels that hold events, by name.
    listed: BTreeSet<Channel>,
    pub(crate) ephemeral: ChannelStore,
    pub(crate) floor: Offset,
    /// Everything up to here is committed.
    pub(crate) through: Offset,
    /// The segments by base; the last one is being written.
    pub(crate) segments: BTreeMap<u64, Arc<Segment>>,
    /// The places of channels that have events in the segment that is being written. One that was forgotten
    /// may stand here, and so may another one that took its place.
    active: Vec<u32>,
    /// What cannot be read any more.
    pub(crate) losses: Losses,
    /// Damage that retention found in an index file, for the upkeep thread.
    pub(crate) damaged: Vec<FileError>,
    /// Which places have changed since retention was last applied to them.
    changed: Vec<usize>,
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("four billion channels do not fit into memory")
}

impl Index {
    /// An index without events, for a log that begins or goes on after `through`, whose ephemeral events may
    /// take so much memory.
    pub(crate) fn new(
        rules: RetentionRules,
        floor: Offset,
        through: Offset,
        ephemeral_bytes_max: u64,
    ) -> Self {
        Self {
            ephemeral: ChannelStore::new(rules.clone(), through).within(ephemeral_bytes_max),
            rules,
            retentions: Vec::new(),
            channels: Channels::default(),
            listed: BTreeSet::new(),
            floor,
            through,
            segments: BTreeMap::new(),
            active: Vec::new(),
            losses: Losses::default(),
            damaged: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// A durable channel, if it is known.
    pub(crate) fn channel(&self, name: &Channel) -> Option<&ChannelIndex> {
        self.channels.place(name).and_then(|place| self.channels.get(place))
    }

    /// Every durable channel.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ChannelIndex> {
        self.channels.iter()
    }

    fn place_of(&mut self, name: &Channel) -> usize {
        if let Some(place) = self.channels.place(name) {
            return place;
        }
        let retention = self.retention_of(name);
        self.channels.insert(ChannelIndex::new(name.clone(), retention, self.floor))
    }

    /// What the rules say of a channel.
    fn retention_of(&mut self, name: &Channel) -> Arc<Retention> {
        let retention = self.rules.of(name);
        if let Some(known) = self.retentions.iter().find(|known| ***known == *retention) {
            return Arc::clone(known);
        }
        let known = Arc::new(retention.clone());
        self.retentions.push(Arc::clone(&known));
        known
    }

    fn at(&mut self, place: usize) -> &mut ChannelIndex {
        self.channels.get_mut(place).expect("a place that a name leads to has a channel")
    }

    /// Lets a channel use a run instead of those of old segments that it was made from.
    pub(crate) fn replace_runs(
        &mut self,
        name: &Channel,
        old: &[u64],
        new: Run,
        files: &Files,
    ) -> Result<(), FileError> {
        match self.channels.place(name) {
            Some(place) => self.at(place).replace(old, new, files),
            None => Ok(()),
        }
    }

    /// Adds committed events in offset order: those with a place are in the active segment, the others are
    /// ephemeral. Returns what ephemeral channels lost.
    pub(crate) fn commit(
        &mut self,
        segment: &Arc<Segment>,
        events: &[Arc<Event>],
        places: &[Option<Place>],
        now: Timestamp,
    ) -> Vec<(Channel, Offset)> {
        let mut trimmed = Vec::new();
        let mut held: Option<(usize, &Channel)> = None;
        for (event, place) in events.iter().zip(places) {
            let Some(place) = place else {
                let lost = self.ephemeral.push(Arc::clone(event), now);
                trimmed.extend(lost.map(|through| (event.channel.clone(), through)));
                continue;
            };
            // Most neighbours are on one channel.
            let at = match held {
                Some((at, name)) if *name == event.channel => at,
                _ => self.place_changed(&event.channel),
            };
            held = Some((at, &event.channel));
            if self.at(at).push(segment, event.offset, event.time, *place) {
                self.active.push(number(at));
            }
        }
        trimmed.extend(self.ephemeral.fit());
        trimmed
    }

    fn place_changed(&mut self, name: &Channel) -> usize {
        let place = self.place_of(name);
        if self.at(place).events == 0 {
            self.listed.insert(name.clone());
        }
        self.changed.push(place);
        place
    }

    /// The channels that have events in the segment that was being written until now.
    pub(crate) fn take_active(&mut self) -> Vec<Channel> {
        let places = std::mem::take(&mut self.active);
        let names = places.iter().filter_map(|place| self.channels.get(*place as usize));
        names.map(|channel| channel.name.clone()).collect()
    }

    /// At start: these have events in the segment that will be written.
    pub(crate) fn set_active(&mut self, names: &[Channel]) {
        let places = names.iter().filter_map(|name| self.channels.place(name));
        self.active = places.map(number).collect();
    }

    /// At start: adds a channel's part of the newest of the segments read so far.
    pub(crate) fn restore(&mut self, name: &Channel, run: Run) {
        let place = self.place_of(name);
        self.listed.insert(name.clone());
        self.at(place).push_run(run);
    }

    /// Applies retention to the channels that were committed to; returns what they lost.
    pub(crate) fn enforce_changed(&mut self, now: Timestamp, files: &Files) -> Vec<(Channel, Offset)> {
        let mut changed = std::mem::take(&mut self.changed);
        let mut trimmed = Vec::new();
        for place in changed.drain(..) {
            self.enforce_at(place, now, files, &mut trimmed);
        }
        self.changed = changed;
        trimmed
    }

    /// Applies retention to `count` places from `from` on; returns what they lost and whether there are more.
    pub(crate) fn enforce_some(
        &mut self,
        from: usize,
        count: usize,
        now: Timestamp,
        files: &Files,
    ) -> (Vec<(Channel, Offset)>, bool) {
        let end = (from + count).min(self.channels.end());
        let mut trimmed = Vec::new();
        for place in from..end {
            self.enforce_at(place, now, files, &mut trimmed);
        }
        (trimmed, end < self.channels.end())
    }

    fn enforce_at(
        &mut self,
        place: usize,
        now: Timestamp,
        files: &Files,
        trimmed: &mut Vec<(Channel, Offset)>,
    ) {
        let Some(channel) = self.channels.get_mut(place).filter(|channel| channel.is_exceeded(now)) else {
            return;
        };
        match channel.enforce(now, files) {
            Ok(true) => trimmed.push((channel.name.clone(), channel.trimmed_through)),
            Ok(false) => {}
            // One at a time: each of them is found again in a second. What is gone is taken then.
            Err(error) if error.is_damaged_index() => {
                if self.damaged.is_empty() && !channel.begins_in_gone_file() {
                    self.damaged.push(error);
                }
            }
            Err(error) => tracing::warn!(channel = %channel.name, %error, "retention has to wait"),
        }
        self.unlist_empty(place);
    }

    fn unlist_empty(&mut self, place: usize) {
        if let Some(channel) = self.channels.get(place).filter(|channel| channel.events == 0) {
            self.listed.remove(&channel.name);
        }
    }

    /// Removes everything on a channel up to `through`; returns what it has lost, if that grew.
    pub(crate) fn trim(
        &mut self,
        name: &Channel,
        through: Offset,
        files: &Files,
    ) -> Result<Option<Offset>, FileError> {
        let Some(place) = self.channels.place(name) else {
            return Ok(self.ephemeral.trim(name, through));
        };
        let channel = self.at(place);
        let grew = channel.trim(through, files)?;
        let trimmed = channel.trimmed_through;
        self.unlist_empty(place);
        Ok(grew.then_some(trimmed))
    }

    /// At start, before its events are restored: how much a channel had lost, which may be less than others
    /// did.
    pub(crate) fn restore_trimmed(&mut self, name: &Channel, trimmed_through: Offset) {
        let place = self.place_of(name);
        let retention = self.retention_of(name);
        *self.at(place) = ChannelIndex::new(name.clone(), retention, trimmed_through);
    }

    /// At start: a channel that the checkpoint does not name had lost everything up to the floor. Its events
    /// may still be in a segment if it was forgotten.
    pub(crate) fn trim_to_floor(&mut self, files: &Files) -> Result<(), FileError> {
        let floor = self.floor;
        for place in 0..self.channels.end() {
            if let Some(channel) = self.channels.get_mut(place)
                && channel.trimmed_through == floor
            {
                channel.set_trimmed(floor, files)?;
                self.unlist_empty(place);
            }
        }
        Ok(())
    }

    /// At start: what a channel had lost before.
    pub(crate) fn set_trimmed(
        &mut self,
        name: &Channel,
        through: Offset,
        files: &Files,
    ) -> Result<(), FileError> {
        let place = self.place_of(name);
        self.at(place).set_trimmed(through, files)?;
        self.unlist_empty(place);
        Ok(())
    }

    /// Forgets a channel, with everything that is kept of it.
    pub(crate) fn forget(&mut self, name: &Channel) {
        if self.channels.remove(name) {
            self.listed.remove(name);
        }
    }

    /// Forgets those channels without events that lost theirs first, when there are too many of them.
    pub(crate) fn forget_empty(&mut self) {
        let empty = self.channels.len() - self.listed.len();
        if empty <= EMPTY_CHANNELS_MAX {
            return;
        }
        let mut gone: Vec<_> =
            self.iter().filter(|c| c.events == 0).map(|c| (c.last, c.name.clone())).collect();
        gone.sort_unstable();
        gone.truncate(gone.len() - EMPTY_CHANNELS_MAX / 2);
        for (last, name) in gone {
            self.floor = self.floor.max(last);
            self.forget(&name);
        }
    }

    /// How many channels hold events.
    pub(crate) fn channel_count(&self) -> usize {
        self.listed.len() + self.ephemeral.len()
    }

    /// What is known of a channel.
    pub(crate) fn state(&self, name: &Channel) -> ChannelState {
        match self.channel(name) {
            Some(channel) => channel.state(),
            None if self.rules.of(name).durability == Durability::Ephemeral => self.ephemeral.state(name),
            None => ChannelState { last: self.floor, trimmed_through: self.floor, events: 0 },
        }
    }

    /// What a reader of a durable channel meets that has everything up to `after`.
    pub(crate) fn lost_ahead(&self, name: &Channel, after: Offset) -> Ahead {
        let channel = self.channel(name);
        let after = after.max(channel.map_or(self.floor, |channel| channel.trimmed_through));
        let superseded = channel.and_then(ChannelIndex::only_offset).unwrap_or(Offset::ZERO);
        self.losses.ahead(name, after, superseded)
    }

    /// The last offset that can stand in a segment.
    pub(crate) fn through_of(&self, segment: &Segment) -> Offset {
        let next = self.segments.range(segment.header.base + 1..).next();
        next.map_or(self.through, |(base, _)| Offset::new(base - 1))
    }

    /// Up to `limit` channels that hold events, by name, beginning with `prefix`.
    pub(crate) fn list(&self, prefix: &str, limit: usize) -> Vec<(Channel, ChannelState)> {
        let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        let durable = self.listed.range::<str, _>(from).take_while(|name| name.as_str().starts_with(prefix));
        let durable = durable.map(|name| (name.clone(), self.state(name)));
        let mut listed: Vec<_> = durable.take(limit).chain(self.ephemeral.list(prefix).take(limit)).collect();
        listed.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        listed.truncate(limit);
        listed
    }

    /// The entries that channels hold in memory for a segment.
    pub(crate) fn entries_in_memory(&self, names: &[Channel], segment: u64, entries: &mut EntryMap) {
        for name in names {
            let runs = self.channel(name).map(|channel| &channel.runs);
            let run = runs.and_then(|runs| runs.iter().find(|run| run.segment.id == segment));
            if let Some(held) = run.and_then(Run::in_memory_entries) {
                entries.insert(name.clone(), held.to_vec());
            }
        }
    }

    /// Tells channels that their entries for a segment stand in its index now; `starts` says where.
    pub(crate) fn entries_moved(&mut self, segment: u64, starts: &[(Channel, u32)]) {
        for (name, start) in starts {
            if let Some(place) = self.channels.place(name) {
                self.at(place).entries_moved(segment, *start);
            }
        }
    }
}
