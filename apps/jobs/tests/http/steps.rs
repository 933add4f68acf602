//! Many steps, numbered ones, and drivers that go without a word.

use std::{sync::Arc, time::Duration};

use anywire_jobs::JobsConfig;
use serde_json::{Value, json};

use crate::support::{World, manual_clock};

async fn start(world: &World, total_steps: u32, more: Value) {
    let mut body = json!({ "session_id": "a", "title": "Build", "total_steps": total_steps });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    world.post("/api/progress", &body.to_string()).await.expect(201);
}

async fn step(world: &World, body: Value) -> Value {
    world.post("/api/progress/a/step", &body.to_string()).await.expect(200).json()
}

#[tokio::test]
async fn every_update_of_many_steps_carries_what_changed_and_the_state_has_all() {
    const STEPS: u32 = 2500;
    let world = World::new().await;
    start(&world, STEPS, json!({})).await;
    let mut whole_bytes = 0;
    for number in 1..=STEPS {
        step(&world, json!({ "name": format!("[{number}/{STEPS}] CXX source_{number}.o") })).await;
        // What each update was before: the whole state.
        if number % 100 == 0 {
            whole_bytes += 100 * world.get("/api/progress/a").await.body.len();
        }
    }
    let state = world.get("/api/progress/a").await.expect(200).json();
    let steps = state["steps"].as_array().expect("steps");
    assert_eq!((steps.len(), &state["step"]), (STEPS as usize, &json!(STEPS)));
    assert!((1..).zip(steps).all(|(index, step)| step["index"] == index));
    let events = world.events("progress_a").await;
    let told_bytes: usize = events.iter().map(|event| event.payload.as_bytes().len()).sum();
    println!("{STEPS} steps: {told_bytes} bytes of updates, {whole_bytes} with whole states");
    assert!(told_bytes < 1000 * events.len() && told_bytes * 50 < whole_bytes, "{told_bytes} {whole_bytes}");
    let update = &world.updates("a").await[1234];
    let indexes: Vec<&Value> =
        update["steps"].as_array().expect("steps").iter().map(|step| &step["index"]).collect();
    assert_eq!(indexes, [1233, 1234]);
    assert!(update["steps"][0]["duration_ms"].is_number() && update["steps"][1]["duration_ms"].is_null());
    let list = world.get("/api/jobs").await.json();
    assert_eq!(
        list["jobs"][0]["steps"].as_array().map(Vec::len),
        Some(2),
        "a list is no place for all of them"
    );
    // Up to ten steps an update is the whole state.
    assert_eq!(world.updates("a").await[10]["steps"].as_array().map(Vec::len), Some(10));
}

#[tokio::test]
async fn the_update_that_ends_a_job_has_its_steps_for_those_who_look_only_then() {
    let world = World::new().await;
    start(&world, 40, json!({})).await;
    for number in 1..=40 {
        step(&world, json!({ "name": format!("step {number}") })).await;
    }
    world.post("/api/progress/a/complete", "").await.expect(200);
    let state = world.get("/api/progress/a").await.expect(200).json();
    let updates = world.updates("a").await;
    assert_eq!(updates.last().map(|update| &update["steps"]), Some(&state["steps"]));
    assert_eq!((updates.len(), state["steps"].as_array().map(Vec::len)), (42, Some(40)));
}

#[tokio::test]
async fn a_step_may_be_named_by_its_number_and_the_number_of_steps_may_change_within_one() {
    let world = World::new().await;
    start(&world, 9, json!({})).await;
    let state = step(&world, json!({ "name": "link", "step": 7 })).await;
    assert_eq!(
        (&state["step"], &state["steps"][0]["index"], &state["percent"]),
        (&json!(7), &json!(7), &json!(66.6))
    );
    let state = step(&world, json!({ "name": "link", "total_steps": 12_000 })).await;
    assert_eq!((&state["step"], &state["total_steps"]), (&json!(7), &json!(12_000)));
    let back = world.post("/api/progress/a/step", r#"{"name":"read","step":3}"#).await;
    assert_eq!(back.error(), (409, "illegal_transition".to_owned()));
    let few = world.post("/api/progress/a/step", r#"{"name":"link","total_steps":3}"#).await;
    assert_eq!(few.error(), (409, "too_many_steps".to_owned()));
    let state = step(&world, json!({ "name": "install", "step": 12_000 })).await;
    assert_eq!((&state["step"], &state["steps"][1]["index"]), (&json!(12_000), &json!(12_000)));
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_goes_without_a_word_ends_its_job_within_a_minute_and_may_come_back() {
    let clock = manual_clock();
    let world = World::with(JobsConfig::default(), Arc::clone(&clock) as _).await;
    start(&world, 2, json!({ "argv": ["make"], "lease_ms": 30_000 })).await;
    let seconds = async |count: u64| {
        clock.advance_millis(count * 1000);
        tokio::time::advance(Duration::from_secs(count)).await;
    };
    let status = async || world.get("/api/progress/a").await.json()["status"].clone();
    // Any call counts, and one that says nothing else.
    for _ in 0..3 {
        seconds(25).await;
        world.post("/api/progress/a/alive", "").await.expect(204);
        seconds(25).await;
        world.post("/api/jobs/a/log", r#"{"lines":["x"]}"#).await.expect(204);
    }
    let updates = world.updates("a").await.len();
    assert_eq!((status().await, updates), (json!("running"), 1), "a sign of life is told to nobody");
    seconds(31).await;
    seconds(5).await;
    world.until_status("a", "interrupted").await;
    world.post("/api/progress/a/alive", "").await.expect(204);
    assert_eq!(status().await, "running");
    world.post("/api/progress/a/complete", "").await.expect(200);
    assert_eq!(world.post("/api/progress/a/alive", "").await.error(), (409, "illegal_transition".to_owned()));
    assert_eq!(world.post("/api/progress/b/alive", "").await.error().0, 404);
    let short = world.post("/api/progress", r#"{"title":"x","total_steps":1,"lease_ms":10}"#).await;
    assert_eq!(short.error(), (400, "invalid_request".to_owned()));
}
