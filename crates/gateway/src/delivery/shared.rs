//! Reads that neighbours in a pass share, and what a pass counts.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anywire_log::{ChannelTail, Event, Offset, Peek, ReadLimit, Subscription};
use anywire_protocol::engineio::SEPARATOR;
use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    context::{Delivery, Terms},
    namespaces::EncodingKey,
};
use crate::metrics::{Metrics, Transport};

/// What a turn of a pass delivered; added to the metrics at its end.
pub(super) struct DeliveryCounters {
    /// The coarse time of the turn, read once.
    pub(super) now_ms: u64,
    pub(super) deliveries: u64,
    pub(super) bytes: u64,
}

impl DeliveryCounters {
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

/// One read of the tail that neighbours in a pass share who stand at the same place: nearly all of them do.
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
    frames: SmallVec<[(SharedKey, SharedFrame); 1]>,
}

/// For how many looks a shared read keeps bytes; another one takes the place of the last.
const KEYS_MAX: usize = 8;

/// How the same events look to different readers.
#[derive(PartialEq, Eq)]
pub(super) enum SharedKey {
    /// As to most readers of a transport.
    Plain(Transport),
    /// As to Socket.IO clients with the same encoding.
    Encoding(EncodingKey),
}

/// All events of a read in one frame: the bytes are copied once for all neighbours, and each of them is
/// written to with one plain call.
pub(super) struct SharedFrame {
    pub(super) bytes: Bytes,
    /// Each event's bytes, which whose socket is full keeps instead: a rest must not hold the whole frame in
    /// memory.
    pub(super) each: Vec<Bytes>,
}

impl SharedFrame {
    fn of(each: Vec<Bytes>) -> Self {
        let bytes = match each.as_slice() {
            [one] => one.clone(),
            many => many.concat().into(),
        };
        Self { bytes, each }
    }
}

impl SharedRead {
    /// The events in one frame; `plain` encodes one as most readers of the transport get it.
    pub(super) fn frame(
        &mut self,
        key: SharedKey,
        events: &[Arc<Event>],
        plain: impl Fn(&Event) -> Bytes,
        terms: Terms<'_>,
    ) -> &SharedFrame {
        self.kept(key, |key| {
            let encode = |event: &Arc<Event>| match key {
                SharedKey::Plain(_) => plain(event),
                SharedKey::Encoding(encoding) => encoding.encode(event, terms),
            };
            SharedFrame::of(events.iter().map(encode).collect())
        })
    }

    /// All events in one encoding, as the payload of a poll's answer.
    pub(super) fn payload(&mut self, encoding: &EncodingKey, terms: Terms<'_>) -> Bytes {
        let events = std::mem::take(&mut self.events);
        let payload = self.kept(SharedKey::Encoding(encoding.clone()), |_| {
            let packets: Vec<Bytes> = events.iter().map(|event| encoding.encode(event, terms)).collect();
            SharedFrame::of(vec![packets.join(&SEPARATOR).into()])
        });
        let payload = payload.bytes.clone();
        self.events = events;
        payload
    }

    fn kept(&mut self, key: SharedKey, make: impl FnOnce(&SharedKey) -> SharedFrame) -> &SharedFrame {
        let at = match self.frames.iter().position(|(known, _)| *known == key) {
            Some(at) => at,
            None => {
                self.frames.truncate(KEYS_MAX - 1);
                let frame = make(&key);
                self.frames.push((key, frame));
                self.frames.len() - 1
            }
        };
        &self.frames[at].1
    }
}

impl<'a> Shared<'a> {
    pub(super) fn new(tail: &'a Arc<ChannelTail>) -> Self {
        Self { tail, read: None }
    }
}

impl Shared<'_> {
    /// Reads anew for the next reader if there is news: what was committed meanwhile goes into the same
    /// write. So while events keep coming, a pass that goes round and round gives each reader everything
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
            self.read = Some(SharedRead { after, through, events, answer: None, frames: SmallVec::new() });
        }
    }
}
