//! Retention on the disk: segments are removed and rewritten, and what was trimmed stays known.

use std::time::Instant;

use anywire_log::{
    Channel, Clock, Durability, IdempotencyKey, Retention, RetentionRule, RetentionRules,
    contract::publication,
};

use super::{
    super::{checkpoint::Checkpoint, compaction::merge::SMALL_AT_ONCE, index::EMPTY_CHANNELS_MAX},
    *,
};

fn small(directory: &Path) -> EmbeddedConfig {
    EmbeddedConfig { segment_bytes_max: 0, preallocate_bytes: 0, ..config(directory) }
}

fn is_merged(log: &Path) -> bool {
    let name = log.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    super::super::segment::file::parse_name(name).is_some_and(|(_, generation)| generation > 0)
}

/// What only a hang reaches.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets the upkeep thread work until something holds.
async fn until(engine: &EmbeddedEngine, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        let waited = start.elapsed();
        assert!(
            waited < PATIENCE,
            "the upkeep thread does not get there: {:#?}",
            listing(&engine.shared.config.directory)
        );
        engine.enforce_retention(Timestamp::from_millis(1_000_000));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn segments_of_which_nothing_is_kept_are_removed_and_their_gap_stays_known() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(small(directory.path()));
    let key = IdempotencyKey::new("early").expect("a key");
    let keyed = Batch::one(publication("few_a", "0")).with_key(key);
    let first = engine.append(keyed.clone()).await.expect("an append succeeds");
    let mut last = 0;
    for number in 0..300 {
        last = append(&engine, "few_a", &number.to_string()).await.first.get();
    }
    until(&engine, || files(directory.path(), ".log").len() <= 2).await;
    engine.close().await;
    drop(engine);
    let engine = open(small(directory.path()));
    let batch = read(&engine, "few_a", first.first).await;
    assert_eq!(batch.events.len(), 3);
    assert_eq!(batch.trimmed, vec![(Channel::new("few_a").expect("a name"), Offset::new(last - 3))]);
    let again = engine.append(keyed).await.expect("a repetition succeeds");
    assert_eq!((again.first, again.duplicate), (first.first, true), "a key outlives its segment");
}

/// Publishes many events that go and a few that stay, which are answered.
async fn many_gone_and_a_few_kept(engine: &EmbeddedEngine) -> Vec<String> {
    let mut kept = Vec::new();
    for number in 0..600 {
        append(engine, "few_a", &format!("\"{}\"", "x".repeat(100))).await;
        if number % 40 == 0 {
            append(engine, "b", &number.to_string()).await;
            kept.push(number.to_string());
        }
    }
    kept
}

/// In the end there are few segments, merged ones among them, and what stays is in them: at once, after a
/// crash and after a stop.
async fn are_moved_together(directory: &Path, engine: EmbeddedEngine, kept: &[String], segments_max: usize) {
    until(&engine, || files(directory, ".log").len() <= segments_max).await;
    assert!(files(directory, ".log").iter().any(|path| is_merged(path)));
    assert_eq!(texts(&engine, "b").await, kept);
    let crashed = copy(directory);
    engine.close().await;
    drop(engine);
    for directory in [directory, crashed.path()] {
        let engine = open(small(directory));
        assert_eq!(texts(&engine, "b").await, kept);
        assert_eq!(texts(&engine, "few_a").await.len(), 3);
        append(&engine, "b", "1").await;
    }
}

#[test]
fn a_few_kept_events_among_many_gone_are_moved_together() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(small(directory.path()));
    // Which segments meet in one merge depends on when the upkeep thread looks: here it does when all are
    // there.
    let waits = engine.shared.checkpoint.lock();
    let kept = runtime.block_on(many_gone_and_a_few_kept(&engine));
    drop(waits);
    runtime.block_on(are_moved_together(directory.path(), engine, &kept, 4));
}

#[tokio::test]
async fn kept_events_are_moved_while_others_come_and_fewer_small_segments_stay_than_are_merged_for_being_many()
 {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(small(directory.path()));
    let kept = many_gone_and_a_few_kept(&engine).await;
    // The newest comes on top.
    are_moved_together(directory.path(), engine, &kept, SMALL_AT_ONCE).await;
}

