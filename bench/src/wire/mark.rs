//! Payloads that carry their number: `~0000000042~xxxx…`.
//!
//! The same mark is found in a WebSocket frame, an SSE block, a poll's answer and a Socket.IO packet, so
//! every server is read by the same few instructions and the load generator costs every server the same.

/// Digits of the number in a mark.
const DIGITS: usize = 10;
/// Bytes of a whole mark.
pub(crate) const MARK_BYTES: usize = DIGITS + 2;
const EDGE: u8 = b'~';

/// A payload of `bytes` bytes (at least [`MARK_BYTES`]) with the number in it; it needs no escapes in JSON.
pub(crate) fn payload(number: u64, bytes: usize) -> String {
    let mut text = format!("~{number:0DIGITS$}~");
    text.extend(std::iter::repeat_n('x', bytes.saturating_sub(MARK_BYTES)));
    text
}

/// Calls `found` for the number of each mark, and says how many bytes were dealt with: the rest begins a mark
/// whose end has not come yet.
pub(crate) fn scan(bytes: &[u8], mut found: impl FnMut(u64)) -> usize {
    let mut at = 0;
    while let Some(edge) = memchr::memchr(EDGE, &bytes[at..]) {
        let start = at + edge;
        let Some(mark) = bytes.get(start..start + MARK_BYTES) else { return start };
        match parse(mark) {
            Some(number) => {
                found(number);
                at = start + MARK_BYTES;
            }
            None => at = start + 1,
        }
    }
    bytes.len()
}

fn parse(mark: &[u8]) -> Option<u64> {
    if mark[MARK_BYTES - 1] != EDGE {
        return None;
    }
    mark[1..=DIGITS]
        .iter()
        .try_fold(0u64, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8]) -> (Vec<u64>, usize) {
        let mut all = Vec::new();
        let used = scan(bytes, |number| all.push(number));
        (all, used)
    }

    #[test]
    fn a_payload_has_the_size_asked_for_and_its_number() {
        let text = payload(42, 128);
        assert_eq!(text.len(), 128);
        assert!(text.starts_with("~0000000042~xxx"));
        assert_eq!(numbers(text.as_bytes()), (vec![42], 128));
    }

    #[test]
    fn every_split_finds_every_mark_once() {
        let bytes = format!("data: {}\n\n~not a mark~ {}\n", payload(7, 20), payload(8, 12)).into_bytes();
        for split in 0..=bytes.len() {
            let (mut all, used) = numbers(&bytes[..split]);
            all.extend(numbers(&bytes[used..]).0);
            assert_eq!(all, [7, 8], "split at {split}");
        }
    }
}
