//! Publishing over HTTP: on the socket itself and by the HTTP library, which must answer alike.

mod support;

use anywire_gateway::{AuthConfig, GatewayConfig, LimitsConfig};
use serde_json::{Value, json};
use support::{Raw, SECRET, in_seconds, server, server_with, token};
use tokio::io::AsyncWriteExt;

const KEY: &str = "0123456789abcdef";

fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /anywire/publish HTTP/1.1\nHost: 127.0.0.1\n{headers}Content-Length: {length}\n\n{body}")
}

/// The same in one chunk, which keeps it off the direct path.
fn chunked(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /anywire/publish HTTP/1.1\nHost: 127.0.0.1\n{headers}Transfer-Encoding: chunked\n\n{length:x}\n{body}\n0\n\n"
    )
}

/// The status line of the next answer, and what it says.
async fn answer(raw: &mut Raw) -> (String, Value) {
    let (head, body) = raw.answer().await;
    (head.lines().next().unwrap_or_default().to_owned(), serde_json::from_str(&body).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_publishes_again_and_again_however_its_bytes_are_cut() {
    let server = server().await;
    let mut publisher = server.request("").await;
    let request = post("", r#"{"channel":"a","data":1}"#).replace('\n', "\r\n");
    let (mut sent, mut expected) = (Vec::new(), 0);
    for cut in [1, 40, request.len() - 20, request.len() - 1] {
        publisher.stream.write_all(&request.as_bytes()[..cut]).await.expect("a write");
        tokio::task::yield_now().await;
        publisher.stream.write_all(&request.as_bytes()[cut..]).await.expect("a write");
        expected += 1;
        let (status, body) = answer(&mut publisher).await;
        assert_eq!((status.as_str(), &body["offsets"]), ("HTTP/1.1 200 OK", &json!([expected])), "{cut}");
        sent.push(body["cursor"].clone());
    }
    assert_eq!(sent.last(), Some(&json!(server.cursor(4))));
    // Several at once, and between them what the library answers.
    let get = "GET /anywire/presence?channel=a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    publisher
        .stream
        .write_all([&request, &request, get, &request].concat().as_bytes())
        .await
        .expect("a write");
    for offset in [5, 6] {
        assert_eq!(answer(&mut publisher).await.1["offsets"], json!([offset]));
    }
    assert!(answer(&mut publisher).await.1["members"].is_array());
    assert_eq!(answer(&mut publisher).await.1["offsets"], json!([7]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_paths_answer_alike() {
    let server = server().await;
    let bodies = [
        r#"{"channel":"a","data":1}"#,
        r#"{"events":[{"channel":"a","data":1},{"channel":"b","event":"x","data":"AAE=","encoding":"base64"}]}"#,
        r#"{"channel":"a","data":}"#,
        r#"{"channel":"$sys","data":1}"#,
        r#"{"channel":"a b","data":1}"#,
        r#"{"events":[]}"#,
        "",
    ];
    for body in bodies {
        let mut heard = Vec::new();
        for request in [post("Idempotency-Key: k-1\n", body), chunked("Idempotency-Key: k-1\n", body)] {
            let mut raw = server.request(&request).await;
            let (status, mut told) = answer(&mut raw).await;
            // The key makes the second of two that succeed a repetition.
            told.as_object_mut().expect("an object").remove("duplicate");
            heard.push((status, told));
        }
        assert_eq!(heard[0], heard[1], "{body}");
    }
    let key = post(&format!("Idempotency-Key: {}\n", "k".repeat(300)), bodies[0]);
    let mut raw = server.request(&key).await;
    assert_eq!(answer(&mut raw).await.1["code"], "invalid_request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_an_allowed_origin_may_read_the_answer_and_one_of_another_publishes_nothing() {
    let auth = AuthConfig {
        api_keys: vec![KEY.into()],
        origins: vec!["https://app.example".into()],
        ..AuthConfig::default()
    };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 64 << 20).await;
    let from = |origin: &str| {
        let headers = format!("Origin: {origin}\nAuthorization: Bearer {KEY}\n");
        post(&headers, r#"{"channel":"a","data":1}"#)
    };
    let mut raw = server.request(&from("https://app.example")).await;
    let text = raw.until("\"offsets\":[1]").await;
    assert!(text.contains("Access-Control-Allow-Origin: https://app.example\r\n"), "{text}");
    assert!(text.contains("Vary: Origin\r\n"), "{text}");
    let mut raw = server.request(&from("https://evil.example")).await;
    let text = raw.until("origin_forbidden").await;
    assert!(text.starts_with("HTTP/1.1 403") && !text.contains("Access-Control-Allow-Origin"), "{text}");
    assert_eq!(server.log.tail_offset().get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_may_try_again_on_the_same_connection() {
    let auth = AuthConfig { api_keys: vec![KEY.into()], ..AuthConfig::default() };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 64 << 20).await;
    let body = r#"{"channel":"a","data":1}"#;
    let mut raw = server.request(&post("", body)).await;
    assert_eq!(answer(&mut raw).await.0, "HTTP/1.1 401 Unauthorized");
    raw.send(&post("Authorization: Bearer wrong\n", body)).await;
    assert_eq!(answer(&mut raw).await.1["code"], "unauthorized");
    raw.send(&post(&format!("Authorization: Bearer {KEY}\n"), body)).await;
    assert_eq!(answer(&mut raw).await.1["offsets"], json!([1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_refused_before_it_is_kept() {
    let limits = LimitsConfig { request_bytes_max: 2000, message_bytes_max: 1000, ..LimitsConfig::default() };
    let server = server_with(GatewayConfig { limits, ..GatewayConfig::default() }, 64 << 20).await;
    let body = format!(r#"{{"channel":"a","data":"{}"}}"#, "x".repeat(1 << 20));
    let mut raw = server.request(&post("", &body)).await;
    let (status, told) = answer(&mut raw).await;
    assert_eq!(status, "HTTP/1.1 413 Payload Too Large");
    let message = told["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("limits.request_bytes_max") && message.contains(&body.len().to_string()),
        "{told}"
    );
    assert!(raw.ends().await);
    // Without a key nobody makes the server keep anything: it answers before the body has come.
    let auth = AuthConfig { api_keys: vec![KEY.into()], ..AuthConfig::default() };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 64 << 20).await;
    let mut raw = server.request("POST /anywire/publish HTTP/1.1\nHost: x\nContent-Length: 500\n\n{").await;
    assert_eq!(answer(&mut raw).await.0, "HTTP/1.1 401 Unauthorized");
}

/// Publishes to channels in one batch; what the answer says.
async fn publish_to(server: &support::Server, token: &str, channels: &[String]) -> Value {
    let events: Vec<_> = channels.iter().map(|channel| json!({"channel": channel, "data": 1})).collect();
    let headers = format!("Authorization: Bearer {token}\n");
    let mut raw = server.request(&post(&headers, &json!({ "events": events }).to_string())).await;
    answer(&mut raw).await.1
}

fn named(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("c{number}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_have_an_end_in_all_and_for_one_client() {
    let auth = AuthConfig {
        api_keys: vec![KEY.to_owned()],
        jwt_secret: Some(SECRET.to_owned()),
        ..AuthConfig::default()
    };
    let limits = LimitsConfig {
        channels_total_max: 20,
        channels_per_principal_max: 8,
        publish_burst: 1000,
        ..LimitsConfig::default()
    };
    let server = server_with(GatewayConfig { auth, limits, ..GatewayConfig::default() }, 64 << 20).await;
    let client = |user: &str| token(&json!({"sub": user, "exp": in_seconds(600), "publish": ["*"]}));
    let (ann, bob) = (client("ann"), client("bob"));
    assert!(publish_to(&server, &ann, &named(0..8)).await["offsets"].is_array());
    let refused = publish_to(&server, &ann, &named(8..9)).await;
    let words = refused["message"].as_str().expect("words");
    assert_eq!(refused["code"], "too_many_channels");
    assert!(
        words.contains("c8") && words.contains("8 channels") && words.contains("channels_per_principal_max")
    );
    assert!(publish_to(&server, &ann, &named(0..8)).await["offsets"].is_array(), "those that exist");
    // A new token and a new connection are the same client; another is not.
    let refused = publish_to(&server, &client("ann"), &named(8..9)).await;
    assert_eq!(refused["code"], "too_many_channels");
    assert!(publish_to(&server, &bob, &named(8..12)).await["offsets"].is_array());
    // Keys make as many as there may be in all.
    assert!(publish_to(&server, KEY, &named(12..20)).await["offsets"].is_array());
    for who in [KEY, &bob] {
        let refused = publish_to(&server, who, &named(19..21)).await;
        let words = refused["message"].as_str().expect("words");
        assert_eq!(refused["code"], "too_many_channels");
        assert!(
            words.contains("c20") && words.contains("20 channels") && words.contains("channels_total_max")
        );
    }
    assert!(publish_to(&server, KEY, &named(0..20)).await["offsets"].is_array(), "those that exist");
    // What the server publishes itself is not refused, and one that is empty again leaves its place.
    server.publish("of_the_server", "1").await;
    for channel in ["of_the_server", "c0"] {
        let name = anywire_log::Channel::new(channel).expect("a name");
        server.log.trim(name, anywire_log::Offset::MAX).await.expect("a trim");
    }
    assert_eq!(server.log.channel_count(), 19);
    assert!(publish_to(&server, KEY, &named(20..21)).await["offsets"].is_array());
}
