//! Rewrites segments of which little is kept: neighbours are merged into one segment that says which ones it
//! replaces, so that a crash before those are removed leaves both, and the start keeps the new one.
//!
//! Invariant: an event is left out only if a checkpoint on the disk says that it was trimmed.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, atomic::Ordering},
};

use anywire_log::{Offset, Timestamp};

use crate::embedded::{
    compaction::{checkpoints, removal, repair},
    disk, manifest,
    segment::{
        error::FileError,
        file::{self, SPAN_MAX, Seal, Segment},
        frames::Frames,
        layout::{
            Encoder, FRAME_HEADER_BYTES, Frame, FrameHeader, FrameKind, SEGMENT_HEADER_BYTES, SegmentHeader,
        },
        read, scan, segment_index,
    },
    shared::{CheckpointState, Shared},
};

/// A segment of which less than this part is kept is rewritten: that costs a quarter of what it frees three
/// quarters of.
const LIVE_PERCENT_MIN: u64 = 25;
/// So many small neighbours are merged although that frees nothing: each costs memory for every channel in
/// it.
pub(crate) const SMALL_AT_ONCE: usize = 8;

/// Rewrites the first neighbours of which little is kept, if there are any.
pub(crate) fn run(shared: &Shared, state: &mut CheckpointState, sealed: &[Arc<Segment>]) -> io::Result<()> {
    let chosen = choose(sealed, shared.config.segment_bytes());
    if chosen.is_empty() {
        return Ok(());
    }
    let limits = live_limits(shared, chosen)?;
    checkpoints::before_removal(shared, state, chosen)?;
    let header = merged_header(shared, chosen)?;
    let Some(bytes) = rewrite(chosen, &header, &limits) else { return Ok(()) };
    let path = shared.config.directory.join(file::file_name(header.base, header.generation));
    let contents = scan::scan(&path, &bytes, &header, false).map_err(io::Error::other)?;
    let through = chosen.iter().filter_map(|segment| Some(segment.seal.get()?.through)).max();
    let through = through.unwrap_or(contents.notes.used);
    let seal = Seal { bytes: bytes.len() as u64, through, crc: Some(crc32c::crc32c(&bytes)) };
    let merged = Arc::new(Segment::new(header, path, bytes.len() as u64).sealed(seal));
    merged.last_time.store(contents.notes.last_time, Ordering::Relaxed);
    let index = segment_index::encode(&header, bytes.len() as u64, &contents.entries, &contents.notes);
    disk::replace(&merged.index_path(), &index)?;
    disk::replace(&merged.path, &bytes)?;
    repair::move_runs(shared, chosen, &merged, &contents).map_err(io::Error::other)?;
    repair::use_index(shared, &merged, &contents.entries, index.len());
    // Until then the old ones count, and a crash leaves them.
    manifest::write(shared)?;
    for segment in chosen {
        removal::remove_files(shared, segment);
    }
    Ok(())
}

/// The first neighbours that are worth rewriting together: little is kept of them, or they are many and
/// small.
fn choose(sealed: &[Arc<Segment>], bytes_max: u64) -> &[Arc<Segment>] {
    let mut from = 0;
    while from < sealed.len() {
        let group = &sealed[from..from + fitting(&sealed[from..], bytes_max)];
        if is_worth(group) || group.len() >= SMALL_AT_ONCE {
            return group;
        }
        if let Some(sparse) = group.iter().position(|segment| is_worth(std::slice::from_ref(segment))) {
            return &group[sparse..=sparse];
        }
        from += group.len().max(1);
    }
    &[]
}

/// How many segments from the first on fit into one when they are rewritten, with room to spare.
fn fitting(segments: &[Arc<Segment>], bytes_max: u64) -> usize {
    let mut bytes = 0;
    let (mut begin, mut end) = (i64::MAX, i64::MIN);
    let fitting = segments.iter().take_while(|segment| {
        bytes += rewritten_bytes(segment);
        begin = begin.min(segment.header.base_time);
        end = end.max(segment.last_time.load(Ordering::Relaxed));
        let narrow = segment.header.base - segments[0].header.base < SPAN_MAX / 2
            && end.abs_diff(begin) < SPAN_MAX / 2;
        narrow && bytes <= bytes_max / 2
    });
    fitting.count()
}

