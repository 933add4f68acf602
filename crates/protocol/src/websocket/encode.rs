//! Frames from the server to a client (RFC 6455, section 5.2): final, unmasked, in one piece.
//!
//! ```text
//!  len 0..125         | 8x | len |                 payload
//!  len 126..65535     | 8x | 7e | len: 2 bytes |   payload
//!  longer             | 8x | 7f | len: 8 bytes |   payload
//! ```
//!
//! Since nothing is masked, one encoded frame serves every connection.

use bytes::Bytes;

use super::frame::{CONTROL_BYTES_MAX, Opcode};

/// An encoded frame header: 2, 4 or 10 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderBytes {
    bytes: [u8; 10],
    len: u8,
}

impl HeaderBytes {
    /// The bytes to put before the payload.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Encodes the header of an unfragmented frame.
#[must_use]
pub fn frame_header(opcode: Opcode, payload_len: usize) -> HeaderBytes {
    let mut bytes = [0; 10];
    bytes[0] = 0x80 | opcode.bits();
    let len = if let Ok(short) = u8::try_from(payload_len)
        && usize::from(short) <= CONTROL_BYTES_MAX
    {
        bytes[1] = short;
        2
    } else if let Ok(two) = u16::try_from(payload_len) {
        bytes[1] = 126;
        bytes[2..4].copy_from_slice(&two.to_be_bytes());
        4
    } else {
        bytes[1] = 127;
        bytes[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
        10
    };
    HeaderBytes { bytes, len }
}

/// Encodes a text message; `payload` is UTF-8.
#[must_use]
pub fn text_frame(payload: &[u8]) -> Bytes {
    whole(Opcode::Text, payload)
}

/// Encodes a ping.
///
/// # Panics
/// When `payload` is longer than 125 bytes.
#[must_use]
pub fn ping_frame(payload: &[u8]) -> Bytes {
    assert!(payload.len() <= CONTROL_BYTES_MAX, "a ping carries at most 125 bytes");
    whole(Opcode::Ping, payload)
}

/// Encodes the answer to a ping with this payload.
///
/// # Panics
/// When `payload` is longer than 125 bytes, which no received ping is.
#[must_use]
pub fn pong_frame(payload: &[u8]) -> Bytes {
    assert!(payload.len() <= CONTROL_BYTES_MAX, "a pong carries at most 125 bytes");
    whole(Opcode::Pong, payload)
}

/// Encodes a close; a reason longer than 123 bytes is cut at a character's end.
#[must_use]
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    whole(Opcode::Close, &payload)
}

/// Encodes the answer to a client's close: its code comes back, or nothing if it sent none (RFC 6455, section
/// 5.5.1).
#[must_use]
pub fn close_reply_frame(code: Option<u16>) -> Bytes {
    match code {
        Some(code) => close_frame(code, ""),
        None => whole(Opcode::Close, b""),
    }
}

fn whole(opcode: Opcode, payload: &[u8]) -> Bytes {
    let header = frame_header(opcode, payload.len());
    let mut frame = Vec::with_capacity(header.as_slice().len() + payload.len());
    frame.extend_from_slice(header.as_slice());
    frame.extend_from_slice(payload);
    Bytes::from(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_frames_of_rfc_6455_section_5_7_are_byte_for_byte() {
        assert_eq!(text_frame(b"Hello"), b"\x81\x05Hello"[..]);
        assert_eq!(ping_frame(b"Hello"), b"\x89\x05Hello"[..]);
        assert_eq!(pong_frame(b"Hello"), b"\x8a\x05Hello"[..]);
        assert_eq!(frame_header(Opcode::Binary, 256).as_slice(), b"\x82\x7e\x01\x00");
        assert_eq!(frame_header(Opcode::Binary, 65_536).as_slice(), b"\x82\x7f\0\0\0\0\0\x01\0\0");
    }

    #[test]
    fn the_shortest_length_form_is_chosen() {
        for (payload_len, header) in [
            (0, &b"\x81\x00"[..]),
            (125, b"\x81\x7d"),
            (126, b"\x81\x7e\0\x7e"),
            (65_535, b"\x81\x7e\xff\xff"),
            (65_536, b"\x81\x7f\0\0\0\0\0\x01\0\0"),
        ] {
            assert_eq!(frame_header(Opcode::Text, payload_len).as_slice(), header, "{payload_len}");
        }
    }

    #[test]
    fn a_close_carries_its_code_and_reason() {
        assert_eq!(close_frame(1012, "restart"), b"\x88\x09\x03\xf4restart"[..]);
        assert_eq!(close_reply_frame(Some(4001)), b"\x88\x02\x0f\xa1"[..]);
        assert_eq!(close_reply_frame(None), b"\x88\x00"[..]);
    }

    #[test]
    fn a_long_close_reason_is_cut_between_characters() {
        let frame = close_frame(1002, &"é".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert_eq!(frame[1], 124);
        assert_eq!(std::str::from_utf8(&frame[4..]), Ok("é".repeat(61).as_str()));
    }
}
