//! The engines behind the log's port. Whoever assembles a server chooses one of the types that this crate
//! exports; nothing else in the workspace names an engine.

mod embedded;

pub use embedded::{Checked, CommitObserver, EmbeddedConfig, EmbeddedEngine, Finding, OpenError, check};
