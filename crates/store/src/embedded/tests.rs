//! Tests that need to spoil files, or to make the disk fail at a chosen byte.

mod damage;
mod trouble;
mod upkeep;

use std::{path::Path, sync::Arc};

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

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a directory");
    for path in files(from, "") {
        std::fs::copy(&path, to.path().join(path.file_name().expect("a name"))).expect("it can be copied");
    }
    to
}
