//! A log in memory, the application on it; how to ask it, and how to hear what it publishes.

use std::{path::Path, sync::Arc, time::Duration};

use anywire_app::{AppContext, Application};
use anywire_log::{
    Channel, Event, Follow, Followed, Log, MemoryEngine, Position, Retention, RetentionRules, SystemClock,
    TailConfig,
};
use anywire_pipeline::{Hook, PIPELINE_CHANNEL, Pipeline, PipelineConfig, channels};
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct World {
    pub(crate) log: Arc<Log>,
    pub(crate) config: PipelineConfig,
    pub(crate) router: Router,
    hook: Option<Arc<dyn Hook>>,
    shutdown: CancellationToken,
    run: Option<JoinHandle<()>>,
    /// The application's tasks run apart, so that a crash can end all of them wherever they are.
    runtime: Option<Runtime>,
    follow: Follow,
    /// Where its files are.
    pub(crate) folder: tempfile::TempDir,
    /// Everything published on channel `pipeline` so far, as it was heard.
    pub(crate) heard: Vec<Arc<Event>>,
}

/// The settings of most tests: quick retries.
pub(crate) fn quick() -> PipelineConfig {
    PipelineConfig { retry_min_ms: 1, retry_max_ms: 2, attempts_max: 3, ..PipelineConfig::default() }
}

impl World {
    pub(crate) async fn new(config: PipelineConfig) -> Self {
        Self::with_hook(config, None).await
    }

    pub(crate) async fn with_hook(config: PipelineConfig, hook: Option<Arc<dyn Hook>>) -> Self {
        let rules = RetentionRules::new(channels(&config), Retention::default());
        let engine = MemoryEngine::new(rules.clone(), Arc::new(SystemClock)).expect("an epoch");
        let log = Log::start(Arc::new(engine), rules, TailConfig { bytes_max: 8 << 20 });
        let follow = log.follow(&[channel()], Position::Oldest);
        let runtime = runtime();
        let folder = tempfile::tempdir().expect("a directory");
        let (router, shutdown, run) = start(&runtime, &log, &config, hook.clone(), folder.path()).await;
        let (run, runtime) = (Some(run), Some(runtime));
        Self { log, config, router, hook, shutdown, run, runtime, follow, folder, heard: Vec::new() }
    }

    /// Stops the application and starts it again on the same log.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.begin_again().await;
    }

    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(run) = self.run.take() {
            run.await.expect("it ends");
        }
    }

    /// Ends it as a crash would, wherever it is, and starts it again.
    pub(crate) async fn crash(&mut self) {
        self.begin_again().await;
    }

    async fn begin_again(&mut self) {
        let next = runtime();
        if let Some(before) = self.runtime.replace(next) {
            before.shutdown_background();
        }
        let runtime = self.runtime.as_ref().expect("just set");
        let (hook, folder) = (self.hook.clone(), self.folder.path());
        let (router, shutdown, run) = start(runtime, &self.log, &self.config, hook, folder).await;
        (self.router, self.shutdown, self.run) = (router, shutdown, Some(run));
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        kind: Option<&str>,
        body: impl Into<Body>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let request = request.body(body.into()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let json = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        (status, json)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None, Body::empty()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(crate) async fn send(&self, body: &str) -> Value {
        let path = "/api/producers/send/single?topic=test";
        let (status, answer) = self.call("POST", path, Some("application/json"), body.to_owned()).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer
    }

    /// Waits for an event on channel `pipeline`, heard already or not.
    pub(crate) async fn hear(&mut self, name: &str, like: impl Fn(&Value) -> bool) -> Value {
        let fits = |event: &Arc<Event>| {
            let payload: Value = serde_json::from_slice(event.payload.as_bytes()).expect("JSON");
            (event.name.as_str() == name && like(&payload)).then_some(payload)
        };
        if let Some(found) = self.heard.iter().find_map(fits) {
            return found;
        }
        loop {
            let next = tokio::time::timeout(PATIENCE, self.follow.next()).await;
            let next = next.unwrap_or_else(|_| panic!("no {name} comes; heard: {:?}", self.names()));
            let Followed::Events(events) = next.expect("read") else { continue };
            let found = events.iter().find_map(fits);
            self.heard.extend(events);
            if let Some(found) = found {
                return found;
            }
        }
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.heard.iter().map(|event| event.name.as_str()).collect()
    }

    /// Waits until the counters are so.
    pub(crate) async fn counters(&mut self, total: u64, processed: u64, failed: u64) {
        self.hear("stats-updated", |stats| {
            let figure = |name: &str| stats[name].as_u64();
            (figure("totalMessages"), figure("processedMessages"), figure("failedMessages"))
                == (Some(total), Some(processed), Some(failed))
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

async fn start(
    runtime: &Runtime,
    log: &Arc<Log>,
    config: &PipelineConfig,
    hook: Option<Arc<dyn Hook>>,
    folder: &Path,
) -> (Router, CancellationToken, JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    let context = AppContext {
        log: Arc::clone(log),
        clock: Arc::new(SystemClock),
        data_dir: folder.to_owned(),
        shutdown: shutdown.clone(),
    };
    let starting = runtime.spawn(Pipeline::start(context, config.clone(), hook));
    let pipeline = starting.await.expect("no panic").expect("started");
    let router = pipeline.routes();
    (router, shutdown, runtime.spawn(pipeline.run()))
}

fn channel() -> Channel {
    Channel::new(PIPELINE_CHANNEL).expect("a name")
}

/// The application on the log of a world, without its background work.
pub(crate) async fn idle(world: &World) -> Arc<Pipeline> {
    let context = AppContext {
        log: Arc::clone(&world.log),
        clock: Arc::new(SystemClock),
        data_dir: world.folder.path().to_owned(),
        shutdown: CancellationToken::new(),
    };
    Pipeline::start(context, world.config.clone(), None).await.expect("started")
}
