//! The newest sample: of this server, of others, and that it is not sent twice.

use serde_json::{Value, json};

use crate::support::{World, reports_only, sample};
use anywire_monitor::MonitorConfig;

#[tokio::test]
async fn the_server_samples_itself_and_answers_the_newest_sample() {
    let world = World::with(MonitorConfig { host: Some("me".to_owned()), ..MonitorConfig::default() }).await;
    // The first look is taken as soon as there is something to tell; who asks before it is in the log asks
    // again.
    let answer = loop {
        let answer = world.get("/api/performance").await;
        if answer.status == 200 {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    let body = answer.json();
    assert_eq!(body["host"], "me");
    let expected = [
        "time",
        "cpu",
        "load",
        "memory",
        "disks",
        "network",
        "process",
        "uptime_s",
        "delivery",
        "cursor",
        "interval_ms",
    ];
    for member in expected {
        assert!(body.get(member).is_some(), "{member} in {body}");
    }
    assert_eq!(body["memory_per_connection"], Value::Null, "nobody is connected");
    // All cores together are as busy as each of them is: in the first sample, too, none is invented.
    let cores: Vec<f64> =
        body["cpu"]["cores"].as_array().expect("cores").iter().filter_map(Value::as_f64).collect();
    let mean = cores.iter().sum::<f64>() / cores.len() as f64;
    let percent = body["cpu"]["percent"].as_f64().expect("a number");
    assert!((percent - mean).abs() < 10.0, "{percent} of {cores:?}");
    assert_eq!(answer.header("etag"), format!("\"{}\"", body["cursor"].as_str().expect("a cursor")));
}

#[tokio::test]
async fn an_answer_that_the_caller_has_is_not_sent_again() {
    let world = World::with(reports_only()).await;
    world.report("web-1", &[1], |_| 10.0).await.expect(200);
    let first = world.get("/api/performance?host=web-1").await.expect(200);
    let tag = first.header("etag").to_owned();
    let again =
        world.send("GET", "/api/performance?host=web-1", &[("If-None-Match", &tag)], &Value::Null).await;
    assert!(again.expect(304).body.is_empty());
    world.report("web-1", &[2], |_| 20.0).await.expect(200);
    let news =
        world.send("GET", "/api/performance?host=web-1", &[("If-None-Match", &tag)], &Value::Null).await;
    assert_eq!(news.expect(200).json()["cpu"]["percent"], 20.0);
}

#[tokio::test]
async fn only_new_samples_come_after_a_cursor_which_is_also_where_to_subscribe() {
    let world = World::with(reports_only()).await;
    world.report("web-1", &[1, 2], |second| second as f64).await.expect(200);
    let cursor =
        world.get("/api/performance?host=web-1").await.json()["cursor"].as_str().expect("it").to_owned();
    let target = |cursor: &str| format!("/api/performance/history?host=web-1&after={cursor}");
    let nothing = world.get(&target(&cursor)).await.expect(200).json();
    assert_eq!((&nothing["samples"], &nothing["cursor"]), (&json!([]), &json!(cursor)));
    let tag = format!("\"{cursor}\"");
    world.send("GET", &target(&cursor), &[("If-None-Match", &tag)], &Value::Null).await.expect(304);
    world.report("web-1", &[3, 4], |second| second as f64).await.expect(200);
    let news = world.get(&target(&cursor)).await.expect(200).json();
    let cpu: Vec<&Value> =
        news["samples"].as_array().expect("samples").iter().map(|one| &one["cpu"]["percent"]).collect();
    assert_eq!(cpu, [&json!(3.0), &json!(4.0)]);
    let whole = world.get(&target("0")).await.expect(200).json();
    assert_eq!(whole["samples"].as_array().map(Vec::len), Some(4));
    let wrong = world.get(&target("yesterday")).await.expect(400).json();
    assert_eq!(wrong["code"], "invalid_cursor");
}

#[tokio::test]
async fn a_repeated_report_changes_nothing() {
    let world = World::with(reports_only()).await;
    let first = world.report("web-1", &[1, 2, 3], |_| 1.0).await.expect(200).json();
    assert_eq!((&first["accepted"], &first["repeated"]), (&json!(3), &json!(0)));
    let again = world.report("web-1", &[2, 3, 4], |_| 9.0).await.expect(200).json();
    assert_eq!((&again["accepted"], &again["repeated"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn a_host_whose_clock_is_wrong_is_moved_to_ours() {
    let world = World::with(reports_only()).await;
    let hour = 3_600_000;
    let mut late = sample(0, 5.0);
    late.time -= hour;
    let sent_at = (crate::support::T0 - hour).to_string();
    let body = json!({ "sent_at": sent_at, "samples": [late] });
    world.send("POST", "/api/performance/hosts/slow/samples", &[], &body).await.expect(200);
    let hosts = world.get("/api/performance/hosts").await.json();
    assert_eq!(hosts["hosts"][0]["time"], "2026-01-23T10:00:00.000Z");
    assert_eq!(hosts["hosts"][0]["stale"], false);
}

#[tokio::test]
async fn what_is_no_sample_and_what_is_too_much_is_refused_by_name() {
    let world = World::with(MonitorConfig { hosts_max: 2, ..reports_only() }).await;
    let wrong = |answer: Value, word: &str| {
        assert!(answer["message"].as_str().is_some_and(|text| text.contains(word)), "{word} in {answer}");
    };
    wrong(world.report("web-1", &[1], |_| 300.0).await.expect(400).json(), "cpu.percent is 300");
    wrong(world.report("%2e%2e", &[1], |_| 1.0).await.expect(400).json(), "neither . nor ..");
    wrong(world.report("a%20b", &[1], |_| 1.0).await.expect(400).json(), "a b");
    wrong(world.get("/api/performance?host=nobody").await.expect(404).json(), "nobody");
    wrong(world.get("/api/performance").await.expect(404).json(), "server");
    world.report("web-1", &[1], |_| 1.0).await.expect(200);
    world.report("web-2", &[1], |_| 1.0).await.expect(200);
    wrong(world.report("web-3", &[1], |_| 1.0).await.expect(429).json(), "monitor.hosts_max");
    world.send("DELETE", "/api/performance/hosts/web-1", &[], &Value::Null).await.expect(204);
    world.report("web-3", &[2], |_| 1.0).await.expect(200);
    wrong(world.get("/api/performance?host=web-1").await.expect(404).json(), "web-1");
}

#[tokio::test]
async fn a_silent_host_is_stale_after_two_and_a_half_intervals() {
    let world = World::with(reports_only()).await;
    world.report("web-1", &[1], |_| 1.0).await.expect(200);
    let stale = async || world.get("/api/performance/hosts").await.json()["hosts"][0]["stale"].clone();
    world.clock.advance_millis(2400);
    assert_eq!(stale().await, false);
    world.clock.advance_millis(200);
    assert_eq!(stale().await, true);
}
