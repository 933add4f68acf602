//! Applies retention to all channels.

use anywire_log::{Channel, Offset, Timestamp};

use crate::embedded::{
    index::Index,
    shared::{CHANNELS_AT_ONCE, Shared},
};

/// Applies retention to everything at `now`.
pub(crate) fn enforce(shared: &Shared, now: Timestamp) {
    apply(shared, |index| index.ephemeral.enforce(now));
    let mut from = 0;
    let mut more = true;
    while more {
        // In slices, so that commits and readers get in between.
        apply(shared, |index| {
            let trimmed;
            (trimmed, more) = index.enforce_some(from, CHANNELS_AT_ONCE, now, &shared.files);
            trimmed
        });
        from += CHANNELS_AT_ONCE;
    }
    shared.index.write().forget_empty();
}

/// Changes the index and tells of what that trimmed.
fn apply(shared: &Shared, change: impl FnOnce(&mut Index) -> Vec<(Channel, Offset)>) {
    let follower = shared.follower.lock();
    let trimmed = {
        let mut index = shared.index.write();
        let trimmed = change(&mut index);
        shared.count_channels(&index);
        trimmed
    };
    Shared::tell_trimmed(follower.as_ref(), &trimmed);
}
