//! The contract every engine must pass: `contract::check(&make)` in the engine's tests.
//!
//! Knows: the port. Does not know: any engine. What a restart keeps is checked by the engines that survive one, with
//! [`restart`].

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    AppendError, Appended, Batch, Channel, ChannelPattern, Durability, Engine, Event, EventName, Follower,
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
    a_batch_is_refused_if_its_channel_has_moved(factory).await;
    what_is_gone_counts_as_seen_by_those_only_who_saw_it(factory).await;
    a_repetition_is_known_before_what_it_expects_is_looked_at(factory).await;
    of_writers_that_expect_the_same_one_wins(factory).await;
    refused_batches_disturb_nothing_else(factory).await;
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

fn expecting(channel: &str, seen: Offset, data: &str) -> Batch {
    Batch::one(publication(channel, data)).expecting(name(channel), seen)
}

/// What a batch was refused with: how far its writer had seen, and the channel's last event.
fn refusal(result: Result<Appended, AppendError>, on: &str) -> (Offset, Offset) {
    match result {
        Err(AppendError::Unexpected { channel, seen, last }) if channel == name(on) => (seen, last),
        other => panic!("a batch that expects less of {on} than there is was answered with {other:?}"),
    }
}

/// The newest offset of a channel, as a batch that expects something of it is told.
async fn newest(engine: &dyn Engine, channel: &str) -> Offset {
    let probe = Batch::one(publication("probe", "0")).expecting(name(channel), Offset::ZERO);
    match engine.append(probe).await {
        Ok(_) => Offset::ZERO,
        refused => refusal(refused, channel).1,
    }
}

async fn a_batch_is_refused_if_its_channel_has_moved(factory: &impl Factory) {
    for channel in ["a", "memory_a", "latest_a"] {
        let engine = factory.make(rules(), clock()).await;
        let witness = Arc::new(Witness::default());
        engine.follow(Arc::clone(&witness) as Arc<dyn Follower>);
        let append = |seen, data| engine.append(expecting(channel, seen, data));
        let first = append(Offset::ZERO, "1").await.expect("nothing was there").first;
        let other = engine.append(Batch::one(publication("b", "2"))).await.expect("an append").first;
        let seen = first.previous();
        assert_eq!(refusal(append(seen, "stale").await, channel), (seen, first), "{channel}");
        let second = append(first, "3").await.expect("nothing came since the first").first;
        assert_eq!(refusal(append(other, "stale").await, channel), (other, second), "{channel}");
        let third = append(second, "4").await.expect("nothing came since the second").first;
        let guarded = Batch::one(publication("c", "5"));
        let stale = guarded.clone().expecting(name(channel), second);
        assert_eq!(refusal(engine.append(stale).await, channel), (second, third), "{channel} guards another");
        let fourth = guarded.expecting(name(channel), Offset::MAX);
        let fourth = engine.append(fourth).await.expect("whoever has seen more has seen enough").first;
        let told = [first, other, second, third, fourth].map(Offset::get);
        assert_eq!(witness.offsets(), told, "nobody is told of what was refused on {channel}");
        engine.close().await;
    }
}

async fn what_is_gone_counts_as_seen_by_those_only_who_saw_it(factory: &impl Factory) {
    let clock = clock();
    let engine = factory.make(rules(), Arc::clone(&clock)).await;
    engine.follow(Arc::new(Witness::default()));
    for channel in ["a", "few_a", "short_a", "latest_a", "memory_a"] {
        let mut offsets = Vec::new();
        for number in 0..5 {
            offsets.push(Offset::new(append(&*engine, channel, &number.to_string()).await));
        }
        let last = offsets[4];
        match channel {
            "short_a" => {
                clock.advance_millis(1001);
                engine.enforce_retention(Timestamp::from_millis(1_001_001));
            }
            _ => engine.trim(name(channel), last).await.expect("a trim succeeds"),
        }
        assert!(read_all(&*engine, &[channel], 0).await.events.is_empty(), "{channel} is empty");
        assert_eq!(newest(&*engine, channel).await, last, "{channel}");
        let stale = engine.append(expecting(channel, offsets[3], "stale")).await;
        assert_eq!(refusal(stale, channel), (offsets[3], last));
        engine.append(expecting(channel, last, "next")).await.expect("nothing came since the last");
    }
    assert_eq!(newest(&*engine, "never").await, Offset::ZERO);
    engine.close().await;
}

async fn a_repetition_is_known_before_what_it_expects_is_looked_at(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    engine.follow(Arc::new(Witness::default()));
    let key = |text| IdempotencyKey::new(text).expect("a key");
    let batch = |data| expecting("a", Offset::ZERO, data).with_key(key("k"));
    let first = engine.append(batch("1")).await.expect("nothing was there");
    let again = engine.append(batch("1")).await.expect("a repetition succeeds");
    assert_eq!((again.first, again.duplicate), (first.first, true));
    assert!(matches!(engine.append(batch("2")).await, Err(AppendError::Conflict { .. })));
    let stale = expecting("a", Offset::ZERO, "3").with_key(key("l"));
    refusal(engine.append(stale).await, "a");
    let fresh = expecting("a", first.first, "3").with_key(key("l"));
    let appended = engine.append(fresh).await.expect("nothing came since the first");
    assert!(!appended.duplicate, "the key of a batch that was refused is not remembered");
    assert_eq!(texts(&read_all(&*engine, &["a"], 0).await), ["1", "3"]);
    engine.close().await;
}

