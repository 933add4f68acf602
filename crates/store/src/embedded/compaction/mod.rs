//! Upkeep of sealed segments in the background: their indexes, their removal, their merging.

pub(crate) mod checkpoints;
pub(crate) mod jobs;
pub(crate) mod merge;
pub(crate) mod removal;
pub(crate) mod repair;
pub(crate) mod retention;
pub(crate) mod scrub;
pub(crate) mod upkeep;
