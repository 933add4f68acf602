//! A gateway on a free port over an in-memory log, and small raw clients.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anywire_gateway::{Gateway, GatewayConfig};
use anywire_log::{
    Batch, Channel, ChannelPattern, Clock, EventName, Keep, Log, ManualClock, MemoryEngine, Payload,
    Publication, Retention, RetentionRule, RetentionRules, SystemClock, TailConfig, Timestamp,
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_websockets::{MaybeTlsStream, Message, WebSocketStream};

/// How long anything may take before a test gives up on it; nothing is measured against it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The secret of tokens.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A token with these claims.
pub fn token(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).expect("a token")
}

/// A time from now, in seconds since 1970.
pub fn in_seconds(seconds: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("a time after 1970").as_secs() + seconds
}

pub struct Server {
    pub gateway: Arc<Gateway>,
    pub log: Arc<Log>,
    pub address: SocketAddr,
}

pub async fn server() -> Server {
    server_with(GatewayConfig::default(), 64 << 20).await
}

/// Rules: `few_*` keeps 10 events, `who_*` keeps presence, of `last_*` only the newest event counts.
pub async fn server_with(config: GatewayConfig, tail_bytes_max: u64) -> Server {
    let rule = |pattern: &str, retention| RetentionRule { pattern: ChannelPattern::new(pattern), retention };
    let rules = RetentionRules::new(
        vec![
            rule("few_*", Retention { events_max: 10, ..Retention::default() }),
            rule("who_*", Retention { presence: true, ..Retention::default() }),
            rule("last_*", Retention { keep: Keep::Latest, ..Retention::default() }),
        ],
        Retention::default(),
    );
    let engine = MemoryEngine::new(rules.clone(), Arc::new(SystemClock)).expect("randomness");
    let log = Log::start(Arc::new(engine), rules, TailConfig { bytes_max: tail_bytes_max });
    serve(log, config, Arc::new(SystemClock)).await
}

async fn serve(log: Arc<Log>, config: GatewayConfig, clock: Arc<dyn Clock>) -> Server {
    let gateway = Gateway::start(Arc::clone(&log), config, clock).expect("a sound configuration");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let serving = Arc::clone(&gateway);
    let routes = gateway.router();
    tokio::spawn(async move { serving.serve(listener, routes, None).await });
    Server { gateway, log, address }
}

impl Server {
    /// Another node on the same log, by whose clock it is `later`.
    pub async fn another_node(&self, later: Duration) -> Self {
        let now = SystemClock.now().as_millis() + i64::try_from(later.as_millis()).expect("milliseconds");
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(now)));
        serve(Arc::clone(&self.log), GatewayConfig::default(), clock).await
    }

    pub async fn publish(&self, channel: &str, data: &str) -> u64 {
        self.publish_many(channel, [data.to_owned()]).await
    }

    pub async fn publish_many(&self, channel: &str, data: impl IntoIterator<Item = String>) -> u64 {
        let publication = |data: String| Publication {
            channel: Channel::new(channel).expect("a name"),
            name: EventName::new("x").expect("a name"),
            payload: Payload::Json(Bytes::from(data)),
        };
        let batch = Batch::new(data.into_iter().map(publication).collect());
        self.log.append(batch).await.expect("an append").last().get()
    }

    pub fn cursor(&self, offset: u64) -> String {
        self.log.cursor(anywire_log::Offset::new(offset)).to_string()
    }

    pub async fn websocket(&self) -> WebSocket {
        self.websocket_of("").await
    }

    /// With a query, such as `?client=page-1`.
    pub async fn websocket_of(&self, query: &str) -> WebSocket {
        let uri = format!("ws://{}/anywire/ws{query}", self.address).parse().expect("a URI");
        let (socket, _) = tokio_websockets::ClientBuilder::from_uri(uri).connect().await.expect("an upgrade");
        WebSocket(socket)
    }

    /// Sends a raw request on a new connection.
    pub async fn request(&self, head: &str) -> Raw {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(head.replace('\n', "\r\n").as_bytes()).await.expect("a write");
        Raw { stream, read: String::new() }
    }

    pub async fn get(&self, target: &str) -> Raw {
        self.request(&format!("GET {target} HTTP/1.1\nHost: {}\n\n", self.address)).await
    }
}

/// A connection whose answer is read as text.
pub struct Raw {
    pub stream: TcpStream,
    pub read: String,
}

impl Raw {
    /// Reads until the text so far holds `wanted`, and returns it all.
    pub async fn until(&mut self, wanted: &str) -> &str {
        while !self.read.contains(wanted) {
            self.more(wanted).await;
        }
        &self.read
    }

    /// The head and the body of the next answer, whose length is given.
    pub async fn answer(&mut self) -> (String, String) {
        let head = self.until("\r\n\r\n").await.to_ascii_lowercase();
        let end = head.find("\r\n\r\n").expect("it is there") + 4;
        let length = head[..end].split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length.and_then(|digits| digits.parse().ok()).expect("a length");
        while self.read.len() < end + length {
            self.more("the end of the body").await;
        }
        let rest = self.read.split_off(end + length);
        let body = self.read.split_off(end);
        (std::mem::replace(&mut self.read, rest), body)
    }

    async fn more(&mut self, wanted: &str) {
        let mut buffer = vec![0; 64 << 10];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        let count = read.unwrap_or_else(|_| panic!("{wanted:?} did not come; so far: {}", self.read));
        let count = count.expect("a read");
        assert!(count > 0, "the connection ended before {wanted:?}; so far: {}", self.read);
        self.read.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }

    pub async fn send(&mut self, head: &str) {
        self.read.clear();
        self.stream.write_all(head.replace('\n', "\r\n").as_bytes()).await.expect("a write");
    }

    /// Whether the peer ends the connection.
    pub async fn ends(&mut self) -> bool {
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.is_ok()
    }
}

pub struct WebSocket(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl WebSocket {
    pub async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text.to_owned())).await.expect("a send");
    }

    /// Sends messages in one go.
    pub async fn send_together(&mut self, texts: &[&str]) {
        for text in texts {
            self.0.feed(Message::text((*text).to_owned())).await.expect("room");
        }
        self.0.flush().await.expect("a send");
    }

    /// The code and reason with which the server closes.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame came");
            let message = message.expect("a close frame came").expect("a sound frame");
            if let Some((code, reason)) = message.as_close() {
                return (code.into(), reason.to_owned());
            }
        }
    }

    /// The next frame as JSON.
    pub async fn next(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame came");
            let message = message.expect("the connection is open").expect("a sound frame");
            if let Some(text) = message.as_text() {
                return serde_json::from_str(text).expect("JSON");
            }
        }
    }

    /// The next frame with this `op`, passing over heartbeats.
    pub async fn expect(&mut self, op: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["op"] != "heartbeat" || op == "heartbeat" {
                assert_eq!(frame["op"], op, "{frame}");
                return frame;
            }
        }
    }

    pub async fn subscribe(&mut self, channels: &[&str], after: Option<&str>) -> Value {
        let after = after.map_or(String::new(), |after| format!(",\"after\":\"{after}\""));
        let channels = serde_json::to_string(channels).expect("JSON");
        self.send(&format!("{{\"op\":\"subscribe\",\"id\":1,\"channels\":{channels}{after}}}")).await;
        self.expect("subscribed").await
    }

    /// The data of the next `count` events.
    pub async fn data(&mut self, count: usize) -> Vec<i64> {
        let mut data = Vec::with_capacity(count);
        for _ in 0..count {
            data.push(self.expect("event").await["data"].as_i64().expect("a number"));
        }
        data
    }
}
