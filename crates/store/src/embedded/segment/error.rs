//! Why a file of the log could not be read.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::embedded::segment::file;

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

    /// An index is damaged or missing, which can be repaired.
    pub(crate) fn is_damaged_index(&self) -> bool {
        file::is_index(self.path()) && (self.is_gone() || matches!(self, Self::Damaged { .. }))
    }

    /// What is wrong with what it holds.
    pub(crate) fn detail(&self) -> &'static str {
        match self {
            Self::Damaged { detail, .. } => detail,
            Self::Io { .. } => "it cannot be read",
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::Damaged { path, .. } => path,
        }
    }
}
