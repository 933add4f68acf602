//! Damage is loss, and loss is told: every kind of file, spoiled in every way.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anywire_log::{Channel, GapReason};

use super::*;

/// What a reader of channels gets, from the beginning, as a reader of the log would: events, and gaps with
/// what they take from whom.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    events: BTreeMap<u64, String>,
    gaps: Vec<(GapReason, String, u64, u64)>,
}

async fn hear(engine: &EmbeddedEngine, channels: &[&str]) -> Heard {
    let mut heard = Heard::default();
    for channel in channels {
        let name = Channel::new(channel).expect("a name");
        let mut after = Offset::ZERO;
        for _ in 0..10_000 {
            let request = anywire_log::ReadRequest {
                channels: vec![name.clone()],
                after,
                through: Offset::MAX,
                events_max: 7,
                bytes_max: 1 << 20,
            };
            let batch = engine.read(request).await.expect("a read never fails for damage");
            if let Some(gap) = batch.gap(engine.epoch(), after) {
                let to = gap.lost[0].1;
                heard.gaps.push((gap.reason, (*channel).to_owned(), after.get() + 1, to.get()));
                after = to;
                continue;
            }
            for event in &batch.events {
                let text = String::from_utf8_lossy(event.payload.as_bytes()).into_owned();
                heard.events.insert(event.offset.get(), text);
            }
            if batch.events.is_empty() && batch.through <= after {
                break;
            }
            let done = batch.events.is_empty() && batch.through >= engine.shared.index.read().through;
            after = batch.through;
            if done {
                break;
            }
        }
    }
    heard
}

fn small(directory: &Path) -> EmbeddedConfig {
    EmbeddedConfig { segment_bytes_max: 0, scrub_bytes_per_s: 0, ..config(directory) }
}

const CHANNELS: [&str; 2] = ["a", "b"];

/// A directory with several segments, closed; what was in it, and an older copy of it.
async fn filled() -> (tempfile::TempDir, tempfile::TempDir, Heard) {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(small(directory.path()));
    for number in 0..150 {
        append(&engine, if number % 3 == 0 { "b" } else { "a" }, &format!("\"number {number}\"")).await;
    }
    // So that there is a checkpoint, and that it is not the first.
    engine.trim(Channel::new("b").expect("a name"), Offset::new(20)).await.expect("a trim");
    wait_for_indexes(directory.path()).await;
    let older = copy(directory.path());
    for number in 150..400 {
        append(&engine, if number % 3 == 0 { "b" } else { "a" }, &format!("\"number {number}\"")).await;
    }
    wait_for_indexes(directory.path()).await;
    let heard = hear(&engine, &CHANNELS).await;
    engine.close().await;
    assert!(files(directory.path(), ".log").len() > 5, "several segments");
    (directory, older, heard)
}

