//! One subscriber: a socket, what an earlier read left over, and how many messages it has got in this round.

use super::dialect::{Dialect, Reading};
use super::round::Delivery;
use crate::wire::http::Answer;
use crate::wire::mark;
use crate::wire::websocket::{self, Frame};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A connected subscriber.
#[derive(Debug)]
pub(crate) struct Subscriber {
    stream: TcpStream,
    /// The beginning of something whose end has not come yet; nearly always empty.
    left_over: Vec<u8>,
    /// The request that follows every answer, if it is always the same.
    again: Option<Vec<u8>>,
    position: usize,
}

/// What all subscribers share while they read.
#[derive(Debug)]
pub(crate) struct View<'a> {
    dialect: &'a Dialect,
    buffer: &'a mut [u8],
    read_bytes: usize,
    now: Instant,
}

impl<'a> View<'a> {
    pub(crate) fn new(dialect: &'a Dialect, buffer: &'a mut [u8], read_bytes: usize, now: Instant) -> Self {
        Self { dialect, buffer, read_bytes, now }
    }
}

/// The bytes make no sense or the server has ended the connection.
struct Broken;

impl Subscriber {
    pub(crate) fn new(stream: TcpStream, left_over: Vec<u8>, again: Option<Vec<u8>>) -> Self {
        Self { stream, left_over, again, position: 0 }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// A new round begins.
    pub(crate) fn begin(&mut self) {
        self.position = 0;
    }

    /// Reads once and hands over every message that is whole. False: the connection is over.
    ///
    /// Once is enough: epoll is level-triggered, and a second read only to learn that nothing is left would
    /// double the cost.
    pub(crate) fn read(&mut self, view: &mut View<'_>, mut deliver: impl FnMut(Delivery)) -> bool {
        let start = self.left_over.len();
        let end = (start + view.read_bytes).min(view.buffer.len());
        view.buffer[..start].copy_from_slice(&self.left_over);
        let read = match self.stream.read(&mut view.buffer[start..end]) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(error) => return matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        };
        let bytes = &view.buffer[..start + read];
        let used = match view.dialect.reading() {
            Reading::Stream => Ok(self.take_marks(bytes, view.now, &mut deliver)),
            Reading::Frames => self.take_frames(bytes, view, &mut deliver),
            Reading::Polls => self.take_answers(bytes, view, &mut deliver),
        };
        let Ok(used) = used else { return false };
        self.left_over.clear();
        self.left_over.extend_from_slice(&bytes[used..]);
        true
    }

    fn take_marks(&mut self, bytes: &[u8], at: Instant, deliver: &mut impl FnMut(Delivery)) -> usize {
        mark::scan(bytes, |number| {
            deliver(Delivery { number, position: self.position, at });
            self.position += 1;
        })
    }

    fn take_frames(
        &mut self,
        bytes: &[u8],
        view: &View<'_>,
        deliver: &mut impl FnMut(Delivery),
    ) -> Result<usize, Broken> {
        let mut used = 0;
        while let Some(frame) = Frame::parse(&bytes[used..]) {
            used += frame.length;
            match frame.opcode {
                websocket::CLOSE => return Err(Broken),
                websocket::PING => self.reply(&websocket::client_frame(websocket::PONG, frame.payload))?,
                _ => {
                    self.take_marks(frame.payload, view.now, deliver);
                    if let Some(reply) = view.dialect.reply(frame.payload) {
                        self.reply(&reply)?;
                    }
                }
            }
        }
        Ok(used)
    }

    fn take_answers(
        &mut self,
        bytes: &[u8],
        view: &View<'_>,
        deliver: &mut impl FnMut(Delivery),
    ) -> Result<usize, Broken> {
        let mut used = 0;
        while let Some((answer, length)) = Answer::parse(&bytes[used..]).map_err(|_| Broken)? {
            used += length;
            // Ask again first: the server may work on it while this side counts.
            match &self.again {
                Some(again) if answer.head.status == 200 => self.reply(again)?,
                Some(_) => return Err(Broken),
                None => self.reply(&view.dialect.poll_after(&answer).ok_or(Broken)?)?,
            }
            self.take_marks(&answer.body, view.now, deliver);
        }
        Ok(used)
    }

    /// Replies are small and rare; a socket that cannot take one is counted as broken.
    fn reply(&self, bytes: &[u8]) -> Result<(), Broken> {
        (&self.stream).write_all(bytes).map_err(|_| Broken)
    }
}
