//! A publisher that tries again until the server has acknowledged, as PROTOCOL.md lets it: with an
//! idempotency key.
//!
//! Socket.IO on Node knows no such key. Nothing is published while the server is killed, so nothing has to be
//! sent twice.

use super::contender::Contender;
use super::notice::CHANNEL;
use crate::failure::{Failure, Outcome};
use crate::wire::http::{self, Answer};
use crate::wire::mark;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const GIVE_UP: Duration = Duration::from_secs(30);
const PAYLOAD_BYTES: usize = 128;

#[derive(Debug)]
pub(crate) struct Publisher {
    server: Contender,
    address: String,
    connection: Option<TcpStream>,
}

impl Publisher {
    pub(crate) fn new(server: Contender, address: &str) -> Self {
        Self { server, address: address.to_owned(), connection: None }
    }

    /// Returns when the message is committed; at Node, when it has been handed to every socket.
    ///
    /// # Errors
    /// If that does not happen within half a minute.
    pub(crate) fn publish(&mut self, message: u64) -> Outcome<()> {
        let request = self.request(message);
        let until = Instant::now() + GIVE_UP;
        loop {
            match self.exchange(&request) {
                Ok(answer) if matches!(answer.head.status, 200 | 204) => return Ok(()),
                Ok(answer) if answer.head.status < 500 => return Err(refused(&answer)),
                outcome if Instant::now() > until => {
                    let why =
                        outcome.map_or_else(|error| error.to_string(), |answer| refused(&answer).to_string());
                    return Err(Failure::new(format!("message {message} was not acknowledged: {why}")));
                }
                _ => {
                    self.connection = None;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }

    fn request(&self, message: u64) -> Vec<u8> {
        let payload = mark::payload(message, PAYLOAD_BYTES);
        match self.server {
            Contender::Anywire => {
                let body = format!(r#"{{"channel":"{CHANNEL}","event":"m","data":"{payload}"}}"#);
                let fields =
                    format!("Content-Type: application/json\r\nIdempotency-Key: jitter-{message}\r\n");
                http::post(&self.address, "/anywire/publish", &fields, body.as_bytes())
            }
            Contender::Socketio => http::post(&self.address, "/publish", "", payload.as_bytes()),
        }
    }

    fn exchange(&mut self, request: &[u8]) -> std::io::Result<Answer> {
        let mut stream = match self.connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(&self.address)?,
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(request)?;
        let mut received = Vec::new();
        loop {
            let parsed = Answer::parse(&received).map_err(|_| Error::from(ErrorKind::InvalidData))?;
            if let Some((answer, _)) = parsed {
                self.connection = Some(stream);
                return Ok(answer);
            }
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => received.extend(&bytes[..read]),
            }
        }
    }
}

fn refused(answer: &Answer) -> Failure {
    let body = String::from_utf8_lossy(&answer.body);
    Failure::new(format!("publishing was refused with {}: {body}", answer.head.status))
}
