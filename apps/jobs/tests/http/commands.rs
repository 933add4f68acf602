//! Commands as jobs: what they tell, how they wait, how they end, and that nothing is left of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anywire_jobs::{CommandSection, JobsConfig, ParserKind};
use anywire_log::SystemClock;
use serde_json::{Value, json};

use crate::support::{World, data};

/// The checksum of `done`.
const DONE_SHA256: &str = "a4c3ed04a95a3da14a9d235c83d868bed7c0f45cf7f3faa751ee8f50598d2211";

fn section(argv: &[&str]) -> CommandSection {
    CommandSection { argv: argv.iter().map(|one| (*one).to_owned()).collect(), ..CommandSection::default() }
}

fn shell(script: &str) -> CommandSection {
    section(&["sh", "-c", script])
}

pub(crate) fn config(commands: &[(&str, CommandSection)]) -> JobsConfig {
    JobsConfig {
        worker: Some(env!("CARGO_BIN_EXE_anywire-jobs-worker").into()),
        command_stop_ms: 500,
        progress_interval_ms: 50,
        commands: commands
            .iter()
            .map(|(name, command)| ((*name).to_owned(), command.clone()))
            .collect::<BTreeMap<_, _>>(),
        ..JobsConfig::default()
    }
}

async fn world(commands: &[(&str, CommandSection)]) -> World {
    World::with(config(commands), Arc::new(SystemClock)).await
}

async fn start(world: &World, id: &str, command: &str) -> Value {
    let body = json!({"session_id": id, "command": command}).to_string();
    world.post("/api/commands", &body).await.expect(201).json()
}

async fn log(world: &World, id: &str) -> Vec<String> {
    let page = world.get(&format!("/api/jobs/{id}/log")).await.expect(200).json();
    let lines = page["lines"].as_array().expect("lines");
    lines.iter().map(|line| line["text"].as_str().expect("a text").to_owned()).collect()
}

/// Whether a process runs; one that has ended and waits for its parent does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

async fn until_gone(pids: &[String]) {
    let gone = async {
        while pids.iter().any(|pid| runs(pid)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), gone).await;
    assert!(waited.is_ok(), "still there: {:?}", pids.iter().filter(|pid| runs(pid)).collect::<Vec<_>>());
}

/// A command with a child, a grandchild in a session of its own, and ears closed to polite words; it prints
/// their pids.
const STUBBORN: &str = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; sleep 600' & sleep 600 & echo $!; echo $$; wait; sleep 600";

async fn pids(world: &World, id: &str) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        found = log(world, id).await;
    }
    found
}

