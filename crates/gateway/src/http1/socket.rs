//! Reading from and writing to a socket that is shared with the fan-out.

use std::{cell::RefCell, io};

use tokio::net::TcpStream;

/// How many bytes are read at once.
const SCRATCH_BYTES: usize = 64 << 10;

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

/// Reads what is there into the thread's buffer and hands it on; `None` when there was nothing to read after
/// all.
pub(crate) fn read_ready(stream: &TcpStream, take: impl FnOnce(&mut [u8]) -> Flow) -> Option<Flow> {
    SCRATCH.with_borrow_mut(|scratch| match stream.try_read(scratch) {
        Ok(0) => Some(Flow::End),
        Ok(count) => Some(take(&mut scratch[..count])),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(_) => Some(Flow::End),
    })
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
