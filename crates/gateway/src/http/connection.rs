//! Serving a connection that another library writes: over TLS, or a socket of somebody else's server.
//!
//! The counterpart of `http1::connection`: the fan-out cannot write to such a connection, so it wakes this
//! task, which drains into a buffer and writes that.

use anywire_log::ReadRequest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    Gateway,
    delivery::{BufferSink, Mode, Outcome, Reader},
    http1::connection::{Input, LAST_WORDS, fetch},
    http1::socket::Flow,
};

/// How many bytes are read at once.
const BUFFER_BYTES: usize = 16 << 10;

/// What to do after a drain whose bytes were written.
enum Next {
    /// Ask the engine, then drain at once: what is fetched belongs to what was wanted when it was asked for.
    Fetch(ReadRequest),
    /// Hear what came meanwhile, without waiting for more.
    Glance,
    /// Wait until something happens.
    Wait,
}

/// Serves a connection until it ends. The caller takes the reader out of the fan-out afterwards.
pub(crate) async fn drive_woken<S>(gateway: &Gateway, reader: &Reader, mut stream: S, input: &mut impl Input)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut sink = BufferSink::new(gateway.config.limits.drain_bytes_max);
    let mut fetched = None;
    let mut listened = false;
    loop {
        let ended = reader.mode() == Mode::Ended;
        let outcome = reader.drain(&gateway.delivery, &mut sink, fetched.take());
        let mut bytes = sink.take();
        if ended {
            bytes = reader.take_unsent().into_iter().flatten().collect();
        }
        if !write(reader, &mut stream, &bytes, input, ended).await || ended {
            break;
        }
        let next = after_drain(outcome, &mut listened, input.waits());
        if let Next::Fetch(request) = next {
            fetched = fetch(gateway, request).await;
            continue;
        }
        let flow = tokio::select! {
            biased;
            flow = input.timer() => flow,
            count = stream.read(&mut buffer) => match count {
                Ok(0) | Err(_) => break,
                Ok(count) => input.receive(&mut buffer[..count]),
            },
            () = reader.woken() => Flow::Go,
            () = std::future::ready(()), if matches!(next, Next::Glance) => Flow::Go,
        };
        if flow == Flow::End || input.act().await == Flow::End {
            reader.abort_after_words();
        }
    }
    let _gone = stream.shutdown().await;
}

/// A reader that is behind listens once before each time it asks the engine, since what the client says may
/// change what comes next.
fn after_drain(outcome: Outcome, listened: &mut bool, waits: bool) -> Next {
    match outcome {
        Outcome::Behind(request) if std::mem::take(listened) => Next::Fetch(request),
        Outcome::Behind(_) => {
            *listened = true;
            Next::Glance
        }
        Outcome::Full | Outcome::More => Next::Glance,
        _ if waits => Next::Glance,
        _ => Next::Wait,
    }
}

/// Writes bytes, as long as the token of a peer that does not take them lasts, and last words only so long;
/// whether they were written.
async fn write<S>(reader: &Reader, stream: &mut S, bytes: &[u8], input: &mut impl Input, last: bool) -> bool
where
    S: AsyncWrite + Unpin,
{
    let writing = async {
        let writing = async { stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok() };
        tokio::pin!(writing);
        loop {
            tokio::select! {
                biased;
                written = &mut writing => return written,
                flow = input.timer() => if flow == Flow::End { return false },
            }
        }
    };
    reader.set_writing(true);
    let written = match last {
        true => tokio::time::timeout(LAST_WORDS, writing).await.unwrap_or(false),
        false => writing.await,
    };
    reader.set_writing(false);
    written
}
