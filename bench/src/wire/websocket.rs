//! WebSocket from the client's side (RFC 6455): frames of a server are read, masked frames are written.
//!
//! ```text
//! byte 0        byte 1          then
//! F...oooo      Mlllllll        2 more bytes of length if l = 126, 8 if l = 127; 4 of mask if M; the payload
//! ```

/// The key every client of the benchmark sends: the example of RFC 6455, whose answer is known.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to [`KEY`].
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) const TEXT: u8 = 0x1;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

/// A frame at the front of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    pub(crate) last: bool,
    pub(crate) payload: &'a [u8],
    /// Bytes of the whole frame.
    pub(crate) length: usize,
}

/// Header fields that ask for a WebSocket.
pub(crate) fn upgrade_fields(subprotocol: Option<&str>) -> String {
    let offer = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{offer}"
    )
}

impl<'a> Frame<'a> {
    /// Reads one frame of a server. `None`: not all of it has come.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[first, second], _) = bytes.split_first_chunk::<2>()?;
        let (head, payload) = match second & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..4)?.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*bytes.get(2..10)?.first_chunk()?) as usize),
            short => (2, usize::from(short)),
        };
        let length = head + payload;
        let payload = bytes.get(head..length)?;
        Some(Self { opcode: first & 0x0f, last: first & 0x80 != 0, payload, length })
    }
}

/// A masked frame, as clients have to send it. The mask is zero: this is a benchmark, and it costs the server
/// the same.
pub(crate) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    frame_length(payload.len(), 0x80, &mut frame);
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// An unmasked text frame, as servers send it.
pub(crate) fn server_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | TEXT];
    frame_length(payload.len(), 0, &mut frame);
    frame.extend(payload);
    frame
}

fn frame_length(length: usize, mask: u8, frame: &mut Vec<u8>) {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => frame.push(mask | short),
        (_, Ok(medium)) => {
            frame.push(mask | 126);
            frame.extend(medium.to_be_bytes());
        }
        _ => {
            frame.push(mask | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_form_are_read_back() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let frame = server_frame(&payload);
            for split in [0, 1, 2, 3, frame.len() - 1] {
                assert_eq!(Frame::parse(&frame[..split.min(frame.len() - 1)]), None);
            }
            let expected = Frame { opcode: TEXT, last: true, payload: &payload, length: frame.len() };
            assert_eq!(Frame::parse(&frame), Some(expected));
        }
    }

    #[test]
    fn a_client_frame_is_masked() {
        assert_eq!(client_frame(PONG, b"hi"), [0x8a, 0x82, 0, 0, 0, 0, b'h', b'i']);
    }
}
