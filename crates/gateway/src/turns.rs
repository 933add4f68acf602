//! Turns: how long the task of a connection keeps its thread at a time. All other connections of that thread
//! wait meanwhile, so whatever takes long has to give way in between; the longest turn shows what does not.
//!
//! Events are written by the fan-out, not by these tasks: no delivery is measured, and none costs more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How long the longest turn is remembered: for this time, and for as much as has passed of the next.
const SPAN_MS: u64 = 60_000;

/// The longest turn of the span that is, and of the one before it.
///
/// ```text
///  each   | span: 32 bits | milliseconds: 32 bits |    a later span is greater than all before
/// ```
#[derive(Debug, Default)]
pub(crate) struct LongestTurn([AtomicU64; 2]);

impl LongestTurn {
    /// Notes a turn. Cost: one read, as long as there was a longer one.
    pub(crate) fn record(&self, began_ms: u64, ended_ms: u64) {
        let span = ended_ms / SPAN_MS;
        let turn = span << 32 | (ended_ms.saturating_sub(began_ms)).min(u64::from(u32::MAX));
        let longest = &self.0[(span % 2) as usize];
        if turn > longest.load(Relaxed) {
            longest.fetch_max(turn, Relaxed);
        }
    }

    fn at(&self, now_ms: u64) -> u64 {
        let span = now_ms / SPAN_MS;
        let known = self.0.iter().map(|turn| turn.load(Relaxed));
        let recent = known.filter(|turn| (turn >> 32) + 1 >= span);
        recent.map(|turn| turn & u64::from(u32::MAX)).max().unwrap_or_default()
    }

    /// In seconds; in steps of the clock, which are some milliseconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.at(now_ms()) as f64 / 1000.0
    }
}

/// A clock that costs next to nothing, since it is read twice a turn: it moves on with the system's timer.
#[cfg(target_os = "linux")]
pub(crate) fn now_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    u64::try_from(now.tv_sec * 1000 + now.tv_nsec / 1_000_000).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn now_ms() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_is_known_for_a_span_and_then_forgotten() {
        let longest = LongestTurn::default();
        assert_eq!(longest.at(0), 0);
        longest.record(1000, 1250);
        longest.record(2000, 2100);
        assert_eq!(longest.at(3000), 250);
        longest.record(SPAN_MS + 5, SPAN_MS + 15);
        assert_eq!(longest.at(SPAN_MS + 20), 250);
        assert_eq!(longest.at(2 * SPAN_MS), 10);
        longest.record(2 * SPAN_MS, 2 * SPAN_MS + 7);
        assert_eq!(longest.at(3 * SPAN_MS), 7);
        assert_eq!(longest.at(4 * SPAN_MS), 0);
    }

    #[test]
    fn a_turn_that_begins_in_one_span_counts_in_the_next() {
        let longest = LongestTurn::default();
        longest.record(0, 3 * SPAN_MS);
        assert_eq!(longest.at(3 * SPAN_MS), 3 * SPAN_MS);
    }
}
