//! A Socket.IO client of few lines that speaks packets over any carrier.

use std::{collections::VecDeque, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio_websockets::Message;

use crate::support::{PATIENCE, Raw, Server, WebSocket};

/// What stands between two packets of one payload.
const SEPARATOR: char = '\u{1e}';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    Polling,
    WebSocket,
    /// Polling, changed over to WebSocket after the handshake.
    Upgraded,
}

/// What came: a text packet of Engine.IO, or bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Came {
    Text(String),
    Bytes(Vec<u8>),
}

/// A packet of Socket.IO with its attachments.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) kind: char,
    pub(crate) namespace: String,
    pub(crate) id: Option<u64>,
    pub(crate) json: String,
    pub(crate) attachments: Vec<Vec<u8>>,
}

/// An event: its name and its arguments, and the bytes they have places for.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) args: Vec<Value>,
    pub(crate) attachments: Vec<Vec<u8>>,
}

pub(crate) struct Peer<'a> {
    server: &'a Server,
    pub(crate) session: String,
    /// None while it polls.
    socket: Option<WebSocket>,
    came: VecDeque<Came>,
    packets: VecDeque<Packet>,
    asked: u64,
}

impl<'a> Peer<'a> {
    /// Connects without joining a namespace.
    pub(crate) async fn open(server: &'a Server, carrier: Carrier) -> Self {
        let mut peer = Self {
            server,
            session: String::new(),
            socket: None,
            came: VecDeque::new(),
            packets: VecDeque::new(),
            asked: 0,
        };
        if carrier == Carrier::WebSocket {
            peer.socket = Some(peer.connect("EIO=4&transport=websocket").await);
        }
        let opening = peer.text().await;
        let opening: Value =
            serde_json::from_str(opening.strip_prefix('0').expect("an opening")).expect("JSON");
        peer.session = opening["sid"].as_str().expect("an id").to_owned();
        if carrier == Carrier::Upgraded {
            peer.change_over().await;
        }
        peer
    }

    /// Connects and joins a namespace.
    pub(crate) async fn joined(
        server: &'a Server,
        carrier: Carrier,
        namespace: &str,
        auth: &str,
    ) -> (Self, Value) {
        let mut peer = Self::open(server, carrier).await;
        let joined = peer.join(namespace, auth).await.unwrap_or_else(|refused| panic!("{refused}"));
        (peer, joined)
    }

    /// Joins one more namespace. Fails with what the server says against it.
    pub(crate) async fn join(&mut self, namespace: &str, auth: &str) -> Result<Value, Value> {
        self.send(&format!("40{}{auth}", prefix(namespace)), &[]).await;
        let answer = self.packet(|packet| matches!(packet.kind, '0' | '4') && packet.namespace == namespace);
        let answer = answer.await;
        let json = serde_json::from_str(&answer.json).expect("JSON");
        if answer.kind == '0' { Ok(json) } else { Err(json) }
    }

    /// Changes over from polling to WebSocket as clients do, with a poll on its way.
    pub(crate) async fn change_over(&mut self) {
        let mut poll = self.begin_poll().await;
        let mut socket = self.connect(&format!("EIO=4&transport=websocket&sid={}", self.session)).await;
        socket.send("2probe").await;
        let answer = next(&mut socket).await;
        assert_eq!(answer, Some(Came::Text("3probe".into())));
        let (_, payload) = poll.answer().await;
        self.take(&payload).await;
        socket.send("5").await;
        self.socket = Some(socket);
    }

    async fn connect(&self, query: &str) -> WebSocket {
        let uri = format!("ws://{}/socket.io/?{query}", self.server.address).parse().expect("a URI");
        let (socket, _) = tokio_websockets::ClientBuilder::from_uri(uri).connect().await.expect("an upgrade");
        WebSocket(socket)
    }

    /// Goes without a word, and waits until the server knows.
    pub(crate) async fn cut(self) {
        let server = self.server;
        let before = server.gateway.clients(100).0;
        if self.socket.is_none() {
            self.give_up_a_poll().await;
        }
        drop(self);
        until(|| server.gateway.clients(100).0 < before).await;
    }

    /// A poll that is given up while it waits ends the session; one that is answered at once does not.
    async fn give_up_a_poll(&self) {
        let waits = || self.server.gateway.clients(100).1.iter().any(|client| client.state == "waiting");
        loop {
            let mut poll = self.begin_poll().await;
            tokio::select! {
                _ = poll.answer() => {}
                () = until(waits) => return,
            }
        }
    }

    /// Sends a packet of Engine.IO with its attachments.
    pub(crate) async fn send(&mut self, packet: &str, attachments: &[&[u8]]) {
        if let Some(WebSocket(socket)) = &mut self.socket {
            socket.feed(Message::text(packet.to_owned())).await.expect("room");
            for bytes in attachments {
                socket.feed(Message::binary(Bytes::copy_from_slice(bytes))).await.expect("room");
            }
            socket.flush().await.expect("a send");
            return;
        }
        let mut payload = packet.to_owned();
        for bytes in attachments {
            payload.push(SEPARATOR);
            payload.push('b');
            payload.push_str(&BASE64_STANDARD.encode(bytes));
        }
        self.post(&payload).await;
    }

