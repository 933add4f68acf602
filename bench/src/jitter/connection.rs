//! One connection of a client, on any of the transports: opened with a cursor, read notice by notice, reset
//! at the end.

use super::contender::Contender;
use super::notice::{CHANNEL, Notice, Position};
use super::socketio::{self, Packet};
use super::way::Way;
use crate::wire::http::{self, Answer, Body, Chunks, Head};
use crate::wire::sse::Block;
use crate::wire::websocket::{self, Frame};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::io::{Error, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How often a client on plain polling asks.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// More than a server sends between two frames; what is larger is broken.
const RECEIVED_MAX: usize = 16 << 20;

#[derive(Debug, Deserialize)]
struct Event {
    offset: u64,
    data: String,
}

/// The members of a WebSocket frame that matter here.
#[derive(Debug, Deserialize)]
struct Message {
    op: String,
    offset: Option<u64>,
    data: Option<String>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Polled {
    cursor: String,
    events: Vec<Event>,
    gap: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Connection {
    server: Contender,
    way: Way,
    stream: TcpStream,
    host: String,
    received: Vec<u8>,
    /// SSE in the chunked coding: what comes before the coding is taken off.
    chunks: Option<(Chunks, Vec<u8>)>,
    epoch: String,
    cursor: Option<String>,
    /// Plain polling waits before it asks again.
    asked: bool,
    /// Where Socket.IO's session is polled.
    session: String,
}

impl Connection {
    /// Connects and asks for everything after `position`.
    pub(crate) async fn open(
        server: Contender,
        way: Way,
        host: &str,
        position: &Position,
    ) -> std::io::Result<Self> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        // Dropping the socket resets it: that is how connections die here, and none stays in TIME_WAIT.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        let cursor = position.cursor.clone();
        let epoch = cursor.as_deref().map(epoch_of).unwrap_or_default();
        let host = host.to_owned();
        let mut connection = Self {
            server,
            way,
            stream,
            host,
            received: Vec::new(),
            chunks: None,
            epoch,
            cursor,
            asked: false,
            session: String::new(),
        };
        match way {
            Way::Websocket => connection.open_websocket().await?,
            Way::Sse => connection.open_stream().await?,
            Way::Longpoll | Way::Poll => {}
            Way::Socketio => connection.open_socketio(position).await?,
            Way::SocketioPolling => connection.open_session(position).await?,
        }
        Ok(connection)
    }

    async fn open_websocket(&mut self) -> std::io::Result<()> {
        let fields = websocket::upgrade_fields(Some("anywire.v1"));
        self.send(&http::get(&self.host, "/anywire/ws", &fields)).await?;
        self.head(101).await?;
        let after = self.cursor.as_ref().map(|cursor| format!(r#","after":"{cursor}""#)).unwrap_or_default();
        let subscribe = format!(r#"{{"op":"subscribe","id":1,"channels":["{CHANNEL}"]{after}}}"#);
        self.send(&websocket::client_frame(websocket::TEXT, subscribe.as_bytes())).await
    }

    async fn open_stream(&mut self) -> std::io::Result<()> {
        let last =
            self.cursor.as_ref().map(|cursor| format!("Last-Event-ID: {cursor}\r\n")).unwrap_or_default();
        let fields = format!("Accept: text/event-stream\r\n{last}");
        self.send(&http::get(&self.host, &format!("/anywire/sse?channels={CHANNEL}"), &fields)).await?;
        let head = self.head(200).await?;
        if head.body == Body::Chunked {
            self.chunks = Some((Chunks::default(), Vec::new()));
        }
        Ok(())
    }

    async fn open_socketio(&mut self, position: &Position) -> std::io::Result<()> {
        let fields = websocket::upgrade_fields(None);
        self.send(&http::get(&self.host, "/socket.io/?EIO=4&transport=websocket", &fields)).await?;
        self.head(101).await?;
        // Clients wait for the server's first word; packets before it are lost at some.
        let (_, opening) = self.frame().await?;
        if std::str::from_utf8(&opening).ok().and_then(socketio::session).is_none() {
            return Err(broken(&opening));
        }
        for packet in socketio::join(self.server, position) {
            self.send(&websocket::client_frame(websocket::TEXT, packet.as_bytes())).await?;
        }
        Ok(())
    }

    async fn open_session(&mut self, position: &Position) -> std::io::Result<()> {
        let target = "/socket.io/?EIO=4&transport=polling";
        self.send(&http::get(&self.host, target, "")).await?;
        let answer = self.answer().await?;
        let session = std::str::from_utf8(&answer.body).ok().and_then(socketio::session);
        self.session = format!("{target}&sid={}", session.ok_or_else(|| broken(&answer.body))?);
        let join = socketio::join(self.server, position).join(&socketio::SEPARATOR.to_string());
        self.post(&join).await
    }

    /// Sends packets to Socket.IO's session.
    async fn post(&mut self, payload: &str) -> std::io::Result<()> {
        let fields = "Content-Type: text/plain\r\n";
        self.send(&http::post(&self.host, &self.session, fields, payload.as_bytes())).await?;
        match self.answer().await? {
            answer if answer.head.status == 200 => Ok(()),
            answer => Err(broken(&answer.body)),
        }
    }

    /// Waits for what the server says next. May be dropped at any await: the connection is then only good for
    /// dropping.
    pub(crate) async fn next(&mut self) -> std::io::Result<Vec<Notice>> {
        match self.way {
            Way::Websocket => self.next_frame().await,
            Way::Sse => self.next_block().await,
            Way::Longpoll | Way::Poll => self.next_answer().await,
            Way::Socketio => self.next_frame().await,
            Way::SocketioPolling => self.next_payload().await,
        }
    }

    async fn next_frame(&mut self) -> std::io::Result<Vec<Notice>> {
        loop {
            let (opcode, payload) = self.frame().await?;
            match opcode {
                websocket::PING => self.send(&websocket::client_frame(websocket::PONG, &payload)).await?,
                websocket::CLOSE => return Err(ErrorKind::ConnectionAborted.into()),
                websocket::TEXT if self.way == Way::Socketio => {
                    if let Some(notices) = self.read_packet(&payload).await? {
                        return Ok(notices);
                    }
                }
                websocket::TEXT => return self.read_message(&payload),
                _ => {}
            }
        }
    }

    async fn frame(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = Frame::parse(&self.received) {
                let (opcode, length, payload) = (frame.opcode, frame.length, frame.payload.to_vec());
                self.received.drain(..length);
                return Ok((opcode, payload));
            }
            self.fill().await?;
        }
    }

    /// What a packet says; nothing, if it only wanted an answer.
    async fn read_packet(&mut self, payload: &[u8]) -> std::io::Result<Option<Vec<Notice>>> {
        let text = std::str::from_utf8(payload).ok();
        let packet = text.and_then(|text| socketio::read(self.server, text));
        match packet.ok_or_else(|| broken(payload))? {
            Packet::Said(notices) => Ok(Some(notices)),
            Packet::Ping => {
                self.send(&websocket::client_frame(websocket::TEXT, b"3")).await?;
                Ok(None)
            }
            Packet::End => Err(ErrorKind::ConnectionAborted.into()),
        }
    }

    async fn next_payload(&mut self) -> std::io::Result<Vec<Notice>> {
        self.send(&http::get(&self.host, &self.session, "")).await?;
        let answer = self.answer().await?;
        let text = std::str::from_utf8(&answer.body).ok().filter(|_| answer.head.status == 200);
        let mut said = Vec::new();
        for text in text.ok_or_else(|| broken(&answer.body))?.split(socketio::SEPARATOR) {
            match socketio::read(self.server, text).ok_or_else(|| broken(&answer.body))? {
                Packet::Said(notices) => said.extend(notices),
                Packet::Ping => self.post("3").await?,
                Packet::End => return Err(ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(said)
    }

    fn read_message(&mut self, payload: &[u8]) -> std::io::Result<Vec<Notice>> {
        let message: Message = json(payload)?;
        match (message.op.as_str(), message.offset, message.data, message.cursor) {
            ("event", Some(offset), Some(data), _) => {
                Ok(vec![Notice::Event { data, cursor: format!("{}-{offset}", self.epoch) }])
            }
            ("subscribed" | "heartbeat", _, _, Some(cursor)) => {
                self.epoch = epoch_of(&cursor);
                Ok(vec![Notice::Cursor(cursor)])
            }
            ("gap", ..) => Ok(vec![Notice::Gap]),
            ("goodbye", ..) => Ok(Vec::new()),
            _ => Err(broken(payload)),
        }
    }

    async fn next_block(&mut self) -> std::io::Result<Vec<Notice>> {
        loop {
            let bytes = self.chunks.as_ref().map_or(&self.received, |(_, plain)| plain);
            if let Some(block) = Block::parse(bytes) {
                let notices = read_block(&block)?;
                let length = block.length;
                self.chunks.as_mut().map_or(&mut self.received, |(_, plain)| plain).drain(..length);
                return Ok(notices);
            }
            self.fill().await?;
            if let Some((chunks, plain)) = &mut self.chunks {
                let used =
                    chunks.take(&self.received, plain).map_err(|_| Error::from(ErrorKind::InvalidData))?;
                self.received.drain(..used);
            }
        }
    }

    async fn next_answer(&mut self) -> std::io::Result<Vec<Notice>> {
        if self.asked && self.way == Way::Poll {
            tokio::time::sleep(POLL_EVERY).await;
        }
        self.asked = true;
        // Without a cursor the first answer only says where to begin.
        let target = match (&self.cursor, self.way) {
            (None, _) => format!("/anywire/poll?channels={CHANNEL}"),
            (Some(cursor), Way::Longpoll) => {
                format!("/anywire/poll?channels={CHANNEL}&after={cursor}&wait=25")
            }
            (Some(cursor), _) => format!("/anywire/poll?channels={CHANNEL}&after={cursor}"),
        };
        self.send(&http::get(&self.host, &target, "")).await?;
        let answer = self.answer().await?;
        let notices = read_answer(&answer)?;
        self.cursor = answer.head.field("anywire-cursor").map(str::to_owned);
        Ok(notices)
    }

    async fn answer(&mut self) -> std::io::Result<Answer> {
        loop {
            let parsed = Answer::parse(&self.received).map_err(|_| Error::from(ErrorKind::InvalidData))?;
            if let Some((answer, length)) = parsed {
                self.received.drain(..length);
                return Ok(answer);
            }
            self.fill().await?;
        }
    }

    async fn head(&mut self, status: u16) -> std::io::Result<Head> {
        loop {
            let parsed = Head::parse(&self.received).map_err(|_| Error::from(ErrorKind::InvalidData))?;
            match parsed {
                Some(head) if head.status == status => {
                    self.received.drain(..head.length);
                    return Ok(head);
                }
                Some(_) => return Err(broken(&self.received)),
                None => self.fill().await?,
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    async fn fill(&mut self) -> std::io::Result<()> {
        if self.received.len() > RECEIVED_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        self.received.reserve(4096);
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn read_block(block: &Block<'_>) -> std::io::Result<Vec<Notice>> {
    match (block.event, block.id, block.data) {
        (Some("gap"), ..) => Ok(vec![Notice::Gap]),
        (None, Some(id), Some(data)) => {
            let event: Event = json(data.as_bytes())?;
            Ok(vec![Notice::Event { data: event.data, cursor: id.to_owned() }])
        }
        (Some("open" | "heartbeat"), Some(id), _) => Ok(vec![Notice::Cursor(id.to_owned())]),
        _ => Ok(Vec::new()),
    }
}

fn read_answer(answer: &Answer) -> std::io::Result<Vec<Notice>> {
    match answer.head.status {
        200 => {
            let polled: Polled = json(&answer.body)?;
            let epoch = epoch_of(&polled.cursor);
            let mut notices: Vec<Notice> = polled.gap.map(|_| Notice::Gap).into_iter().collect();
            notices.extend(polled.events.into_iter().map(|event| Notice::Event {
                data: event.data,
                cursor: format!("{epoch}-{}", event.offset),
            }));
            notices.push(Notice::Cursor(polled.cursor));
            Ok(notices)
        }
        204 => Ok(answer
            .head
            .field("anywire-cursor")
            .map(|cursor| Notice::Cursor(cursor.to_owned()))
            .into_iter()
            .collect()),
        _ => Err(broken(&answer.body)),
    }
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> std::io::Result<T> {
    serde_json::from_slice(bytes).map_err(|_| broken(bytes))
}

fn broken(bytes: &[u8]) -> Error {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    Error::new(ErrorKind::InvalidData, format!("unexpected: {text}"))
}

fn epoch_of(cursor: &str) -> String {
    cursor.split('-').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_a_poll_becomes_its_events_and_its_cursor() {
        let body = r#"{"cursor":"e-9","events":[{"channel":"a","event":"m","offset":8,"time":"","data":"x"}],"gap":null}"#;
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let (answer, _) = Answer::parse(bytes.as_bytes()).expect("it is HTTP").expect("it is whole");
        let event = Notice::Event { data: "x".into(), cursor: "e-8".into() };
        assert_eq!(read_answer(&answer).ok(), Some(vec![event, Notice::Cursor("e-9".into())]));
    }

    #[test]
    fn blocks_become_events_cursors_and_gaps() {
        let check = |text: &str| Block::parse(text.as_bytes()).and_then(|block| read_block(&block).ok());
        assert_eq!(
            check("retry: 1\nid: e-1\nevent: open\ndata: {}\n\n"),
            Some(vec![Notice::Cursor("e-1".into())])
        );
        assert_eq!(check("event: gap\ndata: {}\n\n"), Some(vec![Notice::Gap]));
        let event = Notice::Event { data: "x".into(), cursor: "e-2".into() };
        assert_eq!(check("id: e-2\ndata: {\"offset\":2,\"data\":\"x\"}\n\n"), Some(vec![event]));
        assert_eq!(check("id: e-2\ndata: no json\n\n"), None);
    }
}
