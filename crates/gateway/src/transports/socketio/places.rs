//! Where this process' Socket.IO clients with recovery are, or stopped.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
};

use anywire_log::{Channel, Offset};
use parking_lot::Mutex;

use crate::delivery::Reader;

/// How many of those who came first are looked at, when there are too many, for one that is not connected any
/// more.
const LOOKS_MAX: usize = 8;

/// A channel somebody has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) channel: Channel,
    /// After which offset.
    pub(super) from: Offset,
    /// The client named that place itself: it may lie before what it had seen of other channels.
    pub(super) named: bool,
}

impl Room {
    /// About the bytes it takes in a record.
    pub(super) fn bytes(&self) -> usize {
        self.channel.as_str().len() + 32
    }
}

/// Where this process' own sockets are, or stopped.
#[derive(Default)]
pub(crate) struct Places(Mutex<Known>);

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

    fn stopped(&self, pid: &str, reader: &Arc<Reader>, at: Offset) {
        if let Some(place) = self.0.lock().places.get_mut(pid)
            && matches!(place, Place::Connected(held) if std::ptr::eq(held.as_ptr(), Arc::as_ptr(reader)))
        {
            *place = Place::Stopped(at);
        }
    }

    /// Where a socket stopped. One that still seems to be connected is cut off: its client has come back.
    pub(super) fn take(&self, pid: &str, tail: Offset) -> Option<Offset> {
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

    /// Another reader goes on for the sockets of a connection.
    pub(super) fn record_moved(&self, reader: &Arc<Reader>) {
        for pid in reader.private_ids() {
            // It is known already, under the reader before: nobody has to make room.
            let _nobody = self.connected(&pid, reader, usize::MAX);
        }
    }

    /// A Socket.IO connection has ended: where it stopped is where its client may go on.
    pub(crate) fn record_stopped(&self, reader: &Arc<Reader>, tail: Offset) {
        for pid in reader.private_ids() {
            self.stopped(&pid, reader, reader.stopped_at(tail));
        }
    }
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
