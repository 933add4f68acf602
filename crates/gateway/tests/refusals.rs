//! What is refused, how it is told, and that nothing else is disturbed by it.

mod support;

use anywire_gateway::{AuthConfig, GatewayConfig, LimitsConfig};
use serde_json::json;
use support::{server, server_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_get_their_code_on_both_paths() {
    let server = server().await;
    let cases = [
        ("/anywire/poll?channels=a&after=x", "400", "invalid_cursor"),
        ("/anywire/poll", "400", "invalid_request"),
        ("/anywire/sse?channels=a,,b", "400", "invalid_channel"),
        ("/anywire/poll?channels=a&wait=99", "400", "invalid_request"),
    ];
    for (target, status, code) in cases {
        // A second header value keeps the request off the direct path.
        for extra in ["", "Content-Length: 0\n"] {
            let mut answer =
                server.request(&format!("GET {target} HTTP/1.1\nHost: 127.0.0.1\n{extra}\n")).await;
            let text = answer.until("\"message\":").await;
            assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{target}: {text}");
            assert!(text.contains(&format!("\"code\":\"{code}\"")), "{target}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_frame_is_answered_and_the_connection_goes_on() {
    let server = server().await;
    let mut socket = server.websocket().await;
    socket.send("nonsense").await;
    assert_eq!(socket.expect("error").await["code"], "invalid_request");
    socket.send(r#"{"op":"subscribe","id":7,"channels":["a b"]}"#).await;
    let error = socket.expect("error").await;
    assert_eq!((&error["id"], &error["code"]), (&json!(7), &json!("invalid_channel")));
    socket.send(r#"{"op":"ping","id":8}"#).await;
    assert_eq!(socket.expect("pong").await["id"], 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_and_other_host_names_are_kept_out_of_an_open_server() {
    let server = server().await;
    for (header, code) in [("Origin: https://evil.example", "origin_forbidden"), ("X: y", "host_forbidden")] {
        let host = if code == "host_forbidden" { "evil.example" } else { "127.0.0.1" };
        for target in ["/anywire/poll?channels=a", "/anywire/sse?channels=a", "/anywire/presence?channel=a"] {
            let mut answer =
                server.request(&format!("GET {target} HTTP/1.1\nHost: {host}\n{header}\n\n")).await;
            let text = answer.until("\"message\":").await;
            assert!(text.starts_with("HTTP/1.1 403") && text.contains(code), "{target}: {text}");
        }
    }
    let upgrade = "GET /anywire/ws HTTP/1.1\nHost: 127.0.0.1\nOrigin: https://evil.example\nUpgrade: websocket\n\
        Connection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n";
    let mut answer = server.request(upgrade).await;
    assert!(answer.until("origin_forbidden").await.starts_with("HTTP/1.1 403"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_nothing_is_published_or_read_where_keys_are_set() {
    let auth = AuthConfig { api_keys: vec!["0123456789abcdef".into()], ..AuthConfig::default() };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 64 << 20).await;
    let body = "{\"channel\":\"a\",\"data\":1}";
    let publish = |key: &str| {
        let length = body.len();
        format!("POST /anywire/publish HTTP/1.1\nHost: live.example\n{key}Content-Length: {length}\n\n{body}")
    };
    let mut answer = server.request(&publish("")).await;
    assert!(answer.until("unauthorized").await.starts_with("HTTP/1.1 401"));
    let mut answer = server.request(&publish("Authorization: Bearer 0123456789abcdef\n")).await;
    assert!(answer.until("\"offsets\":[1]").await.starts_with("HTTP/1.1 200"));
    let mut answer =
        server.request("GET /anywire/poll?channels=a&after=0 HTTP/1.1\nHost: live.example\n\n").await;
    assert!(answer.until("unauthorized").await.starts_with("HTTP/1.1 401"));
    let mut answer = server
        .request(
            "GET /anywire/poll?channels=a&after=0&token=0123456789abcdef HTTP/1.1\nHost: live.example\n\n",
        )
        .await;
    assert!(answer.until("\"gap\":null}").await.contains("Cache-Control: private"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_told_with_their_setting() {
    let limits = LimitsConfig {
        channels_max: 2,
        message_bytes_max: 10,
        connections_per_address_max: 2,
        publish_per_second: 1,
        publish_burst: 1,
        ..LimitsConfig::default()
    };
    let server = server_with(GatewayConfig { limits, ..GatewayConfig::default() }, 64 << 20).await;
    let mut socket = server.websocket().await;
    socket.send(r#"{"op":"subscribe","id":1,"channels":["a","b","c"]}"#).await;
    let error = socket.expect("error").await;
    assert_eq!(error["code"], "too_many_channels");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("limits.channels_max")), "{error}");
    socket.send(r#"{"op":"publish","id":2,"channel":"a","data":"12345678901"}"#).await;
    assert_eq!(socket.expect("error").await["code"], "too_large");
    socket.send(r#"{"op":"publish","id":3,"channel":"a","data":1}"#).await;
    socket.expect("published").await;
    socket.send(r#"{"op":"publish","id":4,"channel":"a","data":1}"#).await;
    let error = socket.expect("error").await;
    assert_eq!(error["code"], "rate_limited");
    assert!(error["retry_ms"].as_u64().is_some_and(|ms| ms > 0), "{error}");
    let _second = server.websocket().await;
    let mut third = server.get("/anywire/poll?channels=a").await;
    assert!(third.until("\r\n\r\n").await.starts_with("HTTP/1.1 429"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_publication_with_a_key_appends_nothing_and_says_so() {
    let server = server().await;
    let publish = |data: &str| {
        let body = format!("{{\"channel\":\"a\",\"data\":{data}}}");
        let length = body.len();
        format!(
            "POST /anywire/publish HTTP/1.1\nHost: 127.0.0.1\nIdempotency-Key: k\nContent-Length: {length}\n\n{body}"
        )
    };
    let mut answer = server.request(&publish("1")).await;
    answer.until("\"offsets\":[1]}").await;
    let mut answer = server.request(&publish("1")).await;
    answer.until("\"offsets\":[1],\"duplicate\":true}").await;
    let mut answer = server.request(&publish("2")).await;
    assert!(answer.until("idempotency_conflict").await.starts_with("HTTP/1.1 409"));
}
