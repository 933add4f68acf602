//! The journal: the one writer of the pipeline's channels.
//!
//! Consumers hand it what happened; it appends everything that waits as one batch, so a busy pipeline costs
//! one commit for hundreds of records and a quiet one no delay. After records were finished it publishes the
//! counters, at most every 50 ms, and always the last.
//!
//! Invariants:
//! - What was handed in comes into the log, in order, however long that takes: consumers wait meanwhile, and
//!   commit only after it.
//! - The counters published are those of the projection after the records they speak of.

use std::time::Duration;

use anywire_app::{AppContext, Projected};
use anywire_log::Batch;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{domain::Totals, events::Change, records::Records};

/// How many hand-ins may wait.
const WAITING_MAX: usize = 1024;
/// How many changes one batch has at most; a hand-in is never torn.
const BATCH_MAX: usize = 2000;
/// The least time between two publications of the counters.
const STATISTICS_EVERY: Duration = Duration::from_millis(50);
/// After how many events a snapshot is written. Far below what channel `pipeline` keeps.
const SNAPSHOT_EVERY: u64 = 50_000;

/// Where to hand in what happened.
#[derive(Clone)]
pub(crate) struct Journal {
    sender: mpsc::Sender<Entry>,
}

enum Entry {
    Changes(Vec<Change>),
    Barrier(oneshot::Sender<()>),
    Close,
}

/// The server stops: nothing more is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping")]
pub(crate) struct Closed;

impl Journal {
    /// Starts the writer. The log must be open until it was closed.
    pub(crate) fn start(context: &AppContext, records: Projected<Records>) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let writer = Writer { context: context.clone(), records, last: None, due: None, snapshot_at: 0 };
        tokio::spawn(writer.run(waiting));
        Self { sender }
    }

    /// Hands in what happened.
    pub(crate) async fn write(&self, changes: Vec<Change>) -> Result<(), Closed> {
        self.sender.send(Entry::Changes(changes)).await.map_err(|_| Closed)
    }

    /// Ends the writer after what was handed in before, with the last counters and a snapshot.
    pub(crate) async fn close(&self) {
        let _closed_already = self.sender.send(Entry::Close).await;
        self.sender.closed().await;
    }

    /// Waits until everything handed in before is committed.
    pub(crate) async fn barrier(&self) -> Result<(), Closed> {
        let (done, waiting) = oneshot::channel();
        self.sender.send(Entry::Barrier(done)).await.map_err(|_| Closed)?;
        waiting.await.map_err(|_| Closed)
    }
}

struct Writer {
    context: AppContext,
    records: Projected<Records>,
    /// The counters that were published last, and when.
    last: Option<(Totals, usize, Instant)>,
    /// When the counters are to be published.
    due: Option<Instant>,
    /// How many changes were applied when the last snapshot was taken.
    snapshot_at: u64,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Entry>) {
        // Before anything else happens; it changes no counter that anybody has to hear of.
        if !self.append(&[Change::ServerStarted]).await {
            return;
        }
        let mut entries = Vec::new();
        loop {
            let due = self.due.unwrap_or_else(Instant::now);
            tokio::select! {
                count = waiting.recv_many(&mut entries, 256) => {
                    if count == 0 {
                        break;
                    }
                    let closing = entries.iter().any(|entry| matches!(entry, Entry::Close));
                    if !self.take(entries.drain(..)).await {
                        return;
                    }
                    if closing {
                        break;
                    }
                }
                () = tokio::time::sleep_until(due), if self.due.is_some() => {}
            }
            if !self.publish_statistics(false).await {
                return;
            }
        }
        self.publish_statistics(true).await;
        self.snapshot().await;
    }

    /// Appends what was handed in. False when the log is closed.
    async fn take(&mut self, entries: impl Iterator<Item = Entry>) -> bool {
        let (mut changes, mut barriers) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Entry::Changes(more) => changes.extend(more),
                Entry::Barrier(done) => barriers.push(done),
                Entry::Close => {}
            }
            if changes.len() >= BATCH_MAX {
                if !self.append(&changes).await {
                    return false;
                }
                changes.clear();
                release(barriers.drain(..));
            }
        }
        if !self.append(&changes).await {
            return false;
        }
        release(barriers.into_iter());
        if self.records.read().changes_applied() - self.snapshot_at >= SNAPSHOT_EVERY {
            self.snapshot().await;
        }
        true
    }

    /// Appends until it is appended: the disk may be full for a while. False when the log is closed.
    async fn append(&self, changes: &[Change]) -> bool {
        if changes.is_empty() {
            return true;
        }
        let batch = Batch::new(changes.iter().map(Change::publication).collect());
        // Not until the server stops: what consumers did last is written down while it does.
        self.context.log.append_until_stopped(batch, std::future::pending()).await.is_ok()
    }

    /// Publishes the counters if they changed and it is time, or notes when it will be.
    async fn publish_statistics(&mut self, at_once: bool) -> bool {
        let statistics = self.records.read().statistics(self.context.clock.now());
        let now = Instant::now();
        let figures = (statistics.totals, statistics.active_consumers);
        let next = match self.last {
            Some((totals, active, _)) if (totals, active) == figures => {
                self.due = None;
                return true;
            }
            Some((_, _, at)) => at + STATISTICS_EVERY,
            None => now,
        };
        if next > now && !at_once {
            self.due = Some(next);
            return true;
        }
        (self.due, self.last) = (None, Some((figures.0, figures.1, now)));
        self.append(&[Change::Statistics(statistics)]).await
    }

    /// Writes a snapshot, and trims what it contains. One that fails is tried again after as many changes
    /// more.
    async fn snapshot(&mut self) {
        self.snapshot_at = self.records.read().changes_applied();
        if let Err(error) = self.records.snapshot().await {
            tracing::warn!(%error, "what a snapshot of the pipeline would contain is kept for now");
        }
    }
}

