//! What the listener counts, for the metrics page.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use anywire_app::Metric;

/// All metrics of the listener.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Messages read from Redis.
    pub(crate) received: AtomicU64,
    /// Events appended to the log.
    pub(crate) published: AtomicU64,
    /// Messages that were not published.
    pub(crate) refused: AtomicU64,
    /// Connections that ended or could not be made.
    pub(crate) connections_lost: AtomicU64,
    /// Whether it listens now.
    pub(crate) connected: AtomicBool,
}

impl Metrics {
    /// As families of the metrics page.
    pub(crate) fn families(&self) -> Vec<Metric> {
        let counter = |name, help, value: &AtomicU64| Metric::counter(name, help, value.load(Relaxed));
        let refused = "Messages of emitters that were not published; the log says why.";
        let lost = "Connections to Redis that ended or failed.";
        let connected = u64::from(self.connected.load(Relaxed));
        vec![
            counter("anywire_emitters_received", "Messages of emitters read from Redis.", &self.received),
            counter("anywire_emitters_published", "Events of emitters appended to the log.", &self.published),
            counter("anywire_emitters_refused", refused, &self.refused),
            counter("anywire_emitters_connections_lost", lost, &self.connections_lost),
            Metric::gauge("anywire_emitters_connected", "Whether Redis is listened to: 1 or 0.", connected),
        ]
    }
}
