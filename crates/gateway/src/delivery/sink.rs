//! Where a drain writes to: a socket that does not block, or a buffer with a limit.

use std::io::{self, IoSlice};

use anywire_protocol::engineio::{PAYLOAD_PACKETS_MAX, SEPARATOR};
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
            [one] => match send_now(self.0, one) {
                Some(written) => Ok(written),
                // Through the runtime, so that it learns that the socket is full.
                None => self.0.try_write(one),
            },
            many => self.0.try_write_vectored(many),
        }
    }
}

/// Writes without asking the runtime first whether the socket is ready, which is one place in memory less to
/// look at for each reader.
#[cfg(target_os = "linux")]
fn send_now(stream: &TcpStream, bytes: &[u8]) -> Option<usize> {
    use rustix::net::{SendFlags, send};
    send(stream, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).ok()
}

#[cfg(not(target_os = "linux"))]
fn send_now(_: &TcpStream, _: &[u8]) -> Option<usize> {
    None
}

/// A buffer for connections that another library writes (TLS, HTTP/2): it takes up to a limit, then counts as
/// full.
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
    packets: usize,
}

impl PayloadSink {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), bytes_max, packets: 0 }
    }

    pub(crate) fn take(self) -> Bytes {
        self.buffer.into()
    }

    /// Whether so many packets more still go into this payload. What was joined before is never taken apart.
    fn has_room(&self, packets: usize) -> bool {
        let fits = self.packets + packets <= PAYLOAD_PACKETS_MAX && self.buffer.len() < self.bytes_max;
        self.packets == 0 || fits
    }
}

impl Sink for PayloadSink {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = 0;
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            let packets = 1 + slice.iter().filter(|byte| **byte == SEPARATOR).count();
            if !self.has_room(packets) {
                let full = || io::Error::from(io::ErrorKind::WouldBlock);
                return if written == 0 { Err(full()) } else { Ok(written) };
            }
            if self.packets > 0 {
                self.buffer.push(SEPARATOR);
            }
            self.buffer.extend_from_slice(slice);
            self.packets += packets;
            written += slice.len();
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_takes_as_many_packets_as_every_client_reads() {
        let mut sink = PayloadSink::new(1 << 18);
        assert_eq!(sink.write(&[IoSlice::new(b"40")]).expect("room"), 2);
        let events = [IoSlice::new(b"42[1]"); 20];
        assert_eq!(sink.write(&events).expect("room for fifteen"), 15 * 5);
        let full = sink.write(&events).expect_err("no room");
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(sink.take().split(|byte| *byte == SEPARATOR).count(), PAYLOAD_PACKETS_MAX);
    }

    #[test]
    fn packets_that_belong_together_stay_together() {
        let mut sink = PayloadSink::new(1 << 18);
        let with_bytes = b"451-[{}]\x1ebAQID".as_slice();
        assert_eq!(sink.write(&[IoSlice::new(b"2"); 15]).expect("room"), 15);
        sink.write(&[IoSlice::new(with_bytes)]).expect_err("two packets do not fit");
        assert_eq!(sink.take().len(), 15 + 14);
    }
}
