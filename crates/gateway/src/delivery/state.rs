//! What a reader's lock guards: its cursor, its mode, and the bytes that wait for the socket.
//!
//! Invariants:
//! - `unsent` holds control frames and the rest of one event, never a queue of events.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use anywire_access::Principal;
use anywire_log::{Cursor, Event, Subscription};
use anywire_protocol::{
    liveness::Liveness,
    poll::{self, Caching},
};
use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    context::Delivery,
    namespaces::Namespaces,
    shared::{DeliveryCounters, SharedRead},
    sink::Sink,
};
use crate::{
    http1::reply::{Recipient, head, whole},
    metrics::Metrics,
    reply::Reply,
};

/// Who drives a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The fan-out: everything is written, the socket is ready.
    Live,
    /// The reader's own task: the socket is full, or the reader is behind the tail.
    Driven,
    /// Nobody: a poller between two requests.
    Idle,
    /// The connection has ended.
    Ended,
}

/// How a waiting poll is to be answered.
#[derive(Debug, Clone)]
pub(crate) struct PollTerms {
    /// The origin of the page that may read the answer.
    pub(crate) origin: Option<Box<str>>,
    pub(crate) credentials: bool,
    pub(crate) limit: usize,
    /// The most that caches may do with the answer.
    pub(crate) caching: Caching,
    pub(crate) deadline_ms: u64,
    /// The canonical cursor while there is nothing new.
    pub(crate) cursor: Cursor,
}

/// In this order: see [`super::Reader`].
#[repr(C)]
pub(super) struct State {
    pub(super) mode: Mode,
    pub(super) behind: bool,
    /// The connection's task is writing, and waits until the peer takes it: of connections that another
    /// library writes.
    pub(super) writing: bool,
    /// Its client was here before, and has not gone on from its cursor yet.
    pub(super) returned: bool,
    pub(super) subscription: Subscription,
    /// What only Socket.IO has.
    pub(super) namespaces: Option<Box<Namespaces>>,
    pub(super) delivered: u64,
    pub(super) bytes: u64,
    pub(super) liveness: Liveness,
    pub(super) unsent: VecDeque<Bytes>,
    pub(super) poll: Option<Box<PollTerms>>,
    pub(super) acked: Option<Cursor>,
    pub(super) resumes: u32,
    pub(super) gaps: u32,
    /// Whose connection it is, as far as that is known.
    pub(super) principal: Option<Principal>,
}

pub(super) enum Flushed {
    All,
    Full,
    Broken,
}

impl State {
    /// Writes what waits.
    pub(super) fn flush(&mut self, sink: &mut impl Sink) -> Flushed {
        while !self.unsent.is_empty() {
            let slices: SmallVec<[IoSlice<'_>; 8]> =
                self.unsent.iter().take(8).map(|b| IoSlice::new(b)).collect();
            let written = sink.write(&slices);
            drop(slices);
            match written {
                Ok(0) => return Flushed::Broken,
                Ok(written) => {
                    self.bytes += written as u64;
                    self.forget_sent(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::Full,
                Err(_) => return Flushed::Broken,
            }
        }
        if self.unsent.capacity() > 0 {
            self.unsent = VecDeque::new();
        }
        Flushed::All
    }

    fn forget_sent(&mut self, mut written: usize) {
        while let Some(front) = self.unsent.front_mut() {
            if written < front.len() {
                let _sent = front.split_to(written);
                return;
            }
            written -= front.len();
            self.unsent.pop_front();
        }
    }

    /// Keeps the rest of the event that was written in part; returns how many events were begun.
    pub(super) fn keep_rest<'e>(
        &mut self,
        encoded: impl IntoIterator<Item = &'e Bytes>,
        mut written: usize,
    ) -> usize {
        let mut begun = 0;
        for bytes in encoded {
            if written < bytes.len() {
                if written > 0 {
                    self.unsent.push_back(bytes.slice(written..));
                    begun += 1;
                }
                return begun;
            }
            written -= bytes.len();
            begun += 1;
        }
        begun
    }

    pub(super) fn count(&mut self, events: usize, bytes: usize, counters: &mut DeliveryCounters) {
        self.delivered += events as u64;
        self.bytes += bytes as u64;
        self.liveness.sent(counters.now_ms);
        counters.deliveries += events as u64;
        counters.bytes += bytes as u64;
    }

    pub(super) fn set_behind(&mut self, behind: bool, metrics: &Metrics) {
        if self.behind != behind {
            self.behind = behind;
            metrics.slow_readers.fetch_add(if behind { 1 } else { -1 }, Relaxed);
        }
    }

    /// Queues the answer to the waiting poll; the reader is idle then.
    pub(super) fn answer(&mut self, events: &[Arc<Event>], delivery: &Delivery) {
        let Some(terms) = self.poll.take() else { return };
        let events = &events[..events.len().min(terms.limit)];
        let cursor = events.last().map_or(terms.cursor, |event| delivery.log.cursor(event.offset));
        let answer = poll::answer(cursor, events, None, events.len() >= terms.limit).at_most(terms.caching);
        let body = answer.body.clone();
        let reply = Reply::events(answer, terms.credentials);
        self.unsent.push_back(head(&reply, Recipient::new(&delivery.cors, terms.origin.as_deref())));
        self.unsent.push_back(body);
        self.mode = Mode::Idle;
        delivery.metrics.polls.fetch_add(1, Relaxed);
    }

    pub(super) fn answer_shared(&mut self, read: &mut SharedRead, delivery: &Delivery) {
        let common = self.poll.as_ref().is_some_and(|terms| {
            let plain = terms.origin.is_none() && !terms.credentials && terms.caching >= Caching::Briefly;
            plain && terms.limit > read.events.len()
        });
        let Some(last) = read.events.last().filter(|_| common) else {
            return self.answer(&read.events, delivery);
        };
        let answer = read.answer.get_or_insert_with(|| {
            let answer = poll::answer(delivery.log.cursor(last.offset), &read.events, None, false);
            whole(&Reply::events(answer, false), Recipient::new(&delivery.cors, None))
        });
        self.unsent.push_back(answer.clone());
        self.poll = None;
        self.mode = Mode::Idle;
        delivery.metrics.polls.fetch_add(1, Relaxed);
    }
}
