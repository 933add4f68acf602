//! Where the state begins at a start: with the heads of the blocks, so that of the samples only those are
//! read that are in no block yet.

use std::sync::Arc;

use anywire_app::{Projection, Start};
use anywire_log::{Channel, Event, Followed, Log, Position, ReadError};

use crate::{
    domain::HostName,
    events::{Content, forgotten_channel, rules_channel},
    projection::Monitoring,
};

/// Reads what was forgotten, the rules and the blocks into an empty state, and says from where the rest is
/// read.
pub(crate) async fn begin(
    log: Arc<Log>,
    channels: Vec<Channel>,
    empty: Monitoring,
) -> Result<Start<Monitoring>, ReadError> {
    let mut start = Start::oldest(empty);
    if channels.is_empty() {
        return Ok(start);
    }
    // Before all samples: what was forgotten is not taken, and the rules that hold are those that watch.
    for channel in [forgotten_channel(), rules_channel()] {
        read(&log, &mut start, channel, |state, event| state.apply(event)).await?;
    }
    let contents: Vec<(Channel, Content)> = channels
        .into_iter()
        .filter_map(|channel| start.state.content(&channel).map(|content| (channel, content)))
        .collect();
    for (channel, content) in &contents {
        if let Content::MinuteBlocks(_) = content {
            read(&log, &mut start, channel.clone(), |state, event| state.apply(event)).await?;
        }
    }
    for (channel, content) in &contents {
        if let Content::SampleBlocks(name) = content {
            read(&log, &mut start, channel.clone(), |state, event| state.found_samples(name, event)).await?;
        }
    }
    for (channel, content) in contents {
        if let Content::Samples(name) = content {
            let position = samples_from(&log, &start.state, &name);
            start.positions.push((vec![channel], position));
        }
    }
    Ok(start)
}

fn samples_from(log: &Log, state: &Monitoring, name: &HostName) -> Position {
    match state.samples_after(name) {
        after if after.get() == 0 => Position::Oldest,
        after => Position::After(log.cursor(after)),
    }
}

/// Reads a channel; the state goes on behind it.
async fn read(
    log: &Arc<Log>,
    start: &mut Start<Monitoring>,
    channel: Channel,
    mut take: impl FnMut(&mut Monitoring, &Event),
) -> Result<(), ReadError> {
    let mut follow = log.follow(std::slice::from_ref(&channel), Position::Oldest);
    while let Some(found) = follow.ready().await? {
        if let Followed::Events(events) = found {
            events.iter().for_each(|event| take(&mut start.state, event));
        }
    }
    start.positions.push((vec![channel], Position::After(follow.cursor())));
    Ok(())
}
