//! What an application is given, and what it must give.
//!
//! An application is one more reader and writer of the log. Its state is a projection: rebuilt from the log
//! at start, so whatever engine holds the events also holds the application.

use std::{path::PathBuf, sync::Arc};

use anywire_log::{BoxFuture, Clock, Log, RetentionRule};
use tokio_util::sync::CancellationToken;

mod calls;
pub mod description;
mod figures;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod http;
mod locks;
mod metrics;
mod owned;
mod projection;
mod service;
mod snapshot;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;

pub use calls::{CallKey, KeyReused, PastCalls};
pub use figures::{Connections, DeliveryFigures, DeliveryMeter, Quantiles};
pub use http::{ApiError, read_json, whole_number};
pub use locks::NamedLocks;
pub use metrics::{ApplicationMetrics, Metric};
pub use owned::Owned;
pub use projection::{Projected, Projection, Sources, Start};
pub use service::{DecideError, Decided, Decision, Service};
pub use snapshot::{Snapshot, SnapshotError};

/// What an application is given.
#[derive(Clone)]
pub struct AppContext {
    /// The log it reads and writes.
    pub log: Arc<Log>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A directory of its own, for files that do not belong in a log.
    pub data_dir: PathBuf,
    /// Cancelled when the server stops: background work ends and routes answer what they can.
    pub shutdown: CancellationToken,
}

/// What an application gives. It is made by its own constructor from an [`AppContext`] and its own
/// configuration; by then its projection has been rebuilt.
pub trait Application: Send + Sync + 'static {
    /// Its name, such as `jobs`.
    fn name(&self) -> &'static str;

    /// Its HTTP routes, with absolute paths.
    fn routes(&self) -> axum::Router;

    /// Its background work; ends when the context's `shutdown` is cancelled. Errors are logged, never fatal
    /// to the server.
    fn run(self: Arc<Self>) -> BoxFuture<'static, ()>;

    /// The channels that it alone writes to: no client may publish there, over any transport.
    fn owns(&self) -> Vec<Owned> {
        Vec::new()
    }

    /// What it counts, for the metrics page; asked at each look at it.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }
}

/// The retention an application needs for its channels, known before the log is opened.
pub type Channels = Vec<RetentionRule>;
