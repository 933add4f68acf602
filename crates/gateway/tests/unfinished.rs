//! What begins and does not end: how much of it one may send before saying who they are, and how much all
//! together.

mod support;

use anywire_gateway::{AuthConfig, GatewayConfig, LimitsConfig, MetricsCollector};
use support::{Raw, SECRET, Server, in_seconds, server_with, token};
use tokio::io::AsyncWriteExt;

/// The budget of these tests; three fifths of it fit once.
const ALL: usize = 1 << 20;
const MOST: usize = ALL * 3 / 5;

async fn serve() -> Server {
    let limits =
        LimitsConfig { unfinished_bytes_max: ALL, request_bytes_max: ALL, ..LimitsConfig::default() };
    server_with(GatewayConfig { limits, ..GatewayConfig::default() }, 64 << 20).await
}

async fn guarded() -> Server {
    let auth = AuthConfig { jwt_secret: Some(SECRET.into()), ..AuthConfig::default() };
    server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 64 << 20).await
}

fn figure(server: &Server, name: &str) -> u64 {
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(MetricsCollector(server.gateway.metrics().clone())));
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).expect("writing to memory");
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).expect("a figure")
}

/// Waits until so much is kept, at least.
async fn until_kept(server: &Server, bytes: std::ops::Range<usize>) {
    while !bytes.contains(&usize::try_from(figure(server, "anywire_unfinished_bytes ")).expect("a size")) {
        tokio::task::yield_now().await;
    }
}

