//! By which name, through which proxy and on which way a request may come.

mod support;

use anywire_gateway::{AuthConfig, GatewayConfig, LimitsConfig, NamespaceSection, SocketIoConfig};
use anywire_log::ChannelPattern;
use futures_util::StreamExt;
use serde_json::json;
use support::{SECRET, Server, WebSocket, in_seconds, server, server_with, token};

/// What keeps a request off the direct path, or does not.
const PATHS: [&str; 2] = ["", "Content-Length: 0\n"];

async fn answer(server: &Server, head: &str) -> String {
    server.request(head).await.until("\r\n\r\n").await.to_owned()
}

/// The next Socket.IO packet.
async fn text(socket: &mut WebSocket) -> String {
    let message = tokio::time::timeout(support::PATIENCE, socket.0.next()).await.expect("something came");
    message.expect("a message").expect("a sound frame").as_text().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_names_one_host_and_it_is_one() {
    let server = server().await;
    for target in ["/anywire/poll?channels=a", "/anywire/sse?channels=a", "/anywire/presence?channel=a"] {
        for more in PATHS {
            for (hosts, status) in [
                ("Host: 127.0.0.1\n", "200"),
                ("Host: [::1]:8000\n", "200"),
                ("", "400"),
                ("Host: 127.0.0.1\nHost: 127.0.0.1\n", "400"),
                ("Host: 127.0.0.1\nHost: evil.example\n", "400"),
                ("Host: 127.0.0.1:1.evil.example\n", "400"),
                ("Host: [::1]evil.example\n", "400"),
                ("Host: user@127.0.0.1\n", "400"),
                ("Host: \n", "400"),
                ("Host: evil.example\n", "403"),
            ] {
                let text = answer(&server, &format!("GET {target} HTTP/1.1\n{hosts}{more}\n")).await;
                assert!(
                    text.starts_with(&format!("HTTP/1.1 {status}")),
                    "{target} {hosts:?} {more:?}: {text}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_server_is_not_open_to_who_comes_through_a_proxy() {
    let closed = server().await;
    let auth = AuthConfig { open_behind_proxy: true, ..AuthConfig::default() };
    let open = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 1 << 20).await;
    for path in ["/anywire/poll?channels=a", "/anywire/sse?channels=a", "/socket.io/?EIO=4&transport=polling"]
    {
        for sign in [
            "Forwarded: for=192.0.2.7",
            "X-Forwarded-For: 192.0.2.7",
            "X-Forwarded-Proto: https",
            "X-Real-IP: 192.0.2.7",
            "Via: 1.1 proxy",
            "CF-Connecting-IP: 192.0.2.7",
        ] {
            for more in PATHS {
                let head = format!("GET {path} HTTP/1.1\nHost: 127.0.0.1:8000\n{sign}\n{more}\n");
                let text = answer(&closed, &head).await;
                assert!(text.starts_with("HTTP/1.1 403"), "{path} {sign}: {text}");
                let text = answer(&open, &head).await;
                assert!(text.starts_with("HTTP/1.1 200"), "{path} {sign}: {text}");
            }
        }
    }
    // nginx, where nothing but the address behind it is configured.
    let stock = "GET /anywire/poll?channels=a HTTP/1.0\nHost: 127.0.0.1:8000\nConnection: close\n\n";
    let text = closed.request(stock).await.until("auth.open_behind_proxy").await.to_owned();
    assert!(text.starts_with("HTTP/1.0 403"), "{text}");
    assert!(answer(&open, stock).await.starts_with("HTTP/1.0 200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_that_a_trusted_proxy_names_is_the_one_that_is_shown() {
    let auth = AuthConfig { open_behind_proxy: true, ..AuthConfig::default() };
    let limits = LimitsConfig { trusted_proxies: vec!["127.0.0.0/8".into()], ..LimitsConfig::default() };
    let trusting = server_with(GatewayConfig { auth, limits, ..GatewayConfig::default() }, 1 << 20).await;
    let auth = AuthConfig { open_behind_proxy: true, ..AuthConfig::default() };
    let other = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 1 << 20).await;
    for (server, address) in [(&trusting, "192.0.2.7"), (&other, "127.0.0.1")] {
        for more in PATHS {
            let line = "X-Forwarded-For: 198.51.100.9, 192.0.2.7";
            let head = format!("GET /anywire/sse?channels=a HTTP/1.1\nHost: localhost\n{line}\n{more}\n");
            let mut reader = server.request(&head).await;
            reader.until("id: ").await;
            let clients = server.gateway.clients(10).1;
            assert!(clients.iter().all(|client| client.address.to_string() == address), "{clients:?}");
            assert!(!clients.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_publishes_on_the_channels_of_an_application_over_any_transport() {
    let auth = AuthConfig {
        jwt_secret: Some(SECRET.into()),
        api_keys: vec!["0123456789abcdef".into()],
        ..AuthConfig::default()
    };
    let socketio =
        SocketIoConfig { namespaces: vec![NamespaceSection::default()], ..SocketIoConfig::default() };
    let server = server_with(GatewayConfig { auth, socketio, ..GatewayConfig::default() }, 1 << 20).await;
    let keep = |pattern, alone| server.gateway.keep_channels("jobs", ChannelPattern::new(pattern), alone);
    keep("jobs", true);
    keep("progress_*", false);
    let client =
        token(&json!({ "sub": "ann", "exp": in_seconds(3600), "subscribe": ["*"], "publish": ["*"] }));
    let told = |channel: &str| format!("channel {channel} belongs to the application jobs");
    for (who, channel, status) in [
        (client.as_str(), "jobs", "403"),
        (&client, "progress_42", "403"),
        (&client, "progress", "200"),
        ("0123456789abcdef", "jobs", "403"),
        ("0123456789abcdef", "progress_42", "200"),
    ] {
        // One of them is enough.
        let body = json!({ "events": [{ "channel": "free" }, { "channel": channel }] }).to_string();
        for more in ["", "Expect: 100-continue\n"] {
            let head = format!(
                "POST /anywire/publish HTTP/1.1\nHost: live.example\nAuthorization: Bearer {who}\n{more}"
            );
            let mut raw = server.request(&format!("{head}Content-Length: {}\n\n{body}", body.len())).await;
            let text = raw.until("}").await;
            assert!(text.contains(&format!("HTTP/1.1 {status} ")), "{channel}: {text}");
            assert_eq!(text.contains(&told(channel)), status == "403", "{channel}: {text}");
        }
    }
    let mut socket = server.websocket().await;
    socket.send(&json!({ "op": "auth", "token": client }).to_string()).await;
    socket.expect("authorized").await;
    socket.send(r#"{"op":"publish","id":1,"channel":"progress_42","data":1}"#).await;
    let error = socket.expect("error").await;
    assert_eq!((&error["code"], &error["id"]), (&json!("forbidden"), &json!(1)));
    assert!(error["message"].as_str().is_some_and(|text| text.contains(&told("progress_42"))), "{error}");
    let uri = format!("ws://{}/socket.io/?EIO=4&transport=websocket", server.address).parse().expect("a URI");
    let (socket, _) = tokio_websockets::ClientBuilder::from_uri(uri).connect().await.expect("an upgrade");
    let mut socket = WebSocket(socket);
    assert!(text(&mut socket).await.starts_with('0'));
    socket.send(&format!("40{}", json!({ "token": client }))).await;
    assert!(text(&mut socket).await.starts_with("40{"));
    socket.send(r#"421["publish",{"channel":"progress_42","data":1}]"#).await;
    let told_there = text(&mut socket).await;
    assert!(told_there.starts_with("431[") && told_there.contains(&told("progress_42")), "{told_there}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_trusted_proxy_each_client_has_its_own_limit_and_the_proxy_none() {
    let auth = AuthConfig { open_behind_proxy: true, ..AuthConfig::default() };
    let limits = LimitsConfig {
        trusted_proxies: vec!["127.0.0.1".into()],
        connections_per_address_max: 2,
        ..LimitsConfig::default()
    };
    let server = server_with(GatewayConfig { auth, limits, ..GatewayConfig::default() }, 1 << 20).await;
    let mut open = Vec::new();
    for (client, more, status) in [
        ("192.0.2.1", "", "200"),
        ("192.0.2.1", "Content-Length: 0\n", "200"),
        ("192.0.2.1", "", "429"),
        ("192.0.2.1", "Content-Length: 0\n", "429"),
        ("192.0.2.2", "", "200"),
        ("192.0.2.2", "Content-Length: 0\n", "200"),
    ] {
        let head = format!(
            "GET /anywire/sse?channels=a HTTP/1.1\nHost: localhost\nX-Forwarded-For: {client}\n{more}\n"
        );
        let mut reader = server.request(&head).await;
        let text = reader.until("\r\n\r\n").await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{client} {more:?}: {text}");
        open.push(reader);
    }
    for more in ["", "Content-Length: 0\n"] {
        let head = format!(
            "GET /anywire/sse?channels=a HTTP/1.1\nHost: localhost\nX-Forwarded-For: 192.0.2.1\n\
             Origin: http://localhost:3000\nAccept: text/event-stream\n{more}\n"
        );
        let mut reader = server.request(&head).await;
        let text = reader.until("too_many_connections").await.to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 200") && text.contains("event: error"), "{more:?}: {text}");
        assert!(text.contains("access-control-allow-origin: http://localhost:3000"), "{more:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_becomes_another_user_leaves_presence_first() {
    let auth = AuthConfig { jwt_secret: Some(SECRET.into()), ..AuthConfig::default() };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 1 << 20).await;
    let of = |user: &str| {
        let token =
            token(&json!({ "sub": user, "exp": in_seconds(3600), "subscribe": ["who_*", "$presence:*"] }));
        json!({ "op": "auth", "token": token }).to_string()
    };
    let mut watcher = server.websocket().await;
    watcher.send(&of("watcher")).await;
    watcher.expect("authorized").await;
    watcher.send(r#"{"op":"subscribe","id":1,"channels":["$presence:who_1"]}"#).await;
    watcher.expect("subscribed").await;
    let mut socket = server.websocket().await;
    socket.send(&of("ann")).await;
    socket.expect("authorized").await;
    socket.send(r#"{"op":"subscribe","id":1,"channels":["who_1"],"presence":true}"#).await;
    socket.expect("subscribed").await;
    for again in ["ann", "ann", "bob"] {
        socket.send(&of(again)).await;
        socket.expect("authorized").await;
    }
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = watcher.expect("event").await;
        told.push((event["event"].clone(), event["data"]["user"].clone()));
    }
    assert_eq!(
        told,
        [("join", "ann"), ("leave", "ann"), ("join", "bob")].map(|(event, user)| (json!(event), json!(user)))
    );
    socket.send(r#"{"op":"presence","id":2,"channel":"who_1"}"#).await;
    let members = socket.expect("presence").await;
    assert_eq!(members["members"].as_array().map(Vec::len), Some(1), "{members}");
    assert_eq!(members["members"][0]["user"], "bob");
}

/// Sends a head and the first bytes of a body, and no more; what is answered, whenever that is.
async fn half_a_body(server: &Server, more: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(server.address).await.expect("a connection");
    let head = format!(
        "POST /anywire/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n{more}\r\n{{\"chan"
    );
    stream.write_all(head.as_bytes()).await.expect("a write");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8(answer).expect("text")
}

/// Time passes at once where nothing else happens.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_answered_in_words_on_both_paths() {
    let server = server().await;
    // What the HTTP library reads begins with a connection that closes after its answer.
    for more in ["", "Connection: close\r\n"] {
        let text = half_a_body(&server, more).await;
        assert!(text.starts_with("HTTP/1.1 408 Request Timeout"), "{more:?}: {text}");
        assert!(
            text.contains("\"code\":\"request_timeout\"") && text.contains("fewer than 500 bytes"),
            "{text}"
        );
        assert!(text.to_ascii_lowercase().contains("connection: close\r\n"), "{text}");
    }
}