async fn of_writers_that_expect_the_same_one_wins(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    engine.follow(Arc::new(Witness::default()));
    for channel in ["a", "memory_a"] {
        let mut seen = Offset::ZERO;
        for round in 0..20 {
            // All are handed in before the first is answered; half of them from other threads, if there are any.
            let append = |number| {
                let (engine, batch) = (Arc::clone(&engine), expecting(channel, seen, &format!("{number}")));
                tokio::spawn(async move { engine.append(batch).await })
            };
            let tasks: Vec<_> = (0..4).map(append).collect();
            let here: Vec<_> = (4..8).map(|number| format!("{number}")).collect();
            let here: Vec<_> =
                here.iter().map(|data| engine.append(expecting(channel, seen, data))).collect();
            let mut answers = Vec::new();
            for answer in here {
                answers.push(answer.await);
            }
            for task in tasks {
                answers.push(task.await.expect("an append does not panic"));
            }
            let won: Vec<_> = answers.iter().flatten().map(|appended| appended.first).collect();
            assert_eq!(won.len(), 1, "round {round} on {channel}: {answers:?}");
            for lost in answers.into_iter().filter(Result::is_err) {
                assert_eq!(refusal(lost, channel), (seen, won[0]), "round {round} on {channel}");
            }
            seen = won[0];
        }
        assert_eq!(newest(&*engine, channel).await, seen);
    }
    engine.close().await;
}

async fn refused_batches_disturb_nothing_else(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    let witness = Arc::new(Witness::default());
    engine.follow(Arc::clone(&witness) as Arc<dyn Follower>);
    let start = append(&*engine, "a", "start").await;
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for number in 0..60 {
        let channel = ["a", "memory_b", "c"][number % 3];
        kept.push(engine.append(Batch::one(publication(channel, &number.to_string()))));
        // The first is stale at once, the second only by what was handed in just before it.
        refused.push(engine.append(expecting("a", Offset::ZERO, "stale")));
        refused.push(engine.append(expecting(channel, Offset::ZERO, "stale")));
    }
    let mut offsets = vec![start];
    for append in kept {
        offsets.push(append.await.expect("nothing was expected of it").first.get());
    }
    for append in refused {
        assert!(matches!(append.await, Err(AppendError::Unexpected { .. })));
    }
    assert_eq!(witness.offsets(), offsets, "in the order in which they were handed in");
    let expected = (0..60).map(|number: i32| number.to_string());
    let expected: Vec<_> = std::iter::once("start".to_owned()).chain(expected).collect();
    assert_eq!(texts(&read_all(&*engine, &["a", "memory_b", "c"], 0).await), expected);
    engine.close().await;
}

/// What a restart keeps, for engines that survive one.
///
/// # Panics
/// When the engine breaks the contract, saying how.
pub async fn restart(factory: &impl Restart) {
    what_was_committed_is_kept(factory).await;
    what_a_batch_may_expect_is_the_same(factory).await;
}

async fn what_a_batch_may_expect_is_the_same(factory: &impl Restart) {
    const DURABLE: [&str; 7] = ["a", "few_a", "latest_a", "small_a", "short_a", "trimmed_a", "never"];
    let clock = clock();
    let engine = factory.make(rules(), Arc::clone(&clock)).await;
    engine.follow(Arc::new(Witness::default()));
    let mut last = 0;
    for number in 0..40 {
        for channel in DURABLE.iter().take(6) {
            last = append(&*engine, channel, &format!("{number:020}")).await;
        }
        append(&*engine, "memory_a", "0").await;
    }
    engine.trim(name("trimmed_a"), Offset::new(last)).await.expect("a trim succeeds");
    clock.advance_millis(1001);
    engine.enforce_retention(Timestamp::from_millis(1_001_001));
    let mut before = Vec::new();
    for channel in DURABLE {
        before.push(newest(&*engine, channel).await);
    }
    let ephemeral = newest(&*engine, "memory_a").await;

    let mut engine = engine;
    for _ in 0..2 {
        engine = factory.reopen(engine, rules(), Arc::clone(&clock)).await;
        let tail = engine.follow(Arc::new(Witness::default()));
        for (channel, before) in DURABLE.iter().zip(&before) {
            assert_eq!(newest(&*engine, channel).await, *before, "{channel}");
        }
        let lost = read_all(&*engine, &["memory_a"], 0).await.trimmed;
        assert_eq!(lost, vec![(name("memory_a"), tail)], "it is told how far the loss goes");
        assert_eq!(newest(&*engine, "memory_a").await, tail, "who was told of the loss has seen enough");
        refusal(engine.append(expecting("memory_a", ephemeral, "stale")).await, "memory_a");
    }
    for (channel, before) in DURABLE.iter().zip(&before) {
        engine.append(expecting(channel, *before, "next")).await.expect("nothing came since");
    }
    engine.close().await;
}

async fn what_was_committed_is_kept(factory: &impl Restart) {
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
