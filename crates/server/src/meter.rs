//! The delivery core's figures as numbers a second: for the overview, and for applications that must not see
//! the gateway.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use anywire_app::{Connections, DeliveryFigures, Quantiles};
use anywire_gateway::{Gateway, Latency, Transport};

/// One who looks; each has its own last look.
pub(crate) struct Meter {
    gateway: Arc<Gateway>,
    before: Counted,
}

/// What was counted at the last look.
struct Counted {
    at: Instant,
    events: u64,
    bytes: u64,
    deliveries: u64,
    delivery: Vec<u64>,
    commit: Vec<u64>,
}

impl Meter {
    pub(crate) fn new(gateway: &Arc<Gateway>) -> Self {
        Self { gateway: Arc::clone(gateway), before: count(gateway) }
    }

    /// What happened since the last look.
    pub(crate) fn figures(&mut self) -> DeliveryFigures {
        let before = std::mem::replace(&mut self.before, count(&self.gateway));
        let now = &self.before;
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(0.001);
        let rate = |now: u64, then: u64| (now.saturating_sub(then) as f64 / seconds * 10.0).round() / 10.0;
        let metrics = self.gateway.metrics();
        DeliveryFigures {
            connections: self.connections(),
            events_total: now.events,
            events_per_second: rate(now.events, before.events),
            bytes_per_second: rate(now.bytes, before.bytes),
            deliveries_total: now.deliveries,
            deliveries_per_second: rate(now.deliveries, before.deliveries),
            delivery_latency_ms: quantiles(&now.delivery, &before.delivery),
            commit_latency_ms: quantiles(&now.commit, &before.commit),
            resumes_total: metrics.resumes.load(Relaxed),
            gaps_total: metrics.gaps.load(Relaxed),
            slow_readers: metrics.slow_readers.load(Relaxed).max(0).unsigned_abs(),
        }
    }

    fn connections(&self) -> Connections {
        let metrics = self.gateway.metrics();
        let of = |transport| metrics.connections(transport).unsigned_abs();
        Connections {
            websocket: of(Transport::WebSocket),
            sse: of(Transport::Sse),
            longpoll: of(Transport::LongPoll),
            poll: self.gateway.pollers() as u64,
            socketio: of(Transport::SocketIo),
        }
    }
}

fn count(gateway: &Gateway) -> Counted {
    let metrics = gateway.metrics();
    Counted {
        at: Instant::now(),
        events: metrics.events.load(Relaxed),
        bytes: metrics.event_bytes.load(Relaxed),
        deliveries: metrics.deliveries.load(Relaxed),
        delivery: metrics.delivery_latency.counts().to_vec(),
        commit: metrics.commit_latency.counts().to_vec(),
    }
}

fn quantiles(now: &[u64], then: &[u64]) -> Quantiles {
    let of = |q| Latency::quantile_ms(now, then, q).map(|ms| (ms * 1000.0).round() / 1000.0);
    Quantiles { p50: of(0.5), p99: of(0.99) }
}
