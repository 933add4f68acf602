//! Monitor: performance of hosts and of the server itself, polled or streamed.
//!
//! Once a second the collector looks at the machine and at the delivery core; other machines report the same
//! (`anywire monitor --to`). Every sample is an event; whoever watches polls for it, or streams it, from the
//! same cursor. Ten minutes of samples become one event of history, an hour of minutes another: a day at full
//! resolution and a month of minutes are a few hundred reads away, and a restart needs only the newest.
//!
//! ```text
//!  collector ─┐                                                   ┌▶ `performance`, every transport
//!             ├▶ service: decide, one batch with its alerts ▶ log ┤
//!  reports ───┘        ▲                                          └▶ projection: apply
//!                      └───────────── state ◀─────────────────────────────┘
//!                                       ├ series: open minutes in memory, blocks in the log (`reading`)
//!                                       └ alerts: rules with hysteresis ▶ `performance:alerts`, webhook
//! ```
//!
//! Mounting: give [`channels`] to the log's retention rules, make [`Monitor`] with [`Monitor::start`], serve
//! its routes, spawn its `run`..

mod api;
mod collect;
mod config;
mod decisions;
mod description;
mod domain;
mod events;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod metrics;
mod projection;
mod reading;
mod rebuild;
mod reporters;
mod series;
mod service;
mod silence;
mod webhook;
mod wire;

use std::{sync::Arc, time::Duration};

use anywire_app::{AppContext, Application, DeliveryMeter, Owned};
use anywire_log::{BoxFuture, ReadError};
use parking_lot::Mutex;

use decisions::Report;
use service::{MonitorError, MonitorService};

pub use collect::{Backlog, CollectError, Collector, Heartbeat, REPORT_MAX, Waiting};
pub use config::{ConfigError, MonitorConfig};
pub use description::operations as description;
pub use domain::{
    Cpu, Disk, HostName, HostNameError, Memory, Network, Process, Rule, RuleError, Sample, SampleError, Side,
};
pub use events::{ALERTS_CHANNEL, PERFORMANCE_CHANNEL, PERFORMANCE_PREFIX, channels};

/// How often the blocks of silent hosts are closed.
const TIDY_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked how long hosts have been silent.
const LISTEN_EVERY: Duration = Duration::from_secs(1);

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
    /// What was left undone could not be done.
    #[error("what the last start left undone cannot be done: {0}")]
    Undone(String),
}

impl From<MonitorError> for StartError {
    fn from(error: MonitorError) -> Self {
        Self::Undone(error.to_string())
    }
}

/// The application.
pub struct Monitor {
    service: Arc<MonitorService>,
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
        let service = MonitorService::open(context, config, own).await?;
        service.clean_up().await?;
        Ok(Arc::new(Self { service, collecting: Mutex::new(collecting) }))
    }
}

impl Application for Monitor {
    fn name(&self) -> &'static str {
        "monitor"
    }

    fn owns(&self) -> Vec<Owned> {
        vec![
            Owned::state(PERFORMANCE_CHANNEL),
            Owned::state(&format!("{PERFORMANCE_CHANNEL}:*")),
            Owned::shown(&format!("{PERFORMANCE_PREFIX}*")),
        ]
    }

    fn routes(&self) -> axum::Router {
        api::routes(Arc::clone(&self.service))
    }

    /// Samples, closes blocks of history, posts alerts.
    fn run(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let shutdown = self.service.context.shutdown.clone();
            let collecting = self.collecting.lock().take();
            let posting = async {
                if let Some(outbox) = self.service.outbox() {
                    webhook::run(self.service.config.clone(), outbox, shutdown.clone()).await;
                }
            };
            let silence = look_at_silence(&self.service);
            tokio::join!(collect(&self.service, collecting), tidy(&self.service), silence, posting);
        })
    }

    fn metrics(&self) -> Vec<anywire_app::Metric> {
        metrics::of(&self.service)
    }
}

/// Samples at the beats of the clock.
async fn collect(service: &Arc<MonitorService>, collecting: Option<Collecting>) {
    let Some(mut collecting) = collecting else { return };
    let mut heartbeat = Heartbeat::new(service.config.interval_ms);
    loop {
        tokio::select! {
            () = tokio::time::sleep(heartbeat.wait(service.context.clock.now().as_millis())) => {}
            () = service.context.shutdown.cancelled() => return,
        }
        let now = service.context.clock.now().as_millis();
        heartbeat.sampled(now);
        let interval_ms = service.config.interval_ms;
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
        let report = Report { samples: vec![sample], sent_at: now };
        if let Err(error) = service.record(service.own.clone(), report).await {
            tracing::warn!(%error, "a sample could not be kept: its time is a hole");
        }
    }
}

async fn look_at_silence(service: &Arc<MonitorService>) {
    let mut every = tokio::time::interval(LISTEN_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => service.look_at_silence().await,
            () = service.context.shutdown.cancelled() => return,
        }
    }
}

async fn tidy(service: &Arc<MonitorService>) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => service.tidy(service.context.clock.now()).await,
            () = service.context.shutdown.cancelled() => return,
        }
    }
}
