//! What is produced comes out: events, lists, counters.

use std::collections::BTreeSet;

use axum::{body::Body, http::StatusCode};
use serde_json::{Value, json};

use crate::support::{World, quick};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_record_is_received_processed_and_counted_with_the_promised_payloads() {
    let mut world = World::new(quick()).await;
    let sent = world.send(r#"{"name":"Test","value":100}"#).await;
    let received = world.hear("message-received", |_| true).await;
    assert_eq!(
        keys(&received),
        BTreeSet::from(["logId", "topic", "partition", "offset", "dataType", "rowCount", "timestamp"])
    );
    let id = received["logId"].clone();
    assert_eq!((&received["topic"], &received["offset"]), (&json!("test"), &sent["record"]["offset"]));
    assert_eq!((&received["dataType"], &received["rowCount"]), (&json!("SINGLE_MESSAGE"), &json!(1)));
    let started = world.hear("processing-started", |_| true).await;
    assert_eq!(keys(&started), BTreeSet::from(["logId", "status", "timestamp"]));
    let completed = world.hear("processing-completed", |_| true).await;
    assert_eq!(keys(&completed), BTreeSet::from(["logId", "consumerId", "status", "timestamp"]));
    assert_eq!(
        (&completed["logId"], &completed["consumerId"], &completed["status"]),
        (&id, &json!("consumer-1"), &json!("PROCESSED"))
    );
    world.counters(1, 1, 0).await;
    let stats = world.hear("stats-updated", |stats| stats["processedMessages"] == 1).await;
    assert_eq!(
        keys(&stats),
        BTreeSet::from([
            "totalMessages",
            "processedMessages",
            "failedMessages",
            "activeConsumers",
            "timestamp"
        ])
    );
    assert_eq!(stats["activeConsumers"], 1);
    let listed = world.get("/api/consumers/logs").await;
    assert_eq!((&listed["logs"][0]["logId"], &listed["logs"][0]["status"]), (&id, &json!("PROCESSED")));
    let same = world.get("/api/consumers/statistics").await;
    assert_eq!((&same["totalMessages"], keys(&same)), (&json!(1), keys(&stats)));
}

#[tokio::test]
async fn the_list_after_a_cursor_has_only_what_changed() {
    let mut world = World::new(quick()).await;
    world.send("1").await;
    world.counters(1, 1, 0).await;
    let first = world.get("/api/consumers/logs").await;
    let path = format!("/api/consumers/logs?after={}", first["cursor"].as_str().expect("a cursor"));
    assert_eq!(world.get(&path).await["logs"], json!([]));
    world.send("2").await;
    world.counters(2, 2, 0).await;
    let after = world.get(&path).await;
    assert_eq!(after["logs"].as_array().expect("a list").len(), 1);
    assert_ne!(after["logs"][0]["logId"], first["logs"][0]["logId"]);
}

#[tokio::test]
async fn a_record_is_shown_with_its_key_headers_and_exact_value() {
    let mut world = World::new(quick()).await;
    let path = "/api/producers/send/single?topic=test&key=k1&header.source=web";
    let (status, _) = world.call("POST", path, None, &b"\xff\x00raw"[..]).await;
    assert_eq!(status, StatusCode::CREATED);
    world.counters(1, 1, 0).await;
    let listed = world.get("/api/consumers/logs").await;
    let id = listed["logs"][0]["logId"].as_str().expect("an id").to_owned();
    let shown = world.get(&format!("/api/consumers/logs/{id}")).await;
    assert_eq!(shown["record"]["key"]["text"], "k1");
    assert_eq!(
        shown["record"]["headers"],
        json!([{"name": "source", "value": {"text": "web", "bytes": 3, "truncated": false}}])
    );
    assert_eq!(shown["record"]["value"], json!({"base64": "/wByYXc=", "bytes": 5, "truncated": false}));
    // Produced again it is another record with the same bytes.
    let (status, again) =
        world.call("POST", &format!("/api/consumers/logs/{id}/replay"), None, Body::empty()).await;
    assert_eq!(status, StatusCode::CREATED, "{again}");
    world.counters(2, 2, 0).await;
    let listed = world.get("/api/consumers/logs").await;
    let second = listed["logs"][0]["logId"].as_str().expect("an id");
    assert_ne!(second, id);
    let copy = world.get(&format!("/api/consumers/logs/{second}")).await;
    assert_eq!(
        (&copy["record"]["value"], &copy["record"]["key"]),
        (&shown["record"]["value"], &shown["record"]["key"])
    );
}

#[tokio::test]
async fn json_is_kept_as_it_came_but_for_a_byte_order_mark() {
    let mut world = World::new(quick()).await;
    let path = "/api/producers/send/single?topic=test&header.x=1&header.x=2";
    let body = &b"\xef\xbb\xbf{\"q\":1, \"q\":2}"[..];
    let (status, answer) = world.call("POST", path, Some("application/json"), body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    world.counters(1, 1, 0).await;
    let listed = world.get("/api/consumers/logs").await;
    let id = listed["logs"][0]["logId"].as_str().expect("an id").to_owned();
    let shown = world.get(&format!("/api/consumers/logs/{id}")).await;
    assert_eq!(shown["record"]["value"]["text"], "{\"q\":1, \"q\":2}");
    assert_eq!(shown["record"]["headers"].as_array().map(Vec::len), Some(2), "a header may come twice");
}

#[tokio::test]
async fn a_csv_file_comes_in_batches_with_their_rows_counted() {
    let mut world = World::new(anywire_pipeline::PipelineConfig { csv_rows: 100, ..quick() }).await;
    let rows: String = (0..250).map(|n| format!("name {n},{n}\n")).collect();
    let (status, answer) = world
        .call("POST", "/api/producers/send/csv?topic=test", Some("text/csv"), format!("name,value\n{rows}"))
        .await;
    assert_eq!(
        (status, &answer["rowCount"], &answer["batches"]),
        (StatusCode::CREATED, &json!(250), &json!(3)),
        "{answer}"
    );
    world.counters(3, 3, 0).await;
    let mut counts: Vec<u64> = Vec::new();
    for event in world.heard.iter().filter(|event| event.name.as_str() == "message-received") {
        let payload: Value = serde_json::from_slice(event.payload.as_bytes()).expect("JSON");
        assert_eq!(payload["dataType"], "CSV_BATCH");
        counts.extend(payload["rowCount"].as_u64());
    }
    counts.sort_unstable();
    assert_eq!(counts, [50, 100, 100]);
}

#[tokio::test]
async fn what_cannot_be_produced_is_refused_with_a_way_out() {
    let world = World::new(quick()).await;
    let post = async |path: &str, kind: Option<&str>, body: String| {
        let (status, answer) = world.call("POST", path, kind, body).await;
        (
            status.as_u16(),
            answer["code"].as_str().unwrap_or_default().to_owned(),
            answer["message"].to_string(),
        )
    };
    let (status, code, message) =
        post("/api/producers/send/single?topic=nowhere", None, "1".to_owned()).await;
    assert_eq!((status, code.as_str()), (404, "unknown_topic"));
    assert!(message.contains("nowhere") && message.contains("test"), "{message}");
    let (status, code, _) = post("/api/producers/send/single", None, "1".to_owned()).await;
    assert_eq!((status, code.as_str()), (400, "invalid_request"));
    let single = "/api/producers/send/single?topic=test";
    let (status, code, _) = post(single, Some("application/json"), "{".to_owned()).await;
    assert_eq!((status, code.as_str()), (400, "invalid_request"));
    let deep = "[".repeat(65) + &"]".repeat(65);
    let (status, _, message) = post(single, Some("application/json"), deep.clone()).await;
    assert!(status == 400 && message.contains("nested deeper than 64 levels"), "{status} {message}");
    assert_eq!(post(single, None, deep).await.0, 201, "what is not said to be JSON is bytes");
    for (more, words) in [
        ("topic=test", "\\\"topic\\\" stands in the address more than once"),
        ("key=a&key=b", "\\\"key\\\" stands in the address more than once"),
        ("key=%ff", "\\\"key\\\" is \\\"%ff\\\", which is no UTF-8"),
        ("header.x=%ff", "\\\"header.x\\\" is \\\"%ff\\\", which is no UTF-8"),
        ("header.%ff=x", "no UTF-8"),
        ("header.=1", "use at least one character, and none of control"),
        ("header.a%0d%0ab=1", "use at least one character, and none of control"),
        ("zz=1", "query parameter \\\"zz\\\" is unknown; use topic, key, header.NAME"),
        ("header=1", "is unknown"),
    ] {
        let (status, code, message) = post(&format!("{single}&{more}"), None, "1".to_owned()).await;
        assert_eq!((status, code.as_str()), (400, "invalid_request"), "{more}: {message}");
        assert!(message.contains(words), "{more}: {message}");
    }
    let no_utf_8 = Body::from(&b"{\"name\":\"\xff\"}"[..]);
    let (status, answer) = world.call("POST", single, Some("application/json"), no_utf_8).await;
    assert_eq!((status.as_u16(), &answer["code"]), (400, &json!("invalid_request")), "{answer}");
    for bytes in [1_000_001, 3_000_000] {
        let (status, code, message) = post(single, None, "x".repeat(bytes)).await;
        assert_eq!((status, code.as_str()), (413, "too_large"), "{message}");
    }
    let (status, _, message) =
        post("/api/producers/send/csv?topic=test", None, "a,b\n1,2\n3\n".to_owned()).await;
    assert!(status == 400 && message.contains("line 3, column 2"), "{status} {message}");
}

#[tokio::test]
async fn nothing_of_a_csv_file_is_sent_that_cannot_be_kept_whole() {
    let world =
        World::new(anywire_pipeline::PipelineConfig { csv_rows: 1, csv_bytes_max: 5000, ..quick() }).await;
    let path = "/api/producers/send/csv?topic=test";
    let good = "n,text\n1,a\n2,b\n3,c\n";
    let row = "x".repeat(4000);
    let cases = [
        (format!("{good}4,\"d\n5,e\n"), 400, "line 5, column 3"),
        (format!("{good}4\n"), 400, "line 5, column 2"),
        (format!("{good}4,d,e\n"), 400, "line 5, column 5"),
        ("n,n\n1,2\n".to_owned(), 400, "line 1, column 3: column 2 is named \"n\" as column 1 is"),
        ("n,\n1,2\n".to_owned(), 400, "line 1, column 3: column 2 has no name"),
        (String::new(), 400, "the file is empty"),
        (format!("{good}4,{row}{row}\n"), 413, "pipeline.csv_bytes_max"),
    ];
    for (body, expected, words) in cases {
        let (status, answer) = world.call("POST", path, None, body.clone()).await;
        let message = answer["message"].as_str().expect("a message").to_owned();
        assert_eq!(status.as_u16(), expected, "{body:?}: {message}");
        assert!(message.contains(words) && message.contains("nothing was sent"), "{body:?}: {message}");
    }
    for more in ["zz=1", "header=1&header=2", "topic=nope", "delimiter=%ff"] {
        let (status, answer) = world.call("POST", &format!("{path}&{more}"), None, good).await;
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{more}");
    }
    let (status, _) = world.call("POST", &format!("{path}&delimiter=ab"), None, good).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, answer) = world.call("POST", &format!("{path}&delimiter=%3B"), None, "a;b\n1;2\n").await;
    let read = (&answer["encoding"], &answer["delimiter"], &answer["headerLine"], &answer["rowCount"]);
    assert_eq!((status, read), (StatusCode::CREATED, (&json!("UTF-8"), &json!(";"), &json!(1), &json!(1))));
    // One record in all, and no file is left.
    assert_eq!((&answer["first"]["offset"], &answer["batches"]), (&answer["last"]["offset"], &json!(1)));
    let left = std::fs::read_dir(world.folder.path().join("incoming")).expect("a folder").count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn csv_files_past_those_that_are_taken_at_once_are_told_to_come_back() {
    const AT_ONCE: usize = 8;
    let world = World::new(quick()).await;
    let path = "/api/producers/send/csv?topic=test";
    let endless =
        || axum::body::Body::from_stream(futures_util::stream::pending::<std::io::Result<String>>());
    let mut waiting: Vec<_> =
        (0..AT_ONCE).map(|_| Box::pin(world.call("POST", path, None, endless()))).collect();
    for call in &mut waiting {
        assert!(futures_util::poll!(call.as_mut()).is_pending());
    }
    let (status, answer) = world.call("POST", path, None, "a\n1\n").await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("busy")));
    drop(waiting);
    let (status, answer) = world.call("POST", path, None, "a\n1\n").await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}
