//! A log in memory with a clock that stands until the test moves it, and the context of an application on it.

use std::{path::Path, sync::Arc};

use anywire_log::{
    Clock, Engine, Log, ManualClock, Retention, RetentionRule, RetentionRules, TailConfig, Timestamp,
};
use tokio_util::sync::CancellationToken;

use super::LateEngine;
use crate::AppContext;

/// What the clock shows at first: a whole hour, 2026-01-23T10:00:00Z.
pub const T0: i64 = 1_769_162_400_000;

/// A log that outlives the applications on it: it is restarted by opening another application on the same
/// one.
pub struct World {
    /// The log.
    pub log: Arc<Log>,
    /// Its engine.
    pub engine: Arc<LateEngine>,
    /// The time; it stands.
    pub clock: Arc<ManualClock>,
}

impl World {
    /// An empty log with the retention an application needs.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn new(rules: Vec<RetentionRule>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(T0)));
        let rules = RetentionRules::new(rules, Retention::default());
        let engine = LateEngine::new(rules.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        let engine = Arc::new(engine.expect("the system has randomness"));
        let log = Log::start(Arc::clone(&engine) as Arc<dyn Engine>, rules, TailConfig::default());
        Self { log, engine, clock }
    }

    /// What an application is given whose files are in `data_dir`; cancel its `shutdown` to stop it.
    #[must_use]
    pub fn context(&self, data_dir: &Path) -> AppContext {
        let (log, shutdown) = (Arc::clone(&self.log), CancellationToken::new());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        AppContext { log, clock, data_dir: data_dir.to_owned(), shutdown }
    }
}
