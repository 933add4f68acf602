//! Clocks that are set: of a host, of this server. Nobody is blind afterwards.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, T0, World, reports_only, sample};

const HOUR_S: i64 = 3600;
const SAMPLES: &str = "/api/performance/hosts/web-1/samples";

/// Samples at these seconds after [`T0`] on the host's clock, which shows `sent_at` as they are sent.
async fn report(world: &World, sent_at: i64, seconds: &[i64]) -> Value {
    send(world, sent_at, seconds, None).await.expect(200).json()
}

async fn send(world: &World, sent_at: i64, seconds: &[i64], instance: Option<&str>) -> Answer {
    let samples: Vec<_> = seconds.iter().map(|second| sample(*second, percent(*second))).collect();
    let mut body = json!({ "sent_at": (T0 + sent_at * 1000).to_string(), "samples": samples });
    if let Some(instance) = instance {
        body["instance"] = json!(instance);
    }
    world.send("POST", SAMPLES, &[], &body).await
}

/// What the processors of a second were: another figure for each of neighbours.
fn percent(second: i64) -> f64 {
    second.rem_euclid(1000) as f64 / 100.0
}

/// What the list of hosts says of the host.
async fn host(world: &World) -> Value {
    world.get("/api/performance/hosts").await.expect(200).json()["hosts"][0].clone()
}

/// The seconds after [`T0`] that the history has, holes left out.
async fn seconds(world: &World, to: i64) -> Vec<i64> {
    let target =
        format!("/api/performance/history?host=web-1&fields=cpu&step=1&from={T0}&to={}", T0 + to * 1000);
    let rows = world.get(&target).await.expect(200).rows();
    let known = rows.iter().filter(|row| !row[1].is_null());
    known.map(|row| (row[0].as_i64().expect("a time") - T0) / 1000).collect()
}

