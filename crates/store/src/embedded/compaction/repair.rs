//! Writes a segment's index, and writes it again when it is missing or damaged.
//!
//! Invariant: a reader always finds an old segment or the new one: channels use the new one before files go.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use anywire_log::{Channel, Offset};

use crate::embedded::{
    disk,
    index::channel::Run,
    losses::Loss,
    manifest,
    segment::{
        error::FileError,
        file::Segment,
        read,
        scan::Contents,
        segment_index::{self, EntryMap, Notes},
    },
    shared::{CHANNELS_AT_ONCE, Shared},
};

/// Does something that reads index files; if one of them is damaged, repairs it and does it once more.
pub(crate) fn repairing<T>(shared: &Shared, work: impl Fn() -> Result<T, FileError>) -> Result<T, FileError> {
    match work() {
        Err(error) if error.is_damaged_index() => {
            tracing::warn!(%error, "making the index again");
            index_again(shared, &error)?;
            work()
        }
        result => result,
    }
}

/// Makes indexes again in which retention found damage.
pub(crate) fn repair_damaged(shared: &Shared) {
    let damaged = std::mem::take(&mut shared.index.write().damaged);
    for error in damaged {
        tracing::warn!(%error, "making the index again");
        if let Err(error) = index_again(shared, &error) {
            tracing::error!(%error, "an index could not be made again");
        }
    }
}

/// Makes the index again that an error says is damaged.
pub(crate) fn index_again(shared: &Shared, error: &FileError) -> Result<(), FileError> {
    let path = error.path();
    // Whoever held the lock may have done it, or removed the segment.
    let _changing = shared.checkpoint.lock();
    let segment = shared.index.read().segments.values().find(|segment| segment.index_path() == path).cloned();
    let Some(old) = segment else { return Ok(()) };
    let contents = match contents_or_salvage(shared, &old) {
        Err(error) if error.is_gone() => {
            let first = Offset::new(old.header.base);
            record_loss(shared, &old, &error, None, first, first);
            return Ok(());
        }
        contents => contents?,
    };
    let new = Segment::new(old.header, old.path.clone(), old.log_bytes.load(Ordering::Relaxed));
    let new = Arc::new(match old.seal.get() {
        Some(seal) => new.sealed(*seal),
        None => new,
    });
    new.damaged.store(old.damaged.load(Ordering::Relaxed), Ordering::Relaxed);
    new.last_time.store(contents.notes.last_time, Ordering::Relaxed);
    move_runs(shared, &[Arc::clone(&old)], &new, &contents)?;
    shared.files.forget(old.id);
    install_index(shared, &new, &contents.entries, &contents.notes).map_err(FileError::io(&new.path))
}

/// What a sealed segment holds. What cannot be read of it is lost.
fn contents_or_salvage(shared: &Shared, segment: &Arc<Segment>) -> Result<Contents, FileError> {
    let error = match read::contents(segment) {
        Err(error @ FileError::Damaged { .. }) => error,
        read => return read,
    };
    let contents = read::salvage(segment)?;
    let through = shared.index.read().through_of(segment);
    for lost in &contents.lost {
        let last = lost.last.map_or(through, Offset::new);
        let error = FileError::Damaged { path: segment.path.clone(), at: lost.at, detail: error.detail() };
        record_loss(shared, segment, &error, None, Offset::new(lost.first), last);
    }
    // The index that is made of it knows nothing of what is lost.
    manifest::write(shared).map_err(FileError::io(&segment.path))?;
    Ok(contents)
}

/// Notes that events cannot be read. Where the whole file is gone, all that was in it cannot.
pub(crate) fn record_loss(
    shared: &Shared,
    segment: &Segment,
    error: &FileError,
    channel: Option<Channel>,
    first: Offset,
    last: Offset,
) {
    segment.damaged.store(true, Ordering::Relaxed);
    let mut index = shared.index.write();
    let loss = if error.is_gone() {
        segment.gone.store(true, Ordering::Relaxed);
        let (first, last) = (Offset::new(segment.header.base), index.through_of(segment));
        Loss { first, last, channel: None, place: error.to_string() }
    } else {
        Loss { first, last, channel, place: error.to_string() }
    };
    let (first, last) = (loss.first, loss.last);
    if index.losses.add(loss) {
        drop(index);
        tracing::error!(%error, %first, %last, "events cannot be read any more: readers are told of a gap");
    }
}

/// Writes a segment's index and lets the channels use it instead of their memory.
pub(crate) fn install_index(
    shared: &Shared,
    segment: &Segment,
    entries: &EntryMap,
    notes: &Notes,
) -> io::Result<()> {
    let log_bytes = segment.log_bytes.load(Ordering::Relaxed);
    let bytes = segment_index::encode(&segment.header, log_bytes, entries, notes);
    disk::replace(&segment.index_path(), &bytes)?;
    use_index(shared, segment, entries, bytes.len());
    Ok(())
}

/// Lets the channels use a segment's index, which is written, instead of their memory.
pub(crate) fn use_index(shared: &Shared, segment: &Segment, entries: &EntryMap, index_bytes: usize) {
    let count: usize = entries.values().map(Vec::len).sum();
    let blocks = count.div_ceil(segment_index::BLOCK_ENTRIES as usize) * segment_index::BLOCK_BYTES;
    segment.blocks_at.store((index_bytes - blocks) as u64, Ordering::Release);
    let mut start = 0;
    let mut starts = Vec::with_capacity(entries.len());
    for (name, entries) in entries {
        starts.push((name.clone(), start));
        start += segment_index::size(entries.len());
    }
    for starts in starts.chunks(CHANNELS_AT_ONCE) {
        shared.index.write().entries_moved(segment.id, starts);
    }
}

/// Lets channels use a segment instead of those it was made of.
pub(crate) fn move_runs(
    shared: &Shared,
    old: &[Arc<Segment>],
    new: &Arc<Segment>,
    contents: &Contents,
) -> Result<(), FileError> {
    let ids: Vec<u64> = old.iter().map(|segment| segment.id).collect();
    // Whatever is kept of the old segments is in the new one, so its channels are all there are to move.
    let moving: Vec<_> = contents.entries.iter().collect();
    for moving in moving.chunks(CHANNELS_AT_ONCE) {
        let mut index = shared.index.write();
        for (name, entries) in moving {
            let run = Run::in_memory(new, (*entries).clone());
            index.replace_runs(name, &ids, run, &shared.files)?;
        }
    }
    let mut index = shared.index.write();
    for segment in old {
        index.segments.remove(&segment.header.base);
        segment.retired.store(true, Ordering::Release);
    }
    index.segments.insert(new.header.base, Arc::clone(new));
    Ok(())
}
