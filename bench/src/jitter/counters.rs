//! What one client got, and what all of them got together.

use super::way::Way;
use crate::stats::Histogram;
use serde_json::{Value, json};
use std::time::Duration;

/// What one client got, and what became of its connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientCounters {
    /// How often each message came; message 1 is at index 0.
    times: Vec<u8>,
    last: u64,
    out_of_order: u64,
    pub(crate) gaps: u64,
    pub(crate) killed: u64,
    pub(crate) lost: u64,
    /// How long each took; `None`: something stayed missing.
    replays: Vec<(Way, Option<Duration>)>,
}

impl ClientCounters {
    pub(crate) fn new(messages: u64) -> Self {
        Self { times: vec![0; messages as usize], ..Self::default() }
    }

    pub(crate) fn received(&mut self, message: u64) {
        let index = (message as usize).wrapping_sub(1);
        if let Some(times) = self.times.get_mut(index) {
            *times = times.saturating_add(1);
            // A message that comes again is counted as repeated, not also as out of order.
            self.out_of_order += u64::from(*times == 1 && message < self.last);
        }
        self.last = self.last.max(message);
    }

    /// Everything up to this message has come, or was passed over.
    pub(crate) fn has_reached(&self, message: u64) -> bool {
        self.last >= message
    }

    /// The greatest message that came.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Whether every message after the one up to the other has come.
    pub(crate) fn has_all(&self, after: u64, target: u64) -> bool {
        let span = self.times.get(after as usize..target as usize);
        span.is_some_and(|times| times.iter().all(|times| *times > 0))
    }

    #[cfg(test)]
    pub(crate) fn replays(&self) -> Vec<Option<Duration>> {
        self.replays.iter().map(|(_, took)| *took).collect()
    }

    /// A reconnection that had missed something is done with; `took` is `None` if it did not get all of it.
    pub(crate) fn replayed(&mut self, way: Way, took: Option<Duration>) {
        self.replays.push((way, took));
    }
}

/// Reconnections that had missed something.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replays {
    /// How long it took those that got all of it.
    pub(crate) took: Histogram,
    /// Those that did not get all of it.
    pub(crate) incomplete: u64,
}

impl Replays {
    fn add(&mut self, took: Option<Duration>) {
        match took {
            Some(took) => self.took.record(took),
            None => self.incomplete += 1,
        }
    }

    fn is_empty(&self) -> bool {
        self.took.count() + self.incomplete == 0
    }

    fn to_json(&self) -> Value {
        json!({
            "resumes": self.took.count(),
            "incomplete": self.incomplete,
            "p50_ms": self.took.quantile_ms(0.5),
            "p99_ms": self.took.quantile_ms(0.99),
            "max_ms": self.took.quantile_ms(1.0),
        })
    }
}

/// All clients together.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) expected: u64,
    pub(crate) delivered: u64,
    pub(crate) repeated: u64,
    pub(crate) out_of_order: u64,
    pub(crate) gaps: u64,
    pub(crate) killed: u64,
    pub(crate) lost: u64,
    all: Replays,
    by_way: Vec<(Way, Replays)>,
}

impl Totals {
    pub(crate) fn of(clients: &[ClientCounters], messages: u64) -> Self {
        let by_way = Way::ALL.map(|way| (way, Replays::default())).to_vec();
        let mut totals = Self { expected: messages * clients.len() as u64, by_way, ..Self::default() };
        clients.iter().for_each(|counters| totals.add(counters));
        totals
    }

    fn add(&mut self, counters: &ClientCounters) {
        for times in &counters.times {
            self.delivered += u64::from(*times > 0);
            self.repeated += u64::from(times.saturating_sub(1));
        }
        self.out_of_order += counters.out_of_order;
        self.gaps += counters.gaps;
        self.killed += counters.killed;
        self.lost += counters.lost;
        for (way, took) in &counters.replays {
            self.all.add(*took);
            self.by_way.iter_mut().filter(|(one, _)| one == way).for_each(|(_, replays)| replays.add(*took));
        }
    }

    pub(crate) fn delivered_percent(&self) -> f64 {
        100.0 * self.delivered as f64 / self.expected.max(1) as f64
    }

    /// All delivered, none repeated, in order.
    pub(crate) fn is_sound(&self) -> bool {
        self.delivered == self.expected && self.repeated == 0 && self.out_of_order == 0 && self.gaps == 0
    }

    /// Replays by transport, those with none left out, and all together.
    pub(crate) fn replays(&self) -> Vec<(&'static str, &Replays)> {
        let ways = self.by_way.iter().filter(|(_, replays)| !replays.is_empty());
        ways.map(|(way, replays)| (way.name(), replays)).chain([("all", &self.all)]).collect()
    }

    pub(crate) fn to_json(&self) -> Value {
        let replays = self.replays().into_iter().map(|(name, replays)| (name.to_owned(), replays.to_json()));
        let replays: serde_json::Map<_, _> = replays.collect();
        json!({
            "delivered_percent": self.delivered_percent(),
            "delivered": self.delivered,
            "expected": self.expected,
            "repeated": self.repeated,
            "out_of_order": self.out_of_order,
            "gaps": self.gaps,
            "killed": self.killed,
            "ended_by_server": self.lost,
            "replay": replays,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(messages: &[u64]) -> (u64, u64, u64) {
        let mut counters = ClientCounters::new(3);
        messages.iter().for_each(|message| counters.received(*message));
        let totals = Totals::of(&[counters], 3);
        (totals.delivered, totals.repeated, totals.out_of_order)
    }

    #[test]
    fn each_message_is_counted_once_and_its_place_too() {
        assert_eq!(check(&[1, 2, 3]), (3, 0, 0));
        assert_eq!(check(&[1, 3]), (2, 0, 0));
        assert_eq!(check(&[1, 3, 2]), (3, 0, 1));
        assert_eq!(check(&[1, 2, 1, 2, 3]), (3, 2, 0));
    }

    #[test]
    fn a_replay_that_passed_something_over_is_told_from_one_that_did_not() {
        let mut counters = ClientCounters::new(4);
        [1, 3, 4].iter().for_each(|message| counters.received(*message));
        assert!(counters.has_reached(4) && !counters.has_all(1, 4));
        assert!(counters.has_all(2, 4) && counters.has_all(0, 1));
        assert!(!counters.has_all(4, 5), "there is no message 5");
        counters.replayed(Way::Socketio, None);
        counters.replayed(Way::Socketio, Some(Duration::from_millis(5)));
        let totals = Totals::of(&[counters], 4);
        let found = totals.replays();
        let counts: Vec<_> =
            found.iter().map(|(name, replays)| (*name, replays.took.count(), replays.incomplete)).collect();
        assert_eq!(counts, [("socketio", 1, 1), ("all", 1, 1)]);
    }

    #[test]
    fn a_number_nobody_published_is_not_counted() {
        assert_eq!(check(&[0, 4]), (0, 0, 0));
    }
}
