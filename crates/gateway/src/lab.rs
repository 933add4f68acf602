//! The network lab: faults that a person switches on to see clients move. Off unless the server was started
//! with it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

/// The faults.
#[derive(Debug, Default)]
pub struct Lab {
    enabled: AtomicBool,
    block_websocket: AtomicBool,
    buffer_sse: AtomicBool,
    cut_until_ms: AtomicU64,
    cut: Notify,
}

impl Lab {
    /// Allows faults to be switched on.
    pub fn enable(&self) {
        self.enabled.store(true, Relaxed);
    }

    /// Whether faults can be switched on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    /// Whether WebSocket upgrades are refused.
    #[must_use]
    pub fn blocks_websocket(&self) -> bool {
        self.block_websocket.load(Relaxed)
    }

    /// Whether SSE answers are held back, as a buffering proxy would.
    #[must_use]
    pub fn buffers_sse(&self) -> bool {
        self.buffer_sse.load(Relaxed)
    }

    /// Until when everything is cut, in milliseconds since 1970; 0 if nothing is.
    #[must_use]
    pub fn cut_until_ms(&self, now_ms: u64) -> u64 {
        let until = self.cut_until_ms.load(Relaxed);
        if until > now_ms { until } else { 0 }
    }

    pub(crate) fn set_block_websocket(&self, on: bool) {
        self.block_websocket.store(on && self.is_enabled(), Relaxed);
    }

    pub(crate) fn set_buffer_sse(&self, on: bool) {
        self.buffer_sse.store(on && self.is_enabled(), Relaxed);
    }

    /// Lets nobody in until then. Those who are connected are cut by [`Lab::cut_now`].
    pub(crate) fn cut_until(&self, until_ms: u64) {
        if self.is_enabled() {
            self.cut_until_ms.store(until_ms, Relaxed);
        }
    }

    pub(crate) fn cut_now(&self) {
        self.cut.notify_waiters();
    }

    /// Resolves at the next cut.
    pub(crate) async fn next_cut(&self) {
        self.cut.notified().await;
    }
}
