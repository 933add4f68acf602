//! The greatest numbers that a client can send: where they are added to, nothing overflows.

use serde_json::json;

use crate::support::World;

/// 2^53 is the first whole number that a double confuses with its neighbour.
const GREATEST: [&str; 3] = ["18446744073709551615", "9007199254740992", "9007199254740991"];

#[tokio::test]
async fn the_greatest_numbers_are_taken_or_refused_and_break_nothing() {
    let world = World::new().await;
    let start = json!({"session_id": "a", "title": "x", "total_steps": 1, "argv": ["x"]}).to_string();
    world.post("/api/progress", &start).await.expect(201);
    let tus = ("tus-resumable", "1.0.0");
    let length = [tus, ("upload-length", "5")];
    let created = world.call("POST", "/api/uploads", &length, "").await.expect(201);
    let upload = format!("/api/{}", created.header("location"));
    for number in GREATEST {
        for (path, body, status) in [
            ("/api/progress", format!(r#"{{"title":"x","total_steps":{number}}}"#), 400),
            ("/api/progress", format!(r#"{{"title":"x","total_steps":1,"lease_ms":{number}}}"#), 400),
            ("/api/progress/a/step", format!(r#"{{"name":"x","step":{number}}}"#), 400),
            ("/api/progress/a/step", format!(r#"{{"name":"x","total_steps":{number}}}"#), 400),
            ("/api/progress/a/step", format!(r#"{{"name":"x","percent":{number}}}"#), 400),
            ("/api/jobs/a/log", format!(r#"{{"lines":["x"],"first":{number}}}"#), 400),
            ("/api/video-progress/cleanup", format!(r#"{{"older_than_s":{number}}}"#), 200),
        ] {
            let answer = world.post(path, &body).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {body}: {}", answer.text());
        }
        let after = world.get(&format!("/api/jobs/a/log?after={number}")).await.status.as_u16();
        assert_eq!(after, if number == GREATEST[2] { 200 } else { 400 }, "{number}");
        for path in ["/api/jobs/a/log?limit=", "/api/jobs?limit=", "/api/video-progress/a?after=00000000-"] {
            // A cursor that far is one, and its stream has no end.
            let is_cursor = path.contains("after") && number == GREATEST[2];
            if !is_cursor {
                let answer = world.get(&format!("{path}{number}")).await.status.as_u16();
                assert_eq!(answer, 400, "{path}{number}");
            }
        }
        let too_long = [tus, ("upload-length", number)];
        assert_eq!(world.call("POST", "/api/uploads", &too_long, "").await.status.as_u16(), 413, "{number}");
        let chunk = ("content-type", "application/offset+octet-stream");
        let behind = [tus, chunk, ("upload-offset", number)];
        assert_eq!(world.call("PATCH", &upload, &behind, "x").await.status.as_u16(), 409, "{number}");
    }
    world.post("/api/jobs/a/log", r#"{"lines":["x"]}"#).await.expect(204);
    assert_eq!(world.get("/api/jobs/a/log").await.json()["newest"], 1);
}
