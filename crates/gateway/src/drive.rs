//! The task of a connection that owns its socket: it reads what the client sends, and drains the reader while the fan-out
//! cannot.
//!
//! Knows: readiness of one cleartext socket. Does not know: what the client's bytes mean ([`Input`]).
//!
//! While a reader is live this task sleeps: events are written by the fan-out. An idle connection costs this future and no buffer;
//! bytes are read into one buffer a thread.

use std::{cell::RefCell, future::Future, io, sync::Arc, time::Duration};

use anywire_log::ReadRequest;
use tokio::net::TcpStream;

use crate::{
    Gateway,
    fanout::{Fetched, Mode, Outcome, Reader, SocketSink, UNSENT_BYTES_MAX},
    metrics::Transport,
};

/// How many bytes are read at once.
const SCRATCH_BYTES: usize = 64 << 10;
/// How long last words may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long to wait before the engine is asked again after an error.
const READ_RETRY: Duration = Duration::from_secs(1);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// Whether the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It does.
    Go,
    /// It ends, after what is queued has left.
    End,
}

/// What a client's bytes mean.
pub(crate) trait Input: Send {
    /// Takes bytes as they came.
    fn receive(&mut self, bytes: &mut [u8]) -> Flow;
    /// Acts on what was received.
    fn act(&mut self) -> impl Future<Output = Flow> + Send;
    /// Resolves when something is due by time; never for most.
    fn timer(&mut self) -> impl Future<Output = Flow> + Send {
        std::future::pending()
    }
}

/// Reads what is there into the thread's buffer and hands it on; `None` when there was nothing to read after all.
pub(crate) fn read_ready(stream: &TcpStream, take: impl FnOnce(&mut [u8]) -> Flow) -> Option<Flow> {
    SCRATCH.with_borrow_mut(|scratch| match stream.try_read(scratch) {
        Ok(0) => Some(Flow::End),
        Ok(count) => Some(take(&mut scratch[..count])),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(_) => Some(Flow::End),
    })
}

enum Step {
    Drain(Option<Fetched>),
    Wait,
    Full,
    More,
    Behind(ReadRequest),
}

/// Serves a connection until it ends. The caller takes the reader out of the fan-out afterwards.
pub(crate) async fn drive(
    gateway: &Gateway,
    reader: &Arc<Reader>,
    stream: &TcpStream,
    input: &mut impl Input,
) {
    let mut step = Step::Drain(None);
    loop {
        if reader.mode() == Mode::Ended {
            break;
        }
        step = match step {
            Step::Drain(fetched) => match drain(gateway, reader, stream, fetched) {
                Some(next) => next,
                None => return,
            },
            Step::Wait => {
                let flow = tokio::select! {
                    ready = stream.readable() => match ready {
                        Ok(()) => receive(stream, input).await,
                        Err(_) => return,
                    },
                    () = reader.woken() => Flow::Go,
                    flow = input.timer() => flow,
                };
                if flow == Flow::End {
                    break;
                }
                if reader.mode() == Mode::Driven { Step::Drain(None) } else { Step::Wait }
            }
            Step::Full => {
                let room = reader.unsent_bytes() < UNSENT_BYTES_MAX;
                tokio::select! {
                    ready = stream.writable() => match ready {
                        Ok(()) => Step::Drain(None),
                        Err(_) => return,
                    },
                    ready = stream.readable(), if room => match ready {
                        Ok(()) if receive(stream, input).await == Flow::Go => Step::Full,
                        _ => break,
                    },
                    () = reader.woken() => Step::Full,
                }
            }
            Step::More => {
                tokio::task::yield_now().await;
                match receive(stream, input).await {
                    Flow::Go => Step::Drain(None),
                    Flow::End => break,
                }
            }
            Step::Behind(request) => Step::Drain(fetch(gateway, request).await),
        };
    }
    say_last_words(reader, stream).await;
}

fn drain(gateway: &Gateway, reader: &Reader, stream: &TcpStream, fetched: Option<Fetched>) -> Option<Step> {
    if reader.info().transport == Transport::Sse && gateway.lab.buffers_sse() {
        return Some(Step::Wait);
    }
    match reader.drain(&gateway.delivery, &mut SocketSink(stream), fetched) {
        Outcome::Live | Outcome::Answered => Some(Step::Wait),
        Outcome::Full => Some(Step::Full),
        Outcome::More => Some(Step::More),
        Outcome::Behind(request) => Some(Step::Behind(request)),
        Outcome::Broken => None,
    }
}

/// Asks the engine for what the tail does not hold.
pub(crate) async fn fetch(gateway: &Gateway, request: ReadRequest) -> Option<Fetched> {
    match gateway.log.read_behind(request).await {
        Ok((batch, gap)) => Some(Fetched { batch, gap }),
        Err(error) => {
            tracing::warn!(%error, "reading for a reader that is behind failed; trying again");
            tokio::time::sleep(READ_RETRY).await;
            None
        }
    }
}

async fn receive(stream: &TcpStream, input: &mut impl Input) -> Flow {
    match read_ready(stream, |bytes| input.receive(bytes)) {
        None => Flow::Go,
        Some(flow) => match input.act().await {
            Flow::Go => flow,
            Flow::End => Flow::End,
        },
    }
}

/// Writes what is queued and ends the sending side, so that the peer reads it before the end.
pub(crate) async fn say_last_words(reader: &Reader, stream: &TcpStream) {
    let words: Vec<u8> = reader.take_unsent().into_iter().flatten().collect();
    let _too_late = tokio::time::timeout(LAST_WORDS, write_all(stream, &words)).await;
    let _gone = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
}

/// Writes all of it, waiting where the socket is full.
///
/// # Errors
/// When the connection is broken.
pub(crate) async fn write_all(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
