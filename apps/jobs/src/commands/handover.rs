//! What a command reads, handed from whoever starts it to its supervisor: an open file over their socket
//! (unix(7), `SCM_RIGHTS`). The supervisor's own standard input is that socket.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

const SPACE: usize = rustix::cmsg_space!(ScmRights(1));

/// Hands a file over.
pub(super) fn give(socket: impl AsFd, file: BorrowedFd<'_>) -> io::Result<()> {
    let files = [file];
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut message = SendAncillaryBuffer::new(&mut space);
    message.push(SendAncillaryMessage::ScmRights(&files));
    // Without a byte of its own a message carries no file.
    sendmsg(socket, &[IoSlice::new(b"0")], &mut message, SendFlags::empty())?;
    Ok(())
}

/// Takes it.
pub(super) fn take(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut message, RecvFlags::CMSG_CLOEXEC)?;
    let file = message.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    file.ok_or_else(|| io::Error::other("the file that the command is to read did not come"))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn a_file_that_is_handed_over_is_the_same_file() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        give(&one, reader.as_fd()).expect("given");
        drop(reader);
        let taken = take(&other).expect("taken");
        writer.write_all(b"hello").expect("written");
        drop(writer);
        let mut text = String::new();
        std::fs::File::from(taken).read_to_string(&mut text).expect("read");
        assert_eq!(text, "hello");
        drop(one);
        assert!(take(&other).is_err(), "nothing more comes");
    }
}
