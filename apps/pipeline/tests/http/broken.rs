//! Connections that break right after a call was sent: what the log has and what memory has is the same,
//! before and after a restart, and nothing is there twice.

use std::collections::BTreeSet;

use anywire_app::{
    Application,
    testing::{send_and_reset, serve},
};
use anywire_log::{Followed, Position};
use anywire_pipeline::{PIPELINE_CHANNEL, PipelineConfig};
use axum::{body::Body, http::StatusCode};
use serde_json::{Value, json};

use crate::support::{PATIENCE, World, idle, quick};

/// How many calls are broken.
const CALLS: usize = 60;

fn many() -> PipelineConfig {
    PipelineConfig { consumers: 0, consumers_max: 64, ..quick() }
}

fn id(number: usize) -> String {
    format!("c{number}")
}

/// The consumers that run, as memory has it.
async fn running(world: &World) -> BTreeSet<String> {
    let listed = world.get("/api/consumers").await;
    let active = listed.as_array().expect("a list").iter().filter(|shown| shown["status"] == "ACTIVE");
    active.map(|shown| shown["consumerId"].as_str().expect("a text").to_owned()).collect()
}

/// The payloads of one kind of event, as the log has them.
async fn logged(world: &World, name: &str) -> Vec<Value> {
    let channel = anywire_log::Channel::new(PIPELINE_CHANNEL).expect("a name");
    let mut follow = world.log.follow(&[channel], Position::Oldest);
    let mut found = Vec::new();
    while let Some(next) = follow.ready().await.expect("read") {
        let Followed::Events(events) = next else { continue };
        let named = events.iter().filter(|event| event.name.as_str() == name);
        found.extend(
            named.map(|event| -> Value { serde_json::from_slice(event.payload.as_bytes()).expect("JSON") }),
        );
    }
    found
}

/// How often the log says that a consumer took a status.
async fn told(world: &World, id: &str, status: &str) -> usize {
    let told = logged(world, "consumer-status-changed").await;
    told.iter().filter(|change| change["consumerId"] == id && change["status"] == status).count()
}

async fn start(world: &World, number: usize) {
    let body = json!({ "consumerId": id(number) }).to_string();
    let (status, answer) = world.call("POST", "/api/consumers", None, Body::from(body)).await;
    // Whoever lost the answer asks again, and hears that it runs.
    let runs = status == StatusCode::CONFLICT && answer["code"] == "consumer_runs";
    assert!(status == StatusCode::CREATED || runs, "{status} {answer}");
}

#[tokio::test]
async fn consumers_whose_start_or_stop_broke_off_run_once_or_not_at_all_as_the_log_says() {
    let mut world = World::new(many()).await;
    let address = serve(world.router.clone()).await;
    for number in 0..CALLS {
        let body = json!({ "consumerId": id(number) }).to_string();
        send_and_reset(address, number, ("POST", "/api/consumers"), "", body.as_bytes()).await;
        start(&world, number).await;
    }
    let all: BTreeSet<String> = (0..CALLS).map(id).collect();
    assert_eq!(running(&world).await, all);
    for id in &all {
        assert_eq!(told(&world, id, "ACTIVE").await, 1, "{id}");
    }
    world.restart().await;
    let address = serve(world.router.clone()).await;
    // They shall run after a restart too.
    let again = async {
        while running(&world).await != all {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("all run again");
    for number in 0..CALLS {
        let path = format!("/api/consumers/{}", id(number));
        send_and_reset(address, number, ("DELETE", &path), "", b"").await;
        let (status, answer) = world.call("DELETE", &path, None, Body::empty()).await;
        let gone = status == StatusCode::NOT_FOUND && answer["code"] == "not_found";
        assert!(status == StatusCode::NO_CONTENT || gone, "{status} {answer}");
    }
    assert_eq!(running(&world).await, BTreeSet::new());
    for id in &all {
        // Once when the server stopped, once by this call.
        assert_eq!(told(&world, id, "INACTIVE").await, 2, "{id}");
    }
    world.restart().await;
    assert_eq!(running(&world).await, BTreeSet::new(), "none runs that was stopped");
}

#[tokio::test]
async fn a_consumer_started_before_the_background_work_runs_once_beside_those_of_before() {
    let mut world = World::new(many()).await;
    start(&world, 0).await;
    world.stop().await;
    let pipeline = idle(&world).await;
    world.router = pipeline.routes();
    start(&world, 1).await;
    let both: BTreeSet<String> = (0..2).map(id).collect();
    assert_eq!(running(&world).await, both);
    let run = tokio::spawn(pipeline.run());
    // Another change waits for what the background work begins with.
    start(&world, 2).await;
    for (number, times) in [(0, 2), (1, 1), (2, 1)] {
        assert_eq!(told(&world, &id(number), "ACTIVE").await, times, "{number}");
    }
    run.abort();
}

#[tokio::test]
async fn records_whose_replay_broke_off_are_counted_as_often_as_they_were_received() {
    let mut world = World::new(quick()).await;
    world.send("1").await;
    world.counters(1, 1, 0).await;
    let record = logged(&world, "message-received").await[0]["logId"].as_str().expect("an id").to_owned();
    let path = format!("/api/consumers/logs/{record}/replay");
    let address = serve(world.router.clone()).await;
    for number in 0..CALLS {
        send_and_reset(address, number, ("POST", &path), "", b"").await;
    }
    let (status, answer) = world.call("POST", &path, None, Body::empty()).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let last = answer["record"]["offset"].as_str().expect("an offset").to_owned();
    let partition = answer["record"]["partition"].clone();
    world
        .hear("message-received", |record| record["offset"] == last && record["partition"] == partition)
        .await;
    let agreed = async |world: &World| {
        let received = logged(world, "message-received").await;
        let places: BTreeSet<String> =
            received.iter().map(|record| format!("{} {}", record["partition"], record["offset"])).collect();
        assert_eq!(places.len(), received.len(), "none was received twice");
        let statistics = world.get("/api/consumers/statistics").await;
        assert_eq!(statistics["totalMessages"], received.len());
        received.len()
    };
    // The consumers end with what they have.
    world.stop().await;
    let before = agreed(&world).await;
    assert!((2..=CALLS + 2).contains(&before), "{before}");
    world.restart().await;
    assert!(agreed(&world).await >= before);
}
