//! State as a projection of the log: rebuilt at start, then kept up to date by the same function.
//!
//! Knows: how to read a channel from its oldest event. Does not know: what the events mean.

use std::sync::Arc;

use anywire_log::{Channel, Event, Follow, Followed, Gap, Log, Position, ReadError};

/// State that events change.
pub trait Projection {
    /// Takes the next event in. It must give the same state for the same events, whenever they come.
    fn apply(&mut self, event: &Event);

    /// Retention took events that were never applied: what was built on them is gone.
    fn lost(&mut self, gap: &Gap);
}

/// Applies everything the channels hold, and returns the reader that goes on from there.
///
/// Cost: one read of everything that is kept on the channels.
///
/// # Errors
/// [`ReadError`] of the engine.
pub async fn rebuild(
    log: &Arc<Log>,
    channels: &[Channel],
    projection: &mut impl Projection,
) -> Result<Follow, ReadError> {
    let mut follow = log.follow(channels, Position::Oldest);
    while let Some(found) = follow.ready().await? {
        match found {
            Followed::Events(events) => events.iter().for_each(|event| projection.apply(event)),
            Followed::Gap(gap) => projection.lost(&gap),
        }
    }
    Ok(follow)
}
