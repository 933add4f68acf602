//! The server's half of Socket.IO over each way a client may connect: polling, WebSocket, and polling that
//! changes over to WebSocket. Whatever is promised is promised on all three. What real clients make of it:
//! `e2e/suites/socketio`.

mod peer;
mod recorded;
mod recovery;
#[path = "../support/mod.rs"]
mod support;

use anywire_gateway::{AuthConfig, GatewayConfig, NamespaceSection, SocketIoConfig};
use anywire_log::{Batch, Channel, EventName, Payload, Publication};
use bytes::Bytes;
use peer::{Carrier, Peer};
use serde_json::{Value, json};
use support::{SECRET, Server, in_seconds, server_with, token};

/// A test of this name for each carrier.
macro_rules! over_every_carrier {
    ($($name:ident),* $(,)?) => {
        over_every_carrier!(@ polling, Polling, $($name),*);
        over_every_carrier!(@ websocket, WebSocket, $($name),*);
        over_every_carrier!(@ upgraded, Upgraded, $($name),*);
    };
    (@ $module:ident, $carrier:ident, $($name:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::peer::Carrier::$carrier).await;
                }
            )*
        }
    };
}
pub(crate) use over_every_carrier;

over_every_carrier!(
    a_published_event_arrives_as_its_name_and_its_data,
    many_events_arrive_once_each_and_in_order,
    rooms_are_joined_and_left_and_both_are_acknowledged,
    a_room_joined_with_a_cursor_begins_there,
    namespaces_are_apart_also_those_by_pattern_and_an_unknown_one_is_refused,
    several_namespaces_share_one_connection,
    an_emit_is_a_publication_acknowledged_with_its_place_in_the_log,
    bytes_go_both_ways_alone_and_within_other_data,
    an_event_that_means_nothing_is_refused_with_the_way_out_and_the_connection_stays,
    who_has_no_token_is_told_so_and_who_has_one_gets_what_it_allows,
);

fn section(name: &str, channels: &[&str]) -> NamespaceSection {
    NamespaceSection {
        name: name.to_owned(),
        channels: channels.iter().map(|&channel| channel.to_owned()).collect(),
        ..NamespaceSection::default()
    }
}

/// `/` hears `lobby`; `/chat` hears what it says, and is greeted; `/team-…` may join anything; `/recovering`
/// comes back where it stopped.
async fn server() -> Server {
    let namespaces = vec![
        section("/", &["lobby"]),
        NamespaceSection {
            emit_to: Some("chat".into()),
            welcome_event: Some("welcome".into()),
            welcome_data: Some("{\"message\":\"hello\",\"timestamp\":\"$now\"}".into()),
            ..section("/chat", &["chat"])
        },
        NamespaceSection { emit_to: Some("team".into()), ..section("/team-*", &[]) },
        NamespaceSection { recovery: true, ..section("/recovering", &["recovering"]) },
    ];
    let socketio = SocketIoConfig { namespaces, ..SocketIoConfig::default() };
    server_with(GatewayConfig { socketio, ..GatewayConfig::default() }, 1 << 20).await
}

async fn a_published_event_arrives_as_its_name_and_its_data(carrier: Carrier) {
    let server = server().await;
    let (mut peer, _) = Peer::joined(&server, carrier, "/", "").await;
    let data = json!({ "id": 1, "text": "tin mới ✓", "nested": [1.5, null, { "a": true }] });
    server.publish("lobby", &data.to_string()).await;
    assert_eq!(peer.event("/").await.args, [json!("x"), data], "with no further subscription");
    let listed = if carrier == Carrier::Polling { "polling" } else { "websocket" };
    assert_eq!(server.gateway.clients(10).1[0].carrier, Some(listed));
}

