//! What every delivery needs at hand.

use std::{sync::Arc, time::Instant};

use anywire_log::{Epoch, Log};
use anywire_protocol::{engineio::HeartbeatTimes, socketio::OwnNames};

use crate::{admission::cors::Cors, lab::Lab, metrics::Metrics};

/// What an event's bytes depend on beside the event: the same for all events of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) epoch: Epoch,
    /// The names of events that only the server sends to Socket.IO clients.
    pub(crate) own: &'a OwnNames,
}

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
    own: OwnNames,
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
        let (own, started) = (OwnNames::default(), Instant::now());
        Self { log, metrics, lab, drain_bytes_max, heartbeat_ms, times, cors, own, started }
    }

    /// The same where Socket.IO clients hear these events from the server only.
    pub(crate) fn keeping(self, own: OwnNames) -> Self {
        Self { own, ..self }
    }

    /// The events that Socket.IO clients hear from the server only.
    pub(crate) fn own_names(&self) -> &OwnNames {
        &self.own
    }

    pub(super) fn terms(&self) -> Terms<'_> {
        Terms { epoch: self.log.epoch(), own: &self.own }
    }

    /// Milliseconds since the start: the coarse clock of liveness and rates.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
