//! The end of a connection that the HTTP library serves: the sending side ends first, and what the peer still
//! sends is taken for a moment. A socket that is closed while bytes of the peer are in it resets the
//! connection, and the peer may never read the answer.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use crate::http1::connection::LINGER;

/// How many bytes are thrown away at once.
const DISCARDED_BYTES: usize = 4 << 10;

/// A connection that lingers at its end.
pub(crate) struct Lingering<S> {
    io: S,
    end: End,
}

/// How far the end has come.
enum End {
    No,
    /// The sending side ended; the peer's is waited for.
    Half(Pin<Box<Sleep>>),
    /// The peer ended its side first: nothing is waited for.
    Peer,
}

impl<S> Lingering<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, end: End::No }
    }

    pub(crate) fn into_inner(self) -> S {
        self.io
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining() > 0;
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if room && buf.filled().len() == before {
            self.end = End::Peer;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if matches!(this.end, End::No) {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.end = End::Half(Box::pin(tokio::time::sleep(LINGER)));
        }
        match &mut this.end {
            End::Half(patience) => {
                if patience.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                discard(&mut this.io, cx)
            }
            End::No | End::Peer => Pin::new(&mut this.io).poll_shutdown(cx),
        }
    }
}

/// Reads until the peer's end, which may be a broken connection as well.
fn discard(io: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut bytes = [0; DISCARDED_BYTES];
    loop {
        let mut buf = ReadBuf::new(&mut bytes);
        match ready!(Pin::new(&mut *io).poll_read(cx, &mut buf)) {
            Ok(()) if !buf.filled().is_empty() => {}
            Ok(()) | Err(_) => return Poll::Ready(Ok(())),
        }
    }
}
