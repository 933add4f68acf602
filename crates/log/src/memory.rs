//! The engine that keeps everything in memory: for tests, and for those who want no files. A new one is a new
//! epoch.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    AppendError, Appended, Batch, BoxFuture, Channel, ChannelState, ChannelStore, Clock, Engine, Epoch,
    Event, Follower, IdempotencyWindow, Lookup, Offset, ReadBatch, ReadError, ReadRequest, RetentionRules,
    Timestamp, TrimError, fingerprint,
};

/// Keeps events in memory.
pub struct MemoryEngine {
    epoch: Epoch,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    last: Offset,
    store: ChannelStore,
    window: IdempotencyWindow,
    follower: Option<Arc<dyn Follower>>,
    closed: bool,
}

impl MemoryEngine {
    /// An empty log of a new epoch.
    ///
    /// # Errors
    /// When the system has no randomness for the epoch.
    pub fn new(rules: RetentionRules, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let state = State {
            last: Offset::ZERO,
            store: ChannelStore::new(rules, Offset::ZERO),
            window: IdempotencyWindow::standard(),
            follower: None,
            closed: false,
        };
        Ok(Self { epoch: Epoch::random()?, clock, state: Mutex::new(state) })
    }

    fn append_now(&self, batch: Batch) -> Result<Appended, AppendError> {
        if batch.publications.is_empty() {
            return Err(AppendError::Empty);
        }
        let (now, steady) = (self.clock.now(), self.clock.steady());
        let mut state = self.state.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        let print = fingerprint(&batch.publications);
        if let Some(key) = &batch.idempotency_key {
            match state.window.lookup(key, print, steady) {
                Lookup::New => {}
                Lookup::Duplicate { first, count } => return Ok(Appended { first, count, duplicate: true }),
                Lookup::Conflict => return Err(AppendError::Conflict { key: key.given().to_owned() }),
            }
        }
        if let Some(expect) = &batch.expect {
            expect.check(state.store.state(&expect.channel).last)?;
        }
        let first = state.last.next();
        let count = u32::try_from(batch.publications.len()).unwrap_or(u32::MAX);
        if let Some(key) = batch.idempotency_key {
            state.window.remember(key, print, first, count, steady);
        }
        state.commit(batch.publications, now, steady);
        Ok(Appended { first, count, duplicate: false })
    }
}

impl State {
    fn commit(&mut self, publications: Vec<crate::Publication>, now: Timestamp, steady: Timestamp) {
        let mut events = Vec::with_capacity(publications.len());
        let mut trimmed = Vec::new();
        for publication in publications {
            self.last = self.last.next();
            let event = Arc::new(Event::new(self.last, now, publication));
            if let Some(through) = self.store.push(Arc::clone(&event), steady) {
                trimmed.push((event.channel.clone(), through));
            }
            events.push(event);
        }
        if let Some(follower) = &self.follower {
            follower.committed(&events, self.last);
            for (channel, through) in trimmed {
                follower.trimmed(&channel, through);
            }
        }
    }
}

impl Engine for MemoryEngine {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn follow(&self, follower: Arc<dyn Follower>) -> Offset {
        let mut state = self.state.lock();
        state.follower = Some(follower);
        state.last
    }

    fn append(&self, batch: Batch) -> BoxFuture<'static, Result<Appended, AppendError>> {
        let result = self.append_now(batch);
        Box::pin(async move { result })
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'static, Result<ReadBatch, ReadError>> {
        let batch = self.state.lock().store.read(&request);
        Box::pin(async move { Ok(batch) })
    }

    fn trim(&self, channel: Channel, through: Offset) -> BoxFuture<'static, Result<(), TrimError>> {
        let mut state = self.state.lock();
        if let Some(trimmed) = state.store.trim(&channel, through)
            && let Some(follower) = &state.follower
        {
            follower.trimmed(&channel, trimmed);
        }
        Box::pin(async { Ok(()) })
    }

    fn channel_state(&self, channel: &Channel) -> Option<ChannelState> {
        Some(self.state.lock().store.state(channel))
    }

    fn channels(&self, prefix: &str, limit: usize) -> Vec<(Channel, ChannelState)> {
        self.state.lock().store.list(prefix).take(limit).collect()
    }

    fn channel_count(&self) -> usize {
        self.state.lock().store.len()
    }

    fn enforce_retention(&self, now: Timestamp) {
        let mut state = self.state.lock();
        let trimmed = state.store.enforce(now);
        if let Some(follower) = &state.follower {
            for (channel, through) in trimmed {
                follower.trimmed(&channel, through);
            }
        }
    }

    fn stored_bytes(&self) -> u64 {
        self.state.lock().store.bytes()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.state.lock().closed = true;
        Box::pin(async {})
    }
}
