//! What lasts counts as a connection: over HTTP/2 many streams share a socket, and behind a proxy many
//! clients share an address.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use anywire_protocol::Refusal;
use axum::extract::Request;

use super::request::{address, known_address};
use crate::admission::limits::{Connections, Counted};

/// What is known of one connection that the HTTP library serves; an extension of every request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carrier(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Something that lasts goes over it: the connection itself is counted for that.
    is_used: AtomicBool,
    /// How many requests have come.
    requests: AtomicUsize,
    /// How many of them are not answered to their end.
    open: AtomicUsize,
    /// It is no HTTP any more.
    is_upgraded: AtomicBool,
}

impl Carrier {
    /// A request has come; it is open for as long as what is returned is there.
    pub(crate) fn open(&self) -> OpenRequest {
        self.0.requests.fetch_add(1, Relaxed);
        self.0.open.fetch_add(1, Relaxed);
        OpenRequest(self.clone())
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> usize {
        self.0.requests.load(Relaxed)
    }

    /// Whether every request was answered to its end.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.open.load(Relaxed) == 0
    }

    /// From now on it is no HTTP any more.
    pub(crate) fn upgrade(&self) {
        self.0.is_upgraded.store(true, Relaxed);
    }

    /// Whether it is no HTTP any more.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.0.is_upgraded.load(Relaxed)
    }
}

/// A request that is not answered to its end.
#[derive(Debug)]
pub(crate) struct OpenRequest(Carrier);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Relaxed);
    }
}

/// From where something that lasts is asked for.
pub(crate) struct Streams {
    carrier: Option<Carrier>,
    client: IpAddr,
    /// The client is not the one whose connection was counted.
    is_proxied: bool,
}

/// One thing that lasts; uncounted when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    carrier: Option<Carrier>,
    _counted: Option<Counted>,
}

impl Streams {
    /// From where a request comes.
    pub(crate) fn of(request: &Request) -> Self {
        let client = address(request);
        let is_proxied = known_address(request).is_some_and(|peer| peer != client);
        Self { carrier: request.extensions().get::<Carrier>().cloned(), client, is_proxied }
    }

    /// Counts it, or refuses it.
    pub(crate) fn hold(&self, connections: &Arc<Connections>) -> Result<Held, Refusal> {
        let first = self.carrier.as_ref().filter(|carrier| !carrier.0.is_used.swap(true, Relaxed));
        let mut held = Held { carrier: first.cloned(), _counted: None };
        held._counted = match (first, self.is_proxied) {
            (None, _) => Some(connections.count(self.client)?),
            (Some(_), true) => Some(connections.count_client(self.client)?),
            (Some(_), false) => None,
        };
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(carrier) = &self.carrier {
            carrier.0.is_used.store(false, Relaxed);
        }
    }
}
