//! The socket of a poll that waits: its client may give it up, or send its next request.

use std::io;

use bytes::BytesMut;
use tokio::net::TcpStream;

use super::socket::{Flow, read_ready};
use crate::delivery::Reader;

/// Sleeps while a poll waits: until its reader is woken (then true is returned), the client sends its next
/// request, or the connection ends.
pub(crate) async fn watch_socket(
    stream: &TcpStream,
    bytes: &mut BytesMut,
    reader: &Reader,
    waits: impl Fn() -> bool,
) -> io::Result<bool> {
    if !bytes.is_empty() {
        // The next request is already here: wake for the answer, and read no more until then.
        reader.wake_on_answer(true);
        let sleeps = waits();
        if sleeps {
            reader.woken().await;
        }
        return Ok(sleeps);
    }
    tokio::select! {
        ready = stream.readable() => ready?,
        () = reader.woken() => return Ok(true),
    }
    let take = |fresh: &mut [u8]| {
        bytes.extend_from_slice(fresh);
        Flow::Go
    };
    if waits() && read_ready(stream, take) == Some(Flow::End) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    Ok(false)
}
