//! The contract every engine must pass: `contract::check(&make)` in the engine's tests.
//!
//! Knows: the port. Does not know: any engine. What a restart keeps is checked by the engines that survive one, with
//! [`restart`].

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    AppendError, Batch, Channel, ChannelPattern, Durability, Engine, Event, EventName, Follower,
    IdempotencyKey, Keep, ManualClock, Offset, Payload, Publication, ReadBatch, ReadRequest, Retention,
    RetentionRule, RetentionRules, Timestamp,
};

/// Makes an engine over an empty place.
pub trait Factory {
    /// A new engine under these rules and this clock.
    fn make(&self, rules: RetentionRules, clock: Arc<ManualClock>) -> impl Future<Output = Arc<dyn Engine>>;
}

/// Makes engines over a place that survives them.
pub trait Restart: Factory {
    /// Ends an engine as a crash or a stop would and opens its place again.
    fn reopen(
        &self,
        engine: Arc<dyn Engine>,
        rules: RetentionRules,
        clock: Arc<ManualClock>,
    ) -> impl Future<Output = Arc<dyn Engine>>;
}

/// A follower that remembers what it was told.
#[derive(Default)]
pub struct Witness {
    seen: Mutex<Vec<Arc<Event>>>,
    trimmed: Mutex<Vec<(Channel, Offset)>>,
}

impl Follower for Witness {
    fn committed(&self, events: &[Arc<Event>], through: Offset) {
        let mut seen = self.seen.lock();
        for event in events {
            assert!(seen.last().is_none_or(|last| last.offset < event.offset), "told out of order");
            assert!(event.offset <= through, "told of an event past `through`");
            seen.push(Arc::clone(event));
        }
    }

    fn trimmed(&self, channel: &Channel, through: Offset) {
        self.trimmed.lock().push((channel.clone(), through));
    }
}

impl Witness {
    /// The offsets it was told of.
    #[must_use]
    pub fn offsets(&self) -> Vec<u64> {
        self.seen.lock().iter().map(|event| event.offset.get()).collect()
    }
}

/// A publication of `data` on `channel`.
#[must_use]
pub fn publication(channel: &str, data: &str) -> Publication {
    Publication {
        channel: name(channel),
        name: EventName::new("test").expect("a valid name"),
        payload: Payload::Json(Bytes::copy_from_slice(data.as_bytes())),
    }
}

fn name(channel: &str) -> Channel {
    Channel::new(channel).expect("a valid name")
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)))
}

/// Rules with which the suite runs: `few_*` keeps 3 events, `short_*` one second, `small_*` 400 bytes, `memory_*` is ephemeral,
/// `latest_*` keeps the newest.
#[must_use]
pub fn rules() -> RetentionRules {
    let rule = |pattern: &str, retention| RetentionRule { pattern: ChannelPattern::new(pattern), retention };
    let base = Retention::default;
    RetentionRules::new(
        vec![
            rule("few_*", Retention { events_max: 3, ..base() }),
            rule("short_*", Retention { age_max_ms: 1000, ..base() }),
            rule("small_*", Retention { bytes_max: 400, ..base() }),
            rule("memory_*", Retention { durability: Durability::Ephemeral, ..base() }),
            rule("latest_*", Retention { keep: Keep::Latest, ..base() }),
        ],
        base(),
    )
}

/// Everything on the channels after `after`, through as many reads as it takes, and what was trimmed.
///
/// # Panics
/// When the engine breaks its word.
pub async fn read_all(engine: &dyn Engine, channels: &[&str], after: u64) -> ReadBatch {
    let mut whole = ReadBatch { through: Offset::new(after), ..ReadBatch::default() };
    loop {
        let request = ReadRequest {
            channels: channels.iter().map(|text| name(text)).collect(),
            after: whole.through,
            through: Offset::MAX,
            events_max: 7,
            bytes_max: 1 << 20,
        };
        let batch = engine.read(request).await.expect("a read succeeds");
        assert!(batch.events.len() <= 7, "more events than asked for");
        if whole.events.is_empty() {
            whole.trimmed = batch.trimmed;
        }
        let done = batch.events.is_empty();
        for event in batch.events {
            assert!(event.offset > whole.through || whole.events.is_empty(), "out of order or repeated");
            assert!(event.offset.get() > after, "an event at or below `after`");
            whole.events.push(event);
        }
        whole.through = batch.through;
        if done || batch.through == Offset::MAX {
            return whole;
        }
    }
}

fn texts(batch: &ReadBatch) -> Vec<String> {
    let text = |event: &Arc<Event>| String::from_utf8_lossy(event.payload.as_bytes()).into_owned();
    batch.events.iter().map(text).collect()
}

async fn append(engine: &dyn Engine, channel: &str, data: &str) -> u64 {
    let batch = Batch::one(publication(channel, data));
    engine.append(batch).await.expect("an append succeeds").first.get()
}

