//! The state is in the log: a restart finds everything there.

use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn after_a_restart_finished_jobs_are_there_and_running_ones_are_interrupted() {
    let mut world = World::new().await;
    for id in ["done", "running"] {
        world
            .post("/api/progress", &json!({"session_id": id, "title": id, "total_steps": 2}).to_string())
            .await
            .expect(201);
        world
            .post(&format!("/api/progress/{id}/step"), r#"{"name":"one","metadata":{"k":[1,"ă"]}}"#)
            .await
            .expect(200);
    }
    let done = world.post("/api/progress/done/complete", r#"{"result":1.5}"#).await.expect(200).json();
    world.restart().await;
    assert_eq!(world.get("/api/progress/done").await.expect(200).json(), done);
    let interrupted = world.get("/api/progress/running").await.expect(200).json();
    assert_eq!(
        (&interrupted["status"], &interrupted["metadata"]),
        (&json!("interrupted"), &json!({"k":[1,"ă"]}))
    );
    assert_eq!(world.updates("running").await.len(), 3);

    // Whoever drives it may not even have noticed.
    let next = world.post("/api/progress/running/step", r#"{"name":"two"}"#).await.expect(200).json();
    assert_eq!((&next["status"], &next["step"]), (&json!("running"), &json!(2)));
}

#[tokio::test]
async fn a_repeated_call_is_known_after_a_restart() {
    let mut world = World::new().await;
    let start = r#"{"session_id":"a","title":"x","total_steps":2}"#;
    let key = [("idempotency-key", "k")];
    let first = world.call("POST", "/api/progress", &key, start).await.expect(201).json();
    world.restart().await;
    assert_eq!(world.call("POST", "/api/progress", &key, start).await.expect(201).json(), first);
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart_where_its_file_ends() {
    let mut world = World::new().await;
    let (id, path) = world.create(12).await;
    world.patch(&path, 0, &[], "a,b\n").await.expect(204);
    world.restart().await;
    assert_eq!(world.get(&format!("/api/progress/{id}")).await.json()["status"], "interrupted");
    assert_eq!(world.offset(&path).await, "4");
    world.patch(&path, 4, &[], "1,2\n3,4\n").await.expect(204);
    let state = world.until_status(&id, "succeeded").await;
    assert_eq!(state["result"]["rows"], 2);
}

#[tokio::test]
async fn a_finished_report_is_there_after_a_restart() {
    let mut world = World::new().await;
    let id = world.upload("x.csv", b"a,b\n1,2\n").await;
    let before = world.until_status(&id, "succeeded").await;
    world.restart().await;
    let mut after = world.get(&format!("/api/progress/{id}")).await.json();
    after.as_object_mut().expect("an object").remove("cursor");
    assert_eq!(after, before);
    world.get(&format!("/api/jobs/{id}/report")).await.expect(200);
}

#[tokio::test]
async fn a_forgotten_job_stays_forgotten_and_files_without_a_job_go() {
    let mut world = World::new().await;
    let id = world.upload("x.csv", b"a,b\n1,2\n").await;
    world.until_status(&id, "succeeded").await;
    world.call("DELETE", &format!("/api/jobs/{id}"), &[], "").await.expect(204);
    let uploads = world.folder.path().join("uploads");
    assert_eq!(std::fs::read_dir(&uploads).expect("a folder").count(), 0);
    std::fs::create_dir(uploads.join("8c6bbd54-4a0a-4f3e-9c53-2f0f9be5b0a1")).expect("made");
    world.restart().await;
    assert_eq!(world.get("/api/jobs").await.json()["jobs"], Value::Array(Vec::new()));
    assert_eq!(std::fs::read_dir(&uploads).expect("a folder").count(), 0);
}

#[tokio::test]
async fn many_records_are_replaced_by_snapshots_and_nothing_is_lost() {
    let mut world = World::new().await;
    for id in ["busy", "quiet"] {
        world
            .post("/api/progress", &json!({"session_id": id, "title": id, "total_steps": 2}).to_string())
            .await
            .expect(201);
    }
    let unnamed = r#"{"title":"once","total_steps":1}"#;
    let key = [("idempotency-key", "k")];
    let once = world.call("POST", "/api/progress", &key, unnamed).await.expect(201).json();
    for percent in 0..20_001 {
        let body = format!(r#"{{"name":"one","percent":{}}}"#, percent % 100);
        world.post("/api/progress/busy/step", &body).await.expect(200);
    }
    world.post("/api/progress/busy/complete", "").await.expect(200);
    let records = world.kept("jobs");
    assert!(records > 20_000, "{records}");
    let before = world.get("/api/jobs").await.json();
    // The schedule looks when it begins.
    world.restart().await;
    world.until_kept("jobs", |kept| kept < 10).await;
    world.restart().await;
    let again = world.call("POST", "/api/progress", &key, unnamed).await.expect(201).json();
    assert_eq!(again["session_id"], once["session_id"], "a call is known also when its record is gone");
    let after = world.get("/api/jobs").await.json();
    assert_eq!(after["jobs"][2]["status"], "succeeded");
    let without = |list: &Value, place: usize| {
        let mut job = list["jobs"][place].clone();
        let object = job.as_object_mut().expect("an object");
        object.retain(|key, _| !["cursor", "status", "updated_at"].contains(&key.as_str()));
        job
    };
    assert_eq!([0, 1, 2].map(|place| without(&after, place)), [0, 1, 2].map(|place| without(&before, place)));
}
