//! A cache of open files and index blocks.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use parking_lot::Mutex;

use crate::embedded::{
    descriptors,
    segment::{
        error::FileError,
        file::Segment,
        segment_index::{self, Entry},
    },
};

const HANDLES: usize = 64;
const BLOCKS: usize = 1024;

type Slot<T> = Mutex<Option<((u64, u64), T)>>;

/// Open files and index blocks used lately. Each has one place where it can be, so a look-up costs one short
/// lock.
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
        let (block, within) = (at / segment_index::BLOCK_ENTRIES, at % segment_index::BLOCK_ENTRIES);
        let entries = self.block(segment, block)?;
        entries.get(within as usize).copied().ok_or_else(|| FileError::Damaged {
            path: segment.index_path(),
            at: u64::from(block) * segment_index::BLOCK_BYTES as u64,
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
        let at =
            segment.blocks_at.load(Ordering::Acquire) + u64::from(block) * segment_index::BLOCK_BYTES as u64;
        let mut bytes = [0; segment_index::BLOCK_BYTES];
        let damaged = |detail| FileError::Damaged { path: path.clone(), at, detail };
        file.read_exact_at(&mut bytes, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it ends here"),
            _ => FileError::io(&path)(error),
        })?;
        let entries = segment_index::decode_block(&bytes).ok_or_else(|| damaged("a checksum is wrong"))?;
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
        let opened = match File::open(path) {
            Err(error) if descriptors::are_used_up(&error) => {
                self.close_all();
                descriptors::open(path)
            }
            opened => opened,
        };
        let file = Arc::new(opened.map_err(FileError::io(path))?);
        *slot.lock() = Some((key, Arc::clone(&file)));
        Ok(file)
    }

    /// Gives back every descriptor that nobody reads by.
    fn close_all(&self) {
        self.handles.iter().for_each(|slot| *slot.lock() = None);
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