async fn many_events_arrive_once_each_and_in_order(carrier: Carrier) {
    let server = server().await;
    let begins = if carrier == Carrier::Upgraded { Carrier::Polling } else { carrier };
    let (mut peer, _) = Peer::joined(&server, begins, "/", "").await;
    for number in 0..300 {
        server.publish("lobby", &number.to_string()).await;
        // In the middle of it, with a poll on its way.
        if number == 150 && carrier == Carrier::Upgraded {
            peer.change_over().await;
        }
    }
    for number in 0..300 {
        assert_eq!(peer.event("/").await.args[1], json!(number));
    }
    assert_eq!(peer.ask("/", "[\"subscribe\",\"end\"]", &[]).await["ok"], json!(true));
    assert!(peer.has_nothing_more("/"), "nothing came twice");
}

async fn rooms_are_joined_and_left_and_both_are_acknowledged(carrier: Carrier) {
    let server = server().await;
    let (mut peer, _) = Peer::joined(&server, carrier, "/", "").await;
    let joined = peer.ask("/", "[\"subscribe\",\"room\"]", &[]).await;
    assert_eq!(joined, json!({ "ok": true, "channels": ["room"], "cursor": server.cursor(0) }));
    server.publish("room", "1").await;
    assert_eq!(peer.event("/").await.args[1], json!(1));
    let left = peer.ask("/", "[\"unsubscribe\",\"room\"]", &[]).await;
    assert_eq!(left, json!({ "ok": true, "channels": ["room"] }));
    server.publish("room", "2").await;
    server.publish("lobby", "3").await;
    assert_eq!(peer.event("/").await.args[1], json!(3), "nothing of a room that was left");
}

async fn a_room_joined_with_a_cursor_begins_there(carrier: Carrier) {
    let server = server().await;
    let first = server.publish("room", "1").await;
    server.publish("room", "2").await;
    let (mut peer, _) = Peer::joined(&server, carrier, "/", "").await;
    let after = server.cursor(first);
    let joined = peer.ask("/", &format!("[\"subscribe\",[\"room\"],{{\"after\":\"{after}\"}}]"), &[]).await;
    assert_eq!(joined["ok"], json!(true));
    server.publish("room", "3").await;
    for number in [2, 3] {
        assert_eq!(peer.event("/").await.args[1], json!(number));
    }
}

async fn namespaces_are_apart_also_those_by_pattern_and_an_unknown_one_is_refused(carrier: Carrier) {
    let server = server().await;
    let (mut main, _) = Peer::joined(&server, carrier, "/", "").await;
    let (mut chat, joined) = Peer::joined(&server, carrier, "/chat", "").await;
    let (mut team, _) = Peer::joined(&server, carrier, "/team-a", "").await;
    assert_ne!(joined["sid"], json!(chat.session), "a socket's id is not its connection's");
    assert_eq!(team.ask("/team-a", "[\"subscribe\",\"team\"]", &[]).await["ok"], json!(true));
    let welcome = chat.event("/chat").await.args;
    assert_eq!((&welcome[0], &welcome[1]["message"]), (&json!("welcome"), &json!("hello")));
    assert!(welcome[1]["timestamp"].as_str().is_some_and(|time| time.starts_with("20")), "{welcome:?}");
    server.publish("chat", "1").await;
    server.publish("lobby", "2").await;
    server.publish("team", "3").await;
    assert_eq!(chat.event("/chat").await.args[1], json!(1));
    assert_eq!(main.event("/").await.args[1], json!(2));
    assert_eq!(team.event("/team-a").await.args[1], json!(3));
    let mut stranger = Peer::open(&server, carrier).await;
    let refused = stranger.join("/nowhere", "").await.expect_err("there is none");
    assert_eq!(refused["message"], json!("Invalid namespace"));
}