fn is_worth(group: &[Arc<Segment>]) -> bool {
    let before: u64 = group.iter().map(|segment| segment.log_bytes.load(Ordering::Relaxed)).sum();
    let after: u64 = group.iter().map(|segment| rewritten_bytes(segment)).sum();
    after * 100 < before * LIVE_PERCENT_MIN
}

/// How large a segment would be with nothing in it but what is kept, at most.
fn rewritten_bytes(segment: &Segment) -> u64 {
    let frames = segment.live_events.load(Ordering::Relaxed) * FRAME_HEADER_BYTES as u64;
    SEGMENT_HEADER_BYTES as u64 + frames + segment.live_bytes.load(Ordering::Relaxed)
}

/// For each channel in these segments: up to where it is gone.
fn live_limits(shared: &Shared, segments: &[Arc<Segment>]) -> io::Result<HashMap<String, Offset>> {
    let mut limits = HashMap::new();
    for segment in segments {
        let log_bytes = segment.log_bytes.load(Ordering::Relaxed);
        let channels = match read::summary(segment, log_bytes)? {
            Some(summary) => summary.channels.into_iter().map(|channel| channel.channel).collect(),
            None => {
                read::contents(segment).map_err(io::Error::other)?.entries.into_keys().collect::<Vec<_>>()
            }
        };
        let index = shared.index.read();
        for channel in channels {
            let known = index.channel(&channel).map_or(Offset::MAX, |known| known.trimmed_through);
            limits.insert(channel.as_str().to_owned(), known);
        }
    }
    Ok(limits)
}

fn merged_header(shared: &Shared, segments: &[Arc<Segment>]) -> io::Result<SegmentHeader> {
    let (first, last) = (&segments[0].header, &segments[segments.len() - 1].header);
    let generation = segments.iter().map(|segment| segment.header.generation).max().unwrap_or_default() + 1;
    let begin = segments.iter().map(|segment| segment.header.base_time).min().unwrap_or(first.base_time);
    let fresh = file::new_header(shared.epoch.get(), first.base, Timestamp::from_millis(begin))?;
    Ok(SegmentHeader { covers: last.covers.max(last.base), generation, ..fresh })
}

/// The new segment's bytes; `None` if an old one cannot be read, which is left as it is then.
fn rewrite(
    segments: &[Arc<Segment>],
    header: &SegmentHeader,
    limits: &HashMap<String, Offset>,
) -> Option<Vec<u8>> {
    let kept: u64 = segments.iter().map(|segment| rewritten_bytes(segment)).sum();
    let mut out = Vec::with_capacity(usize::try_from(kept).ok()?);
    out.extend_from_slice(&header.encode());
    let encoder = Encoder { seed: header.seed(), position: 0 };
    for segment in segments {
        let copied = Frames::open(segment).and_then(|mut frames| {
            while let Some(frame) = frames.next()? {
                copy_live(&frame, encoder, &mut out, limits);
            }
            Ok(())
        });
        match copied {
            Ok(()) => {}
            Err(FileError::Damaged { path, at, .. }) => {
                tracing::error!(segment = %path.display(), at, "it is damaged and cannot be rewritten");
                segment.damaged.store(true, Ordering::Relaxed);
                return None;
            }
            Err(error) => {
                tracing::warn!(%error, "it cannot be rewritten");
                return None;
            }
        }
    }
    Some(out)
}

/// Copies of a frame what is kept. Keys, trims and reservations are in the checkpoint.
fn copy_live(frame: &Frame<'_>, encoder: Encoder, out: &mut Vec<u8>, limits: &HashMap<String, Offset>) {
    let is_live =
        |channel: &str, offset| limits.get(channel).is_none_or(|through| Offset::new(offset) > *through);
    let begin = out.len();
    let copy = encoder.begin(out, None);
    let mut records = 0;
    for (record, _) in frame.records().filter(|(record, _)| is_live(record.channel, record.offset)) {
        encoder.record(out, frame.header.offset, &record);
        records += 1;
    }
    if records == 0 {
        out.truncate(begin);
    } else {
        encoder.finish(out, &copy, &FrameHeader { kind: FrameKind::Batch, records, ..frame.header });
    }
}
