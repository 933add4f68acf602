//! Readers whose packets leave in answers to polls (Engine.IO over HTTP), and the poll that waits.
//!
//! ```text
//!           begin_wait              nothing to say            something committed
//!  Idle ───────────────▶ Driven ───────────────────▶ Live ─────────────────────▶ Idle
//!                          │ packets waited, or events      the fan-out writes the answer
//!                          └──────────────────────────▶ Idle
//! ```
//!
//! Invariants:
//! - At most one poll waits; its answer is given once. Of two at a time the later is refused, whichever was
//!   read first.
//! - Between two polls nothing is read for the session: it costs a cursor.

use std::{
    io::IoSlice,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use anywire_log::{Channel, Offset, ReadRequest, Subscription};
use anywire_protocol::{
    engineio::{Beat, CLOSE, HeartbeatTimes, NOOP, PING},
    socketio::{ServerPacket, frames, payload},
};
use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    context::Delivery,
    drain::{Fetched, Outcome},
    namespaces::{Direct, Namespaces, Waiting},
    reader::{Reader, Wire},
    shared::{DeliveryCounters, Shared},
    sink::{PayloadSink, Sink, SocketSink},
    state::{Mode, State},
};
use crate::{
    http1::reply::{Recipient, head},
    reply::Reply,
};

/// Why a poll cannot wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitError {
    /// An earlier one does.
    Overlap,
    /// A later one did: it is refused, and this one learns that the session ends.
    Overtaken,
    /// The session has ended.
    Ended,
}

/// What became of a poll.
#[derive(Debug)]
pub(crate) enum Wait {
    /// Its payload: the caller answers.
    Answer(Bytes),
    /// There is nothing yet: the fan-out answers, or wakes the caller.
    Waits,
    /// What comes next is not in memory: read it and ask again.
    Behind(ReadRequest),
    /// It has been answered; what is left to write of it.
    Answered(Option<Bytes>),
    /// An earlier one came after all.
    Refused,
}

impl Reader {
    /// Whether its packets leave in answers to polls.
    pub(crate) fn polls(&self) -> bool {
        matches!(self.wire, Wire::Polled)
    }

    /// Says something to the client: at once if it can be written, else before anything that follows. Returns
    /// false if the connection is broken.
    pub(crate) fn send_packets(&self, delivery: &Delivery, packets: &[ServerPacket]) -> bool {
        if !self.polls() {
            return self.send(delivery, frames(packets));
        }
        let mut state = self.state.lock();
        if state.mode == Mode::Ended {
            return false;
        }
        state.unsent.push_back(payload(packets));
        self.answer_if_waiting(&mut state, delivery);
        true
    }

