//! Reads a segment's files whole, or the start of them.

use std::{
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::Ordering,
};

use crate::embedded::{
    descriptors,
    segment::{
        error::FileError,
        file::Segment,
        layout::{SEGMENT_HEADER_BYTES, SegmentHeader},
        scan::{self, Contents},
        segment_index::{self, Summary},
    },
};

/// Reads the header of a segment file.
pub(crate) fn header(path: &Path) -> io::Result<Option<SegmentHeader>> {
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    descriptors::open(path)?.take(SEGMENT_HEADER_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(SegmentHeader::decode(&bytes))
}

/// Reads a sealed segment whole.
pub(crate) fn contents(segment: &Segment) -> Result<Contents, FileError> {
    let mut bytes = descriptors::read(&segment.path).map_err(FileError::io(&segment.path))?;
    bytes.truncate(usize::try_from(segment.log_bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
    scan::scan(&segment.path, &bytes, &segment.header, false)
}

/// Reads of a sealed segment that is damaged what can be read.
pub(crate) fn salvage(segment: &Segment) -> Result<Contents, FileError> {
    let mut bytes = descriptors::read(&segment.path).map_err(FileError::io(&segment.path))?;
    let log_bytes = segment.log_bytes.load(Ordering::Relaxed);
    bytes.truncate(usize::try_from(log_bytes).unwrap_or(usize::MAX));
    Ok(scan::salvage(&bytes, &segment.header, log_bytes))
}

/// Reads what an index says beside the entries; `None` if there is no sound index for this state of the
/// segment.
pub(crate) fn summary(segment: &Segment, log_bytes: u64) -> io::Result<Option<Summary>> {
    let file = match descriptors::open(&segment.index_path()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let file_bytes = file.metadata()?.len();
    let mut head = [0; segment_index::HEADER_BYTES];
    if file_bytes < head.len() as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut head, 0)?;
    let Some(end) = segment_index::summary_end(&head, &segment.header, log_bytes) else { return Ok(None) };
    if file_bytes < end as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; end];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(segment_index::decode(&bytes, file_bytes))
}
