//! History: what is known comes back, what is not known stays a hole, and a restart changes nothing.

use serde_json::{Value, json};

use crate::support::{T0, World, reports_only};

fn target(from_s: i64, to_s: i64, more: &str) -> String {
    let (from, to) = (T0 + from_s * 1000, T0 + to_s * 1000);
    format!("/api/performance/history?host=web-1&from={from}&to={to}&fields=cpu{more}")
}

/// Rows with their times in seconds after [`T0`].
fn seconds(rows: &[Value]) -> Vec<Value> {
    let relative = |row: &Value| {
        let mut row = row.as_array().expect("a row").clone();
        row[0] = json!((row[0].as_i64().expect("a time") - T0) / 1000);
        Value::Array(row)
    };
    rows.iter().map(relative).collect()
}

#[tokio::test]
async fn a_stop_of_the_reporter_is_a_hole_and_no_value_is_invented() {
    let world = World::with(reports_only()).await;
    world.report("web-1", &[0, 1, 2], |second| second as f64).await.expect(200);
    world.report("web-1", &[30, 31], |second| second as f64).await.expect(200);
    let fine = world.get(&target(0, 60, "&step=1")).await.expect(200);
    assert_eq!(fine.json()["fields"], json!(["time", "cpu"]));
    assert_eq!(json!(seconds(&fine.rows())), json!([[0, 0], [1, 1], [2, 2], [3, null], [30, 30], [31, 31]]));
    let coarse = world.get(&target(0, 60, "&step=10")).await.expect(200);
    assert_eq!(coarse.json()["fields"], json!(["time", "cpu", "cpu.min", "cpu.max"]));
    assert_eq!(
        json!(seconds(&coarse.rows())),
        json!([[0, 1, 0, 2], [10, null, null, null], [30, 30.5, 30, 31], [40, null, null, null]])
    );
}

