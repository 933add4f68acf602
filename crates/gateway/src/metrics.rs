//! The gateway's own figures, as Prometheus metrics and as numbers for the console.
//!
//! Everything on the delivery path is a plain atomic, added to once a batch of deliveries.

use std::{
    fmt,
    sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::{admission::act::Act, turns::LongestTurn};

/// A transport, as metrics and the console name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// The native WebSocket.
    WebSocket,
    /// Server-sent events.
    Sse,
    /// A poll that waits.
    LongPoll,
    /// A poll that does not.
    Poll,
    /// Socket.IO.
    SocketIo,
}

impl Transport {
    /// Every transport there is.
    pub const ALL: [Self; 5] = [Self::WebSocket, Self::Sse, Self::LongPoll, Self::Poll, Self::SocketIo];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
            Self::LongPoll => "longpoll",
            Self::Poll => "poll",
            Self::SocketIo => "socketio",
        }
    }
}

/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS_US: [u64; 16] = [
    50, 100, 200, 400, 800, 1_500, 3_000, 6_000, 12_000, 20_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 5_000_000,
];

/// A histogram of durations that many threads add to.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Latency {
    /// Counts `count` observations of the same duration.
    pub fn observe(&self, latency: Duration, count: u64) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(count, Relaxed);
        self.sum_us.fetch_add(us.saturating_mul(count), Relaxed);
    }

    /// The counts, one a bucket; the last is what is beyond all bounds.
    #[must_use]
    pub fn counts(&self) -> [u64; BUCKETS_US.len() + 1] {
        std::array::from_fn(|index| self.buckets[index].load(Relaxed))
    }

    /// A quantile in milliseconds of what was counted since `before`, by linear interpolation in its bucket;
    /// `None` if nothing was.
    #[must_use]
    pub fn quantile_ms(counts: &[u64], before: &[u64], quantile: f64) -> Option<f64> {
        let fresh: Vec<u64> =
            counts.iter().zip(before).map(|(now, then)| now.saturating_sub(*then)).collect();
        let total: u64 = fresh.iter().sum();
        if total == 0 {
            return None;
        }
        let wanted = quantile * total as f64;
        let mut seen = 0.0;
        for (index, count) in fresh.iter().enumerate() {
            let here = *count as f64;
            if seen + here >= wanted && *count > 0 {
                let low = if index == 0 { 0 } else { BUCKETS_US[index - 1] } as f64;
                let high =
                    BUCKETS_US.get(index).copied().unwrap_or(2 * BUCKETS_US[BUCKETS_US.len() - 1]) as f64;
                return Some((low + (high - low) * ((wanted - seen) / here).clamp(0.0, 1.0)) / 1000.0);
            }
            seen += here;
        }
        None
    }
}

