//! The progress API, driven as a backend elsewhere drives it.

use std::sync::Arc;

use anywire_jobs::JobsConfig;
use serde_json::{Value, json};

use crate::support::{World, data, manual_clock};

async fn started(world: &World, id: &str) -> Value {
    let body = json!({"session_id": id, "title": "Nightly export", "total_steps": 3});
    world.post("/api/progress", &body.to_string()).await.expect(201).json()
}

#[tokio::test]
async fn a_job_is_driven_from_its_start_to_its_end_and_every_change_is_one_event() {
    let clock = manual_clock();
    let world = World::with(JobsConfig::default(), Arc::clone(&clock) as _).await;
    let state = started(&world, "a").await;
    let keys = "session_id title status step total_steps step_name percent message metadata steps result error created_at updated_at cursor \
        kind attempt queue_position";
    assert_eq!(state.as_object().expect("an object").len(), keys.split(' ').count());
    assert!(keys.split(' ').all(|key| state.get(key).is_some()), "{state}");
    assert_eq!(
        (&state["status"], &state["created_at"]),
        (&json!("running"), &json!("2025-01-23T10:00:03.000Z"))
    );

    clock.advance_millis(1000);
    let step = r#"{"name":"load","message":"10 rows","metadata":{"rows":10}}"#;
    let state = world.post("/api/progress/a/step", step).await.expect(200).json();
    assert_eq!(
        (&state["step"], &state["percent"], &state["metadata"]),
        (&json!(1), &json!(0), &json!({"rows": 10}))
    );
    clock.advance_millis(500);
    world.post("/api/progress/a/step", r#"{"name":"load","percent":12.5}"#).await.expect(200);
    clock.advance_millis(500);
    let state = world.post("/api/progress/a/step", r#"{"name":"write"}"#).await.expect(200).json();
    assert_eq!(
        state["steps"][0],
        json!({"index":1,"name":"load","started_at":"2025-01-23T10:00:04.000Z","duration_ms":1000})
    );
    assert_eq!((&state["percent"], &state["message"]), (&json!(33.3), &Value::Null));
    let state = world.post("/api/progress/a/complete", r#"{"result":{"file":"x"}}"#).await.expect(200).json();
    assert_eq!(
        (&state["status"], &state["percent"], &state["result"]["file"]),
        (&json!("succeeded"), &json!(100), &json!("x"))
    );

    let updates = world.updates("a").await;
    assert_eq!(updates.len(), 5);
    let statuses: Vec<Value> = world.events("system_status").await.iter().map(|event| data(event)).collect();
    let changed = json!({"session_id":"a","title":"Nightly export","kind":"progress","status":"succeeded","percent":100,"step_name":"write","updated_at":"2025-01-23T10:00:05.000Z"});
    assert_eq!(statuses.len(), 2);
    assert_eq!(statuses[1], changed);
}

#[tokio::test]
async fn who_reads_the_state_and_subscribes_after_its_cursor_gets_every_later_update_and_no_earlier_one() {
    let world = World::new().await;
    started(&world, "a").await;
    world.post("/api/progress/a/step", r#"{"name":"one"}"#).await.expect(200);
    let state = world.get("/api/progress/a").await.json();
    world.post("/api/progress/a/step", r#"{"name":"two"}"#).await.expect(200);
    world.post("/api/progress/a/step", r#"{"name":"three"}"#).await.expect(200);
    let position = state["cursor"].as_str().expect("a cursor").parse().expect("a cursor");
    let later = world.events_after("progress_a", position).await;
    let names: Vec<Value> = later.iter().map(|event| data(event)["step_name"].clone()).collect();
    assert_eq!(names, ["two", "three"]);
    assert!(later.iter().all(|event| data(event).get("cursor").is_none()), "the event itself is the cursor");
}

#[tokio::test]
async fn nothing_is_published_while_nothing_changes() {
    let world = World::new().await;
    started(&world, "a").await;
    let step = r#"{"name":"load","message":"m","percent":5,"metadata":{"a":1}}"#;
    let first = world.post("/api/progress/a/step", step).await.expect(200).json();
    let tail = world.log.tail_offset();
    assert_eq!(world.post("/api/progress/a/step", step).await.expect(200).json(), first);
    assert_eq!(world.post("/api/progress/a/step", r#"{"name":"load"}"#).await.expect(200).json(), first);
    assert_eq!(world.log.tail_offset(), tail);
}

#[tokio::test]
async fn a_caller_that_asks_again_with_the_state_it_has_is_told_that_nothing_changed() {
    let world = World::new().await;
    started(&world, "a").await;
    let first = world.get("/api/progress/a").await.expect(200);
    let tag = first.header("etag").to_owned();
    let again = world.call("GET", "/api/progress/a", &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    // A proxy that compresses marks the copies it makes as weak.
    let weak = format!("\"1.0\", W/{tag}");
    let again = world.call("GET", "/api/progress/a", &[("if-none-match", &weak)], "").await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (304, &*tag));
    world.post("/api/progress/a/step", r#"{"name":"x"}"#).await.expect(200);
    world.call("GET", "/api/progress/a", &[("if-none-match", &tag)], "").await.expect(200);
}

#[tokio::test]
async fn a_repeated_call_with_the_same_key_changes_nothing_and_answers_the_same() {
    let world = World::new().await;
    let key = |key: &'static str| [("idempotency-key", key)];
    let start = r#"{"title":"x","total_steps":2}"#;
    let first = world.call("POST", "/api/progress", &key("k1"), start).await.expect(201).json();
    let id = first["session_id"].as_str().expect("an id").to_owned();
    let step = format!("/api/progress/{id}/step");
    let stepped = world.call("POST", &step, &key("k2"), r#"{"name":"one"}"#).await.expect(200).json();
    let complete = format!("/api/progress/{id}/complete");
    world.call("POST", &complete, &key("k3"), "").await.expect(200);
    let tail = world.log.tail_offset();

    assert_eq!(world.call("POST", "/api/progress", &key("k1"), start).await.expect(201).json(), first);
    assert_eq!(world.call("POST", &step, &key("k2"), r#"{"name":"one"}"#).await.expect(200).json(), stepped);
    let path = format!("/api/jobs/{id}");
    world.call("DELETE", &path, &key("k4"), "").await.expect(204);
    world.call("DELETE", &path, &key("k4"), "").await.expect(204);
    world.call("DELETE", &path, &key("k5"), "").await.expect(404);
    assert_eq!(world.log.tail_offset().get(), tail.get() + 2, "the deletion only");
    let other = world.call("POST", &step, &key("k1"), r#"{"name":"one"}"#).await;
    assert_eq!(other.error(), (409, "idempotency_conflict".to_owned()));
}

#[tokio::test]
async fn a_repeated_call_whose_answer_is_not_kept_says_so_and_changes_nothing() {
    let world = World::new().await;
    let key = |key: &'static str| [("idempotency-key", key)];
    let start = r#"{"session_id":"a","title":"x","total_steps":2}"#;
    world.call("POST", "/api/progress", &key("k1"), start).await.expect(201);
    world.call("POST", "/api/progress/a/step", &key("k2"), r#"{"name":"one"}"#).await.expect(200);
    let ended = world.call("POST", "/api/progress/a/complete", &key("k3"), "").await.expect(200).json();
    world.post("/api/video-progress/cleanup", r#"{"older_than_s":0}"#).await.expect(200);
    let gone = (410, "answer_gone".to_owned());
    let starting = async || world.call("POST", "/api/progress", &key("k1"), start).await;
    let tail = world.log.tail_offset();
    assert_eq!(starting().await.error(), gone);
    let step = world.call("POST", "/api/progress/a/step", &key("k2"), r#"{"name":"one"}"#).await;
    assert_eq!(step.error(), gone);
    assert!(
        step.json()["message"].as_str().is_some_and(|words| words.contains("job a") && words.contains("k2"))
    );
    // The last update stays, and with it this answer.
    assert_eq!(
        world.call("POST", "/api/progress/a/complete", &key("k3"), "").await.expect(200).json(),
        ended
    );
    assert_eq!(world.log.tail_offset(), tail);
    world.call("DELETE", "/api/jobs/a", &[], "").await.expect(204);
    assert_eq!(starting().await.error(), gone, "the job was made once, and is not made again");
    assert_eq!(world.get("/api/progress/a").await.error().0, 404);
}

#[tokio::test]
async fn a_repeated_call_that_found_everything_as_it_wanted_it_means_the_same_later() {
    let world = World::new().await;
    started(&world, "a").await;
    let step = |name: &str| json!({ "name": name }).to_string();
    world.post("/api/progress/a/step", &step("one")).await.expect(200);
    let key = [("idempotency-key", "k")];
    let first = world.call("POST", "/api/progress/a/step", &key, step("one")).await.expect(200).json();
    world.post("/api/progress/a/step", &step("two")).await.expect(200);
    let again = world.call("POST", "/api/progress/a/step", &key, step("one")).await.expect(200).json();
    assert_eq!(again, first, "it began no step after \"two\"");
    assert_eq!(world.get("/api/progress/a").await.json()["step_name"], "two");
    assert_eq!(world.updates("a").await.len(), 3, "nothing was published for it");
}

#[tokio::test]
async fn many_starts_with_one_key_at_once_make_one_job() {
    let world = World::new().await;
    let start = || {
        world.call("POST", "/api/progress", &[("idempotency-key", "k")], r#"{"title":"x","total_steps":2}"#)
    };
    let (a, b, c, d) = tokio::join!(start(), start(), start(), start());
    let ids = [a, b, c, d].map(|answer| answer.expect(201).json()["session_id"].clone());
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(world.events("system_status").await.len(), 1);
}

#[tokio::test]
async fn a_step_that_cannot_be_is_refused_with_the_state_and_the_way_out() {
    let world = World::new().await;
    started(&world, "a").await;
    for name in ["one", "two", "three"] {
        world.post("/api/progress/a/step", &json!({ "name": name }).to_string()).await.expect(200);
    }
    let fourth = world.post("/api/progress/a/step", r#"{"name":"four"}"#).await;
    assert_eq!(fourth.error(), (409, "too_many_steps".to_owned()));
    world.post("/api/progress/a/cancel", "").await.expect(200);
    for action in ["step", "complete", "fail", "cancel"] {
        let body = if action == "step" {
            r#"{"name":"x"}"#
        } else if action == "fail" {
            r#"{"error":"x"}"#
        } else {
            ""
        };
        let refused = world.post(&format!("/api/progress/a/{action}"), body).await;
        assert_eq!(refused.error(), (409, "illegal_transition".to_owned()), "{action}");
        assert!(
            refused.json()["message"].as_str().expect("a message").contains("job a is cancelled"),
            "{action}"
        );
    }
    let again = world.post("/api/progress", r#"{"session_id":"a","title":"x","total_steps":1}"#).await;
    assert_eq!(again.error(), (409, "job_exists".to_owned()));
    assert_eq!(world.get("/api/progress/none").await.error(), (404, "not_found".to_owned()));
    assert_eq!(world.get("/api/progress/%2e%2e%2fx").await.error(), (404, "not_found".to_owned()));
    assert_eq!(world.post("/api/progress", "{").await.error(), (400, "invalid_request".to_owned()));
    let large = format!(r#"{{"title":"{}"}}"#, "x".repeat(300_000));
    assert_eq!(world.post("/api/progress", &large).await.error(), (413, "too_large".to_owned()));
}

#[tokio::test]
async fn a_failed_job_begins_again_from_nothing_when_it_is_retried() {
    let world = World::new().await;
    started(&world, "a").await;
    world.post("/api/progress/a/step", r#"{"name":"one"}"#).await.expect(200);
    let failed = world
        .post("/api/progress/a/fail", r#"{"error":{"message":"broke","line":3,"column":7}}"#)
        .await
        .expect(200)
        .json();
    assert_eq!(failed["error"], json!({"step":"one","message":"broke","line":3,"column":7}));
    let again = world.post("/api/progress/a/retry", "").await.expect(200).json();
    assert_eq!(
        (&again["status"], &again["step"], &again["error"], &again["percent"]),
        (&json!("running"), &json!(0), &Value::Null, &json!(0))
    );
    assert_eq!(world.post("/api/progress/a/retry", "").await.error().0, 409);
}

#[tokio::test]
async fn the_list_is_newest_first_in_pages_and_by_state() {
    let world = World::new().await;
    for id in ["a", "b", "c"] {
        started(&world, id).await;
    }
    world.post("/api/progress/b/complete", "").await.expect(200);
    let ids = |list: &Value| {
        list["jobs"]
            .as_array()
            .expect("jobs")
            .iter()
            .map(|job| job["session_id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    let first = world.get("/api/jobs?limit=2").await.expect(200).json();
    assert_eq!(ids(&first), ["c", "b"]);
    assert_eq!(ids(&world.get("/api/jobs?before=b").await.json()), ["a"]);
    assert_eq!(ids(&world.get("/api/jobs?state=running").await.json()), ["c", "a"]);
    let position = first["cursor"].as_str().expect("a cursor").parse().expect("a cursor");
    world.post("/api/progress/c/complete", "").await.expect(200);
    let later = world.events_after("system_status", position).await;
    assert_eq!(later.len(), 1);
    assert_eq!(world.get("/api/jobs?state=done").await.error().0, 400);
}

#[tokio::test]
async fn finished_jobs_past_the_limit_are_forgotten_oldest_first() {
    let config = JobsConfig { jobs_finished_max: 2, ..JobsConfig::default() };
    let world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    for id in ["a", "b", "c"] {
        started(&world, id).await;
        world.post(&format!("/api/progress/{id}/complete"), "").await.expect(200);
    }
    let mut follow = world.log.follow(
        &[anywire_log::Channel::new("system_status").expect("a name")],
        anywire_log::Position::Oldest,
    );
    let forgotten = loop {
        if let anywire_log::Followed::Events(events) = follow.next().await.expect("readable")
            && let Some(event) = events.iter().find(|event| event.name.as_str() == "job_forgotten")
        {
            break data(event);
        }
    };
    assert_eq!(forgotten["session_id"], "a");
    assert_eq!(world.get("/api/progress/a").await.error().0, 404);
    world.get("/api/progress/b").await.expect(200);
}

#[tokio::test]
async fn unfinished_jobs_past_the_limit_are_refused() {
    let config = JobsConfig { jobs_open_max: 1, ..JobsConfig::default() };
    let world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    started(&world, "a").await;
    let refused = world.post("/api/progress", r#"{"title":"x","total_steps":1}"#).await;
    assert_eq!(refused.error(), (429, "too_many_jobs".to_owned()));
}

/// A step with `kib` KiB of metadata.
fn large_step(kib: usize) -> String {
    format!(r#"{{"name":"s","metadata":{{"m":"{}"}}}}"#, "x".repeat(kib << 10))
}

#[tokio::test]
async fn what_all_jobs_hold_has_a_limit_finished_ones_go_first_and_a_job_may_always_end() {
    let config = JobsConfig { memory_bytes_max: 1 << 20, ..JobsConfig::default() };
    let world = World::with(config, Arc::new(anywire_log::SystemClock)).await;
    let (mut refused, mut taken) = (None, 0);
    for number in 0..100 {
        let name = format!("j{number}");
        let body = format!(r#"{{"session_id":"{name}","title":"x","total_steps":1}}"#);
        let begun = world.post("/api/progress", &body).await;
        let step = world.post(&format!("/api/progress/{name}/step"), &large_step(15)).await;
        if let Some(no) =
            [begun, step].into_iter().find(|answer| ![200, 201].contains(&answer.status.as_u16()))
        {
            refused = Some(no.error());
            break;
        }
        taken += 1;
    }
    assert!((50..70).contains(&taken), "{taken} jobs of 16 KiB in 1 MiB");
    assert_eq!(refused, Some((429, "too_many_jobs".to_owned())));
    for number in 0..taken {
        let end = format!("/api/progress/j{number}/complete");
        world.post(&end, &format!(r#"{{"result":"{}"}}"#, "y".repeat(40 << 10))).await.expect(200);
    }
    // Room is made by the schedule; whoever was refused tries again.
    let mut begun = world.post("/api/progress", r#"{"session_id":"late","title":"x","total_steps":1}"#).await;
    for _ in 0..10_000 {
        if begun.status == 201 {
            break;
        }
        tokio::task::yield_now().await;
        begun = world.post("/api/progress", r#"{"session_id":"late","title":"x","total_steps":1}"#).await;
    }
    begun.expect(201);
    world.get("/api/progress/j0").await.expect(404);
    world.get(&format!("/api/progress/j{}", taken - 1)).await.expect(200);
}

/// JSON that no parser into values gives back as it was.
const TYPED: &str = r#"{"z":1.10,"b":1E400,"c":9007199254740993,"d":-0.0,"e":"\u00e9","a":{"x":1,"x":2}}"#;

#[tokio::test]
async fn what_a_caller_gives_as_json_comes_back_byte_for_byte_everywhere_and_after_a_restart() {
    let mut world = World::new().await;
    started(&world, "a").await;
    let (metadata, result) = (format!(r#""metadata":{TYPED}"#), format!(r#""result":{TYPED}"#));
    let step = format!(r#"{{"name":"load",{metadata}}}"#);
    assert!(world.post("/api/progress/a/step", &step).await.expect(200).text().contains(&metadata));
    let end = format!("{{{result}}}");
    assert!(world.post("/api/progress/a/complete", &end).await.expect(200).text().contains(&result));
    for restarted in [false, true] {
        if restarted {
            world.restart().await;
        }
        for path in ["/api/progress/a", "/api/jobs", "/api/video-progress/a/status", "/api/video-progress/a"]
        {
            let text = world.get(path).await.expect(200).text();
            assert!(text.contains(&metadata) && text.contains(&result), "{path}: {text}");
        }
        let news = world.events("progress_a").await;
        let last = news.last().expect("an update");
        assert!(std::str::from_utf8(last.payload.as_bytes()).expect("text").contains(&result));
    }
}

#[tokio::test]
async fn a_repeated_call_answers_with_the_json_as_it_was_typed() {
    let world = World::new().await;
    started(&world, "a").await;
    let step = format!(r#"{{"name":"load","metadata":{TYPED}}}"#);
    for _ in 0..2 {
        let key = [("idempotency-key", "k")];
        let answer = world.call("POST", "/api/progress/a/step", &key, step.clone()).await.expect(200).text();
        assert!(answer.contains(TYPED), "{answer}");
    }
}