async fn wait_for_indexes(directory: &Path) {
    for _ in 0..10_000 {
        if files(directory, ".idx").len() + 1 >= files(directory, ".log").len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the indexes are not written");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoil {
    Flip(usize),
    Truncate,
    Empty,
    Delete,
    Older,
}

/// Spoils a file; false where that changes nothing.
fn spoil(path: &Path, older: &Path, how: Spoil) -> bool {
    let bytes = fs::read(path).expect("it is there");
    let name = path.file_name().expect("a name");
    match how {
        Spoil::Flip(percent) => {
            let mut spoiled = bytes.clone();
            let at = (spoiled.len() * percent / 100).min(spoiled.len().saturating_sub(1));
            let Some(byte) = spoiled.get_mut(at) else { return false };
            *byte ^= 0x04;
            fs::write(path, spoiled).expect("it can be written");
        }
        Spoil::Truncate => fs::write(path, &bytes[..bytes.len() / 2]).expect("it can be written"),
        Spoil::Empty => fs::write(path, "").expect("it can be written"),
        Spoil::Delete => fs::remove_file(path).expect("it can be removed"),
        Spoil::Older => {
            let Ok(before) = fs::read(older.join(name)) else { return false };
            if before == bytes {
                return false;
            }
            fs::write(path, before).expect("it can be written");
        }
    }
    true
}

/// Every event is heard, or taken by exactly one gap; nothing else is.
fn check_exact(heard: &Heard, whole: &Heard, what: &str) {
    for (offset, text) in &whole.events {
        let number: u32 =
            text.trim_matches('"').split(' ').next_back().and_then(|n| n.parse().ok()).expect("n");
        let channel = if number.is_multiple_of(3) { "b" } else { "a" };
        let taken =
            |gap: &&(GapReason, String, u64, u64)| gap.1 == channel && (gap.2..=gap.3).contains(offset);
        let gaps = heard.gaps.iter().filter(taken).count();
        match heard.events.get(offset) {
            Some(found) => {
                assert_eq!(found, text, "{what}");
                assert_eq!(gaps, 0, "{what}: {offset} is there and told to be gone");
            }
            None => assert_eq!(gaps, 1, "{what}: {offset} of {channel} is missing: {:?}", heard.gaps),
        }
    }
    let invented = heard.events.keys().find(|offset| !whole.events.contains_key(offset));
    assert_eq!(invented, None, "{what}");
}

/// What became of one spoiled directory.
async fn outcome(directory: &Path, spoiled: &Path, whole: &Heard, what: &str) -> &'static str {
    let is_whole = |heard: &Heard| heard == whole;
    match try_open(small(directory)) {
        Err(OpenError::Damaged { path, .. }) => {
            let of_segment = path.with_extension("") == spoiled.with_extension("");
            let manifest = path.ends_with("manifest");
            assert!(of_segment || manifest, "{what}: named as {}", path.display());
        }
        Err(error) => panic!("{what}: {error}"),
        Ok(engine) => {
            let heard = hear(&engine, &CHANNELS).await;
            check_exact(&heard, whole, what);
            append(&engine, "a", "1").await;
            let told = !engine.damage().is_empty();
            assert_eq!(told, !is_whole(&heard), "{what}: {:?}", engine.damage());
            engine.close().await;
            return if told { "gap" } else { "healed" };
        }
    }
    let accepting = EmbeddedConfig { accept_loss: true, ..small(directory) };
    let engine = try_open(accepting).unwrap_or_else(|error| panic!("{what}, accepted: {error}"));
    let heard = hear(&engine, &CHANNELS).await;
    check_exact(&heard, whole, what);
    let next = append(&engine, "a", "\"next\"").await.first.get();
    assert!(whole.events.keys().all(|offset| *offset < next), "{what}: an offset twice");
    engine.close().await;
    drop(engine);
    let engine = try_open(small(directory)).unwrap_or_else(|error| panic!("{what}, once more: {error}"));
    let mut again = hear(&engine, &CHANNELS).await;
    assert_eq!(again.events.remove(&next).as_deref(), Some("\"next\""), "{what}");
    check_exact(&again, whole, what);
    engine.close().await;
    "refused"
}

#[tokio::test]
async fn damage_is_refused_with_its_place_healed_or_told_exactly() {
    let (directory, older, whole) = filled().await;
    let mut outcomes: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    let hows = [
        Spoil::Flip(0),
        Spoil::Flip(40),
        Spoil::Flip(70),
        Spoil::Flip(99),
        Spoil::Truncate,
        Spoil::Empty,
        Spoil::Delete,
        Spoil::Older,
    ];
    for kind in [".log", ".idx", "manifest", "checkpoint", "meta", "synced", "LOCK", "spare"] {
        let of_kind = files(directory.path(), kind);
        let chosen = [0, of_kind.len() / 2, of_kind.len().saturating_sub(1)];
        let chosen: std::collections::BTreeSet<_> = chosen.iter().filter_map(|at| of_kind.get(*at)).collect();
        for path in chosen {
            let name = path.file_name().expect("a name");
            for how in hows {
                let spoiled = copy(directory.path());
                let target: PathBuf = spoiled.path().join(name);
                if spoil(&target, older.path(), how) {
                    let what = format!("{how:?} of {}", target.display());
                    let became = outcome(spoiled.path(), &target, &whole, &what).await;
                    outcomes.entry((kind.to_owned(), format!("{how:?}"))).or_default().push(became);
                }
            }
        }
    }
    let all: std::collections::BTreeSet<_> = outcomes.values().flatten().copied().collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["gap", "healed", "refused"], "{outcomes:#?}");
}