    /// Changes what the connection's namespaces follow, and queues what the client must hear about it first.
    /// Drain afterwards.
    pub(crate) fn change_namespaces<T>(
        &self,
        change: impl FnOnce(&mut Subscription, &mut Namespaces) -> (T, SmallVec<[ServerPacket; 2]>),
    ) -> Option<T> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let namespaces = state.namespaces.as_deref_mut().filter(|_| state.mode != Mode::Ended)?;
        let (done, packets) = change(&mut state.subscription, namespaces);
        let queued = packets.chunk_by(|_, next| matches!(next, ServerPacket::Binary(_)));
        if self.polls() {
            state.unsent.extend(queued.map(payload));
        } else {
            state.unsent.extend(queued.map(frames));
            state.mode = Mode::Driven;
        }
        Some(done)
    }

    /// After a change: answers the poll that waits, or wakes the task that drains.
    pub(crate) fn nudge(&self, delivery: &Delivery) {
        if self.polls() {
            self.answer_if_waiting(&mut self.state.lock(), delivery);
        } else {
            self.wake.notify_one();
        }
    }

    /// A poll has come, the `arrival`th request of all.
    pub(crate) fn begin_wait(
        &self,
        delivery: &Delivery,
        arrival: u64,
        direct: Option<Direct>,
    ) -> Result<u32, WaitError> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let ended = state.mode == Mode::Ended;
        let namespaces = state.namespaces.as_deref_mut().filter(|_| !ended).ok_or(WaitError::Ended)?;
        if let Some(other) = namespaces.waiting.take_if(|other| other.arrival > arrival) {
            namespaces.refused = Some(other.turn);
            return Err(WaitError::Overtaken);
        }
        if namespaces.waiting.is_some() {
            return Err(WaitError::Overlap);
        }
        namespaces.turn = namespaces.turn.wrapping_add(1);
        namespaces.confirmed = Some(state.subscription.cursor(Offset::MAX));
        namespaces.waiting = Some(Waiting { turn: namespaces.turn, arrival, direct });
        namespaces.answer = None;
        namespaces.heartbeat.taken(delivery.now_ms(), delivery.times);
        state.mode = Mode::Driven;
        Ok(namespaces.turn)
    }

    /// A poll has come to a session that its client has closed meanwhile: so it has what was answered before.
    pub(crate) fn confirm_polls(&self) {
        let mut state = self.state.lock();
        let confirmed = state.subscription.cursor(Offset::MAX);
        if let Some(namespaces) = &mut state.namespaces {
            namespaces.confirmed = Some(confirmed);
        }
    }

    /// Answers a poll if there is anything for it; `fetched` is what was read from the engine for it.
    pub(crate) fn advance_wait(&self, delivery: &Delivery, turn: u32, fetched: Option<Fetched>) -> Wait {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(namespaces) = state.namespaces.as_deref_mut() else { return Wait::Answered(None) };
        if namespaces.waiting.as_ref().is_none_or(|waiting| waiting.turn != turn) {
            if namespaces.refused == Some(turn) {
                return Wait::Refused;
            }
            let rest = namespaces.answer.take_if(|(whose, _)| *whose == turn);
            return Wait::Answered(rest.map(|(_, rest)| rest));
        }
        if state.mode == Mode::Ended {
            namespaces.waiting = None;
            return Wait::Answer(Bytes::from_static(CLOSE.as_bytes()));
        }
        let mut counters = DeliveryCounters::new(delivery.now_ms());
        let filled = self.fill(state, delivery, fetched, &mut counters);
        counters.add_counts_to(&delivery.metrics);
        if let Filled::Behind(request) = filled {
            state.mode = Mode::Driven;
            return Wait::Behind(request);
        }
        let payload = match filled {
            Filled::Payload(payload) => Some(payload),
            _ => self.noop_while_probing(state),
        };
        match payload {
            Some(payload) => {
                if let Some(namespaces) = &mut state.namespaces {
                    namespaces.waiting = None;
                }
                state.mode = Mode::Idle;
                delivery.metrics.polls.fetch_add(1, Relaxed);
                Wait::Answer(payload)
            }
            None => {
                state.mode = Mode::Live;
                Wait::Waits
            }
        }
    }

    fn noop_while_probing(&self, state: &State) -> Option<Bytes> {
        let probing = state.namespaces.as_ref().is_some_and(|namespaces| namespaces.probing);
        probing.then(|| Bytes::from_static(NOOP.as_bytes()))
    }

    /// Whether this poll still waits.
    pub(crate) fn waits(&self, turn: u32) -> bool {
        let state = self.state.lock();
        let waiting = state.namespaces.as_ref().and_then(|namespaces| namespaces.waiting.as_ref());
        state.mode == Mode::Live && waiting.is_some_and(|waiting| waiting.turn == turn)
    }

    /// Whether this poll is the one that is to be answered, waiting or being worked on.
    pub(crate) fn holds(&self, turn: u32) -> bool {
        let state = self.state.lock();
        let waiting = state.namespaces.as_ref().and_then(|namespaces| namespaces.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.turn == turn)
    }

    /// A WebSocket is tried, or has been given up: meanwhile a poll with nothing to bring does not wait.
    pub(crate) fn set_probing(&self, probing: bool) {
        if let Some(namespaces) = &mut self.state.lock().namespaces {
            namespaces.probing = probing;
        }
    }

    /// Whether a WebSocket is being tried.
    pub(crate) fn is_probing(&self) -> bool {
        self.state.lock().namespaces.as_ref().is_some_and(|namespaces| namespaces.probing)
    }

    /// Releases the poll that waits, so that the client can stop polling.
    pub(crate) fn release_poll(&self, delivery: &Delivery) {
        self.release(&mut self.state.lock(), delivery, NOOP);
    }

    /// Ends the session; the poll that waits, if one does, is answered with this last packet.
    pub(crate) fn end_polls(&self, delivery: &Delivery, packet: &'static str) -> bool {
        let mut state = self.state.lock();
        let waits = state.namespaces.as_ref().is_some_and(|namespaces| namespaces.waiting.is_some());
        self.release(&mut state, delivery, packet);
        state.mode = Mode::Ended;
        drop(state);
        self.let_go();
        waits
    }

    /// Wakes every task that still watches the connection of an earlier poll: they hold what has ended.
    fn let_go(&self) {
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    /// What another reader needs to go on where this one stops; this one ends.
    pub(crate) fn begin_handover(&self, delivery: &Delivery) -> Option<Handover> {
        let mut state = self.state.lock();
        if state.mode == Mode::Ended {
            return None;
        }
        self.release(&mut state, delivery, NOOP);
        state.mode = Mode::Ended;
        self.let_go();
        Some(Handover {
            subscription: state.subscription.clone(),
            namespaces: state.namespaces.take()?,
            unsent: std::mem::take(&mut state.unsent).into(),
            delivered: state.delivered,
        })
    }

    /// Goes on where another reader stopped. Drain afterwards.
    pub(crate) fn take_over(&self, delivery: &Delivery, from: Handover) {
        let mut state = self.state.lock();
        state.subscription = from.subscription;
        let mut namespaces =
            Namespaces { probing: false, answer: None, refused: None, confirmed: None, ..*from.namespaces };
        // A ping that waited for a poll goes out now.
        namespaces.heartbeat.taken(delivery.now_ms(), delivery.times);
        state.namespaces = Some(Box::new(namespaces));
        state.unsent.extend(from.unsent.iter().map(anywire_protocol::socketio::reframe));
        state.delivered = from.delivered;
        state.mode = Mode::Driven;
    }

    /// Makes this a Socket.IO reader.
    pub(crate) fn set_namespaces(&self, namespaces: Namespaces) {
        self.state.lock().namespaces = Some(Box::new(namespaces));
    }

    /// Where its client stands for all that is known here: what a poll was answered with may not have
    /// arrived.
    pub(crate) fn stopped_at(&self, tail: Offset) -> Offset {
        let state = self.state.lock();
        let written = state.subscription.cursor(tail);
        let confirmed = state.namespaces.as_ref().and_then(|namespaces| namespaces.confirmed);
        confirmed.map_or(written, |confirmed| confirmed.min(written))
    }

    /// The private ids of its sockets.
    pub(crate) fn private_ids(&self) -> Vec<Box<str>> {
        let state = self.state.lock();
        let namespaces = state.namespaces.iter().flat_map(|namespaces| namespaces.list.iter());
        namespaces.filter_map(|entry| entry.recovery.clone()).collect()
    }

    /// The namespace in which a socket has this public id.
    pub(crate) fn namespace_of(&self, socket: &str) -> Option<Arc<str>> {
        let state = self.state.lock();
        let mut namespaces = state.namespaces.iter().flat_map(|namespaces| namespaces.list.iter());
        namespaces.find(|entry| &*entry.socket == socket).map(|entry| Arc::clone(&entry.namespace))
    }

    /// Whether something said now would leave now.
    pub(crate) fn takes_at_once(&self) -> bool {
        let state = self.state.lock();
        state.mode == Mode::Live && state.unsent.is_empty()
    }

    /// Ends a namespace; returns the channels that no other namespace follows, and the private id its socket
    /// had.
    pub(crate) fn disconnect(&self, namespace: &str) -> Option<(Vec<Channel>, Option<Box<str>>)> {
        self.change_namespaces(|subscription, namespaces| {
            let private_id = namespaces.find(namespace).and_then(|entry| entry.recovery.clone());
            let gone = namespaces.remove(namespace);
            for channel in &gone {
                subscription.remove(channel);
            }
            ((gone, private_id), SmallVec::new())
        })
    }

    /// What a namespace follows.
    pub(crate) fn rooms(&self, namespace: &str) -> Vec<Channel> {
        let mut state = self.state.lock();
        let entry = state.namespaces.as_deref_mut().and_then(|namespaces| namespaces.find(namespace));
        entry
            .map(|entry| entry.channels.iter().map(|(channel, _)| channel.clone()).collect())
            .unwrap_or_default()
    }

    /// A packet of the client has come.
    pub(crate) fn record_packet(&self, now_ms: u64, times: HeartbeatTimes) {
        if let Some(namespaces) = &mut self.state.lock().namespaces {
            namespaces.heartbeat.received(now_ms, times);
        }
    }

    /// Looks after a session that polls; false when it has ended or has to.
    pub(crate) fn tick_session(&self, delivery: &Delivery, now_ms: u64, times: HeartbeatTimes) -> bool {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(namespaces) = state.namespaces.as_deref_mut().filter(|_| state.mode != Mode::Ended) else {
            return false;
        };
        if namespaces.ends_ms.is_some_and(|ends_ms| now_ms >= ends_ms) {
            return false;
        }
        match namespaces.heartbeat.tick(now_ms, times, namespaces.waiting.is_some()) {
            Beat::Nothing => {}
            Beat::Dead => return false,
            Beat::Ping => {
                state.unsent.push_back(Bytes::from_static(PING.as_bytes()));
                self.answer_if_waiting(state, delivery);
            }
        }
        true
    }

    /// The fan-out's turn for a poll that waits.
    pub(super) fn on_commit_polled(
        &self,
        delivery: &Delivery,
        shared: &mut Shared<'_>,
        counters: &mut DeliveryCounters,
    ) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.mode != Mode::Live {
            return;
        }
        let encoding = state.namespaces.as_ref().and_then(|namespaces| namespaces.shared_encoding(true));
        if let Some(encoding) = encoding.filter(|_| state.unsent.is_empty())
            && let Some(read) = shared.read_for(&state.subscription, delivery)
        {
            if !read.events.is_empty() {
                let payload = read.payload(&encoding, delivery.terms());
                state.count(read.events.len(), payload.len(), counters);
                state.subscription.advance(read.through);
                self.answer(state, delivery, payload);
            }
            return;
        }
        match self.fill(state, delivery, None, counters) {
            Filled::Payload(payload) => self.answer(state, delivery, payload),
            Filled::Nothing => {}
            Filled::Behind(_) => {
                state.mode = Mode::Driven;
                self.wake.notify_one();
            }
        }
    }

    fn answer_if_waiting(&self, state: &mut State, delivery: &Delivery) {
        if state.mode != Mode::Live {
            return;
        }
        let mut counters = DeliveryCounters::new(delivery.now_ms());
        match self.fill(state, delivery, None, &mut counters) {
            Filled::Payload(payload) => self.answer(state, delivery, payload),
            Filled::Nothing => {}
            Filled::Behind(_) => {
                state.mode = Mode::Driven;
                self.wake.notify_one();
            }
        }
        counters.add_counts_to(&delivery.metrics);
    }

    /// Answers the poll that waits, if one does, with this packet: also one whose task is reading for it, and
    /// then finds it answered.
    fn release(&self, state: &mut State, delivery: &Delivery, packet: &'static str) {
        self.answer(state, delivery, Bytes::from_static(packet.as_bytes()));
    }

    /// Everything there is for one answer, by the one function that delivers.
    fn fill(
        &self,
        state: &mut State,
        delivery: &Delivery,
        fetched: Option<Fetched>,
        counters: &mut DeliveryCounters,
    ) -> Filled {
        let mut sink = PayloadSink::new(delivery.drain_bytes_max);
        let outcome = self.drain_locked(state, delivery, &mut sink, fetched, counters);
        let payload = sink.take();
        match outcome {
            _ if !payload.is_empty() => Filled::Payload(payload),
            Outcome::Behind(request) => Filled::Behind(request),
            _ => Filled::Nothing,
        }
    }

    /// Gives the waiting poll its answer: on its socket if the fan-out may write there, else through its
    /// task.
    fn answer(&self, state: &mut State, delivery: &Delivery, payload: Bytes) {
        let Some(namespaces) = &mut state.namespaces else { return };
        let Some(waiting) = namespaces.waiting.take() else { return };
        state.mode = Mode::Idle;
        delivery.metrics.polls.fetch_add(1, Relaxed);
        let Some((stream, origin)) = waiting.direct else {
            namespaces.answer = Some((waiting.turn, payload));
            return self.wake.notify_one();
        };
        let reply = Reply::packets(payload.clone());
        let head = head(&reply, Recipient::new(&delivery.cors, origin.as_deref()));
        let slices = [IoSlice::new(&head), IoSlice::new(&payload)];
        let written = SocketSink(&stream).write(&slices).unwrap_or(0);
        if written < head.len() + payload.len() {
            let rest = [head, payload].concat().split_off(written);
            namespaces.answer = Some((waiting.turn, rest.into()));
            return self.wake.notify_one();
        }
        self.wake_if_wanted();
    }
}

