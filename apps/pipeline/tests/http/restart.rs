//! After a restart, an ordinary one and a crash, counters and records are as they were.

use axum::body::Body;
use serde_json::Value;

use crate::support::{World, quick};

async fn state(world: &World) -> (Value, Vec<(String, String)>) {
    let mut statistics = world.get("/api/consumers/statistics").await;
    statistics["timestamp"] = Value::Null;
    let listed = world.get("/api/consumers/logs").await;
    let logs = listed["logs"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (statistics, logs.map(|entry| (text(&entry["logId"]), text(&entry["status"]))).collect())
}

#[tokio::test]
async fn counters_and_records_are_there_after_a_restart() {
    let mut world = World::new(quick()).await;
    for n in 0..20 {
        world.send(&n.to_string()).await;
    }
    world.counters(20, 20, 0).await;
    let before = state(&world).await;
    world.restart().await;
    world.send("20").await;
    world.counters(21, 21, 0).await;
    let after = state(&world).await;
    assert_eq!(after.1[1..], before.1);
}

#[tokio::test]
async fn a_crash_in_the_middle_counts_nothing_twice_and_loses_nothing() {
    let mut world = World::new(quick()).await;
    for round in 1..=4_u64 {
        for n in 0..50 {
            world.send(&n.to_string()).await;
        }
        world.crash().await;
        world.counters(round * 50, round * 50, 0).await;
    }
    let (statistics, logs) = state(&world).await;
    assert_eq!(statistics["totalMessages"], 200);
    assert_eq!(logs.len(), 200);
    assert!(logs.iter().all(|(_, status)| status == "PROCESSED"));
    let (status, answer) =
        world.call("POST", "/api/consumers/scale", None, Body::from(r#"{"count":0}"#)).await;
    assert!(status.is_success(), "{answer}");
    world.stop().await;
}