async fn several_namespaces_share_one_connection(carrier: Carrier) {
    let server = server().await;
    let (mut peer, main) = Peer::joined(&server, carrier, "/", "").await;
    let team = peer.join("/team-b", "").await.expect("it may");
    assert_ne!(main["sid"], team["sid"]);
    assert_eq!(peer.ask("/team-b", "[\"subscribe\",\"team\"]", &[]).await["ok"], json!(true));
    server.publish("team", "1").await;
    server.publish("lobby", "2").await;
    assert_eq!(peer.event("/").await.args[1], json!(2));
    assert_eq!(peer.event("/team-b").await.args[1], json!(1));
    peer.send("41/team-b,", &[]).await;
    // What is acknowledged after it says that it was heard.
    assert_eq!(peer.ask("/", "[\"subscribe\",\"a\"]", &[]).await["ok"], json!(true));
    server.publish("team", "3").await;
    server.publish("lobby", "4").await;
    assert_eq!(peer.event("/").await.args[1], json!(4));
    assert!(peer.has_nothing_more("/team-b"));
}

async fn an_emit_is_a_publication_acknowledged_with_its_place_in_the_log(carrier: Carrier) {
    let server = server().await;
    let (mut one, _) = Peer::joined(&server, carrier, "/chat", "").await;
    let (mut other, _) = Peer::joined(&server, carrier, "/chat", "").await;
    let answer = one.ask("/chat", "[\"said\",{\"text\":\"xin chào\"},2]", &[]).await;
    assert_eq!(answer, json!({ "ok": true, "offsets": [1], "cursor": server.cursor(1) }));
    assert_eq!(other.event("/chat").await.args[0], json!("welcome"));
    let said = [json!("said"), json!({ "text": "xin chào" }), json!(2)];
    assert_eq!(other.event("/chat").await.args, said);
    let elsewhere = "[\"publish\",{\"channel\":\"elsewhere\",\"event\":\"y\",\"data\":1}]";
    assert_eq!(one.ask("/chat", elsewhere, &[]).await["ok"], json!(true));
    let mut native = server.websocket().await;
    native.subscribe(&["chat", "elsewhere"], Some("0")).await;
    assert_eq!(native.expect("event").await["data"], json!({ "$args": [{ "text": "xin chào" }, 2] }));
    let published = native.expect("event").await;
    assert_eq!((&published["channel"], &published["event"]), (&json!("elsewhere"), &json!("y")));
}

async fn bytes_go_both_ways_alone_and_within_other_data(carrier: Carrier) {
    let server = server().await;
    let (mut one, _) = Peer::joined(&server, carrier, "/chat", "").await;
    let (mut other, _) = Peer::joined(&server, carrier, "/chat", "").await;
    assert_eq!(other.event("/chat").await.args[0], json!("welcome"));
    let place = |number: usize| json!({ "_placeholder": true, "num": number });
    let bytes: &[u8] = &[0, 1, 2, 250, 255];
    let alone = json!(["file", place(0)]).to_string();
    assert_eq!(one.ask("/chat", &alone, &[bytes]).await["ok"], json!(true));
    let within = json!(["file", { "name": "a", "parts": [place(0), place(1)] }, 7]);
    assert_eq!(one.ask("/chat", &within.to_string(), &[bytes, b"b"]).await["ok"], json!(true));
    let came = other.event("/chat").await;
    assert_eq!((&came.args[1], came.attachments), (&place(0), vec![bytes.to_vec()]));
    let came = other.event("/chat").await;
    assert_eq!((json!(came.args), came.attachments), (within, vec![bytes.to_vec(), b"b".to_vec()]));
    let publication = Publication {
        channel: Channel::new("chat").expect("a name"),
        name: EventName::new("published").expect("a name"),
        payload: Payload::Binary(Bytes::copy_from_slice(bytes)),
    };
    server.log.append(Batch::new(vec![publication])).await.expect("an append");
    let came = other.event("/chat").await;
    assert_eq!((&came.args[1], came.attachments), (&place(0), vec![bytes.to_vec()]));
}

