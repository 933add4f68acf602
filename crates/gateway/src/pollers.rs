//! Those who poll: what their last polls brought, since between two of them nothing else is known of them.

use std::{collections::HashMap, net::IpAddr};

use anywire_log::{Channel, Offset, Timestamp};
use parking_lot::Mutex;

const POLLERS_MAX: usize = 10_000;
/// How long a poller counts as connected after its last poll, in milliseconds.
const POLLER_MS: u64 = 30_000;

/// Those who poll: between two polls they have no connection that could be listed.
#[derive(Default)]
pub(crate) struct Pollers(Mutex<HashMap<(IpAddr, String), Poller>>);

#[derive(Clone)]
pub(crate) struct Poller {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) waits: bool,
    pub(crate) channels: Vec<Channel>,
    pub(crate) offset: Offset,
    pub(crate) polls: u32,
    pub(crate) delivered: u64,
    pub(crate) gaps: u32,
}

/// What one poll brought.
pub(crate) struct Polled<'a> {
    pub(crate) address: IpAddr,
    pub(crate) client: Option<&'a str>,
    pub(crate) channels: &'a [Channel],
    pub(crate) offset: Offset,
    pub(crate) events: usize,
    pub(crate) gap: bool,
    /// Whether it waited for something to come.
    pub(crate) waits: bool,
}

impl Pollers {
    pub(crate) fn record(&self, polled: &Polled<'_>, now: Timestamp) {
        let key = (polled.address, polled.client.unwrap_or("anonymous").to_owned());
        let mut pollers = self.0.lock();
        if pollers.len() >= POLLERS_MAX {
            pollers.retain(|_, poller| now.millis_since(poller.last) < POLLER_MS);
        }
        if pollers.len() >= POLLERS_MAX && !pollers.contains_key(&key) {
            return;
        }
        let fresh = Poller {
            first: now,
            last: now,
            waits: polled.waits,
            channels: vec![],
            offset: polled.offset,
            polls: 0,
            delivered: 0,
            gaps: 0,
        };
        let poller = pollers.entry(key).or_insert(fresh);
        poller.last = now;
        poller.waits = polled.waits;
        poller.offset = polled.offset;
        poller.polls += 1;
        poller.delivered += polled.events as u64;
        poller.gaps += u32::from(polled.gap);
        if poller.channels != polled.channels {
            poller.channels = polled.channels.to_vec();
        }
    }

    /// A client that polled is connected otherwise now: it is listed once.
    pub(crate) fn forget(&self, address: IpAddr, client: &str) {
        let mut pollers = self.0.lock();
        if !pollers.is_empty() {
            pollers.remove(&(address, client.to_owned()));
        }
    }

    pub(crate) fn list(&self, now: Timestamp) -> Vec<((IpAddr, String), Poller)> {
        let mut pollers = self.0.lock();
        pollers.retain(|_, poller| now.millis_since(poller.last) < POLLER_MS);
        pollers.iter().map(|(key, poller)| (key.clone(), poller.clone())).collect()
    }
}
