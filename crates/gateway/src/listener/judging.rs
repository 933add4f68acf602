//! A look at each head before the HTTP library has it: what the library refuses by itself, it refuses without
//! a word, and a head that does not end it waits for as long as for one that does not begin.
//!
//! Heads are held back until they are whole and sound; bodies are followed to their end and let through as
//! they come.
//!
//! Invariant: a refusal is written only between an answer that has left whole and the next.

use std::{
    future::Future,
    io,
    mem::MaybeUninit,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use anywire_protocol::{
    Code, Refusal,
    chunks::{Chunks, Progress},
    head::HEAD_BYTES_MAX,
    judgement::{Body, Judgement, Sound, ends, judge},
};
use bytes::{Buf, Bytes, BytesMut};
use http::Uri;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use crate::{
    Gateway,
    admission::entry::Admission,
    http::streams::Carrier,
    http1::unanswered::{HEAD_TIME, KEEP_ALIVE, refuse_head, slow_head},
};

/// The largest head that is read. Larger than what may be asked for: what is not far too large gets an answer
/// that knows who asks.
pub(super) const LIBRARY_HEAD_BYTES_MAX: u32 = 4 * HEAD_BYTES_MAX as u32;
/// How many bytes are read at once while a head is waited for.
const READ_BYTES: usize = 8 << 10;

/// A connection of HTTP/1.1 whose heads are looked at.
pub(crate) struct Judged<S> {
    io: S,
    gateway: Arc<Gateway>,
    peer: IpAddr,
    /// What is under way on it.
    carrier: Carrier,
    /// What was read and is not let through yet: at most a head, and what came with its end.
    held: BytesMut,
    next: Next,
    /// How many bytes of a head were looked at.
    seen: usize,
    /// Until when something is waited for.
    patience: Option<Pin<Box<Sleep>>>,
    /// Whether something is held until the answer under way has left.
    waits: bool,
    /// Whether an answer may not have left whole.
    unflushed: bool,
}

/// What comes next from the peer.
enum Next {
    /// A head.
    Head,
    /// So many bytes of a head that was judged, then its body.
    Judged(usize, Following),
    /// A body.
    Body(Following),
    /// Nothing: what is still to be said before the end.
    End(Bytes),
}

/// What follows a head.
#[derive(Clone, Copy)]
enum Following {
    Bytes(u64),
    Chunked(Chunks),
    /// Anything, until the answer says what.
    Anything,
}

impl Following {
    fn of(sound: &Sound) -> Self {
        match sound.body {
            _ if sound.upgrades => Self::Anything,
            Body::Bytes(count) => Self::Bytes(count),
            Body::Chunked => Self::Chunked(Chunks::default()),
        }
    }

    /// Follows further bytes; how many of them belong to it.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Bytes(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                count
            }
            Self::Chunked(chunks) => chunks.follow(bytes),
            Self::Anything => bytes.len(),
        }
    }

    fn has_ended(&self) -> bool {
        match self {
            Self::Bytes(left) => *left == 0,
            Self::Chunked(chunks) => chunks.progress() == Progress::Ended,
            Self::Anything => false,
        }
    }

    /// What is next: a head after its end.
    fn next(self) -> Next {
        if self.has_ended() { Next::Head } else { Next::Body(self) }
    }
}

impl<S> Judged<S> {
    pub(super) fn new(io: S, gateway: Arc<Gateway>, peer: IpAddr, carrier: Carrier) -> Self {
        Self {
            io,
            gateway,
            peer,
            carrier,
            held: BytesMut::new(),
            next: Next::Head,
            seen: 0,
            patience: None,
            waits: false,
            unflushed: false,
        }
    }

    /// The connection, with what was read from it and not let through.
    pub(super) fn into_parts(self) -> (S, BytesMut) {
        (self.io, self.held)
    }

    /// Whether every request has its answer.
    fn is_settled(&self) -> bool {
        self.carrier.is_idle() && !self.unflushed
    }

    /// Gives up to `count` of the bytes that are held.
    fn give(&mut self, buf: &mut ReadBuf<'_>, count: usize) -> usize {
        let count = count.min(self.held.len()).min(buf.remaining());
        buf.put_slice(&self.held[..count]);
        self.held.advance(count);
        if self.held.is_empty() {
            // An idle connection keeps no buffer.
            self.held = BytesMut::new();
        }
        count
    }

