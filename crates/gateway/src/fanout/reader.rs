//! Readers: one connection's place in the log, and the one function that delivers to it.
//!
//! A reader is driven either by the fan-out (mode `Live`) or by its own task (mode `Driven`). Whoever it is calls [`Reader::drain`], under the
//! reader's lock: *write from the cursor on until there is nothing more, or the socket is full*. The cursor moves only past what
//! was written, so a reader whose socket is full holds at most the rest of one event.
//!
//! Knows: cursors, encodings, partial writes. Does not know: how the connection came about, tasks, timers.
//!
//! Invariants:
//! - All bytes of a connection go through `unsent` or a drain, under the lock: frames never interleave.
//! - A reader is `Live` only if everything up to the tail it last saw is written.
//! - `unsent` holds control frames and the rest of one event, never a queue of events.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use anywire_log::{
    Channel, ChannelTail, Cursor, Event, Gap, Offset, Peek, ReadBatch, ReadLimit, ReadRequest, Subscription,
    Timestamp,
};
use anywire_protocol::{
    liveness::{Due, Liveness},
    native::{ServerFrame, event_frame},
    poll, sse,
};
use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::{net::TcpStream, sync::Notify};

use super::{Delivery, SocketSink, sink::Sink};
use crate::metrics::{Metrics, Transport};

/// How many slices one write takes.
const SLICES_MAX: usize = 64;
/// How many bytes of control frames may wait for a socket; a peer that asks for more without reading is not read from until
/// they are gone.
pub(crate) const UNSENT_BYTES_MAX: usize = 64 << 10;

/// How bytes leave.
pub(crate) enum Wire {
    /// By the fan-out itself: a cleartext socket.
    Direct(Arc<TcpStream>),
    /// By the connection's own task, which is woken: TLS, HTTP/2.
    Woken,
}

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

/// What never changes about a reader.
pub(crate) struct ReaderInfo {
    pub(crate) transport: Transport,
    pub(crate) client: Box<str>,
    pub(crate) user: Option<Box<str>>,
    pub(crate) address: IpAddr,
    pub(crate) connected_at: Timestamp,
}

/// How a waiting poll is to be answered.
#[derive(Debug, Clone)]
pub(crate) struct PollTerms {
    /// Headers of this request's answer beside the common ones: CORS.
    pub(crate) headers: Box<str>,
    pub(crate) credentials: bool,
    pub(crate) limit: usize,
    pub(crate) deadline_ms: u64,
    /// The canonical cursor while there is nothing new.
    pub(crate) cursor: Cursor,
}

/// What the console shows of a reader.
#[derive(Debug, Clone)]
pub(crate) struct ReaderStats {
    pub(crate) channels: Vec<Channel>,
    pub(crate) cursor: Offset,
    pub(crate) acked: Option<Cursor>,
    pub(crate) mode: Mode,
    pub(crate) behind: bool,
    pub(crate) resumes: u32,
    pub(crate) gaps: u32,
    pub(crate) delivered: u64,
    pub(crate) bytes: u64,
}

/// One connection's place in the log.
pub(crate) struct Reader {
    info: ReaderInfo,
    shard: usize,
    slot: AtomicUsize,
    wire: Wire,
    /// Wakes the connection's own task.
    wake: Notify,
    /// The task has bytes of the next request in hand and wants to be woken when the poll is answered.
    wake_on_answer: AtomicBool,
    state: Mutex<State>,
}

struct State {
    subscription: Subscription,
    mode: Mode,
    unsent: VecDeque<Bytes>,
    liveness: Liveness,
    poll: Option<Box<PollTerms>>,
    acked: Option<Cursor>,
    resumes: u32,
    gaps: u32,
    delivered: u64,
    bytes: u64,
    behind: bool,
}

/// What a turn of a walk delivered; added to the metrics at its end.
#[derive(Default)]
pub(super) struct Tally {
    deliveries: u64,
    bytes: u64,
}

impl Tally {
    pub(super) fn add_to(&self, metrics: &Metrics, latency: Duration) {
        if self.deliveries > 0 {
            metrics.delivery_latency.observe(latency, self.deliveries);
        }
        self.add_counts_to(metrics);
    }

    fn add_counts_to(&self, metrics: &Metrics) {
        metrics.deliveries.fetch_add(self.deliveries, Relaxed);
        metrics.delivered_bytes.fetch_add(self.bytes, Relaxed);
    }
}

/// One read of the tail that neighbours in a walk share who stand at the same place: nearly all of them do.
pub(super) struct Shared<'a> {
    tail: &'a Arc<ChannelTail>,
    read: Option<SharedRead>,
}

