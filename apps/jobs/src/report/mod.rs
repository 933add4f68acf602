//! A report of a CSV file, step by step: each step is a function over the file that needs bounded memory however long the file is.
//!
//! ```text
//! checksum    the file's SHA-256                                      one pass over bytes
//! dialect     encoding, delimiter, quote, header                      a sample, and one pass that checks UTF-8
//! parse       every row is whole; else where it is not                one pass: [`inspect`]
//! validate    what each column holds                                  one pass: [`kinds`]
//! statistics  count, spread, top values, correlations, time series    one pass: [`statistics`]
//! charts      SVG of what statistics found                            memory only: [`chart`]
//! render      one HTML page with everything in it                     memory only: [`page`]
//! ```
//!
//! Knows: CSV, HTML. Does not know: jobs, HTTP, async.
//!
//! Invariants:
//! - What the file holds is text on the page, never markup.
//! - What is estimated is labelled so.

mod chart;
mod decode;
mod dialect;
mod inspect;
mod kinds;
mod numbers;
mod page;
mod series;
mod source;
mod statistics;
mod tally;
mod value;
mod words;

use std::{
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

pub(crate) use chart::{Charts, charts};
pub(crate) use dialect::{Dialect, detect};
pub(crate) use inspect::parse;
pub(crate) use kinds::validate;
pub(crate) use page::{Facts, choose_language, render};
pub(crate) use source::Source;
pub(crate) use statistics::{Statistics, statistics};

/// How large a file's parts may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Columns.
    pub(crate) columns_max: usize,
    /// Bytes of one row.
    pub(crate) row_bytes_max: usize,
}

/// What the parse step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Rows without the header.
    pub(crate) rows: u64,
    /// The columns' names.
    pub(crate) names: Vec<String>,
}

/// Why a step ended without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// It was told to.
    #[error("stopped")]
    Stopped,
    /// The file as a whole is none that a report can be made of.
    #[error("{0}")]
    File(String),
    /// The file is wrong at a place.
    #[error("line {line}, column {column}: {message}")]
    Place {
        /// The line, from 1.
        line: u64,
        /// The character in the line, from 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// The disk.
    #[error("the file cannot be read or written: {0}; see the server's disk and retry")]
    Io(#[from] io::Error),
}

impl StepError {
    /// The line and the character in it.
    pub(crate) fn place(&self) -> Option<(u64, u64)> {
        match self {
            Self::Place { line, column, .. } => Some((*line, *column)),
            _ => None,
        }
    }
}

/// How far a step is, and whether it is to stop.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// In thousandths.
    part: AtomicU32,
    stop: CancellationToken,
}

impl Ticker {
    /// A step at its beginning.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { part: AtomicU32::new(0), stop }
    }

    /// How far the step is, 0 to 1.
    pub(crate) fn part(&self) -> f64 {
        f64::from(self.part.load(Ordering::Relaxed)) / 1000.0
    }

    /// The step is `done` of `total` far.
    fn tick(&self, done: u64, total: u64) {
        let part = done.min(total).saturating_mul(1000) / total.max(1);
        self.part.store(u32::try_from(part).unwrap_or(1000), Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), StepError> {
        if self.stop.is_cancelled() { Err(StepError::Stopped) } else { Ok(()) }
    }
}

/// The SHA-256 of a file, as hexadecimal digits.
pub(crate) fn checksum(path: &Path, ticker: &Ticker) -> Result<String, StepError> {
    let mut hash = Sha256::new();
    chunks(path, ticker, |bytes| {
        hash.update(bytes);
        Ok(())
    })?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads a file in chunks, telling how far it is.
fn chunks(
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
