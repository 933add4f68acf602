//! Connections that break while a request is answered: what is in the log is in memory, once.

use std::{
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
};

use anywire_app::testing::dropped_after;
use anywire_log::{Channel, Followed, Position};
use axum::{
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt;

use crate::support::{World, reports_only, sample};

/// More awaits than any request has.
const POLLS_MAX: usize = 200;
const REPORTS: i64 = 60;
const RULES: i64 = 20;

fn rules(for_s: i64) -> Value {
    let rule = json!({ "id": "busy", "figure": "cpu", "side": "above", "raise": 90, "clear": 75, "for_s": for_s, "enabled": true });
    json!({ "rules": [rule] })
}

/// A sample that was made at that second, sent then or later.
fn report(world: &World, second: i64, cpu: f64) -> Value {
    world.clock_reaches(second);
    json!({ "sent_at": world.now().to_string(), "samples": [sample(second, cpu)] })
}

/// The data of the events on a channel.
async fn events(world: &World, channel: &str) -> Vec<Value> {
    let mut follow = world.log.follow(&[Channel::new(channel).expect("a name")], Position::Oldest);
    let mut found = Vec::new();
    while let Some(next) = follow.ready().await.expect("read") {
        // A forgotten host leaves a gap.
        let Followed::Events(events) = next else { continue };
        let data = events.iter().map(|event| serde_json::from_slice(event.payload.as_bytes()).expect("JSON"));
        found.extend(data);
    }
    found
}

/// Sends a request and drops it after so many polls; whether it was answered before.
async fn dropped(world: &World, polls: usize, method: &str, target: &str, body: &Value) -> bool {
    let request = Request::builder().method(method).uri(target);
    let request = request.body(Body::from(body.to_string())).expect("a request");
    dropped_after(polls, world.router.clone().oneshot(request)).await.is_some()
}

#[tokio::test]
async fn a_report_dropped_at_any_await_is_in_the_log_and_in_memory_once_or_not_at_all() {
    for polls in 0..POLLS_MAX {
        let mut world = World::with(reports_only()).await;
        world.send("PUT", "/api/performance/alerts", &[], &rules(0)).await.expect(200);
        let body = report(&world, 1, 99.0);
        let target = "/api/performance/hosts/web-1/samples";
        let answered = dropped(&world, polls, "POST", target, &body).await;
        world.settled().await;
        let kept = events(&world, "performance_web-1").await.len();
        world.send("POST", target, &[], &body).await.expect(200);
        assert_eq!(events(&world, "performance_web-1").await.len(), 1, "after {polls} polls and {kept} kept");
        let alerts = events(&world, "performance:alerts").await;
        assert_eq!(alerts.len(), 1, "one alert after {polls} polls: {alerts:?}");
        world.same_after_a_restart().await;
        if answered {
            return;
        }
    }
    panic!("no report was answered within {POLLS_MAX} polls");
}

#[tokio::test]
async fn rules_dropped_at_any_await_are_those_of_the_log() {
    for polls in 0..POLLS_MAX {
        let mut world = World::with(reports_only()).await;
        world.send("PUT", "/api/performance/alerts", &[], &rules(0)).await.expect(200);
        world.report("web-1", &[1], |_| 99.0).await.expect(200);
        let answered =
            dropped(&world, polls, "PUT", "/api/performance/alerts", &json!({ "rules": [] })).await;
        world.settled().await;
        let told = world.get("/api/performance/alerts").await.expect(200).json();
        let written = events(&world, "$performance:rules").await;
        assert_eq!(Some(&told["rules"]), written.last(), "after {polls} polls");
        let cleared = events(&world, "performance:alerts").await.len() == 2;
        assert_eq!(told["rules"] == json!([]), cleared, "the alert ends with its rule, after {polls} polls");
        world.same_after_a_restart().await;
        if answered {
            return;
        }
    }
    panic!("no rules were answered within {POLLS_MAX} polls");
}

#[tokio::test]
async fn a_host_whose_forgetting_is_dropped_at_any_await_is_whole_or_gone() {
    for polls in 0..POLLS_MAX {
        let mut world = World::with(reports_only()).await;
        world.send("PUT", "/api/performance/alerts", &[], &rules(0)).await.expect(200);
        world.report("web-1", &[1], |_| 99.0).await.expect(200);
        let answered = dropped(&world, polls, "DELETE", "/api/performance/hosts/web-1", &Value::Null).await;
        world.settled().await;
        let there = world.get("/api/performance?host=web-1").await.status == 200;
        let kept = events(&world, "performance_web-1").await.len();
        assert_eq!(kept, usize::from(there), "after {polls} polls");
        let standing = world.get("/api/performance/alerts").await.expect(200).json();
        assert_eq!(standing["active"].as_array().map(Vec::len), Some(kept), "after {polls} polls");
        world.same_after_a_restart().await;
        if answered {
            assert!(!there, "it was answered as gone");
            return;
        }
    }
    panic!("no forgetting was answered within {POLLS_MAX} polls");
}

/// Counts requests whose answer nobody waited for.
#[derive(Clone, Default)]
struct Broken(Arc<AtomicUsize>);

struct Waiting(Option<Broken>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(Broken(count)) = self.0.take() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn watch(broken: Broken, request: Request, next: Next) -> Response {
    let mut waiting = Waiting(Some(broken));
    let response = next.run(request).await;
    waiting.0 = None;
    response
}

/// The application behind a real socket.
struct Server {
    listener: std::net::SocketAddr,
    broken: Broken,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn of(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let broken = Broken::default();
        let layer = middleware::from_fn({
            let broken = broken.clone();
            move |request, next| watch(broken.clone(), request, next)
        });
        let router = world.router.clone().layer(layer);
        let address = listener.local_addr().expect("an address");
        let serve = async move { axum::serve(listener, router).await.expect("served") };
        Self { listener: address, broken, task: tokio::spawn(serve) }
    }

    /// Sends a request, and resets the connection when its change is committed and nobody has heard of it
    /// yet.
    async fn send_and_break(&self, world: &World, method: &str, target: &str, body: &Value) {
        let (broken, tail) = (self.broken.0.load(Ordering::SeqCst), world.log.tail_offset());
        world.engine.hold();
        let mut stream = TcpStream::connect(self.listener).await.expect("connected");
        let body = body.to_string();
        let length = body.len();
        let text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await.expect("written");
        world.log.moved_past(tail).await;
        stream.set_zero_linger().expect("a socket");
        drop(stream);
        while self.broken.0.load(Ordering::SeqCst) == broken {
            tokio::task::yield_now().await;
        }
        world.engine.release();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How many of the reports are accepted once more, and how often each stands in the log at most.
async fn repeated(world: &World) -> (u64, usize) {
    let mut accepted = 0;
    for second in 1..=REPORTS {
        let body = report(world, second, 10.0);
        let answer = world.send("POST", "/api/performance/hosts/web-1/samples", &[], &body).await.expect(200);
        accepted += answer.json()["accepted"].as_u64().expect("a number");
    }
    let mut times: Vec<String> =
        events(world, "performance_web-1").await.iter().map(|sample| sample["time"].to_string()).collect();
    times.sort();
    let most = times.chunk_by(|one, other| one == other).map(<[_]>::len).max();
    (accepted, most.unwrap_or_default())
}

#[tokio::test]
async fn sixty_reports_whose_connections_are_reset_are_each_kept_once() {
    let mut world = World::with(reports_only()).await;
    let server = Server::of(&world).await;
    for second in 1..=REPORTS {
        let body = report(&world, second, 10.0);
        server.send_and_break(&world, "POST", "/api/performance/hosts/web-1/samples", &body).await;
    }
    world.settled().await;
    assert_eq!(repeated(&world).await, (0, 1), "accepted again, and kept at most so often");
    assert_eq!(events(&world, "performance_web-1").await.len(), REPORTS as usize);
    world.same_after_a_restart().await;
    assert_eq!(repeated(&world).await, (0, 1), "after a restart");
}

#[tokio::test]
async fn twenty_sets_of_rules_whose_connections_are_reset_leave_memory_as_the_log_has_it() {
    let mut world = World::with(reports_only()).await;
    let server = Server::of(&world).await;
    let mut differed = Vec::new();
    for number in 1..=RULES {
        server.send_and_break(&world, "PUT", "/api/performance/alerts", &rules(number)).await;
        world.settled().await;
        let told = world.get("/api/performance/alerts").await.expect(200).json();
        if events(&world, "$performance:rules").await.last() != Some(&told["rules"]) {
            differed.push(number);
        }
    }
    assert_eq!(differed, [0_i64; 0], "memory has other rules than the log");
    world.same_after_a_restart().await;
}
