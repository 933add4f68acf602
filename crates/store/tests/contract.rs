//! The embedded engine passes the suite that every engine must pass.

mod copying;

use std::sync::{Arc, Mutex};

use anywire_log::{
    Engine, ManualClock, RetentionRules,
    contract::{self, Factory, Restart},
};
use anywire_store::{EmbeddedConfig, EmbeddedEngine};

/// Makes engines in directories of their own; the newest is the one to open again.
#[derive(Default)]
struct Directories {
    made: Mutex<Vec<tempfile::TempDir>>,
    segment_bytes_max: Option<u64>,
    crash: bool,
}

impl Directories {
    fn config(&self, directory: &std::path::Path) -> EmbeddedConfig {
        let mut config = EmbeddedConfig::new(directory);
        if let Some(bytes) = self.segment_bytes_max {
            config.segment_bytes_max = bytes;
        }
        config
    }

    fn open(&self, rules: RetentionRules, clock: Arc<ManualClock>) -> Arc<dyn Engine> {
        let made = self.made.lock().expect("no test panicked before");
        let config = self.config(made.last().expect("one was made").path());
        Arc::new(EmbeddedEngine::open(config, rules, clock).expect("it opens"))
    }

    fn add(&self) {
        self.made.lock().expect("no test panicked before").push(tempfile::tempdir().expect("a directory"));
    }
}

impl Factory for Directories {
    async fn make(&self, rules: RetentionRules, clock: Arc<ManualClock>) -> Arc<dyn Engine> {
        self.add();
        self.open(rules, clock)
    }
}

impl Restart for Directories {
    async fn reopen(
        &self,
        engine: Arc<dyn Engine>,
        rules: RetentionRules,
        clock: Arc<ManualClock>,
    ) -> Arc<dyn Engine> {
        if self.crash {
            // What a crash would leave: the files as they are at this moment.
            let path = || {
                let made = self.made.lock().expect("no test panicked before");
                made.last().expect("one was made").path().to_owned()
            };
            let from = path();
            self.add();
            copying::copy_at_rest(&from, &path());
        } else {
            engine.close().await;
        }
        self.open(rules, clock)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_engine_keeps_the_contract() {
    contract::check(&Directories::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_across_many_small_segments() {
    contract::check(&Directories { segment_bytes_max: Some(0), ..Directories::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_loses_nothing() {
    contract::restart(&Directories::default()).await;
    contract::restart(&Directories { segment_bytes_max: Some(0), ..Directories::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_nothing() {
    contract::restart(&Directories { crash: true, ..Directories::default() }).await;
    let segment_bytes_max = Some(0);
    contract::restart(&Directories { crash: true, segment_bytes_max, ..Directories::default() }).await;
}