/// A masked frame of `opcode` whose header announces `bytes`, with a mask of zeros.
fn frame(opcode: u8, bytes: usize, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(bytes), u16::try_from(bytes)) {
        (Ok(length @ ..126), _) => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((bytes as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

async fn upgrade(server: &Server, target: &str) -> Raw {
    let head = format!(
        "GET {target} HTTP/1.1\nHost: {}\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
        server.address
    );
    let mut raw = server.request(&head).await;
    raw.until("\r\n\r\n").await;
    raw.read.clear();
    raw
}

const SOCKETIO: &str = "/socket.io/?EIO=4&transport=websocket";

async fn joined(server: &Server) -> Raw {
    let mut raw = upgrade(server, SOCKETIO).await;
    raw.stream.write_all(&frame(1, 2, b"40")).await.expect("a write");
    raw.until("40{").await;
    raw.read.clear();
    raw
}

/// The head of a post whose body has the whole budget.
fn head(server: &Server, target: &str, length: &str) -> String {
    format!("POST {target} HTTP/1.1\nHost: {}\n{length}\n\n", server.address)
}

async fn session(server: &Server) -> String {
    let mut answer = server.get("/socket.io/?EIO=4&transport=polling").await;
    let text = answer.until("upgrades").await;
    let (_, rest) = text.split_once("\"sid\":\"").expect("a session");
    rest.split('"').next().expect("its id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_joined_no_namespace_sends_short_messages_without_attachments() {
    let server = guarded().await;
    // 64 KiB, and 512 bytes for each of 128 channels.
    let short = 128 << 10;
    for (opcode, bytes, payload, words) in [
        (1, short + 1, &b""[..], "who has joined no namespace needs no more"),
        (2, short + 1, b"", "who has joined no namespace needs no more"),
        (1, 0, b"451-[\"x\",1  ]", "attachments before a namespace is joined"),
    ] {
        let mut raw = upgrade(&server, SOCKETIO).await;
        raw.stream.write_all(&frame(opcode, bytes.max(payload.len()), payload)).await.expect("a write");
        raw.until(words).await;
    }
    let mut raw = upgrade(&server, SOCKETIO).await;
    let claims = serde_json::json!({ "sub": "ann", "exp": in_seconds(600), "publish": ["*"] });
    let join = format!("40{{\"token\":\"{}\",\"other\":\"{}\"}}", token(&claims), "x".repeat(100_000));
    raw.stream.write_all(&frame(1, join.len(), join.as_bytes())).await.expect("a write");
    raw.until("40{").await;
    let long = format!("421[\"publish\",{{\"channel\":\"a\",\"data\":\"{}\"}}]", "x".repeat(500_000));
    raw.stream.write_all(&frame(1, long.len(), long.as_bytes())).await.expect("a write");
    raw.until("\"offsets\"").await;
    // Who asks to join in vain together with the rest is no exception.
    let mut raw = upgrade(&server, SOCKETIO).await;
    let mut frames = Vec::new();
    let refused = br#"40{"token":"wrong"}"#;
    frames.extend(frame(1, refused.len(), refused));
    let packet = br#"451-["x",{"_placeholder":true,"num":0}]"#;
    frames.extend(frame(1, packet.len(), packet));
    raw.stream.write_all(&frames).await.expect("a write");
    raw.until("short messages only").await;
    // By polling it is the same.
    let target = format!("/socket.io/?EIO=4&transport=polling&sid={}", session(&server).await);
    let length = format!("Content-Length: {}", short + 1);
    let mut answer = server.request(&head(&server, &target, &length)).await;
    assert!(answer.until("\r\n\r\n").await.starts_with("HTTP/1.1 413"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_on_their_way_have_one_budget() {
    let server = serve().await;
    let length = format!("Content-Length: {ALL}");
    let one = "Transfer-Encoding: chunked";
    for (first, second) in [(&*length, &*length), (one, one), (&length, one), (one, &length)] {
        let begin = async |how: &str| {
            let mut raw = server.request(&head(&server, "/anywire/publish", how)).await;
            let chunk = if how == one { format!("{MOST:x}\r\n") } else { String::new() };
            raw.stream.write_all(chunk.as_bytes()).await.expect("a write");
            raw.stream.write_all(&vec![b' '; MOST]).await.expect("a write");
            raw
        };
        let kept = begin(first).await;
        until_kept(&server, MOST - 1..ALL).await;
        let mut refused = begin(second).await;
        let text = refused.until("limits.unfinished_bytes_max").await;
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("\"busy\""), "{text}");
        drop((kept, refused));
        until_kept(&server, 0..1).await;
    }
    assert_eq!(figure(&server, "anywire_unfinished_refused_total "), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halves_of_messages_and_packets_count_in_it_too() {
    let server = serve().await;
    let half = frame(1, ALL, &vec![b' '; MOST]);
    let mut kept = upgrade(&server, "/anywire/ws").await;
    kept.stream.write_all(&half).await.expect("a write");
    until_kept(&server, MOST..ALL).await;
    let mut refused = upgrade(&server, "/anywire/ws").await;
    refused.stream.write_all(&half).await.expect("a write");
    let text = refused.until("limits.unfinished_bytes_max").await;
    assert!(text.contains("\"busy\""), "{text}");
    assert!(refused.ends().await);
    // A message, and an attachment without the next one.
    let mut refused = joined(&server).await;
    refused.stream.write_all(&frame(1, 900_000, &vec![b' '; MOST])).await.expect("a write");
    refused.until("limits.unfinished_bytes_max").await;
    let mut refused = joined(&server).await;
    let packet = br#"452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    refused.stream.write_all(&frame(1, packet.len(), packet)).await.expect("a write");
    refused.stream.write_all(&frame(2, MOST, &vec![0; MOST])).await.expect("a write");
    refused.until("limits.unfinished_bytes_max").await;
    // A body of a poller: its session ends with it.
    let sid = session(&server).await;
    let target = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let mut join = server.request(&head(&server, &target, "Content-Length: 2")).await;
    join.stream.write_all(b"40").await.expect("a write");
    join.until("ok").await;
    let mut refused = server.request(&head(&server, &target, "Content-Length: 900000")).await;
    refused.stream.write_all(&vec![b' '; MOST]).await.expect("a write");
    let text = refused.until("limits.unfinished_bytes_max").await;
    assert!(text.starts_with("HTTP/1.1 503"), "{text}");
    // Who was there first goes on.
    kept.stream.write_all(&vec![b' '; ALL - MOST]).await.expect("a write");
    kept.until("invalid_request").await;
    until_kept(&server, 0..1).await;
}
