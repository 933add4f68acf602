//! A file as rows: decoded, split, told how far it is.

use std::{
    fs::File,
    io::{self, Read},
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
};

use crate::{
    decode::Decoded,
    dialect::Dialect,
    rows::{Row, RowError, RowReader},
    step::{StepError, Ticker},
};

/// A file and how it is written.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    /// How it is written.
    pub dialect: Dialect,
    row_bytes_max: usize,
}

impl Source {
    /// A file in a dialect, whose rows have at most so many bytes.
    pub fn new(path: PathBuf, dialect: Dialect, row_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { path, dialect, row_bytes_max })
    }

    /// The file's rows from its beginning.
    pub(crate) fn reader<'a>(&self, ticker: &'a Ticker) -> io::Result<RowReader<Counted<'a>>> {
        let file = File::open(&self.path)?;
        let size = file.metadata()?.len();
        let text = Decoded::new(Counted { file, done: 0, size, ticker }, self.dialect.encoding);
        Ok(RowReader::new(text, self.dialect.format, self.row_bytes_max))
    }

    /// As [`Self::records`], all of them.
    pub(crate) fn rows(&self, ticker: &Ticker, mut each: impl FnMut(&Row<'_>)) -> Result<(), StepError> {
        self.records(ticker, |row| {
            each(row);
            ControlFlow::Continue(())
        })
    }

    /// Gives every row to `each`, without the header and what is above it, until that breaks.
    ///
    /// # Errors
    /// [`StepError::Stopped`], [`StepError::Io`], or [`StepError::Place`] for a row that is too long.
    pub fn records(
        &self,
        ticker: &Ticker,
        mut each: impl FnMut(&Row<'_>) -> ControlFlow<()>,
    ) -> Result<(), StepError> {
        let mut reader = self.reader(ticker)?;
        let mut header = self.dialect.header;
        while let Some(row) = reader.next().map_err(|error| self.error(error, ticker))? {
            // What is above the table is not even the header.
            let is_record = row.line >= self.dialect.first_line && !std::mem::take(&mut header);
            if is_record && each(&row).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Why there is no next row.
    pub(crate) fn error(&self, error: RowError, ticker: &Ticker) -> StepError {
        match error {
            // The counting reader ends with an error when it is to stop.
            _ if ticker.is_stopped() => StepError::Stopped,
            RowError::Io(error) => error.into(),
            RowError::TooLong { line, column } => {
                let limit = self.row_bytes_max;
                let message = format!(
                    "the row is longer than {limit} bytes, the limit; is a quote or a line end missing?"
                );
                StepError::Place { line, column, message }
            }
        }
    }
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
