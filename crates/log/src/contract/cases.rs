//! Appending, reading, retention, trims and repeated keys.

use std::sync::Arc;

use super::harness::{Factory, Witness, append, clock, name, publication, read_all, rules, texts};
use crate::{AppendError, Batch, Follower, IdempotencyKey, Offset, ReadRequest, Timestamp};

pub(super) async fn appended_events_come_back_in_order(factory: &impl Factory) {
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

pub(super) async fn a_batch_is_consecutive_and_told_before_it_is_answered(factory: &impl Factory) {
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

pub(super) async fn a_known_key_appends_nothing(factory: &impl Factory) {
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

pub(super) async fn retention_takes_the_oldest_and_names_it(factory: &impl Factory) {
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

pub(super) async fn a_trim_is_a_gap_for_those_behind_it_only(factory: &impl Factory) {
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

pub(super) async fn channels_do_not_see_each_other(factory: &impl Factory) {
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

pub(super) async fn concurrent_appends_are_told_in_offset_order(factory: &impl Factory) {
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

pub(super) async fn a_closed_engine_refuses(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    engine.follow(Arc::new(Witness::default()));
    engine.close().await;
    let result = engine.append(Batch::one(publication("a", "1"))).await;
    assert_eq!(result, Err(AppendError::Closed));
}

pub(super) async fn a_read_ends_where_it_was_told_to(factory: &impl Factory) {
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
