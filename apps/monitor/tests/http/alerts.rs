//! Alerts: raised once, cleared once, remembered through a restart, and posted.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
};

use anywire_log::{Channel, Followed, Position};
use anywire_monitor::{ALERTS_CHANNEL, MonitorConfig};
use serde_json::{Value, json};

use crate::support::{PATIENCE, World, reports_only};

async fn set_rules(world: &World, for_s: u32) {
    let rule = json!({ "id": "busy", "figure": "cpu", "side": "above", "raise": 90, "clear": 75, "for_s": for_s, "enabled": true });
    world.send("PUT", "/api/performance/alerts", &[], &json!({ "rules": [rule] })).await.expect(200);
}

#[tokio::test]
async fn an_alert_is_raised_once_cleared_once_and_told_on_its_channel() {
    let mut world = World::with(reports_only()).await;
    set_rules(&world, 2).await;
    let trembling = |second: i64| if second < 10 { [95.0, 91.0, 92.0][(second % 3) as usize] } else { 80.0 };
    world.report("web-1", &(0..15).collect::<Vec<_>>(), trembling).await.expect(200);
    let standing = world.get("/api/performance/alerts").await.expect(200).json();
    assert_eq!(standing["active"].as_array().map(Vec::len), Some(1), "{standing}");
    assert_eq!(standing["active"][0]["since"], "2026-01-23T10:00:02.000Z");
    world.restart().await;
    let standing = world.get("/api/performance/alerts").await.expect(200).json();
    assert_eq!(standing["active"][0]["rule"], "busy", "it stands through a restart");
    assert_eq!(standing["rules"][0]["for_s"], 2);
    world.report("web-1", &(15..20).collect::<Vec<_>>(), |_| 50.0).await.expect(200);
    let after = world.get("/api/performance/alerts").await.expect(200).json();
    assert_eq!(after["active"], json!([]));
    assert_eq!(after["recent"].as_array().map(Vec::len), Some(2));
    assert_eq!(told(&world).await, ["alert_raised web-1 busy", "alert_cleared web-1 busy"]);
}

#[tokio::test]
async fn the_channel_goes_on_where_the_answer_ends() {
    let world = World::with(reports_only()).await;
    set_rules(&world, 0).await;
    world.report("web-1", &[1], |_| 99.0).await.expect(200);
    let answer = world.get("/api/performance/alerts").await.expect(200).json();
    assert_eq!(answer["active"].as_array().map(Vec::len), Some(1), "{answer}");
    world.report("web-2", &[2], |_| 99.0).await.expect(200);
    let cursor = answer["cursor"].as_str().and_then(|text| text.parse().ok()).expect("a cursor");
    assert_eq!(told_from(&world, Position::After(cursor)).await, ["alert_raised web-2 busy"]);
}

/// The events on the channel of alerts, each with the host and the rule it is about.
async fn told(world: &World) -> Vec<String> {
    told_from(world, Position::Oldest).await
}

async fn told_from(world: &World, position: Position) -> Vec<String> {
    let channel = Channel::new(ALERTS_CHANNEL).expect("a name");
    let mut follow = world.log.follow(&[channel], position);
    let mut told = Vec::new();
    while let Some(found) = follow.ready().await.expect("read") {
        let Followed::Events(events) = found else { panic!("a gap") };
        told.extend(events.iter().map(|event| {
            let alert: Value = serde_json::from_slice(event.payload.as_bytes()).expect("JSON");
            format!("{} {} {}", event.name.as_str(), alert["host"], alert["rule"]).replace('"', "")
        }));
    }
    told
}

#[tokio::test]
async fn an_alert_that_nothing_can_end_any_more_is_ended_and_told_so() {
    let mut world = World::with(reports_only()).await;
    set_rules(&world, 0).await;
    world.report("web-1", &[1], |_| 99.0).await.expect(200);
    world.report("web-2", &[2], |_| 99.0).await.expect(200);
    world.send("DELETE", "/api/performance/hosts/web-1", &[], &Value::Null).await.expect(204);
    let standing = world.get("/api/performance/alerts").await.expect(200).json();
    assert_eq!(standing["active"].as_array().map(Vec::len), Some(1), "{standing}");
    let after =
        world.send("PUT", "/api/performance/alerts", &[], &json!({ "rules": [] })).await.expect(200).json();
    assert_eq!(after["active"], json!([]));
    let expected = [
        "alert_raised web-1 busy",
        "alert_raised web-2 busy",
        "alert_cleared web-1 busy",
        "alert_cleared web-2 busy",
    ];
    assert_eq!(told(&world).await, expected);
    world.restart().await;
    assert_eq!(world.get("/api/performance/alerts").await.json()["active"], json!([]));
}

