//! What a restart keeps.

use std::sync::Arc;

use super::{
    expect::{expecting, newest, refusal},
    harness::{Restart, Witness, append, clock, name, publication, read_all, rules, texts},
};
use crate::{Batch, Follower, IdempotencyKey, Offset, Timestamp};

pub(super) async fn what_a_batch_may_expect_is_the_same(factory: &impl Restart) {
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

pub(super) async fn what_was_committed_is_kept(factory: &impl Restart) {
    let clock = clock();
    let engine = factory.make(rules(), Arc::clone(&clock)).await;
    engine.follow(Arc::new(Witness::default()));
    let epoch = engine.epoch();
    let key = IdempotencyKey::new("key-1").expect("a key");
    let of_client = Batch::one(publication("a", "0")).with_key(key.within("ann"));
    let keyed = Batch::one(publication("a", "0")).with_key(key);
    let first = engine.append(keyed.clone()).await.expect("an append succeeds");
    let clients = engine.append(of_client.clone()).await.expect("the same key of a client is another");
    assert!(!clients.duplicate);
    let mut last = 0;
    for number in 1..20 {
        append(&*engine, "a", &number.to_string()).await;
        append(&*engine, "few_a", &number.to_string()).await;
        last = append(&*engine, "memory_a", &number.to_string()).await;
    }
    engine.trim(name("a"), clients.first).await.expect("a trim succeeds");

    let engine = factory.reopen(engine, rules(), clock).await;
    let witness = Arc::new(Witness::default());
    let through = engine.follow(Arc::clone(&witness) as Arc<dyn Follower>);
    assert_eq!(engine.epoch(), epoch, "the epoch is kept");
    assert!(through.get() >= last, "the tail does not go back");
    let batch = read_all(&*engine, &["a"], 0).await;
    assert_eq!(texts(&batch).first().map(String::as_str), Some("1"));
    assert_eq!(batch.events.len(), 19);
    assert_eq!(batch.trimmed, vec![(name("a"), clients.first)], "what was trimmed is remembered");
    assert_eq!(read_all(&*engine, &["few_a"], 0).await.events.len(), 3);
    let again = engine.append(keyed).await.expect("a repetition succeeds");
    assert_eq!((again.first, again.duplicate), (first.first, true), "keys are remembered");
    let again = engine.append(of_client).await.expect("a repetition succeeds");
    assert_eq!((again.first, again.duplicate), (clients.first, true), "and whose they are");
    let lost = read_all(&*engine, &["memory_a"], last - 1).await;
    assert!(lost.events.is_empty());
    assert!(
        lost.trimmed.iter().any(|(_, through)| through.get() >= last),
        "ephemeral events are a gap, not a hole"
    );
    assert!(append(&*engine, "memory_a", "x").await > last, "no offset is used twice");
    engine.close().await;
}
