//! Reads the frames of a whole segment: at start of the active one, and of any other whose index is missing.
//!
//! Invariant: bytes that were ever synced are never cut off: what cannot be read there is an error that names
//! the place. Of the last write nobody can tell whether its sync had returned; it is cut off if it is not
//! whole.

use std::path::Path;

use anywire_log::Channel;

use crate::embedded::segment::{
    error::FileError,
    layout::{self, Frame, FrameHeader, FrameKind, SEGMENT_HEADER_BYTES, SegmentHeader},
    segment_index::{Entry, EntryMap, KeyRecord, Notes},
};

/// What a segment holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) entries: EntryMap,
    pub(crate) notes: Notes,
    /// Where the last sound frame ends.
    pub(crate) length: u64,
    /// How many bytes after it are a torn write.
    pub(crate) torn_bytes: u64,
    /// The offset in the last frame, if that says that the engine was closed.
    pub(crate) closed: Option<u64>,
    /// What cannot be read, by [`salvage`].
    pub(crate) lost: Vec<Lost>,
}

/// Offsets that stand where nothing can be read any more, and where that is. What is lost at the end has no
/// end of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) first: u64,
    pub(crate) last: Option<u64>,
    pub(crate) at: u64,
}

/// Reads a segment of which the whole file is given. `is_active` says that a torn write may stand at its end.
pub(crate) fn scan(
    path: &Path,
    file: &[u8],
    header: &SegmentHeader,
    is_active: bool,
) -> Result<Contents, FileError> {
    let mut contents = Contents::default();
    contents.notes.last_time = header.base_time;
    let seed = header.seed();
    let mut at = SEGMENT_HEADER_BYTES;
    while let Some(frame) = Frame::read(file, at, seed) {
        contents.add(header, &frame);
        at = frame.end;
    }
    contents.length = at as u64;
    let written = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if written > at {
        if !is_active || layout::is_proof_of_damage(file, at, seed) {
            let detail = "what was written there was synced and cannot be read any more";
            return Err(FileError::Damaged { path: path.to_owned(), at: at as u64, detail });
        }
        contents.torn_bytes = (written - at) as u64;
    }
    Ok(contents)
}

/// Reads of a damaged segment what can be read. `synced` says how long it was at least.
pub(crate) fn salvage(file: &[u8], header: &SegmentHeader, synced: u64) -> Contents {
    let mut contents = Contents { length: SEGMENT_HEADER_BYTES as u64, ..Contents::default() };
    contents.notes.last_time = header.base_time;
    let seed = header.seed();
    let mut at = SEGMENT_HEADER_BYTES;
    let mut next = header.base;
    let mut damage = None;
    loop {
        while let Some(frame) = Frame::read(file, at, seed) {
            if frame.header.kind == FrameKind::Batch {
                let first = frame.header.offset;
                if let Some(at) = damage.take()
                    && first > next
                {
                    contents.lost.push(Lost { first: next, last: Some(first - 1), at });
                }
                next = first.saturating_add(u64::from(frame.header.events.max(1)));
            }
            contents.add(header, &frame);
            at = frame.end;
            contents.length = at as u64;
        }
        if let Some((header, end)) = layout::damaged_frame(file, at, seed) {
            if let Some(lost) = lost_with(&header, at) {
                next = lost.last.map_or(next, |last| last.saturating_add(1));
                contents.lost.push(lost);
            }
            (at, contents.length) = (end, end as u64);
            continue;
        }
        let Some(found) = layout::next_frame(file, at + 1, seed) else { break };
        damage.get_or_insert(at as u64);
        at = found;
    }
    if damage.is_some() || contents.length < synced || layout::is_proof_of_damage(file, at, seed) {
        contents.lost.push(Lost { first: next, last: None, at: damage.unwrap_or(contents.length) });
    }
    contents
}

/// What is lost with a frame whose header can be read.
fn lost_with(header: &FrameHeader, at: usize) -> Option<Lost> {
    let last = header.offset.saturating_add(u64::from(header.events.max(1)) - 1);
    let lost = Lost { first: header.offset, last: Some(last), at: at as u64 };
    (header.kind == FrameKind::Batch).then_some(lost)
}

impl Contents {
    fn add(&mut self, header: &SegmentHeader, frame: &Frame<'_>) {
        let (offset, time) = (frame.header.offset, frame.header.time);
        self.closed = None;
        self.notes.last_time = self.notes.last_time.max(time);
        match frame.header.kind {
            FrameKind::Batch => self.add_batch(header, frame),
            FrameKind::Reserve => self.notes.reserved = self.notes.reserved.max(offset),
            FrameKind::Closed => self.closed = Some(offset),
            FrameKind::Trim => {
                let channel = frame.channel.and_then(|name| Channel::new(name).ok());
                self.notes.trims.extend(channel.map(|channel| (channel, offset)));
            }
        }
    }

    fn add_batch(&mut self, header: &SegmentHeader, frame: &Frame<'_>) {
        let (first, count, time) = (frame.header.offset, frame.header.events, frame.header.time);
        self.notes.used = self.notes.used.max(first.saturating_add(u64::from(count.max(1)) - 1));
        if let Some((key, fingerprint)) = frame.key {
            self.notes.keys.push(KeyRecord { key: key.to_owned(), fingerprint, first, count, time });
        }
        for (record, place) in frame.records() {
            let entries = match self.entries.get_mut(record.channel) {
                Some(entries) => entries,
                None => {
                    let Ok(channel) = Channel::new(record.channel) else { continue };
                    self.entries.entry(channel).or_default()
                }
            };
            let before = entries.last().map_or(0, |entry: &Entry| entry.end_bytes);
            entries.push(Entry {
                offset: u32::try_from(record.offset.saturating_sub(header.base)).unwrap_or(u32::MAX),
                position: place.position,
                end_bytes: before + place.bytes,
                time: u32::try_from(time.saturating_sub(header.base_time)).unwrap_or_default(),
            });
        }
    }
}