#[tokio::test]
async fn a_rule_that_is_about_something_else_now_begins_anew() {
    let world = World::with(reports_only()).await;
    set_rules(&world, 0).await;
    world.report("web-1", &[1], |_| 99.0).await.expect(200);
    let rule = json!({ "id": "busy", "figure": "swap", "side": "above", "raise": 90, "clear": 75, "for_s": 0, "enabled": true });
    world.send("PUT", "/api/performance/alerts", &[], &json!({ "rules": [rule] })).await.expect(200);
    assert_eq!(told(&world).await, ["alert_raised web-1 busy", "alert_cleared web-1 busy"]);
}

#[tokio::test]
async fn rules_without_sense_are_refused_and_the_old_ones_stay() {
    let world = World::with(reports_only()).await;
    let rule = json!({ "id": "x", "figure": "cpu", "side": "above", "raise": 10, "clear": 75, "for_s": 0, "enabled": true });
    let answer =
        world.send("PUT", "/api/performance/alerts", &[], &json!({ "rules": [rule] })).await.expect(400);
    assert!(answer.json()["message"].as_str().is_some_and(|text| text.contains("clear is 75")));
    assert_eq!(world.get("/api/performance/alerts").await.json()["rules"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn a_rule_about_a_figure_that_no_host_has_is_refused_with_those_that_there_are() {
    let world = World::with(reports_only()).await;
    world.report("web-1", &[1], |_| 1.0).await.expect(200);
    let set = async |figure: &str| {
        let rule = json!({ "id": "x", "figure": figure, "side": "above", "raise": 90, "clear": 75, "for_s": 0, "enabled": true });
        world.send("PUT", "/api/performance/alerts", &[], &json!({ "rules": [rule] })).await
    };
    for figure in ["cpu_percent", "core:9999", "disk:/nowhere", "CPU", "cpu.max"] {
        let message = set(figure).await.expect(400).json()["message"].to_string();
        for word in [figure, "load15", "silence", "core:0"] {
            assert!(message.contains(word), "{word} in {message}");
        }
    }
    for figure in ["core:0", "swap", "silence", "delivery_p99"] {
        set(figure).await.expect(200);
    }
}

/// Answers each request with the next of `statuses`, and passes on its head and body.
fn receiver(statuses: Vec<u16>) -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for status in statuses {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut reader = BufReader::new(stream.try_clone().expect("a clone"));
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line");
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).expect("written");
            sender.send((head, serde_json::from_slice(&body).expect("JSON"))).expect("somebody waits");
        }
    });
    (url, received)
}

#[tokio::test]
async fn an_alert_is_posted_and_tried_again_while_the_other_side_is_in_trouble() {
    let (url, received) = receiver(vec![503, 200]);
    let config =
        MonitorConfig { webhook_url: Some(url), webhook_token: Some("secret".to_owned()), ..reports_only() };
    let world = World::with(config).await;
    set_rules(&world, 0).await;
    world.report("web-1", &[1], |_| 99.0).await.expect(200);
    let wait = move || (0..2).map(|_| received.recv_timeout(PATIENCE).expect("a post")).collect::<Vec<_>>();
    let posts = tokio::task::spawn_blocking(wait).await.expect("two posts");
    assert_eq!(posts[0].1, posts[1].1, "the same alert again");
    let (head, alert) = &posts[1];
    assert!(head.starts_with("POST /hook"), "{head}");
    assert!(head.to_ascii_lowercase().contains("authorization: bearer secret"), "{head}");
    assert_eq!(
        (&alert["state"], &alert["host"], &alert["value"]),
        (&json!("raised"), &json!("web-1"), &json!(99.0))
    );
}
