//! Events for one socket, and the answers the server waits for.
//!
//! Invariants:
//! - A socket answers only what it was asked itself, and each question once.
//! - At most [`ASKS_MAX`] answers are waited for.

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anywire_log::EventName;
use anywire_protocol::socketio::{Args, Emit, ServerPacket};
use tokio::{sync::oneshot, task::JoinHandle};

use super::acks::{ASKS_MAX, Ask};
use super::recovery::forget_socket;
use crate::{
    Gateway,
    delivery::{Reader, UNSENT_BYTES_MAX},
};

/// Why a socket did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No socket has this id, or not any more.
    #[error("no socket {socket:?} is connected to this process")]
    Unknown {
        /// The public id.
        socket: String,
    },
    /// No answer came in time.
    #[error("socket {socket:?} did not answer within {millis} ms")]
    TimedOut {
        /// The public id.
        socket: String,
        /// How long it had.
        millis: u64,
    },
    /// The client reads nothing at the moment, and enough waits for it.
    #[error(
        "socket {socket:?} takes nothing at the moment: {waiting_bytes} bytes wait for it; try again later"
    )]
    Full {
        /// The public id.
        socket: String,
        /// What waits.
        waiting_bytes: usize,
    },
    /// Too many answers are waited for already.
    #[error("{ASKS_MAX} answers are waited for already, the limit; ask more slowly")]
    TooMany,
}

impl Gateway {
    /// Emits an event to one socket of this process, under the name that an event of the log would have. A
    /// volatile one is dropped unless the socket can take it
    /// at once.
    ///
    /// Cost: O(connections) to find the socket.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn emit_to_socket(
        &self,
        socket: &str,
        name: &EventName,
        args: &Args,
        volatile: bool,
    ) -> Result<(), AskError> {
        let (reader, namespace) = self.socket_with_room(socket)?;
        if volatile && !reader.takes_at_once() {
            return Ok(());
        }
        let name = &self.heard_as(name);
        match reader
            .send_packets(&self.delivery, &Emit { namespace: &namespace, name, ack: None, args }.packets())
        {
            true => Ok(()),
            false => Err(AskError::Unknown { socket: socket.to_owned() }),
        }
    }

    /// Emits an event to one socket of this process and waits for its answer.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask_socket(
        &self,
        socket: &str,
        name: &EventName,
        args: &Args,
        patience: Duration,
    ) -> Result<Args, AskError> {
        let unknown = || AskError::Unknown { socket: socket.to_owned() };
        let (reader, namespace) = self.socket_with_room(socket)?;
        let pending_acks = &self.socketio.pending_acks;
        let id = pending_acks.next.fetch_add(1, Relaxed);
        let (sender, receiver) = oneshot::channel();
        let key = (Box::from(socket), id);
        {
            let mut waiting = pending_acks.waiting.lock();
            if waiting.len() >= ASKS_MAX {
                return Err(AskError::TooMany);
            }
            waiting.insert(key.clone(), sender);
        }
        let _ask = Ask { pending_acks, key };
        let name = &self.heard_as(name);
        if !reader.send_packets(
            &self.delivery,
            &Emit { namespace: &namespace, name, ack: Some(id), args }.packets(),
        ) {
            return Err(unknown());
        }
        drop(reader);
        match tokio::time::timeout(patience, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => {
                let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
                Err(AskError::TimedOut { socket: socket.to_owned(), millis })
            }
        }
    }

    /// Puts a socket out of its namespace, as `socket.disconnect()` on a Socket.IO server does; false if
    /// there is none. It may come back, but not as who it was: what is kept for its recovery is forgotten
    /// before it is told.
    pub async fn disconnect_socket(self: &Arc<Self>, socket: &str) -> bool {
        let Some((reader, namespace)) = self.find_socket(socket) else { return false };
        match self.put_out(&reader, &namespace) {
            Some(told) => told.await.unwrap_or(false),
            None => false,
        }
    }

    /// The same for a connection; what resolves when its client was told.
    pub(crate) fn put_out(
        self: &Arc<Self>,
        reader: &Arc<Reader>,
        namespace: &Arc<str>,
    ) -> Option<JoinHandle<bool>> {
        let (gone, private_id) = reader.disconnect(namespace)?;
        for channel in &gone {
            self.readers.fanout.unwatch_reader(reader, channel);
        }
        let (gateway, reader, namespace) = (Arc::clone(self), Arc::clone(reader), Arc::clone(namespace));
        // A task of its own: whoever asked for this may go away, and the client must hear of it all the same.
        Some(self.tasks.spawn(async move {
            if let Some(private_id) = private_id {
                forget_socket(&gateway.log, &private_id).await;
            }
            reader.send_packets(&gateway.delivery, &[ServerPacket::disconnected(&namespace)])
        }))
    }

    /// The name that a client hears: nobody but the server itself speaks for the server.
    fn heard_as<'a>(&self, name: &'a EventName) -> Cow<'a, str> {
        self.delivery.own_names().heard_as(name.as_str())
    }

    /// A socket, if not too much waits for it already.
    fn socket_with_room(&self, socket: &str) -> Result<(Arc<Reader>, Arc<str>), AskError> {
        let found = self.find_socket(socket);
        let (reader, namespace) = found.ok_or_else(|| AskError::Unknown { socket: socket.to_owned() })?;
        let waiting_bytes = reader.unsent_bytes();
        match waiting_bytes > UNSENT_BYTES_MAX {
            true => Err(AskError::Full { socket: socket.to_owned(), waiting_bytes }),
            false => Ok((reader, namespace)),
        }
    }

    fn find_socket(&self, socket: &str) -> Option<(Arc<Reader>, Arc<str>)> {
        let mut found = None;
        self.readers.fanout.for_each_reader(|reader| {
            if found.is_none()
                && let Some(namespace) = reader.namespace_of(socket)
            {
                found = Some((Arc::clone(reader), namespace));
            }
        });
        found
    }
}
