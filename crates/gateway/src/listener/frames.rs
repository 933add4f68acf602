//! A limit on frames of HTTP/2 that ask for nothing. What a client may begin and reset, and how it may cut
//! up headers and bodies, the HTTP library limits itself; but it answers every ping and every change of
//! settings, as fast as they come and for ever.
//!
//! Frames are only followed, by their heads (RFC 9113, section 4.1):
//!
//! ```text
//! length (24 bits) | type (8) | flags (8) | reserved (1) stream (31) | payload
//! ```

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// How many such frames may come at once.
const FRAMES_MAX: u64 = 10_000;
/// How many more may come each second.
const FRAMES_PER_SECOND: u64 = 100;
/// How many come with a request.
const FRAMES_PER_REQUEST: u64 = 10;
/// Of how many bytes that leave one may be acknowledged. More than the answer to a ping has, which earns no
/// other.
const BYTES_PER_FRAME: u64 = 32;
/// What a client begins with: `PRI * HTTP/2.0 …`.
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;

/// A connection of HTTP/2 whose frames are counted.
pub(super) struct Counted<S> {
    io: S,
    frames: Frames,
}

struct Frames {
    /// Bytes that belong to no head.
    skipped: usize,
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// How many frames may still come.
    left: u64,
    /// Until when time was counted.
    counted: Instant,
    /// Bytes that left and were not counted.
    written: u64,
}

impl Frames {
    fn new() -> Self {
        Self {
            skipped: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            left: FRAMES_MAX,
            counted: Instant::now(),
            written: 0,
        }
    }

    /// Follows further bytes; whether no more came than may.
    fn follow(&mut self, mut bytes: &[u8]) -> bool {
        let seconds = self.counted.elapsed().as_secs();
        if seconds > 0 {
            self.counted = Instant::now();
            self.add(seconds.saturating_mul(FRAMES_PER_SECOND));
        }
        while !bytes.is_empty() {
            let skipped = self.skipped.min(bytes.len());
            self.skipped -= skipped;
            bytes = &bytes[skipped..];
            let count = (HEAD_BYTES - self.head_bytes).min(bytes.len());
            self.head[self.head_bytes..self.head_bytes + count].copy_from_slice(&bytes[..count]);
            self.head_bytes += count;
            bytes = &bytes[count..];
            if self.head_bytes == HEAD_BYTES {
                self.head_bytes = 0;
                if !self.take() {
                    return false;
                }
            }
        }
        true
    }

    /// Takes the frame whose head is here.
    fn take(&mut self) -> bool {
        let [a, b, c, kind, ..] = self.head;
        self.skipped = u32::from_be_bytes([0, a, b, c]) as usize;
        match kind {
            HEADERS => self.add(FRAMES_PER_REQUEST),
            DATA | RST_STREAM | CONTINUATION => {}
            _ => match self.left.checked_sub(1) {
                Some(left) => self.left = left,
                None => return false,
            },
        }
        true
    }

    fn add(&mut self, frames: u64) {
        self.left = self.left.saturating_add(frames).min(FRAMES_MAX);
    }

    fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
        self.add(self.written / BYTES_PER_FRAME);
        self.written %= BYTES_PER_FRAME;
    }
}

impl<S> Counted<S> {
    pub(super) fn new(io: S) -> Self {
        Self { io, frames: Frames::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        Poll::Ready(match self.frames.follow(&buf.filled()[before..]) {
            true => Ok(()),
            false => Err(io::Error::other("too many frames of HTTP/2 that ask for nothing")),
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.frames.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        self.frames.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(payload).expect("short"), kind, 0, 0, 0, 0, 0];
        frame.resize(HEAD_BYTES + payload, PING);
        frame
    }

    fn begun() -> Frames {
        let mut frames = Frames::new();
        assert!(frames.follow(&[PING; PREFACE_BYTES]));
        frames
    }

    /// How many pings may come, in pieces of so many bytes.
    fn pings(mut frames: Frames, piece: usize) -> usize {
        let pings = frame(PING, 8).repeat(3 * usize::try_from(FRAMES_MAX).expect("a number"));
        let mut bytes = 0;
        for piece in pings.chunks(piece) {
            if !frames.follow(piece) {
                break;
            }
            bytes += piece.len();
        }
        bytes / 17
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_frames_come_that_ask_for_nothing_however_they_are_cut() {
        for piece in [1, 9, 17, 100] {
            let count = pings(begun(), piece);
            assert!((9_990..=10_000).contains(&count), "{piece}: {count}");
        }
        let mut frames = begun();
        let long =
            [frame(DATA, 200), frame(HEADERS, 50), frame(RST_STREAM, 4), frame(CONTINUATION, 0)].concat();
        assert!(frames.follow(&long.repeat(50_000)));
        assert!(frames.follow(&frame(PING, 8).repeat(10_000)));
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        assert!(frames.follow(&frame(4, 0).repeat(200)) && !frames.follow(&frame(4, 0)));
        let mut frames = begun();
        let mut answered = 0_u64;
        while frames.follow(&frame(PING, 8)) {
            frames.wrote(17);
            answered += 1;
        }
        assert!(answered < 3 * FRAMES_MAX, "{answered}");
        frames.wrote(64 << 10);
        assert!(frames.follow(&frame(8, 4).repeat(2_000)), "a reader says what it has read");
    }
}
