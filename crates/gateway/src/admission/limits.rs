//! How many connections there are.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use anywire_protocol::{Code, Refusal};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::LimitsConfig;

/// How many connections over the limit are heard at once before they are told so.
const HEARD_MAX: usize = 64;
const HEARD_MIN: usize = 4;

/// How many connections over a limit have a descriptor at once, while they are told that there is no room.
#[must_use]
pub fn turned_away_at_once(connections_max: usize) -> usize {
    (connections_max / 8).clamp(HEARD_MIN, HEARD_MAX)
}

/// Counts connections, in all and by address.
#[derive(Debug)]
pub(crate) struct Connections {
    all_max: usize,
    address_max: usize,
    counts: Mutex<Counts>,
    /// Places for those over the limit that are still heard.
    heard: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize, foldhash::fast::RandomState>,
}

/// One counted connection; it is uncounted when this is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    connections: Arc<Connections>,
    /// The one it counts for; a proxy's counts for none.
    address: Option<IpAddr>,
    /// Whether it is one among all: what goes over another connection is not.
    in_all: bool,
}

impl Connections {
    pub(crate) fn new(limits: &LimitsConfig) -> Arc<Self> {
        let (all_max, address_max) = (limits.connections_max, limits.connections_per_address_max);
        let heard = Arc::new(Semaphore::new(turned_away_at_once(all_max)));
        Arc::new(Self { all_max, address_max, counts: Mutex::default(), heard })
    }

    /// A place to hear what a connection that is refused asks for; none if many are heard already.
    pub(crate) fn hear(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.heard).try_acquire_owned().ok()
    }

    /// Counts a connection, or refuses it.
    pub(crate) fn count(self: &Arc<Self>, address: IpAddr) -> Result<Counted, Refusal> {
        self.count_as(Some(address), true)
    }

    /// Counts the connection of a proxy that is trusted: others' addresses come over it.
    pub(crate) fn count_proxy(self: &Arc<Self>) -> Result<Counted, Refusal> {
        self.count_as(None, true)
    }

    /// Counts what a client has over the connection of a proxy.
    pub(crate) fn count_client(self: &Arc<Self>, address: IpAddr) -> Result<Counted, Refusal> {
        self.count_as(Some(address), false)
    }

    fn count_as(self: &Arc<Self>, address: Option<IpAddr>, in_all: bool) -> Result<Counted, Refusal> {
        let mut counts = self.counts.lock();
        let here = address.and_then(|address| counts.by_address.get(&address).copied()).unwrap_or(0);
        if in_all && counts.all >= self.all_max || address.is_some() && here >= self.address_max {
            let from = address.map_or_else(|| "proxies".to_owned(), |address| address.to_string());
            let message = format!(
                "{} connections, {here} of them from {from}; the limits are {} (limits.connections_max, or what the \
                 system has descriptors for) and {} (limits.connections_per_address_max); try again later",
                counts.all, self.all_max, self.address_max
            );
            return Err(Refusal::new(Code::TooManyConnections, message).retry_after_ms(1000));
        }
        counts.all += usize::from(in_all);
        if let Some(address) = address {
            counts.by_address.insert(address, here + 1);
        }
        Ok(Counted { connections: Arc::clone(self), address, in_all })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock();
        counts.all = counts.all.saturating_sub(usize::from(self.in_all));
        let Some(address) = self.address else { return };
        if let Some(here) = counts.by_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_refused_over_the_limit_and_counted_down_when_they_end() {
        let limits =
            LimitsConfig { connections_max: 3, connections_per_address_max: 2, ..LimitsConfig::default() };
        let connections = Connections::new(&limits);
        let address = |last: u8| IpAddr::from([127, 0, 0, last]);
        let first = connections.count(address(1)).expect("room");
        let _second = connections.count(address(1)).expect("room");
        assert_eq!(connections.count(address(1)).expect_err("full").code, Code::TooManyConnections);
        let _third = connections.count(address(2)).expect("room");
        assert!(connections.count(address(3)).is_err());
        drop(first);
        assert!(connections.count(address(3)).is_ok());
    }
}
