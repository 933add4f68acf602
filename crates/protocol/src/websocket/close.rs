//! What a close frame may say (RFC 6455, sections 5.5.1 and 7.4).
//!
//! ```text
//!  (nothing)                 no code
//!  | code: 2 bytes | reason: UTF-8, 0..123 bytes |
//! ```

use super::frame::Violation;

/// Whether a close frame may carry this code: the registered codes that are meant for the wire, and 3000 to
/// 4999.
///
/// 1004 is reserved; 1005, 1006 and 1015 are for a program's own use and never sent.
#[must_use]
pub const fn is_close_code_allowed(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Takes a close payload apart.
pub(super) fn decode(payload: &[u8]) -> Result<(Option<u16>, &str), Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok((None, "")),
            _ => Err(Violation::protocol("close payload is one byte")),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !is_close_code_allowed(code) {
        return Err(Violation::protocol("close code is not allowed"));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::not_utf8("close reason is not UTF-8"))?;
    Ok((Some(code), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_meant_for_the_wire_are_allowed() {
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|code| is_close_code_allowed(*code)).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(allowed, expected);
    }

    #[test]
    fn a_close_payload_is_empty_or_a_code_and_a_reason() {
        assert_eq!(decode(b""), Ok((None, "")));
        assert_eq!(decode(b"\x03\xe8"), Ok((Some(1000), "")));
        assert_eq!(decode(b"\x0f\xa0bye"), Ok((Some(4000), "bye")));
    }

    #[test]
    fn a_broken_close_payload_is_refused() {
        assert_eq!(decode(b"\x03"), Err(Violation::protocol("close payload is one byte")));
        assert_eq!(decode(b"\x03\xed"), Err(Violation::protocol("close code is not allowed")));
        assert_eq!(decode(b"\x03\xe8\xff"), Err(Violation::not_utf8("close reason is not UTF-8")));
    }
}
