//! The answers of sockets that the server waits for.

use std::{collections::HashMap, sync::atomic::AtomicU64};

use anywire_protocol::socketio::Args;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The most answers that are waited for.
pub(super) const ASKS_MAX: usize = 100_000;

/// A public id, and the id of a question to it.
pub(super) type Key = (Box<str>, u64);

/// Which answers are waited for.
#[derive(Default)]
pub(crate) struct PendingAcks {
    pub(super) waiting: Mutex<HashMap<Key, oneshot::Sender<Args>>>,
    pub(super) next: AtomicU64,
}

impl PendingAcks {
    /// A socket has answered.
    pub(super) fn answer(&self, socket: &str, id: u64, args: Args) {
        let waiting = self.waiting.lock().remove(&(socket.into(), id));
        if let Some(waiting) = waiting {
            // Who asked may have given up.
            let _gone = waiting.send(args);
        }
    }
}

/// One answer that is waited for; nobody waits any more when this is dropped.
pub(super) struct Ask<'a> {
    pub(super) pending_acks: &'a PendingAcks,
    pub(super) key: Key,
}

impl Drop for Ask<'_> {
    fn drop(&mut self) {
        self.pending_acks.waiting.lock().remove(&self.key);
    }
}