#[tokio::test]
async fn one_wrong_bit_in_an_old_event_takes_that_event_from_its_readers_and_nothing_else() {
    let (directory, _, whole) = filled().await;
    let log = files(directory.path(), ".log")[2].clone();
    let mut bytes = fs::read(&log).expect("it is there");
    let at = (0..bytes.len()).find(|at| bytes[*at..].starts_with(b"number")).expect("a payload");
    bytes[at] = b'N';
    fs::write(&log, &bytes).expect("it can be written");
    let engine = open(small(directory.path()));
    let heard = hear(&engine, &CHANNELS).await;
    check_exact(&heard, &whole, "one bit");
    assert_eq!(heard.events.len() + 1, whole.events.len());
    let told = heard.gaps.iter().filter(|gap| gap.0 == GapReason::Damaged).collect::<Vec<_>>();
    assert!(matches!(told.as_slice(), [(_, _, first, last)] if first == last), "{told:?}");
    let damage = engine.damage();
    assert!(damage.len() == 1 && damage[0].place.contains(&log.display().to_string()), "{damage:?}");
}

#[tokio::test]
async fn a_segment_that_vanishes_while_it_is_used_is_told_of() {
    let (directory, _, whole) = filled().await;
    let engine = open(small(directory.path()));
    let gone = files(directory.path(), ".log")[3].clone();
    fs::remove_file(&gone).expect("it can be removed");
    fs::remove_file(gone.with_extension("idx")).expect("it can be removed");
    let heard = hear(&engine, &CHANNELS).await;
    check_exact(&heard, &whole, "it vanished");
    assert!(heard.events.len() < whole.events.len());
    assert!(engine.damage()[0].place.contains(&gone.display().to_string()));
}

/// Counts the lines of the log that are written on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::atomic::AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn retention_lets_go_of_a_segment_that_vanished_and_says_nothing_each_second() {
    const SHORT: [&str; 2] = ["short_a", "short_b"];
    let directory = tempfile::tempdir().expect("a directory");
    let clock = clock();
    let open = || {
        let clock = Arc::clone(&clock);
        EmbeddedEngine::open(small(directory.path()), contract::rules(), clock as _).expect("it opens")
    };
    for _ in 0..2 {
        let engine = open();
        for number in 0..200 {
            append(&engine, SHORT[number % 2], &number.to_string()).await;
        }
        wait_for_indexes(directory.path()).await;
        engine.close().await;
        drop(engine);
        clock.advance_millis(500);
    }
    let engine = open();
    // The first half is older than a second then. The border is inside a segment, and that vanishes.
    let border = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        super::super::segment::file::parse_name(&name).expect("a segment").0 <= 200
    };
    let gone = files(directory.path(), ".log").into_iter().rfind(border).expect("it is there");
    fs::remove_file(&gone).expect("it can be removed");
    fs::remove_file(gone.with_extension("idx")).expect("it can be removed");
    let now = Timestamp::from_millis(1_001_005);
    let events = |channel: &str| {
        let name = Channel::new(channel).expect("a name");
        engine.channel_state(&name).expect("it knows").events
    };
    let lines = Lines::default();
    let start = std::time::Instant::now();
    while SHORT.iter().any(|channel| events(channel) > 100) || engine.damage().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "retention never gets there");
        tracing::subscriber::with_default(lines.clone(), || engine.enforce_retention(now));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(lines.0.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(engine.damage().len(), 1);
    for channel in SHORT {
        assert!(events(channel) > 50, "what is behind it is kept");
    }
}

