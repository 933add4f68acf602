//! Clocks that are set: nothing is removed by that, and events keep their times.

use std::sync::atomic::{AtomicU64, Ordering};

use anywire_log::{Clock, IdempotencyKey, Retention, RetentionRules, SteadyClock};

use super::*;

const NOW: i64 = 1_800_000_000_000;
const TEN_YEARS: u64 = 315_360_000_000;

/// A machine's clocks: the wall clock, and how long it has been running.
struct Machine {
    wall: Arc<ManualClock>,
    running: Arc<AtomicU64>,
}

impl Machine {
    fn new() -> Self {
        Self { wall: Arc::new(ManualClock::new(Timestamp::from_millis(NOW))), running: Arc::default() }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        let running = Arc::clone(&self.running);
        Arc::new(SteadyClock::new(Arc::clone(&self.wall), move || {
            Duration::from_millis(running.load(Ordering::Relaxed))
        }))
    }

    fn pass(&self, millis: u64) {
        self.wall.advance_millis(millis);
        self.running.fetch_add(millis, Ordering::Relaxed);
    }

    fn step(&self, millis: i64) {
        self.wall.set(Timestamp::from_millis(self.wall.now().as_millis() + millis));
    }

    fn open(&self, directory: &Path) -> (EmbeddedEngine, Arc<dyn Clock>) {
        let clock = self.clock();
        let rules = RetentionRules::new(Vec::new(), Retention::default());
        let engine = EmbeddedEngine::open(config(directory), rules, Arc::clone(&clock)).expect("it opens");
        engine.follow(Arc::new(Witness::default()));
        (engine, clock)
    }
}

#[tokio::test]
async fn a_wall_clock_that_jumps_ten_years_ahead_and_back_removes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let machine = Machine::new();
    let (engine, clock) = machine.open(directory.path());
    append(&engine, "a", "1").await;
    machine.pass(1000);
    machine.step(TEN_YEARS.cast_signed());
    append(&engine, "a", "2").await;
    engine.enforce_retention(clock.steady());
    machine.pass(2500);
    engine.enforce_retention(clock.steady());
    machine.step(-TEN_YEARS.cast_signed());
    append(&engine, "a", "3").await;
    engine.enforce_retention(clock.steady());
    let kept = read(&engine, "a", Offset::ZERO).await.events;
    let times: Vec<i64> = kept.iter().map(|event| event.time.as_millis() - NOW).collect();
    assert_eq!(
        times,
        [0, 1000 + TEN_YEARS.cast_signed(), 3500],
        "offsets give the order, times what the wall had"
    );
    // What has an age grows old all the same, the event of the wrong year with the others.
    for _ in 0..8 {
        machine.pass(24 * 3_600_000);
        clock.steady();
    }
    engine.enforce_retention(clock.steady());
    assert_eq!(texts(&engine, "a").await, Vec::<String>::new());
    engine.close().await;
}

#[tokio::test]
async fn a_server_that_starts_with_a_wrong_clock_keeps_everything_and_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let machine = Machine::new();
    let (engine, _) = machine.open(directory.path());
    append(&engine, "a", "1").await;
    engine.close().await;
    drop(engine);
    machine.step(TEN_YEARS.cast_signed());
    let (engine, clock) = machine.open(directory.path());
    engine.enforce_retention(clock.steady());
    append(&engine, "a", "2").await;
    engine.close().await;
    drop(engine);
    // Somebody puts it right, and restarts.
    machine.step(-TEN_YEARS.cast_signed());
    let (engine, clock) = machine.open(directory.path());
    append(&engine, "a", "3").await;
    engine.enforce_retention(clock.steady());
    assert_eq!(texts(&engine, "a").await, ["1", "2", "3"]);
    let newest = read(&engine, "a", Offset::new(2)).await.events[0].time.as_millis();
    assert_eq!(newest, NOW, "its time is the wall's");
    engine.close().await;
}

#[tokio::test]
async fn a_key_is_known_as_long_as_promised_whatever_the_wall_clock_does() {
    let directory = tempfile::tempdir().expect("a directory");
    let machine = Machine::new();
    let (engine, _) = machine.open(directory.path());
    let keyed = || Batch {
        idempotency_key: Some(IdempotencyKey::new("k").expect("a key")),
        ..Batch::one(contract::publication("a", "1"))
    };
    engine.append(keyed()).await.expect("an append");
    for step in [TEN_YEARS.cast_signed(), -2 * TEN_YEARS.cast_signed(), TEN_YEARS.cast_signed()] {
        machine.step(step);
        machine.pass(1000);
        assert!(engine.append(keyed()).await.expect("an append").duplicate, "{step}");
    }
    engine.close().await;
}
