//! A file as rows: decoded, split, told how far it is.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use csv::ByteRecord;

use crate::{
    decode::Decoded,
    dialect::Dialect,
    step::{StepError, Ticker},
};

/// A file and how it is written.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    /// How it is written.
    pub dialect: Dialect,
}

impl Source {
    /// A file in a dialect.
    pub fn new(path: PathBuf, dialect: Dialect) -> Arc<Self> {
        Arc::new(Self { path, dialect })
    }

    /// The file's text from its beginning.
    pub(crate) fn text<'a>(&self, ticker: &'a Ticker) -> io::Result<Decoded<Counted<'a>>> {
        let file = File::open(&self.path)?;
        let size = file.metadata()?.len();
        Ok(Decoded::new(Counted { file, done: 0, size, ticker }, self.dialect.encoding))
    }

    /// Gives every row to `each`, without the header. The row's place in the file is its `position`.
    pub(crate) fn rows(&self, ticker: &Ticker, mut each: impl FnMut(&ByteRecord)) -> Result<(), StepError> {
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
pub(crate) fn read<R: Read>(
    reader: &mut csv::Reader<R>,
    record: &mut ByteRecord,
    ticker: &Ticker,
) -> Result<bool, StepError> {
    reader.read_byte_record(record).map_err(|error| {
        // The counting reader ends with an error when it is to stop.
        if ticker.is_stopped() { StepError::Stopped } else { StepError::Io(io::Error::other(error)) }
    })
}

/// A file that tells how far it has been read.
pub(crate) struct Counted<'a> {
    file: File,
    done: u64,
    size: u64,
    ticker: &'a Ticker,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ticker.is_stopped() {
            return Err(io::Error::other(StepError::Stopped));
        }
        let count = self.file.read(out)?;
        self.done += count as u64;
        self.ticker.tick(self.done, self.size);
        Ok(count)
    }
}
