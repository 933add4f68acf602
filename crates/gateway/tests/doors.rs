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
