//! Publications that Socket.IO's emitters in other processes put into Redis.
//!
//! A Node back end with `@socket.io/redis-emitter`, or a Flask one with python-socketio's write-only
//! `RedisManager`, publishes its events into Redis and expects Socket.IO servers to listen there. This crate
//! listens, reads both formats and appends what they say to the log: a room becomes a channel. From there
//! every transport delivers it.
//!
//! ```text
//!  Redis ──▶ listen (a thread that blocks) ──bounded──▶ append: decode, batch, retry ──▶ log
//!               └ node: MessagePack  └ python: JSON, pickle without execution
//! ```
//!
//! Invariants:
//! - What was read from Redis is appended or counted as refused; while the log cannot take it, nothing more
//!   is read.
//! - No message can make this process run anything: pickled data is read by a reader that knows values only.

// Without Redis nothing comes in, and nobody asks what it would mean.
#![cfg_attr(not(feature = "redis"), allow(dead_code))]

#[cfg(feature = "redis")]
mod address;
#[cfg(feature = "redis")]
mod append;
mod config;
mod emission;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(feature = "redis")]
mod listen;
mod metrics;
mod node;
mod pickle;
mod python;
mod shared;
mod text;
mod value;

use std::sync::Arc;

use anywire_app::{AppContext, Application};
use anywire_log::BoxFuture;

pub use config::{ConfigError, RedisConfig};
pub use emission::Rules;

use emission::Mapping;
use shared::Shared;

/// The listener: one connection to Redis, and what comes over it.
pub struct Emitters {
    shared: Arc<Shared>,
}

impl Emitters {
    /// Checks the settings. Nothing is connected before [`Application::run`], and nothing at all without an
    /// address.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn new(context: AppContext, config: RedisConfig, rules: Rules) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        let mapping = Mapping::new(&config, rules);
        let shared = Shared { context, config, mapping, metrics: Arc::default() };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }
}

impl Application for Emitters {
    fn name(&self) -> &'static str {
        "emitters"
    }

    fn routes(&self) -> axum::Router {
        axum::Router::new()
    }

    fn run(self: Arc<Self>) -> BoxFuture<'static, ()> {
        #[cfg(feature = "redis")]
        if self.shared.config.url.is_some() {
            return Box::pin(append::run(Arc::clone(&self.shared)));
        }
        Box::pin(std::future::ready(()))
    }

    fn metrics(&self) -> Vec<anywire_app::Metric> {
        self.shared.metrics.families()
    }
}