    /// Judges what is held; whether more is needed to know.
    fn judge(&mut self) -> bool {
        let known = std::mem::replace(&mut self.seen, self.held.len());
        // As the library does it: once, and then when the head may be whole.
        let full = self.held.len() >= LIBRARY_HEAD_BYTES_MAX as usize;
        if known > 0 && !full && !ends(&self.held, known) {
            return true;
        }
        let is_target = |target: &str| target.parse::<Uri>().is_ok();
        let refusal = match judge(&self.held, LIBRARY_HEAD_BYTES_MAX as usize, is_target) {
            Judgement::Partial => return true,
            Judgement::Sound(sound) => {
                self.next = Next::Judged(sound.bytes, Following::of(&sound));
                self.begin_next();
                return false;
            }
            Judgement::TooLarge => Admission::head_too_large(),
            Judgement::Faulty(why) => {
                Refusal::new(Code::InvalidRequest, format!("this is no request of HTTP/1.1: {why}"))
            }
        };
        self.refuse(refusal);
        false
    }

    fn refuse(&mut self, refusal: Refusal) {
        let last = refuse_head(&self.gateway, self.peer, &self.held, refusal).into_bytes();
        self.next = Next::End(last);
        self.held = BytesMut::new();
        self.begin_next();
    }

    /// From now on something else is waited for.
    fn begin_next(&mut self) {
        self.seen = 0;
        self.patience = None;
    }

    /// Whether the peer was waited for too long.
    fn is_late(&mut self, cx: &mut Context<'_>, time: Duration) -> bool {
        let sleep = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        sleep.as_mut().poll(cx).is_ready()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Judged<S> {
    /// Reads more of a head; whether there was any, or false at the peer's end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut bytes = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut fresh = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut fresh))?;
        self.held.extend_from_slice(fresh.filled());
        Poll::Ready(Ok(!fresh.filled().is_empty()))
    }

    /// Waits for a head that can be let through, or refuses it; false at the peer's end.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.is_settled() {
            return self.poll_ahead(cx);
        }
        loop {
            if !self.held.is_empty() && !self.judge() {
                return Poll::Ready(Ok(true));
            }
            let begun = !self.held.is_empty();
            let idle = if self.carrier.requests() == 0 { HEAD_TIME } else { KEEP_ALIVE };
            match self.poll_more(cx) {
                Poll::Ready(Ok(true)) if !begun => {
                    if let Some(patience) = &mut self.patience {
                        patience.as_mut().reset(Instant::now() + HEAD_TIME);
                    }
                }
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(ended) => return Poll::Ready(ended),
                Poll::Pending if !self.is_late(cx, if begun { HEAD_TIME } else { idle }) => {
                    return Poll::Pending;
                }
                Poll::Pending if begun => {
                    self.refuse(slow_head());
                    return Poll::Ready(Ok(true));
                }
                Poll::Pending => return Poll::Ready(Ok(false)),
            }
        }
    }

    /// Reads ahead while a request is under way, to see the peer's end; false if it is there.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.waits = true;
        while self.held.len() < LIBRARY_HEAD_BYTES_MAX as usize {
            if !ready!(self.poll_more(cx))? {
                // What it asked before is answered all the same.
                return if self.held.is_empty() { Poll::Ready(Ok(false)) } else { Poll::Pending };
            }
        }
        Poll::Pending
    }

    /// Lets a body through; what comes behind it is held.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        mut body: Following,
    ) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
            let end = before + body.follow(&buf.filled()[before..]);
            self.held.extend_from_slice(&buf.filled()[end..]);
            buf.set_filled(end);
        } else {
            let count = self.held.len().min(buf.remaining());
            let own = body.follow(&self.held[..count]);
            self.give(buf, own);
        }
        self.next = body.next();
        Poll::Ready(Ok(()))
    }

    /// Says the last words, after which the library sees the end of the connection.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_late(cx, HEAD_TIME) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let Next::End(words) = &mut self.next else { return Poll::Ready(Ok(())) };
        while words.has_remaining() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, words))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            words.advance(count);
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Judged<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.next {
                Next::Head => {
                    if !ready!(this.poll_head(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Next::Judged(left, body) => {
                    let left = left - this.give(buf, left);
                    this.next = if left == 0 { body.next() } else { Next::Judged(left, body) };
                    return Poll::Ready(Ok(()));
                }
                Next::Body(Following::Anything) if this.is_settled() && !this.carrier.is_upgraded() => {
                    this.next = Next::Head;
                }
                Next::Body(body) => return this.poll_body(cx, buf, body),
                Next::End(_) => return this.poll_end(cx),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Judged<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.unflushed = false;
        if self.waits && self.carrier.is_idle() {
            // The library thinks that there is nothing to read.
            self.waits = false;
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