#[tokio::test]
async fn a_crash_between_writing_a_merged_segment_and_removing_the_old_ones_repeats_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(small(directory.path()));
    let mut old = Vec::new();
    for number in 0..200 {
        append(&engine, "few_a", &format!("\"{}\"", "x".repeat(100))).await;
        if number % 40 == 0 {
            append(&engine, "b", &number.to_string()).await;
        }
        for path in files(directory.path(), ".log") {
            // One that the upkeep thread has removed since stays as it was known.
            let Ok(bytes) = std::fs::read(&path) else { continue };
            old.retain(|(known, _): &(_, Vec<u8>)| *known != path);
            old.push((path, bytes));
        }
    }
    until(&engine, || files(directory.path(), ".log").iter().any(|path| is_merged(path))).await;
    let expected = texts(&engine, "b").await;
    engine.close().await;
    drop(engine);
    let merged = files(directory.path(), ".log");
    for (path, bytes) in old {
        if !merged.contains(&path) && !path.to_string_lossy().contains(".tmp") {
            std::fs::write(path, bytes).expect("it can be written");
        }
    }
    let engine = open(small(directory.path()));
    assert_eq!(texts(&engine, "b").await, expected);
    assert_eq!(texts(&engine, "few_a").await.len(), 3);
}

#[tokio::test]
async fn an_index_that_is_damaged_while_it_is_in_use_is_made_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(small(directory.path()));
    for number in 0..400 {
        append(&engine, if number % 2 == 0 { "a" } else { "b" }, &number.to_string()).await;
    }
    let expected = texts(&engine, "a").await;
    engine.close().await;
    drop(engine);
    let engine = open(small(directory.path()));
    for path in files(directory.path(), ".idx") {
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes[4096 + 33] ^= 1;
        std::fs::write(&path, bytes).expect("it can be written");
    }
    assert_eq!(texts(&engine, "a").await, expected);
}

#[tokio::test]
async fn retention_mends_an_index_it_finds_damaged() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = clock();
    let engine = open(small(directory.path()));
    for number in 0..100 {
        append(&engine, "short_a", &number.to_string()).await;
    }
    engine.close().await;
    drop(engine);
    clock.advance_millis(10);
    let engine = EmbeddedEngine::open(small(directory.path()), contract::rules(), Arc::clone(&clock) as _);
    let engine = engine.expect("it opens");
    for number in 100..200 {
        append(&engine, "short_a", &number.to_string()).await;
    }
    engine.close().await;
    drop(engine);
    clock.advance_millis(500);
    let engine = EmbeddedEngine::open(small(directory.path()), contract::rules(), Arc::clone(&clock) as _);
    let engine = engine.expect("it opens");
    for path in files(directory.path(), ".idx") {
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes[4096 + 33] ^= 1;
        std::fs::write(&path, bytes).expect("it can be written");
    }
    // Those of the first hundred are over a second old now, the others are not: the border is inside a
    // segment.
    let now = Timestamp::from_millis(1_001_005);
    let channel = Channel::new("short_a").expect("a name");
    let start = Instant::now();
    while engine.channel_state(&channel).expect("it knows").events != 100 {
        assert!(start.elapsed() < PATIENCE, "retention never gets there");
        engine.enforce_retention(now);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(texts(&engine, "short_a").await[0], "100");
}

