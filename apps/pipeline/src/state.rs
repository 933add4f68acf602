//! What the parts of the pipeline share, and how its records are opened.

use std::sync::Arc;

use anywire_app::{AppContext, Projected, Projection, Sources, rebuild};
use anywire_log::{Event, Gap, ReadError};

use crate::{
    PipelineConfig,
    events::{Change, Snapshot, ledger_channel, pipeline_channel},
    journal::Journal,
    lag::NewestGroupState,
    processing::Processing,
    records::Records,
    topics::{NewRecord, Place, ProduceError, TopicName, Topics, check_size},
};

/// Everything the parts of the application share.
pub(crate) struct PipelineState {
    pub(crate) context: AppContext,
    pub(crate) config: PipelineConfig,
    pub(crate) topics: Arc<dyn Topics>,
    /// The topics that are consumed.
    pub(crate) consumed: Vec<TopicName>,
    pub(crate) processing: Processing,
    pub(crate) records: Projected<Records>,
    pub(crate) journal: Journal,
    pub(crate) group_state: NewestGroupState,
    /// How many records are retried by hand at once.
    pub(crate) retries: tokio::sync::Semaphore,
}

impl PipelineState {
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

/// Rebuilds the records from the newest snapshot and the events that are kept.
pub(crate) async fn open_records(
    context: &AppContext,
    config: &PipelineConfig,
) -> Result<Projected<Records>, ReadError> {
    let mut newest = Newest::default();
    rebuild(&context.log, &[ledger_channel()], &mut newest).await?;
    let sources = Sources::channels([pipeline_channel(), ledger_channel()]);
    let kept_max = config.records_kept_max;
    Projected::open(&context.log, sources, move || Records::after(newest.0.clone(), kept_max)).await
}
