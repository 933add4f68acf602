//! Appending for writers that wait until the log takes what they have.

use std::{future::Future, pin::pin, time::Duration};

use crate::{AppendError, Appended, Batch, Log};

/// How long the first wait is.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// How long no wait is longer than.
const PAUSE_MAX: Duration = Duration::from_secs(5);

impl Log {
    /// Appends a batch, and tries again while the log is busy, has no room or cannot store anything. Waits
    /// between the tries are 20 ms at first, then twice as long each, at most 5 s. Each cause is logged once.
    ///
    /// It gives up when `stopped` resolves, which is looked at between two tries: a try is always waited for,
    /// so that the answer is true. Then it logs what did not get into the log.
    ///
    /// # Errors
    /// What the last try said; nothing of the batch is in the log then. Another try does not help
    /// [`AppendError::Empty`], [`AppendError::Conflict`], [`AppendError::Unexpected`] and
    /// [`AppendError::Closed`].
    pub async fn append_until_stopped(
        &self,
        batch: Batch,
        stopped: impl Future<Output = ()>,
    ) -> Result<Appended, AppendError> {
        let mut stopped = pin!(stopped);
        let mut waiting = Waiting::default();
        let mut pause = PAUSE_MIN;
        loop {
            let error = match self.append(batch.clone()).await {
                Ok(appended) => {
                    waiting.end(&batch);
                    return Ok(appended);
                }
                Err(error) => error,
            };
            if is_final(&error) {
                if error == AppendError::Closed {
                    give_up(&batch, &error);
                }
                return Err(error);
            }
            waiting.record(&batch, &error);
            if tokio::time::timeout(pause, stopped.as_mut()).await.is_ok() {
                give_up(&batch, &error);
                return Err(error);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Whether another try would be answered in the same way.
fn is_final(error: &AppendError) -> bool {
    match error {
        AppendError::Empty
        | AppendError::Conflict { .. }
        | AppendError::Unexpected { .. }
        | AppendError::Closed => true,
        AppendError::Busy { .. } | AppendError::Full { .. } | AppendError::Failed { .. } => false,
    }
}

/// Which causes of waiting were logged.
#[derive(Default)]
struct Waiting {
    busy: bool,
    full: bool,
    failed: bool,
}

impl Waiting {
    fn record(&mut self, batch: &Batch, error: &AppendError) {
        let (events, channel) = subject(batch);
        let logged = match error {
            AppendError::Full { .. } => &mut self.full,
            AppendError::Failed { .. } => &mut self.failed,
            _ => {
                // That is how the log slows its writers down, not a fault.
                if !std::mem::replace(&mut self.busy, true) {
                    tracing::debug!(events, channel, %error, "a batch waits for the log");
                }
                return;
            }
        };
        if !std::mem::replace(logged, true) {
            tracing::warn!(events, channel, %error, "a batch waits for the log");
        }
    }

    fn end(&self, batch: &Batch) {
        if self.full || self.failed {
            let (events, channel) = subject(batch);
            tracing::info!(events, channel, "the batch that waited is in the log");
        }
    }
}

fn give_up(batch: &Batch, error: &AppendError) {
    let (events, channel) = subject(batch);
    tracing::warn!(events, channel, %error, "the server stops; a batch did not get into the log");
}

/// What names a batch in a message: how many events, and the channel of the first.
fn subject(batch: &Batch) -> (usize, &str) {
    let channel = batch.publications.first().map(|publication| publication.channel.as_str());
    (batch.publications.len(), channel.unwrap_or_default())
}