#[tokio::test]
async fn rules_that_change_between_starts_leave_no_silent_hole() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = clock();
    let rules = |durability| {
        let retention = Retention { durability, ..Retention::default() };
        let pattern = anywire_log::ChannelPattern::new("x_*");
        RetentionRules::new(vec![RetentionRule { pattern, retention }], Retention::default())
    };
    let open = |durability| {
        let engine =
            EmbeddedEngine::open(small(directory.path()), rules(durability), Arc::clone(&clock) as _);
        let engine = engine.expect("it opens");
        engine.follow(Arc::new(Witness::default()));
        engine
    };
    let engine = open(Durability::Durable);
    let durable = append(&engine, "x_a", "1").await.first;
    append(&engine, "other", "1").await;
    drop(engine);
    let engine = open(Durability::Ephemeral);
    assert_eq!(
        read(&engine, "x_a", Offset::ZERO).await.trimmed.len(),
        1,
        "what was durable is gone, and told"
    );
    let ephemeral = append(&engine, "x_a", "2").await.first;
    let never_durable = append(&engine, "x_b", "2").await.first;
    drop(engine);
    let engine = open(Durability::Durable);
    for (channel, after) in
        [("x_a", durable), ("x_a", ephemeral.previous()), ("x_b", never_durable.previous())]
    {
        let batch = read(&engine, channel, after).await;
        assert!(batch.events.is_empty());
        assert!(
            batch.trimmed.iter().any(|(_, through)| *through >= ephemeral),
            "{channel}: {:?}",
            batch.trimmed
        );
    }
    assert!(read(&engine, "other", Offset::ZERO).await.trimmed.is_empty());
    assert!(clock.now() >= Timestamp::from_millis(0));
}

#[tokio::test]
async fn ephemeral_offsets_are_never_used_twice_whenever_the_crash_comes() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(small(directory.path()));
    let mut last = Offset::ZERO;
    for round in 0..5 {
        let batch = Batch::new(vec![publication("memory_a", "1"); 50_000]);
        last = engine.append(batch).await.expect("an append succeeds").last();
        let crashed = copy(directory.path());
        let again = open(small(crashed.path()));
        let first = append(&again, "memory_a", "2").await.first;
        assert!(first > last, "round {round}: {first} was used before");
        assert_eq!(read(&again, "memory_a", last.previous()).await.trimmed.len(), 1, "the loss is told");
    }
    engine.close().await;
    drop(engine);
    let engine = open(small(directory.path()));
    assert_eq!(append(&engine, "a", "3").await.first, last.next(), "a clean stop skips nothing");
}

#[tokio::test]
async fn what_was_trimmed_stays_gone_after_its_channel_was_forgotten() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(small(directory.path()));
    let filler = format!("\"{}\"", "x".repeat(100));
    let trim = async |name: &str, through| {
        engine.trim(Channel::new(name).expect("a name"), through).await.expect("a trim succeeds");
    };
    let gone = append(&engine, "trimmed_c", "1").await.first;
    for _ in 0..60 {
        append(&engine, "b", &filler).await;
    }
    // The event stays in the first segment, whose index is written before the trim.
    until(&engine, || !files(directory.path(), ".idx").is_empty()).await;
    for _ in 0..60 {
        append(&engine, "few_a", &filler).await;
    }
    trim("trimmed_c", gone).await;
    for number in 0..2 * EMPTY_CHANNELS_MAX {
        let name = format!("empty_{number}");
        let offset = append(&engine, &name, "1").await.first;
        trim(&name, offset).await;
        append(&engine, "few_a", &filler).await;
    }
    let checkpoint = directory.path().join("checkpoint");
    until(&engine, || {
        let names = |path: &std::path::PathBuf| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(9).any(|bytes| bytes == b"trimmed_c")
        };
        let written = Checkpoint::read(&checkpoint, engine.shared.epoch).expect("it can be read");
        let forgotten = written.is_some_and(|written| written.floor >= gone);
        forgotten && files(directory.path(), ".log").iter().filter(|path| names(path)).count() == 1
    })
    .await;
    engine.close().await;
    drop(engine);
    let engine = open(small(directory.path()));
    assert_eq!(texts(&engine, "trimmed_c").await, [""; 0], "what was trimmed is back");
    assert_eq!(texts(&engine, "b").await.len(), 60);
    let state = engine.channel_state(&Channel::new("trimmed_c").expect("a name")).expect("it knows");
    assert!(state.trimmed_through >= gone && state.last >= gone, "the loss is told: {state:?}");
}

#[tokio::test]
async fn weights_are_what_the_log_says_they_are() {
    let event = anywire_log::Event::new(Offset::new(1), Timestamp::default(), publication("abc", "\"xyz\""));
    let content = 3 + event.name.as_str().len() + 5;
    let record_bytes = super::super::segment::layout::RECORD_HEADER_BYTES + content;
    assert_eq!(super::super::index::channel::weight_bytes(1, record_bytes as u64), event.weight_bytes());
}
