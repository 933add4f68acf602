//! The overview: one sample a second of what the server is doing, for the console and anybody who subscribes.
//!
//! Knows: the gateway's figures and how they change in a second. Does not know: who looks.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use anywire_gateway::{Gateway, Latency, Transport};
use anywire_log::{Batch, Channel, Clock, EventName, Payload, Publication, SystemClock};
use anywire_protocol::json::iso_time;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The channel of the samples.
pub(crate) const OVERVIEW_CHANNEL: &str = "$overview";
const EVENT: &str = "overview";
const EVERY: Duration = Duration::from_secs(1);

/// The newest sample.
pub(crate) struct Overview {
    newest: Mutex<Value>,
}

/// What was counted at the last sample.
struct Counted {
    at: Instant,
    events: u64,
    bytes: u64,
    deliveries: u64,
    delivery: Vec<u64>,
    commit: Vec<u64>,
}

impl Overview {
    pub(crate) fn start(gateway: &Arc<Gateway>, shutdown: CancellationToken) -> Arc<Self> {
        let mut counted = count(gateway);
        let overview = Arc::new(Self { newest: Mutex::new(sample(gateway, &mut counted)) });
        tokio::spawn(run(Arc::clone(&overview), Arc::clone(gateway), counted, shutdown));
        overview
    }

    pub(crate) fn newest(&self) -> Value {
        self.newest.lock().clone()
    }
}

async fn run(
    overview: Arc<Overview>,
    gateway: Arc<Gateway>,
    mut counted: Counted,
    shutdown: CancellationToken,
) {
    let (Ok(channel), Ok(name)) = (Channel::new(OVERVIEW_CHANNEL), EventName::new(EVENT)) else { return };
    // A new log has nobody who watched before.
    let mut first = gateway.log().tail_offset() > anywire_log::Offset::ZERO;
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let sample = sample(&gateway, &mut counted);
        *overview.newest.lock() = sample.clone();
        // Nobody watches: an event a second would only move the log's tail. The first one is there for those who watched before a restart.
        if gateway.subscribers(&channel) == 0 && !std::mem::take(&mut first) {
            continue;
        }
        let payload = Payload::Json(sample.to_string().into());
        let publication = Publication { channel: channel.clone(), name: name.clone(), payload };
        if let Err(error) = gateway.log().append(Batch::one(publication)).await {
            tracing::debug!(%error, "the overview was not published");
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

fn sample(gateway: &Gateway, counted: &mut Counted) -> Value {
    let before = std::mem::replace(counted, count(gateway));
    let seconds = counted.at.duration_since(before.at).as_secs_f64().max(0.001);
    let rate = |now: u64, then: u64| (now.saturating_sub(then) as f64 / seconds * 10.0).round() / 10.0;
    let metrics = gateway.metrics();
    let connections = |transport| metrics.connections(transport);
    let latency = |now: &[u64], then: &[u64]| {
        let quantile = |q| Latency::quantile_ms(now, then, q).map(|ms| (ms * 1000.0).round() / 1000.0);
        json!({ "p50": quantile(0.5), "p99": quantile(0.99) })
    };
    json!({
        "time": iso_time(SystemClock.now()),
        "connections": {
            "websocket": connections(Transport::WebSocket),
            "sse": connections(Transport::Sse),
            "longpoll": connections(Transport::LongPoll),
            "poll": gateway.pollers(),
            "socketio": connections(Transport::SocketIo),
        },
        "events_total": counted.events,
        "events_per_second": rate(counted.events, before.events),
        "bytes_per_second": rate(counted.bytes, before.bytes),
        "deliveries_total": counted.deliveries,
        "deliveries_per_second": rate(counted.deliveries, before.deliveries),
        "delivery_latency_ms": latency(&counted.delivery, &before.delivery),
        "commit_latency_ms": latency(&counted.commit, &before.commit),
        "resumes_total": metrics.resumes.load(Relaxed),
        "gaps_total": metrics.gaps.load(Relaxed),
        "slow_readers": metrics.slow_readers.load(Relaxed),
        "memory_bytes": resident_bytes(),
        "tail": gateway.log().tail_cursor().to_string(),
    })
}

/// The process's resident memory, where the system tells it (proc(5)).
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
