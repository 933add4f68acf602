//! Socket.IO clients, unchanged, on the same log (PROTOCOL.md, section 16).
//!
//! A client over a WebSocket is one connection with one reader, like a native one. A client that polls is a
//! [`session::Session`]: a reader whose packets leave in answers to its polls. When its WebSocket takes over,
//! a new reader goes on with the same subscription.
//!
//! Invariants:
//! - The Engine.IO id is a secret of its client and appears nowhere else; what others see is the public id of
//!   a socket.
//! - Every session ends by itself: no namespace in time, no pong in time, no token any more.

mod asks;
mod config;
mod connect;
mod handler;
mod http;
mod inbound;
mod namespaces;
mod polling;
mod recovery;
mod requests;
mod rooms;
mod session;
mod upgrade;
mod websocket;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use anywire_protocol::engineio::{CLOSE, HeartbeatTimes};
use parking_lot::{Mutex, RwLock};

pub use asks::AskError;
pub use config::{NamespaceSection, SocketIoConfig};
pub use handler::{Heard, SocketHandler, SocketInfo};
pub use namespaces::SocketIoError;
pub use recovery::socketio_channels;

pub(crate) use http::respond;
pub(crate) use polling::serve as serve_direct;
pub(crate) use requests::{Asked, Request, forbidden};

use crate::Gateway;
use namespaces::Namespaces;
use session::Session;

/// The name of the listener that is there without being named.
pub const MAIN_LISTENER: &str = "main";
/// The longest time between two looks at the sessions, in milliseconds.
const LOOK_MS_MAX: u32 = 500;

/// What all Socket.IO connections share.
pub(crate) struct SocketIo {
    pub(super) config: SocketIoConfig,
    namespaces: Namespaces,
    /// Those who poll, by their secret id.
    sessions: Mutex<HashMap<Box<str>, Arc<Session>, foldhash::fast::RandomState>>,
    /// Connections that have joined no namespace yet.
    handshakes: Arc<AtomicUsize>,
    handlers: RwLock<Vec<Arc<dyn SocketHandler>>>,
    places: recovery::Places,
    asks: asks::Asks,
    /// Counts connections and requests as they come: so it is known which of two that overlap was first.
    arrivals: AtomicU64,
    /// Where every message comes back, for tests.
    echo_path: OnceLock<String>,
}

/// One connection that has joined no namespace yet; it is uncounted when this is dropped.
#[derive(Debug)]
pub(super) struct Handshake(Arc<AtomicUsize>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl SocketIo {
    pub(crate) fn new(config: &SocketIoConfig) -> Result<Self, SocketIoError> {
        Ok(Self {
            namespaces: Namespaces::new(config)?,
            config: config.clone(),
            sessions: Mutex::default(),
            handshakes: Arc::default(),
            handlers: RwLock::default(),
            places: recovery::Places::default(),
            asks: asks::Asks::default(),
            arrivals: AtomicU64::new(0),
            echo_path: OnceLock::new(),
        })
    }

    /// The heartbeat of all sessions.
    pub(crate) fn times(config: &SocketIoConfig) -> HeartbeatTimes {
        let (interval_ms, timeout_ms) = (config.ping_interval_ms, config.ping_timeout_ms);
        let look_ms = LOOK_MS_MAX.min(interval_ms / 20).min(timeout_ms / 20).max(5);
        HeartbeatTimes { interval_ms, timeout_ms, look_ms }
    }

    /// Whether a path is where Socket.IO clients connect, with or without its last slash.
    pub(crate) fn owns(&self, path: &str) -> bool {
        let is = |own: &str| path == own || own.strip_suffix('/') == Some(path);
        self.config.enabled && (is(&self.config.path) || self.echoes(path))
    }

    /// Whether a path is where every message comes back.
    pub(super) fn echoes(&self, path: &str) -> bool {
        self.echo_path.get().is_some_and(|own| path == own || own.strip_suffix('/') == Some(path))
    }

    /// Every path that is owned.
    pub(crate) fn paths(&self) -> Vec<String> {
        let paths = [Some(&self.config.path), self.echo_path.get()].into_iter().flatten();
        let both = paths.flat_map(|path| [path.clone(), path.trim_end_matches('/').to_owned()]);
        both.filter(|path| self.owns(path)).collect()
    }

    pub(super) fn count_handshake(&self) -> Option<Handshake> {
        let before = self.handshakes.fetch_add(1, Relaxed);
        let counted = Handshake(Arc::clone(&self.handshakes));
        (before < self.config.handshakes_max).then_some(counted)
    }

    /// A number greater than all before, never 0.
    pub(crate) fn next_arrival(&self) -> u64 {
        self.arrivals.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn session(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions.lock().get(id).cloned()
    }

    pub(super) fn add(&self, session: Arc<Session>) {
        self.sessions.lock().insert(session.id.clone(), session);
    }

    /// Forgets a session. Who holds it still may finish what is under way.
    pub(super) fn forget(&self, session: &Session) {
        let forgotten = self.sessions.lock().remove(&session.id);
        // Outside the lock: dropping a session takes its reader out of the fan-out.
        drop(forgotten);
    }

    fn snapshot(&self) -> Vec<Arc<Session>> {
        self.sessions.lock().values().cloned().collect()
    }

    pub(super) fn handlers(&self) -> Vec<Arc<dyn SocketHandler>> {
        self.handlers.read().clone()
    }
}

impl Gateway {
    /// Lets an application answer Socket.IO clients in code; handlers are asked in the order they came.
    pub fn handle_socketio(&self, handler: Arc<dyn SocketHandler>) {
        self.socketio.handlers.write().push(handler);
    }

    /// Serves Engine.IO at this path too, with every message coming back; for the official test suite. Call
    /// it before [`Gateway::routes`].
    pub fn echo_engineio(&self, path: &str) {
        let _only_once = self.socketio.echo_path.set(path.to_owned());
    }

    /// Ends all sessions that poll; their clients come back by themselves.
    pub(crate) fn end_sessions(&self) {
        for session in self.socketio.snapshot() {
            session.close(self, CLOSE);
        }
    }
}

/// Looks after the sessions that poll, for as long as the gateway lives.
pub(crate) async fn look_after_sessions(gateway: Weak<Gateway>, times: HeartbeatTimes) {
    let mut every = tokio::time::interval(Duration::from_millis(times.look_ms.into()));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(gateway) = gateway.upgrade() else { return };
        let now_ms = gateway.delivery.now_ms();
        for session in gateway.socketio.snapshot() {
            session.look_after(&gateway, now_ms);
        }
    }
}

/// A random text of 20 characters that nobody guesses.
pub(super) fn random_id() -> Box<str> {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let mut bytes = [0; 15];
    // Without randomness no secret can be made, and nothing may go on.
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    BASE64_URL_SAFE_NO_PAD.encode(bytes).into()
}
