//! Opens the connections of subscribers and publishers, step by step, until the load may begin.

use super::dialect::{CHANNEL, Dialect};
use super::publisher::Publisher;
use super::subscriber::Subscriber;
use crate::failure::{Context, Failure, Outcome};
use crate::floor;
use crate::peers::{Peer, Transport};
use crate::wire::http::{self, Answer, Head};
use crate::wire::websocket::{self, Frame};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that has not answered a handshake by then will not.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(15);

/// Connects and subscribes, waiting for each step; afterwards the socket does not block.
pub(super) fn subscribe(dialect: &Dialect) -> Outcome<Subscriber> {
    let mut opening = Opening::connect(dialect)?;
    let mut again = None;
    match dialect.transport {
        Transport::Websocket => opening.open_websocket()?,
        Transport::Sse => opening.open_stream()?,
        Transport::Longpoll => opening.open_polling()?,
        Transport::Socketio => opening.open_socketio()?,
        Transport::SocketioPolling => again = Some(opening.open_socketio_polling()?),
    }
    opening.stream.set_nonblocking(true).context("cannot make a socket non-blocking")?;
    Ok(Subscriber::new(opening.stream, opening.received, again))
}

/// Connects to publish; the socket does not block.
pub(super) fn publisher(dialect: &Dialect) -> Outcome<Publisher> {
    let mut opening = Opening::connect(dialect)?;
    if dialect.peer == Peer::Floor {
        opening.send(floor::PUBLISH_LINE)?;
    }
    opening.stream.set_nonblocking(true).context("cannot make a socket non-blocking")?;
    Ok(Publisher::new(opening.stream, dialect.peer != Peer::Floor))
}

/// A connection during its handshake.
struct Opening<'a> {
    dialect: &'a Dialect,
    stream: TcpStream,
    received: Vec<u8>,
}

impl<'a> Opening<'a> {
    fn connect(dialect: &'a Dialect) -> Outcome<Self> {
        let address = &dialect.address;
        let address: SocketAddr = address.parse().context(format_args!("{address} is no address"))?;
        let stream = TcpStream::connect(address).context(format_args!("cannot connect to {address}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        stream.set_read_timeout(Some(HANDSHAKE_WAIT)).context("cannot set a timeout")?;
        // Closing resets: thousands of connections must not linger in TIME_WAIT between cases.
        let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        linger.context("cannot set SO_LINGER")?;
        Ok(Self { dialect, stream, received: Vec::new() })
    }

    fn open_websocket(&mut self) -> Outcome<()> {
        let (target, subprotocol) = match self.dialect.peer {
            Peer::Anywire | Peer::Floor => ("/anywire/ws".into(), Some("anywire.v1")),
            Peer::Nchan => (format!("/sub?id={CHANNEL}"), None),
            Peer::Ws => ("/".into(), None),
            Peer::Socketio => return self.open_socketio(),
        };
        self.send(&http::get(&self.dialect.address, &target, &websocket::upgrade_fields(subprotocol)))?;
        self.expect_head(101)?;
        match self.dialect.peer {
            Peer::Anywire => {
                let subscribe = format!(r#"{{"op":"subscribe","id":1,"channels":["{CHANNEL}"]}}"#);
                self.send(&websocket::client_frame(websocket::TEXT, subscribe.as_bytes()))?;
                self.expect_frame(br#""op":"subscribed""#)
            }
            Peer::Floor | Peer::Nchan | Peer::Ws | Peer::Socketio => Ok(()),
        }
    }

    fn open_socketio(&mut self) -> Outcome<()> {
        let target = "/socket.io/?EIO=4&transport=websocket";
        self.send(&http::get(&self.dialect.address, target, &websocket::upgrade_fields(None)))?;
        self.expect_head(101)?;
        if self.dialect.peer == Peer::Floor {
            return Ok(());
        }
        self.expect_frame(b"0{")?;
        self.send(&websocket::client_frame(websocket::TEXT, self.dialect.socketio_join().as_bytes()))?;
        self.expect_frame(b"40{")
    }

    /// Leaves the connection with a poll that is pending, and answers the request that follows each answer.
    fn open_socketio_polling(&mut self) -> Outcome<Vec<u8>> {
        let mut target = "/socket.io/?EIO=4&transport=polling".to_owned();
        if self.dialect.peer != Peer::Floor {
            self.send(&http::get(&self.dialect.address, &target, ""))?;
            let session = session_id(&self.expect_answer(200)?)?;
            target = format!("{target}&sid={session}");
            let join = self.dialect.socketio_join();
            self.send(&http::post(
                &self.dialect.address,
                &target,
                "Content-Type: text/plain\r\n",
                join.as_bytes(),
            ))?;
            self.expect_answer(200)?;
            self.send(&http::get(&self.dialect.address, &target, ""))?;
            self.expect_answer(200)?;
        }
        let poll = http::get(&self.dialect.address, &target, "");
        self.send(&poll)?;
        Ok(poll)
    }

    fn open_stream(&mut self) -> Outcome<()> {
        let target = match self.dialect.peer {
            Peer::Nchan => format!("/sub?id={CHANNEL}"),
            _ => format!("/anywire/sse?channels={CHANNEL}"),
        };
        self.send(&http::get(&self.dialect.address, &target, "Accept: text/event-stream\r\n"))?;
        self.expect_head(200)?;
        // Anywire's first block says where delivery starts; the others subscribe with the head.
        if self.dialect.peer == Peer::Anywire { self.expect_bytes(b"id: ") } else { Ok(()) }
    }

    /// Leaves the connection with a poll that is pending.
    fn open_polling(&mut self) -> Outcome<()> {
        let first = match self.dialect.peer {
            Peer::Nchan => self.dialect.nchan_poll(None, None),
            Peer::Anywire => {
                let target = format!("/anywire/poll?channels={CHANNEL}");
                self.send(&http::get(&self.dialect.address, &target, ""))?;
                let answer = self.expect_answer(200)?;
                self.dialect
                    .poll_after(&answer)
                    .ok_or_else(|| Failure::new("the answer to a poll has no cursor"))?
            }
            _ => self.dialect.anywire_poll("0"),
        };
        self.send(&first)
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

/// The id in Engine.IO's first packet.
fn session_id(answer: &Answer) -> Outcome<String> {
    let text = String::from_utf8_lossy(&answer.body);
    let id = text.split_once(r#""sid":""#).and_then(|(_, rest)| rest.split('"').next());
    id.map(str::to_owned).ok_or_else(|| Failure::new(format!("no session in {text}")))
}

fn check_status(head: &Head, status: u16, bytes: &[u8]) -> Outcome<()> {
    if head.status == status {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned();
    Err(Failure::new(format!("expected status {status}, got: {text}")))
}