impl EncodeMetric for &Latency {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.counts();
        let bounds = BUCKETS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let sum = self.sum_us.load(Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<prometheus_client::encoding::NoLabelSet>(
            sum,
            counts.iter().sum(),
            &buckets,
            None,
        )
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// All figures of the gateway and the log behind it.
#[derive(Debug, Default)]
pub struct Metrics {
    connections: [AtomicI64; Transport::ALL.len()],
    /// Connections of all kinds, HTTP included.
    pub sockets: AtomicI64,
    /// Events appended.
    pub events: AtomicU64,
    /// Payload bytes appended.
    pub event_bytes: AtomicU64,
    /// Events written to readers.
    pub deliveries: AtomicU64,
    /// Bytes written to readers.
    pub delivered_bytes: AtomicU64,
    /// Subscriptions that began with a cursor.
    pub resumes: AtomicU64,
    /// Gaps told.
    pub gaps: AtomicU64,
    /// Polls answered.
    pub polls: AtomicU64,
    /// Readers whose socket is full, or that are catching up.
    pub slow_readers: AtomicI64,
    /// Requests and frames refused.
    pub refusals: AtomicU64,
    /// Connections refused because of a limit.
    pub connections_refused: AtomicU64,
    /// The longest turn of a connection's task, of late.
    pub(crate) longest_turn: LongestTurn,
    /// Bytes kept of requests that have not come whole.
    pub(crate) unfinished_bytes: AtomicUsize,
    /// Requests given up because those were too many.
    pub(crate) unfinished_refused: AtomicU64,
    /// Acts refused because of a rate, by kind.
    pub(crate) rate_limited: [AtomicU64; Act::ALL.len()],
    /// Events between the tail and the reader furthest behind, at the last look.
    pub lag_max: AtomicU64,
    /// From the commit of an event to its write to a live reader.
    pub delivery_latency: Latency,
    /// From the append of a batch to its commit.
    pub commit_latency: Latency,
}

impl Metrics {
    /// How many readers a transport has.
    #[must_use]
    pub fn connections(&self, transport: Transport) -> i64 {
        self.connections[transport as usize].load(Relaxed).max(0)
    }

    /// How many poll without waiting: they have no connection that could be counted.
    pub fn set_pollers(&self, pollers: usize) {
        let pollers = i64::try_from(pollers).unwrap_or(i64::MAX);
        self.connections[Transport::Poll as usize].store(pollers, Relaxed);
    }

    pub(crate) fn opened(&self, transport: Transport) {
        self.connections[transport as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self, transport: Transport) {
        self.connections[transport as usize].fetch_sub(1, Relaxed);
    }
}

/// The figures as a Prometheus collector.
#[derive(Debug)]
pub struct MetricsCollector(pub std::sync::Arc<Metrics>);

impl Collector for MetricsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &*self.0;
        let name = "anywire_connections";
        let mut family = encoder.encode_descriptor(name, "Readers connected.", None, MetricType::Gauge)?;
        for transport in Transport::ALL {
            let labels = [("transport", transport.as_str())];
            ConstGauge::new(metrics.connections(transport)).encode(family.encode_family(&labels)?)?;
        }
        self.counters(&mut encoder)?;
        let gauges = [
            ("anywire_sockets", "Connections of all kinds.", metrics.sockets.load(Relaxed)),
            (
                "anywire_unfinished_bytes",
                "Bytes kept of requests that have not come whole.",
                i64::try_from(metrics.unfinished_bytes.load(Relaxed)).unwrap_or(i64::MAX),
            ),
            (
                "anywire_slow_readers",
                "Readers that are blocked or catching up.",
                metrics.slow_readers.load(Relaxed),
            ),
            (
                "anywire_lag_events_max",
                "Events between the tail and the reader furthest behind.",
                i64::try_from(metrics.lag_max.load(Relaxed)).unwrap_or(i64::MAX),
            ),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        let (name, help) =
            ("anywire_task_poll_longest_seconds", "Longest turn of a connection's task in the last minutes.");
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(metrics.longest_turn.seconds()).encode(metric)?;
        let histograms = [
            (
                "anywire_delivery_latency_seconds",
                "From commit to the write to a live reader.",
                &metrics.delivery_latency,
            ),
            ("anywire_commit_latency_seconds", "From append to commit.", &metrics.commit_latency),
        ];
        for (name, help, value) in histograms {
            value.encode(encoder.encode_descriptor(name, help, None, MetricType::Histogram)?)?;
        }
        Ok(())
    }
}

impl MetricsCollector {
    fn counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &*self.0;
        let counters = [
            ("anywire_events", "Events appended.", &metrics.events),
            ("anywire_event_bytes", "Payload bytes appended.", &metrics.event_bytes),
            ("anywire_deliveries", "Events written to readers.", &metrics.deliveries),
            ("anywire_delivered_bytes", "Bytes written to readers.", &metrics.delivered_bytes),
            ("anywire_resumes", "Clients that came back and went on from their cursor.", &metrics.resumes),
            ("anywire_gaps", "Gaps told.", &metrics.gaps),
            ("anywire_polls", "Polls answered.", &metrics.polls),
            ("anywire_refusals", "Requests and frames refused.", &metrics.refusals),
            ("anywire_connections_refused", "Connections refused by a limit.", &metrics.connections_refused),
            (
                "anywire_unfinished_refused",
                "Requests given up because too much was kept of unfinished ones.",
                &metrics.unfinished_refused,
            ),
        ];
        for (name, help, value) in counters {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value.load(Relaxed)).encode(metric)?;
        }
        let (name, help) = ("anywire_rate_limited", "Acts refused by a rate.");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for act in Act::ALL {
            let counter = ConstCounter::new(metrics.rate_limited[act as usize].load(Relaxed));
            counter.encode(family.encode_family(&[("kind", act.as_str())])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_in_its_bucket() {
        let latency = Latency::default();
        let none = latency.counts();
        assert_eq!(Latency::quantile_ms(&none, &none, 0.5), None);
        latency.observe(Duration::from_micros(300), 99);
        latency.observe(Duration::from_millis(40), 1);
        let counts = latency.counts();
        let p50 = Latency::quantile_ms(&counts, &none, 0.5).expect("something was counted");
        let p999 = Latency::quantile_ms(&counts, &none, 0.999).expect("something was counted");
        assert!((0.2..=0.4).contains(&p50), "{p50}");
        assert!((20.0..=50.0).contains(&p999), "{p999}");
        assert_eq!(Latency::quantile_ms(&counts, &counts, 0.5), None);
    }

    #[test]
    fn the_page_has_every_figure() {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(MetricsCollector(std::sync::Arc::default())));
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).expect("writing to memory");
        for name in [
            "anywire_connections{transport=\"sse\"} 0",
            "anywire_events_total 0",
            "anywire_rate_limited_total{kind=\"recovery\"} 0",
            "anywire_commit_latency_seconds_bucket{le=\"+Inf\"} 0",
        ] {
            assert!(page.contains(name), "{name} in {page}");
        }
    }
}