/// Runs the whole suite.
///
/// # Panics
/// When the engine breaks the contract, saying how.
pub async fn check(factory: &impl Factory) {
    appended_events_come_back_in_order(factory).await;
    a_batch_is_consecutive_and_told_before_it_is_answered(factory).await;
    a_known_key_appends_nothing(factory).await;
    retention_takes_the_oldest_and_names_it(factory).await;
    a_trim_is_a_gap_for_those_behind_it_only(factory).await;
    channels_do_not_see_each_other(factory).await;
    concurrent_appends_are_told_in_offset_order(factory).await;
    a_closed_engine_refuses(factory).await;
    a_read_ends_where_it_was_told_to(factory).await;
}

async fn appended_events_come_back_in_order(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    let witness = Arc::new(Witness::default());
    let start = engine.follow(Arc::clone(&witness) as Arc<dyn Follower>);
    for number in 0..40 {
        append(&*engine, if number % 2 == 0 { "a" } else { "memory_b" }, &number.to_string()).await;
    }
    let expected: Vec<String> = (0..40).map(|number: i32| number.to_string()).collect();
    let batch = read_all(&*engine, &["a", "memory_b"], start.get()).await;
    assert_eq!(texts(&batch), expected);
    assert!(batch.trimmed.is_empty(), "nothing was trimmed: {:?}", batch.trimmed);
    let offsets: Vec<u64> = batch.events.iter().map(|event| event.offset.get()).collect();
    assert_eq!(witness.offsets(), offsets, "the follower and a reader see the same");
    engine.close().await;
}

async fn a_batch_is_consecutive_and_told_before_it_is_answered(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    let witness = Arc::new(Witness::default());
    engine.follow(Arc::clone(&witness) as Arc<dyn Follower>);
    let batch = Batch::new(vec![publication("a", "1"), publication("memory_b", "2"), publication("a", "3")]);
    let appended = engine.append(batch).await.expect("an append succeeds");
    let offsets: Vec<u64> = appended.offsets().map(Offset::get).collect();
    assert_eq!(offsets, vec![offsets[0], offsets[0] + 1, offsets[0] + 2]);
    assert_eq!(witness.offsets(), offsets);
    assert_eq!(engine.append(Batch::new(vec![])).await, Err(AppendError::Empty));
    engine.close().await;
}

async fn a_known_key_appends_nothing(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    engine.follow(Arc::new(Witness::default()));
    let key = IdempotencyKey::new("key-1").expect("a key");
    let batch = |data: &str| Batch::one(publication("a", data)).with_key(key.clone());
    let first = engine.append(batch("1")).await.expect("an append succeeds");
    let again = engine.append(batch("1")).await.expect("a repetition succeeds");
    assert_eq!((again.first, again.duplicate), (first.first, true));
    assert!(matches!(engine.append(batch("2")).await, Err(AppendError::Conflict { .. })));
    assert_eq!(read_all(&*engine, &["a"], 0).await.events.len(), 1);
    engine.close().await;
}

async fn retention_takes_the_oldest_and_names_it(factory: &impl Factory) {
    let clock = clock();
    let engine = factory.make(rules(), Arc::clone(&clock)).await;
    engine.follow(Arc::new(Witness::default()));
    let mut few = Vec::new();
    for number in 0..5 {
        few.push(append(&*engine, "few_a", &number.to_string()).await);
        append(&*engine, "latest_a", &number.to_string()).await;
        append(&*engine, "short_a", &number.to_string()).await;
        append(&*engine, "small_a", &"9".repeat(100)).await;
    }
    engine.enforce_retention(Timestamp::from_millis(1_000_000));
    let batch = read_all(&*engine, &["few_a"], 0).await;
    assert_eq!(texts(&batch), ["2", "3", "4"]);
    assert_eq!(batch.trimmed, vec![(name("few_a"), Offset::new(few[1]))]);
    assert!(read_all(&*engine, &["few_a"], few[1]).await.trimmed.is_empty(), "lost nothing it needed");
    assert_eq!(texts(&read_all(&*engine, &["latest_a"], 0).await), ["4"]);
    assert_eq!(read_all(&*engine, &["small_a"], 0).await.events.len(), 2);
    clock.advance_millis(1001);
    engine.enforce_retention(Timestamp::from_millis(1_001_001));
    let batch = read_all(&*engine, &["short_a"], 0).await;
    assert_eq!((batch.events.len(), batch.trimmed.len()), (0, 1));
    let state = engine.channel_state(&name("short_a"));
    assert!(state.is_none_or(|state| state.last == batch.trimmed[0].1), "`last` outlives the events");
    engine.close().await;
}

async fn a_trim_is_a_gap_for_those_behind_it_only(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    let witness = Arc::new(Witness::default());
    engine.follow(Arc::clone(&witness) as Arc<dyn Follower>);
    let mut offsets = Vec::new();
    for number in 0..5 {
        offsets.push(append(&*engine, "a", &number.to_string()).await);
        append(&*engine, "b", "0").await;
    }
    engine.trim(name("a"), Offset::new(offsets[2] + 1)).await.expect("a trim succeeds");
    assert_eq!(*witness.trimmed.lock(), vec![(name("a"), Offset::new(offsets[2]))]);
    let behind = read_all(&*engine, &["a", "b"], offsets[0]).await;
    assert_eq!(behind.trimmed, vec![(name("a"), Offset::new(offsets[2]))]);
    assert_eq!(behind.events.len(), 2 + 5);
    assert!(read_all(&*engine, &["a"], offsets[2]).await.trimmed.is_empty());
    assert!(read_all(&*engine, &["b"], 0).await.trimmed.is_empty());
    engine.close().await;
}