#[tokio::test]
async fn a_sample_from_the_future_blinds_nobody() {
    let mut world = World::with(reports_only()).await;
    let told = report(&world, 0, &[HOUR_S]).await;
    assert_eq!((&told["accepted"], &told["moved"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!(host(&world).await["time"], "2026-01-23T10:00:00.000Z");
    world.clock.advance_millis(2000);
    let told = report(&world, 2, &[HOUR_S + 1, 2]).await;
    assert_eq!((&told["accepted"], &told["repeated"], &told["moved"]), (&json!(2), &json!(0), &json!(1)));
    assert_eq!(seconds(&world, 60).await, [0, 1, 2]);
    world.same_after_a_restart().await;
}

#[tokio::test]
async fn a_host_whose_clock_goes_back_a_little_or_a_lot_is_seen_at_once() {
    for back in [2, 3, 60, HOUR_S, 40 * 24 * HOUR_S] {
        let mut world = World::with(reports_only()).await;
        for second in 0..20 {
            report(&world, second, &[second]).await;
            world.clock.advance_millis(1000);
        }
        for second in 20..90 {
            let told = report(&world, second - back, &[second - back]).await;
            assert_eq!(
                (&told["accepted"], &told["repeated"]),
                (&json!(1), &json!(0)),
                "{back} s back: {told}"
            );
            let newest = world.get("/api/performance?host=web-1").await.expect(200).json();
            assert_eq!(newest["cpu"]["percent"], json!(percent(second - back)), "{back} s back");
            assert_eq!(host(&world).await["stale"], false);
            world.clock.advance_millis(1000);
        }
        world.same_after_a_restart().await;
    }
}

#[tokio::test]
async fn a_repetition_is_one_also_after_a_clock_went_back() {
    let world = World::with(reports_only()).await;
    world.clock.advance_millis(100_000);
    report(&world, 100, &[98, 99, 100]).await;
    report(&world, 99, &[99]).await;
    let told = report(&world, 99, &[99]).await;
    assert_eq!((&told["accepted"], &told["repeated"]), (&json!(0), &json!(1)));
    let told = report(&world, 101, &[99, 100, 101]).await;
    assert_eq!((&told["accepted"], &told["repeated"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn this_servers_clock_that_jumps_ahead_and_back_blinds_no_host() {
    let mut world = World::with(reports_only()).await;
    let mut asked = 0;
    let mut tick = async |world: &World, jump_ms: i64| {
        world.clock.set(anywire_log::Timestamp::from_millis(T0 + asked * 1000 + jump_ms));
        let told = report(world, asked, &[asked]).await;
        assert_eq!((&told["accepted"], &told["repeated"]), (&json!(1), &json!(0)), "at {asked}: {told}");
        assert_eq!(host(world).await["stale"], false, "at {asked}");
        let newest = world.get("/api/performance?host=web-1").await.expect(200).json();
        assert_eq!(newest["cpu"]["percent"], json!(percent(asked)));
        asked += 1;
    };
    for jump_s in [0, HOUR_S, 0, 20 * HOUR_S, 0, -HOUR_S, 0] {
        for _ in 0..20 {
            tick(&world, jump_s * 1000).await;
        }
    }
    // Told as they were, but where the clock was an hour back: nothing of the true time is lost.
    let expected: Vec<i64> = (0..20).chain(40..60).chain(80..100).chain(120..140).collect();
    assert_eq!(seconds(&world, 200).await, expected);
    world.same_after_a_restart().await;
}

#[tokio::test]
async fn minutes_and_alerts_go_on_after_a_clock_went_back() {
    let mut world = World::with(reports_only()).await;
    let rule = json!({ "id": "busy", "figure": "cpu", "side": "above", "raise": 90, "clear": 75, "for_s": 5, "enabled": true });
    world.send("PUT", "/api/performance/alerts", &[], &json!({ "rules": [rule] })).await.expect(200);
    world.clock.advance_millis(2 * HOUR_S.unsigned_abs() * 1000);
    world.report("web-1", &(2 * HOUR_S..2 * HOUR_S + 90).collect::<Vec<_>>(), |_| 10.0).await.expect(200);
    world.clock.set(anywire_log::Timestamp::from_millis(T0));
    world.report("web-1", &(0..200).collect::<Vec<_>>(), |_| 95.0).await.expect(200);
    let standing = world.get("/api/performance/alerts").await.expect(200).json();
    assert_eq!(standing["active"][0]["since"], "2026-01-23T10:00:05.000Z", "{standing}");
    let target =
        format!("/api/performance/history?host=web-1&fields=cpu&step=60&from={T0}&to={}", T0 + 10_800_000);
    let rows = world.get(&target).await.expect(200).rows();
    let known: Vec<(i64, i64)> = rows
        .iter()
        .filter(|row| !row[1].is_null())
        .map(|row| {
            ((row[0].as_i64().expect("a time") - T0) / 60_000, row[1].as_f64().expect("a mean") as i64)
        })
        .collect();
    assert_eq!(known, [(0, 95), (1, 95), (2, 95), (3, 95), (120, 10), (121, 10)]);
    world.same_after_a_restart().await;
}

#[tokio::test]
async fn staleness_counts_from_when_a_sample_came_whatever_time_it_names() {
    let world = World::with(reports_only()).await;
    world.clock.advance_millis(HOUR_S.unsigned_abs() * 1000);
    // A backlog that begins to arrive: its newest sample is of an hour ago.
    report(&world, HOUR_S, &[0, 1, 2]).await;
    let told = host(&world).await;
    assert_eq!(
        (&told["stale"], &told["heard"]),
        (&json!(false), &json!("2026-01-23T11:00:00.000Z")),
        "{told}"
    );
    world.clock.advance_millis(2600);
    assert_eq!(host(&world).await["stale"], true);
    // A clock that is put back makes no silent host look fresh.
    world.clock.set(anywire_log::Timestamp::from_millis(T0));
    assert_eq!(host(&world).await["stale"], true);
}

#[tokio::test]
async fn two_machines_of_one_name_are_told_and_a_reporter_started_anew_is_none() {
    let world = World::with(reports_only()).await;
    let mut machines = Vec::new();
    for (second, instance) in ["a", "a", "b", "a", "b"].into_iter().enumerate() {
        let second = i64::try_from(second).expect("small");
        machines.push(
            send(&world, second, &[second], Some(instance)).await.expect(200).json()["machines"].clone(),
        );
        world.clock.advance_millis(1000);
    }
    assert_eq!(machines, [1, 1, 1, 2, 2]);
    assert_eq!(host(&world).await["machines"], 2);
    let answer = send(&world, 9, &[9], Some("a b")).await.expect(400).json();
    assert!(
        answer["message"].as_str().is_some_and(|text| text.contains("\"instance\" is \"a b\"")),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_is_an_alert_of_its_own_ends_its_others_and_a_clock_that_is_set_makes_none() {
    let world = World::with(reports_only()).await;
    let busy = json!({ "id": "busy", "figure": "cpu", "side": "above", "raise": 90, "clear": 75, "for_s": 0, "enabled": true });
    let silence = json!({ "id": "gone", "figure": "silence", "side": "above", "raise": 30, "clear": 5, "for_s": 0, "enabled": true });
    world.send("PUT", "/api/performance/alerts", &[], &json!({ "rules": [busy, silence] })).await.expect(200);
    world.report("web-1", &[1], |_| 99.0).await.expect(200);
    let standing = async || {
        world.settled().await;
        let alerts = world.get("/api/performance/alerts").await.expect(200).json();
        let active = alerts["active"].as_array().expect("alerts").clone();
        active.iter().map(|alert| alert["rule"].as_str().expect("a rule").to_owned()).collect::<Vec<_>>()
    };
    world.clock.advance_millis(5 * HOUR_S.unsigned_abs() * 1000);
    assert_eq!(standing().await, ["busy"], "a clock that was put ahead makes nobody silent");
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(standing().await, ["busy"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(standing().await, ["gone"]);
    world.report("web-1", &[5 * HOUR_S + 40], |_| 10.0).await.expect(200);
    assert_eq!(standing().await, [""; 0]);
}
