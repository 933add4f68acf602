//! The one function that delivers: *write from the cursor on until there is nothing more, or the socket is
//! full*.
//!
//! The cursor moves only past what was written, so a reader whose socket is full holds at most the rest of
//! one event.

use std::{
    io::{self, IoSlice},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use anywire_log::{Event, Gap, Offset, Peek, ReadBatch, ReadLimit, ReadRequest};
use anywire_protocol::{
    poll,
    socketio::{frames, payload},
};
use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    context::Delivery,
    reader::{Reader, Wire},
    shared::{DeliveryCounters, Shared, SharedFrame, SharedKey, SharedRead},
    sink::{Sink, SocketSink},
    state::{Flushed, Mode, State},
};

/// How many slices one write takes.
const SLICES_MAX: usize = 64;

/// Why a drain stopped.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Everything is written.
    Live,
    /// The socket is full.
    Full,
    /// The budget is used up; there is more.
    More,
    /// The tail does not hold what comes next: read it, and drain again with it.
    Behind(ReadRequest),
    /// A poll has its answer.
    Answered,
    /// The connection is broken.
    Broken,
}

/// Events read from the engine for a reader that was behind the tail.
pub(crate) struct Fetched {
    pub(crate) batch: ReadBatch,
    pub(crate) gap: Option<Gap>,
}

/// What [`Reader::next`] found.
enum Next {
    Events { through: Offset, live: bool },
    Told,
    Behind(ReadRequest),
}

enum Written {
    All(usize),
    Part,
    Broken,
}

impl Reader {
    /// The reader's own task drains: what it fetched from the engine, then the tail. Afterwards the reader is
    /// live if it could be.
    pub(crate) fn drain(
        &self,
        delivery: &Delivery,
        sink: &mut impl Sink,
        fetched: Option<Fetched>,
    ) -> Outcome {
        let mut state = self.state.lock();
        if state.mode == Mode::Ended {
            return Outcome::Broken;
        }
        let mut counters = DeliveryCounters::new(delivery.now_ms());
        let outcome = self.drain_locked(&mut state, delivery, sink, fetched, &mut counters);
        counters.add_counts_to(&delivery.metrics);
        let slow = matches!(outcome, Outcome::Full | Outcome::More | Outcome::Behind(_));
        state.set_behind(slow && !matches!(self.wire, Wire::Woken), &delivery.metrics);
        match &outcome {
            Outcome::Live if matches!(self.wire, Wire::Direct(_)) => state.mode = Mode::Live,
            Outcome::Answered => state.mode = Mode::Idle,
            _ => state.mode = Mode::Driven,
        }
        outcome
    }

    /// The fan-out's turn: something on a channel was committed.
    pub(super) fn on_commit(
        &self,
        delivery: &Delivery,
        shared: &mut Shared<'_>,
        counters: &mut DeliveryCounters,
    ) {
        let stream = match &self.wire {
            Wire::Direct(stream) => stream,
            Wire::Woken => return self.wake.notify_one(),
            Wire::Polled => return self.on_commit_polled(delivery, shared, counters),
        };
        let mut state = self.state.lock();
        if state.mode != Mode::Live || self.transport.is_held_back(&delivery.lab) {
            return;
        }
        let mut sink = SocketSink(stream);
        let outcome = match shared.read_for(&state.subscription, delivery) {
            Some(read) => self.deliver_shared(&mut state, delivery, &mut sink, read, counters),
            None => self.drain_locked(&mut state, delivery, &mut sink, None, counters),
        };
        match outcome {
            Outcome::Live => {}
            Outcome::Answered => self.wake_if_wanted(),
            Outcome::Broken => {
                state.mode = Mode::Driven;
                self.wake.notify_one();
            }
            Outcome::Full | Outcome::More | Outcome::Behind(_) => self.hand_over(&mut state, delivery),
        }
    }

    pub(super) fn hand_over(&self, state: &mut State, delivery: &Delivery) {
        state.mode = Mode::Driven;
        state.set_behind(true, &delivery.metrics);
        self.wake.notify_one();
    }