struct SharedRead {
    after: Offset,
    through: Offset,
    events: Vec<Arc<Event>>,
    /// The whole answer to a poll without credentials and CORS, header and all.
    answer: Option<Bytes>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(tail: &'a Arc<ChannelTail>) -> Self {
        Self { tail, read: None }
    }
}

impl Reader {
    pub(crate) fn new(info: ReaderInfo, shard: usize, wire: Wire, now_ms: u64) -> Arc<Self> {
        let mode = if info.transport == Transport::LongPoll { Mode::Idle } else { Mode::Driven };
        let state = State {
            subscription: Subscription::new(),
            mode,
            unsent: VecDeque::new(),
            liveness: Liveness::new(now_ms),
            poll: None,
            acked: None,
            resumes: 0,
            gaps: 0,
            delivered: 0,
            bytes: 0,
            behind: false,
        };
        Arc::new(Self {
            info,
            shard,
            slot: AtomicUsize::new(usize::MAX),
            wire,
            wake: Notify::new(),
            wake_on_answer: AtomicBool::new(false),
            state: Mutex::new(state),
        })
    }

    pub(crate) fn info(&self) -> &ReaderInfo {
        &self.info
    }

    pub(super) fn shard(&self) -> usize {
        self.shard
    }

    pub(super) fn slot(&self) -> usize {
        self.slot.load(Relaxed)
    }

    pub(super) fn set_slot(&self, slot: usize) {
        self.slot.store(slot, Relaxed);
    }

    pub(super) fn follows(&self, channel: &Channel) -> bool {
        self.state.lock().subscription.follows(channel)
    }

