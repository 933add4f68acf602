//! Monitor: performance of hosts and of the server itself, polled or streamed.
//!
//! Once a second the collector looks at the machine and at the delivery core; other machines report the same (`anywire monitor --to`). Every
//! sample is an event; whoever watches polls for it, or streams it, from the same cursor. Ten minutes of samples become one event of history, an
//! hour of minutes another: a day at full resolution and a month of minutes are a few hundred reads away, and a restart needs only the newest.
//!
//! ```text
//!  collector ─┐                                            ┌▶ `performance`, every transport
//!             ├▶ desk: append, one batch ──▶ log ──────────┤
//!  reports ───┘        │                                   └▶ blocks of history, read back by `reading`
//!                      ├▶ series: ten open minutes, where the blocks are
//!                      └▶ alerts: rules with hysteresis ──▶ `performance:alerts`, webhook
//! ```
//!
//! Mounting: give [`channels`] to the log's retention rules, make [`Monitor`] with [`Monitor::start`], serve its routes, spawn its `run`. Let
//! nobody else publish to its channels ([`OWN_CHANNELS`]).
//!
//! Knows: hosts, samples, history, alerts. Does not know: transports, engines, other applications.

mod alerts;
mod api;
mod beats;
mod collector;
mod config;
mod desk;
mod domain;
mod events;
mod history;
mod metrics;
mod reading;
mod report;
mod rows;
mod rules;
mod series;
mod time;
mod webhook;

use std::{sync::Arc, time::Duration};

use anywire_app::{AppContext, Application, DeliveryMeter};
use anywire_log::{AppendError, BoxFuture, ReadError};
use parking_lot::Mutex;

use desk::Desk;

pub use beats::Beats;
pub use collector::{CollectError, Collector};
pub use config::{ConfigError, MonitorConfig};
pub use domain::{Cpu, Disk, HostName, HostNameError, Memory, Network, Process, Sample, SampleError};
pub use events::{ALERTS_CHANNEL, PERFORMANCE_CHANNEL, PERFORMANCE_PREFIX, channels};
pub use report::{Backlog, REPORT_MAX};
pub use rules::{Rule, RuleError, Side};

/// The source of this crate's settings: the configuration reference is made from its comments.
pub const CONFIG_SOURCE: &str = include_str!("config.rs");

/// The channels that only the monitor publishes to. Those of other hosts are written by reports alone, too, but reporting needs the same key as publishing.
pub const OWN_CHANNELS: [&str; 3] = [PERFORMANCE_CHANNEL, "performance:5s", ALERTS_CHANNEL];

/// How often silent hosts are looked after.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// Why the application could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is outside its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system tells nothing.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// The log could not be read.
    #[error("history cannot be read from the log: {0}")]
    Read(#[from] ReadError),
    /// The log could not be written.
    #[error("history cannot be written to the log: {0}")]
    Append(AppendError),
    /// Something the log holds does not fit.
    #[error("{0}")]
    Host(String),
}

impl From<desk::RecordError> for StartError {
    fn from(error: desk::RecordError) -> Self {
        Self::Host(error.to_string())
    }
}

/// The application.
pub struct Monitor {
    desk: Arc<Desk>,
    collecting: Mutex<Option<Collecting>>,
}

/// What one look needs.
struct Collecting {
    collector: Collector,
    meter: DeliveryMeter,
}

impl Monitor {
    /// Rebuilds history from the log and takes the first sample.
    ///
    /// Cost: one read of the blocks that are kept and of a few minutes of samples.
    ///
    /// # Errors
    /// [`StartError`] names the setting, the system or the log that is in the way.
    pub async fn start(
        context: AppContext,
        config: MonitorConfig,
        meter: DeliveryMeter,
    ) -> Result<Arc<Self>, StartError> {
        config.check()?;
        let own = config.host.as_deref().map(HostName::new).transpose().map_err(ConfigError::from)?;
        let own = own.unwrap_or_else(Collector::host_name);
        let collecting =
            if config.collect { Some(Collecting { collector: Collector::new()?, meter }) } else { None };
        let desk = Desk::open(context, config, own).await?;
        Ok(Arc::new(Self { desk, collecting: Mutex::new(collecting) }))
    }
}

impl Application for Monitor {
    fn name(&self) -> &'static str {
        "monitor"
    }

    fn routes(&self) -> axum::Router {
        api::routes(Arc::clone(&self.desk))
    }

    /// Samples, closes blocks of history, posts alerts.
    fn run(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let shutdown = self.desk.context.shutdown.clone();
            let collecting = self.collecting.lock().take();
            let posting = async {
                if let Some(outbox) = self.desk.alerts.outbox() {
                    webhook::run(self.desk.config.clone(), outbox, shutdown.clone()).await;
                }
            };
            tokio::join!(collect(&self.desk, collecting), tidy(&self.desk), posting);
        })
    }

    fn metrics(&self) -> String {
        metrics::text(&self.desk)
    }
}

/// Samples at the beats of the clock.
async fn collect(desk: &Desk, collecting: Option<Collecting>) {
    let Some(mut collecting) = collecting else { return };
    let mut beats = Beats::new(desk.config.interval_ms);
    let mut behind = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(beats.wait(desk.context.clock.now().as_millis())) => {}
            () = desk.context.shutdown.cancelled() => return,
        }
        let now = desk.context.clock.now().as_millis();
        beats.looked(now);
        let interval_ms = desk.config.interval_ms;
        // Off the async threads: the system's files may be slow.
        let look = move || {
            let delivery = (collecting.meter)();
            let sample = collecting.collector.collect(now, interval_ms, Some(delivery));
            (sample, collecting)
        };
        let sample;
        (sample, collecting) = match tokio::task::spawn_blocking(look).await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(%error, "the collector broke; no further samples of this server");
                return;
            }
        };
        match desk.record(&desk.own, vec![sample]).await {
            Ok(recorded) => {
                if recorded.accepted == 0 && !behind {
                    tracing::warn!(
                        "the clock went back: samples are kept again when it is past the newest one"
                    );
                }
                behind = recorded.accepted == 0;
            }
            Err(error) => tracing::warn!(%error, "a sample could not be kept: its time is a hole"),
        }
    }
}

async fn tidy(desk: &Desk) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => desk.tidy(desk.context.clock.now()).await,
            () = desk.context.shutdown.cancelled() => return,
        }
    }
}