/// Tells those who wait that everything they handed in is committed.
fn release(barriers: impl Iterator<Item = oneshot::Sender<()>>) {
    for done in barriers {
        // Who waited may be gone.
        let _gone = done.send(());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anywire_log::{
        Follow, Followed, Log, MemoryEngine, Position, RetentionRules, SystemClock, TailConfig,
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        PipelineConfig, channels,
        domain::{ConsumerId, DataType, LogId},
        events::{Completed, ProcessedWord, Received, Statistics, pipeline_channel},
        state::open_records,
        topics::{NewRecord, Partition, Place, Record, TopicName},
    };

    fn context() -> AppContext {
        let rules =
            RetentionRules::new(channels(&PipelineConfig::default()), anywire_log::Retention::default());
        let engine = MemoryEngine::new(rules.clone(), Arc::new(SystemClock)).expect("an epoch");
        let log = Log::start(Arc::new(engine), rules, TailConfig { bytes_max: 1 << 20 });
        let (clock, shutdown) = (Arc::new(SystemClock), CancellationToken::new());
        AppContext { log, clock, data_dir: std::path::PathBuf::new(), shutdown }
    }

    /// What is written down of a record that is processed.
    fn life(offset: u64, context: &AppContext) -> Vec<Change> {
        let timestamp = context.clock.now();
        let partition = Partition { topic: TopicName::new("t").expect("a name"), number: 0 };
        let place = Place { partition, offset };
        let log_id = LogId::of(&Record { place, time: timestamp, content: NewRecord::default() });
        let received = Received {
            log_id,
            topic: "t".to_owned(),
            partition: 0,
            offset: offset.to_string(),
            data_type: DataType::Single,
            row_count: 1,
            timestamp,
        };
        let consumer_id = ConsumerId::new("consumer-1").expect("a name");
        let completed = Completed { log_id, consumer_id, status: ProcessedWord::It, timestamp };
        vec![Change::Received(received), Change::Completed(completed)]
    }

    async fn next_statistics(follow: &mut Follow) -> Vec<Statistics> {
        let Followed::Events(events) = follow.next().await.expect("read") else { return Vec::new() };
        let statistics = events.iter().filter_map(|event| match Change::parse(event) {
            Some(Change::Statistics(statistics)) => Some(statistics),
            _ => None,
        });
        statistics.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_has_at_most_twenty_counters_a_second_and_the_last_always_comes() {
        const RECORDS: u64 = 600;
        let context = context();
        let records = open_records(&context, &PipelineConfig::default()).await.expect("read");
        let mut follow = context.log.follow(&[pipeline_channel()], Position::Oldest);
        let journal = Journal::start(&context, records);
        let began = Instant::now();
        for offset in 0..RECORDS {
            journal.write(life(offset, &context)).await.expect("open");
            journal.barrier().await.expect("open");
            tokio::time::advance(Duration::from_millis(3)).await;
        }
        let mut heard = Vec::new();
        while heard.last().is_none_or(|last: &Statistics| last.totals.processed_messages < RECORDS) {
            heard.extend(next_statistics(&mut follow).await);
        }
        let periods = (Instant::now() - began).as_millis() / STATISTICS_EVERY.as_millis();
        let count = heard.len() as u128;
        assert!(count <= periods + 1, "{count} in {periods} periods of {STATISTICS_EVERY:?}");
        assert!(heard.windows(2).all(|two| two[0].totals != two[1].totals), "none says the same again");
        assert!(heard.len() > 2, "they come while the burst lasts, not only after it");
    }
}
