//! What the parts of the pipeline share, and how its records are opened.

use std::sync::Arc;

use anywire_app::{AppContext, Projected, Sources};
use anywire_log::ReadError;

use crate::{
    PipelineConfig,
    events::{ledger_channel, pipeline_channel},
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
    /// How many CSV files are taken at once: each waits on the disk until it is checked.
    pub(crate) files: tokio::sync::Semaphore,
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

/// Rebuilds the records from the newest snapshot and the events that are kept.
pub(crate) async fn open_records(
    context: &AppContext,
    config: &PipelineConfig,
) -> Result<Projected<Records>, ReadError> {
    let sources = Sources::channels([pipeline_channel(), ledger_channel()]);
    let kept_max = config.records_kept_max;
    Projected::open_from_snapshot(&context.log, sources, move || Records::empty(kept_max)).await
}
