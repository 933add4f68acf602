//! Tests that need to spoil files, or to make the disk fail at a chosen byte.

mod clock;
mod damage;
mod descriptors;
mod loss;
mod trouble;
mod upkeep;

use std::{os::unix::fs::MetadataExt, path::Path, sync::Arc, time::Duration};

use anywire_log::{
    Appended, Batch, Engine, ManualClock, Offset, ReadBatch, Timestamp,
    contract::{self, Witness},
};

use super::{EmbeddedConfig, EmbeddedEngine, OpenError};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)))
}

fn config(directory: &Path) -> EmbeddedConfig {
    EmbeddedConfig::new(directory)
}

fn try_open(config: EmbeddedConfig) -> Result<EmbeddedEngine, OpenError> {
    let engine = EmbeddedEngine::open(config, contract::rules(), clock())?;
    engine.follow(Arc::new(Witness::default()));
    Ok(engine)
}

fn open(config: EmbeddedConfig) -> EmbeddedEngine {
    try_open(config).expect("it opens")
}

async fn append(engine: &EmbeddedEngine, channel: &str, data: &str) -> Appended {
    engine.append(Batch::one(contract::publication(channel, data))).await.expect("an append succeeds")
}

async fn texts(engine: &EmbeddedEngine, channel: &str) -> Vec<String> {
    let batch = contract::read_all(engine, &[channel], 0).await;
    batch.events.iter().map(|event| String::from_utf8_lossy(event.payload.as_bytes()).into_owned()).collect()
}

async fn read(engine: &EmbeddedEngine, channel: &str, after: Offset) -> ReadBatch {
    contract::read_all(engine, &[channel], after.get()).await
}

/// The files of a directory whose names end so, by name.
fn files(directory: &Path, end: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).expect("it can be listed");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut paths: Vec<_> = paths.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    paths.sort();
    paths
}

/// What is in a directory: its files with what changes when anything is written to them.
fn listing(directory: &Path) -> Vec<(std::path::PathBuf, Option<[u64; 4]>)> {
    let known = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        Some([data.ino(), data.len(), data.mtime().cast_unsigned(), data.mtime_nsec().cast_unsigned()])
    };
    files(directory, "").into_iter().map(|path| (path.clone(), known(&path))).collect()
}

/// A directory as a crash at one moment leaves it. The upkeep thread may be at work in it, so a copy counts
/// only if nothing moved meanwhile: half of the files from before a merge and half from after it are what no
/// crash leaves.
fn copy(from: &Path) -> tempfile::TempDir {
    for _ in 0..10_000 {
        let before = listing(from);
        let to = tempfile::tempdir().expect("a directory");
        let copied = before.iter().try_for_each(|(path, _)| {
            std::fs::copy(path, to.path().join(path.file_name().expect("a name"))).map(drop)
        });
        match copied {
            Ok(()) if listing(from) == before => return to,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("it can be copied: {error}"),
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("{} is never at rest", from.display());
}
