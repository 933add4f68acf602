//! Full disks and failing syncs.

use anywire_log::{AppendError, Channel, IdempotencyKey};

use super::{super::CommitObserver, *};

#[tokio::test]
async fn a_full_disk_refuses_appends_and_serves_reads_wherever_the_write_breaks_off() {
    for room in (0..250).step_by(7) {
        let directory = tempfile::tempdir().expect("a directory");
        let config = config(directory.path());
        let faults = config.faults.clone();
        let engine = open(config);
        append(&engine, "a", "1").await;
        faults.set_room(room);
        let batch = Batch::new(vec![contract::publication("a", &"2".repeat(200)); 2]);
        let error = engine.append(batch).await.expect_err("there is no room");
        assert!(matches!(&error, AppendError::Full { .. }), "{error}");
        assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
        assert_eq!(engine.writable(), Err(error));
        assert_eq!(texts(&engine, "a").await, ["1"]);
        let crashed = copy(directory.path());
        faults.set_room(usize::MAX);
        append(&engine, "a", "3").await;
        assert_eq!(engine.writable(), Ok(()));
        assert_eq!(texts(&engine, "a").await, ["1", "3"]);
        engine.close().await;
        drop(engine);
        assert_eq!(texts(&open(super::config(directory.path())), "a").await, ["1", "3"], "room {room}");
        assert_eq!(texts(&open(super::config(crashed.path())), "a").await, ["1"], "room {room}");
    }
}

#[tokio::test]
async fn the_health_page_recovers_although_nobody_publishes() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config(directory.path());
    let faults = config.faults.clone();
    let engine = open(config);
    append(&engine, "memory_a", "0").await;
    faults.set_room(0);
    let _full = engine.append(Batch::one(contract::publication("a", "1"))).await;
    engine.enforce_retention(Timestamp::from_millis(1_000_000));
    append(&engine, "memory_a", "1").await;
    assert!(engine.writable().is_err(), "there is still no room");
    faults.set_room(usize::MAX);
    engine.enforce_retention(Timestamp::from_millis(1_000_000));
    append(&engine, "memory_a", "2").await;
    append(&engine, "memory_a", "3").await;
    assert_eq!(engine.writable(), Ok(()));
}

#[tokio::test]
async fn an_observer_is_told_of_every_commit() {
    #[derive(Default)]
    struct Sums(parking_lot::Mutex<(usize, usize, std::time::Duration)>);
    impl CommitObserver for Sums {
        fn committed(&self, events: usize, bytes: usize, latency: std::time::Duration) {
            let mut sums = self.0.lock();
            *sums = (sums.0 + events, sums.1 + bytes, sums.2.max(latency));
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    let sums = Arc::new(Sums::default());
    let engine = open(EmbeddedConfig { observer: Some(Arc::clone(&sums) as _), ..config(directory.path()) });
    append(&engine, "a", "1").await;
    engine.append(Batch::new(vec![contract::publication("memory_a", "2"); 4])).await.expect("it succeeds");
    engine.close().await;
    let (events, bytes, latency) = *sums.0.lock();
    assert_eq!(events, 5);
    assert!(bytes > 60 && latency > std::time::Duration::ZERO);
}

#[tokio::test]
async fn ephemeral_events_go_on_when_the_disk_is_full() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config(directory.path());
    let faults = config.faults.clone();
    let engine = open(config);
    append(&engine, "a", "1").await;
    faults.set_room(0);
    let durable = engine.append(Batch::one(contract::publication("a", "2")));
    let ephemeral = engine.append(Batch::one(contract::publication("memory_a", "3")));
    assert!(matches!(durable.await, Err(AppendError::Full { .. })));
    ephemeral.await.expect("it needs no disk");
    let key = IdempotencyKey::new("k").expect("a key");
    let keyed = Batch::one(contract::publication("a", "4")).with_key(key);
    assert!(matches!(engine.append(keyed.clone()).await, Err(AppendError::Full { .. })));
    faults.set_room(usize::MAX);
    let again = engine.append(keyed).await.expect("there is room again");
    assert!(!again.duplicate, "a key of a failed append is not remembered");
    assert_eq!(texts(&engine, "a").await, ["1", "4"]);
    assert_eq!(texts(&engine, "memory_a").await, ["3"]);
}

#[tokio::test]
async fn an_append_that_failed_is_not_held_against_those_who_expected_that_nothing_came() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config(directory.path());
    let faults = config.faults.clone();
    let engine = open(config);
    let seen = append(&engine, "a", "1").await.first;
    faults.set_room(0);
    let channel = Channel::new("a").expect("a name");
    let (mut failing, mut expecting) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        failing.push(engine.append(Batch::one(contract::publication("a", "2"))));
        let batch = Batch::one(contract::publication("memory_b", "3"));
        expecting.push(engine.append(batch.expecting(channel.clone(), seen)));
    }
    for append in failing {
        assert!(matches!(append.await, Err(AppendError::Full { .. })));
    }
    for append in expecting {
        append.await.expect("nothing came on the channel, and it needs no disk");
    }
    let durable = Batch::one(contract::publication("b", "4")).expecting(channel, seen);
    assert!(matches!(engine.append(durable).await, Err(AppendError::Full { .. })));
}

