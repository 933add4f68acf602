//! How far the active segment was synced: a note that survives the process, though not the machine.
//!
//! ```text
//! synced  | ANYWSYN1 | salt u64 | bytes u64 | used u64 | crc u32 |
//! ```
//!
//! It is written after every sync and never synced itself, so it costs a write to memory. Where it says more
//! than the segment holds, something took away what had been answered. Where it says less, or is damaged or
//! missing, nothing follows.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

use crate::embedded::{descriptors, disk, segment::segment_index::Input};

pub(crate) const SYNCED_FILE: &str = "synced";
const MAGIC: &[u8; 8] = b"ANYWSYN1";
const BYTES: usize = 36;

/// What was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Synced {
    /// Of which segment: its salt.
    pub(crate) salt: u64,
    /// How long it was.
    pub(crate) bytes: u64,
    /// The greatest offset that had been given by then.
    pub(crate) used: u64,
}

impl Synced {
    fn encode(self) -> [u8; BYTES] {
        let mut out = [0; BYTES];
        out[..8].copy_from_slice(MAGIC);
        out[8..16].copy_from_slice(&self.salt.to_le_bytes());
        out[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        out[24..32].copy_from_slice(&self.used.to_le_bytes());
        let crc = crc32c::crc32c(&out[..32]);
        out[32..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the note of a directory; `None` if there is none that can be trusted.
    pub(crate) fn read(directory: &Path) -> Option<Self> {
        let bytes = disk::read_if_there(&directory.join(SYNCED_FILE)).ok().flatten()?;
        let (content, crc) = bytes.get(..BYTES)?.split_last_chunk::<4>()?;
        if !content.starts_with(MAGIC) || crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut input = Input(&content[MAGIC.len()..]);
        Some(Self { salt: input.u64()?, bytes: input.u64()?, used: input.u64()? })
    }
}

/// The file, open for writing. Where it cannot be written there is no note, which is no harm.
#[derive(Debug)]
pub(crate) struct SyncedFile(Option<File>);

impl SyncedFile {
    pub(crate) fn open(directory: &Path) -> Self {
        let path = directory.join(SYNCED_FILE);
        let mut options = OpenOptions::new();
        let opened = descriptors::open_with(options.write(true).create(true).truncate(false), &path);
        Self(opened.inspect_err(|error| tracing::debug!(%error, path = %path.display(), "no note")).ok())
    }

    pub(crate) fn write(&self, synced: Synced) {
        let written = self.0.as_ref().map_or(Ok(()), |file| file.write_all_at(&synced.encode(), 0));
        if let Err(error) = written {
            tracing::debug!(%error, "how far the log is synced could not be noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_a_damaged_one_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(Synced::read(directory.path()), None);
        let synced = Synced { salt: 1, bytes: 2, used: 3 };
        SyncedFile::open(directory.path()).write(synced);
        assert_eq!(Synced::read(directory.path()), Some(synced));
        let path = directory.path().join(SYNCED_FILE);
        let bytes = std::fs::read(&path).expect("it is there");
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            std::fs::write(&path, &wrong).expect("it can be written");
            assert_eq!(Synced::read(directory.path()), None, "byte {at}");
            std::fs::write(&path, &bytes[..at]).expect("it can be written");
            assert_eq!(Synced::read(directory.path()), None, "cut at {at}");
        }
    }
}
