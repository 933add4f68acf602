//! What is done with a record: a JSON Schema, an HTTP sink, a hook of a Rust program, in this order, each of
//! them if it is there.

use std::{panic::AssertUnwindSafe, sync::Arc};

use anywire_log::BoxFuture;
use futures_util::FutureExt as _;

use crate::{config::PipelineConfig, topics::Record};

mod error;
mod schema;
mod sink;

pub use error::{Failure, ProcessingError};

use schema::Schema;
use sink::Sink;

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