enum Filled {
    Payload(Bytes),
    Nothing,
    Behind(ReadRequest),
}

/// A session on its way from one reader to another.
pub(crate) struct Handover {
    subscription: Subscription,
    namespaces: Box<Namespaces>,
    unsent: Vec<Bytes>,
    delivered: u64,
}

#[cfg(test)]
mod tests {
    use anywire_log::{Log, MemoryEngine, RetentionRules, SystemClock, TailConfig, Timestamp};
    use anywire_protocol::engineio::Heartbeat;

    use super::*;
    use crate::{
        admission::cors::Cors,
        delivery::{Mode, ReaderInfo},
        metrics::Transport,
    };

    fn delivery() -> Delivery {
        let rules = RetentionRules::default();
        let engine = MemoryEngine::new(rules.clone(), Arc::new(SystemClock)).expect("randomness");
        let log = Log::start(Arc::new(engine), rules, TailConfig::default());
        let times = HeartbeatTimes { interval_ms: 25_000, timeout_ms: 20_000, look_ms: 500 };
        Delivery::new(log, Arc::default(), Arc::default(), 1 << 18, 25_000, times, Cors::default())
    }

    fn reader(delivery: &Delivery) -> Arc<Reader> {
        reader_on(Wire::Polled, delivery)
    }

