//! The state of Socket.IO: what all its connections share, what one has said so far, and the sessions that
//! poll.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use anywire_access::Principal;
use anywire_protocol::{
    engineio::HeartbeatTimes,
    socketio::{Assembler, OwnNames},
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::{
    acks::PendingAcks,
    config::SocketIoConfig,
    handler::{SocketHandler, SocketInfo},
    namespaces::{Namespace, NamespaceTable, SocketIoError},
    places::Room,
};
use crate::{
    admission::{limits::Counted, rates::Account, unfinished::Kept},
    readers::OpenReader,
};

/// The longest time between two looks at the sessions, in milliseconds.
const LOOK_MS_MAX: u32 = 500;

/// What all Socket.IO connections share.
pub(crate) struct SocketIo {
    pub(super) config: SocketIoConfig,
    pub(super) namespaces: NamespaceTable,
    /// Those who poll, by their secret id.
    sessions: Mutex<HashMap<Box<str>, Arc<Session>, foldhash::fast::RandomState>>,
    /// Connections that have joined no namespace yet.
    handshakes: Arc<AtomicUsize>,
    pub(super) handlers: RwLock<Vec<Arc<dyn SocketHandler>>>,
    pub(super) pending_acks: PendingAcks,
    /// Counts connections and requests as they come: so it is known which of two that overlap was first.
    arrivals: AtomicU64,
    /// Where every message comes back, for tests.
    pub(super) echo_path: OnceLock<String>,
}

/// One connection that has joined no namespace yet; it is uncounted when this is dropped.
#[derive(Debug)]
pub(super) struct PendingHandshake(Arc<AtomicUsize>);

impl Drop for PendingHandshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl SocketIo {
    pub(crate) fn new(config: &SocketIoConfig) -> Result<Self, SocketIoError> {
        Ok(Self {
            namespaces: NamespaceTable::new(config)?,
            config: config.clone(),
            sessions: Mutex::default(),
            handshakes: Arc::default(),
            handlers: RwLock::default(),
            pending_acks: PendingAcks::default(),
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

    /// The names of events that only the server sends.
    pub(crate) fn own_names(config: &SocketIoConfig) -> OwnNames {
        OwnNames::new(config.namespaces.iter().filter_map(|section| section.welcome_event.as_deref()))
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

    pub(super) fn count_handshake(&self) -> Option<PendingHandshake> {
        let before = self.handshakes.fetch_add(1, Relaxed);
        let counted = PendingHandshake(Arc::clone(&self.handshakes));
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

    pub(super) fn snapshot(&self) -> Vec<Arc<Session>> {
        self.sessions.lock().values().cloned().collect()
    }

    pub(super) fn handlers(&self) -> Vec<Arc<dyn SocketHandler>> {
        self.handlers.read().clone()
    }
}

/// Who asks: kept for as long as the connection lasts.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(super) listener: Arc<str>,
    pub(super) address: IpAddr,
    pub(super) authorization: Option<Box<str>>,
    pub(super) token: Option<Box<str>>,
    /// Whose session it is, by its cookie.
    pub(super) session: Option<Principal>,
    pub(super) client: Option<Box<str>>,
    /// Every message comes back, for tests.
    pub(super) echoed: bool,
}

/// What one connection has said so far.
pub(crate) struct Inbound {
    pub(super) assembler: Assembler,
    /// What it keeps of messages and packets that have not come whole.
    pub(super) kept: Kept,
    pub(super) handshake: Handshake,
    pub(super) joined: Vec<Joined>,
    /// Until the first namespace is joined.
    pub(super) pending: Option<PendingHandshake>,
    /// It has asked to join one, and that was not acted on yet.
    pub(super) asked: bool,
}

/// A namespace of this connection.
pub(super) struct Joined {
    pub(super) path: Arc<str>,
    pub(super) socket: Box<str>,
    pub(super) namespace: Arc<Namespace>,
    pub(super) principal: Principal,
    /// To whom is charged what it does; none without a limit.
    pub(super) account: Option<Arc<Account>>,
    /// Where recovery is on: the private id, and what is kept under it.
    pub(super) recovery: Option<Box<(Box<str>, Vec<Room>)>>,
}

impl Joined {
    pub(super) fn info<'a>(&'a self, handshake: &'a Handshake) -> SocketInfo<'a> {
        SocketInfo {
            listener: &handshake.listener,
            namespace: &self.path,
            socket: &self.socket,
            user: self.principal.user(),
        }
    }
}

/// A session that polls: a reader, and what its requests bring.
pub(crate) struct Session {
    /// The Engine.IO id: a secret.
    pub(super) id: Box<str>,
    pub(super) reader: OpenReader,
    /// Away while a post is worked on, and for good when a WebSocket has taken over.
    pub(super) inbound: Mutex<Option<Box<Inbound>>>,
    pub(super) trying: AtomicBool,
    /// A WebSocket is not tried any more.
    pub(super) tried: Notify,
    /// The client has closed the session while its last poll may be on the way: until then that poll is owed
    /// an orderly answer. 0 if none is.
    pub(super) owed_until_ms: AtomicU64,
    pub(super) _counted: Counted,
}

/// A random text of 20 characters that nobody guesses.
pub(super) fn random_id() -> Box<str> {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let mut bytes = [0; 15];
    // Without randomness no secret can be made, and nothing may go on.
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    BASE64_URL_SAFE_NO_PAD.encode(bytes).into()
}
