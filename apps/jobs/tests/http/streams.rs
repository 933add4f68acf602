//! One job over Server-Sent Events: names, cursors, heartbeats, the end of the stream, cleaning up.

use std::{sync::Arc, time::Duration};

use anywire_jobs::JobsConfig;
use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::support::{World, manual_clock};

/// One event as a browser would see it.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    id: Option<String>,
    name: String,
    data: Value,
}

/// A stream that is open.
struct Stream {
    body: Body,
    text: String,
    ended: bool,
}

impl Stream {
    async fn open(world: &World, id: &str, last: Option<&str>) -> Self {
        let header = last.map(|last| ("last-event-id", last));
        Self::ask(world, &format!("/api/video-progress/{id}"), header).await
    }

    async fn ask(world: &World, target: &str, header: Option<(&str, &str)>) -> Self {
        let mut request = axum::http::Request::get(target).header("accept", "text/event-stream");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let (status, body) = world.open(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(status, 200);
        Self { body, text: String::new(), ended: false }
    }

    /// The next event that says something of the job; nothing at the end of the stream.
    async fn next(&mut self) -> Option<Seen> {
        let next = self.block().await?;
        if next.name == "open" { Box::pin(self.next()).await } else { Some(next) }
    }

    /// The next block; nothing at the end of the stream.
    async fn block(&mut self) -> Option<Seen> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (seen, rest) = (parse(block), rest.to_owned());
                self.text = rest;
                return Some(seen);
            }
            if self.ended {
                return None;
            }
            match self.body.frame().await {
                Some(frame) => {
                    let bytes = frame.expect("a frame").into_data().expect("data");
                    self.text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
                }
                None => self.ended = true,
            }
        }
    }

    /// Everything up to the end of the stream.
    async fn rest(mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(event) = self.next().await {
            seen.push(event);
        }
        seen
    }
}

/// Every block has a name and JSON data.
fn parse(block: &str) -> Seen {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let data = serde_json::from_str(&field("data: ").expect("data")).expect("JSON");
    Seen { id: field("id: "), name: field("event: ").expect("a name"), data }
}

async fn start(world: &World, id: &str, steps: u32) {
    let body = json!({"session_id": id, "title": id, "total_steps": steps}).to_string();
    world.post("/api/progress", &body).await.expect(201);
}

async fn step(world: &World, id: &str, name: &str) {
    world.post(&format!("/api/progress/{id}/step"), &json!({"name": name}).to_string()).await.expect(200);
}

async fn complete(world: &World, id: &str) {
    let video = json!({"url": "/v.mp4", "duration_s": 1.5, "size_bytes": 9, "width": 2, "height": 1});
    world
        .post(&format!("/api/progress/{id}/complete"), &json!({"result": {"video": video}}).to_string())
        .await
        .expect(200);
}

#[tokio::test]
async fn a_stream_begins_with_the_state_of_now_and_ends_with_the_job() {
    let world = World::new().await;
    start(&world, "a", 3).await;
    step(&world, "a", "one").await;
    let mut stream = Stream::open(&world, "a", None).await;
    let first = stream.next().await.expect("the state");
    assert_eq!(
        (first.name.as_str(), &first.data["job_id"], &first.data["step_name"]),
        ("progress", &json!("a"), &json!("one"))
    );
    step(&world, "a", "two").await;
    let second = stream.next().await.expect("a step");
    assert_eq!((&second.data["step"], &second.data["step_name"]), (&json!(2), &json!("two")));
    assert!(second.data["steps"][0]["duration_ms"].is_u64());
    complete(&world, "a").await;
    let last = stream.next().await.expect("the end");
    assert_eq!(
        (last.name.as_str(), &last.data["video"]["url"], &last.data["video"]["width"]),
        ("completed", &json!("/v.mp4"), &json!(2))
    );
    assert_eq!(stream.next().await, None);
    // A browser comes again, and hears that there is nothing more.
    let again = world
        .call("GET", "/api/video-progress/a", &[("last-event-id", last.id.as_deref().expect("an id"))], "")
        .await;
    assert_eq!(again.status, 204);
    // Whoever comes later sees the end at once.
    let late = Stream::open(&world, "a", None).await.rest().await;
    assert_eq!(late.iter().map(|seen| seen.name.as_str()).collect::<Vec<_>>(), ["completed"]);
}

#[tokio::test]
async fn the_first_block_says_where_the_stream_stands_and_sets_no_id_that_skips_the_state() {
    let world = World::new().await;
    start(&world, "a", 3).await;
    let mut stream = Stream::open(&world, "a", None).await;
    let (opened, state) =
        (stream.block().await.expect("the first"), stream.block().await.expect("the state"));
    assert_eq!((opened.name.as_str(), &opened.id, &opened.data["cursor"]), ("open", &None, &json!(state.id)));
    let mut again = Stream::open(&world, "a", state.id.as_deref()).await;
    let opened = again.block().await.expect("the first");
    assert_eq!((opened.name.as_str(), &opened.id), ("open", &state.id), "who resumes keeps its place");
}

