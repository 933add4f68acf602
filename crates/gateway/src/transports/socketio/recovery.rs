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

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
};

use anywire_log::{
    Batch, Channel, Cursor, EventName, Offset, Payload, Position, Publication, ReadRequest, Retention,
    RetentionRule,
};
use anywire_protocol::socketio::recovery_name;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{Gateway, delivery::Reader};

/// How many of those who came first are looked at, when there are too many, for one that is not connected any
/// more.
const LOOKS_MAX: usize = 8;
/// Under which names the records are kept.
const PREFIX: &str = "$socketio:";

/// How the records of Socket.IO clients are kept: the newest of each, as long as events are by default.
#[must_use]
pub fn socketio_channels() -> Vec<RetentionRule> {
    let retention = Retention { keep: anywire_log::Keep::Latest, ..Retention::default() };
    vec![RetentionRule { pattern: anywire_log::ChannelPattern::new(&format!("{PREFIX}*")), retention }]
}

/// A channel somebody has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) channel: Channel,
    /// After which offset.
    pub(super) from: Offset,
    /// The client named that place itself: it may lie before what it had seen of other channels.
    pub(super) named: bool,
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

/// Where this process' own sockets are, or stopped.
#[derive(Default)]
pub(super) struct Places(Mutex<Known>);

#[derive(Default)]
struct Known {
    places: HashMap<Box<str>, Place>,
    oldest_first: VecDeque<Box<str>>,
}

enum Place {
    Connected(Weak<Reader>),
    Stopped(Offset),
}

impl Known {
    /// Takes out who came first and is gone; those who are connected stay, and are few enough by the limit of
    /// connections.
    fn evict(&mut self) -> Option<Box<str>> {
        for _ in 0..LOOKS_MAX {
            let oldest = self.oldest_first.pop_front()?;
            match self.places.get(&oldest) {
                Some(Place::Connected(reader)) if reader.strong_count() > 0 => {
                    self.oldest_first.push_back(oldest);
                }
                _ => {
                    self.places.remove(&oldest);
                    return Some(oldest);
                }
            }
        }
        None
    }
}

impl Places {
    /// A socket is connected. Returns whose record is to be forgotten, where more than `places_max` are
    /// known.
    pub(super) fn connected(&self, pid: &str, reader: &Arc<Reader>, places_max: usize) -> Vec<Box<str>> {
        let mut known = self.0.lock();
        let place = Place::Connected(Arc::downgrade(reader));
        if known.places.insert(pid.into(), place).is_some() {
            return Vec::new();
        }
        known.oldest_first.push_back(pid.into());
        let mut evicted = Vec::new();
        while known.oldest_first.len() > places_max {
            let Some(pid) = known.evict() else { break };
            evicted.push(pid);
        }
        evicted
    }

    pub(super) fn stopped(&self, pid: &str, reader: &Arc<Reader>, at: Offset) {
        if let Some(place) = self.0.lock().places.get_mut(pid)
            && matches!(place, Place::Connected(held) if std::ptr::eq(held.as_ptr(), Arc::as_ptr(reader)))
        {
            *place = Place::Stopped(at);
        }
    }

    /// Where a socket stopped. One that still seems to be connected is cut off: its client has come back.
    fn take(&self, pid: &str, tail: Offset) -> Option<Offset> {
        let mut known = self.0.lock();
        let place = known.places.get_mut(pid)?;
        if let Place::Connected(reader) = place {
            let reader = reader.upgrade()?;
            let at = reader.stopped_at(tail);
            *place = Place::Stopped(at);
            reader.abort();
        }
        match place {
            Place::Stopped(at) => Some(*at),
            Place::Connected(_) => None,
        }
    }
}

impl Remembered {
    /// What it had joined, each with the place to go on from. `offset` is what the client says it has seen
    /// last; any text at all.
    pub(super) fn rooms(&self, gateway: &Gateway, offset: Option<&str>) -> Vec<(Room, Position)> {
        let seen = offset.and_then(|text| text.parse::<Cursor>().ok());
        let place = |room: &Room| match (seen, self.stopped) {
            // Another incarnation of the log, or one that it never was: let the gap be told.
            (Some(seen), _) if seen.epoch != gateway.log.epoch() => seen,
            // It may have seen nothing of what it asked for from long ago.
            (Some(seen), _) if room.named && seen.offset < self.at => gateway.log.cursor(room.from),
            (Some(seen), _) => Cursor { offset: seen.offset.max(room.from), ..seen },
            // Without an offset it has seen nothing at all.
            (None, Some(stopped)) if offset.is_some() => gateway.log.cursor(stopped.max(room.from)),
            (None, _) => gateway.log.cursor(room.from),
        };
        self.rooms.iter().map(|room| (room.clone(), Position::After(place(room)))).collect()
    }
}

