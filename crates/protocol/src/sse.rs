//! Server-sent events (PROTOCOL.md, section 7; WHATWG HTML, "Server-sent events").
//!
//! Invariants:
//! - Every block that carries an event carries its cursor as `id:`.
//! - Every block has data, and every block that is no event of the log has a name: `onmessage` sees events
//!   alone, and no client drops a block, or the cursor in it, for want of data.
//! - No block holds a raw line break inside a value: payloads are on one line (see `publish`).

pub use anywire_codes::sse::{CONTENT_TYPE, accepts, refusal_event};
use anywire_log::{Cursor, Epoch, Event, Gap};
use bytes::Bytes;

use crate::{
    json::{event_size_hint, write_cursor, write_event, write_gap},
    slots,
};

/// How soon a browser tries again after a broken connection, in milliseconds.
pub const RETRY_MS: u32 = 1000;

/// The block of an event, made once. The epoch is the log's: it is the same for all events of a process.
#[must_use]
pub fn event_block(event: &Event, epoch: Epoch) -> &Bytes {
    event.encoding(slots::SSE, |event| {
        let mut out = Vec::with_capacity(event_size_hint(event) + 32);
        write_id(&mut out, Cursor { epoch, offset: event.offset });
        out.extend_from_slice(b"data: ");
        write_event(&mut out, "", event);
        out.extend_from_slice(b"\n\n");
        out.into()
    })
}

/// The first block: it sets the last event id, so that a client that hears nothing more resumes too.
#[must_use]
pub fn first_block(cursor: Cursor) -> Bytes {
    let mut out = format!("retry: {RETRY_MS}\n").into_bytes();
    write_position(&mut out, "open", cursor);
    out.into()
}

/// A block after silence.
#[must_use]
pub fn heartbeat_block(cursor: Cursor) -> Bytes {
    let mut out = Vec::with_capacity(80);
    write_position(&mut out, "heartbeat", cursor);
    out.into()
}

/// The block of a gap. It has no `id:`: should the connection break before what follows, the reader is told
/// again.
#[must_use]
pub fn gap_block(gap: &Gap) -> Bytes {
    let mut out = b"event: gap\ndata: ".to_vec();
    write_gap(&mut out, "", gap);
    out.extend_from_slice(b"\n\n");
    out.into()
}

/// The last block before an orderly end.
#[must_use]
pub fn goodbye_block(retry_ms: u32) -> Bytes {
    format!("event: goodbye\nretry: {retry_ms}\ndata: {{\"retry_ms\":{retry_ms}}}\n\n").into()
}

/// A block that says nothing but where the stream stands.
fn write_position(out: &mut Vec<u8>, name: &str, cursor: Cursor) {
    write_id(out, cursor);
    out.extend_from_slice(format!("event: {name}\ndata: {{\"cursor\":\"").as_bytes());
    write_cursor(out, cursor);
    out.extend_from_slice(b"\"}\n\n");
}

fn write_id(out: &mut Vec<u8>, cursor: Cursor) {
    out.extend_from_slice(b"id: ");
    write_cursor(out, cursor);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use anywire_log::{Channel, EventName, Offset, Payload, Publication, Timestamp};

    #[test]
    fn blocks_look_as_written_down() {
        let cursor: Cursor = "1f0c93ab-5".parse().expect("a cursor");
        let text = |block: Bytes| String::from_utf8(block.to_vec()).expect("text");
        assert_eq!(
            text(first_block(cursor)),
            "retry: 1000\nid: 1f0c93ab-5\nevent: open\ndata: {\"cursor\":\"1f0c93ab-5\"}\n\n"
        );
        assert_eq!(
            text(heartbeat_block(cursor)),
            "id: 1f0c93ab-5\nevent: heartbeat\ndata: {\"cursor\":\"1f0c93ab-5\"}\n\n"
        );
        assert_eq!(goodbye_block(5).as_ref(), b"event: goodbye\nretry: 5\ndata: {\"retry_ms\":5}\n\n");
        let publication = Publication {
            channel: Channel::new("a").expect("a name"),
            name: EventName::new("x").expect("a name"),
            payload: Payload::Json(Bytes::from_static(b"{\"n\":1}")),
        };
        let event = Event::new(Offset::new(5), Timestamp::from_millis(1_769_162_403_000), publication);
        let expected = concat!(
            "id: 1f0c93ab-5\ndata: {\"channel\":\"a\",\"event\":\"x\",\"offset\":5,",
            "\"time\":\"2026-01-23T10:00:03.000Z\",\"data\":{\"n\":1}}\n\n"
        );
        assert_eq!(event_block(&event, cursor.epoch).as_ref(), expected.as_bytes());
    }
}
