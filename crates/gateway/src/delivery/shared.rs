//! Reads that neighbours in a walk share, and what a walk counts.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anywire_log::{ChannelTail, Epoch, Event, Offset, Peek, ReadLimit, Subscription};
use anywire_protocol::engineio::SEPARATOR;
use bytes::Bytes;
use smallvec::SmallVec;

use super::{context::Delivery, spaces::VoiceKey};
use crate::metrics::{Metrics, Transport};

/// What a turn of a walk delivered; added to the metrics at its end.
pub(super) struct Tally {
    /// The coarse time of the turn, read once.
    pub(super) now_ms: u64,
    pub(super) deliveries: u64,
    pub(super) bytes: u64,
}

impl Tally {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { now_ms, deliveries: 0, bytes: 0 }
    }

    pub(super) fn add_to(&self, metrics: &Metrics, latency: Duration) {
        if self.deliveries > 0 {
            metrics.delivery_latency.observe(latency, self.deliveries);
        }
        self.add_counts_to(metrics);
    }

    pub(super) fn add_counts_to(&self, metrics: &Metrics) {
        metrics.deliveries.fetch_add(self.deliveries, Relaxed);
        metrics.delivered_bytes.fetch_add(self.bytes, Relaxed);
    }
}

/// One read of the tail that neighbours in a walk share who stand at the same place: nearly all of them do.
pub(super) struct Shared<'a> {
    tail: &'a Arc<ChannelTail>,
    read: Option<SharedRead>,
}

pub(super) struct SharedRead {
    pub(super) after: Offset,
    pub(super) through: Offset,
    pub(super) events: Vec<Arc<Event>>,
    /// The whole answer to a poll without credentials and CORS, header and all.
    pub(super) answer: Option<Bytes>,
    /// The events as those get them to whom they look alike.
    pieces: SmallVec<[(Look, Piece); 1]>,
}

/// For how many looks a shared read keeps bytes; another one takes the place of the last.
const LOOKS_MAX: usize = 8;

/// How the same events look to different readers.
#[derive(PartialEq, Eq)]
pub(super) enum Look {
    /// As to most readers of a transport.
    Plain(Transport),
    /// As to Socket.IO clients with the same voice.
    Voice(VoiceKey),
}

/// All events of a read in one piece: the bytes are copied once for all neighbours, and each of them is
/// written to with one plain call.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// Each event's bytes, which whose socket is full keeps instead: a rest must not hold the whole piece in
    /// memory.
    pub(super) each: Vec<Bytes>,
}

impl Piece {
    fn of(each: Vec<Bytes>) -> Self {
        let bytes = match each.as_slice() {
            [one] => one.clone(),
            many => many.concat().into(),
        };
        Self { bytes, each }
    }
}

impl SharedRead {
    /// The events in one piece; `plain` encodes one as most readers of the transport get it.
    pub(super) fn piece(
        &mut self,
        look: Look,
        events: &[Arc<Event>],
        plain: impl Fn(&Event) -> Bytes,
        epoch: Epoch,
    ) -> &Piece {
        self.kept(look, |look| {
            let encode = |event: &Arc<Event>| match look {
                Look::Plain(_) => plain(event),
                Look::Voice(voice) => voice.encode(event, epoch),
            };
            Piece::of(events.iter().map(encode).collect())
        })
    }

    /// All events in a voice, as the payload of a poll's answer.
    pub(super) fn payload(&mut self, voice: &VoiceKey, epoch: Epoch) -> Bytes {
        let events = std::mem::take(&mut self.events);
        let payload = self.kept(Look::Voice(voice.clone()), |_| {
            let packets: Vec<Bytes> = events.iter().map(|event| voice.encode(event, epoch)).collect();
            Piece::of(vec![packets.join(&SEPARATOR).into()])
        });
        let payload = payload.bytes.clone();
        self.events = events;
        payload
    }

    fn kept(&mut self, look: Look, make: impl FnOnce(&Look) -> Piece) -> &Piece {
        let at = match self.pieces.iter().position(|(known, _)| *known == look) {
            Some(at) => at,
            None => {
                self.pieces.truncate(LOOKS_MAX - 1);
                let piece = make(&look);
                self.pieces.push((look, piece));
                self.pieces.len() - 1
            }
        };
        &self.pieces[at].1
    }
}

impl<'a> Shared<'a> {
    pub(super) fn new(tail: &'a Arc<ChannelTail>) -> Self {
        Self { tail, read: None }
    }
}

impl Shared<'_> {
    /// Reads anew for the next reader if there is news: what was committed meanwhile goes into the same
    /// write. So while events keep coming, a walk that goes round and round gives each reader everything
    /// since its last visit at once.
    pub(super) fn refresh(&mut self) {
        self.read.take_if(|read| self.tail.has_after(read.through));
    }

    /// The shared read, if it fits this reader; else one made for it, which its neighbours share.
    pub(super) fn read_for(
        &mut self,
        subscription: &Subscription,
        delivery: &Delivery,
    ) -> Option<&mut SharedRead> {
        if !self.read.as_ref().is_some_and(|read| subscription.needs_only(self.tail, read.after)) {
            self.make(subscription, delivery);
        }
        self.read.as_mut()
    }

    fn make(&mut self, subscription: &Subscription, delivery: &Delivery) {
        self.read = None;
        let after = subscription.cursor(delivery.log.tail_offset());
        if !subscription.needs_only(self.tail, after) {
            return;
        }
        let mut events = Vec::new();
        let limit = ReadLimit { events_max: 256, bytes_max: delivery.drain_bytes_max };
        if let Peek::Ready { through, live: true } = subscription.peek(&delivery.log, limit, &mut events) {
            self.read = Some(SharedRead { after, through, events, answer: None, pieces: SmallVec::new() });
        }
    }
}
