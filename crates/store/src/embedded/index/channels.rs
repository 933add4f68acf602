//! The durable channels, by name and by place. A log may have very many, so each costs little here: its own
//! size and a number.
//!
//! Invariant: a place that a name leads to holds the channel of that name.

use std::hash::BuildHasher;

use anywire_log::Channel;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::embedded::index::channel::ChannelIndex;

/// How many channels are allocated at once: a list that grows by doubling would have room for twice as many.
const BLOCK: usize = 512;

/// Channels by name and by place.
#[derive(Default)]
pub(crate) struct Channels {
    /// A place is empty after its channel was forgotten.
    blocks: Vec<Vec<Option<ChannelIndex>>>,
    free: Vec<u32>,
    /// Places, found by the names that the channels there have.
    places: HashTable<u32>,
    hasher: RandomState,
}

fn at(blocks: &[Vec<Option<ChannelIndex>>], place: usize) -> Option<&ChannelIndex> {
    blocks.get(place / BLOCK)?.get(place % BLOCK)?.as_ref()
}

impl Channels {
    /// Where a channel is.
    pub(crate) fn place(&self, name: &Channel) -> Option<usize> {
        let is_it = |place: &u32| at(&self.blocks, *place as usize).is_some_and(|known| known.name == *name);
        self.places.find(self.hasher.hash_one(name), is_it).map(|place| *place as usize)
    }

    /// The channel at a place.
    pub(crate) fn get(&self, place: usize) -> Option<&ChannelIndex> {
        at(&self.blocks, place)
    }

    /// The same, to change it. Its name stays.
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut ChannelIndex> {
        self.blocks.get_mut(place / BLOCK)?.get_mut(place % BLOCK)?.as_mut()
    }

    /// Adds a channel that is not there; returns its place.
    pub(crate) fn insert(&mut self, channel: ChannelIndex) -> usize {
        let hash = self.hasher.hash_one(&channel.name);
        let place = match self.free.pop() {
            Some(place) => {
                self.blocks[place as usize / BLOCK][place as usize % BLOCK] = Some(channel);
                place
            }
            None => self.append(channel),
        };
        let (blocks, hasher) = (&self.blocks, &self.hasher);
        let hash_of =
            |place: &u32| at(blocks, *place as usize).map_or(0, |known| hasher.hash_one(&known.name));
        self.places.insert_unique(hash, place, hash_of);
        place as usize
    }

    fn append(&mut self, channel: ChannelIndex) -> u32 {
        let place = self.end();
        if place.is_multiple_of(BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(Some(channel));
        }
        u32::try_from(place).expect("four billion channels do not fit into memory")
    }

    /// Takes a channel out; false if there is none of that name.
    pub(crate) fn remove(&mut self, name: &Channel) -> bool {
        let blocks = &self.blocks;
        let is_it = |place: &u32| at(blocks, *place as usize).is_some_and(|known| known.name == *name);
        let Ok(found) = self.places.find_entry(self.hasher.hash_one(name), is_it) else { return false };
        let (place, _) = found.remove();
        self.blocks[place as usize / BLOCK][place as usize % BLOCK] = None;
        self.free.push(place);
        true
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Every place is before this one.
    pub(crate) fn end(&self) -> usize {
        let last = self.blocks.last().map_or(0, Vec::len);
        self.blocks.len().saturating_sub(1) * BLOCK + last
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ChannelIndex> {
        self.blocks.iter().flatten().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anywire_log::{Offset, Retention};

    use super::*;

    fn name(number: usize) -> Channel {
        Channel::new(&format!("c{number}")).expect("a name")
    }

    #[test]
    fn channels_are_found_by_name_and_places_are_used_again() {
        let mut channels = Channels::default();
        let retention = Arc::new(Retention::default());
        let add = |channels: &mut Channels, number: usize| {
            channels.insert(ChannelIndex::new(name(number), Arc::clone(&retention), Offset::ZERO))
        };
        for number in 0..3 * BLOCK + 7 {
            assert_eq!(add(&mut channels, number), number);
        }
        assert_eq!((channels.len(), channels.end()), (3 * BLOCK + 7, 3 * BLOCK + 7));
        for number in (0..3 * BLOCK).step_by(3) {
            assert!(channels.remove(&name(number)) && !channels.remove(&name(number)));
        }
        for number in 0..3 * BLOCK + 7 {
            let is_there = number >= 3 * BLOCK || number % 3 != 0;
            assert_eq!(channels.place(&name(number)), is_there.then_some(number));
            assert_eq!(channels.get(number).map(|known| known.name.clone()), is_there.then(|| name(number)));
        }
        assert_eq!(channels.iter().count(), channels.len());
        for number in 0..BLOCK {
            let place = add(&mut channels, 10_000 + number);
            assert!(place < 3 * BLOCK && channels.place(&name(10_000 + number)) == Some(place));
        }
        assert_eq!(channels.end(), 3 * BLOCK + 7);
    }

    #[test]
    fn a_channel_costs_little_memory() {
        // With its first run. Its name, its place and its part of the list of names are 80 bytes more.
        assert!(size_of::<Option<ChannelIndex>>() <= 136, "{}", size_of::<Option<ChannelIndex>>());
    }
}