#[tokio::test]
async fn a_client_that_cannot_set_headers_goes_on_by_a_parameter() {
    let world = World::new().await;
    start(&world, "a", 3).await;
    let state = Stream::open(&world, "a", None).await.next().await.expect("the state");
    step(&world, "a", "one").await;
    let newest = world.get("/api/progress/a").await.json()["cursor"].as_str().expect("a cursor").to_owned();
    step(&world, "a", "two").await;
    let id = state.id.expect("an id");
    for name in ["lastEventId", "Last-Event-ID", "lastEventID", "last_event_id"] {
        let target = format!("/api/video-progress/a?{name}={id}&after={newest}");
        let next = Stream::ask(&world, &target, None).await.next().await.expect("a step");
        assert_eq!(next.data["step_name"], "one", "{name} wins over after");
        let header = Some(("last-event-id", newest.as_str()));
        let next = Stream::ask(&world, &target, header).await.next().await.expect("a step");
        assert_eq!(next.data["step_name"], "two", "the header wins over {name}");
    }
}

#[tokio::test]
async fn the_answer_is_one_that_no_proxy_holds_back() {
    let world = World::new().await;
    start(&world, "a", 1).await;
    complete(&world, "a").await;
    let answer = world.get("/api/video-progress/a").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-cache, no-transform");
    assert_eq!(answer.header("x-accel-buffering"), "no");
}

#[tokio::test]
async fn after_every_cut_a_stream_goes_on_exactly_where_it_was() {
    let world = World::new().await;
    start(&world, "a", 100).await;
    let mut stream = Stream::open(&world, "a", None).await;
    let mut seen = Vec::new();
    for number in 0..100 {
        step(&world, "a", &format!("s{number}")).await;
        if number % 10 == 7 {
            let last: Option<Seen> = seen.last().cloned();
            let last = last.and_then(|last| last.id);
            stream = Stream::open(&world, "a", last.as_deref()).await;
            if last.is_none() {
                seen.extend(stream.next().await);
            }
        } else if number % 10 == 2 {
            seen.extend(stream.next().await);
        }
    }
    complete(&world, "a").await;
    let last = seen.last().and_then(|last: &Seen| last.id.clone());
    drop(stream);
    seen.extend(Stream::open(&world, "a", last.as_deref()).await.rest().await);
    let steps: Vec<u64> = seen.iter().filter_map(|seen| seen.data["step"].as_u64()).collect();
    let first = steps[0];
    assert_eq!(steps[..steps.len() - 1], (first..=100).collect::<Vec<_>>(), "each exactly once");
    assert_eq!((seen.last().map(|seen| seen.name.as_str()), steps.last()), (Some("completed"), Some(&100)));
}

#[tokio::test(start_paused = true)]
async fn a_job_of_twelve_minutes_outlives_the_ten_of_its_stream() {
    let world = World::new().await;
    start(&world, "a", 12).await;
    let all = Stream::open(&world, "a", Some("0")).await;
    let began = tokio::time::Instant::now();
    let watching = tokio::spawn(async move { (all.rest().await, began.elapsed()) });
    for minute in 0..12 {
        step(&world, "a", &format!("minute {minute}")).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        if minute == 10 {
            assert!(watching.is_finished(), "the stream ends while the job goes on");
        }
    }
    let (mut seen, lasted) = watching.await.expect("watched");
    assert_eq!(lasted.as_secs(), 600);
    let end = seen.pop().expect("the last event");
    assert_eq!((end.name.as_str(), &end.data["cursor"]), ("timeout", &json!(end.id)));
    assert!(seen.iter().filter(|seen| seen.name == "heartbeat").count() >= 9, "{seen:?}");
    complete(&world, "a").await;
    seen.extend(Stream::open(&world, "a", end.id.as_deref()).await.rest().await);
    let steps: Vec<u64> = seen
        .iter()
        .filter(|seen| seen.name == "progress")
        .filter_map(|seen| seen.data["step"].as_u64())
        .collect();
    assert_eq!(steps, (0..=12).collect::<Vec<_>>());
    assert_eq!(seen.last().map(|seen| seen.name.as_str()), Some("completed"));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_beats_every_thirty_seconds_and_its_beats_are_cursors() {
    let world = World::new().await;
    start(&world, "a", 2).await;
    let mut stream = Stream::open(&world, "a", None).await;
    let first = stream.next().await.expect("the state");
    let began = tokio::time::Instant::now();
    let beat = stream.next().await.expect("a heartbeat");
    assert_eq!((beat.name.as_str(), began.elapsed().as_secs()), ("heartbeat", 30));
    let beat_again = stream.next().await.expect("a heartbeat");
    assert_eq!(began.elapsed().as_secs(), 60);
    step(&world, "a", "one").await;
    assert_eq!(stream.next().await.expect("a step").name, "progress");
    for id in [first.id, beat.id, beat_again.id] {
        let mut again = Stream::open(&world, "a", id.as_deref()).await;
        assert_eq!(again.next().await.expect("the step").data["step_name"], "one");
    }
}

#[tokio::test]
async fn streams_and_polling_end_with_the_same_steps() {
    let world = World::new().await;
    start(&world, "a", 5).await;
    let stream = Stream::open(&world, "a", Some("0")).await;
    for number in 0..5 {
        step(&world, "a", &format!("s{number}")).await;
    }
    complete(&world, "a").await;
    let streamed = stream.rest().await;
    let status = world.get("/api/video-progress/a/status").await.expect(200).json();
    let polled = world.get("/api/progress/a").await.expect(200).json();
    let last = streamed.last().expect("the end");
    assert_eq!(last.data["steps"], polled["steps"]);
    assert_eq!((&status["steps"], &status["cursor"]), (&polled["steps"], &polled["cursor"]));
    assert_eq!((&status["job_id"], &status["video"]), (&json!("a"), &last.data["video"]));
    assert_eq!(json!(last.id), polled["cursor"]);
}

#[tokio::test]
async fn two_hundred_who_watch_see_the_same_bytes_and_cost_no_event() {
    let world = World::new().await;
    start(&world, "a", 20).await;
    let mut watching = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let stream = Stream::open(&world, "a", Some("0")).await;
        watching.spawn(stream.rest());
    }
    let before = world.log.tail_offset();
    for number in 0..20 {
        step(&world, "a", &format!("s{number}")).await;
    }
    complete(&world, "a").await;
    // 21 changes: a record and an update each, and one change of the status.
    assert_eq!(world.log.tail_offset().get() - before.get(), 43);
    let all = watching.join_all().await;
    assert_eq!((all.len(), all[0].len()), (200, 22));
    assert!(all.iter().all(|seen| *seen == all[0]));
}

