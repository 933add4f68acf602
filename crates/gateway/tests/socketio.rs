//! Socket.IO over real sockets: polling, WebSocket and the change between them; rooms, recovery, slow
//! clients, and what is refused.

mod support;

use std::time::Duration;

use anywire_gateway::{AuthConfig, GatewayConfig, NamespaceSection, SocketArgs, SocketIoConfig};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::{PATIENCE, Raw, Server, server, server_with};
use tokio_websockets::Message;

/// A client over a WebSocket, packet by packet.
struct Socket(support::WebSocket);

/// What came: a text packet, or bytes.
#[derive(Debug, Clone, PartialEq)]
enum Came {
    Text(String),
    Bytes(Bytes),
    End,
}

impl Socket {
    /// Connects without joining a namespace.
    async fn open(server: &Server, query: &str) -> Self {
        let uri = format!("ws://{}/socket.io/?EIO=4&transport=websocket{query}", server.address);
        let uri = uri.parse().expect("a URI");
        let (socket, _) = tokio_websockets::ClientBuilder::from_uri(uri).connect().await.expect("an upgrade");
        Self(support::WebSocket(socket))
    }

    async fn begin(server: &Server) -> Self {
        let mut socket = Self::open(server, "").await;
        let opening = socket.text().await;
        assert!(opening.starts_with("0{\"sid\":"), "{opening}");
        socket
    }

    /// Connects and joins `/`.
    async fn join(server: &Server, auth: &str) -> (Self, Value) {
        let mut socket = Self::begin(server).await;
        socket.send(&format!("40{auth}")).await;
        let answer = socket.text().await;
        let joined = answer.strip_prefix("40").unwrap_or_else(|| panic!("{answer}"));
        (socket, serde_json::from_str(joined).expect("JSON"))
    }

    async fn send(&mut self, packet: &str) {
        self.0.send(packet).await;
    }

    async fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.0.send(Message::binary(Bytes::copy_from_slice(bytes))).await.expect("a send");
    }

    async fn came(&mut self) -> Came {
        let message = tokio::time::timeout(PATIENCE, self.0.0.next()).await.expect("something came");
        let Some(Ok(message)) = message else { return Came::End };
        match message.as_text() {
            Some("2") => {
                self.send("3").await;
                Box::pin(self.came()).await
            }
            Some(text) => Came::Text(text.to_owned()),
            None if message.is_binary() => Came::Bytes(Bytes::copy_from_slice(message.as_payload())),
            None => Came::End,
        }
    }

    async fn text(&mut self) -> String {
        match self.came().await {
            Came::Text(text) => text,
            other => panic!("{other:?} came where text was due"),
        }
    }

    /// The next event's arguments, name first.
    async fn event(&mut self) -> Vec<Value> {
        let text = self.text().await;
        let array = text.strip_prefix("42").unwrap_or_else(|| panic!("{text} is no event"));
        serde_json::from_str(array).expect("JSON")
    }

    /// Joins a channel and waits for the answer.
    async fn subscribe(&mut self, channel: &str) -> Value {
        self.send(&format!("421[\"subscribe\",\"{channel}\"]")).await;
        self.answer().await
    }

    async fn answer(&mut self) -> Value {
        let text = self.text().await;
        let array = text.strip_prefix("431").unwrap_or_else(|| panic!("{text} is no answer"));
        serde_json::from_str::<Vec<Value>>(array).expect("JSON").remove(0)
    }
}

/// A client that polls.
struct Poller<'a> {
    server: &'a Server,
    session: String,
}

impl<'a> Poller<'a> {
    async fn begin(server: &'a Server) -> Self {
        let mut answer = server.get("/socket.io/?EIO=4&transport=polling").await;
        let text = answer.until("}").await.to_owned();
        let (_, opening) = text.split_once("\r\n\r\n0").expect("an opening packet");
        let opening: Value = serde_json::from_str(opening).expect("JSON");
        assert_eq!(opening["upgrades"], json!(["websocket"]));
        Self { server, session: opening["sid"].as_str().expect("an id").to_owned() }
    }

    async fn join(server: &'a Server) -> Self {
        let poller = Self::begin(server).await;
        assert_eq!(poller.post("40").await, "ok");
        let joined = poller.poll().await;
        assert!(joined.starts_with("40{\"sid\":"), "{joined}");
        poller
    }

