//! Fan-out: how committed events reach the readers that wait for them.
//!
//! Readers are spread over shards. A commit marks its channels in the shards that watch them; each shard's
//! task then walks the channel's readers and writes to their sockets itself, taking everything a reader has
//! not seen, so that a burst becomes one write. A reader whose socket is full, or that is behind the tail, is
//! left to its own task. Both paths call [`Reader::drain`].
//!
//! Invariants:
//! - A publisher never waits for a reader: a commit only sets marks.
//! - A channel that a reader watches is marked by every commit after the reader's first drain began.
//! - Locks are taken in one order: watches, shard, reader.

mod drain;
mod polled;
mod reader;
mod shard;
mod shared;
mod sink;
mod spaces;
mod state;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anywire_log::{Channel, ChannelTail, CommitListener, Event, Log};
use anywire_protocol::engineio::HeartbeatTimes;
use parking_lot::RwLock;

pub(crate) use drain::{Fetched, Outcome};
pub(crate) use polled::{HandedOn, Wait, WaitError};
pub(crate) use reader::{Mode, PollTerms, Reader, ReaderInfo, ReaderStats, UNSENT_BYTES_MAX, Wire};
pub(crate) use sink::{BufferSink, SocketSink};
pub use spaces::ConnectedNamespace;
pub(crate) use spaces::{Direct, Space, Spaces};

use crate::{admission::cors::Cors, lab::Lab, metrics::Metrics};
use shard::Shard;

/// The most shards: each has one bit in a mark.
const SHARDS_MAX: usize = 64;

/// What every delivery needs at hand.
pub(crate) struct Delivery {
    pub(crate) log: Arc<Log>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lab: Arc<Lab>,
    pub(crate) drain_bytes_max: usize,
    pub(crate) heartbeat_ms: u64,
    /// The heartbeat of Socket.IO clients.
    pub(crate) times: HeartbeatTimes,
    pub(crate) cors: Cors,
    started: Instant,
}

impl Delivery {
    pub(crate) fn new(
        log: Arc<Log>,
        metrics: Arc<Metrics>,
        lab: Arc<Lab>,
        drain_bytes_max: usize,
        heartbeat_ms: u64,
        times: HeartbeatTimes,
        cors: Cors,
    ) -> Self {
        Self { log, metrics, lab, drain_bytes_max, heartbeat_ms, times, cors, started: Instant::now() }
    }

    /// Milliseconds since the start: the coarse clock of liveness and rates.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Which shards watch a channel, and in which of them it is marked.
struct Watch {
    tail: Arc<ChannelTail>,
    shards: AtomicU64,
    marked: AtomicU64,
    /// When the first commit since the last walk was made, in microseconds since the start.
    committed_us: AtomicU64,
}

type Watches = RwLock<HashMap<Channel, Arc<Watch>, foldhash::fast::RandomState>>;

/// The fan-out of one gateway.
pub(crate) struct Fanout {
    delivery: Arc<Delivery>,
    shards: Vec<Arc<Shard>>,
    watches: Watches,
    next_shard: AtomicUsize,
}

impl Fanout {
    /// A fan-out over `shards` shards; [`Fanout::run`] starts their tasks.
    pub(crate) fn new(delivery: Arc<Delivery>, shards: usize) -> Arc<Self> {
        let shards = (0..shards.clamp(1, SHARDS_MAX)).map(|index| Arc::new(Shard::new(index)));
        Arc::new(Self {
            delivery,
            shards: shards.collect(),
            watches: Watches::default(),
            next_shard: AtomicUsize::new(0),
        })
    }

    /// Starts a task for each shard and listens to the log. The tasks end with the runtime.
    pub(crate) fn run(self: &Arc<Self>) {
        for shard in &self.shards {
            let look = Duration::from_millis(self.delivery.times.look_ms.into());
            tokio::spawn(Arc::clone(shard).walk_for_ever(Arc::downgrade(self), look));
        }
        self.delivery.log.listen(Arc::clone(self) as Arc<dyn CommitListener>);
    }

    pub(crate) fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    /// The shard for a new reader.
    pub(crate) fn assign_shard(&self) -> usize {
        self.next_shard.fetch_add(1, Ordering::Relaxed) % self.shards.len()
    }

    /// Makes a reader known, so that it gets heartbeats and is listed.
    pub(crate) fn add(&self, reader: &Arc<Reader>) {
        self.shards[reader.shard()].add(reader);
    }

    /// From now on commits on the channel reach the reader. Drain it afterwards: what was committed before is
    /// for that.
    pub(crate) fn watch(&self, reader: &Arc<Reader>, tail: &Arc<ChannelTail>) {
        let bit = 1 << reader.shard();
        // Under the write lock: a commit that does not see the mark was in the tail before, and the drain
        // finds it.
        let mut watches = self.watches.write();
        let watch = watches.entry(tail.channel().clone()).or_insert_with(|| {
            Arc::new(Watch {
                tail: Arc::clone(tail),
                shards: AtomicU64::new(0),
                marked: AtomicU64::new(0),
                committed_us: AtomicU64::new(0),
            })
        });
        watch.shards.fetch_or(bit, Ordering::SeqCst);
        self.shards[reader.shard()].watch(reader, tail.channel());
    }

    /// Calls `visit` with every reader that is connected.
    pub(crate) fn for_each_reader(&self, mut visit: impl FnMut(&Arc<Reader>)) {
        for shard in &self.shards {
            for reader in shard.readers() {
                visit(&reader);
            }
        }
    }

    /// How many readers watch a channel. Cost: O(shards).
    pub(crate) fn watchers(&self, channel: &Channel) -> usize {
        self.shards.iter().map(|shard| shard.watchers(channel)).sum()
    }

    /// A shard has no reader of the channel any more.
    fn unwatch(&self, shard: &Shard, channel: &Channel) {
        let mut watches = self.watches.write();
        let Some(watch) = watches.get(channel) else { return };
        // Looked at again under the lock: a reader may have come meanwhile.
        if !shard.forget_if_empty(channel) {
            return;
        }
        let before = watch.shards.fetch_and(!(1 << shard.index()), Ordering::SeqCst);
        if before & !(1 << shard.index()) == 0 {
            watches.remove(channel);
        }
    }
}

impl CommitListener for Fanout {
    fn committed(&self, events: &[Arc<Event>]) {
        let metrics = &self.delivery.metrics;
        metrics.events.fetch_add(events.len() as u64, Ordering::Relaxed);
        let bytes: usize = events.iter().map(|event| event.payload.as_bytes().len()).sum();
        metrics.event_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let now_us = self.delivery.now_us();
        let watches = self.watches.read();
        let mut previous: Option<&Channel> = None;
        for event in events {
            if previous == Some(&event.channel) {
                continue;
            }
            previous = Some(&event.channel);
            if let Some(watch) = watches.get(&event.channel) {
                self.mark(watch, now_us);
            }
        }
    }

    /// Whoever appended: publishers through the gateway and applications alike.
    fn appended(&self, after: Duration) {
        self.delivery.metrics.commit_latency.observe(after, 1);
    }
}

impl Fanout {
    fn mark(&self, watch: &Arc<Watch>, now_us: u64) {
        let shards = watch.shards.load(Ordering::SeqCst);
        let marked = watch.marked.fetch_or(shards, Ordering::SeqCst);
        if marked == 0 {
            watch.committed_us.store(now_us, Ordering::Relaxed);
        }
        let mut fresh = shards & !marked;
        while fresh != 0 {
            let index = fresh.trailing_zeros() as usize;
            self.shards[index].mark(Arc::clone(watch));
            fresh &= fresh - 1;
        }
    }
}
