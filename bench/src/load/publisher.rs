//! One publishing connection, kept alive.

use crate::failure::{Context, Failure, Outcome};
use crate::wire::http::Answer;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Publisher {
    stream: TcpStream,
    received: Vec<u8>,
    /// The floor does not answer: writing to the subscribers is all it does.
    answers: bool,
    slot: usize,
}

impl Publisher {
    pub(crate) fn new(stream: TcpStream, answers: bool) -> Self {
        Self { stream, received: Vec::new(), answers, slot: 0 }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn answers(&self) -> bool {
        self.answers
    }

    /// Sends a publication for a slot. Small, on a connection whose last answer has come: it fits the socket.
    pub(crate) fn publish(&mut self, slot: usize, request: &[u8]) -> Outcome<()> {
        self.slot = slot;
        self.stream.write_all(request).context("cannot publish")
    }

    /// Reads an answer. The slot that was answered; `None`: not all of it has come.
    pub(crate) fn read(&mut self) -> Outcome<Option<usize>> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Err(Failure::new("the server closed a publisher's connection")),
            Ok(read) => self.received.extend(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("cannot read the answer to a publication"),
        }
        let parsed = Answer::parse(&self.received)
            .map_err(|_| Failure::new("the answer to a publication is not HTTP"))?;
        let Some((answer, length)) = parsed else { return Ok(None) };
        self.received.drain(..length);
        if (200..300).contains(&answer.head.status) {
            return Ok(Some(self.slot));
        }
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        Err(Failure::new(format!("publishing was refused with {}: {body}", answer.head.status)))
    }
}
