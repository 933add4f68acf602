//! The file operations whose order and failure matter: appending, syncing, cutting, replacing a file whole.
//!
//! Invariant: a file written by [`replace`] is there whole or not at all, through any crash.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::embedded::descriptors;

#[cfg(not(test))]
pub(crate) use no_faults::Faults;
#[cfg(test)]
pub(crate) use test_faults::Faults;

/// A file that is written at its end only.
pub(crate) struct AppendFile {
    file: File,
    allocated: u64,
    preallocate: u64,
    faults: Faults,
}

impl AppendFile {
    pub(crate) fn new(file: File, length: u64, preallocate: u64, faults: Faults) -> Self {
        Self { file, allocated: length, preallocate, faults }
    }

    /// Writes at a position. After an error any part of it may be there: cut it off.
    pub(crate) fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.allocate(position + bytes.len() as u64);
        let allowed = self.faults.room_for(bytes.len());
        self.file.write_all_at(&bytes[..allowed], position)?;
        self.allocated = self.allocated.max(position + bytes.len() as u64);
        if allowed < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Allocates ahead, which makes the next syncs cheaper. When it cannot, the write itself decides.
    fn allocate(&mut self, needed: u64) {
        if needed <= self.allocated || self.preallocate == 0 {
            return;
        }
        let end = needed.next_multiple_of(self.preallocate);
        let none = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(&self.file, none, self.allocated, end - self.allocated) {
            Ok(()) => self.allocated = end,
            Err(error) => {
                tracing::debug!(%error, "allocating ahead is not possible");
                if error == rustix::io::Errno::OPNOTSUPP {
                    self.preallocate = 0;
                }
            }
        }
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.faults.sync()?;
        self.file.sync_data()
    }

    /// Cuts the file to a length, and gives back what was allocated ahead.
    pub(crate) fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.allocated = length;
        Ok(())
    }
}

/// Whether an error says that there is no room (full, quota, file size limit).
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    descriptors::open(directory)?.sync_all()
}

/// Writes a file whole: beside it first, then renamed, each step durable.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    let result = write_slowly(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    if result.is_err() {
        // What is left would only take room; at the next start it is removed anyway.
        let _ignored = std::fs::remove_file(&beside);
    }
    result?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Reads a file whole; `None` if there is none.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a file that takes room and nothing else, if it is not there; where there is no room for it there is
/// none.
pub(crate) fn set_aside(path: &Path, bytes: u64) {
    if path.exists() {
        return;
    }
    let none = rustix::fs::FallocateFlags::empty();
    let made = File::create(path).and_then(|file| Ok(rustix::fs::fallocate(&file, none, 0, bytes)?));
    if let Err(error) = made {
        tracing::debug!(path = %path.display(), %error, "no room could be set aside");
    }
}

/// The name under which a file is written before it is there: never read, removed at the next start.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Writes in small synced pieces, so that a large file in the background never holds up a commit's sync for
/// long.
fn write_slowly(path: &Path, bytes: &[u8]) -> io::Result<()> {
    const PIECE_BYTES: usize = 1 << 20;
    let mut options = OpenOptions::new();
    let mut file = descriptors::open_with(options.write(true).create(true).truncate(true), path)?;
    let (pieces, last) = bytes.split_at(bytes.len().saturating_sub(1) / PIECE_BYTES * PIECE_BYTES);
    for piece in pieces.chunks(PIECE_BYTES) {
        file.write_all(piece)?;
        file.sync_data()?;
    }
    file.write_all(last)?;
    file.sync_all()
}

#[cfg(not(test))]
mod no_faults {
    use std::io;

    /// Nothing goes wrong on purpose.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Faults(());

    impl Faults {
        pub(crate) fn room_for(&self, bytes: usize) -> usize {
            bytes
        }

        pub(crate) fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod test_faults {
    use std::{
        io,
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
    };

    /// What goes wrong on purpose. Clones share it.
    #[derive(Debug, Clone)]
    pub(crate) struct Faults {
        room_bytes: Arc<AtomicUsize>,
        sync_fails: Arc<AtomicBool>,
    }

    impl Default for Faults {
        fn default() -> Self {
            Self { room_bytes: Arc::new(AtomicUsize::new(usize::MAX)), sync_fails: Arc::default() }
        }
    }

    impl Faults {
        /// So many bytes can be written from now on.
        pub(crate) fn set_room(&self, bytes: usize) {
            self.room_bytes.store(bytes, Ordering::SeqCst);
        }

        pub(crate) fn fail_syncs(&self, fail: bool) {
            self.sync_fails.store(fail, Ordering::SeqCst);
        }

        pub(crate) fn room_for(&self, bytes: usize) -> usize {
            let room = self.room_bytes.load(Ordering::SeqCst);
            let taken = bytes.min(room);
            if room != usize::MAX {
                self.room_bytes.store(room - taken, Ordering::SeqCst);
            }
            taken
        }

        pub(crate) fn sync(&self) -> io::Result<()> {
            if self.sync_fails.load(Ordering::SeqCst) {
                Err(io::Error::other("told to fail"))
            } else {
                Ok(())
            }
        }
    }
}
