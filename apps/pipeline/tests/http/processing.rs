//! What is done with records: schema, sink, hook, retries, dead letters; consumers come and go.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use anywire_log::BoxFuture;
use anywire_pipeline::{Failure, Hook, PipelineConfig, Record};
use axum::{body::Body, http::StatusCode, routing::post};
use serde_json::json;

use crate::support::{World, quick};

/// Fails until it is told otherwise, or panics at a word.
#[derive(Default)]
struct Moody {
    calls: AtomicU32,
    well: AtomicBool,
}

impl Hook for Moody {
    fn process<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let value = record.content.value.as_deref().unwrap_or_default();
            assert!(value != b"\"poison\"", "this record is poison");
            if self.well.load(Ordering::SeqCst) || value != b"\"moody\"" {
                return Ok(());
            }
            Err(Failure::Passing("not in the mood".to_owned()))
        })
    }
}

#[tokio::test]
async fn a_record_against_the_schema_is_a_dead_letter_and_its_partition_goes_on() {
    let mut schema = tempfile::NamedTempFile::new().expect("a file");
    let text = json!({"type": "object", "required": ["name"]}).to_string();
    schema.write_all(text.as_bytes()).expect("written");
    let config = PipelineConfig { schema: Some(schema.path().to_owned()), partitions: 1, ..quick() };
    let mut world = World::new(config).await;
    world.send(r#"{"value":1}"#).await;
    world.send(r#"{"name":"sound"}"#).await;
    world.counters(2, 1, 1).await;
    let failed = world.hear("processing-failed", |_| true).await;
    assert!(failed["error"].as_str().expect("a text").contains("name"), "{failed}");
    let listed = world.get("/api/consumers/logs").await;
    let entry = listed["logs"].as_array().expect("a list").iter().find(|entry| entry["status"] == "FAILED");
    let entry = entry.expect("the failed one");
    assert_eq!((&entry["deadLetter"]["topic"], &entry["attempts"]), (&json!("test.dead"), &json!(1)));
}

#[tokio::test]
async fn a_record_as_large_as_allowed_becomes_a_dead_letter_and_its_partition_goes_on() {
    let mut schema = tempfile::NamedTempFile::new().expect("a file");
    schema.write_all(br#"{"type":"object"}"#).expect("written");
    let bytes = 1000;
    let schema = Some(schema.path().to_owned());
    let mut world =
        World::new(PipelineConfig { schema, partitions: 1, record_bytes_max: bytes, ..quick() }).await;
    world.send(&format!("\"{}\"", "x".repeat(bytes - 2))).await;
    world.send("{}").await;
    world.counters(2, 1, 1).await;
    let listed = world.get("/api/consumers/logs").await;
    assert_eq!(listed["logs"][1]["deadLetter"]["topic"], "test.dead", "{listed}");
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_then_dead_lettered_and_can_be_retried_by_hand() {
    let hook = Arc::new(Moody::default());
    let mut world = World::with_hook(quick(), Some(hook.clone())).await;
    world.send("\"moody\"").await;
    world.counters(1, 0, 1).await;
    assert_eq!(hook.calls.load(Ordering::SeqCst), 3);
    let id = world.get("/api/consumers/logs").await["logs"][0]["logId"].as_str().expect("an id").to_owned();
    let retry = format!("/api/consumers/logs/{id}/retry");
    let (status, answer) = world.call("POST", &retry, None, Body::empty()).await;
    assert_eq!(
        (status, &answer["status"], &answer["attempts"]),
        (StatusCode::OK, &json!("FAILED"), &json!(6))
    );
    hook.well.store(true, Ordering::SeqCst);
    let (status, answer) = world.call("POST", &retry, None, Body::empty()).await;
    assert_eq!(
        (status, &answer["status"], &answer["error"]),
        (StatusCode::OK, &json!("PROCESSED"), &json!(null))
    );
    world.counters(1, 1, 0).await;
    let (status, answer) = world.call("POST", &retry, None, Body::empty()).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("not_failed")));
}

#[tokio::test]
async fn a_record_that_makes_the_hook_panic_takes_nobody_along() {
    let mut world =
        World::with_hook(PipelineConfig { partitions: 1, ..quick() }, Some(Arc::new(Moody::default()))).await;
    world.send("\"poison\"").await;
    world.send("1").await;
    world.counters(2, 1, 1).await;
}

#[tokio::test]
async fn records_are_posted_to_the_sink_and_its_answer_decides() {
    let seen = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&seen);
    let answer = async move |body: String| {
        counter.fetch_add(1, Ordering::SeqCst);
        match body.as_str() {
            "\"bad\"" => (StatusCode::UNPROCESSABLE_ENTITY, "no such thing"),
            "\"busy\"" => (StatusCode::SERVICE_UNAVAILABLE, ""),
            _ => (StatusCode::NO_CONTENT, ""),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/in", listener.local_addr().expect("an address"));
    let sink =
        tokio::spawn(
            async move { axum::serve(listener, axum::Router::new().route("/in", post(answer))).await },
        );
    let mut world = World::new(PipelineConfig { sink: Some(url), ..quick() }).await;
    world.send("\"good\"").await;
    world.counters(1, 1, 0).await;
    world.send("\"bad\"").await;
    world.counters(2, 1, 1).await;
    assert_eq!(seen.load(Ordering::SeqCst), 2, "a refusal is final");
    let failed = world.hear("processing-failed", |_| true).await;
    assert_eq!(failed["error"], "the sink answered 422 Unprocessable Entity: no such thing");
    world.send("\"busy\"").await;
    world.counters(3, 1, 2).await;
    assert_eq!(seen.load(Ordering::SeqCst), 5, "a busy sink is asked three times");
    sink.abort();
    let _ended = sink.await;
    world.send("\"good\"").await;
    world.counters(4, 1, 3).await;
}

#[tokio::test]
async fn consumers_are_started_stopped_and_scaled_by_name() {
    let mut world = World::new(quick()).await;
    world
        .hear("consumer-status-changed", |change| {
            change["consumerId"] == "consumer-1" && change["status"] == "ACTIVE"
        })
        .await;
    let (status, answer) = world.call("POST", "/api/consumers", None, Body::empty()).await;
    assert_eq!((status, &answer["consumerId"]), (StatusCode::CREATED, &json!("consumer-2")), "{answer}");
    for name in [".", "..", "a/b", ""] {
        let body = json!({ "consumerId": name }).to_string();
        let (status, answer) = world.call("POST", "/api/consumers", None, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name:?}: {answer}");
    }
    let (status, answer) = world.call("POST", "/api/consumers", None, r#"{"consumerId":"consumer-2"}"#).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("consumer_runs")));
    for number in ["18446744073709551615", "9007199254740992"] {
        let body = format!(r#"{{"count":{number}}}"#);
        let (status, answer) = world.call("POST", "/api/consumers/scale", None, body).await;
        assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("too_many_consumers")));
        for query in [format!("limit={number}"), format!("after=00000000-{number}")] {
            let (status, _) =
                world.call("GET", &format!("/api/consumers/logs?{query}"), None, Body::empty()).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
    let (status, _) = world.call("POST", "/api/consumers/scale", None, r#"{"count":3}"#).await;
    assert_eq!(status, StatusCode::OK);
    for n in 0..9 {
        world.send(&n.to_string()).await;
    }
    world.counters(9, 9, 0).await;
    let (status, _) = world.call("DELETE", "/api/consumers/consumer-1", None, Body::empty()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    world.hear("consumer-status-changed", |change| change["status"] == "INACTIVE").await;
    let (status, answer) = world.call("DELETE", "/api/consumers/consumer-1", None, Body::empty()).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let listed = world.get("/api/consumers").await;
    let states: Vec<&str> =
        listed.as_array().expect("a list").iter().filter_map(|one| one["status"].as_str()).collect();
    assert_eq!(states, ["INACTIVE", "ACTIVE", "ACTIVE"]);
    world.send("9").await;
    world.counters(10, 10, 0).await;
    // Who runs is remembered.
    world.restart().await;
    let names = async || {
        let listed = world.get("/api/consumers").await;
        let active = listed.as_array().expect("a list").iter().filter(|one| one["status"] == "ACTIVE");
        active.filter_map(|one| one["consumerId"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    while names().await != ["consumer-2", "consumer-3"] {
        tokio::task::yield_now().await;
    }
}