#[tokio::test]
async fn what_a_command_writes_becomes_steps_and_a_log() {
    let script = "echo '[1/2] one'; echo talk >&2; echo '[2/2] two'; echo 'half 50%'; printf done > out.txt";
    let world = world(&[("build", shell(script))]).await;
    let started = start(&world, "a", "build").await;
    assert_eq!((&started["status"], &started["kind"]), (&json!("queued"), &json!("command")));
    let state = world.until_status("a", "succeeded").await;
    let names: Vec<&Value> =
        state["steps"].as_array().expect("steps").iter().map(|step| &step["name"]).collect();
    assert_eq!(names, ["one", "two"]);
    assert!(state["steps"].as_array().expect("steps").iter().all(|step| step["duration_ms"].is_u64()));
    assert_eq!(
        (&state["total_steps"], &state["percent"], &state["message"]),
        (&json!(2), &json!(100), &json!("half 50%"))
    );
    assert_eq!(
        state["artefacts"],
        json!([{"name": "out.txt", "size_bytes": 4, "sha256": DONE_SHA256, "url": "/api/jobs/a/files/out.txt"}])
    );
    let mut lines = log(&world, "a").await;
    lines.sort();
    assert_eq!(lines, ["[1/2] one", "[2/2] two", "half 50%", "talk"]);
    assert_eq!(world.get("/api/jobs?kind=command").await.json()["jobs"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.get("/api/jobs?kind=report").await.json()["jobs"], json!([]));
}

#[tokio::test]
async fn a_file_is_served_whole_and_in_part_and_no_other_file_is() {
    let script = "printf 0123456789 > a.txt; ln -s /etc/passwd link.txt; mkdir sub; echo x > sub/b.txt; echo x > .hidden; printf '<script>' > page.html";
    let world = world(&[("make", shell(script))]).await;
    start(&world, "a", "make").await;
    let state = world.until_status("a", "succeeded").await;
    let names: Vec<&Value> =
        state["artefacts"].as_array().expect("files").iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["a.txt", "page.html"]);
    let whole = world.get("/api/jobs/a/files/a.txt").await.expect(200);
    assert_eq!((whole.text().as_str(), whole.header("accept-ranges")), ("0123456789", "bytes"));
    let part = world.call("GET", "/api/jobs/a/files/a.txt", &[("range", "bytes=2-4")], "").await.expect(206);
    assert_eq!((part.text().as_str(), part.header("content-range")), ("234", "bytes 2-4/10"));
    let last = world.call("GET", "/api/jobs/a/files/a.txt", &[("range", "bytes=-3")], "").await.expect(206);
    assert_eq!(last.text(), "789");
    world.call("GET", "/api/jobs/a/files/a.txt", &[("range", "bytes=20-")], "").await.expect(416);
    let page = world.get("/api/jobs/a/files/page.html").await.expect(200);
    assert!(
        page.header("content-disposition").starts_with("attachment")
            && page.header("content-security-policy").starts_with("sandbox")
    );
    for name in
        ["link.txt", ".hidden", "sub", "b.txt", "sub%2Fb.txt", "..%2Flog%2F1", "%2Fetc%2Fpasswd", "none.txt"]
    {
        let refused = world.get(&format!("/api/jobs/a/files/{name}")).await;
        assert_eq!(refused.error(), (404, "no_file".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn nothing_of_a_request_reaches_a_shell() {
    let world = world(&[("say", section(&["printf", "%s\\n", "{text}"]))]).await;
    let nasty = "$(touch /tmp/x) `id`; echo \"hi\" | cat > /tmp/y & 'q'";
    let body = json!({"session_id": "a", "command": "say", "parameters": {"text": nasty}}).to_string();
    world.post("/api/commands", &body).await.expect(201);
    world.until_status("a", "succeeded").await;
    assert_eq!(log(&world, "a").await, [nasty]);
}

#[tokio::test]
async fn command_lines_in_requests_need_a_setting() {
    let refused = world(&[]).await.post("/api/commands", r#"{"argv":["true"]}"#).await;
    assert_eq!(refused.error(), (403, "forbidden".to_owned()));
    let allowed =
        World::with(JobsConfig { commands_adhoc: true, ..config(&[]) }, Arc::new(SystemClock)).await;
    let body = json!({"session_id": "a", "argv": ["sh", "-c", "echo 'n=7 of 10'"], "parser": "pattern", "pattern": "n=(?<done>\\d+) of (?<total>\\d+)"});
    assert_eq!(
        allowed.post("/api/commands", &body.to_string()).await.expect(201).json()["title"],
        "sh -c echo 'n=7 of 10'"
    );
    allowed.until("a", |state| state["percent"] == 70).await;
    allowed.until_status("a", "succeeded").await;
    for (body, words) in [
        (json!({"command": "none"}), "there is no command"),
        (json!({"argv": []}), "argv has 0 entries"),
        (json!({"argv": ["a"], "parser": "x"}), "parser is \"x\""),
        (json!({"argv": ["a"], "parser": "pattern"}), "pattern is missing"),
        (json!({"argv": ["a"], "timeout_ms": 1}), "timeout_ms is 1"),
        (json!({"command": "video", "argv": ["a"]}), "exclude each other"),
        (json!({"command": "video", "parser": "json"}), "field parser does not belong"),
        (json!({}), "command is missing"),
    ] {
        let answer = allowed.post("/api/commands", &body.to_string()).await;
        let message = answer.json()["message"].as_str().expect("a message").to_owned();
        assert!(answer.status.is_client_error() && message.contains(words), "{body}: {message}");
    }
}

#[tokio::test]
async fn a_failure_says_how_the_command_ended_and_its_last_words() {
    let world =
        world(&[("bad", shell("echo reason >&2; exit 3")), ("gone", section(&["no-such-program"]))]).await;
    start(&world, "bad", "bad").await;
    let state = world.until_status("bad", "failed").await;
    assert_eq!(state["error"]["message"], "sh ended with status 3: reason");
    start(&world, "gone", "gone").await;
    let state = world.until_status("gone", "failed").await;
    let message = state["error"]["message"].as_str().expect("a message");
    assert!(
        message.contains("no-such-program") && message.contains("apt install no-such-program"),
        "{message}"
    );
}

#[tokio::test]
async fn twenty_jobs_run_two_at_a_time_in_their_order_and_positions_are_told() {
    let folder = tempfile::tempdir().expect("a directory");
    let gate = folder.path().join("go");
    let script = format!("while [ ! -e {} ]; do sleep 0.02; done", gate.display());
    let world = world(&[("wait", shell(&script))]).await;
    let id = |number: usize| format!("job-{number:02}");
    for number in 0..20 {
        start(&world, &id(number), "wait").await;
    }
    world.until_status(&id(1), "running").await;
    let position = async |number: usize| {
        world.get(&format!("/api/progress/{}", id(number))).await.json()["queue_position"].clone()
    };
    for number in 2..20 {
        assert_eq!(position(number).await, json!(number - 1));
    }
    // The third goes: those behind it move up, and are told.
    world.post(&format!("/api/progress/{}/cancel", id(2)), "").await.expect(200);
    world.until(&id(19), |state| state["queue_position"] == 17).await;
    assert_eq!((position(2).await, position(3).await), (Value::Null, json!(1)));
    std::fs::write(&gate, "").expect("written");
    for number in (0..20).filter(|number| *number != 2) {
        world.until_status(&id(number), "succeeded").await;
    }
    let starts = world.events("system_status").await;
    let running: Vec<String> = starts
        .iter()
        .map(|event| data(event))
        .filter(|change| change["status"] == "running")
        .map(|change| change["session_id"].as_str().expect("an id").to_owned())
        .collect();
    let order: Vec<String> = (0..20).filter(|number| *number != 2).map(id).collect();
    assert_eq!(running.len(), order.len());
    for (place, one) in running.iter().enumerate() {
        // Two that begin at the same moment may be told in either order.
        let due = order.iter().position(|other| other == one).expect("one of them");
        assert!(place.abs_diff(due) <= 1, "{running:?}");
    }
    let told: Vec<Value> =
        world.updates(&id(19)).await.iter().map(|state| state["queue_position"].clone()).collect();
    let places: Vec<u64> = told.iter().filter_map(Value::as_u64).collect();
    assert!(places.windows(2).all(|two| two[0] > two[1]), "{places:?}");
}

#[tokio::test]
async fn no_process_is_left_after_cancelling() {
    let world = world(&[("stubborn", shell(STUBBORN))]).await;
    start(&world, "a", "stubborn").await;
    let pids = pids(&world, "a").await;
    assert!(pids.iter().all(|pid| runs(pid)), "{pids:?}");
    world.post("/api/progress/a/cancel", "").await.expect(200);
    until_gone(&pids).await;
    assert_eq!(world.get("/api/progress/a").await.json()["status"], "cancelled");
    // And it can be had again.
    world.post("/api/progress/a/retry", "").await.expect(200);
    world.until("a", |state| state["status"] == "running" && state["attempt"] == 1).await;
}

#[tokio::test]
async fn no_process_is_left_after_a_timeout() {
    let stubborn = CommandSection { timeout_ms: 1000, ..shell(STUBBORN) };
    let world = world(&[("stubborn", stubborn)]).await;
    start(&world, "a", "stubborn").await;
    let pids = pids(&world, "a").await;
    let state = world.until_status("a", "failed").await;
    let message = state["error"]["message"].as_str().expect("a message");
    assert!(
        message.contains("longer than 1 s") && message.contains("jobs.commands.stubborn.timeout_ms"),
        "{message}"
    );
    until_gone(&pids).await;
}

#[tokio::test]
async fn no_process_is_left_when_the_command_itself_ends_or_the_server_stops() {
    let leaving = "setsid sleep 600 & echo $!; sleep 600 & echo $!; echo $$";
    let mut world = world(&[("leaving", shell(leaving)), ("stubborn", shell(STUBBORN))]).await;
    start(&world, "a", "leaving").await;
    world.until_status("a", "succeeded").await;
    until_gone(&log(&world, "a").await).await;
    start(&world, "b", "stubborn").await;
    let pids = pids(&world, "b").await;
    world.stop().await;
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
    world.start().await;
    assert_eq!(world.get("/api/progress/b").await.json()["status"], "interrupted");
    assert_eq!(log(&world, "b").await.len(), 3);
}

#[tokio::test]
async fn a_million_lines_cost_a_bounded_log_and_few_events_and_the_cut_is_said() {
    let config = JobsConfig {
        command_log_bytes_max: 64 << 10,
        progress_interval_ms: 250,
        ..config(&[("seq", section(&["seq", "1000000"]))])
    };
    let world = World::with(config, Arc::new(SystemClock)).await;
    start(&world, "a", "seq").await;
    world.until_status("a", "succeeded").await;
    let page = world.get("/api/jobs/a/log").await.expect(200).json();
    assert_eq!(page["newest"], 1_000_000);
    assert_eq!(page["lines"][0]["text"], "1");
    let after = world.get("/api/jobs/a/log?after=999999").await.expect(200).json();
    assert_eq!((&after["lines"][0]["text"], &after["lines"][0]["n"]), (&json!("1000000"), &json!(1_000_000)));
    let shown = world
        .events("progress_a")
        .await
        .iter()
        .filter(|event| event.name.as_str() == "log")
        .map(|event| data(event))
        .collect::<Vec<_>>();
    let lines: usize = shown.iter().map(|bundle| bundle["lines"].as_array().expect("lines").len()).sum();
    let cut: u64 = shown.iter().map(|bundle| bundle["cut"].as_u64().expect("a number")).sum();
    assert_eq!(lines as u64 + cut, 1_000_000);
    assert!(shown.iter().all(|bundle| bundle["lines"].as_array().expect("lines").len() <= 200));
    assert_eq!(
        shown.last().expect("a bundle")["lines"].as_array().expect("lines").last().expect("a line")["n"],
        1_000_000
    );
}

#[tokio::test]
async fn json_lines_set_files_metadata_and_the_result() {
    let script = r#"echo x > p.png; echo '{"step":"draw","total_steps":3,"percent":30,"artefact":"p.png","metadata":{"preview":"p.png"}}'; sleep 0.2
        echo '{"result":{"n":1}}'"#;
    let world = world(&[("draw", CommandSection { parser: ParserKind::Json, ..shell(script) })]).await;
    start(&world, "a", "draw").await;
    let drawing = world.until("a", |state| state["artefacts"][0]["name"] == "p.png").await;
    assert_eq!((&drawing["status"], &drawing["metadata"]["preview"]), (&json!("running"), &json!("p.png")));
    let state = world.until_status("a", "succeeded").await;
    assert_eq!(
        (&state["result"], &state["steps"][0]["name"], &state["total_steps"]),
        (&json!({"n": 1}), &json!("draw"), &json!(3))
    );
    assert_eq!(log(&world, "a").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_command_that_runs_elsewhere_brings_its_lines() {
    let world = world(&[]).await;
    let body =
        json!({"session_id": "a", "title": "make", "total_steps": 1, "argv": ["make", "all"]}).to_string();
    let started = world.post("/api/progress", &body).await.expect(201).json();
    assert_eq!((&started["kind"], &started["status"]), (&json!("command"), &json!("running")));
    world.post("/api/progress/a/step", r#"{"name":"cc","total_steps":2}"#).await.expect(200);
    world.post("/api/progress/a/step", r#"{"name":"ld","total_steps":2}"#).await.expect(200);
    world.post("/api/jobs/a/log", r#"{"lines":["one","two"]}"#).await.expect(204);
    world.post("/api/jobs/a/log", r#"{"lines":["three"]}"#).await.expect(204);
    assert_eq!(log(&world, "a").await, ["one", "two", "three"]);
    for (body, words) in [
        (r#"{"lines":[{"text":"x","stream":"in"}]}"#, "lines.stream is \"in\""),
        (r#"{"lines":[{"stream":"out"}]}"#, "lines.text holds null"),
        (r#"{"lines":[],"first":1}"#, "lines has 0 entries"),
        (r#"{"lines":["x"],"first":0}"#, "counted from 1"),
        (r#"{"first":1}"#, "lines is missing"),
        (
            r#"{"lines":["x"],"first":18446744073709551615}"#,
            "the log goes on with line 4; at most 1000000000",
        ),
        (r#"{"lines":["x"],"first":18446744073709551614}"#, "first is 18446744073709551614"),
        (r#"{"lines":["x"],"first":9007199254740991}"#, "lines may be missing"),
        (r#"{"lines":["x"],"first":9007199254740993}"#, "lines may be missing"),
    ] {
        let refused = world.post("/api/jobs/a/log", body).await.expect(400).json();
        assert!(refused["message"].as_str().is_some_and(|message| message.contains(words)), "{refused}");
    }
    for after in ["9007199254740992", "18446744073709551615", "-1", "1e3"] {
        let refused = world.get(&format!("/api/jobs/a/log?after={after}")).await.expect(400).json();
        let message = refused["message"].as_str().unwrap_or_default();
        assert!(message.contains("expected a whole number from 0 to 9007199254740991"), "{message}");
    }
    assert_eq!(log(&world, "a").await, ["one", "two", "three"]);
    world.post("/api/progress/a/complete", "").await.expect(200);
    assert_eq!(
        world.post("/api/jobs/a/log", r#"{"lines":["late"]}"#).await.error(),
        (409, "illegal_transition".to_owned())
    );
    assert_eq!(world.post("/api/progress/b/step", r#"{"name":"x"}"#).await.error().0, 404);
}

#[tokio::test]
async fn lines_that_are_told_twice_are_there_once_and_revive_a_job_after_a_restart() {
    let mut world = world(&[]).await;
    let body = json!({"session_id": "a", "title": "make", "total_steps": 1, "argv": ["make"]}).to_string();
    world.post("/api/progress", &body).await.expect(201);
    let one = r#"{"first":1,"lines":["one",{"text":"two","stream":"err"}]}"#;
    world.post("/api/jobs/a/log", one).await.expect(204);
    world.post("/api/jobs/a/log", one).await.expect(204);
    world.post("/api/jobs/a/log", r#"{"first":2,"lines":["two","three"]}"#).await.expect(204);
    world.restart().await;
    assert_eq!(world.get("/api/progress/a").await.json()["status"], "interrupted");
    world.post("/api/jobs/a/log", r#"{"first":3,"lines":["three","four"]}"#).await.expect(204);
    assert_eq!(world.get("/api/progress/a").await.json()["status"], "running");
    world.post("/api/jobs/a/log", r#"{"first":9,"lines":["nine"]}"#).await.expect(204);
    assert_eq!(log(&world, "a").await, ["one", "two", "three", "four", "nine"]);
    let page = world.get("/api/jobs/a/log").await.json();
    assert_eq!(
        (&page["cut"], &page["newest"], &page["lines"][1]["stream"]),
        (&json!(4), &json!(9), &json!("err"))
    );
    let events = world.events("progress_a").await;
    let told: Vec<Value> =
        events.iter().filter(|event| event.name.as_str() == "log").map(|event| data(event)).collect();
    let numbers: Vec<&Value> = told
        .iter()
        .flat_map(|bundle| bundle["lines"].as_array().expect("lines"))
        .map(|line| &line["n"])
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 9]);
    assert_eq!(told.last().map(|bundle| &bundle["cut"]), Some(&json!(4)));
}

#[tokio::test]
async fn a_command_of_the_server_is_driven_by_nobody_else_and_leaves_nothing_when_forgotten() {
    let world = world(&[("quick", shell("echo x > a.txt"))]).await;
    start(&world, "a", "quick").await;
    let refused = world.post("/api/progress/a/complete", "").await;
    assert_eq!(refused.status, 409);
    world.until_status("a", "succeeded").await;
    let runs = world.folder.path().join("runs");
    assert_eq!(std::fs::read_dir(&runs).expect("a folder").count(), 1);
    world.call("DELETE", "/api/jobs/a", &[], "").await.expect(204);
    assert_eq!(std::fs::read_dir(&runs).expect("a folder").count(), 0);
}