impl Gateway {
    /// Keeps what a socket has joined.
    pub(super) async fn remember(
        &self,
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
        if let Err(error) = self.log.append(Batch::one(publication)).await {
            // The client goes on; only coming back may find less.
            tracing::warn!(%error, "what a Socket.IO client has joined was not kept");
        }
    }

    /// Forgets a socket that has left of its own will, was put out, or left too long ago: nobody comes back
    /// with its private id.
    pub(super) async fn forget_socket(&self, pid: &str) {
        let Ok(channel) = record_channel(pid) else { return };
        let Some(state) = self.log.engine().channel_state(&channel) else { return };
        if let Err(error) = self.log.trim(channel, state.last).await {
            tracing::debug!(%error, "what a Socket.IO client had joined is still kept");
        }
    }

    /// What is known of this user's socket with this private id, in this namespace. Anybody else with the id
    /// disturbs nothing.
    pub(super) async fn recall(&self, pid: &str, namespace: &str, user: Option<&str>) -> Option<Remembered> {
        let channel = record_channel(pid).ok()?;
        let state = self.log.engine().channel_state(&channel).filter(|state| state.events > 0)?;
        let request = ReadRequest {
            channels: vec![channel],
            after: state.last.previous(),
            through: state.last,
            events_max: 1,
            bytes_max: 1,
        };
        let (batch, _) = self.log.read_behind(request).await.ok()?;
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
            stopped: self.socketio.places.take(pid, self.log.tail_offset()),
        })
    }

    /// Another reader goes on for the sockets of a connection.
    pub(super) fn note_moved(&self, reader: &Arc<Reader>) {
        for pid in reader.private_ids() {
            // It is known already, under the reader before: nobody has to make room.
            let _nobody = self.socketio.places.connected(&pid, reader, usize::MAX);
        }
    }

    /// A Socket.IO connection has ended: where it stopped is where its client may go on.
    pub(crate) fn note_stopped(&self, reader: &Arc<Reader>) {
        let tail = self.log.tail_offset();
        for pid in reader.private_ids() {
            self.socketio.places.stopped(&pid, reader, reader.stopped_at(tail));
        }
    }
}

/// The channel of a record: nobody learns the secret from its name.
fn record_channel(pid: &str) -> Result<Channel, anywire_log::ChannelError> {
    Channel::new(&format!("{PREFIX}{}", recovery_name(pid)))
}

#[cfg(test)]
mod tests {
    use anywire_log::Timestamp;

    use super::*;
    use crate::{
        delivery::{ReaderInfo, Wire},
        metrics::Transport,
    };

    fn reader() -> Arc<Reader> {
        let info = ReaderInfo {
            client: "c".into(),
            address: [127, 0, 0, 1].into(),
            connected_at: Timestamp::default(),
        };
        Reader::new(Transport::SocketIo, info, 0, Wire::Polled, 0)
    }

    #[test]
    fn the_oldest_places_are_forgotten_first_and_a_stranger_moves_none() {
        let places = Places::default();
        let (one, two) = (reader(), reader());
        let at = Offset::new(7);
        assert!(places.connected("b", &one, 2).is_empty());
        assert!(places.connected("a", &one, 2).is_empty());
        places.stopped("a", &one, at);
        assert_eq!(places.connected("c", &one, 2), ["a".into()], "b came before it, but is connected");
        places.stopped("b", &two, at);
        places.stopped("c", &one, at);
        assert_eq!(places.take("a", Offset::ZERO), None, "forgotten");
        assert_eq!(places.take("c", Offset::ZERO), Some(at));
        assert!(places.take("b", Offset::new(9)).is_some(), "it was still connected, and is cut off");
        assert_eq!(one.mode(), crate::delivery::Mode::Ended);
    }
}
