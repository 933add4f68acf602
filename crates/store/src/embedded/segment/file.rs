//! A segment as the engine sees it: its files' names, and how much of it is kept.
//!
//! Invariant: a segment's files never change under their name, except that the active one grows and an index
//! is written again with the same content. A rewritten segment has another name, so whoever still reads the
//! old one finds it gone, never different.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use anywire_log::Timestamp;

use crate::embedded::segment::layout::SegmentHeader;

/// A segment is sealed before it spans so many offsets or milliseconds: entries count both in 32 bits.
pub(crate) const SPAN_MAX: u64 = 1 << 31;

/// How a segment ends that is not written to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seal {
    /// How long its log is.
    pub(crate) bytes: u64,
    /// No event in it has a greater offset, and none was lost after it.
    pub(crate) through: u64,
    /// The CRC-32C of its log; none if it was sealed before that was noted.
    pub(crate) crc: Option<u32>,
}

/// A segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Unlike the base it names the content: a rewritten or indexed-again segment is another one.
    pub(crate) id: u64,
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    /// How long its log is, without what is allocated ahead.
    pub(crate) log_bytes: AtomicU64,
    /// Where the blocks begin in its index file; 0 while there is none.
    pub(crate) blocks_at: AtomicU64,
    pub(crate) live_events: AtomicU64,
    /// What the kept events take in the log.
    pub(crate) live_bytes: AtomicU64,
    /// The time of its newest event.
    pub(crate) last_time: AtomicI64,
    /// No channel has a run in it any more, and its files go or change: what was read of them after this
    /// counts for nothing.
    pub(crate) retired: AtomicBool,
    /// How it ends; none while it is written.
    pub(crate) seal: OnceLock<Seal>,
    /// It cannot be read whole: it is neither merged nor looked at again.
    pub(crate) damaged: AtomicBool,
    /// Its log is not there any more: nothing of it can be read.
    pub(crate) gone: AtomicBool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Segment {
    pub(crate) fn new(header: SegmentHeader, path: PathBuf, log_bytes: u64) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            header,
            path,
            log_bytes: AtomicU64::new(log_bytes),
            blocks_at: AtomicU64::new(0),
            live_events: AtomicU64::new(0),
            live_bytes: AtomicU64::new(0),
            last_time: AtomicI64::new(header.base_time),
            retired: AtomicBool::new(false),
            seal: OnceLock::new(),
            damaged: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    pub(crate) fn index_path(&self) -> PathBuf {
        self.path.with_extension("idx")
    }

    pub(crate) fn gained(&self, events: u64, bytes: u64) {
        self.live_events.fetch_add(events, Ordering::Relaxed);
        self.live_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, events: u64, bytes: u64) {
        self.live_events.fetch_sub(events, Ordering::Relaxed);
        self.live_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sealed(self, seal: Seal) -> Self {
        Self { seal: seal.into(), ..self }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.live_events.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn is_indexed(&self) -> bool {
        self.blocks_at.load(Ordering::Acquire) != 0
    }
}

/// The name of a segment: `<base>.log`, or `<base>.<generation>.log` if it was rewritten.
pub(crate) fn file_name(base: u64, generation: u32) -> String {
    if generation == 0 { format!("{base:020}.log") } else { format!("{base:020}.{generation}.log") }
}

/// Whether a path names an index file.
pub(crate) fn is_index(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "idx")
}

/// The base and generation in a segment's name; `None` for other files.
pub(crate) fn parse_name(name: &str) -> Option<(u64, u32)> {
    let stem = name.strip_suffix(".log")?;
    let (base, generation) = stem.split_once('.').unwrap_or((stem, "0"));
    let digits = base.len() == 20 && base.bytes().all(|c| c.is_ascii_digit());
    if digits { Some((base.parse().ok()?, generation.parse().ok()?)) } else { None }
}

/// The header of a segment that begins now.
pub(crate) fn new_header(epoch: u32, base: u64, now: Timestamp) -> io::Result<SegmentHeader> {
    let salt = getrandom::u64().map_err(io::Error::other)?;
    Ok(SegmentHeader { epoch, salt, base, covers: 0, base_time: now.as_millis(), generation: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_name_tells_its_base_and_generation() {
        assert_eq!(parse_name(&file_name(42, 0)), Some((42, 0)));
        assert_eq!(parse_name(&file_name(42, 7)), Some((42, 7)));
        for other in ["meta", "42.log", "00000000000000000042.idx", "00000000000000000042.log.tmp"] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
