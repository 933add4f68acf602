//! What of the log cannot be read any more, by offsets: readers that need it are told of a gap.
//!
//! Invariant: a list that is full grows coarser, never shorter: what was lost stays lost.

use anywire_log::{Channel, Damage, Offset};

/// How many places are told apart.
const LOSSES_MAX: usize = if cfg!(test) { 20 } else { 1_000 };

/// Events that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) first: Offset,
    pub(crate) last: Offset,
    /// The channel that lost them; none if all may have lost something.
    pub(crate) channel: Option<Channel>,
    /// The file and byte, and what is wrong there.
    pub(crate) place: String,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Losses {
    /// By their first offset.
    ranges: Vec<Loss>,
}

/// What a reader of a channel meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// Nothing is lost.
    Nothing,
    /// What comes next is lost, up to here.
    Lost(Offset),
    /// Everything up to here is there; what comes then is lost.
    Sound(Offset),
}

impl Losses {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.ranges.iter()
    }

    /// Adds a loss; returns whether it was not known.
    pub(crate) fn add(&mut self, loss: Loss) -> bool {
        let holds = |one: &Loss| {
            one.first <= loss.first
                && loss.last <= one.last
                && (one.channel.is_none() || one.channel == loss.channel)
        };
        if self.ranges.iter().any(holds) {
            return false;
        }
        let at = self.ranges.partition_point(|one| one.first <= loss.first);
        self.ranges.insert(at, loss);
        if self.ranges.len() > LOSSES_MAX {
            self.join_nearest();
        }
        true
    }

    /// Makes one of the two that are nearest to each other.
    fn join_nearest(&mut self) {
        let apart = |at: &usize| {
            let (left, right) = (&self.ranges[*at], &self.ranges[*at + 1]);
            right.first.get().saturating_sub(left.last.get())
        };
        let Some(at) = (0..self.ranges.len() - 1).min_by_key(apart) else { return };
        let right = self.ranges.remove(at + 1);
        let left = &mut self.ranges[at];
        left.last = left.last.max(right.last);
        if left.channel != right.channel {
            left.channel = None;
        }
    }

    /// What a reader of a channel meets that has everything up to `after`. `superseded` is the offset of the
    /// channel's only kept event where only the newest counts: what was lost before it is not missed.
    pub(crate) fn ahead(&self, channel: &Channel, after: Offset, superseded: Offset) -> Ahead {
        let mut reached = after;
        for loss in &self.ranges {
            let concerns = loss.channel.as_ref().is_none_or(|one| one == channel);
            if !concerns || loss.last <= reached || loss.last < superseded {
                continue;
            }
            if loss.first > reached.next() {
                return if reached > after {
                    Ahead::Lost(reached)
                } else {
                    Ahead::Sound(loss.first.previous())
                };
            }
            reached = loss.last;
        }
        if reached > after { Ahead::Lost(reached) } else { Ahead::Nothing }
    }

    /// As it is told.
    pub(crate) fn damage(&self) -> Vec<Damage> {
        let told = |loss: &Loss| Damage {
            place: loss.place.clone(),
            channel: loss.channel.clone(),
            first: loss.first,
            last: loss.last,
        };
        self.ranges.iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Channel {
        Channel::new(text).expect("a name")
    }

    fn loss(first: u64, last: u64, channel: Option<&str>) -> Loss {
        let (first, last) = (Offset::new(first), Offset::new(last));
        Loss { first, last, channel: channel.map(name), place: "a file".into() }
    }

    fn ahead(losses: &Losses, channel: &str, after: u64) -> Ahead {
        losses.ahead(&name(channel), Offset::new(after), Offset::ZERO)
    }

    #[test]
    fn a_reader_meets_what_its_channel_lost_and_what_all_may_have_lost() {
        let mut losses = Losses::default();
        assert!(losses.add(loss(10, 20, None)));
        assert!(losses.add(loss(21, 21, Some("a"))));
        assert!(losses.add(loss(30, 30, Some("b"))));
        assert!(!losses.add(loss(12, 13, Some("a"))), "it is known");
        assert_eq!(ahead(&losses, "a", 3), Ahead::Sound(Offset::new(9)));
        assert_eq!(ahead(&losses, "a", 9), Ahead::Lost(Offset::new(21)));
        assert_eq!(ahead(&losses, "b", 15), Ahead::Lost(Offset::new(20)));
        assert_eq!(ahead(&losses, "b", 20), Ahead::Sound(Offset::new(29)));
        assert_eq!(ahead(&losses, "b", 29), Ahead::Lost(Offset::new(30)));
        assert_eq!(ahead(&losses, "a", 21), Ahead::Nothing);
        let newest = losses.ahead(&name("a"), Offset::ZERO, Offset::new(22));
        assert_eq!(newest, Ahead::Nothing, "only the newest counts, and it is there");
    }

    #[test]
    fn too_many_losses_grow_coarser_and_none_is_forgotten() {
        let mut losses = Losses::default();
        let count = 3 * LOSSES_MAX as u64;
        for number in 0..count {
            losses.add(loss(number * 10 + 1, number * 10 + 1, Some(if number % 2 == 0 { "a" } else { "b" })));
        }
        assert_eq!(losses.iter().count(), LOSSES_MAX);
        for number in 0..count {
            let channel = if number % 2 == 0 { "a" } else { "b" };
            let met = ahead(&losses, channel, number * 10);
            assert!(matches!(met, Ahead::Lost(last) if last.get() > number * 10), "{number}: {met:?}");
        }
    }
}
