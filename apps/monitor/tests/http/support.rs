//! A log in memory, the application on it; how samples come in and how it is asked.

use std::{sync::Arc, time::Duration};

use anywire_app::{
    AppContext, Application, DeliveryFigures,
    testing::{self, LateEngine},
};
use anywire_log::{Clock, Log, ManualClock};
use anywire_monitor::{Collector, Monitor, MonitorConfig, Sample, channels};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) use anywire_app::testing::T0;

pub(crate) struct World {
    pub(crate) log: Arc<Log>,
    pub(crate) engine: Arc<LateEngine>,
    pub(crate) router: Router,
    pub(crate) clock: Arc<ManualClock>,
    config: MonitorConfig,
    folder: tempfile::TempDir,
    shutdown: CancellationToken,
    run: Option<JoinHandle<()>>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The rows of a history, without their times.
    pub(crate) fn rows(&self) -> Vec<Value> {
        self.json()["samples"].as_array().expect("rows").clone()
    }
}

/// A host that reports, without a collector of the server's own.
pub(crate) fn reports_only() -> MonitorConfig {
    MonitorConfig { collect: false, host: Some("server".to_owned()), ..MonitorConfig::default() }
}

impl World {
    pub(crate) async fn with(config: MonitorConfig) -> Self {
        let testing::World { log, engine, clock } = testing::World::new(channels(&config));
        let folder = tempfile::tempdir().expect("a directory");
        let shutdown = CancellationToken::new();
        let mut world =
            Self { log, engine, router: Router::new(), clock, config, folder, shutdown, run: None };
        world.start().await;
        world
    }

    async fn start(&mut self) {
        self.shutdown = CancellationToken::new();
        let context = AppContext {
            log: Arc::clone(&self.log),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            data_dir: self.folder.path().to_owned(),
            shutdown: self.shutdown.clone(),
        };
        let meter = Box::new(DeliveryFigures::default);
        let monitor = Monitor::start(context, self.config.clone(), meter).await.expect("started");
        self.router = monitor.routes();
        self.run = Some(tokio::spawn(monitor.run()));
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_millis()
    }

    /// Lets everything that is under way come to its end.
    pub(crate) async fn settled(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// Everything the API answers, without the moment at which it was asked.
    pub(crate) async fn everything(&self) -> Vec<Value> {
        let mut hosts = self.get("/api/performance/hosts").await.expect(200).json();
        let mut alerts = self.get("/api/performance/alerts").await.expect(200).json();
        hosts["now"] = Value::Null;
        alerts["cursor"] = Value::Null;
        let names: Vec<String> = hosts["hosts"]
            .as_array()
            .expect("hosts")
            .iter()
            .map(|host| host["host"].as_str().expect("a name").to_owned())
            .collect();
        let mut all = vec![hosts, alerts];
        for name in names {
            for query in [
                "?",
                "/history?after=0&",
                "/history?fields=*&",
                "/history?step=60&fields=*&",
                "/history?step=60&from=2026-01-22T00:00:00Z&fields=cpu&",
            ] {
                let answer = self.get(&format!("/api/performance{query}host={name}")).await;
                all.push(json!([query, name, answer.status.as_u16(), answer.json()]));
            }
        }
        all
    }

    /// Restarts the application and compares everything it answers.
    pub(crate) async fn same_after_a_restart(&mut self) {
        let before = self.everything().await;
        self.restart().await;
        let after = self.everything().await;
        for (after, before) in after.iter().zip(&before) {
            assert_eq!(after, before);
        }
        assert_eq!(after.len(), before.len());
    }

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

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.router.clone().oneshot(request.body(body).expect("a request")).await;
        let (parts, body) = response.expect("infallible").into_parts();
        let body = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], &Value::Null).await
    }

    /// Moves the server's clock forward to that second after [`T0`], unless it is there.
    pub(crate) fn clock_reaches(&self, second: i64) {
        let behind = (second * 1000 - (self.now() - T0)).max(0);
        self.clock.advance_millis(behind.unsigned_abs());
    }

    /// Samples of a host at those seconds after [`T0`], its processors as busy as `cpu` says. Its clock is
    /// the server's.
    pub(crate) async fn report(&self, host: &str, seconds: &[i64], cpu: impl Fn(i64) -> f64) -> Answer {
        self.clock_reaches(seconds.last().copied().unwrap_or_default());
        let samples: Vec<Sample> = seconds.iter().map(|second| sample(*second, cpu(*second))).collect();
        let sent_at = self.clock.now().as_millis().to_string();
        let body = json!({ "sent_at": sent_at, "samples": samples });
        self.send("POST", &format!("/api/performance/hosts/{host}/samples"), &[], &body).await
    }
}

/// A sample like a real one, with its time and processors replaced.
pub(crate) fn sample(second: i64, cpu: f64) -> Sample {
    static REAL: std::sync::OnceLock<Sample> = std::sync::OnceLock::new();
    let real = || Collector::new().expect("a collector").collect(0, 1000, None);
    let mut sample = REAL.get_or_init(real).clone();
    sample.time = T0 + second * 1000;
    sample.cpu.percent = cpu;
    sample
}
