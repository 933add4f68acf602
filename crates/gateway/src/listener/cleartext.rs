//! A cleartext socket that is shared between the gateway and the HTTP library.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{judging::Judged, linger::Lingering};

/// The plain socket under an upgraded connection, with what was read from it already; the connection itself
/// where there is none.
pub(crate) fn with_plain_socket(
    upgraded: hyper::upgrade::Upgraded,
) -> Result<(Arc<TcpStream>, Bytes), hyper::upgrade::Upgraded> {
    use hyper_util::server::conn::auto::upgrade::downcast;
    let upgraded = match upgraded.downcast::<TokioIo<Judged<Lingering<CleartextIo>>>>() {
        Ok(parts) => {
            let (io, held) = parts.io.into_inner().into_parts();
            let read = match held.is_empty() {
                true => parts.read_buf,
                false => [&parts.read_buf[..], &held].concat().into(),
            };
            return Ok((io.into_inner().into_stream(), read));
        }
        Err(upgraded) => upgraded,
    };
    downcast::<TokioIo<TcpStream>>(upgraded).map(|parts| {
        let stream = parts.io.into_inner();
        let _best_effort = stream.set_nodelay(true);
        (Arc::new(stream), parts.read_buf)
    })
}

/// A cleartext socket for the HTTP library, with the bytes that were read from it before.
///
/// It shares the socket instead of owning it, so that an upgraded connection gets it back.
pub(crate) struct CleartextIo {
    stream: Arc<TcpStream>,
    prefix: Bytes,
}

impl CleartextIo {
    pub(crate) fn new(stream: Arc<TcpStream>, prefix: Bytes) -> Self {
        Self { stream, prefix }
    }

    pub(crate) fn into_stream(self) -> Arc<TcpStream> {
        self.stream
    }
}

impl AsyncRead for CleartextIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let count = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix[..count]);
            self.prefix.advance(count);
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl CleartextIo {
    fn poll_try<T>(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncWrite for CleartextIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match socket2::SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }
}
