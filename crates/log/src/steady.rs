//! A wall clock that is watched: when it is set, things do not grow old by that at once.
//!
//! A machine that starts with a wrong clock, or one on which somebody mistypes the year, would otherwise
//! delete everything that has an age. So a step ahead counts only after it has stood for an hour by the
//! monotonic clock. A step back counts at once: nothing grows old by it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::{Clock, SystemClock, Timestamp};

/// A change of the wall clock that is larger is a step. Time servers correct less than this step by step.
const STEP_MS: i64 = 5 * 60 * 1000;
/// How long a step must have stood to be believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(60 * 60);

/// The wall clock, and a steady one beside it.
pub struct SteadyClock<W = SystemClock> {
    wall: W,
    monotonic: Box<dyn Fn() -> Duration + Send + Sync>,
    state: Mutex<Option<State>>,
}

/// What is believed.
#[derive(Debug, Clone, Copy)]
struct State {
    /// The time that was believed at a moment of the monotonic clock.
    time: Timestamp,
    at: Duration,
    /// The step that is not believed yet: since when, and how far the wall clock was off then.
    step: Option<(Duration, i64)>,
}

impl State {
    fn believing(time: Timestamp, at: Duration) -> Self {
        Self { time, at, step: None }
    }
}

impl Default for SteadyClock {
    fn default() -> Self {
        let start = Instant::now();
        Self::new(SystemClock, move || start.elapsed())
    }
}

impl<W: Clock> SteadyClock<W> {
    /// Watches a wall clock by a monotonic one.
    pub fn new(wall: W, monotonic: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { wall, monotonic: Box::new(monotonic), state: Mutex::new(None) }
    }
}

impl<W: Clock> Clock for SteadyClock<W> {
    fn now(&self) -> Timestamp {
        self.wall.now()
    }

    fn steady(&self) -> Timestamp {
        let (wall, at) = (self.wall.now(), (self.monotonic)());
        let mut held = self.state.lock();
        let state = held.get_or_insert_with(|| State::believing(wall, at));
        let passed = u64::try_from(at.saturating_sub(state.at).as_millis()).unwrap_or(u64::MAX);
        let expected = state.time.plus_millis(passed);
        let off = wall.as_millis().saturating_sub(expected.as_millis());
        if off <= STEP_MS {
            // Nothing grows old by a clock that is set back.
            if off < -STEP_MS {
                tracing::warn!(off_ms = off, "the wall clock was set back");
            }
            *state = State::believing(wall, at);
            return wall;
        }
        match state.step {
            Some((since, was)) if off.abs_diff(was) <= STEP_MS.unsigned_abs() => {
                if at.saturating_sub(since) < BELIEVED_AFTER {
                    return expected;
                }
                tracing::warn!(
                    off_ms = off,
                    "the wall clock has stood where it was set for an hour: it counts"
                );
                *state = State::believing(wall, at);
                wall
            }
            _ => {
                tracing::warn!(
                    off_ms = off,
                    "the wall clock was set, or it had been wrong: nothing grows old by that for an hour"
                );
                state.step = Some((at, off));
                expected
            }
        }
    }

    fn seen(&self, time: Timestamp) {
        let at = (self.monotonic)();
        self.state.lock().get_or_insert_with(|| State::believing(time, at));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;
    use crate::ManualClock;

    struct Machine {
        wall: Arc<ManualClock>,
        running: Arc<AtomicU64>,
        clock: SteadyClock<Arc<ManualClock>>,
    }

    impl Machine {
        fn at(now: i64) -> Self {
            let wall = Arc::new(ManualClock::new(Timestamp::from_millis(now)));
            let running = Arc::new(AtomicU64::new(0));
            let monotonic = Arc::clone(&running);
            let clock = SteadyClock::new(Arc::clone(&wall), move || {
                Duration::from_millis(monotonic.load(Ordering::Relaxed))
            });
            Self { wall, running, clock }
        }

        fn pass(&self, millis: u64) {
            self.wall.advance_millis(millis);
            self.running.fetch_add(millis, Ordering::Relaxed);
        }

        fn set(&self, millis: i64) {
            self.wall.set(Timestamp::from_millis(millis));
        }

        fn steady(&self) -> i64 {
            self.clock.steady().as_millis()
        }
    }

    const NOW: i64 = 1_800_000_000_000;
    const TEN_YEARS: i64 = 315_360_000_000;
    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_clock_that_jumps_ahead_for_a_moment_makes_nothing_old() {
        let machine = Machine::at(NOW);
        assert_eq!(machine.steady(), NOW);
        machine.pass(1000);
        machine.set(NOW + TEN_YEARS);
        assert_eq!(machine.steady(), NOW + 1000);
        machine.pass(2500);
        assert_eq!(machine.steady(), NOW + 3500);
        assert_eq!(machine.clock.now().as_millis(), NOW + TEN_YEARS + 2500, "the wall clock is what it is");
        machine.set(NOW + 3500);
        machine.pass(HOUR);
        assert_eq!(machine.steady(), NOW + 3500 + 3_600_000);
    }

    #[test]
    fn a_step_ahead_counts_when_it_has_stood_for_an_hour_and_one_back_at_once() {
        let machine = Machine::at(NOW);
        machine.steady();
        machine.set(NOW + TEN_YEARS);
        assert_eq!(machine.steady(), NOW);
        machine.pass(HOUR - 1);
        assert_eq!(machine.steady(), NOW + 3_599_999);
        machine.pass(1);
        assert_eq!(machine.steady(), NOW + TEN_YEARS + 3_600_000);
        machine.set(NOW);
        assert_eq!(machine.steady(), NOW);
        machine.set(NOW + TEN_YEARS);
        assert_eq!(machine.steady(), NOW, "and ahead again waits again");
    }

    #[test]
    fn small_corrections_are_followed_and_another_step_begins_another_hour() {
        let machine = Machine::at(NOW);
        machine.steady();
        machine.set(NOW - 60_000);
        assert_eq!(machine.steady(), NOW - 60_000);
        machine.set(NOW + TEN_YEARS);
        machine.steady();
        machine.pass(HOUR - 1);
        machine.set(NOW + 2 * TEN_YEARS);
        machine.steady();
        machine.pass(HOUR - 1);
        assert!(machine.steady() < NOW + 3 * 3_600_000, "the second step has not stood for an hour");
    }

    #[test]
    fn a_process_that_starts_with_a_wrong_clock_is_told_by_what_was_written_before() {
        let machine = Machine::at(NOW + TEN_YEARS);
        machine.clock.seen(Timestamp::from_millis(NOW));
        machine.pass(10);
        assert_eq!(machine.steady(), NOW + 10);
        machine.set(NOW + 20);
        assert_eq!(machine.steady(), NOW + 20, "it was put right");
    }
}
