//! The overview: one sample a second of what the server is doing, for the console and anybody who subscribes.

use std::{sync::Arc, time::Duration};

use anywire_app::{
    DeliveryFigures,
    description::schemas::{CursorText, Time},
};
use anywire_gateway::Gateway;
use anywire_log::{Batch, Channel, Clock, EventName, Payload, Publication, SystemClock};
use anywire_protocol::json::iso_time;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::meter::Meter;

/// The channel of the samples.
pub(crate) const OVERVIEW_CHANNEL: &str = "$overview";
const EVENT: &str = "overview";
const EVERY: Duration = Duration::from_secs(1);

/// What the server does, with what only it knows.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "Overview")]
pub(crate) struct OverviewSample {
    #[schemars(with = "Time")]
    time: String,
    #[serde(flatten)]
    figures: DeliveryFigures,
    /// Resident memory, where the system tells it.
    memory_bytes: Option<u64>,
    /// Where the log ends.
    #[schemars(with = "CursorText")]
    tail: String,
}

/// The newest sample.
pub(crate) struct Overview {
    newest: Mutex<OverviewSample>,
}

impl Overview {
    pub(crate) fn start(gateway: &Arc<Gateway>, shutdown: CancellationToken) -> Arc<Self> {
        let mut meter = Meter::new(gateway);
        let overview = Arc::new(Self { newest: Mutex::new(sample(gateway, &mut meter)) });
        tokio::spawn(run(Arc::clone(&overview), Arc::clone(gateway), meter, shutdown));
        overview
    }

    pub(crate) fn newest(&self) -> OverviewSample {
        self.newest.lock().clone()
    }
}

async fn run(overview: Arc<Overview>, gateway: Arc<Gateway>, mut meter: Meter, shutdown: CancellationToken) {
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
        let sample = sample(&gateway, &mut meter);
        *overview.newest.lock() = sample.clone();
        // Nobody watches: an event a second would only move the log's tail. The first one is there for those
        // who watched before a restart.
        if gateway.subscribers(&channel) == 0 && !std::mem::take(&mut first) {
            continue;
        }
        // Numbers and texts only: writing them cannot fail.
        let payload = Payload::Json(serde_json::to_vec(&sample).unwrap_or_default().into());
        let publication = Publication { channel: channel.clone(), name: name.clone(), payload };
        if let Err(error) = gateway.log().append(Batch::one(publication)).await {
            tracing::debug!(%error, "the overview was not published");
        }
    }
}

fn sample(gateway: &Gateway, meter: &mut Meter) -> OverviewSample {
    OverviewSample {
        time: iso_time(SystemClock.now()),
        figures: meter.figures(),
        memory_bytes: resident_bytes(),
        tail: gateway.log().tail_cursor().to_string(),
    }
}

/// The process's resident memory, where the system tells it (proc(5)).
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
