//! Small files that are written whole: `| magic 8 bytes | epoch u32 | content | crc u32 |`.

use std::path::Path;

use anywire_log::Epoch;

use crate::embedded::{
    disk,
    segment::{error::FileError, segment_index::Input},
};

pub(crate) type Magic = [u8; 8];

/// What stands before the content.
pub(crate) fn begin(magic: &Magic, epoch: Epoch) -> Vec<u8> {
    [magic.as_slice(), &epoch.get().to_le_bytes()].concat()
}

/// The whole file.
pub(crate) fn end(mut out: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Reads a file by `decode`, which is told which of the known magics it has; `None` if there is no file.
pub(crate) fn read<T, const N: usize>(
    path: &Path,
    epoch: Epoch,
    known: [&Magic; N],
    decode: impl FnOnce(&mut Input<'_>, &Magic) -> Option<T>,
) -> Result<Option<T>, FileError> {
    let Some(bytes) = disk::read_if_there(path).map_err(FileError::io(path))? else { return Ok(None) };
    let damaged = |detail| FileError::Damaged { path: path.to_owned(), at: 0, detail };
    let Some((content, crc)) = bytes.split_last_chunk::<4>() else {
        return Err(damaged("it is cut off"));
    };
    let magic = known.into_iter().find(|magic| content.starts_with(*magic));
    let Some(magic) = magic.filter(|_| crc32c::crc32c(content) == u32::from_le_bytes(*crc)) else {
        return Err(damaged("its checksum is wrong"));
    };
    let mut input = Input(&content[magic.len()..]);
    if input.u32() != Some(epoch.get()) {
        return Err(damaged("it belongs to another log"));
    }
    decode(&mut input, magic).map(Some).ok_or_else(|| damaged("its lengths are wrong"))
}
