//! What happens to sealed segments in the background: indexes, removal, merging.

pub(crate) mod merge;
pub(crate) mod upkeep;
