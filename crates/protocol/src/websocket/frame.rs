//! The frame header (RFC 6455, section 5.2), its checks, and the mask.
//!
//! ```text
//!   0               1               2               3
//!   7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0
//!  +-+-+-+-+-------+-+-------------+-------------------------------+
//!  |F|R|R|R| op    |M| length      | length: 2 bytes after 126,    |
//!  |I|S|S|S| code  |A| 0..125,     | 8 bytes after 127,            |
//!  |N|V|V|V|       |S| 126, 127    | big-endian, shortest form     |
//!  +-+-+-+-+-------+-+-------------+-------------------------------+
//!  | masking key: 4 bytes, always from a client, never to it       |
//!  +---------------------------------------------------------------+
//!  | payload                                                       |
//! ```

use std::fmt;

/// The longest payload of a control frame, in bytes.
pub(super) const CONTROL_BYTES_MAX: usize = 125;
/// The longest header of a client's frame, in bytes.
pub(super) const HEADER_BYTES_MAX: usize = 14;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// Goes on with a fragmented message.
    Continuation,
    /// A text message, or its first fragment.
    Text,
    /// A binary message, or its first fragment.
    Binary,
    /// The last frame of one side.
    Close,
    /// Asks for a pong with the same payload.
    Ping,
    /// Answers a ping, or is a sign of life.
    Pong,
}

impl Opcode {
    /// The four bits on the wire.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    /// Control frames are short, whole, and may come between the fragments of a message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }
}

/// What the peer did wrong: the close code to answer with, and words for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// 1002 (framing), 1007 (text that is not UTF-8) or 1009 (over the limit).
    pub close_code: u16,
    /// What is wrong, fit for a close reason: short, without the peer's data.
    pub reason: &'static str,
}

impl Violation {
    pub(super) const fn protocol(reason: &'static str) -> Self {
        Self { close_code: 1002, reason }
    }

    pub(super) const fn not_utf8(reason: &'static str) -> Self {
        Self { close_code: 1007, reason }
    }

    pub(super) const fn too_large(reason: &'static str) -> Self {
        Self { close_code: 1009, reason }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.close_code)
    }
}

impl std::error::Error for Violation {}

/// One frame's header as a client sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    pub(super) payload_len: u64,
}

impl FrameHeader {
    /// Reads a header and its length from the front of `bytes`; `None` when more bytes are needed.
    ///
    /// The checks follow the order of the bytes, so a split never changes which one fails.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, opcode) = decode_first(first)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & 0x80 == 0 {
            return Err(Violation::protocol("frame is not masked"));
        }
        let short_len = second & 0x7f;
        if opcode.is_control() && usize::from(short_len) > CONTROL_BYTES_MAX {
            return Err(Violation::protocol("control frame is longer than 125 bytes"));
        }
        let Some((payload_len, at)) = decode_len(short_len, bytes)? else { return Ok(None) };
        let Some(mask) = array_at::<4>(bytes, at) else { return Ok(None) };
        Ok(Some((Self { fin, opcode, mask, payload_len }, at + 4)))
    }
}

fn decode_first(first: u8) -> Result<(bool, Opcode), Violation> {
    if first & 0x70 != 0 {
        return Err(Violation::protocol("reserved bit is set"));
    }
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(Violation::protocol("opcode is reserved"))?;
    let fin = first & 0x80 != 0;
    if opcode.is_control() && !fin {
        return Err(Violation::protocol("control frame is fragmented"));
    }
    Ok((fin, opcode))
}

/// The payload's length, and where the masking key starts.
fn decode_len(short_len: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let (len, at, shortest) = match short_len {
        126 => match array_at(bytes, 2) {
            Some(two) => (u64::from(u16::from_be_bytes(two)), 4, 126),
            None => return Ok(None),
        },
        127 => match array_at(bytes, 2) {
            Some(eight) => (u64::from_be_bytes(eight), 10, 1 << 16),
            None => return Ok(None),
        },
        short => (u64::from(short), 2, 0),
    };
    if len < shortest {
        return Err(Violation::protocol("length is not in its shortest form"));
    }
    if len >> 63 != 0 {
        return Err(Violation::protocol("length has its highest bit set"));
    }
    Ok(Some((len, at)))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Removes (or lays on) the mask in place, and turns it so that the next bytes of the frame go on where these
/// ended.
pub(super) fn unmask(payload: &mut [u8], mask: &mut [u8; 4]) {
    let word = u64::from(u32::from_ne_bytes(*mask));
    let wide = (word << 32) | word;
    let mut words = payload.chunks_exact_mut(8);
    for chunk in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ wide).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    mask.rotate_left(payload.len() % 4);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<Option<(FrameHeader, usize)>, &str>) {
        assert_eq!(
            FrameHeader::decode(bytes).map_err(|violation| violation.reason),
            expected,
            "{bytes:02x?}"
        );
    }

    fn text(payload_len: u64) -> FrameHeader {
        FrameHeader { fin: true, opcode: Opcode::Text, mask: [1, 2, 3, 4], payload_len }
    }

    #[test]
    fn every_length_form_is_read() {
        check(&[0x81, 0x80 | 5, 1, 2, 3, 4], Ok(Some((text(5), 6))));
        check(&[0x81, 0x80 | 125, 1, 2, 3, 4], Ok(Some((text(125), 6))));
        check(&[0x81, 0xfe, 0, 126, 1, 2, 3, 4], Ok(Some((text(126), 8))));
        check(&[0x81, 0xfe, 0xff, 0xff, 1, 2, 3, 4], Ok(Some((text(65_535), 8))));
        check(&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], Ok(Some((text(65_536), 14))));
    }

    #[test]
    fn a_length_longer_than_it_needs_to_be_is_refused() {
        check(&[0x81, 0xfe, 0, 125], Err("length is not in its shortest form"));
        check(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Err("length is not in its shortest form"));
    }

    #[test]
    fn a_length_of_two_to_the_63_is_refused() {
        check(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], Err("length has its highest bit set"));
    }

    #[test]
    fn an_unfinished_header_asks_for_more() {
        let whole = [0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4];
        for cut in 0..whole.len() {
            check(&whole[..cut], Ok(None));
        }
    }

    #[test]
    fn a_bad_first_byte_is_refused_at_once() {
        for first in [0x91, 0xa1, 0xc1] {
            check(&[first], Err("reserved bit is set"));
        }
        for first in [0x83, 0x87, 0x8b, 0x8f] {
            check(&[first], Err("opcode is reserved"));
        }
        for first in [0x08, 0x09, 0x0a] {
            check(&[first], Err("control frame is fragmented"));
        }
    }

    #[test]
    fn a_bad_second_byte_is_refused_at_once() {
        check(&[0x81, 0x05], Err("frame is not masked"));
        check(&[0x89, 0xfe], Err("control frame is longer than 125 bytes"));
        check(&[0x88, 0xff], Err("control frame is longer than 125 bytes"));
    }

    #[test]
    fn unmasking_in_pieces_equals_unmasking_at_once() {
        let plain: Vec<u8> = (0..61).collect();
        let mask = [0xde, 0xad, 0xbe, 0xef];
        let masked: Vec<u8> = plain.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        for cut in 0..=plain.len() {
            let mut bytes = masked.clone();
            let mut turning = mask;
            let (left, right) = bytes.split_at_mut(cut);
            unmask(left, &mut turning);
            unmask(right, &mut turning);
            assert_eq!(bytes, plain, "cut at {cut}");
        }
    }
}