    /// Posts a payload as it stands.
    pub(crate) async fn post(&self, payload: &str) {
        let head = format!(
            "POST {} HTTP/1.1\nHost: {}\nContent-Length: {}\n\n",
            self.target(),
            self.server.address,
            payload.len()
        );
        let mut raw = self.server.request(&head).await;
        raw.stream.write_all(payload.as_bytes()).await.expect("a write");
        assert_eq!(raw.answer().await.1, "ok", "{payload}");
    }

    /// Emits an event, given as its array, and returns what it is acknowledged with.
    pub(crate) async fn ask(&mut self, namespace: &str, event: &str, attachments: &[&[u8]]) -> Value {
        let id = self.asked;
        self.asked += 1;
        let kind = if attachments.is_empty() { "2".to_owned() } else { format!("5{}-", attachments.len()) };
        self.send(&format!("4{kind}{}{id}{event}", prefix(namespace)), attachments).await;
        self.acknowledgement(namespace, id).await
    }

    /// What an event of this number is acknowledged with.
    pub(crate) async fn acknowledgement(&mut self, namespace: &str, id: u64) -> Value {
        let is_answer =
            |packet: &Packet| packet.kind == '3' && packet.namespace == namespace && packet.id == Some(id);
        let answer = self.packet(is_answer).await;
        serde_json::from_str::<Vec<Value>>(&answer.json).expect("an array").remove(0)
    }

    /// The next event of a namespace.
    pub(crate) async fn event(&mut self, namespace: &str) -> Event {
        let packet = self.packet(|packet| is_event(packet, namespace)).await;
        Event { args: serde_json::from_str(&packet.json).expect("an array"), attachments: packet.attachments }
    }

    /// Whether no event of a namespace is left among what has come.
    pub(crate) fn has_nothing_more(&self, namespace: &str) -> bool {
        !self.packets.iter().any(|packet| is_event(packet, namespace))
    }

    /// The first packet that fits; others stay for later.
    async fn packet(&mut self, fits: impl Fn(&Packet) -> bool) -> Packet {
        loop {
            if let Some(at) = self.packets.iter().position(&fits) {
                return self.packets.remove(at).expect("it is there");
            }
            let packet = self.read().await;
            self.packets.push_back(packet);
        }
    }

    async fn read(&mut self) -> Packet {
        let text = self.text().await;
        let (mut packet, count) = parse(&text);
        for _ in 0..count {
            let Came::Bytes(bytes) = self.next().await else { panic!("{text} lacks an attachment") };
            packet.attachments.push(bytes);
        }
        packet
    }

    async fn text(&mut self) -> String {
        match self.next().await {
            Came::Text(text) => text,
            Came::Bytes(bytes) => panic!("{bytes:?} came where text was due"),
        }
    }

    /// What comes next, without what only keeps the connection alive.
    async fn next(&mut self) -> Came {
        loop {
            if let Some(came) = self.came.pop_front() {
                return came;
            }
            if let Some(socket) = &mut self.socket {
                match next(socket).await.expect("the connection is open") {
                    Came::Text(ping) if ping == "2" => socket.send("3").await,
                    Came::Text(noop) if noop == "6" => {}
                    came => return came,
                }
            } else {
                let (_, payload) = self.begin_poll().await.answer().await;
                self.take(&payload).await;
            }
        }
    }

    fn target(&self) -> String {
        let session = if self.session.is_empty() { String::new() } else { format!("&sid={}", self.session) };
        format!("/socket.io/?EIO=4&transport=polling{session}")
    }

    async fn begin_poll(&self) -> Raw {
        self.server.get(&self.target()).await
    }

    /// Keeps the packets of a payload, and answers a ping among them.
    async fn take(&mut self, payload: &str) {
        for packet in payload.split(SEPARATOR) {
            match packet {
                "2" => self.post("3").await,
                "6" => {}
                _ => self.came.push_back(packet.strip_prefix('b').map_or_else(
                    || Came::Text(packet.to_owned()),
                    |digits| Came::Bytes(BASE64_STANDARD.decode(digits).expect("base64")),
                )),
            }
        }
    }
}

/// The next message, none once the connection has ended.
async fn next(WebSocket(socket): &mut WebSocket) -> Option<Came> {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("something came")?.ok()?;
    match message.as_text() {
        Some(text) => Some(Came::Text(text.to_owned())),
        None => message.is_binary().then(|| Came::Bytes(message.as_payload().to_vec())),
    }
}

/// Waits for what the server is about to notice.
async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the server notices");
}

/// A namespace as it stands in a packet; `/` is left out.
fn prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

fn is_event(packet: &Packet, namespace: &str) -> bool {
    matches!(packet.kind, '2' | '5') && packet.namespace == namespace
}

/// A packet without its attachments, and how many there are.
fn parse(text: &str) -> (Packet, usize) {
    let message = text.strip_prefix('4').unwrap_or_else(|| panic!("{text} is no message"));
    let (kind, mut rest) = message.split_at(1);
    let kind = kind.chars().next().expect("a kind");
    let mut count = 0;
    if matches!(kind, '5' | '6') {
        let (digits, more) = rest.split_once('-').expect("a number of attachments");
        (count, rest) = (digits.parse().expect("a number"), more);
    }
    let mut namespace = "/";
    if rest.starts_with('/') {
        (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
    }
    let json = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let id = rest[..rest.len() - json.len()].parse().ok();
    let attachments = Vec::with_capacity(count);
    let packet = Packet { kind, namespace: namespace.to_owned(), id, json: json.to_owned(), attachments };
    (packet, count)
}
