//! A file as rows: decoded, split, told how far it is.
//!
//! Knows: how to read a dialect. Does not know: what the rows mean.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use csv::ByteRecord;

use super::{Dialect, StepError, Ticker, decode::Decoded};

/// A file and how it is written.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    /// How it is written.
    pub(crate) dialect: Dialect,
}

impl Source {
    /// A file in a dialect.
    pub(crate) fn new(path: PathBuf, dialect: Dialect) -> Arc<Self> {
        Arc::new(Self { path, dialect })
    }

    /// The file's text from its beginning.
    pub(super) fn text<'a>(&self, ticker: &'a Ticker) -> io::Result<Decoded<Counted<'a>>> {
        let file = File::open(&self.path)?;
        let size = file.metadata()?.len();
        Ok(Decoded::new(Counted { file, done: 0, size, ticker }, self.dialect.encoding))
    }

    /// Gives every row to `each`, without the header. The row's place in the file is its `position`.
    pub(super) fn rows(&self, ticker: &Ticker, mut each: impl FnMut(&ByteRecord)) -> Result<(), StepError> {
        let mut reader = self.dialect.reader(self.text(ticker)?);
        let mut record = ByteRecord::new();
        let mut header = self.dialect.header;
        while read(&mut reader, &mut record, ticker)? {
            if !std::mem::take(&mut header) {
                each(&record);
            }
        }
        Ok(())
    }
}

/// Reads the next row; false at the end.
pub(super) fn read<R: Read>(
    reader: &mut csv::Reader<R>,
    record: &mut ByteRecord,
    ticker: &Ticker,
) -> Result<bool, StepError> {
    reader.read_byte_record(record).map_err(|error| {
        // The counting reader ends with an error when it is to stop.
        if ticker.stop.is_cancelled() { StepError::Stopped } else { StepError::Io(io::Error::other(error)) }
    })
}

/// A file that tells how far it has been read.
pub(super) struct Counted<'a> {
    file: File,
    done: u64,
    size: u64,
    ticker: &'a Ticker,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ticker.stop.is_cancelled() {
            return Err(io::Error::other(StepError::Stopped));
        }
        let count = self.file.read(out)?;
        self.done += count as u64;
        self.ticker.tick(self.done, self.size);
        Ok(count)
    }
}
