//! The in-memory engine against the contract, and the log in front of it.

use std::sync::Arc;

use anywire_log::{
    Batch, Channel, Clock, Cursor, Engine, Epoch, Followed, GapReason, Log, ManualClock, MemoryEngine,
    Offset, Peek, Position, ReadLimit, RetentionRules, Subscription, TailConfig, contract,
};

struct Memory;

impl contract::Factory for Memory {
    async fn make(&self, rules: RetentionRules, clock: Arc<ManualClock>) -> Arc<dyn Engine> {
        Arc::new(MemoryEngine::new(rules, clock).expect("randomness"))
    }
}

#[tokio::test]
async fn the_memory_engine_passes_the_contract() {
    contract::check(&Memory).await;
}

fn log(tail_bytes_max: u64) -> Arc<Log> {
    let engine = MemoryEngine::new(contract::rules(), Arc::new(ManualClock::default())).expect("randomness");
    Log::start(Arc::new(engine), contract::rules(), TailConfig { bytes_max: tail_bytes_max })
}

fn channel(name: &str) -> Channel {
    Channel::new(name).expect("a name")
}

async fn publish(log: &Log, name: &str, data: &str) -> Offset {
    log.append(Batch::one(contract::publication(name, data))).await.expect("an append").first
}

/// Reads a subscription to its end, as a transport would; returns the texts and the offsets of gaps.
async fn drain(log: &Arc<Log>, subscription: &mut Subscription) -> (Vec<String>, Vec<u64>) {
    let (mut texts, mut gaps) = (Vec::new(), Vec::new());
    loop {
        let mut events = Vec::new();
        match subscription.peek(log, ReadLimit { events_max: 3, bytes_max: 1 << 20 }, &mut events) {
            Peek::Ready { through, live } => {
                subscription.advance(through);
                texts.extend(
                    events.iter().map(|e| String::from_utf8_lossy(e.payload.as_bytes()).into_owned()),
                );
                if live && events.is_empty() {
                    return (texts, gaps);
                }
            }
            Peek::Behind(request) => {
                let (batch, gap) = log.read_behind(request).await.expect("a read");
                if let Some(gap) = gap {
                    gaps.extend(gap.lost.iter().map(|(_, through)| through.get()));
                    subscription.skip(&gap);
                    continue;
                }
                texts.extend(
                    batch.events.iter().map(|e| String::from_utf8_lossy(e.payload.as_bytes()).into_owned()),
                );
                subscription.advance(batch.through);
            }
        }
    }
}

#[tokio::test]
async fn a_reader_gets_the_same_from_memory_and_from_the_engine() {
    for tail_bytes_max in [0, 500, 64 << 20] {
        let log = log(tail_bytes_max);
        for number in 0..50 {
            publish(&log, if number % 2 == 0 { "a" } else { "b" }, &number.to_string()).await;
        }
        let mut subscription = Subscription::new();
        let started = log.subscribe(&mut subscription, &[channel("a"), channel("b")], Position::Oldest);
        assert_eq!(started.gap, None);
        let expected: Vec<String> = (0..50).map(|number: i32| number.to_string()).collect();
        assert_eq!(drain(&log, &mut subscription).await, (expected, vec![]), "tail of {tail_bytes_max}");
    }
}

#[tokio::test]
async fn a_channel_added_with_an_older_cursor_catches_up_first() {
    let log = log(64 << 20);
    let start = publish(&log, "a", "a0").await;
    publish(&log, "b", "b0").await;
    publish(&log, "b", "b1").await;
    let mut subscription = Subscription::new();
    log.subscribe(&mut subscription, &[channel("a")], Position::Tail);
    publish(&log, "a", "a1").await;
    log.subscribe(&mut subscription, &[channel("b")], Position::After(log.cursor(start)));
    assert_eq!(subscription.cursor(log.tail_offset()), start, "the connection's cursor is the lowest");
    publish(&log, "b", "b2").await;
    let (texts, gaps) = drain(&log, &mut subscription).await;
    assert_eq!((texts, gaps), (vec!["b0".into(), "b1".into(), "a1".into(), "b2".into()], vec![]));
    assert_eq!(subscription.cursor(Offset::ZERO), log.tail_offset());
}

