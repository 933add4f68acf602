//! Readers: one connection's place in the log, who drives it, and what it is told besides events.
//!
//! A reader is driven either by the fan-out (mode `Live`) or by its own task (mode `Driven`). Whoever it is
//! drains it (see `drain`), under the reader's lock.
//!
//! Invariants:
//! - All bytes of a connection go through `unsent` or a drain, under the lock: frames never interleave.
//! - A reader is `Live` only if everything up to the tail it last saw is written.

use std::{
    collections::VecDeque,
    net::IpAddr,
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use anywire_access::Principal;
use anywire_log::{Channel, Cursor, Offset, Subscription, Timestamp};
use anywire_protocol::{
    engineio::Beat,
    liveness::{Due, Liveness},
};
use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::{net::TcpStream, sync::Notify};

use super::{
    context::Delivery,
    namespaces::ConnectedNamespace,
    sink::SocketSink,
    state::{Flushed, Mode, PollTerms, State},
};
use crate::{
    http1::reply::{Recipient, whole},
    metrics::{Metrics, Transport},
    reply::Reply,
};

/// How many bytes of control frames may wait for a socket; a peer that asks for more without reading is not
/// read from until they are gone.
pub(crate) const UNSENT_BYTES_MAX: usize = 64 << 10;

/// The close code for a peer that fell silent.
const SILENT: u16 = 1001;

/// How bytes leave.
pub(crate) enum Wire {
    /// By the fan-out itself: a cleartext socket.
    Direct(Arc<TcpStream>),
    /// By the connection's own task, which is woken: TLS, HTTP/2.
    Woken,
    /// In answers to polls (see `polled`): between two of them by nobody.
    Polled,
}

/// What never changes about a reader.
pub(crate) struct ReaderInfo {
    pub(crate) client: Box<str>,
    pub(crate) address: IpAddr,
    pub(crate) connected_at: Timestamp,
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
    pub(crate) user: Option<Box<str>>,
    /// Of a Socket.IO connection.
    pub(crate) namespaces: Vec<ConnectedNamespace>,
}

/// One connection's place in the log.
///
/// In this order, here and in [`State`]: what a delivery needs comes first, so that it is in two lines of the
/// processor's cache. Between two events everything else has pushed them out, and each line is a wait for
/// memory.
#[repr(C)]
pub(crate) struct Reader {
    pub(super) wire: Wire,
    pub(super) transport: Transport,
    /// The task has bytes of the next request in hand and wants to be woken when the poll is answered.
    pub(super) wake_on_answer: AtomicBool,
    shard: u32,
    pub(super) state: Mutex<State>,
    /// Wakes the connection's own task.
    pub(super) wake: Notify,
    slot: AtomicUsize,
    info: ReaderInfo,
}

impl Reader {
    pub(crate) fn new(
        transport: Transport,
        info: ReaderInfo,
        shard: usize,
        wire: Wire,
        now_ms: u64,
    ) -> Arc<Self> {
        let polls = transport.answers_requests() || matches!(wire, Wire::Polled);
        let mode = if polls { Mode::Idle } else { Mode::Driven };
        let state = State {
            subscription: Subscription::new(),
            mode,
            unsent: VecDeque::new(),
            liveness: Liveness::new(now_ms),
            poll: None,
            namespaces: None,
            acked: None,
            resumes: 0,
            returned: false,
            gaps: 0,
            delivered: 0,
            bytes: 0,
            behind: false,
            writing: false,
            principal: None,
        };
        Arc::new(Self {
            wire,
            transport,
            wake_on_answer: AtomicBool::new(false),
            // There are at most `SHARDS_MAX`.
            shard: u32::try_from(shard).unwrap_or(0),
            state: Mutex::new(state),
            wake: Notify::new(),
            slot: AtomicUsize::new(usize::MAX),
            info,
        })
    }

    /// Reads what a delivery begins with and makes nothing of it, so that it is in the processor's cache when
    /// it is needed.
    pub(super) fn fetch(&self) {
        let socket = if let Wire::Direct(stream) = &self.wire { Some(stream.as_raw_fd()) } else { None };
        std::hint::black_box((socket, self.state.is_locked()));
    }

    pub(crate) fn info(&self) -> &ReaderInfo {
        &self.info
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    pub(super) fn shard(&self) -> usize {
        self.shard as usize
    }

    pub(super) fn slot(&self) -> usize {
        self.slot.load(Relaxed)
    }

    pub(super) fn set_slot(&self, slot: usize) {
        self.slot.store(slot, Relaxed);
    }

    /// The `sub` of its token, as far as it is known.
    pub(crate) fn user(&self) -> Option<Box<str>> {
        self.state.lock().principal.as_ref().and_then(Principal::user).map(Into::into)
    }

    /// It is known who this is.
    pub(crate) fn set_principal(&self, principal: &Principal) {
        self.state.lock().principal = Some(principal.clone());
    }

    /// Whether this is the connection of somebody of whom that is true; Socket.IO has a somebody for each
    /// namespace.
    pub(crate) fn is_of(&self, is: impl FnOnce(Option<&Principal>) -> bool) -> bool {
        let state = self.state.lock();
        let principal = state.principal.clone();
        // Who has been told already is on the way out.
        let goes_on = state.mode != Mode::Ended;
        drop(state);
        goes_on && is(principal.as_ref())
    }

    /// The namespaces of a Socket.IO client in which it is somebody of whom that is true.
    pub(crate) fn namespaces_where(&self, is: impl Fn(&Principal) -> bool) -> Vec<Arc<str>> {
        let state = self.state.lock();
        let list = state.namespaces.iter().flat_map(|namespaces| &namespaces.list);
        let all: Vec<_> = list.map(|entry| (Arc::clone(&entry.namespace), entry.principal.clone())).collect();
        drop(state);
        all.into_iter().filter(|(_, principal)| is(principal)).map(|(namespace, _)| namespace).collect()
    }

    pub(super) fn follows(&self, channel: &Channel) -> bool {
        self.state.lock().subscription.follows(channel)
    }

    /// Resolves when the reader's own task has to do something.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Hands a wake-up on to whoever else waits.
    pub(crate) fn pass_on(&self) {
        self.wake.notify_one();
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
            behind: state.behind || self.is_behind_unseen(&state),
            resumes: state.resumes,
            gaps: state.gaps,
            delivered: state.delivered,
            bytes: state.bytes,
            user: state.principal.as_ref().and_then(Principal::user).map(Into::into),
            namespaces: state
                .namespaces
                .as_ref()
                .map(|namespaces| namespaces.connected())
                .unwrap_or_default(),
        }
    }

    /// Whether a reader that another library writes for is behind: nobody drains it while its connection
    /// takes nothing.
    fn is_behind_unseen(&self, state: &State) -> bool {
        let cursor = state.subscription.cursor(Offset::MAX);
        !matches!(self.wire, Wire::Direct(_))
            && state.subscription.channels().any(|tail| tail.has_after(cursor))
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

    /// Its client was here before.
    pub(crate) fn set_returned(&self) {
        self.state.lock().returned = true;
    }

    /// Counts a start; returns whether its client has come back with it, which is once a connection.
    pub(crate) fn record_start(&self, with_cursor: bool, gap: bool) -> bool {
        let mut state = self.state.lock();
        let resumed = with_cursor && std::mem::take(&mut state.returned);
        state.resumes += u32::from(resumed);
        state.gaps += u32::from(gap);
        resumed
    }

    pub(crate) fn record_ack(&self, cursor: Cursor) {
        self.state.lock().acked = Some(cursor);
    }

    pub(crate) fn record_heard(&self, now_ms: u64) {
        self.state.lock().liveness.received(now_ms);
    }

    /// How many bytes wait for the socket.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.state.lock().unsent.iter().map(Bytes::len).sum()
    }

    /// Sends a control frame: at once if the socket takes it, else before anything that follows. Returns
    /// false if the connection is broken.
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
            Wire::Woken | Wire::Polled => self.wake.notify_one(),
        }
        true
    }

    /// Begins a wait for a poll's answer; false if the connection has ended. Drain afterwards: what came
    /// meanwhile is the answer.
    #[must_use]
    pub(crate) fn begin_poll(&self, subscription: Subscription, terms: PollTerms) -> bool {
        let mut state = self.state.lock();
        if state.mode == Mode::Ended {
            return false;
        }
        state.subscription = subscription;
        state.poll = Some(Box::new(terms));
        state.mode = Mode::Driven;
        true
    }

    /// Ends the connection of a poller; one whose poll waits is answered. `reply` is the answer then.
    pub(crate) fn dismiss_poller(&self, delivery: &Delivery, reply: &Reply) {
        let mut state = self.state.lock();
        if state.mode == Mode::Ended {
            return;
        }
        if let Some(terms) = state.poll.take() {
            let recipient = Recipient::new(&delivery.cors, terms.origin.as_deref());
            state.unsent.push_back(whole(reply, recipient.last()));
            self.push_out(&mut state, delivery);
        }
        self.end_silently(&mut state);
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

    /// Liveness and deadlines; returns how many offsets the reader is behind the tail.
    pub(super) fn tick(&self, delivery: &Delivery, tail: Offset, now_ms: u64) -> u64 {
        let mut state = self.state.lock();
        if state.mode == Mode::Ended {
            return 0;
        }
        if self.transport.answers_requests() {
            self.tick_poll(&mut state, delivery, now_ms);
            return 0;
        }
        if matches!(self.wire, Wire::Polled) {
            // Its session looks after it.
            return 0;
        }
        if matches!(self.wire, Wire::Woken) {
            let behind = self.is_behind_unseen(&state);
            state.set_behind(behind, &delivery.metrics);
        }
        if self.transport.has_namespaces() {
            return self.tick_socketio(&mut state, delivery, tail, now_ms);
        }
        let is_level = match self.wire {
            Wire::Direct(_) => state.mode == Mode::Live,
            Wire::Woken | Wire::Polled => !state.behind,
        };
        let lag = if is_level { 0 } else { tail.get().saturating_sub(state.subscription.cursor(tail).get()) };
        if self.is_blocked(&state) {
            // What waits for it says where it stands, and a ping behind that would not be heard.
            state.liveness.excused(now_ms);
            return lag;
        }
        match state.liveness.tick(now_ms, delivery.heartbeat_ms, self.transport.answers_pings()) {
            Due::Nothing => {}
            Due::Dead => {
                // Should it live after all, it learns why.
                state.unsent.push_back(anywire_protocol::websocket::close_frame(SILENT, "silent"));
                self.push_out(&mut state, delivery);
                self.end_silently(&mut state);
            }
            Due::Heartbeat => self.heartbeat(&mut state, delivery, false),
            Due::HeartbeatAndPing => self.heartbeat(&mut state, delivery, true),
        }
        lag
    }

    /// Whether something is on its way to the peer that it has not taken yet.
    fn is_blocked(&self, state: &State) -> bool {
        match self.wire {
            Wire::Direct(_) => state.mode == Mode::Driven,
            Wire::Woken | Wire::Polled => state.writing || !state.unsent.is_empty(),
        }
    }

    /// The connection's task begins to write, or has written.
    pub(crate) fn set_writing(&self, writing: bool) {
        self.state.lock().writing = writing;
    }

    /// The heartbeat of Engine.IO over a WebSocket. It does not stop for a client that is behind, since the
    /// client waits for it; but who has not read yet what was written before a ping cannot have answered it.
    fn tick_socketio(&self, state: &mut State, delivery: &Delivery, tail: Offset, now_ms: u64) -> u64 {
        // One that polls takes what waits when it asks again: that blocks nothing.
        let blocked = !matches!(self.wire, Wire::Polled) && self.is_blocked(state);
        let Some(namespaces) = &mut state.namespaces else { return 0 };
        let over = namespaces.ends_ms.is_some_and(|ends_ms| now_ms >= ends_ms);
        match namespaces.heartbeat.tick(now_ms, delivery.times, true) {
            _ if over => self.end_silently(state),
            Beat::Nothing => {}
            Beat::Ping => {
                state.unsent.push_back(Bytes::from_static(b"\x81\x012"));
                self.push_out(state, delivery);
            }
            Beat::Dead if blocked => namespaces.heartbeat.grant(now_ms, delivery.times),
            Beat::Dead => self.end_silently(state),
        }
        if state.mode == Mode::Live {
            0
        } else {
            tail.get().saturating_sub(state.subscription.cursor(tail).get())
        }
    }

    fn end_silently(&self, state: &mut State) {
        state.mode = Mode::Ended;
        self.wake.notify_one();
    }

    fn heartbeat(&self, state: &mut State, delivery: &Delivery, ping: bool) {
        state.subscription.move_to_tail(&delivery.log);
        let cursor = delivery.log.cursor(state.subscription.cursor(delivery.log.tail_offset()));
        if self.transport.is_held_back(&delivery.lab) {
            return;
        }
        state.unsent.extend(self.transport.heartbeat(cursor, ping));
        self.push_out(state, delivery);
    }

    fn push_out(&self, state: &mut State, delivery: &Delivery) {
        match &self.wire {
            Wire::Direct(stream) => match state.flush(&mut SocketSink(stream)) {
                Flushed::All => {}
                Flushed::Full | Flushed::Broken => self.hand_over(state, delivery),
            },
            Wire::Woken | Wire::Polled => self.wake.notify_one(),
        }
    }

    /// Answers a poll whose time is over.
    fn tick_poll(&self, state: &mut State, delivery: &Delivery, now_ms: u64) {
        let over = state.poll.as_ref().is_some_and(|terms| now_ms >= terms.deadline_ms);
        if !over || state.mode != Mode::Live {
            return;
        }
        if let Some(terms) = state.poll.take() {
            state.mode = Mode::Idle;
            let recipient = Recipient::new(&delivery.cors, terms.origin.as_deref());
            state.unsent.push_back(whole(&Reply::nothing_new(terms.cursor), recipient));
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

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn what_a_delivery_needs_is_in_two_lines_of_the_cache_and_a_reader_in_five() {
        const LINE: usize = 64;
        // Before a reader stand the counts of its `Arc`, before its state that of the lock.
        let (counts, lock) = (2 * size_of::<usize>(), size_of::<usize>());
        let needed =
            counts + offset_of!(Reader, state) + lock + offset_of!(State, liveness) + size_of::<u64>();
        assert!(needed <= 2 * LINE, "{needed} bytes");
        assert!(counts + size_of::<Reader>() <= 5 * LINE, "{} bytes", size_of::<Reader>());
    }
}
