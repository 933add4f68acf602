//! The engine in memory, but it answers an append after others had their turn, or when the test lets it: what
//! is committed long before its writer hears of it shows who remembers in the wrong place.

use std::sync::Arc;

use anywire_log::{
    AppendError, Appended, Batch, BoxFuture, Channel, ChannelState, Clock, Engine, Epoch, Follower,
    MemoryEngine, Offset, ReadBatch, ReadError, ReadRequest, RetentionRules, Timestamp, TrimError,
};
use tokio::sync::watch;

/// How often other tasks have their turn between the commit and the answer.
const TURNS: usize = 3;

/// Commits at once and answers late.
pub struct LateEngine {
    engine: MemoryEngine,
    holds: watch::Sender<Holds>,
}

/// How often answers were held, and how many of these times are over.
#[derive(Debug, Clone, Copy, Default)]
struct Holds {
    begun: u64,
    ended: u64,
}

impl LateEngine {
    /// An empty log of a new epoch.
    ///
    /// # Errors
    /// When the system has no randomness for the epoch.
    pub fn new(rules: RetentionRules, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        Ok(Self { engine: MemoryEngine::new(rules, clock)?, holds: watch::Sender::default() })
    }

    /// From here on no append and no trim is answered, though it happens, until [`LateEngine::release`].
    pub fn hold(&self) {
        self.holds.send_modify(|holds| holds.begun += 1);
    }

    /// Answers what was held until now.
    pub fn release(&self) {
        self.holds.send_modify(|holds| holds.ended = holds.begun);
    }

    fn late<T: Send + 'static>(&self, answer: BoxFuture<'static, T>) -> BoxFuture<'static, T> {
        let mut holds = self.holds.subscribe();
        let begun = holds.borrow().begun;
        Box::pin(async move {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            // An engine that is gone holds nothing.
            drop(holds.wait_for(|holds| holds.ended >= begun).await);
            answer.await
        })
    }
}

impl Engine for LateEngine {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn epoch(&self) -> Epoch {
        self.engine.epoch()
    }

    fn follow(&self, follower: Arc<dyn Follower>) -> Offset {
        self.engine.follow(follower)
    }

    fn append(&self, batch: Batch) -> BoxFuture<'static, Result<Appended, AppendError>> {
        self.late(self.engine.append(batch))
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'static, Result<ReadBatch, ReadError>> {
        self.engine.read(request)
    }

    fn trim(&self, channel: Channel, through: Offset) -> BoxFuture<'static, Result<(), TrimError>> {
        self.late(self.engine.trim(channel, through))
    }

    fn channel_state(&self, channel: &Channel) -> Option<ChannelState> {
        self.engine.channel_state(channel)
    }

    fn channels(&self, prefix: &str, limit: usize) -> Vec<(Channel, ChannelState)> {
        self.engine.channels(prefix, limit)
    }

    fn channel_count(&self) -> usize {
        self.engine.channel_count()
    }

    fn enforce_retention(&self, now: Timestamp) {
        self.engine.enforce_retention(now);
    }

    fn stored_bytes(&self) -> u64 {
        self.engine.stored_bytes()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.engine.close()
    }
}
