//! What clients say that were written for other servers: names as numbers, subprotocols of their own, a
//! proxy's password, headers that a page's libraries add.

mod support;

use anywire_gateway::{AuthConfig, GatewayConfig, NamespaceSection, SocketIoConfig};
use serde_json::{Value, json};
use support::{SECRET, Server, WebSocket, in_seconds, server, server_with, token};

const KEY: &str = "0123456789abcdef";

/// A Socket.IO client on `/`, over a WebSocket; what it is told when it joins.
async fn join(server: &Server, auth: &str) -> (WebSocket, String) {
    let uri = format!("ws://{}/socket.io/?EIO=4&transport=websocket", server.address);
    let uri = uri.parse().expect("a URI");
    let (socket, _) = tokio_websockets::ClientBuilder::from_uri(uri).connect().await.expect("an upgrade");
    let mut socket = WebSocket(socket);
    let opening = text(&mut socket).await;
    assert!(opening.starts_with('0'), "{opening}");
    socket.send(&format!("40{auth}")).await;
    let joined = text(&mut socket).await;
    (socket, joined)
}

async fn text(socket: &mut WebSocket) -> String {
    use futures_util::StreamExt;
    let message = tokio::time::timeout(support::PATIENCE, socket.0.next()).await.expect("something came");
    message.expect("a message").expect("a sound frame").as_text().expect("text").to_owned()
}

/// Emits with an acknowledgement, and returns it.
async fn ask(socket: &mut WebSocket, event: &str) -> Value {
    socket.send(&format!("421{event}")).await;
    let answer = text(socket).await;
    let values = answer.strip_prefix("431").unwrap_or_else(|| panic!("{answer} is no answer"));
    serde_json::from_str::<Vec<Value>>(values).expect("JSON").remove(0)
}

