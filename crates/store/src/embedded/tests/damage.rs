//! Torn writes and damaged files.

use super::*;

/// A directory as a crash leaves it after some appends, one after the other; and what the active segment held
/// after each.
async fn crashed() -> (tempfile::TempDir, Vec<usize>) {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(EmbeddedConfig { preallocate_bytes: 0, ..config(directory.path()) });
    let mut lengths = Vec::new();
    for number in 0..6 {
        append(&engine, if number % 3 == 2 { "b" } else { "a" }, &format!("\"event {number}\"")).await;
        lengths.push(std::fs::read(&files(directory.path(), ".log")[0]).expect("it is there").len());
    }
    let copy = copy(directory.path());
    engine.close().await;
    (copy, lengths)
}

/// The machine lost its power, not only the process its life: the note of how far the log is synced is gone.
fn lose_power(directory: &Path) {
    std::fs::remove_file(directory.join("synced")).expect("it was there");
}

/// A directory as it was before there were manifests.
fn forget_manifest(directory: &Path) {
    let meta = std::fs::read_to_string(directory.join("meta")).expect("it is there");
    std::fs::write(directory.join("meta"), meta.replace("manifest\n", "")).expect("it can be written");
    std::fs::remove_file(directory.join("manifest")).expect("it was there");
}

async fn all(engine: &EmbeddedEngine) -> Vec<String> {
    let batch = contract::read_all(engine, &["a", "b"], 0).await;
    batch.events.iter().map(|event| String::from_utf8_lossy(event.payload.as_bytes()).into_owned()).collect()
}

fn expected(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("\"event {number}\"")).collect()
}

#[tokio::test]
async fn a_log_cut_at_any_byte_keeps_everything_before_the_cut_and_invents_nothing() {
    let (directory, lengths) = crashed().await;
    let log = files(directory.path(), ".log")[0].clone();
    let whole = std::fs::read(&log).expect("it is there");
    let beside = ["manifest", "meta"].map(|name| directory.path().join(name));
    let before = beside.clone().map(|path| std::fs::read(path).expect("it is there"));
    for cut in (0..=whole.len()).rev() {
        for zeros in [0, 100] {
            beside
                .iter()
                .zip(&before)
                .for_each(|(path, bytes)| std::fs::write(path, bytes).expect("written"));
            lose_power(directory.path());
            if cut < 56 {
                // A segment is in the manifest only when its header is on the disk.
                forget_manifest(directory.path());
            }
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(cut + zeros, 0);
            // A segment whose header is gone but not its length was not cut by a crash.
            if zeros > 0 && (cut < lengths[0] || cut % 7 != 0) {
                std::fs::write(directory.path().join("synced"), "").expect("it can be written");
                continue;
            }
            std::fs::write(&log, &bytes).expect("it can be written");
            let engine = open(config(directory.path()));
            let whole_batches = lengths.iter().filter(|length| **length <= cut).count();
            assert_eq!(all(&engine).await, expected(whole_batches), "cut at {cut}, then {zeros} zeros");
            let next = append(&engine, "a", "\"next\"").await.first;
            assert!(next > Offset::new(whole_batches as u64), "cut at {cut}: an offset twice");
            drop(engine);
            let engine = open(config(directory.path()));
            assert_eq!(
                all(&engine).await.len(),
                whole_batches + 1,
                "cut at {cut}: what came after it is kept"
            );
            drop(engine);
            for path in files(directory.path(), ".log") {
                std::fs::remove_file(path).expect("it can be removed");
            }
        }
    }
}

#[tokio::test]
async fn what_was_answered_and_is_cut_off_is_an_error_while_the_machine_kept_its_power() {
    let (directory, lengths) = crashed().await;
    let log = files(directory.path(), ".log")[0].clone();
    let whole = std::fs::read(&log).expect("it is there");
    for cut in 0..whole.len() {
        std::fs::write(&log, &whole[..cut]).expect("it can be written");
        match try_open(config(directory.path())) {
            Err(OpenError::Damaged { path, at, .. }) => {
                assert_eq!(path, log);
                assert!(lengths.iter().all(|length| *length > cut || *length as u64 <= at), "{cut}: {at}");
            }
            Err(error) => panic!("cut at {cut}: {error}"),
            Ok(_) => panic!("cut at {cut}: it went unnoticed"),
        }
    }
    std::fs::write(&log, &whole).expect("it can be written");
    assert_eq!(all(&open(config(directory.path()))).await, expected(6));
}

#[tokio::test]
async fn any_wrong_byte_in_the_last_frame_loses_that_frame_and_nothing_else() {
    let (directory, lengths) = crashed().await;
    let log = files(directory.path(), ".log")[0].clone();
    let whole = std::fs::read(&log).expect("it is there");
    let beside = ["manifest", "synced"].map(|name| directory.path().join(name));
    let before = beside.clone().map(|path| std::fs::read(path).expect("it is there"));
    for at in lengths[4]..lengths[5] {
        for bits in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= bits;
            std::fs::write(&log, &bytes).expect("it can be written");
            let error = try_open(config(directory.path())).err().expect("it was answered").to_string();
            assert!(error.contains(&log.display().to_string()), "{error}");
            lose_power(directory.path());
            let engine = open(config(directory.path()));
            assert_eq!(all(&engine).await, expected(5), "byte {at}");
            let next = append(&engine, "a", "\"next\"").await.first;
            assert!(next.get() > 6, "byte {at}: the offset of the lost event is used again");
            drop(engine);
            beside
                .iter()
                .zip(&before)
                .for_each(|(path, bytes)| std::fs::write(path, bytes).expect("written"));
        }
    }
}