    pub(super) fn wake_if_wanted(&self) {
        if self.wake_on_answer.load(Relaxed) {
            self.wake.notify_one();
        }
    }

    pub(super) fn drain_locked(
        &self,
        state: &mut State,
        delivery: &Delivery,
        sink: &mut impl Sink,
        mut fetched: Option<Fetched>,
        counters: &mut DeliveryCounters,
    ) -> Outcome {
        let mut budget = delivery.drain_bytes_max;
        let mut events = Vec::new();
        loop {
            match state.flush(sink) {
                Flushed::All => {}
                Flushed::Full => return Outcome::Full,
                Flushed::Broken => return Outcome::Broken,
            }
            if self.transport.answers_requests() && state.poll.is_none() {
                return Outcome::Answered;
            }
            if budget == 0 {
                return Outcome::More;
            }
            let (through, live) = match self.next(state, delivery, fetched.take(), &mut events) {
                Next::Events { through, live } => (through, live),
                Next::Told => continue,
                Next::Behind(request) => return Outcome::Behind(request),
            };
            if events.is_empty() {
                state.subscription.advance(through);
                if live {
                    return Outcome::Live;
                }
                continue;
            }
            match self.deliver(state, delivery, sink, &events, through, counters) {
                Written::All(bytes) => budget = budget.saturating_sub(bytes),
                Written::Part => return Outcome::Full,
                Written::Broken => return Outcome::Broken,
            }
            events.clear();
        }
    }

    /// What comes next: what was fetched, or what the tail holds.
    fn next(
        &self,
        state: &mut State,
        delivery: &Delivery,
        fetched: Option<Fetched>,
        events: &mut Vec<Arc<Event>>,
    ) -> Next {
        if let Some(Fetched { batch, gap }) = fetched {
            if let Some(gap) = gap {
                state.subscription.skip(&gap);
                self.tell_gap(state, delivery, &gap);
                return Next::Told;
            }
            *events = batch.events;
            return Next::Events { through: batch.through, live: false };
        }
        let limit = match &state.poll {
            Some(terms) => ReadLimit { events_max: terms.limit, bytes_max: poll::BYTES_MAX },
            None => ReadLimit { events_max: 256, bytes_max: delivery.drain_bytes_max },
        };
        match state.subscription.peek(&delivery.log, limit, events) {
            Peek::Ready { through, live } => Next::Events { through, live },
            Peek::Behind(request) => Next::Behind(request),
        }
    }

    fn tell_gap(&self, state: &mut State, delivery: &Delivery, gap: &Gap) {
        state.gaps += 1;
        delivery.metrics.gaps.fetch_add(1, Relaxed);
        let told = match &state.namespaces {
            Some(namespaces) if matches!(self.wire, Wire::Polled) => payload(&namespaces.tell_gap(gap)),
            Some(namespaces) => frames(&namespaces.tell_gap(gap)),
            None => self.transport.gap(gap),
        };
        if !told.is_empty() {
            state.unsent.push_back(told);
        }
    }

    /// Writes events and moves the cursor past what was written.
    fn deliver(
        &self,
        state: &mut State,
        delivery: &Delivery,
        sink: &mut impl Sink,
        events: &[Arc<Event>],
        through: Offset,
        counters: &mut DeliveryCounters,
    ) -> Written {
        if self.transport.answers_requests() {
            state.answer(events, delivery);
            state.count(events.len(), 0, counters);
            return Written::All(0);
        }
        let mut total = 0;
        for turn in events.chunks(SLICES_MAX) {
            let apart = self.encode_apart(state, turn, delivery);
            let written = match (turn, &apart) {
                ([event], None) => {
                    let bytes = self.transport.event(event, delivery.terms());
                    write(state, sink, turn, std::slice::from_ref(bytes), &[IoSlice::new(bytes)], counters)
                }
                (_, Some(apart)) => write_many(state, sink, turn, apart.iter(), counters),
                (_, None) => {
                    let encoded = turn.iter().map(|event| self.transport.event(event, delivery.terms()));
                    write_many(state, sink, turn, encoded, counters)
                }
            };
            match written {
                Written::All(bytes) => total += bytes,
                Written::Part | Written::Broken => return written,
            }
        }
        state.subscription.advance(through);
        Written::All(total)
    }

