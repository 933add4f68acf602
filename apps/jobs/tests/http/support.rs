//! A log in memory, a directory of its own, the application on both; and how to ask it.

use std::{sync::Arc, time::Duration};

use anywire_app::{AppContext, Application, testing::LateEngine};
use anywire_jobs::{Jobs, JobsConfig, channels};
use anywire_log::{
    Channel, Clock, Engine, Event, Followed, Log, ManualClock, MemoryEngine, Position, Retention,
    RetentionRules, SystemClock, TailConfig, Timestamp,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct World {
    pub(crate) log: Arc<Log>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: JobsConfig,
    pub(crate) router: Router,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
    run: Option<JoinHandle<()>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().expect("ASCII")
    }

    /// The status and the code of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["code"].as_str().expect("a code").to_owned())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(JobsConfig::default(), Arc::new(SystemClock)).await
    }

    pub(crate) async fn with(config: JobsConfig, clock: Arc<dyn Clock>) -> Self {
        let rules = RetentionRules::new(channels(), Retention::default());
        let engine = MemoryEngine::new(rules.clone(), Arc::clone(&clock)).expect("randomness");
        Self::on(Arc::new(engine), rules, config, clock).await
    }

    /// On a log that commits at once and answers late.
    pub(crate) async fn late(config: JobsConfig) -> Self {
        let (rules, clock) = (RetentionRules::new(channels(), Retention::default()), Arc::new(SystemClock));
        let engine = LateEngine::new(rules.clone(), Arc::clone(&clock) as _).expect("randomness");
        Self::on(Arc::new(engine), rules, config, clock).await
    }

    async fn on(
        engine: Arc<dyn Engine>,
        rules: RetentionRules,
        config: JobsConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::of(Log::start(engine, rules, TailConfig::default()), config, clock).await
    }

    /// Another server on the same log.
    pub(crate) async fn beside(&self) -> Self {
        Self::of(Arc::clone(&self.log), self.config.clone(), Arc::clone(&self.clock)).await
    }

    async fn of(log: Arc<Log>, config: JobsConfig, clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let mut world = Self {
            log,
            folder,
            config,
            router: Router::new(),
            clock,
            shutdown: CancellationToken::new(),
            run: None,
        };
        world.start().await;
        world
    }

    pub(crate) async fn start(&mut self) {
        self.shutdown = CancellationToken::new();
        let context = AppContext {
            log: Arc::clone(&self.log),
            clock: Arc::clone(&self.clock),
            data_dir: self.folder.path().to_owned(),
            shutdown: self.shutdown.clone(),
        };
        let jobs = Jobs::start(context, self.config.clone()).await.expect("started");
        self.router = jobs.routes();
        self.run = Some(tokio::spawn(jobs.run()));
    }

    /// The server stops and starts again on the same log and directory.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(run) = self.run.take() {
            run.await.expect("ended");
        }
    }

    /// An answer whose body is still to come.
    pub(crate) async fn open(&self, request: Request<Body>) -> (StatusCode, Body) {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        (response.status(), response.into_body())
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(resolved(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("a request")).await
    }

    /// A call that can be made in a task of its own; its status.
    pub(crate) fn asking(
        &self,
        method: &str,
        path: &str,
        body: String,
    ) -> impl Future<Output = StatusCode> + Send + use<> {
        let request = Request::builder().method(method).uri(path).body(Body::from(body)).expect("a request");
        let router = self.router.clone();
        async move { router.oneshot(request).await.expect("infallible").status() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.call("POST", path, &[], body.to_owned()).await
    }

    /// Every event on a channel.
    pub(crate) async fn events(&self, channel: &str) -> Vec<Arc<Event>> {
        self.events_after(channel, Position::Oldest).await
    }

    pub(crate) async fn events_after(&self, channel: &str, position: Position) -> Vec<Arc<Event>> {
        let mut follow = self.log.follow(&[Channel::new(channel).expect(channel)], position);
        let mut found = Vec::new();
        while let Some(next) = follow.ready().await.expect("readable") {
            match next {
                Followed::Events(events) => found.extend(events),
                Followed::Gap(gap) => panic!("a gap: {gap:?}"),
            }
        }
        found
    }

    /// The data of every `progress_update` of a job.
    pub(crate) async fn updates(&self, id: &str) -> Vec<Value> {
        let events = self.events(&format!("progress_{id}")).await;
        events.iter().filter(|event| is_update(event)).map(|event| data(event)).collect()
    }

    /// Waits for the first update of a job that fits, as long as there are updates: how long work takes is
    /// the machine's business, silence is not.
    pub(crate) async fn until(&self, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let channel = Channel::new(&format!("progress_{id}")).expect(id);
        let mut follow = self.log.follow(&[channel], Position::Oldest);
        loop {
            let Ok(next) = tokio::time::timeout(PATIENCE, follow.next()).await else {
                panic!("{id} never fits: {}", self.get(&format!("/api/progress/{id}")).await.text())
            };
            if let Followed::Events(events) = next.expect("readable")
                && let Some(found) = events
                    .iter()
                    .filter(|event| is_update(event))
                    .map(|event| data(event))
                    .find(|data| fits(data))
            {
                return found;
            }
        }
    }

    pub(crate) async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(id, |state| state["status"] == status).await
    }

    /// Waits until the files of all uploads hold so many bytes.
    pub(crate) async fn until_stored(&self, bytes: u64) {
        let stored = || {
            let uploads = std::fs::read_dir(self.folder.path().join("uploads")).expect("a folder");
            let length = |entry: std::fs::DirEntry| {
                std::fs::metadata(entry.path().join("data")).map_or(0, |file| file.len())
            };
            uploads.map(|entry| length(entry.expect("an entry"))).sum::<u64>()
        };
        let wait = async {
            while stored() != bytes {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{} bytes are stored, not {bytes}", stored());
    }

    /// Waits until a folder of the data directory is empty.
    pub(crate) async fn until_gone(&self, folder: &str) {
        let path = self.folder.path().join(folder);
        let wait = async {
            while std::fs::read_dir(&path).expect("a folder").next().is_some() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{folder} is never empty");
    }

    /// How many events a channel holds.
    pub(crate) fn kept(&self, channel: &str) -> u64 {
        let channel = Channel::new(channel).expect(channel);
        self.log.engine().channel_state(&channel).expect("known").events
    }

    /// Waits until a channel holds so many events.
    pub(crate) async fn until_kept(&self, channel: &str, fits: impl Fn(u64) -> bool) {
        let wait = async {
            while !fits(self.kept(channel)) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{channel} holds {}", self.kept(channel));
    }

    /// Uploads a file in one request and returns its job.
    pub(crate) async fn upload(&self, filename: &str, bytes: &[u8]) -> String {
        let metadata = format!("filename {}", BASE64_STANDARD.encode(filename));
        let headers = [
            ("tus-resumable", "1.0.0"),
            ("upload-length", &bytes.len().to_string()),
            ("upload-metadata", &metadata),
            ("content-type", "application/offset+octet-stream"),
        ];
        let answer = self.call("POST", "/api/uploads", &headers, bytes.to_vec()).await.expect(201);
        answer.header("anywire-session").to_owned()
    }

    /// Makes an upload without bytes; returns its job and its path.
    pub(crate) async fn create(&self, length: usize) -> (String, String) {
        let headers = [("tus-resumable", "1.0.0"), ("upload-length", &*length.to_string())];
        let answer = self.call("POST", "/api/uploads", &headers, Body::empty()).await.expect(201);
        (answer.header("anywire-session").to_owned(), resolved(answer.header("location")))
    }

    pub(crate) async fn patch(
        &self,
        path: &str,
        offset: usize,
        more: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let offset = offset.to_string();
        let mut headers = vec![
            ("tus-resumable", "1.0.0"),
            ("upload-offset", &*offset),
            ("content-type", "application/offset+octet-stream"),
        ];
        headers.extend_from_slice(more);
        self.call("PATCH", path, &headers, body).await
    }

    pub(crate) async fn offset(&self, path: &str) -> String {
        let answer = self.call("HEAD", path, &[("tus-resumable", "1.0.0")], Body::empty()).await.expect(200);
        answer.header("upload-offset").to_owned()
    }
}

/// Lines of a command's output come on the same channel.
fn is_update(event: &Event) -> bool {
    event.name.as_str() == "progress_update"
}

pub(crate) fn data(event: &Event) -> Value {
    serde_json::from_slice(event.payload.as_bytes()).expect("JSON")
}

pub(crate) fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_737_626_403_000)))
}

/// An address as a client resolves it that has asked `/api/uploads`.
pub(crate) fn resolved(address: &str) -> String {
    if address.starts_with('/') { address.to_owned() } else { format!("/api/{address}") }
}