#[tokio::test]
async fn every_sample_of_three_hours_comes_back_once_also_after_a_restart() {
    let mut world = World::with(reports_only()).await;
    let wave = |second: i64| ((second / 7) % 100) as f64;
    for start in (0..10_800).step_by(600) {
        let seconds: Vec<i64> = (start..start + 600).collect();
        world.report("web-1", &seconds, wave).await.expect(200);
    }
    for round in 0..2 {
        let rows = world.get(&target(3500, 7500, "&step=1")).await.expect(200).rows();
        let expected: Vec<Value> = (3500..7500).map(|second| json!([second, wave(second) as i64])).collect();
        assert_eq!(seconds(&rows), expected, "round {round}");
        let minutes = world.get(&target(0, 10_800, "&step=60")).await.expect(200).rows();
        assert_eq!(minutes.len(), 180, "round {round}");
        let (least, greatest) = (wave(60 * 59), wave(60 * 60 - 1));
        let row = seconds(&minutes)[59].clone();
        assert_eq!(
            (&row[0], &row[2], &row[3]),
            (&json!(3540), &json!(least as i64), &json!(greatest as i64))
        );
        world.restart().await;
    }
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_minute_neither_loses_nor_repeats_a_sample() {
    let mut world = World::with(reports_only()).await;
    let first: Vec<i64> = (0..630).collect();
    let then: Vec<i64> = (630..700).collect();
    for part in first.chunks(600) {
        world.report("web-1", part, |second| (second % 60) as f64).await.expect(200);
    }
    world.restart().await;
    world.report("web-1", &then, |second| (second % 60) as f64).await.expect(200);
    let rows = world.get(&target(590, 690, "&step=1")).await.expect(200).rows();
    let expected: Vec<Value> = (590..690).map(|second| json!([second, second % 60])).collect();
    assert_eq!(seconds(&rows), expected);
    let minutes = world.get(&target(600, 660, "&step=60")).await.expect(200).rows();
    assert_eq!(json!(seconds(&minutes)), json!([[600, 29.5, 0, 59]]));
}

#[tokio::test]
async fn figures_that_come_and_go_are_unknown_meanwhile_and_a_star_names_all_that_begin_so() {
    let world = World::with(reports_only()).await;
    world.report("web-1", &[0, 1], |_| 1.0).await.expect(200);
    let answer = world.get(&target(0, 2, ",core:*,disk:/gone&step=1")).await.expect(200).json();
    let fields: Vec<&str> =
        answer["fields"].as_array().expect("fields").iter().filter_map(Value::as_str).collect();
    assert!(fields.starts_with(&["time", "cpu", "core:0"]), "{fields:?}");
    assert_eq!(fields.last(), Some(&"disk:/gone"));
    let row = answer["samples"][0].as_array().expect("a row");
    assert_eq!((row.len(), row.last()), (fields.len(), Some(&Value::Null)));
}

#[tokio::test]
async fn a_question_without_sense_is_answered_with_what_would_have_one() {
    let world = World::with(reports_only()).await;
    world.report("web-1", &[0], |_| 1.0).await.expect(200);
    let wrong = async |query: &str, word: &str| {
        let answer =
            world.get(&format!("/api/performance/history?host=web-1&{query}")).await.expect(400).json();
        assert!(answer["message"].as_str().is_some_and(|text| text.contains(word)), "{word} in {answer}");
    };
    wrong("from=tomorrow", "ISO-8601").await;
    wrong("from=", "ISO-8601").await;
    wrong("from=-9223372036854775808&to=9223372036854775807", "ISO-8601").await;
    wrong("to=-9223372036854775808", "ISO-8601").await;
    wrong("from=5&to=4", "not before").await;
    for number in ["18446744073709551615", "9007199254740992"] {
        wrong(&format!("from={number}"), "ISO-8601").await;
        wrong(&format!("to={number}"), "ISO-8601").await;
        wrong(&format!("step={number}"), "0.25 to 86400").await;
        wrong(&format!("after=00000000-{number}"), "is no cursor").await;
    }
    wrong("step=0", "0.25 to 86400").await;
    for fields in ["nope", "cpu,nope", "nope*", "cpu.max", "CPU"] {
        wrong(&format!("fields={fields}"), "there is no such figure; there are cpu, memory").await;
    }
    wrong("from=0&step=1", "10000").await;
}

#[tokio::test]
async fn what_is_older_than_full_resolution_comes_as_minutes() {
    let world = World::with(reports_only()).await;
    for start in (0..7200).step_by(600) {
        world.report("web-1", &(start..start + 600).collect::<Vec<_>>(), |_| 5.0).await.expect(200);
    }
    // A day and an hour later the blocks of samples are forgotten; new samples make the host look after
    // itself.
    world.report("web-1", &[90_000, 90_700], |_| 6.0).await.expect(200);
    let rows = world.get(&target(0, 3600, "&step=60")).await.expect(200).rows();
    assert_eq!(rows.len(), 60);
    assert_eq!(seconds(&rows)[0], json!([0, 5, 5, 5]));
}

#[tokio::test]
async fn a_span_that_begins_before_full_resolution_comes_as_minutes_and_not_as_a_hole() {
    let mut world = World::with(reports_only()).await;
    for start in (0..7200).step_by(600) {
        world.report("web-1", &(start..start + 600).collect::<Vec<_>>(), |_| 5.0).await.expect(200);
    }
    let fine = world.get(&target(3000, 9000, "&step=5")).await.expect(200).json();
    assert_eq!(fine["step_ms"], 5000);
    world.report("web-1", &[90_000, 90_700], |_| 6.0).await.expect(200);
    // At its start the application looks after what is too old. It does so in a task of its own: who asks
    // before it asks again.
    world.restart().await;
    let coarse = loop {
        let answer = world.get(&target(3000, 9000, "&step=5")).await.expect(200).json();
        if answer["step_ms"] != 5000 {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(coarse["step_ms"], 60_000);
    let rows = coarse["samples"].as_array().expect("rows");
    assert_eq!((rows.len(), &rows[0][1]), (71, &json!(5)), "seventy minutes and the hole behind them");
    let recent = world.get(&target(4800, 7200, "&step=5")).await.expect(200).json();
    assert_eq!(recent["step_ms"], 5000);
}

#[tokio::test]
async fn lists_are_read_as_far_as_their_limit() {
    let world = World::with(reports_only()).await;
    world.report("web-1", &[0], |second| second as f64).await.expect(200);
    for names in ["*,".repeat(10_000), "cpu,".repeat(10_000)] {
        let refused = world.get(&target(0, 60, "").replace("=cpu", &format!("={names}"))).await.expect(400);
        let message = refused.json()["message"].to_string();
        assert!(message.contains("fields") && message.contains("128"), "{message}");
    }
    let seconds: Vec<i64> = (0..601).collect();
    let refused = world.report("web-2", &seconds, |second| second as f64).await.expect(400);
    let message = refused.json()["message"].to_string();
    assert!(message.contains("samples") && message.contains("600"), "{message}");
}
