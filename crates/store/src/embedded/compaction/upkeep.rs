//! The upkeep thread: writes the indexes of sealed segments, removes segments of which nothing is kept, has others rewritten.
//!
//! Knows: sealed segments, the checkpoint. Does not know: how the newest segment is written.
//!
//! Invariants:
//! - What a segment knew beside its events is in the checkpoint before the segment goes.

use std::{
    fs, io,
    sync::{Arc, atomic::Ordering},
};

use anywire_log::{Channel, Epoch, IdempotencyWindow, Offset};
use parking_lot::{Condvar, Mutex};

use crate::embedded::{
    checkpoint::{Checkpoint, Trimmed},
    compaction::merge as compaction,
    disk,
    index::Index,
    segment::{
        file::Segment,
        segment_index as sidecar,
        segment_index::{EntryMap, KeyRecord, Notes},
    },
    shared::{Carried, Shared},
};

/// How much room is set aside for the checkpoint: some 20 000 channels.
const SPARE_BYTES: u64 = 1 << 20;
/// How many channels are looked at under one lock.
pub(crate) const CHANNELS_AT_ONCE: usize = 256;

/// A segment that was sealed and has no index yet.
pub(crate) struct Sealed {
    pub(crate) segment: Arc<Segment>,
    pub(crate) notes: Notes,
    /// The channels with events in it, some perhaps twice.
    pub(crate) channels: Vec<Channel>,
}

/// What there is to do.
#[derive(Default)]
pub(crate) struct Jobs {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    sealed: Vec<Sealed>,
    look: bool,
    stop: bool,
}

impl Jobs {
    pub(crate) fn seal(&self, sealed: Sealed) {
        self.state.lock().sealed.push(sealed);
        self.woken.notify_one();
    }

    /// Retention was applied: there may be segments to remove.
    pub(crate) fn look(&self) {
        self.state.lock().look = true;
        self.woken.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.woken.notify_one();
    }

    fn wait(&self) -> (Vec<Sealed>, bool) {
        let mut state = self.state.lock();
        while !state.look && !state.stop && state.sealed.is_empty() {
            self.woken.wait(&mut state);
        }
        state.look = false;
        (std::mem::take(&mut state.sealed), state.stop)
    }

    /// Keeps a job whose time has not come; it is tried again at the next look.
    fn put_back(&self, sealed: Sealed) {
        self.state.lock().sealed.push(sealed);
    }
}

/// Works until it is told to stop. Sealed segments are indexed even then, so that the next start need not read them.
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
        mend(shared);
        let had_trouble = !failed.is_empty();
        let tidied = tidy_with_spare(shared);
        if let Err(error) = &tidied {
            tracing::warn!(directory = %shared.place(), %error, "giving back disk space has to wait");
        }
        wait_after_trouble(shared, failed, had_trouble);
    }
}

/// Makes indexes again in which retention found damage.
fn mend(shared: &Shared) {
    let damaged = std::mem::take(&mut shared.index.write().damaged);
    for error in damaged {
        tracing::warn!(%error, "making the index again");
        if let Err(error) = compaction::index_again(shared, &error) {
            tracing::error!(%error, "an index could not be made again");
        }
    }
}

/// Failed jobs wait for the next look, not for the next moment.
fn wait_after_trouble(shared: &Shared, failed: Vec<Sealed>, had_trouble: bool) {
    if !had_trouble {
        return;
    }
    let mut state = shared.jobs.state.lock();
    while !state.look && !state.stop {
        shared.jobs.woken.wait(&mut state);
    }
    drop(state);
    for job in failed {
        shared.jobs.put_back(job);
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
        // Of what is gone already there may be no entries any more, so the index file has to say that it was there.
        let gone = names.iter().map(|name| (name.clone(), index.state(name).trimmed_through.get()));
        notes.trims.extend(gone.filter(|(_, through)| *through >= job.segment.header.base));
    }
    install_index(shared, &job.segment, &entries, &notes)
}

/// Writes a segment's index and lets the channels use it instead of their memory.
pub(crate) fn install_index(
    shared: &Shared,
    segment: &Segment,
    entries: &EntryMap,
    notes: &Notes,
) -> io::Result<()> {
    let log_bytes = segment.log_bytes.load(Ordering::Relaxed);
    let bytes = sidecar::encode(&segment.header, log_bytes, entries, notes);
    disk::replace(&segment.index_path(), &bytes)?;
    use_index(shared, segment, entries, bytes.len());
    Ok(())
}

/// Lets the channels use a segment's index, which is written, instead of their memory.
pub(crate) fn use_index(shared: &Shared, segment: &Segment, entries: &EntryMap, index_bytes: usize) {
    let count: usize = entries.values().map(Vec::len).sum();
    let blocks = count.div_ceil(sidecar::BLOCK_ENTRIES as usize) * sidecar::BLOCK_BYTES;
    segment.blocks_at.store((index_bytes - blocks) as u64, Ordering::Release);
    let mut start = 0;
    let mut starts = Vec::with_capacity(entries.len());
    for (name, entries) in entries {
        starts.push((name.clone(), start));
        start += sidecar::size(entries.len());
    }
    for starts in starts.chunks(CHANNELS_AT_ONCE) {
        shared.index.write().entries_moved(segment.id, starts);
    }
}

