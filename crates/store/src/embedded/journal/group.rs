//! A group: the batches that are committed together, in one write and with one sync.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use anywire_log::{AppendError, Appended, Channel, Event, IdempotencyKey, Offset};
use tokio::sync::oneshot;

use crate::embedded::segment::layout::Place;

/// How large the buffer may stay between groups.
const BUFFER_BYTES_KEPT: usize = 16 << 20;

type Newest = HashMap<Channel, Offset, foldhash::fast::RandomState>;

/// Batches that are committed together.
#[derive(Default)]
pub(crate) struct Group {
    pub(super) buffer: Vec<u8>,
    pub(super) events: Vec<Arc<Event>>,
    /// Where each event stands; none for ephemeral ones.
    pub(super) places: Vec<Option<Place>>,
    pub(super) members: Vec<Member>,
    /// Keys of its members: a second batch with one of them has to wait for the first.
    pub(super) keys: HashSet<String>,
    /// The newest offset on each channel among the first `examined` events; none until a batch expects
    /// something.
    newest: Option<Newest>,
    examined: usize,
    pub(super) reserved: Option<u64>,
}

/// A batch of the group.
pub(super) struct Member {
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    pub(super) appended: Appended,
    /// Whether anything of it is written.
    pub(super) durable: bool,
    /// Its key and fingerprint.
    pub(super) key: Option<(IdempotencyKey, u64)>,
}

impl Group {
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.events.clear();
        self.places.clear();
        self.members.clear();
        self.keys.clear();
        self.newest = None;
        self.examined = 0;
        self.reserved = None;
    }

    /// The newest offset that the group gives on a channel. Cost: each event of the group is looked at once,
    /// and none in a group in which nobody expects anything.
    pub(super) fn newest_on(&mut self, channel: &Channel) -> Option<Offset> {
        let newest = self.newest.get_or_insert_default();
        for event in &self.events[self.examined..] {
            newest.insert(event.channel.clone(), event.offset);
        }
        self.examined = self.events.len();
        newest.get(channel).copied()
    }

    /// Answers those whose events could not be written; what is left is ephemeral, within what is reserved.
    pub(super) fn drop_durable(&mut self, error: &AppendError, reserved: u64) {
        let events = std::mem::take(&mut self.events);
        self.places.clear();
        let mut from = 0;
        for member in std::mem::take(&mut self.members) {
            let to = from + member.appended.count as usize;
            if member.durable || member.appended.last().get() > reserved {
                let _gone = member.answer.send(Err(error.clone()));
            } else {
                self.events.extend_from_slice(&events[from..to]);
                self.places.resize(self.events.len(), None);
                self.members.push(member);
            }
            from = to;
        }
    }
}
