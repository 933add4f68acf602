//! The pipeline: records of topics, processed by consumers, each record's life shown live.
//!
//! ```text
//!  HTTP ──▶ api: produce ──▶ topics (embedded on the log, or Kafka)
//!                               │ poll                    ▲ dead letters
//!                               ▼                         │
//!                            worker ──▶ processing: schema, sink, hook
//!                               │ what happened
//!                               ▼
//!                            journal ──▶ log: channel `pipeline` ──▶ browsers
//!                               ▲              │ committed
//!                    then commit              ▼
//!                                          records: records and counters, the projection ──▶ api: lists
//! ```
//!
//! Mounting: give [`channels`] to the log's retention rules, keep what it owns for the server, make a
//! [`Pipeline`] with [`Pipeline::start`], serve its routes, spawn its `run`.

mod api;
mod config;
mod consumers;
mod description;
mod domain;
mod events;
mod journal;
mod lag;
mod measure;
mod metrics;
mod processing;
mod records;
mod state;
mod topics;

use std::{collections::BTreeMap, sync::Arc};

use anywire_app::{AppContext, Application, Owned};
use anywire_log::{BoxFuture, ChannelPattern, Keep, ReadError, Retention, RetentionRule};

use consumers::ConsumerPool;
use journal::Journal;
use lag::NewestGroupState;
use processing::Processing;
use state::PipelineState;

#[cfg(any(test, feature = "fuzzing"))]
pub use api::fuzzing;
pub use config::{ConfigError, PipelineConfig};
pub use description::operations as description;
pub use events::{PIPELINE_CHANNEL, STATE_CHANNEL};
pub use processing::{Failure, Hook, ProcessingError};
pub use topics::{NewRecord, Partition, Place, Record, TopicName, TopicsError};

/// How many records may be tried again by hand at once.
const RETRIES_MAX: usize = 4;
/// How many CSV files are taken at once.
const FILES_MAX: usize = 8;

/// The retention its channels need.
#[must_use]
pub fn channels(config: &PipelineConfig) -> Vec<RetentionRule> {
    let rule = |pattern: &str, retention| RetentionRule { pattern: ChannelPattern::new(pattern), retention };
    let forever = Retention { age_max_ms: u64::MAX, ..Retention::default() };
    // Six times as many events as there are between two snapshots of the counters.
    let pipeline = Retention { events_max: 300_000, bytes_max: 256 << 20, ..forever.clone() };
    let state = Retention { keep: Keep::Latest, age_max_ms: u64::MAX, ..Retention::ephemeral() };
    let mut rules = vec![
        rule(events::PIPELINE_CHANNEL, pipeline),
        rule(events::STATE_CHANNEL, state),
        rule(events::LEDGER_CHANNEL, forever),
    ];
    rules.extend(topics::channels(config.partition_records_max, config.partition_bytes_max));
    rules
}

/// Why the application could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is not sound.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log could not be read.
    #[error("the pipeline cannot be read from the log: {0}")]
    Read(#[from] ReadError),
    /// The topics could not be opened.
    #[error("the pipeline's topics: {0}")]
    Topics(#[from] TopicsError),
    /// Processing could not be set up.
    #[error(transparent)]
    Processing(#[from] ProcessingError),
    /// Kafka is configured and this program was built without it.
    #[error(
        "pipeline.kafka is {brokers:?} and this program was built without Kafka; build it with --features kafka"
    )]
    NoKafka {
        /// The brokers.
        brokers: String,
    },
}

/// The application.
pub struct Pipeline {
    pool: Arc<ConsumerPool>,
}

impl Pipeline {
    /// Reads the counters and records from the log and opens the topics. Must be called inside a tokio
    /// runtime.
    ///
    /// Cost: one read of channel `pipeline`.
    ///
    /// # Errors
    /// [`StartError`] names the setting, the file or the log that is in the way. A Kafka broker that is away
    /// is none: consumers wait for it.
    pub async fn start(
        context: AppContext,
        config: PipelineConfig,
        hook: Option<Arc<dyn Hook>>,
    ) -> Result<Arc<Self>, StartError> {
        config.check()?;
        api::incoming::clear(&context);
        let processing = Processing::new(&config, hook)?;
        let topics = open_topics(&context, &config).await?;
        let records = state::open_records(&context, &config).await?;
        let journal = Journal::start(&context, records.clone());
        let state = PipelineState {
            journal,
            consumed: config.topic_names()?,
            context,
            config,
            topics,
            processing,
            records,
            group_state: NewestGroupState::default(),
            retries: tokio::sync::Semaphore::new(RETRIES_MAX),
            files: tokio::sync::Semaphore::new(FILES_MAX),
        };
        Ok(Arc::new(Self { pool: ConsumerPool::new(Arc::new(state)) }))
    }
}

/// The one place where topics are chosen.
async fn open_topics(
    context: &AppContext,
    config: &PipelineConfig,
) -> Result<Arc<dyn topics::Topics>, StartError> {
    let names = config.topic_names()?;
    let dead = names.iter().map(|name| name.dead_letters(&config.dead_letter_suffix));
    if let Some(brokers) = &config.kafka {
        return open_kafka(brokers, config, names.iter().cloned().chain(dead).collect());
    }
    let mut partitions: BTreeMap<TopicName, u32> = dead.map(|name| (name, 1)).collect();
    partitions.extend(names.iter().map(|name| (name.clone(), config.partitions)));
    let log = Arc::clone(&context.log);
    Ok(topics::EmbeddedTopics::open(log, partitions).await?)
}

#[cfg(feature = "kafka")]
fn open_kafka(
    brokers: &str,
    config: &PipelineConfig,
    names: Vec<TopicName>,
) -> Result<Arc<dyn topics::Topics>, StartError> {
    Ok(topics::KafkaTopics::open(brokers, config, names)?)
}

#[cfg(not(feature = "kafka"))]
fn open_kafka(
    brokers: &str,
    _: &PipelineConfig,
    _: Vec<TopicName>,
) -> Result<Arc<dyn topics::Topics>, StartError> {
    Err(StartError::NoKafka { brokers: brokers.to_owned() })
}

impl Application for Pipeline {
    fn name(&self) -> &'static str {
        "pipeline"
    }

    fn owns(&self) -> Vec<Owned> {
        vec![Owned::state(PIPELINE_CHANNEL), Owned::state(STATE_CHANNEL)]
    }

    fn routes(&self) -> axum::Router {
        api::routes(&self.pool)
    }

    /// Runs the consumers. When the server stops, what they are doing is finished and written down before
    /// this ends: close the log after it.
    fn run(self: Arc<Self>) -> BoxFuture<'static, ()> {
        let pool = Arc::clone(&self.pool);
        Box::pin(async move {
            pool.start_wanted().await;
            pool.watch_group().await;
            pool.stop_all().await;
            pool.state.journal.close().await;
        })
    }

    fn metrics(&self) -> Vec<anywire_app::Metric> {
        metrics::of(&self.pool.state)
    }
}
