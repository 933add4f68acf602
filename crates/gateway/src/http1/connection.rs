//! The task of a connection that owns its socket: it reads what the client sends, and drains the reader while
//! the fan-out cannot.
//!
//! While a reader is live this task sleeps: events are written by the fan-out. An idle connection costs this
//! future and no buffer; bytes are read into one buffer a thread.

use std::{future::Future, sync::Arc, time::Duration};

use anywire_log::ReadRequest;
use tokio::net::TcpStream;

use crate::{
    Gateway,
    delivery::{Fetched, Mode, Outcome, Reader, SocketSink, UNSENT_BYTES_MAX},
    http1::socket::{Flow, read_ready, write_all},
};

/// How long last words may take to leave.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long the peer may take to end its side afterwards.
pub(crate) const LINGER: Duration = Duration::from_secs(1);
/// How long to wait before the engine is asked again after an error.
const READ_RETRY: Duration = Duration::from_secs(1);

/// What a client's bytes mean.
pub(crate) trait Input: Send {
    /// Takes bytes as they came.
    fn receive(&mut self, bytes: &mut [u8]) -> Flow;
    /// Acts on what was received, as long as its answers find room.
    fn act(&mut self) -> impl Future<Output = Flow> + Send;
    /// Whether something was received that could not be acted on yet.
    fn waits(&self) -> bool {
        false
    }
    /// Resolves when something is due by time; never for most.
    fn timer(&mut self) -> impl Future<Output = Flow> + Send {
        std::future::pending()
    }
}

enum Step {
    Drain(Option<Box<Fetched>>),
    Wait,
    Full,
    More,
    Behind,
}

/// Why serving ends.
enum End {
    /// Somebody wants it: what is queued leaves first.
    Wanted,
    Broken,
}

/// Serves a connection until it ends. The caller takes the reader out of the fan-out afterwards.
pub(crate) async fn drive(
    gateway: &Gateway,
    reader: &Arc<Reader>,
    stream: &TcpStream,
    input: &mut impl Input,
) {
    let mut step = Step::Drain(None);
    while reader.mode() != Mode::Ended {
        step = match take_step(gateway, reader, stream, input, step).await {
            Ok(next) => next,
            Err(End::Wanted) => break,
            Err(End::Broken) => return,
        };
    }
    Box::pin(say_last_words(reader, stream)).await;
}

async fn take_step(
    gateway: &Gateway,
    reader: &Reader,
    stream: &TcpStream,
    input: &mut impl Input,
    step: Step,
) -> Result<Step, End> {
    let has_room = || reader.unsent_bytes() < UNSENT_BYTES_MAX;
    match step {
        Step::Drain(fetched) => after_drain(drain(gateway, reader, stream, fetched)),
        Step::Wait | Step::Full if input.waits() && has_room() => go_on(input.act().await, Step::Drain(None)),
        Step::Wait => {
            let flow = tokio::select! {
                ready = stream.readable() => match ready {
                    Ok(()) => receive(stream, input).await,
                    Err(_) => return Err(End::Broken),
                },
                () = reader.woken() => Flow::Go,
                flow = input.timer() => flow,
            };
            go_on(flow, if reader.mode() == Mode::Driven { Step::Drain(None) } else { Step::Wait })
        }
        Step::Full => {
            tokio::select! {
                ready = stream.writable() => ready.map(|()| Step::Drain(None)).map_err(|_| End::Broken),
                ready = stream.readable(), if has_room() => match ready {
                    Ok(()) => go_on(receive(stream, input).await, Step::Full),
                    Err(_) => Err(End::Wanted),
                },
                () = reader.woken() => Ok(Step::Full),
                flow = input.timer() => go_on(flow, Step::Full),
            }
        }
        Step::More => {
            tokio::task::yield_now().await;
            go_on(glance(stream, input).await, Step::Drain(None))
        }
        Step::Behind => {
            // First what the client says, since that may change what comes next. Nothing is heard between the
            // reading and the delivery.
            go_on(glance(stream, input).await, Step::Behind)?;
            // In a box of its own, like all that is rare: an idle connection is as large as the largest step.
            Box::pin(catch_up(gateway, reader, stream)).await
        }
    }
}

async fn catch_up(gateway: &Gateway, reader: &Reader, stream: &TcpStream) -> Result<Step, End> {
    match drain(gateway, reader, stream, None) {
        Outcome::Behind(request) => Ok(Step::Drain(fetch(gateway, request).await.map(Box::new))),
        other => after_drain(other),
    }
}

fn go_on(flow: Flow, next: Step) -> Result<Step, End> {
    match flow {
        Flow::Go => Ok(next),
        Flow::End => Err(End::Wanted),
    }
}

fn after_drain(outcome: Outcome) -> Result<Step, End> {
    match outcome {
        Outcome::Live | Outcome::Answered => Ok(Step::Wait),
        Outcome::Full => Ok(Step::Full),
        Outcome::More => Ok(Step::More),
        Outcome::Behind(_) => Ok(Step::Behind),
        Outcome::Broken => Err(End::Broken),
    }
}

fn drain(gateway: &Gateway, reader: &Reader, stream: &TcpStream, fetched: Option<Box<Fetched>>) -> Outcome {
    if reader.transport().is_held_back(&gateway.lab) {
        return Outcome::Live;
    }
    reader.drain(&gateway.delivery, &mut SocketSink(stream), fetched.map(|fetched| *fetched))
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

/// Takes what came and what is due meanwhile, without waiting: for a client that is behind and never has to
/// be waited for.
async fn glance(stream: &TcpStream, input: &mut impl Input) -> Flow {
    let due = tokio::select! {
        biased;
        flow = input.timer() => flow,
        () = std::future::ready(()) => Flow::Go,
    };
    match due {
        Flow::Go => receive(stream, input).await,
        Flow::End => Flow::End,
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

/// Writes what is queued, and lingers.
pub(crate) async fn say_last_words(reader: &Reader, stream: &TcpStream) {
    let words: Vec<u8> = reader.take_unsent().into_iter().flatten().collect();
    let _too_late = tokio::time::timeout(LAST_WORDS, write_all(stream, &words)).await;
    linger(stream).await;
}

/// Ends the sending side and waits a little for the peer's end: a socket that is closed while bytes of the
/// peer are in it resets the connection, and the peer may never read the last words.
pub(crate) async fn linger(stream: &TcpStream) {
    let _gone = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
    let _impatient = tokio::time::timeout(LINGER, discard(stream)).await;
}

/// Reads until the peer's end.
async fn discard(stream: &TcpStream) {
    while stream.readable().await.is_ok() {
        if read_ready(stream, |_| Flow::Go) == Some(Flow::End) {
            return;
        }
    }
}
