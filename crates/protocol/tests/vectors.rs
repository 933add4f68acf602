//! The byte vectors in `/conformance/vectors`, against our codecs. Clients in other languages check the same
//! files.

use std::{fs, path::Path, sync::Arc};

use anywire_log::{
    Channel, Cursor, Event, EventName, Gap, GapReason, Offset, Payload, Position, Publication, Timestamp,
};
use anywire_protocol::{
    native::{ServerFrame, event_frame},
    poll,
    sse::{event_block, gap_block},
    websocket::{Limits, Received, Receiver},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

fn load(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("{member:?} is no text in {value}"))
}

fn number(value: &Value, member: &str) -> u64 {
    value[member].as_u64().unwrap_or_else(|| panic!("{member:?} is no number in {value}"))
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    let list = value[member].as_array().unwrap_or_else(|| panic!("{member:?} is no list in {value}"));
    assert!(!list.is_empty(), "{member:?} is empty");
    list
}

fn cursor(text: &str) -> Cursor {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16).expect("a hexadecimal digit")).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// A text, or `{"repeat":text,"times":n}`.
fn long_text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => text(value, "repeat").repeat(number(value, "times") as usize),
    }
}

/// The bytes of a WebSocket frame given as header and text.
fn frame(vector: &Value) -> Vec<u8> {
    let frame = &vector["websocket"];
    [hex(text(frame, "header")), text(frame, "text").as_bytes().to_vec()].concat()
}

fn event(vector: &Value) -> Event {
    let event = &vector["event"];
    let payload = match event["base64"].as_str() {
        Some(base64) => Payload::Binary(BASE64_STANDARD.decode(base64).expect("base64").into()),
        None => Payload::Json(text(event, "data_text").to_owned().into()),
    };
    let publication = Publication {
        channel: Channel::new(text(event, "channel")).expect("a channel"),
        name: EventName::new(text(event, "event")).expect("an event name"),
        payload,
    };
    let time = Timestamp::from_millis(event["time_ms"].as_i64().expect("a time"));
    Event::new(Offset::new(number(event, "offset")), time, publication)
}

#[test]
fn an_event_is_carried_byte_for_byte_as_written_down() {
    for vector in list(&load("events.json"), "vectors") {
        let (name, event) = (text(vector, "name"), event(vector));
        let cursor = cursor(&format!("{}-{}", text(vector, "epoch"), event.offset));
        assert_eq!(event_frame(&event).as_ref(), frame(vector), "{name}: websocket");
        assert_eq!(event_block(&event, cursor.epoch).as_ref(), text(vector, "sse").as_bytes(), "{name}: sse");
        let answer = poll::answer(cursor, &[Arc::new(event)], None, false);
        let expected =
            format!("{{\"cursor\":\"{cursor}\",\"events\":[{}],\"gap\":null}}", text(vector, "poll"));
        assert_eq!(answer.body, expected, "{name}: poll");
    }
}

fn gap(vector: &Value) -> Gap {
    let gap = &vector["gap"];
    let reasons = [GapReason::Trimmed, GapReason::Damaged, GapReason::Epoch, GapReason::Ahead];
    let reason = reasons.into_iter().find(|reason| reason.as_str() == text(gap, "reason"));
    let lost = list(gap, "lost").iter().map(|pair| {
        let channel = Channel::new(pair[0].as_str().expect("a channel")).expect("a channel");
        (channel, Offset::new(pair[1].as_u64().expect("an offset")))
    });
    Gap {
        from: cursor(text(gap, "from")),
        to: cursor(text(gap, "to")),
        reason: reason.expect("a known reason"),
        lost: lost.collect(),
    }
}

#[test]
fn a_gap_is_carried_byte_for_byte_as_written_down() {
    for vector in list(&load("gaps.json"), "vectors") {
        let (name, gap) = (text(vector, "name"), gap(vector));
        assert_eq!(ServerFrame::Gap(&gap).encode().as_ref(), frame(vector), "{name}: websocket");
        assert_eq!(gap_block(&gap).as_ref(), text(vector, "sse").as_bytes(), "{name}: sse");
        let answer = poll::answer(gap.to, &[], Some(&gap), false);
        let expected =
            format!("{{\"cursor\":\"{}\",\"events\":[],\"gap\":{}}}", gap.to, text(vector, "poll"));
        assert_eq!(answer.body, expected, "{name}: poll");
    }
}

#[test]
fn a_text_is_a_cursor_exactly_where_it_is_written_down() {
    let file = load("cursors.json");
    for vector in list(&file, "valid") {
        let position: Position = text(vector, "text").parse().unwrap_or_else(|error| panic!("{error}"));
        let expected = match text(vector, "means") {
            "oldest" => Position::Oldest,
            _ => Position::After(cursor(&format!("{}-{}", text(vector, "epoch"), number(vector, "offset")))),
        };
        assert_eq!(position, expected, "{vector}");
    }
    for invalid in list(&file, "invalid") {
        let invalid = long_text(invalid);
        assert!(invalid.parse::<Position>().is_err(), "{invalid:?}");
    }
}

#[test]
fn a_text_is_a_name_exactly_where_it_is_written_down() {
    let file = load("names.json");
    let check = |kind: &str, good: &str, is_good: &dyn Fn(&str) -> bool, expected: bool| {
        for name in list(&file[kind], good) {
            let name = long_text(name);
            assert_eq!(is_good(&name), expected, "{kind}: {name:?}");
        }
    };
    let channel = |name: &str| Channel::new(name).is_ok_and(|channel| !channel.is_reserved());
    let reserved = |name: &str| Channel::new(name).is_ok_and(|channel| channel.is_reserved());
    let event = |name: &str| EventName::new(name).is_ok();
    check("channels", "valid", &channel, true);
    check("channels", "invalid", &channel, false);
    check("channels", "reserved", &reserved, true);
    check("events", "valid", &event, true);
    check("events", "invalid", &event, false);
}

fn item(received: Received<'_>) -> Value {
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match received {
        Received::Text(text) => serde_json::json!({ "text": text }),
        Received::Binary(bytes) => serde_json::json!({ "binary": digits(bytes) }),
        Received::Ping(bytes) => serde_json::json!({ "ping": digits(bytes) }),
        Received::Pong(bytes) => serde_json::json!({ "pong": digits(bytes) }),
        Received::Close { code, reason } => serde_json::json!({ "close": code, "reason": reason }),
    }
}

fn receive(pieces: &[&[u8]], limits: &Limits) -> (Vec<Value>, Option<u64>) {
    let mut receiver = Receiver::new();
    let mut items = Vec::new();
    let mut close_code = None;
    for piece in pieces {
        let outcome =
            receiver.receive(&mut piece.to_vec(), limits, &mut |received| items.push(item(received)));
        close_code = close_code.or(outcome.err().map(|violation| violation.close_code.into()));
    }
    (items, close_code)
}

#[test]
fn a_clients_bytes_become_what_is_written_down_at_every_cut() {
    let file = load("websocket.json");
    let limits = Limits { message_bytes_max: number(&file, "message_bytes_max") as usize };
    for vector in list(&file, "vectors") {
        let bytes = hex(text(vector, "bytes"));
        let items = vector["items"].as_array().expect("items").clone();
        let expected = (items, vector["close_code"].as_u64());
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(receive(&[left, right], &limits), expected, "{} cut at {cut}", text(vector, "name"));
        }
    }
}
