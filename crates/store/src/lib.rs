//! The engines behind the log's port.
//!
//! Which engine a server runs on is decided by whoever assembles it, from the types this crate exports; nothing else
//! in the workspace names an engine.
//!
//! Knows: files, syncing, recovery. Does not know: readers, transports.

mod embedded;

pub use embedded::{CommitObserver, EmbeddedConfig, EmbeddedEngine, OpenError};
