//! What waits for the committer.
//!
//! Invariant: what waits, with what is being committed, never exceeds the limit by more than one batch.

use std::time::Instant;

use anywire_log::{AppendError, Appended, Batch, Channel, Offset, TrimError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// A batch that waits for its commit.
pub(crate) struct Pending {
    pub(crate) batch: Batch,
    pub(crate) fingerprint: u64,
    /// What it takes in the log at most.
    pub(crate) bytes: u64,
    pub(crate) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Something for the committer to do.
pub(crate) enum Command {
    Append(Pending),
    Trim {
        channel: Channel,
        through: Offset,
        answer: oneshot::Sender<Result<(), TrimError>>,
    },
    /// Find out whether there is room again.
    Probe,
}

/// Commands in the order in which they came.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    bytes_max: u64,
}

#[derive(Default)]
struct Waiting {
    commands: Vec<Command>,
    /// With what was taken and is not done yet.
    bytes: u64,
    oldest: Option<Instant>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { waiting: Mutex::default(), filled: Condvar::new(), bytes_max }
    }

    /// Puts a command at the end, or says why that is not possible.
    pub(crate) fn push(&self, command: Command) -> Result<(), AppendError> {
        let bytes = if let Command::Append(pending) = &command { pending.bytes } else { 0 };
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(AppendError::Closed);
        }
        if bytes > 0 && waiting.bytes > 0 && waiting.bytes + bytes > self.bytes_max {
            let waiting_bytes = waiting.bytes;
            return Err(AppendError::Busy { waiting_bytes });
        }
        waiting.bytes += bytes;
        waiting.oldest.get_or_insert_with(Instant::now);
        waiting.commands.push(command);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits until there is something and takes all of it; returns since when the oldest waited, `None` after
    /// the end.
    pub(crate) fn take(&self, into: &mut Vec<Command>) -> Option<Instant> {
        let mut waiting = self.waiting.lock();
        while waiting.commands.is_empty() && !waiting.closed {
            self.filled.wait(&mut waiting);
        }
        std::mem::swap(&mut waiting.commands, into);
        waiting.oldest.take()
    }

    /// Commands of so many bytes are done.
    pub(crate) fn done(&self, bytes: u64) {
        let mut waiting = self.waiting.lock();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
    }

    /// Takes no more commands and forgets those that wait: the committer is gone.
    pub(crate) fn poison(&self) {
        self.close();
        let commands = std::mem::take(&mut self.waiting.lock().commands);
        drop(commands);
    }

    /// Takes no more commands; those that wait are still committed.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.filled.notify_one();
    }
}