/// Tidies; on a full disk with the room that was set aside.
fn tidy_with_spare(shared: &Shared) -> io::Result<()> {
    let spare = shared.path(crate::embedded::SPARE_FILE);
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
    let mut carried = shared.carried.lock();
    let sealed = sealed_segments(shared);
    let dead: Vec<_> = sealed.iter().filter(|segment| segment.is_dead()).cloned().collect();
    if !dead.is_empty() {
        carry_on(shared, &mut carried, &dead)?;
        remove(shared, &dead);
    }
    let alive: Vec<_> = sealed.into_iter().filter(|segment| !segment.is_dead()).collect();
    compaction::run(shared, &mut carried, &alive)
}

/// The segments that are sealed and indexed, oldest first.
fn sealed_segments(shared: &Shared) -> Vec<Arc<Segment>> {
    let index = shared.index.read();
    let newest = index.segments.last_key_value().map(|(base, _)| *base);
    let sealed =
        index.segments.iter().filter(|(base, segment)| Some(**base) != newest && segment.is_indexed());
    sealed.map(|(_, segment)| Arc::clone(segment)).collect()
}

/// Writes a checkpoint that knows what these segments know beside their events.
pub(crate) fn carry_on(shared: &Shared, carried: &mut Carried, segments: &[Arc<Segment>]) -> io::Result<()> {
    let now = shared.clock.now();
    let age_max_ms = IdempotencyWindow::standard().age_max_ms();
    for segment in segments {
        let last = anywire_log::Timestamp::from_millis(segment.last_time.load(Ordering::Relaxed));
        if now.millis_since(last) <= age_max_ms {
            carried.keys.extend(read_keys(shared, segment)?);
        }
    }
    carried.keys.sort_by_key(|key| (key.time, key.first));
    carried.keys.dedup();
    let young =
        |key: &KeyRecord| now.millis_since(anywire_log::Timestamp::from_millis(key.time)) <= age_max_ms;
    carried.keys.retain(young);
    write_checkpoint(shared, carried)
}

fn read_keys(shared: &Shared, segment: &Segment) -> io::Result<Vec<KeyRecord>> {
    let log_bytes = segment.log_bytes.load(Ordering::Relaxed);
    if let Some(summary) = compaction::read_summary(segment, log_bytes)? {
        return Ok(summary.notes.keys);
    }
    let contents = compaction::read_contents(segment).map_err(io::Error::other)?;
    tracing::debug!(directory = %shared.place(), "a damaged index was not needed");
    Ok(contents.notes.keys)
}

/// Writes the checkpoint as things stand.
pub(crate) fn write_checkpoint(shared: &Shared, carried: &Carried) -> io::Result<()> {
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
    channels.extend(carried.once_durable.iter().map(|(channel, through)| Trimmed {
        channel: channel.clone(),
        through: *through,
        was_ephemeral: true,
    }));
    let reserved = shared.reserved.load(Ordering::Relaxed);
    let keys = carried.keys.clone();
    let checkpoint = Checkpoint { rules: carried.rules, floor, reserved, channels, keys };
    write_it(shared, &checkpoint, shared.epoch)
}

fn write_it(shared: &Shared, checkpoint: &Checkpoint, epoch: Epoch) -> io::Result<()> {
    checkpoint.write(&shared.path(crate::embedded::CHECKPOINT_FILE), epoch)
}

/// Removes segments that nobody needs any more.
fn remove(shared: &Shared, dead: &[Arc<Segment>]) {
    let mut index = shared.index.write();
    for segment in dead {
        index.segments.remove(&segment.header.base);
        segment.retired.store(true, Ordering::Release);
    }
    drop(index);
    for segment in dead {
        remove_files(shared, segment);
    }
}

pub(crate) fn remove_files(shared: &Shared, segment: &Segment) {
    shared.files.forget(segment.id);
    for path in [segment.path.clone(), segment.index_path()] {
        if let Err(error) = fs::remove_file(&path) {
            // The next start finds nothing kept in it and tries again.
            tracing::warn!(path = %path.display(), %error, "a file that is not needed stays");
        }
    }
}

/// Applies retention to everything at `now`.
pub(crate) fn enforce(shared: &Shared, now: anywire_log::Timestamp) {
    apply(shared, |index| index.ephemeral.enforce(now));
    let mut from = 0;
    let mut more = true;
    while more {
        // In slices, so that commits and readers get in between.
        apply(shared, |index| {
            let trimmed;
            (trimmed, more) = index.enforce_some(from, CHANNELS_AT_ONCE, now, &shared.files);
            trimmed
        });
        from += CHANNELS_AT_ONCE;
    }
    shared.index.write().forget_empty();
}

/// Changes the index and tells of what that trimmed.
fn apply(shared: &Shared, change: impl FnOnce(&mut Index) -> Vec<(Channel, Offset)>) {
    let follower = shared.follower.lock();
    let trimmed = change(&mut shared.index.write());
    Shared::tell_trimmed(follower.as_ref(), &trimmed);
}