async fn channels_do_not_see_each_other(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    engine.follow(Arc::new(Witness::default()));
    for number in 0..30 {
        append(&*engine, &format!("c{}", number % 3), &number.to_string()).await;
    }
    let batch = read_all(&*engine, &["c1"], 0).await;
    assert!(batch.events.iter().all(|event| event.channel == name("c1")));
    assert_eq!(batch.events.len(), 10);
    assert!(read_all(&*engine, &["nobody"], 0).await.events.is_empty());
    let listed = engine.channels("c", 2);
    assert_eq!(listed.iter().map(|(channel, _)| channel.as_str()).collect::<Vec<_>>(), ["c0", "c1"]);
    engine.close().await;
}

async fn concurrent_appends_are_told_in_offset_order(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    let witness = Arc::new(Witness::default());
    engine.follow(Arc::clone(&witness) as Arc<dyn Follower>);
    let appends = (0..200).map(|number| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { append(&*engine, "a", &number.to_string()).await })
    });
    let mut offsets = Vec::new();
    for append in appends.collect::<Vec<_>>() {
        offsets.push(append.await.expect("an append does not panic"));
    }
    offsets.sort_unstable();
    assert_eq!(witness.offsets(), offsets, "every offset once, in order");
    engine.close().await;
}

async fn a_closed_engine_refuses(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    engine.follow(Arc::new(Witness::default()));
    engine.close().await;
    let result = engine.append(Batch::one(publication("a", "1"))).await;
    assert_eq!(result, Err(AppendError::Closed));
}

async fn a_read_ends_where_it_was_told_to(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    engine.follow(Arc::new(Witness::default()));
    let mut offsets = Vec::new();
    for number in 0..6 {
        offsets.push(append(&*engine, "a", &number.to_string()).await);
    }
    let request = |events_max, bytes_max| ReadRequest {
        channels: vec![name("a")],
        after: Offset::new(offsets[0]),
        through: Offset::new(offsets[4]),
        events_max,
        bytes_max,
    };
    let whole = engine.read(request(100, 1000)).await.expect("a read succeeds");
    assert_eq!(
        (texts(&whole), whole.through.get()),
        (vec!["1".into(), "2".into(), "3".into(), "4".into()], offsets[4])
    );
    let two = engine.read(request(2, 1000)).await.expect("a read succeeds");
    assert_eq!((two.events.len(), two.through.get()), (2, offsets[2]));
    let bytes = engine.read(request(100, 1)).await.expect("a read succeeds");
    assert_eq!((bytes.events.len(), bytes.through.get()), (1, offsets[1]), "at least one event");
    engine.close().await;
}

/// What a restart keeps, for engines that survive one.
///
/// # Panics
/// When the engine breaks the contract, saying how.
pub async fn restart(factory: &impl Restart) {
    let clock = clock();
    let engine = factory.make(rules(), Arc::clone(&clock)).await;
    engine.follow(Arc::new(Witness::default()));
    let epoch = engine.epoch();
    let key = IdempotencyKey::new("key-1").expect("a key");
    let keyed = Batch::one(publication("a", "0")).with_key(key);
    let first = engine.append(keyed.clone()).await.expect("an append succeeds");
    let mut last = 0;
    for number in 1..20 {
        append(&*engine, "a", &number.to_string()).await;
        append(&*engine, "few_a", &number.to_string()).await;
        last = append(&*engine, "memory_a", &number.to_string()).await;
    }
    engine.trim(name("a"), first.first).await.expect("a trim succeeds");

    let engine = factory.reopen(engine, rules(), clock).await;
    let witness = Arc::new(Witness::default());
    let through = engine.follow(Arc::clone(&witness) as Arc<dyn Follower>);
    assert_eq!(engine.epoch(), epoch, "the epoch is kept");
    assert!(through.get() >= last, "the tail does not go back");
    let batch = read_all(&*engine, &["a"], 0).await;
    assert_eq!(texts(&batch).first().map(String::as_str), Some("1"));
    assert_eq!(batch.events.len(), 19);
    assert_eq!(batch.trimmed, vec![(name("a"), first.first)], "what was trimmed is remembered");
    assert_eq!(read_all(&*engine, &["few_a"], 0).await.events.len(), 3);
    let again = engine.append(keyed).await.expect("a repetition succeeds");
    assert_eq!((again.first, again.duplicate), (first.first, true), "keys are remembered");
    let lost = read_all(&*engine, &["memory_a"], last - 1).await;
    assert!(lost.events.is_empty());
    assert!(
        lost.trimmed.iter().any(|(_, through)| through.get() >= last),
        "ephemeral events are a gap, not a hole"
    );
    assert!(append(&*engine, "memory_a", "x").await > last, "no offset is used twice");
    engine.close().await;
}