#[tokio::test]
async fn a_reader_behind_retention_is_told_of_the_gap_once_and_exactly() {
    let log = log(64 << 20);
    let mut offsets = Vec::new();
    for number in 0..10 {
        offsets.push(publish(&log, "few_a", &number.to_string()).await);
        publish(&log, "b", "b").await;
    }
    let mut subscription = Subscription::new();
    let from = log.cursor(offsets[0]);
    log.subscribe(&mut subscription, &[channel("few_a"), channel("b")], Position::After(from));
    let (texts, gaps) = drain(&log, &mut subscription).await;
    assert_eq!(gaps, vec![offsets[6].get()]);
    assert_eq!(texts.iter().filter(|text| *text == "b").count(), 10);
    assert_eq!(texts.iter().filter(|text| *text != "b").count(), 3);
}

#[tokio::test]
async fn a_foreign_cursor_and_one_past_the_tail_are_gaps_and_delivery_goes_on_from_the_oldest() {
    let log = log(64 << 20);
    publish(&log, "a", "0").await;
    let foreign = Cursor { epoch: Epoch::new(log.epoch().get() ^ 1), offset: Offset::new(1) };
    let ahead = log.cursor(Offset::new(1000));
    for (cursor, reason) in [(foreign, GapReason::Epoch), (ahead, GapReason::Ahead)] {
        let mut subscription = Subscription::new();
        let gap = log.subscribe(&mut subscription, &[channel("a")], Position::After(cursor));
        let gap = gap.gap.expect("a gap");
        assert_eq!((gap.reason, gap.from), (reason, cursor));
        assert_eq!(drain(&log, &mut subscription).await.0, ["0"]);
    }
}

#[tokio::test]
async fn only_the_newest_event_of_a_latest_channel_reaches_a_reader_that_is_behind() {
    for tail_bytes_max in [0, 64 << 20] {
        let log = log(tail_bytes_max);
        let mut subscription = Subscription::new();
        log.subscribe(&mut subscription, &[channel("latest_a")], Position::Tail);
        for number in 0..5 {
            publish(&log, "latest_a", &number.to_string()).await;
        }
        assert_eq!(drain(&log, &mut subscription).await, (vec!["4".to_owned()], vec![]));
    }
}

#[tokio::test]
async fn a_latest_channel_whose_newest_event_is_gone_is_a_gap() {
    let clock = Arc::new(ManualClock::default());
    let engine = MemoryEngine::new(contract::rules(), clock.clone()).expect("randomness");
    let log = Log::start(Arc::new(engine), contract::rules(), TailConfig::default());
    let offset = publish(&log, "latest_a", "0").await;
    let mut subscription = Subscription::new();
    log.subscribe(&mut subscription, &[channel("latest_a")], Position::After(log.cursor(Offset::ZERO)));
    clock.advance_millis(8 * 24 * 3600 * 1000);
    log.enforce_retention(clock.now());
    assert_eq!(drain(&log, &mut subscription).await, (vec![], vec![offset.get()]));
}

#[tokio::test]
async fn an_idle_reader_of_a_quiet_channel_never_asks_the_engine() {
    let log = log(64 << 20);
    publish(&log, "quiet", "0").await;
    let cursor = log.tail_cursor();
    for _ in 0..100 {
        publish(&log, "busy", "x").await;
    }
    let mut subscription = Subscription::new();
    log.subscribe(&mut subscription, &[channel("quiet")], Position::After(cursor));
    let mut events = Vec::new();
    let peek = subscription.peek(&log, ReadLimit::default(), &mut events);
    assert_eq!(peek, Peek::Ready { through: log.tail_offset(), live: true });
}

