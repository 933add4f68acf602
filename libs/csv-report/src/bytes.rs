//! A file as bytes: read in chunks, and its SHA-256.

use std::{
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::step::{StepError, Ticker};

/// The checksum step: the SHA-256 of a file, as hexadecimal digits.
///
/// # Errors
/// [`StepError::Stopped`], or [`StepError::Io`] when the file cannot be read.
pub fn checksum(path: &Path, ticker: &Ticker) -> Result<String, StepError> {
    let mut hash = Sha256::new();
    chunks(path, ticker, |bytes| {
        hash.update(bytes);
        Ok(())
    })?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads a file in chunks, telling how far it is.
pub(crate) fn chunks(
    path: &Path,
    ticker: &Ticker,
    mut each: impl FnMut(&[u8]) -> Result<(), StepError>,
) -> Result<(), StepError> {
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let mut buffer = vec![0; 256 << 10];
    let mut done = 0;
    loop {
        ticker.check()?;
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        each(&buffer[..count])?;
        done += count as u64;
        ticker.tick(done, size);
    }
}
