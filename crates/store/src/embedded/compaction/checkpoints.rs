//! When a checkpoint is written, and what it says of segments that go.
//!
//! Invariant: what a segment knew beside its events is in the checkpoint before the segment goes.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use anywire_log::{IdempotencyWindow, Timestamp};

use crate::embedded::{
    checkpoint::{Checkpoint, Trimmed},
    segment::{file::Segment, read, segment_index::KeyRecord},
    shared::{CHECKPOINT_FILE, CheckpointState, Shared},
};

/// Writes a checkpoint that knows what these segments know beside their events.
pub(crate) fn before_removal(
    shared: &Shared,
    state: &mut CheckpointState,
    segments: &[Arc<Segment>],
) -> io::Result<()> {
    let now = shared.clock.steady();
    let age_max_ms = IdempotencyWindow::standard().age_max_ms();
    for segment in segments {
        let last = Timestamp::from_millis(segment.last_time.load(Ordering::Relaxed));
        if now.millis_since(last) <= age_max_ms {
            state.keys.extend(read_keys(shared, segment)?);
        }
    }
    state.keys.sort_by_key(|key| (key.time, key.first));
    state.keys.dedup();
    let young = |key: &KeyRecord| now.millis_since(Timestamp::from_millis(key.time)) <= age_max_ms;
    state.keys.retain(young);
    write(shared, state)
}

fn read_keys(shared: &Shared, segment: &Segment) -> io::Result<Vec<KeyRecord>> {
    if segment.gone.load(Ordering::Relaxed) {
        // Its keys went with it, and that is told already.
        return Ok(Vec::new());
    }
    let log_bytes = segment.log_bytes.load(Ordering::Relaxed);
    if let Some(summary) = read::summary(segment, log_bytes)? {
        return Ok(summary.notes.keys);
    }
    let contents = read::contents(segment).map_err(io::Error::other)?;
    tracing::debug!(directory = %shared.place(), "a damaged index was not needed");
    Ok(contents.notes.keys)
}

/// Writes the checkpoint as things stand.
pub(crate) fn write(shared: &Shared, state: &CheckpointState) -> io::Result<()> {
    let (floor, mut channels) = {
        let index = shared.index.read();
        let known = index.iter().filter(|channel| channel.trimmed_through != index.floor);
        let trimmed = known.map(|channel| Trimmed {
            channel: channel.name.clone(),
            through: channel.trimmed_through,
            was_ephemeral: false,
        });
        (index.floor, trimmed.collect::<Vec<_>>())
    };
    channels.extend(state.once_durable.iter().map(|(channel, through)| Trimmed {
        channel: channel.clone(),
        through: *through,
        was_ephemeral: true,
    }));
    let reserved = shared.reserved.load(Ordering::Relaxed);
    let keys = state.keys.clone();
    // The manifest says afterwards how far the numbers are: the other way round a crash in between would
    // leave one that asks for a checkpoint that never was.
    let number = *shared.manifest.lock() + 1;
    let checkpoint = Checkpoint { number, rules: state.rules, floor, reserved, channels, keys };
    checkpoint.write(&shared.path(CHECKPOINT_FILE), shared.epoch)?;
    *shared.manifest.lock() = number;
    Ok(())
}
