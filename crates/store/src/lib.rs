//! The engines behind the log's port. Whoever assembles a server chooses one of the types that this crate
//! exports; nothing else in the workspace names an engine.

mod embedded;

#[cfg(any(test, feature = "fuzzing"))]
pub use embedded::fuzzing;
pub use embedded::{Checked, CommitObserver, EmbeddedConfig, EmbeddedEngine, Finding, OpenError, check};
