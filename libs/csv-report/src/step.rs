//! One step of a report: how far it is, whether it is to stop, and why it ended without a result.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

/// Why a step ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
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
    /// The line and the character in it, both from 1.
    #[must_use]
    pub fn place(&self) -> Option<(u64, u64)> {
        match self {
            Self::Place { line, column, .. } => Some((*line, *column)),
            _ => None,
        }
    }
}

/// How far a step is, and whether it is to stop: shared by the thread that works and whoever watches it.
#[derive(Debug, Default)]
pub struct Ticker {
    /// In thousandths.
    part: AtomicU32,
    stopped: AtomicBool,
}

impl Ticker {
    /// Tells the step to stop. It ends with [`StepError::Stopped`] after the chunk it works on.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// How far the step is, 0 to 1.
    #[must_use]
    pub fn part(&self) -> f64 {
        f64::from(self.part.load(Ordering::Relaxed)) / 1000.0
    }

    /// Whether the step is to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The step is `done` of `total` far.
    pub(crate) fn tick(&self, done: u64, total: u64) {
        let part = done.min(total).saturating_mul(1000) / total.max(1);
        self.part.store(u32::try_from(part).unwrap_or(1000), Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), StepError> {
        if self.is_stopped() { Err(StepError::Stopped) } else { Ok(()) }
    }
}
