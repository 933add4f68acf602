//! What must hold for any bytes at all: the bodies of the fuzz targets in `/fuzz`.
//!
//! Each function takes bytes from anywhere and panics if a promise is broken. `cargo fuzz` searches for such
//! bytes; the tests below feed the seeds of `/fuzz/seeds` and some thousands of mutations of them, so that
//! every CI run exercises the same promises.

use anywire_codes::{conditional::none_match, query::Members};
use anywire_log::{Batch, Channel, Cursor, Epoch, Event, EventName, Offset, Payload, Position, Timestamp};
use serde_json::value::RawValue;

use crate::{
    head,
    native::{FrameLimits, event_frame, parse_frame},
    publish::{PublishLimits, parse_publish},
    request::StreamQuery,
    sse::event_block,
    websocket::{self, Limits, Opcode, Received, Receiver, Violation},
};

#[cfg(test)]
#[path = "../../../fuzz/smoke.rs"]
mod smoke;
mod socketio;
#[cfg(test)]
mod tests;

pub use socketio::{engineio, socketio};

/// Small, so that limits are met often.
const WEBSOCKET_LIMITS: Limits = Limits { message_bytes_max: 1000 };
const PUBLISH_LIMITS: PublishLimits = PublishLimits { message_bytes_max: 1000, batch_events_max: 10 };
const CHANNELS_MAX: usize = 10;
const FRAME_LIMITS: FrameLimits = FrameLimits { publish: PUBLISH_LIMITS, channels_max: CHANNELS_MAX };

/// A WebSocket receiver gives the same items and the same end however its input is cut. The first two bytes
/// choose the cuts.
pub fn websocket(data: &[u8]) {
    let Some((seed, bytes)) = data.split_first_chunk() else { return };
    let whole = items(std::iter::once(bytes));
    let mut cuts = Cuts(u16::from_le_bytes(*seed));
    assert_eq!(items(cuts.of(bytes)), whole, "the cuts show");
    assert_eq!(items(bytes.chunks(1)), whole, "the cuts show, byte by byte");
    round_trip(bytes);
}

/// What came out of a receiver, as text: items can't outlive their input.
fn items<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Result<(), Violation>) {
    let mut receiver = Receiver::new();
    let mut items = Vec::new();
    let mut outcome = Ok(());
    for piece in pieces {
        let mut take = |item: Received<'_>| items.push(format!("{item:?}"));
        outcome = outcome.and(receiver.receive(&mut piece.to_vec(), &WEBSOCKET_LIMITS, &mut take));
    }
    (items, outcome)
}

/// A message survives being framed as a client frames it.
fn round_trip(message: &[u8]) {
    let message = &message[..message.len().min(WEBSOCKET_LIMITS.message_bytes_max)];
    let mut frame = websocket::frame_header(Opcode::Binary, message.len()).as_slice().to_vec();
    frame[1] |= 0x80;
    let mask = [0x12, 0x34, 0x56, 0x78];
    frame.extend(mask);
    frame.extend(message.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    let mut received = None;
    let mut take = |item: Received<'_>| received = Some(item == Received::Binary(message));
    let outcome = Receiver::new().receive(&mut frame, &WEBSOCKET_LIMITS, &mut take);
    assert_eq!((outcome, received), (Ok(()), Some(true)));
}

/// Pieces of 1 to 16 bytes, from a seed.
struct Cuts(u16);

impl Cuts {
    fn of<'a>(&mut self, mut bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            if bytes.is_empty() {
                return None;
            }
            self.0 = self.0.wrapping_mul(25_173).wrapping_add(13_849);
            let (piece, rest) = bytes.split_at(bytes.len().min(1 + usize::from(self.0 >> 12)));
            bytes = rest;
            Some(piece)
        })
    }
}

/// A client's frame is understood or refused, and what it publishes can be delivered on every transport.
pub fn client_frame(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(frame) = parse_frame(text, &FRAME_LIMITS)
        && let crate::native::Command::Publish(batch) = frame.command
    {
        check_batch(batch);
    }
}

/// A publication is understood or refused, and what it publishes can be delivered on every transport.
pub fn publish(data: &[u8]) {
    if let Ok(batch) = parse_publish(data, None, &PUBLISH_LIMITS) {
        check_batch(batch);
    }
}

fn check_batch(batch: Batch) {
    assert!((1..=PUBLISH_LIMITS.batch_events_max).contains(&batch.publications.len()));
    for publication in batch.publications {
        let event = Event::new(Offset::new(42), Timestamp::from_millis(0), publication);
        assert!(event.payload.as_bytes().len() <= PUBLISH_LIMITS.message_bytes_max);
        check_channel(event.channel.as_str());
        check_frame(&event);
        check_block(&event);
    }
}