    /// Resolves when the reader's own task has to do something.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn mode(&self) -> Mode {
        self.state.lock().mode
    }

    pub(crate) fn stats(&self, tail: Offset) -> ReaderStats {
        let state = self.state.lock();
        ReaderStats {
            channels: state.subscription.channels().map(|tail| tail.channel().clone()).collect(),
            cursor: state.subscription.cursor(tail),
            acked: state.acked,
            mode: state.mode,
            behind: state.behind,
            resumes: state.resumes,
            gaps: state.gaps,
            delivered: state.delivered,
            bytes: state.bytes,
        }
    }

    /// Changes the subscription and queues what the client must hear about it first.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Subscription) -> SmallVec<[Bytes; 2]>) {
        let mut state = self.state.lock();
        if state.mode != Mode::Ended {
            let frames = change(&mut state.subscription);
            state.unsent.extend(frames);
            state.mode = Mode::Driven;
        }
    }

    pub(crate) fn note_resume(&self, gap: bool) {
        let mut state = self.state.lock();
        state.resumes += 1;
        state.gaps += u32::from(gap);
    }

    pub(crate) fn note_ack(&self, cursor: Cursor) {
        self.state.lock().acked = Some(cursor);
    }

    pub(crate) fn note_heard(&self, now_ms: u64) {
        self.state.lock().liveness.heard(now_ms);
    }

    /// How many bytes wait for the socket.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.state.lock().unsent.iter().map(Bytes::len).sum()
    }

    /// Sends a control frame: at once if the socket takes it, else before anything that follows. Returns false if the connection is broken.
    pub(crate) fn send(&self, delivery: &Delivery, frame: Bytes) -> bool {
        let mut state = self.state.lock();
        if state.mode == Mode::Ended {
            return false;
        }
        state.unsent.push_back(frame);
        match &self.wire {
            Wire::Direct(stream) => match state.flush(&mut SocketSink(stream)) {
                Flushed::All => {}
                Flushed::Full => self.hand_over(&mut state, delivery),
                Flushed::Broken => return false,
            },
            Wire::Woken => self.wake.notify_one(),
        }
        true
    }

    /// Begins a wait for a poll's answer. Drain afterwards: what came meanwhile is the answer.
    pub(crate) fn begin_poll(&self, subscription: Subscription, terms: PollTerms) {
        let mut state = self.state.lock();
        if state.mode != Mode::Ended {
            state.subscription = subscription;
            state.poll = Some(Box::new(terms));
            state.mode = Mode::Driven;
        }
    }

    /// Takes back a wait that has to be answered from the engine; `None` if it was answered meanwhile.
    pub(crate) fn take_poll(&self) -> Option<(Subscription, PollTerms)> {
        let mut state = self.state.lock();
        let terms = state.poll.take()?;
        state.mode = Mode::Idle;
        Some((state.subscription.clone(), *terms))
    }

    /// Says whether the task wants to be woken when the poll is answered.
    pub(crate) fn wake_on_answer(&self, wanted: bool) {
        self.wake_on_answer.store(wanted, Relaxed);
    }

    /// The reader's own task drains: what it fetched from the engine, then the tail. Afterwards the reader is live if it could be.
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
        let mut tally = Tally::default();
        let outcome = self.drain_locked(&mut state, delivery, sink, fetched, &mut tally);
        tally.add_counts_to(&delivery.metrics);
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
    pub(super) fn on_commit(&self, delivery: &Delivery, shared: &mut Shared<'_>, tally: &mut Tally) {
        let Wire::Direct(stream) = &self.wire else {
            return self.wake.notify_one();
        };
        let mut state = self.state.lock();
        if state.mode != Mode::Live || (self.info.transport == Transport::Sse && delivery.lab.buffers_sse()) {
            return;
        }
        let mut sink = SocketSink(stream);
        let outcome = match shared.read_for(&state.subscription, delivery) {
            Some(read) => self.deliver_shared(&mut state, delivery, &mut sink, read, tally),
            None => self.drain_locked(&mut state, delivery, &mut sink, None, tally),
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

    fn hand_over(&self, state: &mut State, delivery: &Delivery) {
        state.mode = Mode::Driven;
        state.set_behind(true, &delivery.metrics);
        self.wake.notify_one();
    }

    fn wake_if_wanted(&self) {
        if self.wake_on_answer.load(Relaxed) {
            self.wake.notify_one();
        }
    }

    fn drain_locked(
        &self,
        state: &mut State,
        delivery: &Delivery,
        sink: &mut impl Sink,
        mut fetched: Option<Fetched>,
        tally: &mut Tally,
    ) -> Outcome {
        let mut budget = delivery.drain_bytes_max;
        let mut events = Vec::new();
        loop {
            match state.flush(sink) {
                Flushed::All => {}
                Flushed::Full => return Outcome::Full,
                Flushed::Broken => return Outcome::Broken,
            }
            if self.info.transport == Transport::LongPoll && state.poll.is_none() {
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
            match self.deliver(state, delivery, sink, &events, through, tally) {
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
        let told = match self.info.transport {
            Transport::Sse => sse::gap_block(gap),
            _ => ServerFrame::Gap(gap).encode(),
        };
        state.unsent.push_back(told);
    }

    /// Writes events and moves the cursor past what was written.
    fn deliver(
        &self,
        state: &mut State,
        delivery: &Delivery,
        sink: &mut impl Sink,
        events: &[Arc<Event>],
        through: Offset,
        tally: &mut Tally,
    ) -> Written {
        if self.info.transport == Transport::LongPoll {
            state.answer(events, delivery);
            state.count(events.len(), 0, delivery.now_ms(), tally);
            return Written::All(0);
        }
        let mut total = 0;
        for turn in events.chunks(SLICES_MAX) {
            let encoded: SmallVec<[&Bytes; SLICES_MAX]> =
                turn.iter().map(|event| self.encode(event, delivery)).collect();
            let expected: usize = encoded.iter().map(|bytes| bytes.len()).sum();
            let slices: SmallVec<[IoSlice<'_>; SLICES_MAX]> =
                encoded.iter().map(|b| IoSlice::new(b)).collect();
            match sink.write(&slices) {
                Ok(written) if written == expected => {
                    total += written;
                    state.count(turn.len(), written, delivery.now_ms(), tally);
                }
                Ok(0) => return Written::Broken,
                Ok(written) => {
                    let started = state.keep_rest(&encoded, written);
                    state.subscription.advance(turn[started - 1].offset);
                    state.count(started, written, delivery.now_ms(), tally);
                    return Written::Part;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Part,
                Err(_) => return Written::Broken,
            }
            let last = turn.last().map_or(through, |event| event.offset);
            state.subscription.advance(last);
        }
        state.subscription.advance(through);
        Written::All(total)
    }

    /// The event's bytes on this transport, made once for all readers.
    fn encode<'e>(&self, event: &'e Event, delivery: &Delivery) -> &'e Bytes {
        match self.info.transport {
            Transport::Sse => sse::event_block(event, delivery.log.epoch()),
            _ => event_frame(event),
        }
    }

    fn deliver_shared(
        &self,
        state: &mut State,
        delivery: &Delivery,
        sink: &mut impl Sink,
        read: &mut SharedRead,
        tally: &mut Tally,
    ) -> Outcome {
        if self.info.transport == Transport::LongPoll && !read.events.is_empty() {
            state.answer_shared(read, delivery);
            state.count(read.events.len(), 0, delivery.now_ms(), tally);
            return match state.flush(sink) {
                Flushed::All => Outcome::Answered,
                Flushed::Full => Outcome::Full,
                Flushed::Broken => Outcome::Broken,
            };
        }
        match self.deliver(state, delivery, sink, &read.events, read.through, tally) {
            Written::All(_) => Outcome::Live,
            Written::Part => Outcome::Full,
            Written::Broken => Outcome::Broken,
        }
    }

    /// Liveness and deadlines; returns how many offsets the reader is behind the tail.
    pub(super) fn tick(&self, delivery: &Delivery, tail: Offset, now_ms: u64) -> u64 {
        let mut state = self.state.lock();
        if state.mode == Mode::Ended {
            return 0;
        }
        if self.info.transport == Transport::LongPoll {
            self.tick_poll(&mut state, now_ms);
            return 0;
        }
        let answers = self.info.transport == Transport::WebSocket;
        let lag = tail.get().saturating_sub(state.subscription.cursor(tail).get());
        match state.liveness.tick(now_ms, delivery.heartbeat_ms, answers) {
            Due::Nothing => {}
            // Who is behind gets events, which say where it stands.
            _ if state.mode == Mode::Driven && matches!(self.wire, Wire::Direct(_)) => {}
            Due::Dead => {
                state.mode = Mode::Ended;
                self.wake.notify_one();
            }
            Due::Heartbeat => self.heartbeat(&mut state, delivery, false),
            Due::HeartbeatAndPing => self.heartbeat(&mut state, delivery, true),
        }
        if state.mode == Mode::Live { 0 } else { lag }
    }

    fn heartbeat(&self, state: &mut State, delivery: &Delivery, ping: bool) {
        state.move_to_tail(delivery);
        let cursor = delivery.log.cursor(state.subscription.cursor(delivery.log.tail_offset()));
        if self.info.transport == Transport::Sse {
            if delivery.lab.buffers_sse() {
                return;
            }
            state.unsent.push_back(sse::heartbeat_block(cursor));
        } else {
            state.unsent.push_back(ServerFrame::Heartbeat(cursor).encode());
            if ping {
                state.unsent.push_back(anywire_protocol::websocket::ping_frame(b""));
            }
        }
        self.push_out(state, delivery);
    }

    fn push_out(&self, state: &mut State, delivery: &Delivery) {
        match &self.wire {
            Wire::Direct(stream) => match state.flush(&mut SocketSink(stream)) {
                Flushed::All => {}
                Flushed::Full | Flushed::Broken => self.hand_over(state, delivery),
            },
            Wire::Woken => self.wake.notify_one(),
        }
    }

    /// Answers a poll whose time is over.
    fn tick_poll(&self, state: &mut State, now_ms: u64) {
        let over = state.poll.as_ref().is_some_and(|terms| now_ms >= terms.deadline_ms);
        if !over || state.mode != Mode::Live {
            return;
        }
        if let Some(terms) = state.poll.take() {
            state.mode = Mode::Idle;
            state.unsent.push_back(no_content(&terms.headers, terms.cursor));
            if let Wire::Direct(stream) = &self.wire
                && !matches!(state.flush(&mut SocketSink(stream)), Flushed::All)
            {
                state.mode = Mode::Driven;
                self.wake.notify_one();
            }
            self.wake_if_wanted();
        }
    }

    /// Queues last words and ends delivery; the task closes when they are gone.
    pub(crate) fn say_goodbye(&self, delivery: &Delivery, words: impl IntoIterator<Item = Bytes>) {
        let mut state = self.state.lock();
        if state.mode != Mode::Ended {
            state.unsent.extend(words);
            self.push_out(&mut state, delivery);
            state.mode = Mode::Ended;
            self.wake.notify_one();
        }
    }

    /// Ends the connection after what is queued.
    pub(crate) fn abort_after_words(&self) {
        self.state.lock().mode = Mode::Ended;
    }

    /// Ends the connection without a word.
    pub(crate) fn abort(&self) {
        let mut state = self.state.lock();
        state.mode = Mode::Ended;
        state.unsent.clear();
        drop(state);
        self.wake.notify_one();
    }

    /// Takes what could not be written yet, for a task that writes it itself.
    pub(crate) fn take_unsent(&self) -> VecDeque<Bytes> {
        std::mem::take(&mut self.state.lock().unsent)
    }

    /// Ends the subscription; returns the channels it had.
    pub(super) fn end(&self) -> Vec<Channel> {
        let mut state = self.state.lock();
        state.mode = Mode::Ended;
        state.unsent.clear();
        let subscription = std::mem::take(&mut state.subscription);
        subscription.channels().map(|tail| tail.channel().clone()).collect()
    }

    /// Counts the reader out of the slow ones when it goes.
    pub(crate) fn settle(&self, metrics: &Metrics) {
        self.state.lock().set_behind(false, metrics);
    }
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

enum Flushed {
    All,
    Full,
    Broken,
}

impl State {
    /// Writes what waits.
    fn flush(&mut self, sink: &mut impl Sink) -> Flushed {
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
    fn keep_rest(&mut self, encoded: &[&Bytes], mut written: usize) -> usize {
        for (index, bytes) in encoded.iter().enumerate() {
            if written < bytes.len() {
                if written == 0 {
                    return index;
                }
                self.unsent.push_back(bytes.slice(written..));
                return index + 1;
            }
            written -= bytes.len();
        }
        encoded.len()
    }

    fn count(&mut self, events: usize, bytes: usize, now_ms: u64, tally: &mut Tally) {
        self.delivered += events as u64;
        self.bytes += bytes as u64;
        self.liveness.sent(now_ms);
        tally.deliveries += events as u64;
        tally.bytes += bytes as u64;
    }

    /// Moves the cursor of a reader that has everything over what other channels' events made of the tail.
    fn move_to_tail(&mut self, delivery: &Delivery) {
        let mut events = Vec::new();
        let one = ReadLimit { events_max: 1, bytes_max: 1 };
        if let Peek::Ready { through, .. } = self.subscription.peek(&delivery.log, one, &mut events)
            && events.is_empty()
        {
            self.subscription.advance(through);
        }
    }

    fn set_behind(&mut self, behind: bool, metrics: &Metrics) {
        if self.behind != behind {
            self.behind = behind;
            metrics.slow_readers.fetch_add(if behind { 1 } else { -1 }, Relaxed);
        }
    }

    /// Queues the answer to the waiting poll; the reader is idle then.
    fn answer(&mut self, events: &[Arc<Event>], delivery: &Delivery) {
        let Some(terms) = self.poll.take() else { return };
        let events = &events[..events.len().min(terms.limit)];
        let cursor = events.last().map_or(terms.cursor, |event| delivery.log.cursor(event.offset));
        let answer = poll::answer(cursor, events, None, events.len() >= terms.limit);
        self.unsent.push_back(answer_head(&answer, &terms.headers, terms.credentials));
        self.unsent.push_back(answer.body);
        self.mode = Mode::Idle;
        delivery.metrics.polls.fetch_add(1, Relaxed);
    }

    fn answer_shared(&mut self, read: &mut SharedRead, delivery: &Delivery) {
        let common = self.poll.as_ref().is_some_and(|terms| {
            terms.headers.is_empty() && !terms.credentials && terms.limit > read.events.len()
        });
        let Some(last) = read.events.last().filter(|_| common) else {
            return self.answer(&read.events, delivery);
        };
        let whole = read.answer.get_or_insert_with(|| {
            let answer = poll::answer(delivery.log.cursor(last.offset), &read.events, None, false);
            [answer_head(&answer, "", false), answer.body].concat().into()
        });
        self.unsent.push_back(whole.clone());
        self.poll = None;
        self.mode = Mode::Idle;
        delivery.metrics.polls.fetch_add(1, Relaxed);
    }
}

impl Shared<'_> {
    /// Reads anew for the next reader: what was committed meanwhile goes into the same write. So while events keep coming, a walk that
    /// goes round and round gives each reader everything since its last visit at once.
    pub(super) fn refresh(&mut self) {
        self.read = None;
    }

    /// The shared read, if it fits this reader; else one made for it, which its neighbours share.
    fn read_for(&mut self, subscription: &Subscription, delivery: &Delivery) -> Option<&mut SharedRead> {
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
            self.read = Some(SharedRead { after, through, events, answer: None });
        }
    }
}

/// The head of a poll's answer, for answers the gateway writes itself.
pub(crate) fn answer_head(answer: &poll::Answer, headers: &str, credentials: bool) -> Bytes {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nAnywire-Cursor: {cursor}\r\nETag: \"{cursor}\"\r\n\
         Cache-Control: {caching}\r\nVary: Origin, Authorization\r\nContent-Length: {length}\r\n{headers}\r\n",
        cursor = answer.cursor,
        caching = answer.caching.header(credentials),
        length = answer.body.len(),
    )
    .into()
}

/// The answer when there is nothing new.
pub(crate) fn no_content(headers: &str, cursor: Cursor) -> Bytes {
    format!(
        "HTTP/1.1 204 No Content\r\nAnywire-Cursor: {cursor}\r\nETag: \"{cursor}\"\r\nCache-Control: no-store\r\n\
         Vary: Origin, Authorization\r\n{headers}\r\n"
    )
    .into()
}
