//! Segments: their bytes on the disk, their index files, and how both are read.

pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod files;
pub(crate) mod frames;
pub(crate) mod layout;
pub(crate) mod read;
pub(crate) mod scan;
pub(crate) mod segment_index;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod sound;
