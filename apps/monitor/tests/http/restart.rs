//! A restart: the state made of the log is the state that was.

use serde_json::{Value, json};

use crate::support::{World, reports_only};

fn rules(for_s: i64) -> Value {
    let rule = json!({ "id": "busy", "figure": "cpu", "side": "above", "raise": 90, "clear": 75, "for_s": for_s, "enabled": true });
    json!({ "rules": [rule] })
}

/// Whole numbers: a block keeps tenths, and minutes that are made of it again are the same then.
fn busy(second: i64) -> f64 {
    if (second / 40) % 2 == 0 { 95.0 } else { 20.0 }
}

#[tokio::test]
async fn everything_that_was_answered_before_a_restart_is_answered_after_it() {
    let mut world = World::with(reports_only()).await;
    world.send("PUT", "/api/performance/alerts", &[], &rules(5)).await.expect(200);
    // Two hosts over several blocks; one falls silent, one was forgotten and came back, one stays away.
    for block in 0..3_i64 {
        let seconds: Vec<i64> = (block * 300..(block + 1) * 300).collect();
        world.report("web-1", &seconds, busy).await.expect(200);
        world.report("web-2", &seconds, |_| 50.0).await.expect(200);
        world.report("gone", &seconds[..10], |_| 99.0).await.expect(200);
    }
    world.same_after_a_restart().await;
    for host in ["gone", "web-2"] {
        world.send("DELETE", &format!("/api/performance/hosts/{host}"), &[], &Value::Null).await.expect(204);
    }
    world.report("web-2", &[1000, 1001], |_| 50.0).await.expect(200);
    world.same_after_a_restart().await;
    world.send("PUT", "/api/performance/alerts", &[], &rules(0)).await.expect(200);
    world.report("web-1", &[1100, 1101, 1102], |_| 96.0).await.expect(200);
    world.same_after_a_restart().await;
    let hosts = world.get("/api/performance/hosts").await.json();
    assert_eq!(hosts["hosts"].as_array().map(Vec::len), Some(2), "{hosts}");
}

#[tokio::test]
async fn a_rule_that_was_about_to_raise_goes_on_waiting_after_a_restart() {
    let mut world = World::with(reports_only()).await;
    world.send("PUT", "/api/performance/alerts", &[], &rules(10)).await.expect(200);
    world.report("web-1", &(0..8).collect::<Vec<_>>(), |_| 95.0).await.expect(200);
    world.restart().await;
    world.report("web-1", &(8..11).collect::<Vec<_>>(), |_| 95.0).await.expect(200);
    let standing = world.get("/api/performance/alerts").await.json();
    assert_eq!(standing["active"][0]["since"], "2026-01-23T10:00:10.000Z", "{standing}");
}
