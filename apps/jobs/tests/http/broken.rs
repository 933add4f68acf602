//! Connections that break right after a call was sent: what the log has and what memory has is the same,
//! before and after a restart, and nothing is there twice.

use std::net::SocketAddr;

use anywire_app::testing::dropped_after;
use anywire_jobs::{CommandSection, JobsConfig};
use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt;

use crate::{
    commands::config,
    support::{World, data},
};

/// How many calls are broken.
const CALLS: usize = 60;
const CSV: &[u8] = b"a,b\n1,2\n3,4\n";

/// The routes on a socket.
async fn serve(world: &World) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = world.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Sends a call and resets the connection, a little later for each call, so that it breaks at many places.
async fn broken(address: SocketAddr, number: usize, method: &str, path: &str, headers: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).await.expect("sent");
    stream.set_zero_linger().expect("a socket");
    for _ in 0..number % 30 {
        tokio::task::yield_now().await;
    }
}

fn key(number: usize) -> String {
    format!("key-{number}")
}

/// What memory says of a job is what the log said last.
async fn agrees(world: &World, id: &str) -> Value {
    let mut state = world.get(&format!("/api/progress/{id}")).await.expect(200).json();
    let cursor = state.as_object_mut().and_then(|state| state.remove("cursor")).expect("a cursor");
    let events = world.events(&format!("progress_{id}")).await;
    let updates: Vec<_> = events.iter().filter(|event| event.name.as_str() == "progress_update").collect();
    let last = updates.last().expect("an update");
    let mut told = data(last);
    told["steps"] = steps_of(updates.iter().map(|event| data(event)));
    assert_eq!((&state, &cursor), (&told, &json!(world.log.cursor(last.offset).to_string())));
    state
}

/// The steps that updates tell, one after the other: of many each brings the newest.
fn steps_of(updates: impl Iterator<Item = Value>) -> Value {
    let list = |state: &Value| state["steps"].as_array().cloned().unwrap_or_default();
    let merge = |known: Vec<Value>, update: Value| {
        let new = list(&update);
        let first = new.first().map_or(0, |step| step["index"].as_u64().unwrap_or(0));
        known.into_iter().filter(|step| step["index"].as_u64() < Some(first)).chain(new).collect()
    };
    Value::Array(updates.fold(Vec::new(), merge))
}

/// How many records of a kind the log has of a job.
async fn records(world: &World, id: &str, kind: &str) -> usize {
    let events = world.events("jobs").await;
    events.iter().filter(|event| event.name.as_str() == kind && data(event)["session_id"] == id).count()
}

async fn started(world: &World, id: &str) {
    let body = json!({"session_id": id, "title": id, "total_steps": CALLS}).to_string();
    world.post("/api/progress", &body).await.expect(201);
}

#[tokio::test]
async fn steps_whose_connection_breaks_are_there_once_in_the_log_and_in_memory() {
    let mut world = World::late(JobsConfig::default()).await;
    let address = serve(&world).await;
    started(&world, "a").await;
    let path = "/api/progress/a/step";
    for number in 0..CALLS {
        let (key, body) = (key(number), json!({"name": format!("step {number}")}).to_string());
        let headers = format!("idempotency-key: {key}\r\n");
        broken(address, number, "POST", path, &headers, body.as_bytes()).await;
        // Whoever lost the answer asks again.
        world.call("POST", path, &[("idempotency-key", &key)], body).await.expect(200);
    }
    let names = |state: &Value| -> Vec<String> {
        let steps = state["steps"].as_array().expect("steps").iter();
        steps.map(|step| step["name"].as_str().expect("a name").to_owned()).collect()
    };
    let expected: Vec<String> = (0..CALLS).map(|number| format!("step {number}")).collect();
    assert_eq!(names(&agrees(&world, "a").await), expected);
    assert_eq!(records(&world, "a", "step_began").await, CALLS);
    world.restart().await;
    assert_eq!(names(&agrees(&world, "a").await), expected);
    assert_eq!(records(&world, "a", "step_began").await, CALLS);
}

