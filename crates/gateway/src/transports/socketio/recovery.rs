//! Coming back: what a client was and had joined, kept in the log under a secret only it knows.
//!
//! Where recovery is on, each socket has a private id (`pid`). What it follows is an event on a channel of
//! its own, `$socketio:<name made of the pid>`, of which the newest is kept: so any process that has the log
//! can take a client back, after a restart and on another node, as far as retention reaches. Beside it this
//! process knows where each of its own sockets stopped.
//!
//! Invariants:
//! - A client that says where it stood gets everything after that, once.
//! - One that cannot say goes on where this process stopped writing to it, or else where it joined: rather
//!   twice than not at all.

use anywire_log::{
    Batch, Channel, Cursor, EventName, Log, Offset, Payload, Position, Publication, ReadRequest, Retention,
    RetentionRule,
};
use anywire_protocol::socketio::recovery_name;
use serde::{Deserialize, Serialize};

use super::places::Room;
use crate::readers::Readers;

/// Under which names the records are kept.
const PREFIX: &str = "$socketio:";

/// How the records of Socket.IO clients are kept: the newest of each, as long as events are by default.
#[must_use]
pub fn socketio_channels() -> Vec<RetentionRule> {
    let retention = Retention { keep: anywire_log::Keep::Latest, ..Retention::default() };
    vec![RetentionRule { pattern: anywire_log::ChannelPattern::new(&format!("{PREFIX}*")), retention }]
}

/// A record as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    socket: String,
    namespace: String,
    user: Option<String>,
    rooms: Vec<(String, u64, bool)>,
}

/// Somebody who has come back.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) socket: Box<str>,
    rooms: Vec<Room>,
    /// Where the record itself stands: later than everything the client had seen when it was made.
    at: Offset,
    /// Where this process stopped, if it was this one.
    stopped: Option<Offset>,
}

impl Remembered {
    /// What it had joined, each with the place to go on from. `offset` is what the client says it has seen
    /// last; any text at all.
    pub(super) fn rooms(&self, log: &Log, offset: Option<&str>) -> Vec<(Room, Position)> {
        let seen = offset.and_then(|text| text.parse::<Cursor>().ok());
        let place = |room: &Room| match (seen, self.stopped) {
            // Another incarnation of the log, or one that it never was: let the gap be told.
            (Some(seen), _) if seen.epoch != log.epoch() => seen,
            // It may have seen nothing of what it asked for from long ago.
            (Some(seen), _) if room.named && seen.offset < self.at => log.cursor(room.from),
            (Some(seen), _) => Cursor { offset: seen.offset.max(room.from), ..seen },
            // Without an offset it has seen nothing at all.
            (None, Some(stopped)) if offset.is_some() => log.cursor(stopped.max(room.from)),
            (None, _) => log.cursor(room.from),
        };
        self.rooms.iter().map(|room| (room.clone(), Position::After(place(room)))).collect()
    }
}

/// About the bytes that a record of these rooms takes in the log.
pub(super) fn record_bytes(rooms: &[Room]) -> usize {
    const BESIDE: usize = 200;
    BESIDE + rooms.iter().map(Room::bytes).sum::<usize>()
}

/// Keeps what a socket has joined.
pub(super) async fn remember(
    log: &Log,
    pid: &str,
    namespace: &str,
    socket: &str,
    user: Option<&str>,
    rooms: &[Room],
) {
    let rooms = rooms.iter().map(|room| (room.channel.to_string(), room.from.get(), room.named));
    let record = Record {
        socket: socket.to_owned(),
        namespace: namespace.to_owned(),
        user: user.map(str::to_owned),
        rooms: rooms.collect(),
    };
    let (Ok(channel), Ok(name)) = (record_channel(pid), EventName::new("socket")) else { return };
    let Ok(data) = serde_json::to_vec(&record) else { return };
    let publication = Publication { channel, name, payload: Payload::Json(data.into()) };
    if let Err(error) = log.append(Batch::one(publication)).await {
        // The client goes on; only coming back may find less.
        tracing::warn!(%error, "what a Socket.IO client has joined was not kept");
    }
}

/// Forgets a socket that has left of its own will, was put out, or left too long ago: nobody comes back
/// with its private id.
pub(super) async fn forget_socket(log: &Log, pid: &str) {
    let Ok(channel) = record_channel(pid) else { return };
    let Some(state) = log.engine().channel_state(&channel) else { return };
    if let Err(error) = log.trim(channel, state.last).await {
        tracing::debug!(%error, "what a Socket.IO client had joined is still kept");
    }
}

/// What is known of this user's socket with this private id, in this namespace. Anybody else with the id
/// disturbs nothing.
pub(super) async fn recall(
    readers: &Readers,
    pid: &str,
    namespace: &str,
    user: Option<&str>,
) -> Option<Remembered> {
    let log = &readers.delivery.log;
    let channel = record_channel(pid).ok()?;
    let state = log.engine().channel_state(&channel).filter(|state| state.events > 0)?;
    let request = ReadRequest {
        channels: vec![channel],
        after: state.last.previous(),
        through: state.last,
        events_max: 1,
        bytes_max: 1,
    };
    let (batch, _) = log.read_behind(request).await.ok()?;
    let event = batch.events.first()?;
    let record: Record = serde_json::from_slice(event.payload.as_bytes()).ok()?;
    if record.namespace != namespace || record.user.as_deref() != user {
        return None;
    }
    let room = |(name, from, named): (String, u64, bool)| {
        Some(Room { channel: Channel::new(&name).ok()?, from: Offset::new(from), named })
    };
    Some(Remembered {
        socket: record.socket.into(),
        rooms: record.rooms.into_iter().filter_map(room).collect(),
        at: event.offset,
        stopped: readers.places.take(pid, log.tail_offset()),
    })
}

/// The channel of a record: nobody learns the secret from its name.
fn record_channel(pid: &str) -> Result<Channel, anywire_log::ChannelError> {
    Channel::new(&format!("{PREFIX}{}", recovery_name(pid)))
}
