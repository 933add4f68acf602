//! How many connections there are, and how fast one may publish.

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
    address: IpAddr,
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
        let mut counts = self.counts.lock();
        let here = counts.by_address.get(&address).copied().unwrap_or(0);
        if counts.all >= self.all_max || here >= self.address_max {
            let message = format!(
                "{} connections, {here} of them from {address}; the limits are {} (limits.connections_max, or what the \
                 system has descriptors for) and {} (limits.connections_per_address_max); try again later",
                counts.all, self.all_max, self.address_max
            );
            return Err(Refusal::new(Code::TooManyConnections, message).retry_after_ms(1000));
        }
        counts.all += 1;
        counts.by_address.insert(address, here + 1);
        Ok(Counted { connections: Arc::clone(self), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock();
        counts.all = counts.all.saturating_sub(1);
        if let Some(here) = counts.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// A token bucket over a coarse clock: `rate` a second, at most `burst` at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: f32,
    filled_ms: u64,
}

impl Bucket {
    pub(crate) fn full(burst: u32, now_ms: u64) -> Self {
        Self { tokens: burst as f32, filled_ms: now_ms }
    }

    fn fill(&mut self, rate: u32, burst: u32, now_ms: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.filled_ms) as f32;
        self.tokens = (self.tokens + elapsed_ms * rate as f32 / 1000.0).min(burst as f32);
        self.filled_ms = now_ms;
    }

    fn is_full(mut self, rate: u32, burst: u32, now_ms: u64) -> bool {
        self.fill(rate, burst, now_ms);
        self.tokens >= burst as f32
    }

    /// Takes `count` tokens, or says in how many milliseconds there will be enough.
    pub(crate) fn take(&mut self, count: usize, rate: u32, burst: u32, now_ms: u64) -> Result<(), u32> {
        self.fill(rate, burst, now_ms);
        // A batch larger than the burst is let through when the bucket is full: it could never be otherwise.
        let wanted = (count as f32).min(burst as f32);
        if self.tokens >= wanted {
            self.tokens -= count as f32;
            return Ok(());
        }
        Err(((wanted - self.tokens) * 1000.0 / rate as f32).ceil() as u32)
    }
}

/// How fast each client publishes over HTTP, where a connection says nothing of who it is.
#[derive(Debug, Default)]
pub(crate) struct Publishers(Mutex<HashMap<Box<str>, Bucket, foldhash::fast::RandomState>>);

/// How many publishers are known at once; those whose bucket is full again need not be.
const PUBLISHERS_MAX: usize = 10_000;

impl Publishers {
    /// Takes `count` tokens of `publisher`, or says in how many milliseconds there will be enough.
    pub(crate) fn take(
        &self,
        publisher: &str,
        count: usize,
        limits: &LimitsConfig,
        now_ms: u64,
    ) -> Result<(), u32> {
        let (rate, burst) = (limits.publish_per_second, limits.publish_burst);
        let mut buckets = self.0.lock();
        if let Some(bucket) = buckets.get_mut(publisher) {
            return bucket.take(count, rate, burst, now_ms);
        }
        if buckets.len() >= PUBLISHERS_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(rate, burst, now_ms));
        }
        let mut bucket = Bucket::full(burst, now_ms);
        let taken = bucket.take(count, rate, burst, now_ms);
        if buckets.len() < PUBLISHERS_MAX {
            buckets.insert(publisher.into(), bucket);
            return taken;
        }
        // So many publish at this moment that one more cannot be watched.
        Err(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_are_limited_each_by_itself_and_forgotten_when_they_are_quiet() {
        let limits = LimitsConfig { publish_per_second: 10, publish_burst: 2, ..LimitsConfig::default() };
        let publishers = Publishers::default();
        assert_eq!(publishers.take("ann", 2, &limits, 0), Ok(()));
        assert_eq!(publishers.take("ann", 1, &limits, 0), Err(100));
        assert_eq!(publishers.take("bob", 1, &limits, 0), Ok(()));
        for number in 0..PUBLISHERS_MAX {
            let _full_or_not = publishers.take(&format!("p{number}"), 1, &limits, 0);
        }
        assert_eq!(publishers.take("late", 1, &limits, 0), Err(1000));
        assert_eq!(publishers.take("late", 1, &limits, 1000), Ok(()));
        assert_eq!(publishers.0.lock().len(), 1);
    }

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

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_the_rate() {
        let mut bucket = Bucket::full(5, 0);
        assert_eq!(bucket.take(5, 10, 5, 0), Ok(()));
        assert_eq!(bucket.take(1, 10, 5, 0), Err(100));
        assert_eq!(bucket.take(1, 10, 5, 100), Ok(()));
        assert_eq!(bucket.take(20, 10, 5, 10_000), Ok(()));
    }
}