#[tokio::test]
async fn any_wrong_byte_before_the_last_frame_is_an_error_that_names_it() {
    let (directory, lengths) = crashed().await;
    let log = files(directory.path(), ".log")[0].clone();
    let whole = std::fs::read(&log).expect("it is there");
    for at in 0..lengths[4] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&log, &bytes).expect("it can be written");
        match try_open(config(directory.path())) {
            Err(OpenError::Damaged { path, at: found, .. }) => {
                assert_eq!(path, log);
                assert!(found <= at as u64, "byte {at} named as {found}");
            }
            Err(error) => panic!("byte {at}: {error}"),
            Ok(_) => panic!("byte {at} went unnoticed"),
        }
        let bytes_after = std::fs::read(&log).expect("it is there");
        assert_eq!(bytes_after, bytes, "a damaged file is left as it is");
    }
}

#[tokio::test]
async fn a_torn_group_is_cut_off_even_if_its_later_frames_reached_the_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Arc::new(open(EmbeddedConfig { preallocate_bytes: 0, ..config(directory.path()) }));
    append(&engine, "a", "1").await;
    // Many at once, so that they share a write.
    let appends = (0..200).map(|_| engine.append(Batch::one(contract::publication("a", "2"))));
    for append in appends.collect::<Vec<_>>() {
        append.await.expect("an append succeeds");
    }
    let copy = copy(directory.path());
    engine.close().await;
    let log = files(copy.path(), ".log")[0].clone();
    let mut bytes = std::fs::read(&log).expect("it is there");
    // A write's first frame is found by the group that each of its frames names. What came after the last
    // write with several frames is cut off, as if the crash had come before it.
    let frames: Vec<usize> =
        (0..bytes.len() - 48).filter(|at| &bytes[*at..*at + 4] == b"AWF1").chain([bytes.len()]).collect();
    let group = |frame: usize| super::super::segment::layout::u32_at(&bytes, frame + 16) as usize;
    let last = (0..frames.len() - 1).rfind(|at| group(frames[*at]) < frames[*at]);
    let last = last.expect("of 200 appends at once some share a write");
    let (group, end) = (group(frames[last]), frames[last + 1]);
    bytes.truncate(end);
    bytes[group + 60] ^= 1;
    std::fs::write(&log, &bytes).expect("it can be written");
    lose_power(copy.path());
    let engine = open(config(copy.path()));
    let kept = texts(&engine, "a").await;
    assert!(kept.len() < 201 && kept[0] == "1");
    assert!(std::fs::metadata(&log).expect("it is there").len() <= group as u64);
}

#[tokio::test]
async fn a_missing_or_damaged_index_is_made_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let small = || EmbeddedConfig { segment_bytes_max: 0, ..config(directory.path()) };
    let engine = open(small());
    for number in 0..400 {
        append(&engine, if number % 5 == 0 { "b" } else { "a" }, &number.to_string()).await;
    }
    let (a, b) = (texts(&engine, "a").await, texts(&engine, "b").await);
    engine.close().await;
    drop(engine);
    let indexes = files(directory.path(), ".idx");
    assert!(indexes.len() > 3, "several segments were sealed");
    std::fs::remove_file(&indexes[0]).expect("it can be removed");
    let length = std::fs::metadata(&indexes[1]).expect("it is there").len();
    for (path, at) in [(&indexes[1], 100), (&indexes[2], 4096 + 20)] {
        let mut bytes = std::fs::read(path).expect("it is there");
        assert_eq!(length % 4096, 0);
        bytes[at] ^= 4;
        std::fs::write(path, &bytes).expect("it can be written");
    }
    let engine = open(small());
    assert_eq!((texts(&engine, "a").await, texts(&engine, "b").await), (a, b));
    // Damage while it is open: the entries of the fourth are not in memory yet.
    engine.close().await;
}

#[tokio::test]
async fn a_log_opens_although_an_index_that_the_start_needs_is_damaged() {
    let directory = tempfile::tempdir().expect("a directory");
    let small = || EmbeddedConfig { segment_bytes_max: 0, ..config(directory.path()) };
    let engine = open(small());
    let mut offsets = Vec::new();
    for number in 0..400 {
        offsets.push(append(&engine, "a", &number.to_string()).await.first);
    }
    let channel = anywire_log::Channel::new("a").expect("a name");
    engine.trim(channel, offsets[200]).await.expect("a trim succeeds");
    engine.close().await;
    drop(engine);
    for path in files(directory.path(), ".idx") {
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes[4096 + 33] ^= 1;
        std::fs::write(&path, bytes).expect("it can be written");
    }
    // To know what the trim left, the start looks for its place in an index.
    let engine = open(small());
    let kept: Vec<_> = (201..400).map(|number: i32| number.to_string()).collect();
    assert_eq!(texts(&engine, "a").await, kept);
}

#[tokio::test]
async fn a_directory_without_its_meta_file_is_not_taken_for_a_new_one() {
    let (directory, _) = crashed().await;
    std::fs::remove_file(directory.path().join("meta")).expect("it can be removed");
    let error = try_open(config(directory.path())).err().expect("it does not open");
    assert!(error.to_string().contains("meta") && error.to_string().contains("backup"), "{error}");
}

#[tokio::test]
async fn a_second_opening_names_the_directory_and_the_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(config(directory.path()));
    let error = try_open(config(directory.path())).err().expect("it does not open").to_string();
    assert!(error.contains(&directory.path().display().to_string()), "{error}");
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    engine.close().await;
    try_open(config(directory.path())).map(drop).expect("after the close it opens");
}
