//! Samples of this machine, and those that wait to be reported to another server.

mod backlog;
mod collector;
mod heartbeat;

pub use backlog::{Backlog, REPORT_MAX, Waiting};
pub use collector::{CollectError, Collector};
pub use heartbeat::Heartbeat;
