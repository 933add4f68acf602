//! When to take a sample: at whole multiples of the interval, so that every second of the clock has one.

use std::time::Duration;

/// The least time between two samples: processors tell how busy they were *over a time*, and in less than
/// this they tell nothing new.
const APART_MS: i64 = 220;

/// When to take the next sample.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    interval_ms: i64,
    sampled_ms: Option<i64>,
}

impl Heartbeat {
    /// One sample an interval; none was taken yet.
    #[must_use]
    pub fn new(interval_ms: u32) -> Self {
        Self { interval_ms: i64::from(interval_ms.max(1)), sampled_ms: None }
    }

    /// A sample was taken at that time.
    pub fn sampled(&mut self, at_ms: i64) {
        self.sampled_ms = Some(at_ms);
    }

    /// How long it is to the next sample: at first until there is something to tell, then until the next
    /// whole multiple of the interval. A multiple that passes while a sample is taken is left out, and so is
    /// one that follows it too soon. A clock that went back is believed.
    #[must_use]
    pub fn wait(&self, now_ms: i64) -> Duration {
        let Some(sampled_ms) = self.sampled_ms else { return Duration::from_millis(APART_MS.unsigned_abs()) };
        let soonest = now_ms.max(sampled_ms.min(now_ms) + APART_MS);
        let next = (soonest.div_euclid(self.interval_ms) + 1) * self.interval_ms;
        Duration::from_millis((next - now_ms).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sampled_ms: i64, now: i64, interval_ms: u32, expected_ms: u64) {
        let mut heartbeat = Heartbeat::new(interval_ms);
        heartbeat.sampled(sampled_ms);
        assert_eq!(heartbeat.wait(now), Duration::from_millis(expected_ms));
    }

    #[test]
    fn samples_come_at_whole_multiples_of_the_interval() {
        check(10_001, 10_003, 1000, 997);
        check(10_000, 10_000, 1000, 1000);
        check(10_001, 12_400, 1000, 600);
        check(10_001, 10_100, 5000, 4900);
        check(1000, 1001, 250, 249);
    }

    #[test]
    fn the_first_sample_comes_when_processors_have_something_to_tell_and_none_follows_another_at_once() {
        assert_eq!(Heartbeat::new(60_000).wait(10_000), Duration::from_millis(220));
        check(10_950, 10_960, 1000, 1040);
    }

    #[test]
    fn a_clock_that_went_back_does_not_stop_the_samples() {
        check(3_600_000, 10_400, 1000, 600);
    }
}