    /// The events' bytes for a Socket.IO reader to which they look different than to most; `None` for all
    /// others.
    fn encode_apart(&self, state: &State, events: &[Arc<Event>], delivery: &Delivery) -> Option<Vec<Bytes>> {
        let polling = matches!(self.wire, Wire::Polled);
        let namespaces = state.namespaces.as_ref().filter(|namespaces| polling || !namespaces.is_plain())?;
        Some(namespaces.encode(events, delivery.terms(), polling))
    }

    /// What this reader's neighbours get too where that is worth to be kept: a single event that looks as to
    /// most has its bytes already.
    fn shared_key(&self, state: &State, events: &[Arc<Event>]) -> Option<SharedKey> {
        match state.namespaces.as_ref().filter(|namespaces| !namespaces.is_plain()) {
            Some(namespaces) => namespaces.shared_encoding(false).map(SharedKey::Encoding),
            None => (events.len() > 1).then_some(SharedKey::Plain(self.transport)),
        }
    }

    fn deliver_shared(
        &self,
        state: &mut State,
        delivery: &Delivery,
        sink: &mut impl Sink,
        read: &mut SharedRead,
        counters: &mut DeliveryCounters,
    ) -> Outcome {
        if read.events.is_empty() {
            // A neighbour that has everything made this read: there is nothing to write, nor to answer a poll
            // with.
            state.subscription.advance(read.through);
            return Outcome::Live;
        }
        if self.transport.answers_requests() {
            state.answer_shared(read, delivery);
            state.count(read.events.len(), 0, counters);
            return match state.flush(sink) {
                Flushed::All => Outcome::Answered,
                Flushed::Full => Outcome::Full,
                Flushed::Broken => Outcome::Broken,
            };
        }
        let (events, through) = (std::mem::take(&mut read.events), read.through);
        let written = match self.shared_key(state, &events) {
            Some(key) => {
                let plain = |event: &Event| self.transport.event(event, delivery.terms()).clone();
                let frame = read.frame(key, &events, plain, delivery.terms());
                write_shared(state, sink, &events, frame, through, counters)
            }
            None => self.deliver(state, delivery, sink, &events, through, counters),
        };
        read.events = events;
        match written {
            Written::All(_) => Outcome::Live,
            Written::Part => Outcome::Full,
            Written::Broken => Outcome::Broken,
        }
    }
}

