//! One shard: some of the readers, and the fan-out passes over them.
//!
//! Invariants:
//! - No lock is held while a reader is written to: a pass takes the channel's list out and puts it back.
//! - Who closes is removed at once, since a list that holds a reader holds its file descriptor.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anywire_log::Channel;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    context::Delivery,
    reader::Reader,
    shared::{DeliveryCounters, Shared},
    watch::Watch,
};

/// How many readers a pass serves before it looks for what was committed meanwhile.
const PASS_TURN: usize = 128;
/// How long a pass goes on before other tasks have their turn.
const PASS_TIME_US: u64 = 1000;
/// How many readers are fetched into the processor's cache at a time.
const FETCHED_AT_ONCE: usize = 16;

pub(super) struct Shard {
    index: usize,
    queue: Mutex<Vec<Arc<Watch>>>,
    wake: Notify,
    /// How far the reader furthest behind was at the last look, in offsets.
    lag_max: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    channels: HashMap<Channel, Watchers, foldhash::fast::RandomState>,
    readers: Vec<Option<Arc<Reader>>>,
    vacant: Vec<usize>,
}

#[derive(Default)]
struct Watchers {
    readers: Vec<Arc<Reader>>,
    /// The list is out on a pass; who leaves meanwhile sets `untidy`.
    in_pass: bool,
    untidy: bool,
}

impl Shard {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            queue: Mutex::default(),
            wake: Notify::new(),
            lag_max: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn add(&self, reader: &Arc<Reader>) {
        let mut state = self.state.lock();
        let slot = state.vacant.pop().unwrap_or(state.readers.len());
        if slot == state.readers.len() {
            state.readers.push(None);
        }
        reader.set_slot(slot);
        state.readers[slot] = Some(Arc::clone(reader));
    }

    pub(super) fn watch(&self, reader: &Arc<Reader>, channel: &Channel) {
        let mut state = self.state.lock();
        state.channels.entry(channel.clone()).or_default().readers.push(Arc::clone(reader));
    }

    pub(super) fn mark(&self, watch: Arc<Watch>) {
        self.queue.lock().push(watch);
        self.wake.notify_one();
    }

    pub(super) fn readers(&self) -> Vec<Arc<Reader>> {
        self.state.lock().readers.iter().flatten().cloned().collect()
    }

    pub(super) fn watchers(&self, channel: &Channel) -> usize {
        self.state.lock().channels.get(channel).map_or(0, |watchers| watchers.readers.len())
    }

    /// Takes a reader off a channel's list; true if the list is empty now.
    pub(super) fn unwatch(&self, reader: &Arc<Reader>, channel: &Channel) -> bool {
        let mut state = self.state.lock();
        let Some(watchers) = state.channels.get_mut(channel) else { return false };
        watchers.untidy |= watchers.in_pass;
        if let Some(at) = watchers.readers.iter().position(|other| Arc::ptr_eq(other, reader)) {
            watchers.readers.swap_remove(at);
        }
        watchers.readers.is_empty() && !watchers.in_pass
    }

    pub(super) fn remove(&self, reader: &Arc<Reader>) {
        let mut state = self.state.lock();
        let slot = reader.slot();
        let here =
            state.readers.get_mut(slot).filter(|held| held.as_ref().is_some_and(|o| Arc::ptr_eq(o, reader)));
        if let Some(held) = here {
            *held = None;
            state.vacant.push(slot);
        }
    }

    /// Drops a channel's list if nobody is on it; true if it is gone.
    pub(super) fn forget_if_empty(&self, channel: &Channel) -> bool {
        let mut state = self.state.lock();
        let empty = state.channels.get(channel).is_some_and(|w| w.readers.is_empty() && !w.in_pass);
        if empty {
            state.channels.remove(channel);
        }
        empty
    }

    /// Resolves when a channel was marked.
    pub(super) async fn marked(&self) {
        self.wake.notified().await;
    }

