//! Batches that expect that nothing was committed on a channel since their writer looked.

use std::sync::Arc;

use super::harness::{Factory, Witness, append, clock, name, publication, read_all, rules, texts};
use crate::{AppendError, Appended, Batch, Engine, Follower, IdempotencyKey, Offset, Timestamp};

pub(super) fn expecting(channel: &str, seen: Offset, data: &str) -> Batch {
    Batch::one(publication(channel, data)).expecting(name(channel), seen)
}

/// What a batch was refused with: how far its writer had seen, and the channel's last event.
pub(super) fn refusal(result: Result<Appended, AppendError>, on: &str) -> (Offset, Offset) {
    match result {
        Err(AppendError::Unexpected { channel, seen, last }) if channel == name(on) => (seen, last),
        other => panic!("a batch that expects less of {on} than there is was answered with {other:?}"),
    }
}

/// The newest offset of a channel, as a batch that expects something of it is told.
pub(super) async fn newest(engine: &dyn Engine, channel: &str) -> Offset {
    let probe = Batch::one(publication("probe", "0")).expecting(name(channel), Offset::ZERO);
    match engine.append(probe).await {
        Ok(_) => Offset::ZERO,
        refused => refusal(refused, channel).1,
    }
}

pub(super) async fn a_batch_is_refused_if_its_channel_has_moved(factory: &impl Factory) {
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

pub(super) async fn what_is_gone_counts_as_seen_by_those_only_who_saw_it(factory: &impl Factory) {
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

pub(super) async fn a_repetition_is_known_before_what_it_expects_is_looked_at(factory: &impl Factory) {
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

pub(super) async fn of_writers_that_expect_the_same_one_wins(factory: &impl Factory) {
    let engine = factory.make(rules(), clock()).await;
    engine.follow(Arc::new(Witness::default()));
    for channel in ["a", "memory_a"] {
        let mut seen = Offset::ZERO;
        for round in 0..20 {
            // All are handed in before the first is answered; half of them from other threads, if there are
            // any.
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

pub(super) async fn refused_batches_disturb_nothing_else(factory: &impl Factory) {
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
