//! What every delivery needs at hand.

use std::{sync::Arc, time::Instant};

use anywire_log::Log;
use anywire_protocol::engineio::HeartbeatTimes;

use crate::{admission::cors::Cors, lab::Lab, metrics::Metrics};

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

    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