#[tokio::test]
async fn a_follower_inside_the_process_sees_history_and_live_as_one() {
    let log = log(64 << 20);
    publish(&log, "a", "0").await;
    let mut follow = log.follow(&[channel("a")], Position::Oldest);
    let task = tokio::spawn(async move {
        let mut texts = Vec::new();
        while texts.len() < 3 {
            if let Followed::Events(events) = follow.next().await.expect("a read") {
                texts.extend(
                    events.iter().map(|e| String::from_utf8_lossy(e.payload.as_bytes()).into_owned()),
                );
            }
        }
        texts
    });
    tokio::task::yield_now().await;
    publish(&log, "a", "1").await;
    publish(&log, "b", "other").await;
    publish(&log, "a", "2").await;
    assert_eq!(task.await.expect("no panic"), ["0", "1", "2"]);
}

#[tokio::test]
async fn the_one_event_of_a_channel_nobody_had_opened_is_there_for_whoever_opens_it() {
    let log = log(64 << 20);
    publish(&log, "latest_a", "old").await;
    publish(&log, "latest_a", "new").await;
    let newest = log.newest(&channel("latest_a"));
    for position in [Position::Oldest, Position::After(log.cursor(newest.previous()))] {
        let mut subscription = Subscription::new();
        log.subscribe(&mut subscription, &[channel("latest_a")], position);
        assert_eq!(drain(&log, &mut subscription).await, (vec!["new".to_owned()], vec![]));
        assert_eq!(subscription.cursor(Offset::ZERO), log.tail_offset());
    }
    let mut subscription = Subscription::new();
    log.subscribe(&mut subscription, &[channel("latest_a")], Position::Tail);
    publish(&log, "latest_a", "newer").await;
    assert_eq!(drain(&log, &mut subscription).await, (vec!["newer".to_owned()], vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_opens_a_channel_while_it_is_published_to_misses_nothing() {
    for round in 0..200 {
        let (log, name) = (log(64 << 20), format!("latest_{round}"));
        let publishing = tokio::spawn({
            let (log, name) = (Arc::clone(&log), name.clone());
            async move { publish(&log, &name, "it").await }
        });
        let mut subscription = Subscription::new();
        log.subscribe(&mut subscription, &[channel(&name)], Position::Oldest);
        let mut texts = drain(&log, &mut subscription).await.0;
        publishing.await.expect("published");
        texts.extend(drain(&log, &mut subscription).await.0);
        assert_eq!(texts, ["it"], "round {round}");
    }
}

#[tokio::test]
async fn one_event_is_found_in_the_tail_or_in_the_engine() {
    for tail_bytes_max in [0, 500, 64 << 20] {
        let log = log(tail_bytes_max);
        let (mut a, mut few) = (Vec::new(), Vec::new());
        for number in 0..20 {
            a.push(publish(&log, "a", &number.to_string()).await);
            few.push(publish(&log, "few_a", "x").await);
        }
        log.trim(channel("a"), a[4]).await.expect("a trim");
        let event_at = async |name: &str, offset| log.event_at(&channel(name), offset).await.expect("a read");
        for (number, offset) in a.iter().enumerate() {
            let found = event_at("a", *offset).await.map(|event| event.payload.as_bytes().to_vec());
            let expected = (number > 4).then(|| number.to_string().into_bytes());
            assert_eq!(found, expected, "event {number} with a tail of {tail_bytes_max}");
            assert_eq!(event_at("few_a", *offset).await, None, "it is on another channel");
        }
        let kept = few.iter().map(|offset| event_at("few_a", *offset));
        let mut count = 0;
        for found in kept {
            count += usize::from(found.await.is_some());
        }
        assert_eq!(count, 3, "what retention took is gone");
        assert_eq!(event_at("a", log.tail_offset().next()).await, None);
        assert_eq!(event_at("a", Offset::ZERO).await, None);
        assert_eq!(event_at("nobody", a[5]).await, None);
    }
}
