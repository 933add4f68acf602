//! Where a drain writes to: a socket that does not block, or a buffer with a limit.
//!
//! Knows: how to write slices. Does not know: what they hold.

use std::io::{self, IoSlice};

use anywire_protocol::engineio::SEPARATOR;
use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

/// Takes bytes without waiting.
pub(crate) trait Sink {
    /// Writes as much as it can of the slices.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits at the moment; others when the connection is broken.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// A cleartext socket.
pub(crate) struct SocketSink<'a>(pub(crate) &'a TcpStream);

impl Sink for SocketSink<'_> {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // One slice is the common case, and the plain call is the cheaper one.
            [one] => self.0.try_write(one),
            many => self.0.try_write_vectored(many),
        }
    }
}

/// A buffer for connections that another library writes (TLS, HTTP/2): it takes up to a limit, then counts as full.
pub(crate) struct BufferSink {
    buffer: BytesMut,
    bytes_max: usize,
}

impl BufferSink {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), bytes_max }
    }

    pub(crate) fn take(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }
}

impl Sink for BufferSink {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.buffer.len() >= self.bytes_max {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = self.buffer.len();
        slices.iter().for_each(|slice| self.buffer.extend_from_slice(slice));
        Ok(self.buffer.len() - before)
    }
}

/// The payload of one answer to an Engine.IO poll: each slice is a packet (or packets joined already).
pub(crate) struct PayloadSink {
    buffer: Vec<u8>,
    bytes_max: usize,
}

impl PayloadSink {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), bytes_max }
    }

    pub(crate) fn take(self) -> Bytes {
        self.buffer.into()
    }
}

impl Sink for PayloadSink {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.buffer.len() >= self.bytes_max {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            if !self.buffer.is_empty() {
                self.buffer.push(SEPARATOR);
            }
            self.buffer.extend_from_slice(slice);
        }
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }
}
