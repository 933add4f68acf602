//! The readers of all connections: how one is opened, what it watches, and what follows when it is closed.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use anywire_log::{Channel, Clock, Position};

use crate::{
    admission::entry::Admitted,
    delivery::{Delivery, Fanout, Reader, ReaderInfo, Wire},
    metrics::Transport,
    names::Names,
    pollers::Pollers,
    presence::Presence,
    transports::socketio::places::Places,
};

/// What every reader shares with others.
pub(crate) struct Readers {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) fanout: Arc<Fanout>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) pollers: Pollers,
    /// Where Socket.IO clients with recovery are, or stopped.
    pub(crate) places: Places,
    names: Names,
    next_client: AtomicU64,
}

impl Readers {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        delivery: Arc<Delivery>,
        fanout: Arc<Fanout>,
        presence: Arc<Presence>,
    ) -> Arc<Self> {
        let (pollers, places) = (Pollers::default(), Places::default());
        let (names, next_client) = (Names::default(), AtomicU64::new(1));
        Arc::new(Self { clock, delivery, fanout, presence, pollers, places, names, next_client })
    }

    /// A reader for a request that was let in; it gets heartbeats from now on.
    pub(crate) fn open(
        self: &Arc<Self>,
        transport: Transport,
        admitted: &Admitted,
        address: IpAddr,
        wire: Wire,
    ) -> OpenReader {
        let reader = self.open_named(transport, admitted.query.client.as_deref(), address, wire);
        reader.set_principal(&admitted.principal);
        reader
    }

    /// A reader for somebody by this name, or by one of ours.
    pub(crate) fn open_named(
        self: &Arc<Self>,
        transport: Transport,
        client: Option<&str>,
        address: IpAddr,
        wire: Wire,
    ) -> OpenReader {
        let returned = client.is_some_and(|name| self.names.was_here(name));
        let client = match client {
            Some(name) => name.into(),
            None => format!("c-{}", self.next_client.fetch_add(1, Relaxed)).into_boxed_str(),
        };
        let info = ReaderInfo { client, address, connected_at: self.clock.now() };
        let reader = Reader::new(transport, info, self.fanout.assign_shard(), wire, self.delivery.now_ms());
        if returned {
            reader.set_returned();
        }
        self.fanout.add(&reader);
        self.delivery.metrics.opened(transport);
        if !transport.answers_requests() {
            self.pollers.forget(address, &reader.info().client);
        }
        OpenReader { readers: Arc::clone(self), reader }
    }

    fn close(&self, reader: &Arc<Reader>) {
        reader.settle(&self.delivery.metrics);
        if reader.transport().has_namespaces() {
            self.places.record_stopped(reader, self.delivery.log.tail_offset());
        }
        self.presence.leave_all(reader);
        self.fanout.remove(reader);
        self.delivery.metrics.closed(reader.transport());
    }

    /// Makes commits on the channels reach the reader.
    pub(crate) fn watch(&self, reader: &Arc<Reader>, channels: &[Channel]) {
        for channel in channels {
            self.fanout.watch(reader, &self.delivery.log.channel(channel));
        }
    }

    /// Counts the start of a subscription. It is a resumption where its client was here before and goes on
    /// from its cursor, not where a page begins with the state that it has just read.
    pub(crate) fn record_start(&self, reader: &Reader, position: Position, gap: bool) {
        if reader.record_start(matches!(position, Position::After(_)), gap) {
            self.delivery.metrics.resumes.fetch_add(1, Relaxed);
        }
        if gap {
            self.delivery.metrics.gaps.fetch_add(1, Relaxed);
        }
    }
}

/// A reader that is known to the fan-out. Dropping it ends that, however its connection's task ends:
/// finished, cut off or cancelled. Else the fan-out would hold the socket open and go on writing to it.
pub(crate) struct OpenReader {
    readers: Arc<Readers>,
    reader: Arc<Reader>,
}

impl std::ops::Deref for OpenReader {
    type Target = Arc<Reader>;

    fn deref(&self) -> &Arc<Reader> {
        &self.reader
    }
}

impl Drop for OpenReader {
    fn drop(&mut self) {
        self.readers.close(&self.reader);
    }
}
