//! The plant: what the parts of the pipeline share.
//!
//! Knows: who there is. Does not know: what any of them does.

use std::sync::Arc;

use anywire_app::{AppContext, Projection, rebuild};
use anywire_log::{CommitListener, Event, Followed, Gap, ReadError};
use parking_lot::RwLock;

use crate::{
    PipelineConfig,
    board::{Board, Ear, Snapshot},
    crew::Crew,
    events::{Change, ledger_channel, pipeline_channel},
    journal::Journal,
    processing::Processing,
    state::StateBoard,
    topics::{NewRecord, Place, ProduceError, TopicName, Topics, check_size},
};

/// Everything the parts of the application share.
pub(crate) struct Plant {
    pub(crate) context: AppContext,
    pub(crate) config: PipelineConfig,
    pub(crate) topics: Arc<dyn Topics>,
    /// The topics that are consumed.
    pub(crate) consumed: Vec<TopicName>,
    pub(crate) processing: Processing,
    pub(crate) board: Arc<RwLock<Board>>,
    pub(crate) journal: Journal,
    pub(crate) crew: Crew,
    pub(crate) state: StateBoard,
    /// How many records are retried by hand at once.
    pub(crate) retries: tokio::sync::Semaphore,
}

impl Plant {
    /// Appends records that somebody sends.
    pub(crate) async fn produce(
        &self,
        topic: &TopicName,
        records: Vec<NewRecord>,
    ) -> Result<Vec<Place>, ProduceError> {
        check_size(topic, &records, self.config.record_bytes_max)?;
        self.topics.produce(topic, records).await
    }
}

/// Looks for the newest snapshot only.
#[derive(Default)]
struct Newest(Option<Snapshot>);

impl Projection for Newest {
    fn apply(&mut self, event: &Event) {
        if let Some(Change::Snapshot(snapshot)) = Change::parse(event) {
            self.0 = Some(*snapshot);
        }
    }

    fn lost(&mut self, _gap: &Gap) {}
}

/// Rebuilds the board, and leaves an ear at the log that keeps it up to date.
pub(crate) async fn open_board(
    context: &AppContext,
    config: &PipelineConfig,
) -> Result<Arc<RwLock<Board>>, ReadError> {
    let mut newest = Newest::default();
    rebuild(&context.log, &[ledger_channel()], &mut newest).await?;
    let mut rebuilt = Board::new(config.records_kept_max);
    if let Some(snapshot) = newest.0 {
        rebuilt.restore(snapshot);
    }
    let channels = [pipeline_channel(), ledger_channel()];
    let mut follow = rebuild(&context.log, &channels, &mut rebuilt).await?;
    rebuilt.nobody_runs();
    let board = Arc::new(RwLock::new(rebuilt));
    let ear = Arc::new(Ear::new(Arc::clone(&board)));
    context.log.listen(Arc::clone(&ear) as Arc<dyn CommitListener>);
    // What another writer committed between the end of the rebuilding and the listening is found by reading on.
    while let Some(found) = follow.ready().await? {
        let mut board = board.write();
        match found {
            Followed::Events(events) => events.iter().for_each(|event| board.apply(event)),
            Followed::Gap(gap) => board.lost(&gap),
        }
    }
    ear.go_live();
    Ok(board)
}
