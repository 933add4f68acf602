//! What the delivery core says of itself, as plain numbers: an application may show them without knowing who
//! delivers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::description::schemas::Amount;

/// Readers by transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// Over the native WebSocket.
    pub websocket: u64,
    /// Over server-sent events.
    pub sse: u64,
    /// In a poll that waits.
    pub longpoll: u64,
    /// Distinct clients that polled in the last 30 s.
    pub poll: u64,
    /// Over Socket.IO.
    pub socketio: u64,
}

impl Connections {
    /// All that hold a connection: those who poll have none between two polls.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.websocket + self.sse + self.longpoll + self.socketio
    }
}

/// Two quantiles of a duration, in milliseconds; `None` where nothing was observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    /// The median.
    #[schemars(with = "Option<Amount>")]
    pub p50: Option<f64>,
    /// One in a hundred is slower.
    #[schemars(with = "Option<Amount>")]
    pub p99: Option<f64>,
}

/// What happened in the delivery core since the last look; totals are since its start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryFigures {
    /// Readers by transport.
    pub connections: Connections,
    /// Events appended.
    pub events_total: u64,
    /// Events appended a second.
    #[schemars(with = "Amount")]
    pub events_per_second: f64,
    /// Payload bytes appended a second.
    #[schemars(with = "Amount")]
    pub bytes_per_second: f64,
    /// Events written to readers.
    pub deliveries_total: u64,
    /// Events written to readers a second.
    #[schemars(with = "Amount")]
    pub deliveries_per_second: f64,
    /// From commit to the write to a live reader.
    pub delivery_latency_ms: Quantiles,
    /// From append to commit.
    pub commit_latency_ms: Quantiles,
    /// Subscriptions that began with a cursor.
    pub resumes_total: u64,
    /// Gaps told.
    pub gaps_total: u64,
    /// Readers whose socket is full, or that are catching up.
    pub slow_readers: u64,
}

/// Gives the figures since its last call.
pub type DeliveryMeter = Box<dyn FnMut() -> DeliveryFigures + Send>;