fn check_frame(event: &Event) {
    let frame = event_frame(event);
    let len = match frame[1] {
        126 => 4,
        short => {
            assert_eq!(usize::from(short), frame.len() - 2);
            2
        }
    };
    let text = std::str::from_utf8(&frame[len..]).expect("a text frame holds UTF-8");
    let seen: SeenEvent<'_> = serde_json::from_str(text).expect("a frame holds JSON");
    assert_eq!((seen.channel.as_str(), seen.event.as_str()), (event.channel.as_str(), event.name.as_str()));
    assert_eq!((seen.op, seen.offset), ("event", 42));
    if let Payload::Json(published) = &event.payload {
        assert_eq!(seen.data.get().as_bytes(), published);
    }
}

/// What a reader sees. `data` stays a text: numbers beyond a double and lone surrogates are JSON too (RFC
/// 8259), though not every reader takes them.
#[derive(serde::Deserialize)]
struct SeenEvent<'a> {
    op: &'a str,
    channel: String,
    event: String,
    offset: u64,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A block is an `id:` line, a `data:` line and an empty one; a payload can't add another.
fn check_block(event: &Event) {
    let block = event_block(event, Epoch::new(0x1f0c_93ab));
    let text = std::str::from_utf8(block).expect("a block is UTF-8");
    let lines: Vec<&str> = text.split(['\n', '\r']).collect();
    assert_eq!(lines.len(), 4, "{text:?}");
    assert_eq!(lines[0], "id: 1f0c93ab-42");
    assert!(lines[1].starts_with("data: {") && lines[2].is_empty() && lines[3].is_empty(), "{text:?}");
}

/// A request's head is the same however much of the next request is there, and its query is understood or
/// refused.
pub fn request_head(data: &[u8]) {
    let head::Head::Complete(request) = head::parse(data) else { return };
    assert!(request.bytes <= data.len());
    assert_eq!(head::parse(&data[..request.bytes]), head::Head::Complete(clone(&request)));
    for cut in 0..request.bytes.min(200) {
        assert_eq!(head::parse(&data[..cut]), head::Head::Partial, "cut at {cut}");
    }
    if let Ok(members) = Members::parse(request.query) {
        let bytes: usize = members.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes <= request.query.len());
    }
    if let Ok(query) = StreamQuery::parse(request.query, CHANNELS_MAX) {
        assert!(query.channels.len() <= CHANNELS_MAX);
        let _refused_or_not = query.with_last_event_id(request.header("last-event-id"));
    }
    let headers = request.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    if let Ok(accepted) =
        websocket::accept("GET", headers, websocket::Subprotocols::Only(websocket::SUBPROTOCOL))
    {
        assert_eq!(accepted.accept_key.len(), 28);
    }
}

fn clone<'a>(request: &head::Request<'a>) -> head::Request<'a> {
    head::Request {
        path: request.path,
        query: request.query,
        headers: request.headers.clone(),
        bytes: request.bytes,
        body_bytes: request.body_bytes,
    }
}

/// Cursors and names are taken exactly as written, or refused.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string(), text);
        assert!(none_match([format!("W/\"{text}\"").as_str()], &format!("\"{cursor}\"")));
    }
    match text.parse::<Position>() {
        Ok(Position::Oldest) => assert_eq!(text, "0"),
        Ok(Position::After(cursor)) => assert_eq!(cursor.to_string(), text),
        Ok(Position::Tail) => panic!("{text:?} can't mean the tail: that is said by silence"),
        Err(_) => {}
    }
    if let Ok(channel) = Channel::new(text) {
        assert_eq!(channel.as_str(), text);
        check_channel(text);
        check_query(&channel);
    }
    if let Ok(name) = EventName::new(text) {
        assert_eq!(name.as_str(), text);
        assert!((1..=255).contains(&text.len()) && !text.chars().any(char::is_control));
    }
}

/// PROTOCOL.md, section 1.
fn check_channel(name: &str) {
    assert!((1..=255).contains(&name.len()));
    assert!(!name.chars().any(|c| c.is_control() || c.is_whitespace() || c == ','), "{name:?}");
}

/// A name survives being escaped in a URL.
fn check_query(channel: &Channel) {
    let escaped: String = channel.as_str().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let query = StreamQuery::parse(&format!("channels={escaped}"), CHANNELS_MAX).expect("the name is good");
    assert_eq!(query.channels.as_slice(), std::slice::from_ref(channel));
}