#[tokio::test]
async fn batches_that_are_refused_write_nothing_and_use_no_offset() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(EmbeddedConfig { preallocate_bytes: 0, ..config(directory.path()) });
    append(&engine, "a", "1").await;
    // Most of what is reserved is used: the next group that is written would reserve more.
    let used = engine.append(Batch::new(vec![contract::publication("memory_a", "2"); 50_000]));
    let last = used.await.expect("an append succeeds").last();
    let length = |path: &std::path::PathBuf| std::fs::metadata(path).expect("it is there").len();
    let before: Vec<u64> = files(directory.path(), ".log").iter().map(length).collect();
    let channel = Channel::new("a").expect("a name");
    for _ in 0..20 {
        let stale = Batch::one(contract::publication("a", "3")).expecting(channel.clone(), Offset::ZERO);
        assert!(matches!(engine.append(stale).await, Err(AppendError::Unexpected { .. })));
    }
    let after: Vec<u64> = files(directory.path(), ".log").iter().map(length).collect();
    assert_eq!(after, before);
    assert_eq!(append(&engine, "a", "4").await.first, last.next());
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_until_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config(directory.path());
    let faults = config.faults.clone();
    let engine = open(config);
    append(&engine, "a", "1").await;
    faults.fail_syncs(true);
    let one = || Batch::one(contract::publication("a", "2"));
    assert!(matches!(engine.append(one()).await, Err(AppendError::Failed { .. })));
    faults.fail_syncs(false);
    let error = engine.append(one()).await.expect_err("nobody knows what the disk holds");
    assert!(error.to_string().contains("restart"), "{error}");
    assert_eq!(engine.writable(), Err(error));
    let trim = engine.trim(Channel::new("a").expect("a name"), Offset::MAX).await;
    assert!(trim.is_err(), "a trim is a write too");
    assert_eq!(texts(&engine, "a").await, ["1"], "reading goes on");
    append(&engine, "memory_a", "3").await;
    engine.close().await;
    drop(engine);
    let engine = open(super::config(directory.path()));
    assert_eq!(texts(&engine, "a").await, ["1"]);
    append(&engine, "a", "4").await;
}

#[tokio::test]
async fn a_full_queue_is_busy_and_a_batch_larger_than_the_queue_still_goes_through() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(EmbeddedConfig { queue_bytes_max: 1000, ..config(directory.path()) });
    let large = || Batch::one(contract::publication("a", &"1".repeat(5000)));
    engine.append(large()).await.expect("an empty queue takes a batch of any size");
    let appends: Vec<_> = (0..500).map(|_| engine.append(large())).collect();
    let mut refused = 0;
    for append in appends {
        match append.await {
            Ok(_) => {}
            Err(AppendError::Busy { waiting_bytes }) => {
                assert!(waiting_bytes > 0);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0, "500 at once are more than the queue takes");
    engine.append(large()).await.expect("later there is room again");
}

#[tokio::test]
async fn the_same_key_twice_at_once_appends_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(config(directory.path()));
    let key = IdempotencyKey::new("k").expect("a key");
    let batch = |data: &str| Batch::one(contract::publication("a", data)).with_key(key.clone());
    let appends: Vec<_> = (0..50).map(|_| engine.append(batch("1"))).collect();
    let conflict = engine.append(batch("2"));
    let mut firsts = Vec::new();
    let mut fresh = 0;
    for append in appends {
        let appended = append.await.expect("an append succeeds");
        firsts.push(appended.first);
        fresh += usize::from(!appended.duplicate);
    }
    firsts.dedup();
    assert_eq!((firsts.len(), fresh), (1, 1));
    assert!(matches!(conflict.await, Err(AppendError::Conflict { .. })));
    assert_eq!(texts(&engine, "a").await, ["1"]);
}
