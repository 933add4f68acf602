//! Figures for the metrics page, in the Prometheus text format.

use std::{
    fmt::Write,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// All figures of the listener.
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
    pub(crate) fn text(&self) -> String {
        let counters = [
            ("received", "Messages of emitters read from Redis.", &self.received),
            ("published", "Events of emitters appended to the log.", &self.published),
            ("refused", "Messages of emitters that were not published; the log says why.", &self.refused),
            ("connections_lost", "Connections to Redis that ended or failed.", &self.connections_lost),
        ];
        let mut text = String::new();
        for (name, help, value) in counters {
            let name = format!("anywire_emitters_{name}_total");
            line(&mut text, &name, "counter", help, value.load(Relaxed));
        }
        let help = "Whether Redis is listened to: 1 or 0.";
        line(&mut text, "anywire_emitters_connected", "gauge", help, u64::from(self.connected.load(Relaxed)));
        text
    }
}

fn line(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
}
