//! Reads sealed segments slowly in the background, so that damage is found while a backup still has what it
//! took, and not first by the reader who needs it.

use std::{
    io::{self, Read},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anywire_log::{Channel, Offset, ReadRequest};

use crate::embedded::{
    descriptors, reader,
    segment::{file::Segment, read},
    shared::Shared,
};

/// How much is read at once.
const PIECE_BYTES: usize = 256 << 10;
/// How long nothing is read after everything was.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// Works until it is told to stop.
pub(crate) fn run(shared: &Shared) {
    let rate = shared.config.scrub_bytes_per_s;
    if rate == 0 {
        return;
    }
    let pace = Duration::from_secs_f64(PIECE_BYTES as f64 / rate as f64);
    while !shared.scrub.wait(pace) && pass(shared, pace) && !shared.scrub.wait(PAUSE) {}
}

/// Looks at every sealed segment once, with a pause after each piece; false if the end is wanted.
pub(crate) fn pass(shared: &Shared, pace: Duration) -> bool {
    for segment in sealed(shared) {
        if segment.damaged.load(Ordering::Relaxed) || segment.retired.load(Ordering::Relaxed) {
            continue;
        }
        match is_sound(shared, &segment, pace) {
            None => return false,
            Some(Ok(true)) => {}
            Some(Ok(false)) => find_losses(shared, &segment),
            // It may have gone meanwhile, as segments do; or nobody can read it, which a reader tells apart.
            Some(Err(_)) => find_losses(shared, &segment),
        }
    }
    true
}

fn sealed(shared: &Shared) -> Vec<Arc<Segment>> {
    let index = shared.index.read();
    index.segments.values().filter(|segment| segment.seal.get().is_some()).cloned().collect()
}

/// Whether a segment is what was written; none if the end is wanted.
fn is_sound(shared: &Shared, segment: &Segment, pace: Duration) -> Option<io::Result<bool>> {
    let Some(crc) = segment.seal.get().and_then(|seal| seal.crc) else {
        return Some(Ok(read::contents(segment).is_ok()));
    };
    let mut file = match descriptors::open(&segment.path) {
        Ok(file) => file.take(segment.log_bytes.load(Ordering::Relaxed)),
        Err(error) => return Some(Err(error)),
    };
    let mut piece = vec![0; PIECE_BYTES];
    let mut found = 0;
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Some(Ok(found == crc)),
            Ok(count) => found = crc32c::crc32c_append(found, &piece[..count]),
            Err(error) => return Some(Err(error)),
        }
        if shared.scrub.wait(pace) {
            return None;
        }
    }
}

/// Reads everything in a segment as its readers would: what they cannot have is noted.
fn find_losses(shared: &Shared, segment: &Arc<Segment>) {
    let (channels, through) = {
        let index = shared.index.read();
        let holds = |channel: &&crate::embedded::index::channel::ChannelIndex| {
            channel.runs.iter().any(|run| run.segment.id == segment.id)
        };
        let names = index.iter().filter(holds).map(|channel| channel.name.clone());
        (names.collect::<Vec<Channel>>(), index.through_of(segment))
    };
    for channel in channels {
        read_through(shared, &channel, Offset::new(segment.header.base).previous(), through);
    }
    if !segment.retired.load(Ordering::Relaxed) && !segment.damaged.swap(true, Ordering::Relaxed) {
        let path = segment.path.display();
        tracing::warn!(segment = %path, "it is damaged where nothing is kept any more");
    }
}

fn read_through(shared: &Shared, channel: &Channel, mut after: Offset, through: Offset) {
    while after < through {
        let (channels, events_max, bytes_max) = (vec![channel.clone()], 1000, 1 << 20);
        let request = ReadRequest { channels, after, through, events_max, bytes_max };
        let plan = reader::plan(shared, request.clone());
        let Ok(batch) = reader::read(shared, &request, plan) else { return };
        let lost = batch.damaged.iter().chain(&batch.trimmed).map(|(_, lost)| *lost).max();
        let next = lost.unwrap_or(Offset::ZERO).max(batch.through);
        if next <= after {
            return;
        }
        after = next;
    }
}
