//! A session that polls: a reader, and what its requests bring.
//!
//! Invariants:
//! - Who breaks these rules ends the session: answers to requests that overlap would be out of order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anywire_protocol::{
    Refusal,
    engineio::{CLOSE, EngineError, HeartbeatTimes, NOOP, Packet, PacketError, payload},
};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    inbound::Ended,
    requests::forbidden,
    state::{Inbound, Session, random_id},
    upgrade::limit_words,
};
use crate::{
    Gateway,
    admission::limits::Counted,
    delivery::{Direct, Reader, UNSENT_BYTES_MAX, WaitError, Wire},
};

/// How long a poll may be on the way after its session was closed.
const LAST_POLL_MS: u64 = 1000;
/// How long a poll waits for a WebSocket that is being tried to take over or end.
const TRIAL_TIME: Duration = Duration::from_millis(100);

/// What a poll is answered with where it does not wait.
pub(super) enum Instead {
    Packet(&'static str),
    Error(EngineError),
}

/// Ends the session if its poll is given up: nobody knows then whether an answer was on the way.
pub(super) struct GivenUp<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) session: &'a Session,
    pub(super) turn: u32,
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if self.session.reader.holds(self.turn) {
            self.session.close(self.gateway, CLOSE);
        }
    }
}

/// What was borrowed from a session; it goes back even if the request is cut off.
struct Borrowed<'a> {
    session: &'a Session,
    inbound: Option<Box<Inbound>>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        *self.session.inbound.lock() = self.inbound.take();
    }
}

impl Session {
    /// Begins a session; returns its first payload.
    pub(super) fn open(gateway: &Arc<Gateway>, inbound: Box<Inbound>, counted: Counted) -> Bytes {
        let reader = inbound.open_reader(gateway, Wire::Polled);
        let id = random_id();
        let opening = inbound.opening(gateway, &id, true);
        let inbound = Mutex::new(Some(inbound));
        let session = Self {
            id,
            reader,
            inbound,
            trying: AtomicBool::new(false),
            tried: Notify::new(),
            owed_until_ms: AtomicU64::new(0),
            _counted: counted,
        };
        gateway.socketio.add(Arc::new(session));
        opening
    }

    pub(super) fn reader(&self) -> &Arc<Reader> {
        &self.reader
    }

    /// Ends the session; the poll that waits is answered with `packet`.
    pub(crate) fn close(&self, gateway: &Gateway, packet: &'static str) {
        self.reader.end_polls(&gateway.delivery, packet);
        gateway.socketio.forget(self);
    }

    /// Ends the session as its client asked. Its poll ends orderly, also if it arrives after the post that
    /// closes: they come over two connections.
    fn close_orderly(&self, gateway: &Gateway) {
        if self.reader.end_polls(&gateway.delivery, NOOP) {
            gateway.socketio.forget(self);
        } else {
            self.owed_until_ms.store(gateway.delivery.now_ms() + LAST_POLL_MS, Ordering::Relaxed);
        }
    }

    /// Whether this poll is the one that is owed an answer; then it is the last.
    fn is_last_poll(&self, gateway: &Gateway) -> bool {
        let owed = self.owed_until_ms.swap(0, Ordering::Relaxed) > 0;
        if owed {
            self.reader.confirm_polls();
            gateway.socketio.forget(self);
        }
        owed
    }

    /// A poll begins to wait, or is answered at once.
    pub(super) async fn begin_poll(
        &self,
        gateway: &Gateway,
        arrival: u64,
        direct: Option<Direct>,
    ) -> Result<u32, Instead> {
        self.await_trial().await;
        if self.is_last_poll(gateway) {
            return Err(Instead::Packet(NOOP));
        }
        if !self.tick(gateway, gateway.delivery.now_ms()) {
            return Err(Instead::Error(EngineError::UnknownSession));
        }
        self.reader.begin_wait(&gateway.delivery, arrival, direct).map_err(|error| match error {
            WaitError::Ended => Instead::Error(EngineError::UnknownSession),
            WaitError::Overlap => {
                self.close(gateway, CLOSE);
                Instead::Error(EngineError::BadRequest)
            }
            WaitError::Overtaken => {
                self.close(gateway, CLOSE);
                Instead::Packet(CLOSE)
            }
        })
    }