#[tokio::test]
async fn cancels_whose_connection_breaks_are_there_once_in_the_log_and_in_memory() {
    let mut world = World::late(JobsConfig::default()).await;
    let address = serve(&world).await;
    let ids: Vec<String> = (0..CALLS).map(|number| format!("job-{number}")).collect();
    for (number, id) in ids.iter().enumerate() {
        started(&world, id).await;
        let (key, path) = (key(number), format!("/api/progress/{id}/cancel"));
        broken(address, number, "POST", &path, &format!("idempotency-key: {key}\r\n"), b"").await;
        world.call("POST", &path, &[("idempotency-key", &key)], "").await.expect(200);
    }
    let check = async |world: &World| {
        for id in &ids {
            assert_eq!(agrees(world, id).await["status"], "cancelled");
            assert_eq!(records(world, id, "cancelled").await, 1, "{id}");
        }
    };
    check(&world).await;
    world.restart().await;
    check(&world).await;
}

#[tokio::test]
async fn uploads_whose_last_connection_breaks_become_one_report_each() {
    let mut world = World::late(JobsConfig::default()).await;
    let address = serve(&world).await;
    let mut ids = Vec::new();
    for number in 0..CALLS {
        let (id, path) = world.create(CSV.len()).await;
        let headers =
            "tus-resumable: 1.0.0\r\nupload-offset: 0\r\ncontent-type: application/offset+octet-stream\r\n";
        broken(address, number, "PATCH", &path, headers, CSV).await;
        // As tus clients do: ask where to go on, and once more where the broken call came in between.
        loop {
            let offset: usize = world.offset(&path).await.parse().expect("a number");
            let rest = &CSV[offset..];
            if rest.is_empty() || world.patch(&path, offset, &[], rest).await.status == 204 {
                break;
            }
        }
        ids.push(id);
    }
    for id in &ids {
        world.until_status(id, "succeeded").await;
    }
    let check = async |world: &World| {
        for id in &ids {
            assert_eq!(agrees(world, id).await["result"]["rows"], 2);
            let counts = [records(world, id, "queued").await, records(world, id, "succeeded").await];
            assert_eq!(counts, [1, 1], "{id}");
            world.get(&format!("/api/jobs/{id}/report")).await.expect(200);
        }
    };
    check(&world).await;
    world.restart().await;
    check(&world).await;
}

#[tokio::test]
async fn a_command_stops_wherever_the_connection_of_its_cancel_breaks() {
    let argv = |argv: &[&str]| CommandSection {
        argv: argv.iter().map(|one| (*one).to_owned()).collect(),
        ..CommandSection::default()
    };
    let mut config = config(&[("sleep", argv(&["sleep", "600"])), ("true", argv(&["true"]))]);
    config.commands_running_max = 1;
    let world = World::late(config).await;
    for polls in 0.. {
        let (id, next) = (format!("sleep-{polls}"), format!("true-{polls}"));
        let start = |id: &str, command: &str| json!({"session_id": id, "command": command}).to_string();
        world.post("/api/commands", &start(&id, "sleep")).await.expect(201);
        world.until(&id, |state| state["step_name"] == "run").await;
        let path = format!("/api/progress/{id}/cancel");
        let request = Request::post(&path).body(Body::empty()).expect("a request");
        let answered = dropped_after(polls, world.router.clone().oneshot(request)).await.is_some();
        // Where it broke before anything happened; else it is refused.
        world.post(&path, "").await;
        world.until_status(&id, "cancelled").await;
        // Only one command runs at a time: the next one does when this one is gone.
        world.post("/api/commands", &start(&next, "true")).await.expect(201);
        world.until_status(&next, "succeeded").await;
        if answered {
            break;
        }
    }
}