/// Writes several events. Apart from [`write`], since one event is the common case and should not pay for the
/// room that many need.
fn write_many<'e>(
    state: &mut State,
    sink: &mut impl Sink,
    events: &[Arc<Event>],
    encoded: impl Iterator<Item = &'e Bytes> + Clone,
    counters: &mut DeliveryCounters,
) -> Written {
    let slices: SmallVec<[IoSlice<'_>; SLICES_MAX]> = encoded.clone().map(|b| IoSlice::new(b)).collect();
    write(state, sink, events, encoded, &slices, counters)
}

/// Writes all events of a read at once.
fn write_shared(
    state: &mut State,
    sink: &mut impl Sink,
    events: &[Arc<Event>],
    frame: &SharedFrame,
    through: Offset,
    counters: &mut DeliveryCounters,
) -> Written {
    let written = write(state, sink, events, &frame.each, &[IoSlice::new(&frame.bytes)], counters);
    if let Written::All(_) = written {
        state.subscription.advance(through);
    }
    written
}

/// Writes events, whose bytes are `slices`, and moves the cursor past those that were begun. Where they end
/// in the bytes is asked of `encoded` only if not all of them went out.
fn write<'e>(
    state: &mut State,
    sink: &mut impl Sink,
    events: &[Arc<Event>],
    encoded: impl IntoIterator<Item = &'e Bytes>,
    slices: &[IoSlice<'_>],
    counters: &mut DeliveryCounters,
) -> Written {
    let expected: usize = slices.iter().map(|slice| slice.len()).sum();
    let (outcome, begun, written) = match sink.write(slices) {
        Ok(written) if written == expected => (Written::All(written), events.len(), written),
        Ok(0) => return Written::Broken,
        Ok(written) => (Written::Part, state.keep_rest(encoded, written), written),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Part,
        Err(_) => return Written::Broken,
    };
    if let Some(last) = events[..begun].last() {
        state.subscription.advance(last.offset);
    }
    state.count(begun, written, counters);
    outcome
}

#[cfg(test)]
mod tests {
    use anywire_log::{
        Batch, Channel, EventName, Log, MemoryEngine, Payload, Publication, RetentionRules, Subscription,
        SystemClock, TailConfig, Timestamp,
    };
    use anywire_protocol::engineio::HeartbeatTimes;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::{
        admission::cors::Cors,
        delivery::{PollTerms, ReaderInfo},
        lab::Lab,
        metrics::{Metrics, Transport},
    };

    async fn append(log: &Log, channel: &Channel) -> Offset {
        let name = EventName::new("x").expect("a name");
        let publication = Publication { channel: channel.clone(), name, payload: Payload::null() };
        log.append(Batch::one(publication)).await.expect("an append").last()
    }

    async fn delivery(channel: &Channel) -> Delivery {
        let rules = RetentionRules::default();
        let engine = MemoryEngine::new(rules.clone(), Arc::new(SystemClock)).expect("randomness");
        let log = Log::start(Arc::new(engine), rules, TailConfig::default());
        append(&log, channel).await;
        let times = HeartbeatTimes { interval_ms: 25_000, timeout_ms: 20_000, look_ms: 500 };
        let (metrics, lab) = (Arc::<Metrics>::default(), Arc::<Lab>::default());
        Delivery::new(log, metrics, lab, 1 << 18, 25_000, times, Cors::default())
    }

    /// A reader of that wire's peer, which lives as long as the listener.
    async fn connected(transport: Transport, woken: bool) -> (Arc<Reader>, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let stream =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let info = ReaderInfo {
            client: "c".into(),
            address: [127, 0, 0, 1].into(),
            connected_at: Timestamp::default(),
        };
        let wire = if woken { Wire::Woken } else { Wire::Direct(Arc::new(stream)) };
        (Reader::new(transport, info, 0, wire, 0), listener)
    }

    #[tokio::test]
    async fn a_walk_without_news_leaves_a_waiting_poll_waiting() {
        let channel = Channel::new("a").expect("a name");
        let delivery = delivery(&channel).await;
        let (reader, _listener) = connected(Transport::LongPoll, false).await;
        let mut subscription = Subscription::new();
        let cursor = delivery.log.tail_cursor();
        delivery.log.subscribe(
            &mut subscription,
            std::slice::from_ref(&channel),
            anywire_log::Position::Tail,
        );
        let (caching, deadline_ms) = (poll::Caching::Never, 9_999);
        let terms = PollTerms { origin: None, credentials: false, limit: 9, caching, deadline_ms, cursor };
        assert!(reader.begin_poll(subscription, terms));
        let Wire::Direct(socket) = &reader.wire else { panic!("a socket") };
        assert!(matches!(reader.drain(&delivery, &mut SocketSink(socket), None), Outcome::Live));
        let tail = delivery.log.channel(&channel);
        reader.on_commit(&delivery, &mut Shared::new(&tail), &mut DeliveryCounters::new(0));
        assert_eq!(reader.mode(), Mode::Live, "it still waits");
        assert!(reader.take_poll().is_some(), "it was not answered");
    }

    /// Takes so many bytes, then is full.
    struct Narrow(usize, Vec<u8>);

    impl Sink for Narrow {
        fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let taken = all.len().min(self.0);
            self.0 -= taken;
            self.1.extend(&all[..taken]);
            if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
        }
    }

    #[tokio::test]
    async fn who_takes_part_of_what_neighbours_share_keeps_the_rest_of_one_event() {
        let channel = Channel::new("a").expect("a name");
        let delivery = delivery(&channel).await;
        let tail = delivery.log.channel(&channel);
        let mut subscription = Subscription::new();
        let position = anywire_log::Position::Tail;
        delivery.log.subscribe(&mut subscription, std::slice::from_ref(&channel), position);
        append(&delivery.log, &channel).await;
        let second = append(&delivery.log, &channel).await;
        append(&delivery.log, &channel).await;
        let (mut shared, mut counters) = (Shared::new(&tail), DeliveryCounters::new(0));
        let mut delivered = async |transport, sink: &mut Narrow| {
            let (reader, listener) = connected(transport, false).await;
            reader.change(|own| {
                *own = subscription.clone();
                SmallVec::new()
            });
            let mut state = reader.state.lock();
            let read = shared.read_for(&state.subscription, &delivery).expect("all stand at one place");
            let outcome = reader.deliver_shared(&mut state, &delivery, sink, read, &mut counters);
            drop(state);
            (outcome, reader, listener)
        };
        let mut wide = Narrow(usize::MAX, Vec::new());
        assert!(matches!(delivered(Transport::WebSocket, &mut wide).await.0, Outcome::Live));
        let frame = wide.1.len() / 3;
        let mut narrow = Narrow(frame + 3, Vec::new());
        let (outcome, reader, _listener) = delivered(Transport::WebSocket, &mut narrow).await;
        assert!(matches!(outcome, Outcome::Full));
        assert_eq!(reader.unsent_bytes(), frame - 3, "no more than the rest of the second event");
        assert_eq!(reader.stats(Offset::MAX).cursor, second);
        narrow.0 = usize::MAX;
        assert!(matches!(reader.drain(&delivery, &mut narrow, None), Outcome::Live));
        assert_eq!(narrow.1, wide.1, "the same bytes in two parts");
        let mut streamed = Narrow(usize::MAX, Vec::new());
        assert!(matches!(delivered(Transport::Sse, &mut streamed).await.0, Outcome::Live));
        assert!(streamed.1.starts_with(b"id: "), "a neighbour on another transport gets its own bytes");
    }

    #[tokio::test]
    async fn a_reader_that_could_read_nothing_for_long_is_not_taken_for_dead() {
        let delivery = delivery(&Channel::new("a").expect("a name")).await;
        let tail = delivery.log.tail_offset();
        // A socket that is full: its own task waits for room.
        let (reader, _listener) = connected(Transport::WebSocket, false).await;
        for second in 0..200 {
            reader.tick(&delivery, tail, second * 1000);
        }
        let Wire::Direct(socket) = &reader.wire else { panic!("a socket") };
        assert!(matches!(reader.drain(&delivery, &mut SocketSink(socket), None), Outcome::Live));
        reader.tick(&delivery, tail, 200_000);
        assert_eq!(reader.mode(), Mode::Live, "it has caught up, and was never asked for a sign of life");
        // A connection that another library writes: the ping has left us, but not reached the peer.
        let (reader, _listener) = connected(Transport::WebSocket, true).await;
        reader.set_writing(true);
        for second in 0..200 {
            reader.tick(&delivery, tail, second * 1000);
        }
        assert_eq!(reader.unsent_bytes(), 0, "nothing piles up for it");
        reader.set_writing(false);
        reader.tick(&delivery, tail, 200_000);
        assert_ne!(reader.mode(), Mode::Ended);
    }

    #[tokio::test]
    async fn a_peer_that_hears_and_says_nothing_is_dead() {
        let delivery = delivery(&Channel::new("a").expect("a name")).await;
        let (reader, _listener) = connected(Transport::WebSocket, false).await;
        let Wire::Direct(socket) = &reader.wire else { panic!("a socket") };
        assert!(matches!(reader.drain(&delivery, &mut SocketSink(socket), None), Outcome::Live));
        for second in 0..60 {
            reader.tick(&delivery, delivery.log.tail_offset(), second * 1000);
        }
        assert_eq!(reader.mode(), Mode::Ended);
    }
}
