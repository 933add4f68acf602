//! Attempts at one record: processed until it is done, has failed for good, or the consumer stops.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    domain::{ConsumerId, LogId},
    events::{Change, Completed, Failed, FailedWord, ProcessedWord, ProcessingWord, Started},
    processing::Failure,
    state::PipelineState,
    topics::Record,
};

/// How many characters of a reason are kept: a hook may say anything, and it goes to every browser.
const REASON_MAX: usize = 1000;

/// Why attempts at a record ended without success.
pub(crate) enum Ended {
    /// The consumer was told to stop.
    Stopped,
    /// It failed for good: what is to be written down, and why.
    Failed(Vec<Change>, String),
}

impl PipelineState {
    /// Tries a record as often as is set, and gives what is to be written down.
    pub(crate) async fn attempt(
        &self,
        record: &Record,
        consumer: &ConsumerId,
        stop: &CancellationToken,
    ) -> Result<Vec<Change>, Ended> {
        let log_id = LogId::of(record);
        let mut wait_ms = self.config.retry_min_ms;
        for attempt in 1.. {
            let now = self.context.clock.now();
            let mut changes =
                vec![Change::Started(Started { log_id, status: ProcessingWord::It, timestamp: now })];
            // Who looks sees that it began while it waits; what needs no wait is written down in one go.
            if self.processing.waits() {
                self.journal.write(std::mem::take(&mut changes)).await.map_err(|_| Ended::Stopped)?;
            }
            let (reason, again) = match self.processing.process(record).await {
                Ok(()) => {
                    let timestamp = self.context.clock.now();
                    let status = ProcessedWord::It;
                    changes.push(Change::Completed(Completed {
                        log_id,
                        consumer_id: consumer.clone(),
                        status,
                        timestamp,
                    }));
                    return Ok(changes);
                }
                Err(Failure::Record(reason)) => (reason, false),
                Err(Failure::Passing(reason)) => (reason, attempt < self.config.attempts_max),
            };
            if !again {
                return Err(Ended::Failed(changes, reason.chars().take(REASON_MAX).collect()));
            }
            self.wait(wait_ms, stop).await.map_err(|_| Ended::Stopped)?;
            wait_ms = (wait_ms * 2).min(self.config.retry_max_ms);
        }
        Err(Ended::Stopped)
    }

    /// Waits, or ends early because the consumer stops.
    pub(super) async fn wait(&self, wait_ms: u64, stop: &CancellationToken) -> Result<(), ()> {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => Ok(()),
            () = stop.cancelled() => Err(()),
        }
    }
}

/// What is written down of a record that failed for good.
pub(crate) fn failed(state: &PipelineState, record: &Record, reason: &str) -> Change {
    let timestamp = state.context.clock.now();
    Change::Failed(Failed {
        log_id: LogId::of(record),
        status: FailedWord::It,
        error: reason.to_owned(),
        timestamp,
    })
}
