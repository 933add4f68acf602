//! How many channels there may be, and how many of them one client makes.
//!
//! A channel exists while it holds an event: who subscribes to one makes none. Only publications of clients
//! and back ends are refused; the server's own applications go on.

use std::{collections::HashMap, net::IpAddr};

use anywire_access::Principal;
use anywire_log::{Batch, Channel, Log};
use anywire_protocol::{Code, Refusal};
use parking_lot::Mutex;

use crate::config::LimitsConfig;

/// How long a channel counts for who made it. As long as events are kept by default.
const COUNTED_MS: u64 = 7 * 24 * 3_600_000;
/// How many makers are known at once; those whose channels do not count any more need not be.
const MAKERS_MAX: usize = 10_000;

/// Counts what each client makes. It costs the same for any number of channels: instead of their names it
/// knows when the last of them ceases to count, each taking an equal part of [`COUNTED_MS`].
#[derive(Debug)]
pub(crate) struct NewChannels {
    total_max: usize,
    principal_max: u64,
    makers: Mutex<HashMap<Box<str>, Maker, foldhash::fast::RandomState>>,
}

/// When nothing that somebody made counts any more, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Maker {
    free_at_ms: u64,
}

impl Maker {
    /// Counts channels, unless that makes too many.
    fn make(&mut self, count: u64, max: u64, now_ms: u64) -> bool {
        let free_at_ms = self.free_at_ms.max(now_ms) + count.saturating_mul(COUNTED_MS / max);
        let fits = free_at_ms - now_ms <= COUNTED_MS / max * max;
        if fits {
            self.free_at_ms = free_at_ms;
        }
        fits
    }
}

impl NewChannels {
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        Self {
            total_max: limits.channels_total_max,
            principal_max: limits.channels_per_principal_max as u64,
            makers: Mutex::default(),
        }
    }

    /// Refuses a batch that would make too many channels, and counts those it makes.
    ///
    /// Cost: for a back end two numbers are compared, unless there are nearly too many channels; for a client
    /// one look-up a channel.
    pub(crate) fn check(
        &self,
        log: &Log,
        principal: &Principal,
        address: IpAddr,
        batch: &Batch,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let is_near = log.channel_count() + batch.publications.len() > self.total_max;
        if principal.is_backend() && !is_near {
            return Ok(());
        }
        let fresh = fresh(log, batch);
        let Some(first) = fresh.first() else { return Ok(()) };
        let (count, there, max) = (fresh.len(), log.channel_count(), self.total_max);
        if there + count > max {
            let message = format!(
                "channel {first} would be new, and {there} channels hold events; the limit is {max} \
                 (limits.channels_total_max): publish to channels that exist, or keep events for a shorter time"
            );
            return Err(Refusal::new(Code::TooManyChannels, message));
        }
        if principal.is_backend() || self.count(&maker(principal, address), count as u64, now_ms) {
            return Ok(());
        }
        let message = format!(
            "channel {first} would be new, and one client may make {} channels in seven days \
             (limits.channels_per_principal_max): publish to channels that exist, or through a back end",
            self.principal_max
        );
        Err(Refusal::new(Code::TooManyChannels, message))
    }

    fn count(&self, maker: &str, count: u64, now_ms: u64) -> bool {
        let mut makers = self.makers.lock();
        if let Some(known) = makers.get_mut(maker) {
            return known.make(count, self.principal_max, now_ms);
        }
        if makers.len() >= MAKERS_MAX {
            makers.retain(|_, maker| maker.free_at_ms > now_ms);
        }
        if makers.len() >= MAKERS_MAX {
            // The one whose channels cease to count first goes: it made the fewest, or made them long ago.
            let soonest = makers.iter().min_by_key(|(_, maker)| maker.free_at_ms);
            let soonest = soonest.map(|(name, _)| name.clone());
            soonest.and_then(|name| makers.remove(&name));
        }
        let mut fresh = Maker::default();
        let fits = fresh.make(count, self.principal_max, now_ms);
        makers.insert(maker.into(), fresh);
        fits
    }
}

/// By what a client is known: its user, or its address where its token names none.
fn maker(principal: &Principal, address: IpAddr) -> String {
    principal.user().map_or_else(|| address.to_string(), |_| principal.id().to_owned())
}

/// The channels of a batch that hold no event, each once.
fn fresh<'a>(log: &Log, batch: &'a Batch) -> Vec<&'a Channel> {
    let mut names: Vec<_> = batch.publications.iter().map(|publication| &publication.channel).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|channel| log.engine().channel_state(channel).is_none_or(|state| state.events == 0));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_makes_so_many_channels_and_as_many_more_as_cease_to_count() {
        let mut maker = Maker::default();
        assert!(maker.make(7, 10, 0));
        assert!(!maker.make(4, 10, 0), "all or none");
        assert!(maker.make(3, 10, 0));
        assert!(!maker.make(1, 10, COUNTED_MS / 10 - 1));
        assert!(maker.make(1, 10, COUNTED_MS / 10));
        assert!(maker.make(10, 10, 3 * COUNTED_MS));
        assert!(!maker.make(11, 10, 9 * COUNTED_MS), "more than ever fit");
    }

    #[test]
    fn makers_are_known_one_by_one_and_their_number_is_bounded() {
        let limits = LimitsConfig { channels_per_principal_max: 2, ..LimitsConfig::default() };
        let channels = NewChannels::new(&limits);
        assert!(channels.count("ann", 2, 0) && !channels.count("ann", 1, 0));
        assert!(channels.count("bob", 1, 0));
        for number in 0..MAKERS_MAX {
            assert!(channels.count(&format!("p{number}"), 1, 0));
        }
        assert!(channels.makers.lock().len() <= MAKERS_MAX);
        assert!(!channels.count("ann", 1, 0), "who made the most is not the one that is forgotten");
    }
}
