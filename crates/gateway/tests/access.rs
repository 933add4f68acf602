//! Keys with rights and tokens of several issuers, on every transport alike.

mod support;

use anywire_gateway::{AuthConfig, GatewayConfig, IssuerSection, KeySection};
use serde_json::{Value, json};
use support::{SECRET, Server, in_seconds, server_with, token};

const PUBLISHER: &str = "publisher-0123456789";
const VIEWER: &str = "viewer-0123456789";
const ENDED: &str = "ended-0123456789";
const ISSUER: &str = "https://id.example";

fn key(name: &str, key: &str, role: &str, ends: Option<&str>) -> KeySection {
    KeySection {
        name: name.into(),
        key: Some(key.into()),
        sha256: None,
        roles: Some(vec![role.into()]),
        grants: None,
        ends: ends.map(Into::into),
    }
}

async fn server() -> Server {
    let issuer = IssuerSection {
        issuer: ISSUER.into(),
        audience: Some(vec!["anywire".into()]),
        jwks_file: None,
        public_key: None,
        secret: Some(SECRET.into()),
        roles_claim: Some("realm_access.roles".into()),
        roles_allowed: Some(vec!["follower".into()]),
        roles: None,
        subscribe_claim: None,
        publish_claim: None,
    };
    let auth = AuthConfig {
        keys: vec![
            key("shop", PUBLISHER, "publisher", None),
            key("screen", VIEWER, "viewer", None),
            key("old", ENDED, "admin", Some("2020-01-01T00:00:00Z")),
        ],
        roles: [("follower".to_owned(), vec!["subscribe:inbox_{user}".to_owned()])].into(),
        issuers: vec![issuer],
        ..AuthConfig::default()
    };
    server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 1 << 20).await
}

fn user(name: &str, more: &Value) -> String {
    let roles = json!({ "roles": ["follower", "admin"] });
    let mut claims = json!({
        "iss": ISSUER, "aud": "anywire", "sub": name, "exp": in_seconds(600), "realm_access": roles
    });
    claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    token(&claims)
}

/// What somebody is told who wants to follow a channel: `ok`, or the code of the refusal.
async fn follow(server: &Server, transport: &str, bearer: &str, channel: &str) -> String {
    match transport {
        "websocket" => {
            let mut socket = server.websocket().await;
            socket.send(&json!({ "op": "auth", "token": bearer }).to_string()).await;
            let told = socket.next().await;
            if told["op"] == "error" {
                return code(&told.to_string());
            }
            let subscribe = json!({ "op": "subscribe", "channels": [channel] });
            socket.send(&subscribe.to_string()).await;
            code(&socket.next().await.to_string())
        }
        "socketio" => {
            let polling = "/socket.io/?EIO=4&transport=polling";
            let open = server.get(polling).await.answer().await.1;
            let sid = open.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a sid");
            let polling = format!("{polling}&sid={sid}");
            let connect = format!("40{}", json!({ "token": bearer, "channels": [channel] }));
            let (host, length) = (server.address, connect.len());
            let head =
                format!("POST {polling} HTTP/1.1\nHost: {host}\nContent-Length: {length}\n\n{connect}");
            server.request(&head).await.answer().await;
            code(&server.get(&polling).await.answer().await.1)
        }
        path => {
            let (target, host) = (format!("/anywire/{path}?channels={channel}"), server.address);
            let head = format!("GET {target} HTTP/1.1\nHost: {host}\nAuthorization: Bearer {bearer}\n\n");
            let mut raw = server.request(&head).await;
            match raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 2") {
                true => "ok".to_owned(),
                false => code(&raw.answer().await.1),
            }
        }
    }
}

/// The code in an answer; `ok` if there is none.
fn code(answer: &str) -> String {
    let code = answer.split("\"code\":\"").nth(1).and_then(|rest| rest.split('"').next());
    code.unwrap_or("ok").to_owned()
}

const TRANSPORTS: [&str; 4] = ["websocket", "socketio", "sse", "poll"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_has_the_same_rights_on_every_transport() {
    let server = server().await;
    let other_audience = user("u1", &json!({ "aud": "billing" }));
    let other_issuer = user("u1", &json!({ "iss": "https://evil.example" }));
    for transport in TRANSPORTS {
        for (bearer, channel, expected) in [
            (PUBLISHER, "news", "ok"),
            (VIEWER, "news", "ok"),
            (VIEWER, "$performance:rules", "forbidden"),
            (ENDED, "news", "unauthorized"),
            ("nobodys-0123456789", "news", "unauthorized"),
            (&user("u1", &json!({})), "inbox_u1", "ok"),
            (&user("u1", &json!({})), "inbox_u2", "forbidden"),
            (&user("*", &json!({})), "inbox_u2", "forbidden"),
            (&user("u1", &json!({ "subscribe": ["*"] })), "news", "forbidden"),
            (&user("u1", &json!({ "exp": 1 })), "inbox_u1", "token_expired"),
            (&user("u1", &json!({ "iat": in_seconds(600) })), "inbox_u1", "unauthorized"),
            (&other_audience, "inbox_u1", "unauthorized"),
            (&other_issuer, "inbox_u1", "unauthorized"),
        ] {
            let told = follow(&server, transport, bearer, channel).await;
            assert_eq!(told, expected, "{transport}: {bearer} follows {channel}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_publishes_if_its_role_does() {
    let server = server().await;
    let publish = async |bearer: &str| {
        let body = r#"{"channel":"news","data":1}"#;
        let length = body.len();
        let head = format!(
            "POST /anywire/publish HTTP/1.1\nHost: x\nAuthorization: Bearer {bearer}\nContent-Length: {length}\n\n{body}"
        );
        server.request(&head).await.answer().await.1
    };
    assert!(publish(PUBLISHER).await.contains("\"offsets\":[1]"));
    let refused = publish(VIEWER).await;
    assert!(refused.contains("\"forbidden\"") && refused.contains("publish to channel news"), "{refused}");
    let ended = publish(ENDED).await;
    assert!(ended.contains("the key \\\"old\\\" (role admin) ended at 2020-01-01T00:00:00Z"), "{ended}");
}