    fn target(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.session)
    }

    /// Sends a poll and leaves the answer for later.
    async fn begin_poll(&self) -> Raw {
        self.server.get(&self.target()).await
    }

    async fn poll(&self) -> String {
        body(&mut self.begin_poll().await).await
    }

    async fn post(&self, packets: &str) -> String {
        self.post_bytes(packets.as_bytes()).await
    }

    async fn post_bytes(&self, packets: &[u8]) -> String {
        use tokio::io::AsyncWriteExt;
        let head = format!(
            "POST {} HTTP/1.1\nHost: {}\nContent-Length: {}\n\n",
            self.target(),
            self.server.address,
            packets.len()
        );
        let mut raw = self.server.request(&head).await;
        raw.stream.write_all(packets).await.expect("a write");
        body(&mut raw).await
    }
}

/// The body of one answer.
async fn body(raw: &mut Raw) -> String {
    raw.until("\r\n\r\n").await;
    let length = raw
        .read
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .expect("a length")
        .parse::<usize>()
        .expect("a number");
    let start = raw.read.find("\r\n\r\n").expect("a head") + 4;
    let mut buffer = vec![0; 64 << 10];
    while raw.read.len() < start + length {
        use tokio::io::AsyncReadExt;
        let count = tokio::time::timeout(PATIENCE, raw.stream.read(&mut buffer))
            .await
            .expect("more")
            .expect("a read");
        assert!(count > 0, "the connection ended in a body");
        raw.read.push_str(std::str::from_utf8(&buffer[..count]).expect("UTF-8"));
    }
    raw.read[start..start + length].to_owned()
}

fn with(socketio: SocketIoConfig) -> GatewayConfig {
    GatewayConfig { socketio, ..GatewayConfig::default() }
}

fn namespaces(sections: Vec<NamespaceSection>) -> GatewayConfig {
    with(SocketIoConfig { namespaces: sections, ..SocketIoConfig::default() })
}

fn namespace(name: &str) -> NamespaceSection {
    NamespaceSection { name: name.to_owned(), ..NamespaceSection::default() }
}

/// Pings soon, so that a test meets one; nothing is measured against it. The time-out leaves time for every
/// step of a test.
fn pinging() -> GatewayConfig {
    with(SocketIoConfig { ping_interval_ms: 300, ping_timeout_ms: 2_000, ..SocketIoConfig::default() })
}