    /// The channels marked since this was asked last.
    pub(super) fn take_marked(&self) -> Vec<Arc<Watch>> {
        std::mem::take(&mut *self.queue.lock())
    }

    pub(super) fn is_marked(&self) -> bool {
        !self.queue.lock().is_empty()
    }

    pub(super) fn lag_max(&self) -> u64 {
        self.lag_max.load(Ordering::Relaxed)
    }

    /// Delivers what is new on a channel to its readers; true if it has none any more.
    pub(super) async fn pass(&self, delivery: &Delivery, watch: &Watch) -> bool {
        let committed_us = watch.committed_us.load(Ordering::Relaxed);
        // Before the tail is read: a commit after this marks the channel again.
        watch.marked.fetch_and(!(1 << self.index), Ordering::SeqCst);
        let channel = watch.tail.channel();
        let readers = self.take_list(channel);
        let mut shared = Shared::new(&watch.tail);
        let mut now_us = delivery.now_us();
        let mut began_us = now_us;
        for turn in readers.chunks(PASS_TURN) {
            let mut counters = DeliveryCounters::new(now_us / 1000);
            serve(turn, delivery, &mut shared, &mut counters);
            now_us = delivery.now_us();
            counters.add_to(&delivery.metrics, Duration::from_micros(now_us.saturating_sub(committed_us)));
            if now_us.saturating_sub(began_us) >= PASS_TIME_US {
                tokio::task::yield_now().await;
                now_us = delivery.now_us();
                began_us = now_us;
            }
        }
        self.put_list_back(channel, readers)
    }

    fn take_list(&self, channel: &Channel) -> Vec<Arc<Reader>> {
        let mut state = self.state.lock();
        let Some(watchers) = state.channels.get_mut(channel) else { return Vec::new() };
        watchers.in_pass = true;
        std::mem::take(&mut watchers.readers)
    }

    /// Puts a list back after a pass, with those who came meanwhile and without those who left; true if
    /// nobody is on it.
    fn put_list_back(&self, channel: &Channel, mut readers: Vec<Arc<Reader>>) -> bool {
        let mut state = self.state.lock();
        let Some(watchers) = state.channels.get_mut(channel) else { return false };
        readers.append(&mut watchers.readers);
        if std::mem::take(&mut watchers.untidy) {
            let mut seen = std::collections::HashSet::with_capacity(readers.len());
            readers.retain(|reader| reader.follows(channel) && seen.insert(Arc::as_ptr(reader)));
        }
        watchers.readers = readers;
        watchers.in_pass = false;
        watchers.readers.is_empty()
    }

    /// Looks after every reader's liveness and deadlines.
    pub(super) async fn sweep(&self, delivery: &Delivery) {
        let now_ms = delivery.now_ms();
        let tail = delivery.log.tail_offset();
        let mut lag_max = 0;
        let mut next = 0;
        loop {
            let turn: Vec<Arc<Reader>> = {
                let state = self.state.lock();
                let end = (next + PASS_TURN).min(state.readers.len());
                state.readers.get(next..end).unwrap_or_default().iter().flatten().cloned().collect()
            };
            for reader in &turn {
                lag_max = lag_max.max(reader.tick(delivery, tail, now_ms));
            }
            next += PASS_TURN;
            if next >= self.state.lock().readers.len() {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.lag_max.store(lag_max, Ordering::Relaxed);
    }
}

/// Delivers to some readers what they share.
fn serve(
    readers: &[Arc<Reader>],
    delivery: &Delivery,
    shared: &mut Shared<'_>,
    counters: &mut DeliveryCounters,
) {
    shared.refresh();
    for few in readers.chunks(FETCHED_AT_ONCE) {
        // All of them first: so the waits for memory overlap instead of adding up.
        few.iter().for_each(|reader| reader.fetch());
        few.iter().for_each(|reader| reader.on_commit(delivery, shared, counters));
    }
}
