//! When to look: at the beats of the clock, so that every second of it has a sample.

use std::time::Duration;

/// The least time between two looks: processors tell how busy they were *over a time*, and in less than this
/// they tell nothing new.
const APART_MS: i64 = 220;

/// When to look next.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    interval_ms: i64,
    looked: Option<i64>,
}

impl Heartbeat {
    /// One beat an interval; nobody has looked yet.
    #[must_use]
    pub fn new(interval_ms: u32) -> Self {
        Self { interval_ms: i64::from(interval_ms.max(1)), looked: None }
    }

    /// Somebody looked at that time.
    pub fn looked(&mut self, at_ms: i64) {
        self.looked = Some(at_ms);
    }

    /// How long it is to the next look: at first until there is something to tell, then until the next whole
    /// multiple of the interval. A beat that is over while a look took too long is left out, and so is one
    /// that follows it too soon. A clock that went back is believed.
    #[must_use]
    pub fn wait(&self, now_ms: i64) -> Duration {
        let Some(looked) = self.looked else { return Duration::from_millis(APART_MS.unsigned_abs()) };
        let soonest = now_ms.max(looked.min(now_ms) + APART_MS);
        let next = (soonest.div_euclid(self.interval_ms) + 1) * self.interval_ms;
        Duration::from_millis((next - now_ms).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(looked: i64, now: i64, interval_ms: u32, expected_ms: u64) {
        let mut heartbeat = Heartbeat::new(interval_ms);
        heartbeat.looked(looked);
        assert_eq!(heartbeat.wait(now), Duration::from_millis(expected_ms));
    }

    #[test]
    fn looks_come_at_the_beats_of_the_clock() {
        check(10_001, 10_003, 1000, 997);
        check(10_000, 10_000, 1000, 1000);
        check(10_001, 12_400, 1000, 600);
        check(10_001, 10_100, 5000, 4900);
        check(1000, 1001, 250, 249);
    }

    #[test]
    fn the_first_look_comes_when_processors_have_something_to_tell_and_none_follows_another_at_once() {
        assert_eq!(Heartbeat::new(60_000).wait(10_000), Duration::from_millis(220));
        check(10_950, 10_960, 1000, 1040);
    }

    #[test]
    fn a_clock_that_went_back_does_not_stop_the_looks() {
        check(3_600_000, 10_400, 1000, 600);
    }
}