#[tokio::test]
async fn a_directory_of_before_there_were_manifests_opens_and_gets_one() {
    let (directory, _, whole) = filled().await;
    let meta = fs::read_to_string(directory.path().join("meta")).expect("it is there");
    fs::write(directory.path().join("meta"), meta.replace("manifest\n", "")).expect("it can be written");
    fs::remove_file(directory.path().join("manifest")).expect("it is there");
    fs::remove_file(directory.path().join("synced")).expect("it is there");
    let engine = open(small(directory.path()));
    assert_eq!(hear(&engine, &CHANNELS).await, whole);
    engine.close().await;
    drop(engine);
    let gone = files(directory.path(), ".log")[2].clone();
    fs::remove_file(&gone).expect("it can be removed");
    let error = try_open(small(directory.path())).err().expect("it is noticed").to_string();
    assert!(error.contains(&gone.display().to_string()) && error.contains("--accept-loss"), "{error}");
}

#[tokio::test]
async fn the_scrub_finds_damage_that_nobody_has_read() {
    let (directory, _, whole) = filled().await;
    let log = files(directory.path(), ".log")[2].clone();
    let mut bytes = fs::read(&log).expect("it is there");
    let at = (0..bytes.len()).rfind(|at| bytes[*at..].starts_with(b"number")).expect("a payload");
    bytes[at] = b'N';
    fs::write(&log, &bytes).expect("it can be written");
    let engine = open(small(directory.path()));
    assert_eq!(engine.damage(), []);
    assert!(super::super::compaction::scrub::pass(&engine.shared, Duration::ZERO));
    let damage = engine.damage();
    assert!(damage.len() == 1 && damage[0].place.contains(&log.display().to_string()), "{damage:?}");
    assert_eq!(damage[0].first, damage[0].last);
    check_exact(&hear(&engine, &CHANNELS).await, &whole, "after the scrub");
    engine.close().await;
}

#[tokio::test]
async fn a_check_says_what_opening_would_lose_and_changes_nothing() {
    let (directory, _, whole) = filled().await;
    let sound = super::super::check(directory.path()).expect("it can be checked");
    assert_eq!(sound.findings, []);
    assert!(sound.events >= whole.events.len() as u64 && sound.segments > 5);
    let logs = files(directory.path(), ".log");
    fs::remove_file(&logs[1]).expect("it can be removed");
    let mut bytes = fs::read(&logs[3]).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&logs[3], &bytes).expect("it can be written");
    let mut index = fs::read(logs[4].with_extension("idx")).expect("it is there");
    index[4096 + 20] ^= 1;
    fs::write(logs[4].with_extension("idx"), &index).expect("it can be written");
    let before = listing(directory.path());
    let checked = super::super::check(directory.path()).expect("it can be checked");
    let unchanged = |listed: &[(PathBuf, Option<[u64; 4]>)]| {
        listed.iter().filter(|(path, _)| !path.ends_with("LOCK")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(unchanged(&listing(directory.path())), unchanged(&before));
    let found: Vec<_> = checked.findings.iter().map(|one| (one.path.clone(), one.lost.is_some())).collect();
    assert_eq!(
        found,
        [(logs[1].clone(), true), (logs[3].clone(), true), (logs[4].with_extension("idx"), false)]
    );
    let engine = open(EmbeddedConfig { accept_loss: true, ..small(directory.path()) });
    let heard = hear(&engine, &CHANNELS).await;
    check_exact(&heard, &whole, "accepted");
    let is_named = |offset: &u64| {
        let lost = checked.findings.iter().filter_map(|one| one.lost);
        lost.into_iter().any(|(first, last)| (first.get()..=last.get()).contains(offset))
    };
    let missing = whole.events.keys().filter(|offset| !heard.events.contains_key(offset));
    assert!(missing.into_iter().all(is_named), "what is lost was named");
    engine.close().await;
    drop(engine);
    let lock = open(small(directory.path()));
    let error = super::super::check(directory.path()).expect_err("it is in use").to_string();
    assert!(error.contains("in use"), "{error}");
    lock.close().await;
}
