//! The upkeep thread: writes the indexes of sealed segments, removes segments of which nothing is kept, has
//! others merged.

use std::{
    fs, io,
    sync::{Arc, atomic::Ordering},
};

use crate::embedded::{
    compaction::{checkpoints, jobs::Sealed, merge, removal, repair},
    disk,
    segment::{file::Segment, segment_index::EntryMap},
    shared::{CHANNELS_AT_ONCE, SPARE_FILE, Shared},
};

/// How much room is set aside for the checkpoint: some 20 000 channels.
const SPARE_BYTES: u64 = 1 << 20;

/// Works until it is told to stop. Sealed segments are indexed even then, so that the next start need not
/// read them.
pub(crate) fn run(shared: &Shared) {
    loop {
        let (sealed, stop) = shared.jobs.wait();
        let mut failed = Vec::new();
        for job in sealed {
            if let Err(error) = write_index(shared, &job) {
                tracing::warn!(segment = %job.segment.path.display(), %error, "its index could not be written");
                failed.push(job);
            }
        }
        if stop {
            return;
        }
        repair::repair_damaged(shared);
        let tidied = tidy_with_spare(shared);
        if let Err(error) = &tidied {
            tracing::warn!(directory = %shared.place(), %error, "giving back disk space has to wait");
        }
        if !failed.is_empty() {
            shared.jobs.retry_at_tick(failed);
        }
    }
}

fn write_index(shared: &Shared, job: &Sealed) -> io::Result<()> {
    let mut channels = job.channels.clone();
    channels.sort_unstable();
    channels.dedup();
    let mut entries = EntryMap::new();
    let mut notes = job.notes.clone();
    for names in channels.chunks(CHANNELS_AT_ONCE) {
        let index = shared.index.read();
        index.entries_in_memory(names, job.segment.id, &mut entries);
        // Of what is gone already there may be no entries any more, so the index file has to say that it was
        // there.
        let gone = names.iter().map(|name| (name.clone(), index.state(name).trimmed_through.get()));
        notes.trims.extend(gone.filter(|(_, through)| *through >= job.segment.header.base));
    }
    repair::install_index(shared, &job.segment, &entries, &notes)
}

/// Tidies; on a full disk with the room that was set aside.
fn tidy_with_spare(shared: &Shared) -> io::Result<()> {
    let spare = shared.path(SPARE_FILE);
    let mut tidied = tidy(shared);
    if tidied.as_ref().is_err_and(disk::is_full) && fs::remove_file(&spare).is_ok() {
        tidied = tidy(shared);
    }
    if tidied.is_ok() && shared.trouble.lock().is_none() {
        disk::set_aside(&spare, SPARE_BYTES);
    }
    tidied
}

/// Removes dead segments and has one group of nearly dead ones rewritten.
fn tidy(shared: &Shared) -> io::Result<()> {
    let mut state = shared.checkpoint.lock();
    let sealed = sealed_segments(shared);
    let dead: Vec<_> = sealed.iter().filter(|segment| segment.is_dead()).cloned().collect();
    if !dead.is_empty() {
        checkpoints::before_removal(shared, &mut state, &dead)?;
        removal::remove(shared, &dead)?;
    }
    let is_alive = |segment: &Arc<Segment>| !segment.is_dead() && !segment.damaged.load(Ordering::Relaxed);
    let alive: Vec<_> = sealed.into_iter().filter(is_alive).collect();
    merge::run(shared, &mut state, &alive)
}

/// The segments that are sealed and indexed, oldest first.
fn sealed_segments(shared: &Shared) -> Vec<Arc<Segment>> {
    let index = shared.index.read();
    let active = index.segments.last_key_value().map(|(base, _)| *base);
    let sealed =
        index.segments.iter().filter(|(base, segment)| Some(**base) != active && segment.is_indexed());
    sealed.map(|(_, segment)| Arc::clone(segment)).collect()
}
