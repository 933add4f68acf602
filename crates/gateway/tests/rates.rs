//! Rates are a user's, over all connections and transports; how many acts pass is counted, not how long it
//! takes. Rates are one a second here, so that a slow machine lets only a few more through.

mod support;

use anywire_gateway::{
    AuthConfig, GatewayConfig, LimitsConfig, MetricsCollector, NamespaceSection, SocketIoConfig,
};
use serde_json::{Value, json};
use support::{SECRET, Server, WebSocket, in_seconds, server_with, token};

/// What a slow machine may let through beside the burst.
const MORE: usize = 60;

fn slow(limits: LimitsConfig) -> GatewayConfig {
    let auth = AuthConfig {
        jwt_secret: Some(SECRET.into()),
        api_keys: vec!["0123456789abcdef".into()],
        ..AuthConfig::default()
    };
    let namespaces = vec![NamespaceSection { recovery: true, ..NamespaceSection::default() }];
    let socketio = SocketIoConfig { namespaces, ..SocketIoConfig::default() };
    GatewayConfig { auth, limits, socketio, ..GatewayConfig::default() }
}

async fn serve(limits: LimitsConfig) -> Server {
    server_with(slow(limits), 64 << 20).await
}

fn token_of(user: &str) -> String {
    token(&json!({ "sub": user, "exp": in_seconds(600), "subscribe": ["*"], "publish": ["*"] }))
}

async fn websocket(server: &Server, target: &str) -> WebSocket {
    let uri = format!("ws://{}{target}", server.address).parse().expect("a URI");
    let (socket, _) = tokio_websockets::ClientBuilder::from_uri(uri).connect().await.expect("an upgrade");
    WebSocket(socket)
}

async fn native(server: &Server, user: &str) -> WebSocket {
    websocket(server, &format!("/anywire/ws?token={}", token_of(user))).await
}

async fn text(socket: &mut WebSocket) -> String {
    use futures_util::StreamExt;
    let message = tokio::time::timeout(support::PATIENCE, socket.0.next()).await.expect("something came");
    let message = message.expect("the connection is open").expect("a sound frame");
    message.as_text().unwrap_or_default().to_owned()
}

/// A Socket.IO client that has joined `/`, or the error by which it was refused.
async fn socketio(server: &Server, user: &str) -> Result<WebSocket, String> {
    let mut socket = websocket(server, "/socket.io/?EIO=4&transport=websocket").await;
    assert!(text(&mut socket).await.starts_with('0'));
    socket.send(&format!("40{{\"token\":\"{}\"}}", token_of(user))).await;
    let answer = text(&mut socket).await;
    if answer.starts_with("40") { Ok(socket) } else { Err(answer) }
}

/// Emits an event with one argument, and returns the answer.
async fn emit(socket: &mut WebSocket, name: &str, argument: &Value) -> Value {
    socket.send(&format!("427[\"{name}\",{argument}]")).await;
    let answer = text(socket).await;
    let answer = answer.strip_prefix("437").unwrap_or_else(|| panic!("{answer} is no answer"));
    serde_json::from_str::<Vec<Value>>(answer).expect("JSON").remove(0)
}

/// The status and body of an answer; a rate's says when to come again.
async fn post(server: &Server, credentials: &str, body: &Value) -> (String, Value) {
    post_with(server, credentials, "", body).await
}

async fn post_with(server: &Server, credentials: &str, header: &str, body: &Value) -> (String, Value) {
    let body = body.to_string();
    let head = format!(
        "POST /anywire/publish HTTP/1.1\nHost: {}\nAuthorization: Bearer {credentials}\n{header}Content-Length: {}\n\n{body}",
        server.address,
        body.len()
    );
    let (head, body) = server.request(&head).await.answer().await;
    assert_eq!(head.contains("retry-after: "), head.starts_with("http/1.1 429"), "{head}");
    (head[9..12].to_owned(), serde_json::from_str(&body).expect("JSON"))
}

fn batch(count: usize) -> Value {
    json!({ "events": vec![json!({ "channel": "a" }); count] })
}

fn published(server: &Server) -> usize {
    usize::try_from(server.log.tail_offset().get()).expect("a few")
}

