//! What is refused, how it is told, and that nothing else is disturbed by it.

mod support;

use anywire_gateway::{AuthConfig, GatewayConfig, LimitsConfig};
use serde_json::json;
use support::{SECRET, in_seconds, server, server_with, token};

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
async fn what_is_no_text_or_stands_twice_in_an_address_is_refused_by_name() {
    let server = server().await;
    for (line, code, member) in [
        ("GET /anywire/presence?channel=%ff", "invalid_channel", "channel"),
        ("GET /anywire/poll?channels=a,%fe&after=0", "invalid_channel", "channels"),
        ("GET /anywire/poll?channels=a&after=0&after=0", "invalid_request", "after"),
        ("GET /anywire/sse?channels=a&client=%ff", "invalid_request", "client"),
        ("POST /anywire/publish?token=%ff", "invalid_request", "token"),
        ("POST /anywire/publish?token=a&token=b", "invalid_request", "token"),
    ] {
        let head = format!("{line} HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 0\n\n");
        let mut answer = server.request(&head).await;
        let text = answer.until("\"message\":").await;
        assert!(text.starts_with("HTTP/1.1 400") && text.contains(code), "{line}: {text}");
        answer.until(&format!("\\\"{member}\\\"")).await;
    }
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
    let poll = "GET /anywire/poll?channels=a&after=0";
    let key = "0123456789abcdef";
    let mut answer = server
        .request(&format!("{poll} HTTP/1.1\nHost: live.example\nAuthorization: Bearer {key}\n\n"))
        .await;
    assert!(answer.until("\"gap\":null}").await.contains("Cache-Control: private"));
    // Where proxies, browsers and logs would keep it; on both paths.
    for more in ["", "Content-Length: 0\n"] {
        let head = format!("{poll}&token={key} HTTP/1.1\nHost: live.example\n{more}\n");
        let mut answer = server.request(&head).await;
        let text = answer.until("Authorization: Bearer").await;
        assert!(
            text.starts_with("HTTP/1.1 401") && text.contains("does not belong into an address"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_told_with_their_setting() {
    let limits = LimitsConfig {
        channels_max: 2,
        message_bytes_max: 10,
        connections_per_address_max: 2,
        publish_per_second: 1,
        publish_burst: 1,
        backends_limited: true,
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
    let text = third.until("\"message\":").await;
    assert!(text.starts_with("HTTP/1.1 429") && text.contains("\r\nRetry-After: 1\r\n"), "{text}");
    assert!(text.contains("limits.connections_per_address_max"), "{text}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_held_to_the_rate_over_http_and_a_back_end_is_not() {
    let auth = AuthConfig {
        api_keys: vec!["0123456789abcdef".into()],
        jwt_secret: Some(SECRET.into()),
        ..AuthConfig::default()
    };
    let limits = LimitsConfig { publish_per_second: 1, publish_burst: 1, ..LimitsConfig::default() };
    let server = server_with(GatewayConfig { auth, limits, ..GatewayConfig::default() }, 64 << 20).await;
    let publish = |bearer: &str| {
        let body = "{\"channel\":\"a\"}";
        let length = body.len();
        format!(
            "POST /anywire/publish HTTP/1.1\nHost: live.example\nAuthorization: Bearer {bearer}\nContent-Length: {length}\n\n{body}"
        )
    };
    // Far enough in the future: the second publication comes long before a token is back.
    let ann = token(&json!({ "sub": "ann", "exp": in_seconds(1000), "publish": ["a"] }));
    let mut first = server.request(&publish(&ann)).await;
    assert!(first.until("offsets").await.starts_with("HTTP/1.1 200"));
    let mut refused = false;
    for _ in 0..100 {
        let mut answer = server.request(&publish(&ann)).await;
        let text = answer.until("\r\n\r\n{").await.to_ascii_lowercase();
        refused |= text.starts_with("http/1.1 429") && text.contains("\r\nretry-after: ");
    }
    assert!(refused, "a hundred requests took a hundred seconds, or the rate is not held");
    for _ in 0..3 {
        let mut answer = server.request(&publish("0123456789abcdef")).await;
        assert!(answer.until("offsets").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_publish_nothing_cannot_send_large_messages() {
    let auth = AuthConfig { jwt_secret: Some(SECRET.into()), ..AuthConfig::default() };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 64 << 20).await;
    let mut stranger = server.websocket().await;
    stranger.send(&"x".repeat(1 << 20)).await;
    let (code, reason) = stranger.closed().await;
    assert_eq!(code, 1009);
    assert!(reason.contains("bytes"), "{reason}");
    let mut known = server.websocket().await;
    let publisher = token(&json!({ "sub": "ann", "exp": in_seconds(1000), "publish": ["a"] }));
    known.send(&format!("{{\"op\":\"auth\",\"id\":1,\"token\":\"{publisher}\"}}")).await;
    known.expect("authorized").await;
    let data = "x".repeat(500_000);
    known.send(&format!("{{\"op\":\"publish\",\"id\":2,\"channel\":\"a\",\"data\":\"{data}\"}}")).await;
    known.expect("published").await;
    assert_eq!(
        server.gateway.clients(10).1.iter().filter(|one| one.user.as_deref() == Some("ann")).count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_do_not_pile_up_and_all_come_in_the_end() {
    let server = server().await;
    let mut members = Vec::new();
    for number in 0..200 {
        let mut sse =
            server.get(&format!("/anywire/sse?channels=who_a&presence=1&client=member-{number}")).await;
        sse.until("id: ").await;
        members.push(sse);
    }
    let mut socket = server.websocket().await;
    let ask = r#"{"op":"presence","id":1,"channel":"who_a"}"#;
    socket.send_together(&vec![ask; 1000]).await;
    for _ in 0..1000 {
        let answer = socket.expect("presence").await;
        assert_eq!(answer["members"].as_array().map(Vec::len), Some(200));
    }
}

const STREAM: &str = "GET /anywire/sse?channels=a HTTP/1.1\nHost: 127.0.0.1\nOrigin: http://localhost\n";
/// Keeps a request off the direct path.
const LIBRARY: &str = "Content-Length: 0\n";

/// The text of a refused stream: its head, and its only event.
#[track_caller]
fn check_error_event(text: &str, code: &str) {
    let head = text.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{text}");
    assert!(head.contains("content-type: text/event-stream; charset=utf-8"), "{text}");
    assert!(head.contains("access-control-allow-origin: http://localhost"), "{text}");
    let event = format!("retry: 1000\nevent: error\ndata: {{\"code\":\"{code}\"");
    assert!(text.contains(&event) && text.contains("\"retry_ms\":1000}\n\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_over_the_limit_is_told_in_the_words_of_what_it_asks_for() {
    let limits = LimitsConfig { connections_max: 1, ..LimitsConfig::default() };
    let server = server_with(GatewayConfig { limits, ..GatewayConfig::default() }, 64 << 20).await;
    let _only = server.websocket().await;
    let mut stream = server.request(&format!("{STREAM}Accept: text/event-stream\n\n")).await;
    check_error_event(stream.until("}\n\n").await, "too_many_connections");
    for accept in ["", "Accept: */*\n"] {
        let mut plain = server.request(&format!("{STREAM}{accept}\n")).await;
        let text = plain.until("\"message\":").await;
        assert!(text.starts_with("HTTP/1.1 429") && text.contains("Retry-After: 1\r\n"), "{text}");
        assert!(text.contains("Access-Control-Allow-Origin: http://localhost\r\n"), "{text}");
    }
    let engine =
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\nHost: 127.0.0.1\nOrigin: http://localhost\n\n";
    let mut engine = server.request(engine).await;
    let text = engine.until("\"message\":").await;
    assert!(text.starts_with("HTTP/1.1 429") && text.contains("{\"code\":4,"), "{text}");
    assert!(text.contains("Access-Control-Allow-Origin: http://localhost\r\n"), "{text}");
    let mut strange = server
        .request("GET /anywire/sse?channels=a HTTP/1.1\nHost: 127.0.0.1\nOrigin: https://evil.example\n\n")
        .await;
    assert!(!strange.until("\"message\":").await.contains("Access-Control-Allow-Origin"));
    let mut silent = server.request("").await;
    assert!(
        silent.until("\"message\":").await.starts_with("HTTP/1.1 429"),
        "who says nothing is answered too"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_may_never_be_had_is_refused_by_its_status() {
    let server = server().await;
    for extra in ["", LIBRARY] {
        let target = "GET /anywire/sse?channels=a,,b HTTP/1.1\nHost: 127.0.0.1\nAccept: text/event-stream\n";
        let mut answer = server.request(&format!("{target}{extra}\n")).await;
        assert!(answer.until("invalid_channel").await.starts_with("HTTP/1.1 400"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_comes_while_the_server_stops_is_told_when_to_come_back() {
    let config = GatewayConfig { restart_window_ms: 0, ..GatewayConfig::default() };
    let server = server_with(config, 64 << 20).await;
    let routes = server.gateway.router();
    let ask = async |accept: &str| {
        let request = http::Request::get("/anywire/sse?channels=a")
            .header("host", "127.0.0.1")
            .header("accept", accept);
        let request = request.body(axum::body::Body::empty()).expect("a request");
        let response = tower::ServiceExt::oneshot(routes.clone(), request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    server.gateway.shut_down(std::time::Duration::ZERO).await;
    let (status, text) = ask("text/event-stream").await;
    assert_eq!(status, 200);
    assert!(text.starts_with("retry: 500\nevent: error\ndata: {\"code\":\"shutting_down\""), "{text}");
    assert_eq!(ask("*/*").await.0, 503);
    assert_eq!(server.gateway.metrics().refusals.load(std::sync::atomic::Ordering::Relaxed), 2);
}
