//! Where a connection came from, and when.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use crate::Gateway;

/// The name of the listener that is there without being named.
pub const MAIN_LISTENER: &str = "main";

/// The address a request came from; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

/// The client a request came from: its peer, or whom trusted proxies name; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// The request came over TLS; an extension of such requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protected;

/// The name of the listener a request came by; an extension of every request.
#[derive(Debug, Clone)]
pub(crate) struct ListenerName(pub(crate) Arc<str>);

/// Whether a request's body came too slowly; an extension of every request with one.
#[derive(Debug, Clone, Default)]
pub(crate) struct SlowBody(Arc<AtomicBool>);

impl SlowBody {
    pub(crate) fn tell(&self) {
        self.0.store(true, Relaxed);
    }

    pub(crate) fn is(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// When a request came, among all; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival(pub(crate) u64);

/// Where a connection came from, and by which listener.
pub(crate) struct Place {
    pub(crate) address: IpAddr,
    pub(crate) listener: Arc<str>,
    /// When it came, until its first request has taken that over.
    pub(crate) arrival: AtomicU64,
}

impl Place {
    /// When the request that has just been read came: the first one with its connection, however late its
    /// task had its turn.
    pub(crate) fn arrival(&self, gateway: &Gateway) -> u64 {
        arrival(&self.arrival, gateway)
    }
}

pub(crate) fn arrival(first: &AtomicU64, gateway: &Gateway) -> u64 {
    match first.swap(0, Relaxed) {
        0 => gateway.socketio.next_arrival(),
        first => first,
    }
}