    fn reader_on(wire: Wire, delivery: &Delivery) -> Arc<Reader> {
        let info = ReaderInfo {
            client: "c".into(),
            address: [127, 0, 0, 1].into(),
            connected_at: Timestamp::default(),
        };
        let reader = Reader::new(Transport::SocketIo, info, 0, wire, 0);
        reader.set_namespaces(Namespaces::new(Heartbeat::new(0, delivery.times), None));
        reader
    }

    #[tokio::test]
    async fn of_two_polls_at_a_time_the_later_is_refused_whichever_is_read_first() {
        let delivery = delivery();
        let in_order = reader(&delivery);
        let first = in_order.begin_wait(&delivery, 1, None).expect("it waits");
        assert!(matches!(in_order.advance_wait(&delivery, first, None), Wait::Waits));
        assert_eq!(in_order.begin_wait(&delivery, 2, None), Err(WaitError::Overlap));
        in_order.end_polls(&delivery, CLOSE);
        let Wait::Answered(Some(packet)) = in_order.advance_wait(&delivery, first, None) else {
            panic!("the first is answered")
        };
        assert_eq!(packet, CLOSE);
        let overtaken = reader(&delivery);
        let second = overtaken.begin_wait(&delivery, 2, None).expect("it waits");
        assert_eq!(overtaken.begin_wait(&delivery, 1, None), Err(WaitError::Overtaken));
        overtaken.end_polls(&delivery, CLOSE);
        assert!(matches!(overtaken.advance_wait(&delivery, second, None), Wait::Refused));
    }

    #[tokio::test]
    async fn who_has_not_read_the_ping_yet_is_not_taken_for_dead_over_tls_either() {
        let delivery = delivery();
        let reader = reader_on(Wire::Woken, &delivery);
        let lasts_until = |seconds: std::ops::Range<u64>| {
            seconds.into_iter().find(|second| {
                reader.tick(&delivery, delivery.log.tail_offset(), second * 1000);
                reader.mode() == Mode::Ended
            })
        };
        reader.set_writing(true);
        assert_eq!(lasts_until(0..300), None, "its connection is full");
        let _ping = reader.take_unsent();
        reader.set_writing(false);
        assert!(lasts_until(300..400).is_some(), "it had time to answer");
    }

    #[tokio::test]
    async fn a_poll_is_released_also_while_its_task_reads_for_it() {
        let delivery = delivery();
        let reader = reader(&delivery);
        let turn = reader.begin_wait(&delivery, 1, None).expect("it waits");
        assert!(reader.end_polls(&delivery, NOOP), "a poll was there");
        let Wait::Answered(Some(packet)) = reader.advance_wait(&delivery, turn, None) else {
            panic!("it is answered")
        };
        assert_eq!(packet, NOOP);
    }
}
