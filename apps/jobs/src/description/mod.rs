//! The routes of jobs, described: progress, lists, commands and videos, uploads.

use anywire_app::description::Operation;

mod commands;
mod jobs;
mod progress;
mod shared;
mod uploads;

/// The operations, in the order in which a page shows them.
#[must_use]
pub fn operations() -> Vec<Operation> {
    [progress::operations(), jobs::operations(), commands::operations(), uploads::operations()]
        .into_iter()
        .flatten()
        .collect()
}