#[tokio::test]
async fn a_job_that_is_not_there_is_an_event_for_browsers_and_a_404_for_others() {
    let world = World::new().await;
    let seen = Stream::open(&world, "none", None).await.rest().await;
    assert_eq!((seen[0].name.as_str(), &seen[0].data["code"]), ("error", &json!("not_found")));
    assert_eq!(world.get("/api/video-progress/none").await.error(), (404, "not_found".to_owned()));
    assert_eq!(world.get("/api/video-progress/none/status").await.error(), (404, "not_found".to_owned()));
    start(&world, "a", 1).await;
    for (query, code) in [
        ("after=x", "invalid_cursor"),
        ("lastEventId=bad", "invalid_cursor"),
        ("last_event_id=0&after=bad", "invalid_cursor"),
        ("after=0&after=0", "invalid_request"),
        ("lastEventId=%ff", "invalid_request"),
    ] {
        let answer = world.get(&format!("/api/video-progress/a?{query}")).await;
        assert_eq!(answer.error(), (400, code.to_owned()), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_watches_a_job_that_is_forgotten_is_told() {
    let world = World::new().await;
    start(&world, "a", 1).await;
    world.post("/api/progress/a/cancel", "").await.expect(200);
    let cursor = world.get("/api/progress/a").await.json()["cursor"].clone();
    world.post("/api/progress/a/retry", "").await.expect(200);
    let mut stream = Stream::open(&world, "a", cursor.as_str()).await;
    assert_eq!(stream.next().await.expect("the retry").name, "progress");
    world.post("/api/progress/a/cancel", "").await.expect(200);
    assert_eq!(stream.rest().await.last().map(|seen| seen.name.clone()), Some("cancelled".to_owned()));
}

#[tokio::test]
async fn cleaning_up_keeps_the_last_word_and_never_touches_what_runs() {
    let clock = manual_clock();
    let world = World::with(JobsConfig::default(), Arc::clone(&clock) as _).await;
    for id in ["done", "running"] {
        start(&world, id, 3).await;
        step(&world, id, "one").await;
    }
    complete(&world, "done").await;
    let cursor = world.get("/api/progress/done").await.json()["cursor"].clone();
    let cleaned = async |body: &str| world.post("/api/video-progress/cleanup", body).await.expect(200).json();
    assert_eq!(cleaned("").await, json!({"jobs_cleaned": 0, "events_removed": 0}));
    clock.advance_millis(3_600_000);
    assert_eq!(cleaned("").await, json!({"jobs_cleaned": 1, "events_removed": 2}));
    assert_eq!(cleaned(r#"{"older_than_s":0}"#).await, json!({"jobs_cleaned": 0, "events_removed": 0}));
    assert_eq!((world.kept("progress_done"), world.kept("progress_running")), (1, 2));
    // Who was far behind is told of the gap, and then of the end.
    let late = Stream::open(&world, "done", Some("0")).await.rest().await;
    assert_eq!(late.last().map(|seen| (seen.name.as_str(), json!(seen.id))), Some(("completed", cursor)));
    let refused = world.call("GET", "/api/video-progress/cleanup", &[], "").await;
    assert_eq!(refused.status, 405);
}