/// The value of a metric by its labels.
fn limited(server: &Server, kind: &str) -> u64 {
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(MetricsCollector(server.gateway.metrics().clone())));
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).expect("writing to memory");
    let name = format!("anywire_rate_limited_total{{kind=\"{kind}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).expect("a figure")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_of_one_user_publish_no_more_than_one() {
    let limits = LimitsConfig { publish_per_second: 1, publish_burst: 50, ..LimitsConfig::default() };
    let server = serve(limits).await;
    let frame = json!({ "op": "publish", "events": vec![json!({ "channel": "a" }); 10] }).to_string();
    for _ in 0..20 {
        let mut socket = native(&server, "ann").await;
        socket.send_together(&[frame.as_str(); 5]).await;
        for _ in 0..5 {
            socket.next().await;
        }
    }
    assert!((50..50 + MORE).contains(&published(&server)), "{} of 1000", published(&server));
    // Whoever comes in by another way is the same user.
    let (status, error) = post(&server, &token_of("ann"), &batch(50)).await;
    assert_eq!((status.as_str(), &error["code"]), ("429", &json!("rate_limited")), "{error}");
    let mut socket = socketio(&server, "ann").await.expect("joined");
    let answer = emit(&mut socket, "publish", &batch(50)).await;
    assert_eq!(answer["code"], "rate_limited", "{answer}");
    // Somebody else, and back ends, are not.
    assert_eq!(post(&server, &token_of("bob"), &batch(50)).await.0, "200");
    assert_eq!(post(&server, "0123456789abcdef", &batch(500)).await.0, "200");
    assert!(limited(&server, "publish") > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_can_never_fit_is_refused_for_good_on_every_way_in() {
    let limits = LimitsConfig { publish_per_second: 1, publish_burst: 5, ..LimitsConfig::default() };
    let server = serve(limits).await;
    let check = |error: &Value| {
        assert_eq!(error["code"], "too_large", "{error}");
        assert!(
            error["message"].as_str().is_some_and(|text| text.contains("limits.publish_burst")),
            "{error}"
        );
        assert_eq!(error["retry_ms"], Value::Null, "{error}");
    };
    let (status, error) = post(&server, &token_of("ann"), &batch(6)).await;
    assert_eq!(status, "413");
    check(&error);
    let mut socket = native(&server, "ann").await;
    socket.send(&json!({ "op": "publish", "events": vec![json!({ "channel": "a" }); 6] }).to_string()).await;
    check(&socket.expect("error").await);
    let mut socket = socketio(&server, "ann").await.expect("joined");
    check(&emit(&mut socket, "publish", &batch(6)).await);
    assert_eq!(post(&server, &token_of("ann"), &batch(5)).await.0, "200", "nothing was charged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_asked_for_no_faster_than_the_rate_on_every_way_in() {
    let limits = LimitsConfig { subscribe_per_second: 1, subscribe_burst: 30, ..LimitsConfig::default() };
    let server = serve(limits).await;
    let names: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let mut passed = 0;
    for _ in 0..10 {
        let mut socket = native(&server, "ann").await;
        socket.send(&json!({ "op": "subscribe", "channels": names }).to_string()).await;
        passed += usize::from(socket.next().await["op"] == "subscribed");
    }
    assert!((3..3 + MORE / 10).contains(&passed), "{passed} of 10");
    let mut many = socketio(&server, "ann").await.expect("joined");
    let answer = emit(&mut many, "subscribe", &json!((0..29).collect::<Vec<_>>())).await;
    assert_eq!(answer["code"], "rate_limited", "{answer}");
    let query = (0..29).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    for path in ["sse", "poll"] {
        let target = format!("/anywire/{path}?channels={query}&token={}", token_of("ann"));
        let mut answer = server.get(&target).await;
        assert!(answer.until("rate_limited").await.starts_with("HTTP/1.1 429"), "{path}");
    }
    let mut other = native(&server, "bob").await;
    other.subscribe(&["a"], None).await;
    assert!(limited(&server, "subscribe") >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_made_no_faster_than_the_rate_and_whoever_is_one_stays() {
    let limits = LimitsConfig { presence_per_second: 1, presence_burst: 10, ..LimitsConfig::default() };
    let server = serve(limits).await;
    let target = |number: usize| format!("/anywire/ws?client=c{number}&token={}", token_of("ann"));
    let frame = r#"{"op":"subscribe","channels":["who_1"],"presence":true}"#;
    let mut open = Vec::new();
    for number in 0..100 {
        let mut socket = websocket(&server, &target(number)).await;
        socket.send(frame).await;
        if socket.next().await["op"] == "subscribed" {
            open.push(socket);
        }
    }
    assert!((10..10 + MORE).contains(&open.len()), "{} of 100", open.len());
    // A second connection of a member makes no member, and costs nothing.
    let mut again = websocket(&server, &target(0)).await;
    again.send(frame).await;
    again.expect("subscribed").await;
    let stream = format!("/anywire/sse?channels=who_1&presence=1&client=new&token={}", token_of("ann"));
    for _ in 0..3 {
        let _member_or_refused = server.get(&stream).await.until("\r\n\r\n").await;
    }
    assert!(limited(&server, "presence") >= 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_are_heard_no_faster_than_the_rate() {
    let limits = LimitsConfig { ack_per_second: 1, ack_burst: 10, ..LimitsConfig::default() };
    let server = serve(limits).await;
    let mut socket = native(&server, "ann").await;
    let cursor = server.cursor(0);
    let ack = format!(r#"{{"op":"ack","id":5,"cursor":"{cursor}"}}"#);
    socket.send_together(&[ack.as_str(); 200]).await;
    let error = socket.expect("error").await;
    assert_eq!((&error["id"], &error["code"]), (&json!(5), &json!("rate_limited")), "{error}");
    socket.send(r#"{"op":"ping","id":6}"#).await;
    let mut refused = 1;
    while socket.next().await["op"] == "error" {
        refused += 1;
    }
    assert!((200 - 10 - MORE..=190).contains(&refused), "{refused} of 200");
    // Answers that nobody asked for are passed over, and the session goes on.
    let mut socket = socketio(&server, "ann").await.expect("joined");
    for id in 0..200 {
        socket.send(&format!("43{id}[]")).await;
    }
    assert_eq!(emit(&mut socket, "subscribe", &json!("a")).await["ok"], true);
    assert!(limited(&server, "ack") >= 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_of_an_address_are_no_faster_than_the_rate() {
    let limits = LimitsConfig { handshake_per_second: 1, handshake_burst: 10, ..LimitsConfig::default() };
    let server = serve(limits).await;
    let upgrade = "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";
    let requests = [
        ("/anywire/ws", upgrade),
        ("/socket.io/?EIO=4&transport=websocket", upgrade),
        ("/socket.io/?EIO=4&transport=polling", ""),
    ];
    let mut refused = 0;
    for (target, headers) in requests.iter().cycle().take(99) {
        let mut answer = server.request(&format!("GET {target} HTTP/1.1\nHost: x\n{headers}\n")).await;
        let head = answer.until("\r\n\r\n").await;
        refused += usize::from(head.starts_with("HTTP/1.1 429"));
    }
    assert!((99 - 10 - MORE..=89).contains(&refused), "{refused} of 99");
    assert_eq!(limited(&server, "handshake"), refused as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_for_coming_back_is_no_more_than_the_rate() {
    let limits = LimitsConfig {
        recovery_bytes_per_second: 1024,
        recovery_burst_bytes: 64 << 10,
        ..LimitsConfig::default()
    };
    let server = serve(limits).await;
    let names: Vec<String> = (0..100).map(|number| format!("{number}{}", "n".repeat(200))).collect();
    let (mut refused, mut sockets) = (0, Vec::new());
    for _ in 0..3 {
        let mut socket = socketio(&server, "ann").await.expect("joined");
        assert!(emit(&mut socket, "subscribe", &json!(names)).await["ok"] == true || refused > 0);
        for _ in 0..20 {
            let answer = emit(&mut socket, "subscribe", &json!(names)).await;
            refused += usize::from(answer["code"] == "rate_limited");
        }
        sockets.push(socket);
    }
    // One record has 22 KiB, so that 63 of them would be 1.4 MiB.
    assert!(refused > 30, "{refused} of 63");
    assert!(limited(&server, "recovery") >= refused as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_ends_are_limited_by_their_address_where_that_is_set() {
    let limits = LimitsConfig {
        publish_per_second: 1,
        publish_burst: 5,
        backends_limited: true,
        ..LimitsConfig::default()
    };
    let server = serve(limits).await;
    assert_eq!(post(&server, "0123456789abcdef", &batch(5)).await.0, "200");
    assert_eq!(post(&server, "0123456789abcdef", &batch(5)).await.0, "429");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_is_its_user_s_own_on_every_way_in() {
    let server = serve(LimitsConfig::default()).await;
    let post = async |credentials: &str, data: u32| {
        let body = json!({ "channel": "a", "data": data });
        post_with(&server, credentials, "Idempotency-Key: k\n", &body).await
    };
    let (ann, bob, back_end) = (token_of("ann"), token_of("bob"), "0123456789abcdef");
    let (_, first) = post(&ann, 1).await;
    assert_eq!(post(back_end, 2).await.0, "200");
    assert_eq!(post(&bob, 3).await.0, "200");
    for (credentials, data) in [(ann.as_str(), 1), (back_end, 2), (&bob, 3)] {
        let (status, again) = post(credentials, data).await;
        assert_eq!((status.as_str(), &again["duplicate"]), ("200", &json!(true)), "{again}");
        let (status, error) = post(credentials, 4).await;
        assert_eq!((status.as_str(), &error["code"]), ("409", &json!("idempotency_conflict")), "{error}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("\"k\"")), "{error}");
    }
    let frame = json!({ "op": "publish", "channel": "a", "data": 1, "idempotency_key": "k" });
    let mut socket = native(&server, "ann").await;
    socket.send(&frame.to_string()).await;
    let again = socket.expect("published").await;
    assert_eq!((&again["duplicate"], &again["offsets"]), (&json!(true), &first["offsets"]));
    let mut socket = socketio(&server, "ann").await.expect("joined");
    let again = emit(&mut socket, "publish", &frame).await;
    assert_eq!((&again["duplicate"], &again["offsets"]), (&json!(true), &first["offsets"]));
}
