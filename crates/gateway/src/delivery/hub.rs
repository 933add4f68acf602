//! The hub: marks in the shards what a commit brings, and keeps a task for each shard that delivers it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anywire_log::{Channel, ChannelTail, CommitListener, Event};
use parking_lot::RwLock;

use super::{context::Delivery, reader::Reader, shard::Shard, watch::Watch};

/// The most shards: each has one bit in a mark.
const SHARDS_MAX: usize = 64;

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
            tokio::spawn(run_passes(Arc::clone(shard), Arc::downgrade(self), look));
        }
        self.delivery.log.listen(Arc::clone(self) as Arc<dyn CommitListener>);
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
        let watch = watches.entry(tail.channel().clone()).or_insert_with(|| Arc::new(Watch::new(tail)));
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

impl Fanout {
    /// The reader does not follow the channel any more.
    pub(crate) fn unwatch_reader(&self, reader: &Arc<Reader>, channel: &Channel) {
        let shard = &self.shards[reader.shard()];
        if shard.unwatch(reader, channel) {
            self.unwatch(shard, channel);
        }
    }

    /// The reader's connection has ended: nothing holds it any more afterwards.
    pub(crate) fn remove(&self, reader: &Arc<Reader>) {
        for channel in reader.end() {
            self.unwatch_reader(reader, &channel);
        }
        self.shards[reader.shard()].remove(reader);
    }
}

/// The task of a shard: delivers what is marked, and looks after its readers.
async fn run_passes(shard: Arc<Shard>, fanout: Weak<Fanout>, sweep_every: Duration) {
    let mut sweep = tokio::time::interval(sweep_every);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // A look that is due comes first: while events come without a pause there is always something marked.
        let swept = tokio::select! {
            biased;
            _ = sweep.tick() => true,
            () = shard.marked() => false,
        };
        let Some(fanout) = fanout.upgrade() else { return };
        let delivery = &fanout.delivery;
        if swept {
            shard.sweep(delivery).await;
            let lag_max = fanout.shards.iter().map(|shard| shard.lag_max()).max();
            delivery.metrics.lag_max.store(lag_max.unwrap_or(0), Ordering::Relaxed);
        }
        for watch in shard.take_marked() {
            if shard.pass(delivery, &watch).await {
                fanout.unwatch(&shard, watch.tail.channel());
            }
        }
        // Whatever was marked meanwhile has left a wake-up; others have their turn first.
        if shard.is_marked() {
            tokio::task::yield_now().await;
        }
    }
}
