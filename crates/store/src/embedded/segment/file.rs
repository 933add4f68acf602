//! One segment file as the engine sees it, and the few open files and index blocks kept at hand.
//!
//! Knows: names of files, what of a segment is still kept. Does not know: channels, retention.
//!
//! Invariants:
//! - A segment's files never change under their name, except that the newest grows and an index is written again with the same content: a rewritten
//!   segment has another name, so whoever still reads the old one finds it gone, never different.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::embedded::segment::{layout::SegmentHeader, segment_index as sidecar, segment_index::Entry};

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The system said no.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// What it holds is not what was written.
    #[error("{} is damaged at byte {at}: {detail}", path.display())]
    Damaged { path: PathBuf, at: u64, detail: &'static str },
}

impl FileError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<'_> {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// The file was removed meanwhile: its segment was deleted or rewritten.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// An index is damaged, which the log can mend.
    pub(crate) fn is_damaged_index(&self) -> bool {
        matches!(self, Self::Damaged { path, .. } if path.extension().is_some_and(|end| end == "idx"))
    }
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
    /// No channel has a run in it any more, and its files go or change: what was read of them after this counts for nothing.
    pub(crate) retired: AtomicBool,
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

/// The base and generation in a segment's name; `None` for other files.
pub(crate) fn parse_name(name: &str) -> Option<(u64, u32)> {
    let stem = name.strip_suffix(".log")?;
    let (base, generation) = stem.split_once('.').unwrap_or((stem, "0"));
    let digits = base.len() == 20 && base.bytes().all(|c| c.is_ascii_digit());
    if digits { Some((base.parse().ok()?, generation.parse().ok()?)) } else { None }
}

const HANDLES: usize = 64;
const BLOCKS: usize = 1024;

type Slot<T> = Mutex<Option<((u64, u64), T)>>;

/// Open files and index blocks used lately. Each has one place where it can be, so a look-up costs one short lock.
///
/// Memory: at most 64 open files and 4 MiB of blocks.
pub(crate) struct Files {
    handles: Box<[Slot<Arc<File>>]>,
    blocks: Box<[Slot<Arc<Vec<Entry>>>]>,
}

impl Files {
    pub(crate) fn new() -> Self {
        Self {
            handles: (0..HANDLES).map(|_| Mutex::new(None)).collect(),
            blocks: (0..BLOCKS).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// Reads a piece of a segment's log.
    pub(crate) fn read_log(&self, segment: &Segment, at: u64, bytes: &mut [u8]) -> Result<(), FileError> {
        let file = self.open(segment.id, false, &segment.path)?;
        file.read_exact_at(bytes, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                FileError::Damaged { path: segment.path.clone(), at, detail: "it ends here" }
            }
            _ => FileError::io(&segment.path)(error),
        })
    }

    /// One entry of a segment's index.
    pub(crate) fn entry(&self, segment: &Segment, at: u32) -> Result<Entry, FileError> {
        let (block, within) = (at / sidecar::BLOCK_ENTRIES, at % sidecar::BLOCK_ENTRIES);
        let entries = self.block(segment, block)?;
        entries.get(within as usize).copied().ok_or_else(|| FileError::Damaged {
            path: segment.index_path(),
            at: u64::from(block) * sidecar::BLOCK_BYTES as u64,
            detail: "an entry is missing",
        })
    }

    fn block(&self, segment: &Segment, block: u32) -> Result<Arc<Vec<Entry>>, FileError> {
        let key = (segment.id, u64::from(block));
        let slot = &self.blocks[place(key, BLOCKS)];
        if let Some((held, entries)) = &*slot.lock()
            && *held == key
        {
            return Ok(Arc::clone(entries));
        }
        let path = segment.index_path();
        let file = self.open(segment.id, true, &path)?;
        let at = segment.blocks_at.load(Ordering::Acquire) + u64::from(block) * sidecar::BLOCK_BYTES as u64;
        let mut bytes = [0; sidecar::BLOCK_BYTES];
        let damaged = |detail| FileError::Damaged { path: path.clone(), at, detail };
        file.read_exact_at(&mut bytes, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it ends here"),
            _ => FileError::io(&path)(error),
        })?;
        let entries = sidecar::decode_block(&bytes).ok_or_else(|| damaged("a checksum is wrong"))?;
        let entries = Arc::new(entries);
        *slot.lock() = Some((key, Arc::clone(&entries)));
        Ok(entries)
    }

    fn open(&self, id: u64, index: bool, path: &Path) -> Result<Arc<File>, FileError> {
        let key = (id, u64::from(index));
        let slot = &self.handles[place(key, HANDLES)];
        if let Some((held, file)) = &*slot.lock()
            && *held == key
        {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(path).map_err(FileError::io(path))?);
        *slot.lock() = Some((key, Arc::clone(&file)));
        Ok(file)
    }

    /// Lets go of everything of a segment that is to be removed, so that its disk space becomes free.
    pub(crate) fn forget(&self, id: u64) {
        for slot in &self.handles {
            slot.lock().take_if(|(held, _)| held.0 == id);
        }
        for slot in &self.blocks {
            slot.lock().take_if(|(held, _)| held.0 == id);
        }
    }
}

fn place(key: (u64, u64), places: usize) -> usize {
    let mixed = (key.0 ^ key.1.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 40).unwrap_or_default() % places
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