async fn an_event_that_means_nothing_is_refused_with_the_way_out_and_the_connection_stays(carrier: Carrier) {
    let server = server().await;
    let (mut peer, _) = Peer::joined(&server, carrier, "/", "").await;
    let wrong = [
        ("[\"whatever\",1]", "invalid_event"),
        ("[\"subscribe\",\"a b\"]", "invalid_channel"),
        ("[\"subscribe\"]", "invalid_request"),
    ];
    for (event, code) in wrong {
        let answer = peer.ask("/", event, &[]).await;
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!(code)), "{event}");
        assert!(answer["message"].as_str().is_some_and(|words| words.len() > 10), "{answer}");
    }
    assert_eq!(peer.ask("/", "[\"subscribe\",\"room\"]", &[]).await["ok"], json!(true));
}

fn guarded() -> GatewayConfig {
    let namespaces =
        vec![NamespaceSection { emit_to: Some("from_clients".into()), ..section("/", &["user_{user}"]) }];
    GatewayConfig {
        auth: AuthConfig { jwt_secret: Some(SECRET.into()), ..AuthConfig::default() },
        socketio: SocketIoConfig { namespaces, ..SocketIoConfig::default() },
        ..GatewayConfig::default()
    }
}

async fn who_has_no_token_is_told_so_and_who_has_one_gets_what_it_allows(carrier: Carrier) {
    let server = server_with(guarded(), 1 << 20).await;
    let mut peer = Peer::open(&server, carrier).await;
    let refused = |answer: Result<Value, Value>| answer.expect_err("refused")["data"]["code"].clone();
    assert_eq!(refused(peer.join("/", "").await), json!("unauthorized"));
    let auth = |claims: &Value| json!({ "token": token(claims) }).to_string();
    let old = peer.join("/", &auth(&json!({ "sub": "u", "exp": 1_000_000 }))).await;
    assert_eq!(refused(old), json!("token_expired"));
    let rights = json!({
        "sub": "u1",
        "exp": in_seconds(3600),
        "subscribe": ["user_u1", "room_*"],
        "publish": ["from_clients"],
    });
    peer.join("/", &auth(&rights)).await.expect("it may");
    assert_eq!(peer.ask("/", "[\"subscribe\",\"room_1\"]", &[]).await["ok"], json!(true));
    assert_eq!(peer.ask("/", "[\"subscribe\",\"secret\"]", &[]).await["code"], json!("forbidden"));
    assert_eq!(peer.ask("/", "[\"hello\",1]", &[]).await["ok"], json!(true));
    let elsewhere = "[\"publish\",{\"channel\":\"secret\",\"data\":1}]";
    assert_eq!(peer.ask("/", elsewhere, &[]).await["code"], json!("forbidden"));
    server.publish("user_u1", "1").await;
    assert_eq!(peer.event("/").await.args[1], json!(1), "its own channel, by its name");
}

/// How a handshake is refused, with these headers.
async fn refused(server: &Server, query: &str, headers: &str) -> String {
    let head = format!("GET /socket.io/?{query} HTTP/1.1\nHost: {}\n{headers}\n", server.address);
    let mut raw = server.request(&head).await;
    let (head, body) = raw.answer().await;
    format!("{} {body}", head.lines().next().expect("a status"))
}

const UPGRADE: &str = "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_io_3_client_is_told_that_its_protocol_is_not_spoken() {
    let server = server().await;
    for (transport, headers) in [("polling", ""), ("websocket", UPGRADE)] {
        let answer = refused(&server, &format!("EIO=3&transport={transport}"), headers).await;
        assert!(answer.contains(" 400 "), "{answer}");
        assert!(answer.ends_with("{\"code\":5,\"message\":\"Unsupported protocol version\"}"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_is_kept_out_over_either_transport() {
    let server = server().await;
    for (transport, headers) in [("polling", ""), ("websocket", UPGRADE)] {
        let headers = format!("{headers}Origin: https://evil.example\n");
        let answer = refused(&server, &format!("EIO=4&transport={transport}"), &headers).await;
        assert!(answer.contains(" 403 "), "{transport}: {answer}");
    }
}
