//! Why a directory could not be opened.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::embedded::segment::error::FileError;

/// Why a directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the data directory {} is in use{holder}; stop that process, or choose another directory",
        directory.display()
    )]
    Locked {
        /// The directory.
        directory: PathBuf,
        /// ` by process <id>`, if it is known.
        holder: String,
    },
    /// The system refused something.
    #[error("opening the log failed at {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what was written to it.
    #[error(
        "{} is damaged at byte {at}: {detail}; restore the directory from a backup, or start with --accept-loss: what can be read is kept, and readers are told exactly what is lost (`anywire check` says it beforehand)",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        at: u64,
        /// What is wrong there.
        detail: &'static str,
    },
}

impl From<FileError> for OpenError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { path, source } => Self::Io { path, source },
            FileError::Damaged { path, at, detail } => Self::Damaged { path, at, detail },
        }
    }
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError + use<'_> {
    move |source| OpenError::Io { path: path.to_owned(), source }
}