/// Waits until a poll waits for something to come.
async fn until_a_poll_waits(server: &Server) {
    let waits = async {
        while !server.gateway.clients(10).1.iter().any(|client| client.state == "waiting") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("a poll waits");
}

/// Waits until nobody is connected any more.
async fn until_nobody_is_left(server: &Server) {
    let nobody = async {
        while server.gateway.clients(10).0 > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, nobody).await.expect("everybody goes");
}

fn event_name(name: &str) -> anywire_log::EventName {
    anywire_log::EventName::new(name).expect("a name")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_joins_a_room_and_gets_what_is_published_to_it() {
    let server = server().await;
    let (mut socket, joined) = Socket::join(&server, "").await;
    assert_eq!(joined["sid"].as_str().map(str::len), Some(20));
    let answer = socket.subscribe("a").await;
    assert_eq!(answer, json!({ "ok": true, "channels": ["a"], "cursor": server.cursor(0) }));
    server.publish("a", "{\"n\":1}").await;
    server.publish("b", "2").await;
    server.publish("a", "3").await;
    assert_eq!(socket.event().await, [json!("x"), json!({ "n": 1 })]);
    assert_eq!(socket.event().await, [json!("x"), json!(3)]);
    socket.send("421[\"unsubscribe\",\"a\"]").await;
    assert_eq!(socket.answer().await, json!({ "ok": true, "channels": ["a"] }));
    server.publish("a", "4").await;
    socket.send("421[\"publish\",{\"channel\":\"b\",\"data\":1}]").await;
    assert_eq!(socket.answer().await["offsets"], json!([5]), "nothing of a came before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_gets_what_came_between_its_polls_and_what_comes_while_it_waits() {
    let server = server().await;
    let poller = Poller::join(&server).await;
    assert_eq!(poller.post("421[\"subscribe\",\"a\"]").await, "ok");
    assert!(poller.poll().await.starts_with("431["));
    server.publish("a", "1").await;
    server.publish("a", "2").await;
    assert_eq!(poller.poll().await, "42[\"x\",1]\u{1e}42[\"x\",2]");
    let mut waiting = poller.begin_poll().await;
    server.publish("b", "0").await;
    server.publish("a", "3").await;
    assert_eq!(body(&mut waiting).await, "42[\"x\",3]");
    let (total, clients) = server.gateway.clients(10);
    assert_eq!((total, clients[0].carrier, clients[0].namespaces[0].rooms.len()), (1, Some("polling"), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_repeated_while_a_websocket_takes_over() {
    let server = server().await;
    let poller = Poller::join(&server).await;
    poller.post("421[\"subscribe\",\"a\"]").await;
    poller.poll().await;
    server.publish("a", "1").await;
    assert_eq!(poller.poll().await, "42[\"x\",1]");
    let mut waiting = poller.begin_poll().await;
    let mut socket = Socket::open(&server, &format!("&sid={}", poller.session)).await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    assert_eq!(body(&mut waiting).await, "6", "the waiting poll is released");
    assert_eq!(poller.poll().await, "6", "no poll waits while the WebSocket is tried");
    server.publish("a", "2").await;
    socket.send("5").await;
    server.publish("a", "3").await;
    for number in [2, 3] {
        assert_eq!(socket.event().await, [json!("x"), json!(number)]);
    }
    assert!(poller.poll().await.contains("Session ID unknown"));
    let only_websocket = async {
        while server.gateway.clients(10).1.iter().any(|client| client.carrier != Some("websocket")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, only_websocket).await.expect("it is listed once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_is_given_up_leaves_polling_as_it_was() {
    let server = server().await;
    let poller = Poller::join(&server).await;
    poller.post("421[\"subscribe\",\"a\"]").await;
    poller.poll().await;
    let mut socket = Socket::open(&server, &format!("&sid={}", poller.session)).await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    drop(socket);
    // Until the server has noticed, polls come back empty.
    let waits = async {
        loop {
            let mut waiting = poller.begin_poll().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            server.publish("a", "1").await;
            let payload = body(&mut waiting).await;
            if payload != "6" {
                return payload;
            }
        }
    };
    let payload = tokio::time::timeout(PATIENCE, waits).await.expect("polls wait again");
    assert!(payload.starts_with("42[\"x\",1]"), "{payload}");
    let mut second = Socket::open(&server, &format!("&sid={}", poller.session)).await;
    second.send("5").await;
    assert_eq!(second.came().await, Came::End, "no WebSocket takes over without a probe");
    assert_eq!(poller.post("3").await, "ok", "the session is as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_come_in_as_attachments_and_go_out_the_same_way_on_every_carrier() {
    let server = server_with(
        namespaces(vec![NamespaceSection { emit_to: Some("a".into()), ..namespace("/") }]),
        1 << 20,
    )
    .await;
    let (mut socket, _) = Socket::join(&server, "").await;
    socket.subscribe("a").await;
    let poller = Poller::join(&server).await;
    poller.post("421[\"subscribe\",\"a\"]").await;
    poller.poll().await;
    let place = |index: usize| format!("{{\"_placeholder\":true,\"num\":{index}}}");
    let event = format!("[\"file\",{{\"name\":\"f\",\"part\":{}}},{}]", place(0), place(1));
    socket.send(&format!("452-1{event}")).await;
    socket.send_bytes(&[1, 2, 3]).await;
    socket.send_bytes(&[4]).await;
    let mut came = [socket.came().await, socket.came().await, socket.came().await, socket.came().await];
    came.sort_by_key(|came| matches!(came, Came::Text(text) if text.starts_with("431[")));
    let [Came::Text(text), Came::Bytes(one), Came::Bytes(two), Came::Text(answer)] = &came else {
        panic!("{came:?}")
    };
    assert_eq!(
        (text.as_str(), one.as_ref(), two.as_ref()),
        (&*format!("452-{event}"), &[1, 2, 3][..], &[4][..])
    );
    assert!(answer.contains("\"ok\":true"), "{answer}");
    assert_eq!(poller.poll().await, format!("452-{event}\u{1e}bAQID\u{1e}bBA=="));
    let mut native = server.websocket().await;
    native.subscribe(&["a"], Some("0")).await;
    let expected =
        json!({ "$args": [{ "name": "f", "part": { "$binary": "AQID" } }, { "$binary": "BA==" }] });
    assert_eq!(native.expect("event").await["data"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_of_one_connection_get_their_own_rooms_once_each() {
    let server =
        server_with(namespaces(vec![namespace("/"), namespace("/team-*"), namespace("/c")]), 1 << 20).await;
    let (mut socket, _) = Socket::join(&server, "").await;
    for name in ["/team-a", "/c"] {
        socket.send(&format!("40{name},")).await;
        assert!(socket.text().await.starts_with(&format!("40{name},{{\"sid\":")));
    }
    socket.send("40/team,").await;
    assert_eq!(socket.text().await, "44/team,{\"message\":\"Invalid namespace\"}");
    socket.subscribe("a").await;
    server.publish("a", "1").await;
    assert_eq!(socket.text().await, "42[\"x\",1]");
    socket.send("42/team-a,[\"subscribe\",\"a\",{\"after\":\"0\"}]").await;
    assert_eq!(socket.text().await, "42/team-a,[\"x\",1]", "what the other has had is not repeated to it");
    server.publish("a", "2").await;
    let both = [socket.text().await, socket.text().await];
    assert_eq!(both, ["42[\"x\",2]", "42/team-a,[\"x\",2]"]);
    socket.send("41").await;
    socket.send("42/team-a,1[\"subscribe\",\"b\"]").await;
    assert!(socket.text().await.starts_with("43/team-a,1["));
    server.publish("a", "3").await;
    assert_eq!(socket.text().await, "42/team-a,[\"x\",3]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_may_greet_and_put_its_clients_into_channels() {
    let section = NamespaceSection {
        channels: vec!["pipeline".into()],
        welcome_event: Some("connection-success".into()),
        welcome_data: Some("{\"message\":\"hello\",\"timestamp\":\"$now\"}".into()),
        newest_first: vec!["progress_*".into()],
        ..namespace("/")
    };
    let server = server_with(namespaces(vec![section]), 1 << 20).await;
    server.publish("progress_1", "10").await;
    server.publish("progress_1", "20").await;
    let (mut socket, _) = Socket::join(&server, "").await;
    let welcome = socket.event().await;
    assert_eq!((&welcome[0], &welcome[1]["message"]), (&json!("connection-success"), &json!("hello")));
    assert!(welcome[1]["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{welcome:?}");
    server.publish("pipeline", "1").await;
    assert_eq!(socket.event().await, [json!("x"), json!(1)]);
    socket.subscribe("progress_1").await;
    assert_eq!(socket.event().await, [json!("x"), json!(20)], "the newest state, at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_decides_who_joins_what() {
    let auth = AuthConfig {
        api_keys: vec!["0123456789abcdef".into()],
        anonymous_subscribe: vec!["open_*".into()],
        ..AuthConfig::default()
    };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 1 << 20).await;
    let mut socket = Socket::begin(&server).await;
    socket.send("40{\"token\":\"wrong\"}").await;
    let refused = socket.text().await;
    assert!(refused.starts_with("44{\"message\":") && refused.contains("\"unauthorized\""), "{refused}");
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{"));
    assert_eq!(socket.subscribe("open_a").await["ok"], json!(true));
    let answer = socket.subscribe("closed").await;
    assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!("forbidden")));
    socket.send("421[\"auth\",{\"token\":\"0123456789abcdef\"}]").await;
    assert_eq!(socket.answer().await["ok"], json!(true));
    assert_eq!(socket.subscribe("closed").await["ok"], json!(true));
    socket.send("421[\"publish\",{\"channel\":\"closed\",\"event\":\"y\"}]").await;
    let first = socket.text().await;
    let second = socket.text().await;
    assert!(first.contains("\"offsets\":[1]") ^ second.contains("\"offsets\":[1]"), "{first} {second}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_goes_on_where_it_stopped() {
    let server = server().await;
    let (mut socket, joined) = Socket::join(&server, "{\"recover\":true}").await;
    socket.subscribe("a").await;
    server.publish("a", "1").await;
    let event = socket.event().await;
    let offset = server.log.tail_cursor().to_string();
    assert_eq!(event, [json!("x"), json!(1), json!(offset)]);
    drop(socket);
    server.publish("a", "2").await;
    let pid = joined["pid"].as_str().expect("a private id");
    let back = |offset: &str| format!("{{\"recover\":true,\"pid\":\"{pid}\"{offset}}}");
    let (mut socket, again) = Socket::join(&server, &back(&format!(",\"offset\":\"{offset}\""))).await;
    assert_eq!(again, joined, "the same ids");
    assert_eq!(socket.event().await[1], json!(2));
    // The other one may still seem to be connected: it is cut off.
    let (mut other, again) = Socket::join(&server, &back("")).await;
    assert_eq!(again["sid"], joined["sid"]);
    assert_eq!(socket.came().await, Came::End);
    assert_eq!(other.event().await[1], json!(1), "without an offset it has seen nothing");
    assert_eq!(other.event().await[1], json!(2));
    // Who leaves of their own will does not come back as the same.
    other.send("41").await;
    other.send("40").await;
    assert!(other.text().await.starts_with("40{"));
    drop(other);
    let (_, gone) = Socket::join(&server, &back("")).await;
    assert_ne!(gone["sid"], joined["sid"]);
    let (_, stranger) = Socket::join(&server, "{\"recover\":true,\"pid\":\"forged\",\"offset\":\"x\"}").await;
    assert_ne!(stranger["pid"], joined["pid"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_comes_back_on_another_node_an_hour_later() {
    let server = server().await;
    let (mut socket, joined) = Socket::join(&server, "{\"recover\":true,\"channels\":[\"a\"]}").await;
    server.publish("a", "1").await;
    let offset = socket.event().await[2].clone();
    drop(socket);
    server.publish("a", "2").await;
    let other = server.another_node(Duration::from_secs(3600)).await;
    let pid = &joined["pid"];
    let back = format!("{{\"recover\":true,\"pid\":{pid},\"offset\":{offset}}}");
    let (mut socket, again) = Socket::join(&other, &back).await;
    assert_eq!(again, joined, "the same ids");
    assert_eq!(socket.event().await[1], json!(2));
    drop(socket);
    let third = server.another_node(Duration::from_secs(7200)).await;
    let nothing_seen = format!("{{\"recover\":true,\"pid\":{pid}}}");
    let (mut socket, _) = Socket::join(&third, &nothing_seen).await;
    assert_eq!([socket.event().await[1].clone(), socket.event().await[1].clone()], [json!(1), json!(2)]);
    let garbage = format!("{{\"recover\":true,\"pid\":{pid},\"offset\":\"none\"}}");
    let (mut socket, _) = Socket::join(&server.another_node(Duration::ZERO).await, &garbage).await;
    assert_eq!(socket.event().await[1], json!(1), "a node that knows no place begins where it was joined");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_checked_again_when_a_client_comes_back() {
    let auth = AuthConfig {
        api_keys: vec!["0123456789abcdef".into()],
        anonymous_subscribe: vec!["open_*".into()],
        ..AuthConfig::default()
    };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 1 << 20).await;
    let channels = "\"channels\":[\"closed\",\"open_a\"]";
    let auth = format!("{{\"recover\":true,\"token\":\"0123456789abcdef\",{channels}}}");
    let (socket, joined) = Socket::join(&server, &auth).await;
    drop(socket);
    server.publish("closed", "1").await;
    server.publish("open_a", "2").await;
    let pid = &joined["pid"];
    let (mut socket, again) = Socket::join(&server, &format!("{{\"recover\":true,\"pid\":{pid}}}")).await;
    assert_eq!(again, joined);
    assert_eq!(socket.event().await[1], json!(2), "what the token does not allow any more is left out");
    let wrong = format!("{{\"recover\":true,\"pid\":{pid},\"token\":\"wrong\"}}");
    let mut refused = Socket::begin(&server).await;
    refused.send(&format!("40{wrong}")).await;
    assert!(refused.text().await.contains("\"unauthorized\""));
    server.publish("open_a", "3").await;
    assert_eq!(socket.event().await[1], json!(3), "who is refused disturbs nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_newest_of_those_who_went_may_come_back() {
    let server =
        server_with(with(SocketIoConfig { recoveries_max: 2, ..SocketIoConfig::default() }), 1 << 20).await;
    let mut sids = Vec::new();
    for _ in 0..4 {
        let (socket, joined) = Socket::join(&server, "{\"recover\":true}").await;
        drop(socket);
        until_nobody_is_left(&server).await;
        sids.push((joined["pid"].clone(), joined["sid"].clone()));
    }
    for (index, (pid, sid)) in sids.iter().enumerate().rev() {
        let (_socket, back) = Socket::join(&server, &format!("{{\"recover\":true,\"pid\":{pid}}}")).await;
        assert_eq!(back["sid"] == *sid, index >= 2, "{index}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_told_as_an_event() {
    let server = server().await;
    let (mut socket, joined) = Socket::join(&server, "{\"recover\":true,\"channels\":[\"few_a\"]}").await;
    server.publish("few_a", "0").await;
    let seen = socket.event().await[2].as_str().expect("a cursor").to_owned();
    drop(socket);
    server.publish_many("few_a", (1..30).map(|number| number.to_string())).await;
    let pid = joined["pid"].as_str().expect("a private id");
    let auth = format!("{{\"recover\":true,\"pid\":\"{pid}\",\"offset\":\"{seen}\"}}");
    let (mut socket, _) = Socket::join(&server, &auth).await;
    let gap = socket.event().await;
    assert_eq!(
        (&gap[0], &gap[1]["from"], &gap[1]["reason"]),
        (&json!("gap"), &json!(seen), &json!("trimmed"))
    );
    assert_eq!(socket.event().await[1], json!(20));
    let (mut socket, _) = Socket::join(&server, "{\"channels\":[\"few_a\"],\"after\":\"00000000-1\"}").await;
    assert_eq!(socket.event().await[1]["reason"], json!("epoch"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_server_puts_out_does_not_come_back_as_who_it_was() {
    let server = server().await;
    let (mut socket, joined) = Socket::join(&server, "{\"recover\":true}").await;
    socket.subscribe("a").await;
    let id = joined["sid"].as_str().expect("an id").to_owned();
    let pid = joined["pid"].as_str().expect("a private id").to_owned();
    assert!(server.gateway.disconnect_socket(&id).await);
    assert_eq!(socket.text().await, "41");
    let back = format!("{{\"recover\":true,\"pid\":\"{pid}\",\"offset\":\"x\"}}");
    // Over the same connection, as `socket.connect()` does, and over another.
    socket.send(&format!("40{back}")).await;
    let again: Value = serde_json::from_str(&socket.text().await[2..]).expect("it joins");
    let (mut other, another) = Socket::join(&server, &back).await;
    server.publish("a", "1").await;
    for (socket, joined) in [(&mut socket, again), (&mut other, another)] {
        let fresh = joined["sid"].as_str().expect("an id");
        assert!(fresh != id && joined["pid"] != pid.as_str(), "{joined}");
        server
            .gateway
            .emit_to_socket(fresh, &event_name("mark"), &SocketArgs::default(), false)
            .expect("it is there");
        assert_eq!(socket.event().await[0], json!("mark"), "its rooms are gone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_asks_and_the_client_answers_or_time_runs_out() {
    let server = server().await;
    let (mut socket, joined) = Socket::join(&server, "").await;
    let id = joined["sid"].as_str().expect("an id").to_owned();
    let args = SocketArgs { values: vec!["1".into()], attachments: Vec::new() };
    let gateway = std::sync::Arc::clone(&server.gateway);
    let (asked, own) = (args.clone(), id.clone());
    let ask =
        tokio::spawn(
            async move { gateway.ask_socket(&own, &event_name("question"), &asked, PATIENCE).await },
        );
    assert_eq!(socket.text().await, "420[\"question\",1]");
    socket.send("437[\"to nobody\"]").await;
    socket.send("430[\"answer\",2]").await;
    let answer = ask.await.expect("it ran").expect("an answer");
    assert_eq!(answer.values, ["\"answer\"", "2"]);
    let none =
        server.gateway.ask_socket(&id, &event_name("question"), &args, Duration::from_millis(20)).await;
    assert!(none.expect_err("no answer").to_string().contains("20 ms"));
    assert_eq!(socket.text().await, "421[\"question\",1]");
    server.gateway.emit_to_socket(&id, &event_name("hello"), &args, false).expect("it is there");
    assert_eq!(socket.text().await, "42[\"hello\",1]");
    assert!(server.gateway.disconnect_socket(&id).await);
    assert_eq!(socket.text().await, "41");
    assert!(server.gateway.emit_to_socket(&id, &event_name("hello"), &args, false).is_err());
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{"), "it may come back");
    // A client that polls and does not: what waits for it has a limit.
    let poller = Poller::join(&server).await;
    let clients = server.gateway.clients(10).1;
    let polling = clients.iter().find(|client| client.carrier == Some("polling")).expect("it is listed");
    assert_eq!(polling.state, "polling");
    let long = SocketArgs { values: vec![format!("\"{}\"", "x".repeat(10_000))], attachments: Vec::new() };
    let id = &polling.namespaces[0].socket;
    let taken = (0..100)
        .take_while(|_| server.gateway.emit_to_socket(id, &event_name("x"), &long, false).is_ok())
        .count();
    assert!((1..100).contains(&taken), "{taken}");
    assert_eq!(poller.poll().await.split('\u{1e}').count(), taken);
    assert!(server.gateway.emit_to_socket(id, &event_name("x"), &long, false).is_ok(), "there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_slowly_gets_everything_in_order_and_others_go_on() {
    let server = server_with(GatewayConfig::default(), 1 << 20).await;
    let (mut slow, _) = Socket::join(&server, "").await;
    slow.subscribe("a").await;
    let poller = Poller::join(&server).await;
    poller.post("421[\"subscribe\",\"a\"]").await;
    poller.poll().await;
    let (mut quick, _) = Socket::join(&server, "").await;
    quick.subscribe("a").await;
    let filler = "x".repeat(5_000);
    for round in 0..20 {
        let batch = (round * 100..round * 100 + 100).map(|number| format!("[{number},\"{filler}\"]"));
        server.publish_many("a", batch).await;
    }
    for socket in [&mut quick, &mut slow] {
        for number in 0..2000 {
            assert_eq!(socket.event().await[1][0], json!(number));
        }
    }
    let mut next = 0;
    while next < 2000 {
        for packet in poller.poll().await.split('\u{1e}') {
            assert!(packet.starts_with(&format!("42[\"x\",[{next},")), "{next}: {}", &packet[..30]);
            next += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_get_the_answers_every_client_knows() {
    let server = server().await;
    let check = async |method: &str, query: &str, words: &str| {
        let head = format!("{method} /socket.io/?{query} HTTP/1.1\nHost: 127.0.0.1\n\n");
        let mut raw = server.request(&head).await;
        raw.until("\r\n\r\n").await;
        assert!(raw.read.starts_with("HTTP/1.1 400"), "{query}: {}", raw.read);
        assert_eq!(body(&mut raw).await, words, "{query}");
    };
    check("GET", "EIO=3&transport=polling", "{\"code\":5,\"message\":\"Unsupported protocol version\"}")
        .await;
    check("GET", "EIO=4&transport=x", "{\"code\":0,\"message\":\"Transport unknown\"}").await;
    check("GET", "EIO=4&transport=polling&sid=x", "{\"code\":1,\"message\":\"Session ID unknown\"}").await;
    check("PUT", "EIO=4&transport=polling", "{\"code\":2,\"message\":\"Bad handshake method\"}").await;
    check("GET", "EIO=4&transport=websocket", "{\"code\":3,\"message\":\"Bad request\"}").await;
    let mut raw = server
        .request("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\nHost: 127.0.0.1\nOrigin: https://evil.example\n\n")
        .await;
    raw.until("\r\n\r\n").await;
    assert!(raw.read.starts_with("HTTP/1.1 403"), "{}", raw.read);
    assert!(body(&mut raw).await.contains("\"code\":4"));
    let head = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\nHost: 127.0.0.1\nOrigin: http://localhost:5173\n\n";
    let mut raw = server.request(head).await;
    assert!(raw.until("\r\n\r\n0{").await.contains("Access-Control-Allow-Origin: http://localhost:5173\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_messages_end_their_own_session_and_nothing_else() {
    let server = server().await;
    let (mut bystander, _) = Socket::join(&server, "").await;
    bystander.subscribe("a").await;
    let nested = format!("42[\"x\",{}]", "[".repeat(400_000));
    let many = format!("42[\"x\"{}]", ",1".repeat(400_000));
    let place = "{\"_placeholder\":true,\"num\":0}";
    let texts = [
        "",
        "0",
        "9",
        "4",
        "4x",
        "42",
        "42{}",
        "42[]",
        "42[\"connect\"]",
        "40[]",
        "43[]",
        "40",
        "4599999999999-[\"x\"]",
        "4511-[\"x\"]",
        "450-[\"x\"]",
        "b!",
        &nested,
        &many,
        &format!("451-[\"x\",{place}]\u{1e}"),
        // Of an attachment that many name, as many copies would be made.
        &format!("451-[\"publish\"{}]", format!(",{place}").repeat(60)),
        &format!("451-[\"publish\",[{place}{}]]", format!(",{place}").repeat(20_000)),
        "42[\"x\",\"\u{1e}\"]",
        "42/,,[\"x\"]",
    ];
    for text in texts {
        let (mut socket, _) = Socket::join(&server, "").await;
        socket.send(text).await;
        while socket.came().await != Came::End {}
    }
    for text in [format!("451-[\"x\",{place}]"), String::new()] {
        let (mut socket, _) = Socket::join(&server, "").await;
        if text.is_empty() {
            socket.send_bytes(&[1]).await;
        } else {
            socket.send(&text).await;
            socket.send("42[\"x\"]").await;
        }
        assert_eq!(socket.came().await, Came::End, "{text}");
    }
    for body in [&b"\xff\xfe"[..], b"", b"4x", b"42[\"x\"]\x1e", b"9"] {
        let poller = Poller::join(&server).await;
        assert_eq!(poller.post_bytes(body).await, "{\"code\":3,\"message\":\"Bad request\"}");
        assert!(poller.poll().await.contains("Session ID unknown"));
    }
    let poller = Poller::join(&server).await;
    assert!(poller.post_bytes(&vec![b'x'; 1_100_000]).await.contains("socketio.payload_bytes_max"));
    server.publish("a", "1").await;
    assert_eq!(bystander.event().await[1], json!(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_names_is_refused_by_its_length_and_the_session_goes_on() {
    let server = server().await;
    let (mut socket, _) = Socket::join(&server, "").await;
    let names: Vec<String> = (0..100_000).map(|number| format!("\"{number}\"")).collect();
    let names = names.join(",");
    for event in ["subscribe", "unsubscribe"] {
        for arguments in [format!("[{names}]"), format!("{{\"channels\":[{names}]}}")] {
            socket.send(&format!("421[\"{event}\",{arguments}]")).await;
            let answer = socket.text().await;
            assert!(answer.contains("too_many_channels"), "{answer}");
            assert!(answer.contains("128") && answer.contains("limits.channels_max"), "{answer}");
        }
    }
    socket.send("422[\"subscribe\",\"a\"]").await;
    assert!(socket.text().await.starts_with("432[{"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_that_overlap_or_are_given_up_end_the_session() {
    let server = server().await;
    let poller = Poller::join(&server).await;
    let mut first = poller.begin_poll().await;
    // The second may be read before the first: which is which is told by when they came.
    assert_eq!(poller.poll().await, "{\"code\":3,\"message\":\"Bad request\"}");
    assert_eq!(body(&mut first).await, "1");
    assert!(poller.poll().await.contains("Session ID unknown"));
    let poller = Poller::join(&server).await;
    drop(poller.begin_poll().await);
    until_nobody_is_left(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_nothing_is_not_kept() {
    let config = with(SocketIoConfig { connect_timeout_ms: 100, ..SocketIoConfig::default() });
    let server = server_with(config, 1 << 20).await;
    let mut idle = Socket::begin(&server).await;
    assert_eq!(idle.came().await, Came::End, "no namespace in time");
    Poller::begin(&server).await;
    until_nobody_is_left(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_answer_is_not_kept() {
    let server = server_with(pinging(), 1 << 20).await;
    let (mut silent, _) = Socket::join(&server, "").await;
    let pinged = tokio::time::timeout(PATIENCE, silent.0.0.next()).await.expect("a ping");
    assert_eq!(pinged.expect("open").expect("a frame").as_text(), Some("2"));
    let ended = tokio::time::timeout(PATIENCE, silent.0.0.next()).await.expect("an end");
    assert!(!matches!(ended, Some(Ok(message)) if message.is_text()));
    let poller = Poller::join(&server).await;
    assert!(poller.poll().await.ends_with('2'), "a ping");
    until_nobody_is_left(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_packet_answers_a_ping() {
    let server = server_with(pinging(), 1 << 20).await;
    let (mut socket, _) = Socket::join(&server, "").await;
    for _ in 0..10 {
        let message = tokio::time::timeout(PATIENCE, socket.0.0.next()).await.expect("a ping in time");
        assert_eq!(message.expect("open").expect("a frame").as_text(), Some("2"));
        // Of a client whose pong waits behind a long upload this comes first.
        socket.send("42[\"whatever\"]").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_handshakes_are_refused_over_the_limit_and_forgotten_in_time() {
    let socketio =
        SocketIoConfig { handshakes_max: 50, connect_timeout_ms: 300, ..SocketIoConfig::default() };
    let server = server_with(with(socketio), 1 << 20).await;
    let mut refused = 0;
    for _ in 0..200 {
        let mut raw = server.get("/socket.io/?EIO=4&transport=polling").await;
        raw.until("}").await;
        refused += usize::from(raw.read.contains("socketio.handshakes_max"));
    }
    assert!(refused > 0, "some were refused");
    until_nobody_is_left(&server).await;
    let (_socket, _) = Socket::join(&server, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_of_a_session_is_no_public_id_and_a_forged_one_opens_nothing() {
    let server = server().await;
    let poller = Poller::join(&server).await;
    let clients = server.gateway.clients(10).1;
    assert!(clients.iter().all(|client| !format!("{client:?}").contains(&poller.session)));
    let public = clients[0].namespaces[0].socket.clone();
    let forged = Poller { server: &server, session: public };
    assert!(forged.poll().await.contains("Session ID unknown"));
    let mut socket = Socket::open(&server, &format!("&sid={}", forged.session)).await;
    assert_eq!(socket.came().await, Came::End);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_every_session() {
    let server = server().await;
    let (mut socket, _) = Socket::join(&server, "").await;
    let poller = Poller::join(&server).await;
    let mut waiting = poller.begin_poll().await;
    until_a_poll_waits(&server).await;
    server.gateway.shut_down(PATIENCE).await;
    assert_eq!(socket.came().await, Came::End);
    assert_eq!(body(&mut waiting).await, "1");
    assert_eq!(server.gateway.clients(10).0, 0);
}
