//! What is done with a record: a JSON Schema, an HTTP sink, a hook of a Rust program, in this order, each of
//! them if it is there.

use std::{panic::AssertUnwindSafe, path::PathBuf, sync::Arc};

use anywire_log::BoxFuture;
use futures_util::FutureExt as _;

use crate::{config::PipelineConfig, topics::Record};

mod schema;
mod sink;

use schema::Schema;
use sink::Sink;

/// Why a record was not processed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It will never be: the record itself is wrong.
    #[error("{0}")]
    Record(String),
    /// It may be another time.
    #[error("{0}")]
    Passing(String),
}

/// What a Rust program does with each record.
pub trait Hook: Send + Sync + 'static {
    /// Processes one record. Records of a partition come one after the other, those of different partitions
    /// at the same time. A record may come again: after a [`Failure::Passing`], and when the process died
    /// before it was committed.
    ///
    /// # Errors
    /// [`Failure`] says whether to try again.
    fn process<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), Failure>>;
}

/// Why processing cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProcessingError {
    /// The file of the schema cannot be read.
    #[error("pipeline.schema {path} cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is no JSON Schema.
    #[error("pipeline.schema {path} is no JSON Schema: {detail}")]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The sink is no address.
    #[error("pipeline.sink is {url:?}: {detail}; expected http://… or https://…")]
    Sink {
        /// The address.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// What is done with a record.
pub(crate) struct Processing {
    schema: Option<Schema>,
    sink: Option<Sink>,
    hook: Option<Arc<dyn Hook>>,
}

impl Processing {
    /// Reads the schema, and makes the sink ready.
    pub(crate) fn new(config: &PipelineConfig, hook: Option<Arc<dyn Hook>>) -> Result<Self, ProcessingError> {
        let schema = config.schema.as_deref().map(Schema::read).transpose()?;
        let sink = config.sink.as_deref().map(|url| Sink::new(url, config)).transpose()?;
        Ok(Self { schema, sink, hook })
    }

    /// Whether a record's processing waits for somebody else.
    pub(crate) fn waits(&self) -> bool {
        self.sink.is_some() || self.hook.is_some()
    }

    /// Processes a record.
    pub(crate) async fn process(&self, record: &Record) -> Result<(), Failure> {
        if let Some(schema) = &self.schema {
            schema.check(record)?;
        }
        if let Some(sink) = &self.sink {
            sink.send(record).await?;
        }
        let Some(hook) = &self.hook else { return Ok(()) };
        // A record that makes a hook panic must not take its consumer along.
        let called = AssertUnwindSafe(async { hook.process(record).await }).catch_unwind().await;
        called.unwrap_or_else(|_| Err(Failure::Record("the hook panicked; see the server's log".to_owned())))
    }
}
