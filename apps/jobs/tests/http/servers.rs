//! Two servers on one log: both decide, each on what the other has committed.

use serde_json::json;

use crate::support::{World, data};

const JOBS: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_that_decide_on_a_job_at_once_make_every_change_once() {
    let one = World::new().await;
    let two = one.beside().await;
    let at_once = async |path: String, body: String| {
        let (one, two) = tokio::join!(
            tokio::spawn(one.asking("POST", &path, body.clone())),
            tokio::spawn(two.asking("POST", &path, body))
        );
        let mut statuses = [one, two].map(|answer| answer.expect("no panic").as_u16());
        statuses.sort_unstable();
        statuses
    };
    for number in 0..JOBS {
        let start = json!({"session_id": format!("job-{number}"), "title": "x", "total_steps": 2});
        assert_eq!(at_once("/api/progress".to_owned(), start.to_string()).await, [201, 409]);
        let path = |verb: &str| format!("/api/progress/job-{number}/{verb}");
        assert_eq!(at_once(path("step"), r#"{"name":"a"}"#.to_owned()).await, [200, 200]);
        assert_eq!(at_once(path("cancel"), String::new()).await, [200, 409]);
    }
    let records = one.events("jobs").await;
    let names: Vec<(String, String)> = records
        .iter()
        .map(|record| {
            (
                data(record)["session_id"].as_str().unwrap_or_default().to_owned(),
                record.name.as_str().to_owned(),
            )
        })
        .collect();
    for number in 0..JOBS {
        let id = format!("job-{number}");
        let of_job: Vec<&str> =
            names.iter().filter(|(job, _)| *job == id).map(|(_, name)| name.as_str()).collect();
        assert_eq!(of_job, ["started", "step_began", "cancelled"], "{id}");
    }
    let list = "/api/jobs?limit=500";
    assert_eq!(one.get(list).await.json()["jobs"], two.get(list).await.json()["jobs"]);
}
