//! Writing: what waits, the one thread that commits it, and the segment that is being written.

pub(crate) mod active;
pub(crate) mod committer;
pub(crate) mod group;
pub(crate) mod queue;
