//! JSON as the native transports write it: events, gaps, times (PROTOCOL.md, sections 3 and 4).
//!
//! Payloads are never parsed again: the text that was published is copied as it stands.

use anywire_log::{Cursor, Event, Gap, Payload, Timestamp};
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Writes `{"channel":…}` of an event; `prefix` goes in front of the first member (such as `"op":"event",`).
pub fn write_event(out: &mut Vec<u8>, prefix: &str, event: &Event) {
    out.push(b'{');
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(b"\"channel\":");
    write_string(out, event.channel.as_str());
    out.extend_from_slice(b",\"event\":");
    write_string(out, event.name.as_str());
    out.extend_from_slice(b",\"offset\":");
    write_number(out, event.offset.get());
    out.extend_from_slice(b",\"time\":\"");
    write_time(out, event.time);
    match &event.payload {
        Payload::Json(text) => {
            out.extend_from_slice(b"\",\"data\":");
            out.extend_from_slice(text);
        }
        Payload::Binary(bytes) => {
            out.extend_from_slice(b"\",\"encoding\":\"base64\",\"data\":\"");
            out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
    }
    out.push(b'}');
}

/// Room an event's JSON takes, roughly, so that one allocation is enough.
pub(crate) fn event_size_hint(event: &Event) -> usize {
    event.channel.as_str().len() + event.name.as_str().len() + event.payload.as_bytes().len() * 4 / 3 + 160
}

/// Writes `{"from":…}` of a gap; `prefix` goes in front of the first member.
pub fn write_gap(out: &mut Vec<u8>, prefix: &str, gap: &Gap) {
    out.push(b'{');
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(
        format!("\"from\":\"{}\",\"to\":\"{}\",\"channels\":[", gap.from, gap.to).as_bytes(),
    );
    for (index, (channel, _)) in gap.lost.iter().enumerate() {
        separate(out, index);
        write_string(out, channel.as_str());
    }
    out.extend_from_slice(format!("],\"reason\":\"{}\",\"lost\":{{", gap.reason.as_str()).as_bytes());
    for (index, (channel, through)) in gap.lost.iter().enumerate() {
        separate(out, index);
        write_string(out, channel.as_str());
        out.push(b':');
        write_number(out, through.get());
    }
    out.extend_from_slice(b"}}");
}

/// A comma before every element but the first.
pub(crate) fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// Writes a JSON string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(&mut *out, text).expect("writing to memory cannot fail");
}

/// Writes a number in decimal.
pub fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a cursor.
pub fn write_cursor(out: &mut Vec<u8>, cursor: Cursor) {
    out.extend_from_slice(cursor.epoch.to_string().as_bytes());
    out.push(b'-');
    write_number(out, cursor.offset.get());
}

/// Writes ISO-8601 UTC with milliseconds.
pub fn write_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(iso_time(time).as_bytes());
}

/// ISO-8601 UTC with milliseconds, such as `2026-01-23T10:00:03.000Z`.
#[must_use]
pub fn iso_time(time: Timestamp) -> String {
    let instant = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_of_milliseconds_and_a_z() {
        let check = |millis, text: &str| assert_eq!(iso_time(Timestamp::from_millis(millis)), text);
        check(0, "1970-01-01T00:00:00.000Z");
        check(1_769_162_403_007, "2026-01-23T10:00:03.007Z");
        check(1_709_210_096_120, "2024-02-29T12:34:56.120Z");
    }

    #[test]
    fn numbers_are_plain_decimals() {
        for number in [0, 7, 10, 9_007_199_254_740_991, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), number.to_string());
        }
    }
}