/// The rooms that the only client is in.
fn rooms(server: &Server) -> Vec<String> {
    let (_, clients) = server.gateway.clients(9);
    clients[0].namespaces[0].rooms.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_subscribes_joins_all_that_it_names_or_nothing() {
    let server = server().await;
    server.publish("42", "1").await;
    let (mut socket, _) = join(&server, "").await;
    let answer = ask(&mut socket, r#"["subscribe",["a",42],{"after":0}]"#).await;
    assert_eq!((&answer["ok"], &answer["channels"]), (&json!(true), &json!(["a", "42"])));
    assert_eq!(text(&mut socket).await, r#"42["x",1]"#, "from the oldest on");
    for wrong in [
        r#"["subscribe",["b",null]]"#,
        r#"["subscribe",["b",{"room":"c"}]]"#,
        r#"["subscribe","b","c"]"#,
        r#"["subscribe",{"channel":"b","room":"c"}]"#,
        r#"["subscribe",["b","c d"]]"#,
        r#"["subscribe","b",{"after":true}]"#,
        r#"["subscribe","b",{"after":5}]"#,
    ] {
        let answer = ask(&mut socket, wrong).await;
        assert_eq!(answer["ok"], false, "{wrong}: {answer}");
        assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{wrong}: {answer}");
        assert_eq!(rooms(&server).len(), 2, "{wrong} joined something");
    }
    let answer = ask(&mut socket, r#"["unsubscribe",[42]]"#).await;
    assert_eq!((&answer["ok"], rooms(&server)), (&json!(true), vec!["a".to_owned()]));
    let answer = ask(&mut socket, r#"["publish",{"channel":7,"event":"y","data":2}]"#).await;
    assert_eq!(answer["ok"], false, "what is published to is a string: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_with_channels_is_on_all_of_them_or_kept_out() {
    let server = server().await;
    let (_socket, joined) = join(&server, r#"{"channels":["a",42],"after":0}"#).await;
    assert!(joined.starts_with("40{\"sid\":"), "{joined}");
    assert_eq!(rooms(&server), ["a", "42"]);
    for wrong in [r#"["a",null]"#, r#"[["a"]]"#, "true"] {
        let (_socket, refused) = join(&server, &format!("{{\"channels\":{wrong}}}")).await;
        assert!(
            refused.starts_with("44{\"message\":") && refused.contains("\"code\":\"invalid_request\""),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_names_a_number_means_its_text() {
    let server = server().await;
    server.publish("42", "1").await;
    let mut socket = server.websocket().await;
    socket.send(r#"{"op":"subscribe","id":1,"channels":["a",42],"after":0}"#).await;
    assert_eq!(socket.expect("subscribed").await["channels"], json!(["a", "42"]));
    assert_eq!(socket.expect("event").await["channel"], "42");
    socket.send(r#"{"op":"subscribe","id":2,"channels":["b",true]}"#).await;
    let error = socket.expect("error").await;
    assert_eq!((&error["id"], &error["code"]), (&json!(2), &json!("invalid_request")));
}

/// The head of the answer to a handshake that offers subprotocols. `more` may keep it off the direct path.
async fn shake(server: &Server, target: &str, offers: &str, more: &str) -> String {
    let head = format!(
        "GET {target} HTTP/1.1\nHost: 127.0.0.1\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n{offers}{more}\n"
    );
    let mut answer = server.request(&head).await;
    answer.until("\r\n\r\n").await;
    if answer.read.starts_with("HTTP/1.1 4") {
        answer.until("\"message\":").await;
    }
    answer.read.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subprotocol_is_answered_or_refused_but_never_passed_over() {
    let server = server().await;
    let engine = "/socket.io/?EIO=4&transport=websocket";
    for more in ["", "Content-Length: 0\n"] {
        let offers = "Sec-WebSocket-Protocol: v1, v2\n";
        let engine = shake(&server, engine, offers, more).await;
        assert!(engine.starts_with("HTTP/1.1 101"), "{engine}");
        assert!(engine.to_ascii_lowercase().contains("sec-websocket-protocol: v1\r\n"), "{engine}");
        let native = shake(&server, "/anywire/ws", offers, more).await;
        assert!(native.starts_with("HTTP/1.1 400") && native.contains("(v1, v2)"), "{native}");
        assert!(native.contains("offer anywire.v1, or none"), "{native}");
        let known = shake(
            &server,
            "/anywire/ws",
            "Sec-WebSocket-Protocol: v1\nSec-WebSocket-Protocol: anywire.v1\n",
            more,
        )
        .await;
        assert!(known.to_ascii_lowercase().contains("sec-websocket-protocol: anywire.v1\r\n"), "{known}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_s_password_hides_no_token_and_is_none() {
    let auth = AuthConfig {
        jwt_secret: Some(SECRET.into()),
        anonymous_subscribe: vec!["open".into()],
        ..AuthConfig::default()
    };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 64 << 20).await;
    let claims = json!({ "sub": "u1", "exp": in_seconds(3600), "subscribe": ["a"], "publish": ["a"] });
    let token = token(&claims);
    let basic = "Host: live.example\nAuthorization: Basic dTpw\n";
    for more in ["", "Content-Length: 0\n"] {
        let ask = async |path: &str| {
            let mut answer = server.request(&format!("GET {path} HTTP/1.1\n{basic}{more}\n")).await;
            answer.until("\r\n\r\n").await.to_owned()
        };
        for path in ["/anywire/poll?channels=a", "/anywire/sse?channels=a"] {
            let head = ask(&format!("{path}&token={token}")).await;
            assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
            assert!(ask(path).await.starts_with("HTTP/1.1 403"), "{path}: it is nobody's");
        }
        assert!(ask("/anywire/poll?channels=open").await.starts_with("HTTP/1.1 200"));
        assert!(ask("/anywire/sse?channels=open").await.starts_with("HTTP/1.1 200"));
    }
    let offset = server.publish("open", "1").await;
    let target = format!("/anywire/poll?channels=open&after={}", server.cursor(offset - 1));
    let mut answer = server.request(&format!("GET {target} HTTP/1.1\n{basic}\n")).await;
    let (head, _) = answer.answer().await;
    assert!(head.contains("Cache-Control: private"), "what a password guards is for nobody else: {head}");
    let body = r#"{"channel":"a","data":1}"#;
    let publish = |query: &str| {
        format!("POST /anywire/publish{query} HTTP/1.1\n{basic}Content-Length: {}\n\n{body}", body.len())
    };
    assert!(
        server
            .request(&publish(&format!("?token={token}")))
            .await
            .until("\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(server.request(&publish("")).await.until("\r\n\r\n").await.starts_with("HTTP/1.1 403"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_an_allowed_origin_may_send_whatever_it_asks_for() {
    let auth = AuthConfig {
        api_keys: vec![KEY.into()],
        origins: vec!["https://app.example.com".into(), "https://*.partner.example".into()],
        ..AuthConfig::default()
    };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 64 << 20).await;
    let preflight = async |path: &str, origin: &str| {
        let asked = "Access-Control-Request-Method: GET\nAccess-Control-Request-Headers: cache-control,traceparent,x-my-header\n";
        let head = format!("OPTIONS {path} HTTP/1.1\nHost: live.example\nOrigin: {origin}\n{asked}\n");
        server.request(&head).await.until("\r\n\r\n").await.to_ascii_lowercase()
    };
    for path in ["/anywire/sse", "/anywire/poll", "/anywire/publish", "/socket.io/"] {
        let head = preflight(path, "https://app.example.com").await;
        let allowed =
            head.lines().find(|line| line.starts_with("access-control-allow-headers: ")).expect(&head);
        for name in ["authorization", "last-event-id", "cache-control", "traceparent", "x-my-header"] {
            assert!(allowed.contains(name), "{path}: {name} in {allowed}");
        }
        assert!(head.contains("vary: origin, access-control-request-headers"), "{head}");
        assert!(head.contains("access-control-allow-credentials: true"), "{head}");
    }
    let partner = preflight("/anywire/sse", "https://shop.partner.example").await;
    assert!(partner.contains("access-control-allow-origin: https://shop.partner.example"), "{partner}");
    assert!(partner.contains("traceparent") && !partner.contains("allow-credentials"), "{partner}");
    let stranger = preflight("/anywire/sse", "https://evil.example").await;
    assert!(stranger.starts_with("http/1.1 403") && !stranger.contains("access-control-allow"), "{stranger}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_every_page_may_connect_none_does_with_credentials() {
    let auth = AuthConfig { api_keys: vec![KEY.into()], origins: vec!["*".into()], ..AuthConfig::default() };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 64 << 20).await;
    for more in ["", "Content-Length: 0\n"] {
        let head = format!(
            "GET /anywire/poll?channels=a HTTP/1.1\nHost: live.example\nAuthorization: Bearer {KEY}\nOrigin: https://any.example\n{more}\n"
        );
        let head = server.request(&head).await.until("\r\n\r\n").await.to_ascii_lowercase();
        assert!(
            head.starts_with("http/1.1 200") && head.contains("access-control-allow-origin: *\r\n"),
            "{head}"
        );
        assert!(!head.contains("allow-credentials"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_publisher_speaks_for_the_server() {
    let namespace = NamespaceSection {
        welcome_event: Some("hello".into()),
        welcome_data: Some("\"server\"".into()),
        channels: vec!["a".into()],
        ..NamespaceSection::default()
    };
    let socketio = SocketIoConfig { namespaces: vec![namespace], ..SocketIoConfig::default() };
    let server = server_with(GatewayConfig { socketio, ..GatewayConfig::default() }, 64 << 20).await;
    let (mut socket, _) = join(&server, "").await;
    assert_eq!(text(&mut socket).await, r#"42["hello","server"]"#);
    for name in ["gap", "hello", "connect"] {
        let answer =
            ask(&mut socket, &format!(r#"["publish",{{"channel":"b","event":"{name}","data":1}}]"#)).await;
        assert_eq!(answer["ok"], true, "a name is no reason to refuse: {answer}");
        let body = format!(r#"{{"channel":"a","event":"{name}","data":"forged"}}"#);
        let head = format!(
            "POST /anywire/publish HTTP/1.1\nHost: 127.0.0.1\nContent-Length: {}\n\n{body}",
            body.len()
        );
        server.request(&head).await.until("offsets").await;
        assert_eq!(text(&mut socket).await, format!(r#"42["event:{name}","forged"]"#));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_looks_like_ours_arrives_as_it_was_sent() {
    let namespace = NamespaceSection {
        emit_to: Some("a".into()),
        channels: vec!["a".into()],
        ..NamespaceSection::default()
    };
    let socketio = SocketIoConfig { namespaces: vec![namespace], ..SocketIoConfig::default() };
    let server = server_with(GatewayConfig { socketio, ..GatewayConfig::default() }, 64 << 20).await;
    let (mut socket, _) = join(&server, "").await;
    for own in [
        r#"{"$binary":"AAEC"}"#,
        r#"{"a":[{"$binary":"AAEC"}]}"#,
        r#"{"$args":[1,2]}"#,
        r#"{"$$binary":"x"}"#,
    ] {
        socket.send(&format!("42[\"own\",{own}]")).await;
        assert_eq!(text(&mut socket).await, format!("42[\"own\",{own}]"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_ends_a_session_is_named() {
    let server = server().await;
    let cases = [
        (format!("42[\"x\"{}]", ",1".repeat(65)), "64 arguments"),
        (format!("42[\"x\",{}{}]", "[".repeat(64), "]".repeat(64)), "64 levels"),
        ("4511-[\"x\"]".to_owned(), "attachments"),
        (format!("42[\"x\",\"{}\"]", "y".repeat(1_000_000)), "socketio.payload_bytes_max"),
    ];
    for (packet, limit) in &cases {
        let (mut socket, _) = join(&server, "").await;
        socket.send(packet).await;
        let (code, reason) = socket.closed().await;
        assert!(matches!(code, 1008 | 1009) && reason.contains(limit), "{code} {reason}");
        let mut opening = server.get("/socket.io/?EIO=4&transport=polling").await;
        let session = opening.until("\"upgrades\"").await.split('"').nth(3).expect("a session").to_owned();
        let target = format!("/socket.io/?EIO=4&transport=polling&sid={session}");
        let post = |body: &str| {
            format!("POST {target} HTTP/1.1\nHost: 127.0.0.1\nContent-Length: {}\n\n{body}", body.len())
        };
        server.request(&post("40")).await.until("ok").await;
        let mut refused = server.request(&post(packet)).await;
        let text = refused.until("\"message\":").await.to_owned();
        let text = if text.contains(limit) { text } else { refused.until(limit).await.to_owned() };
        assert!(text.starts_with("HTTP/1.1 4"), "{text}");
    }
    let (mut socket, _) = join(&server, "").await;
    let answer = ask(&mut socket, &format!("[\"x\"{}]", ",1".repeat(64))).await;
    assert_eq!(answer["ok"], false, "64 arguments are heard: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_a_coding_is_refused_by_name() {
    let server = server().await;
    let body = r#"{"channel":"a","data":1}"#;
    let post = |path: &str, coding: &str| {
        format!(
            "POST {path} HTTP/1.1\nHost: 127.0.0.1\nContent-Encoding: {coding}\nContent-Length: {}\n\n{body}",
            body.len()
        )
    };
    for coding in ["gzip", "br", "identity, gzip"] {
        let mut answer = server.request(&post("/anywire/publish", coding)).await;
        let text = answer.until("\"message\":").await.to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 415") && text.contains("media_type"), "{text}");
        assert!(text.contains("accept-encoding: identity"), "{text}");
    }
    let mut answer = server.request(&post("/anywire/publish", "identity")).await;
    assert!(answer.until("offsets").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_is_nested_as_deep_on_every_way_in() {
    let server = server().await;
    let mut native = server.websocket().await;
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (levels, fits) in [(63, true), (64, false)] {
        let body = format!(r#"{{"channel":"a","data":{}}}"#, nested(levels));
        let head = format!(
            "POST /anywire/publish HTTP/1.1\nHost: 127.0.0.1\nContent-Length: {}\n\n{body}",
            body.len()
        );
        let mut answer = server.request(&head).await;
        let status = answer.until("\r\n").await.to_owned();
        assert_eq!(status.starts_with("HTTP/1.1 200"), fits, "{levels}: {status}");
        native.send(&format!(r#"{{"op":"publish","id":1,"channel":"a","data":{}}}"#, nested(levels))).await;
        let frame = native.next().await;
        assert_eq!((frame["op"] == "published", &frame["id"]), (fits, &json!(1)), "{levels}: {frame}");
        let (mut socket, _) = join(&server, "").await;
        socket.send(&format!(r#"421["publish",{{"channel":"a","data":{}}}]"#, nested(levels))).await;
        if fits {
            assert!(text(&mut socket).await.contains("\"ok\":true"));
        } else {
            assert!(socket.closed().await.1.contains("nested"));
        }
    }
}