    /// Waits a moment where a WebSocket is being tried: the packet by which it takes over may be on its way,
    /// sent before this poll but over another connection. It also keeps a client from polling in a circle
    /// until it has noticed that it may stop.
    async fn await_trial(&self) {
        let tried = self.tried.notified();
        if self.reader.is_probing() {
            let _still_tried = tokio::time::timeout(TRIAL_TIME, tried).await;
        }
    }

    /// Pings, or ends what is over. To be called often, and before a request is served: a session never
    /// outlives its time for those who ask.
    pub(super) fn tick(&self, gateway: &Gateway, now_ms: u64) -> bool {
        let times: HeartbeatTimes = gateway.delivery.times;
        let owed_until_ms = self.owed_until_ms.load(Ordering::Relaxed);
        if owed_until_ms > now_ms {
            return false;
        }
        let alive = self.reader.tick_session(&gateway.delivery, now_ms, times);
        if !alive {
            self.close(gateway, CLOSE);
        }
        alive
    }

    /// The longest body or message that is taken from its client.
    pub(super) fn message_bytes_max(&self, gateway: &Gateway) -> usize {
        let most = gateway.socketio.config.payload_bytes_max;
        self.inbound.lock().as_ref().map_or(most, |inbound| inbound.message_bytes_max(gateway))
    }

    /// A body for which there is no room ends the session, too.
    pub(super) fn give_up(&self, gateway: &Gateway, refusal: Refusal) -> EngineError {
        self.close(gateway, CLOSE);
        let _ended = Ended::by_rule(gateway, &self.reader, refusal.message.clone());
        forbidden(refusal)
    }

    /// A body over the limit ends the session: what was in it is lost.
    pub(super) fn too_large(&self, gateway: &Gateway, limit: usize) -> EngineError {
        self.close(gateway, CLOSE);
        let reason = format!("the body has more than {limit} bytes ({})", limit_words(gateway, limit));
        let _ended = Ended::by_rule(gateway, &self.reader, reason.clone());
        EngineError::Forbidden { reason, status: 413, retry_ms: None }
    }

    /// Takes a post's body.
    pub(super) async fn post(&self, gateway: &Arc<Gateway>, body: &[u8]) -> Result<(), EngineError> {
        if !self.tick(gateway, gateway.delivery.now_ms()) {
            return Err(EngineError::UnknownSession);
        }
        let taken = self.inbound.lock().take();
        let Some(inbound) = taken else {
            self.close(gateway, CLOSE);
            return Err(EngineError::BadRequest);
        };
        let mut borrowed = Borrowed { session: self, inbound: Some(inbound) };
        let Some(inbound) = &mut borrowed.inbound else { return Err(EngineError::BadRequest) };
        let Ok(text) = std::str::from_utf8(body) else {
            self.close(gateway, CLOSE);
            return Err(EngineError::BadRequest);
        };
        for packet in payload(text) {
            let full = self.reader.unsent_bytes() > UNSENT_BYTES_MAX;
            let taken = match packet {
                Ok(Packet::Close) => {
                    self.close_orderly(gateway);
                    return Ok(());
                }
                Ok(packet) if !full => inbound.take_packet(gateway, &self.reader, packet).await,
                Ok(_) => {
                    let why = format!("more than {UNSENT_BYTES_MAX} bytes of answers wait to be polled");
                    Err(Ended::by_rule(gateway, &self.reader, why))
                }
                Err(PacketError::Kind) => Err(Ended(None)),
                Err(error @ PacketError::Count) => {
                    Err(Ended::by_rule(gateway, &self.reader, error.to_string()))
                }
            };
            // A body may hold thousands: others have their turn between them.
            tokio::task::consume_budget().await;
            if let Err(Ended(why)) = taken {
                self.close(gateway, CLOSE);
                return Err(why.map_or(EngineError::BadRequest, |reason| EngineError::BadPacket { reason }));
            }
        }
        Ok(())
    }

    /// Begins to try a WebSocket; false if one is being tried already.
    pub(super) fn try_websocket(&self) -> bool {
        !self.trying.swap(true, Ordering::SeqCst)
    }

    /// The WebSocket has taken over, or did not.
    pub(super) fn give_up_websocket(&self) {
        self.reader.set_probing(false);
        self.trying.store(false, Ordering::SeqCst);
        self.tried.notify_waiters();
    }

    /// What requests bring, for the WebSocket that takes over; `None` while a post is worked on.
    pub(super) fn take_inbound(&self) -> Option<Box<Inbound>> {
        self.inbound.lock().take()
    }
}
