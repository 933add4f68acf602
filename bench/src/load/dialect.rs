//! How each server is spoken to: what a subscriber sends first, how its stream is read, how a message is
//! published.

use super::Options;
use super::publisher::Publisher;
use super::subscriber::Subscriber;
use crate::failure::{Context, Failure, Outcome};
use crate::floor;
use crate::peers::{Peer, Transport};
use crate::wire::http::{self, Answer, Head};
use crate::wire::mark;
use crate::wire::websocket::{self, Frame};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The channel everything happens on.
pub(crate) const CHANNEL: &str = "bench";
/// A server that has not answered a handshake by then will not.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(15);

/// How the bytes of a subscriber are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A stream in which only the marks matter (SSE).
    Stream,
    /// WebSocket frames.
    Frames,
    /// Answers, each followed by the next request.
    Polls,
}

#[derive(Debug)]
pub(crate) struct Dialect {
    peer: Peer,
    transport: Transport,
    address: String,
    payload_bytes: usize,
}

impl Dialect {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            peer: options.peer,
            transport: options.transport,
            address: options.address.clone(),
            payload_bytes: options.payload,
        }
    }

    pub(crate) fn reading(&self) -> Reading {
        match self.transport {
            Transport::Websocket | Transport::Socketio => Reading::Frames,
            Transport::Sse => Reading::Stream,
            Transport::Longpoll | Transport::SocketioPolling => Reading::Polls,
        }
    }

    /// Connects and subscribes, waiting for each step; afterwards the socket does not block.
    pub(crate) fn subscribe(&self) -> Outcome<Subscriber> {
        let mut opening = Opening::connect(&self.address)?;
        let mut again = None;
        match self.transport {
            Transport::Websocket => self.open_websocket(&mut opening)?,
            Transport::Sse => self.open_stream(&mut opening)?,
            Transport::Longpoll => self.open_polling(&mut opening)?,
            Transport::Socketio => self.open_socketio(&mut opening)?,
            Transport::SocketioPolling => again = Some(self.open_socketio_polling(&mut opening)?),
        }
        opening.stream.set_nonblocking(true).context("cannot make a socket non-blocking")?;
        Ok(Subscriber::new(opening.stream, opening.received, again))
    }

    fn open_websocket(&self, opening: &mut Opening) -> Outcome<()> {
        let (target, subprotocol) = match self.peer {
            Peer::Anywire | Peer::Floor => ("/anywire/ws".into(), Some("anywire.v1")),
            Peer::Nchan => (format!("/sub?id={CHANNEL}"), None),
            Peer::Ws => ("/".into(), None),
            Peer::Socketio => return self.open_socketio(opening),
        };
        opening.send(&http::get(&self.address, &target, &websocket::upgrade_fields(subprotocol)))?;
        opening.expect_head(101)?;
        match self.peer {
            Peer::Anywire => {
                let subscribe = format!(r#"{{"op":"subscribe","id":1,"channels":["{CHANNEL}"]}}"#);
                opening.send(&websocket::client_frame(websocket::TEXT, subscribe.as_bytes()))?;
                opening.expect_frame(br#""op":"subscribed""#)
            }
            Peer::Floor | Peer::Nchan | Peer::Ws | Peer::Socketio => Ok(()),
        }
    }

    fn open_socketio(&self, opening: &mut Opening) -> Outcome<()> {
        let target = "/socket.io/?EIO=4&transport=websocket";
        opening.send(&http::get(&self.address, target, &websocket::upgrade_fields(None)))?;
        opening.expect_head(101)?;
        if self.peer == Peer::Floor {
            return Ok(());
        }
        opening.expect_frame(b"0{")?;
        opening.send(&websocket::client_frame(websocket::TEXT, self.socketio_join().as_bytes()))?;
        opening.expect_frame(b"40{")
    }

    /// Leaves the connection with a poll that is pending, and answers the request that follows each answer.
    fn open_socketio_polling(&self, opening: &mut Opening) -> Outcome<Vec<u8>> {
        let mut target = "/socket.io/?EIO=4&transport=polling".to_owned();
        if self.peer != Peer::Floor {
            opening.send(&http::get(&self.address, &target, ""))?;
            let session = session_id(&opening.expect_answer(200)?)?;
            target = format!("{target}&sid={session}");
            let join = self.socketio_join();
            opening.send(&http::post(
                &self.address,
                &target,
                "Content-Type: text/plain\r\n",
                join.as_bytes(),
            ))?;
            opening.expect_answer(200)?;
            opening.send(&http::get(&self.address, &target, ""))?;
            opening.expect_answer(200)?;
        }
        let poll = http::get(&self.address, &target, "");
        opening.send(&poll)?;
        Ok(poll)
    }

    /// Joining the default namespace; at Anywire the channel is named, the peer sends everything to
    /// everybody.
    fn socketio_join(&self) -> String {
        match self.peer {
            Peer::Anywire => format!(r#"40{{"channels":["{CHANNEL}"]}}"#),
            _ => "40".to_owned(),
        }
    }

    fn open_stream(&self, opening: &mut Opening) -> Outcome<()> {
        let target = match self.peer {
            Peer::Nchan => format!("/sub?id={CHANNEL}"),
            _ => format!("/anywire/sse?channels={CHANNEL}"),
        };
        opening.send(&http::get(&self.address, &target, "Accept: text/event-stream\r\n"))?;
        opening.expect_head(200)?;
        // Anywire's first block says where delivery starts; the others subscribe with the head.
        if self.peer == Peer::Anywire { opening.expect_bytes(b"id: ") } else { Ok(()) }
    }

    /// Leaves the connection with a poll that is pending.
    fn open_polling(&self, opening: &mut Opening) -> Outcome<()> {
        let first = match self.peer {
            Peer::Nchan => self.nchan_poll(None, None),
            Peer::Anywire => {
                let target = format!("/anywire/poll?channels={CHANNEL}");
                opening.send(&http::get(&self.address, &target, ""))?;
                let answer = opening.expect_answer(200)?;
                self.poll_after(&answer).ok_or_else(|| Failure::new("the answer to a poll has no cursor"))?
            }
            _ => self.anywire_poll("0"),
        };
        opening.send(&first)
    }

    /// The request that follows an answer to a poll. `None`: the answer is no such thing.
    pub(crate) fn poll_after(&self, answer: &Answer) -> Option<Vec<u8>> {
        let field = |name| answer.head.field(name);
        match (self.peer, answer.head.status) {
            (Peer::Nchan, 200 | 304 | 408) => Some(self.nchan_poll(field("last-modified"), field("etag"))),
            (_, 200 | 204) => Some(self.anywire_poll(field("anywire-cursor")?)),
            _ => None,
        }
    }

    fn anywire_poll(&self, after: &str) -> Vec<u8> {
        http::get(&self.address, &format!("/anywire/poll?channels={CHANNEL}&after={after}&wait=60"), "")
    }

    fn nchan_poll(&self, modified: Option<&str>, tag: Option<&str>) -> Vec<u8> {
        let modified = modified.map(|value| format!("If-Modified-Since: {value}\r\n")).unwrap_or_default();
        let tag = tag.map(|value| format!("If-None-Match: {value}\r\n")).unwrap_or_default();
        http::get(&self.address, &format!("/sub?id={CHANNEL}"), &(modified + &tag))
    }

    /// What a message has to be answered with: Engine.IO's ping is one.
    pub(crate) fn reply(&self, message: &[u8]) -> Option<Vec<u8>> {
        let engine_io = self.peer == Peer::Socketio || self.transport == Transport::Socketio;
        (engine_io && message == b"2").then(|| websocket::client_frame(websocket::TEXT, b"3"))
    }

    /// Connections that publish, so that `in_flight` messages can be under way without pipelining.
    pub(crate) fn publishers_for(&self, in_flight: usize) -> usize {
        if self.peer == Peer::Floor { 1 } else { in_flight }
    }

    pub(crate) fn publisher(&self) -> Outcome<Publisher> {
        let mut opening = Opening::connect(&self.address)?;
        if self.peer == Peer::Floor {
            opening.send(floor::PUBLISH_LINE)?;
        }
        opening.stream.set_nonblocking(true).context("cannot make a socket non-blocking")?;
        Ok(Publisher::new(opening.stream, self.peer != Peer::Floor))
    }

    /// The bytes that publish one message.
    pub(crate) fn publication(&self, number: u64) -> Vec<u8> {
        let payload = mark::payload(number, self.payload_bytes);
        let post = |target: &str, body: &[u8]| http::post(&self.address, target, "", body);
        match self.peer {
            Peer::Floor => floor::publication(&floor::ready_bytes(self.transport, number, &payload)),
            Peer::Nchan => post(&format!("/pub?id={CHANNEL}"), payload.as_bytes()),
            Peer::Ws | Peer::Socketio => post("/publish", payload.as_bytes()),
            Peer::Anywire => {
                let body = format!(r#"{{"channel":"{CHANNEL}","event":"m","data":"{payload}"}}"#);
                http::post(
                    &self.address,
                    "/anywire/publish",
                    "Content-Type: application/json\r\n",
                    body.as_bytes(),
                )
            }
        }
    }
}

/// The id in Engine.IO's first packet.
fn session_id(answer: &Answer) -> Outcome<String> {
    let text = String::from_utf8_lossy(&answer.body);
    let id = text.split_once(r#""sid":""#).and_then(|(_, rest)| rest.split('"').next());
    id.map(str::to_owned).ok_or_else(|| Failure::new(format!("no session in {text}")))
}

/// A connection during its handshake.
struct Opening {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Opening {
    fn connect(address: &str) -> Outcome<Self> {
        let address: SocketAddr = address.parse().context(format_args!("{address} is no address"))?;
        let stream = TcpStream::connect(address).context(format_args!("cannot connect to {address}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        stream.set_read_timeout(Some(HANDSHAKE_WAIT)).context("cannot set a timeout")?;
        // Closing resets: thousands of connections must not linger in TIME_WAIT between cases.
        let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        linger.context("cannot set SO_LINGER")?;
        Ok(Self { stream, received: Vec::new() })
    }

    fn send(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.stream.write_all(bytes).context("the handshake cannot be sent")
    }

    /// Reads until `found` makes something of the bytes and says how many it took.
    fn wait_for<T>(&mut self, mut found: impl FnMut(&[u8]) -> Outcome<Option<(T, usize)>>) -> Outcome<T> {
        loop {
            if let Some((value, used)) = found(&self.received)? {
                self.received.drain(..used);
                return Ok(value);
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes).context("the handshake was not answered")? {
                0 => return Err(Failure::new("the server closed the connection during the handshake")),
                read => self.received.extend(&bytes[..read]),
            }
        }
    }

    fn expect_head(&mut self, status: u16) -> Outcome<()> {
        self.wait_for(|bytes| {
            let head = Head::parse(bytes).map_err(|_| Failure::new("the answer is not HTTP"))?;
            head.map(|head| check_status(&head, status, bytes).map(|()| ((), head.length))).transpose()
        })
    }

    fn expect_answer(&mut self, status: u16) -> Outcome<Answer> {
        self.wait_for(|bytes| {
            let parsed = Answer::parse(bytes).map_err(|_| Failure::new("the answer is not HTTP"))?;
            parsed.map(|found| check_status(&found.0.head, status, bytes).map(|()| found)).transpose()
        })
    }

    fn expect_frame(&mut self, part: &[u8]) -> Outcome<()> {
        self.wait_for(|bytes| {
            let Some(frame) = Frame::parse(bytes) else { return Ok(None) };
            match memchr::memmem::find(frame.payload, part) {
                Some(_) => Ok(Some(((), frame.length))),
                None => Err(Failure::new(format!("unexpected: {}", String::from_utf8_lossy(frame.payload)))),
            }
        })
    }

    fn expect_bytes(&mut self, part: &[u8]) -> Outcome<()> {
        self.wait_for(|bytes| Ok(memchr::memmem::find(bytes, part).map(|at| ((), at + part.len()))))
    }
}

fn check_status(head: &Head, status: u16, bytes: &[u8]) -> Outcome<()> {
    if head.status == status {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned();
    Err(Failure::new(format!("expected status {status}, got: {text}")))
}
