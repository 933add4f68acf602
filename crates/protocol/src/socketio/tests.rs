//! From one client through the log to another, whatever the values and however the bytes are cut.

use anywire_log::{Channel, Event, EventName, Offset, Publication, Timestamp};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    engineio::{Packet, packet},
    publish::PublishLimits,
    websocket::{Limits, Opcode, Received, Receiver, frame_header},
};

/// A value as JavaScript has it: JSON with bytes in it.
#[derive(Debug, Clone, PartialEq)]
enum Given {
    Plain(Value),
    Bytes(Vec<u8>),
    List(Vec<Given>),
    Members(Vec<(String, Given)>),
}

fn given() -> impl Strategy<Value = Given> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é\u{1e}\"\\\\{}]{0,8}".prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        3 => plain.prop_map(Given::Plain),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Given::Bytes)
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Given::List),
            prop::collection::vec(("[a-z{\"]{1,4}", inner), 0..3).prop_map(Given::Members),
        ]
    })
}

/// Takes the bytes out, as a client's encoder does.
fn take_apart(value: &Given, attachments: &mut Vec<Vec<u8>>) -> Value {
    match value {
        Given::Plain(plain) => plain.clone(),
        Given::Bytes(bytes) => {
            attachments.push(bytes.clone());
            json!({ "_placeholder": true, "num": attachments.len() - 1 })
        }
        Given::List(list) => list.iter().map(|one| take_apart(one, attachments)).collect(),
        Given::Members(members) => {
            let members = members.iter().map(|(name, one)| (name.clone(), take_apart(one, attachments)));
            Value::Object(members.collect())
        }
    }
}

/// Puts the bytes back in (as texts that nothing else looks like), as a client's decoder does.
fn put_together(value: &Value, attachments: &[Vec<u8>]) -> Value {
    match value {
        Value::Object(members) if members.get("_placeholder") == Some(&Value::Bool(true)) => {
            let index = members["num"].as_u64().expect("a number") as usize;
            json!({ "bytes": attachments[index] })
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, one)| (name.clone(), put_together(one, attachments)));
            Value::Object(members.collect())
        }
        Value::Array(list) => list.iter().map(|one| put_together(one, attachments)).collect(),
        plain => plain.clone(),
    }
}

fn masked(opcode: Opcode, message: &[u8]) -> Vec<u8> {
    let mut frame = frame_header(opcode, message.len()).as_slice().to_vec();
    frame[1] |= 0x80;
    frame.extend([0; 4]);
    frame.extend(message);
    frame
}

/// What a server's side makes of bytes that come in these pieces.
fn hear(bytes: &[u8], cuts: &[usize]) -> Vec<Incoming> {
    let publish = PublishLimits { message_bytes_max: 1 << 20, batch_events_max: 10 };
    let limits = AssemblerLimits { bytes_max: 1 << 20, attachments: true, publish };
    let (mut receiver, mut assembler, mut heard) = (Receiver::new(), Assembler::default(), Vec::new());
    let mut take = |received: Received<'_>| {
        let incoming = match received {
            Received::Text(text) => match packet(text) {
                Ok(Packet::Message(text)) => assembler.text(text, &limits),
                other => panic!("{other:?}"),
            },
            Received::Binary(bytes) => assembler.binary(bytes, &limits),
            other => panic!("{other:?}"),
        };
        heard.extend(incoming.expect("a sound packet"));
    };
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
    ends.sort_unstable();
    let mut start = 0;
    for end in ends {
        let limits = Limits { message_bytes_max: 1 << 20 };
        receiver.receive(&mut bytes[start..end].to_vec(), &limits, &mut take).expect("sound frames");
        start = end;
    }
    heard
}

/// A server's frames as what a client hears: an event's arguments, and its attachments.
fn listen(frames: &[u8]) -> (Vec<Value>, Vec<Vec<u8>>) {
    let (mut text, mut attachments, mut rest) = (String::new(), Vec::new(), frames);
    while !rest.is_empty() {
        let (header, length) = match rest[1] {
            126 => (4, usize::from(rest[2]) << 8 | usize::from(rest[3])),
            127 => (10, rest[2..10].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))),
            short => (2, usize::from(short)),
        };
        let message = &rest[header..header + length];
        match rest[0] {
            0x81 => text = String::from_utf8(message.to_vec()).expect("UTF-8"),
            _ => attachments.push(message.to_vec()),
        }
        rest = &rest[header + length..];
    }
    let array = text.find('[').expect("an array");
    let expected = if attachments.is_empty() { "42".to_owned() } else { format!("45{}-", attachments.len()) };
    assert_eq!(&text[..array], expected);
    (serde_json::from_str(&text[array..]).expect("JSON"), attachments)
}

proptest! {
    #[test]
    fn what_one_client_emits_is_what_another_hears(
        values in prop::collection::vec(given(), 0..4),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        ack in prop::option::of(0u64..1000),
    ) {
        let mut attachments = Vec::new();
        let args: Vec<Value> = values.iter().map(|value| take_apart(value, &mut attachments)).collect();
        prop_assume!(attachments.len() <= ATTACHMENTS_MAX);
        let kind = if attachments.is_empty() { "42".to_owned() } else { format!("45{}-", attachments.len()) };
        let id = ack.map_or(String::new(), |id| id.to_string());
        let array: Vec<Value> = [json!("x")].into_iter().chain(args.iter().cloned()).collect();
        let text = format!("{kind}/n,{id}{}", Value::Array(array));
        let mut bytes = masked(Opcode::Text, text.as_bytes());
        for attachment in &attachments {
            bytes.extend(masked(Opcode::Binary, attachment));
        }
        let heard = hear(&bytes, &cuts);
        prop_assert_eq!(&heard, &hear(&bytes, &[]), "the cuts show");
        let [Incoming::Event { ack: heard_ack, name, args: heard_args, .. }] = heard.as_slice() else {
            panic!("one event, not {heard:?}")
        };
        prop_assert_eq!((heard_ack, name.as_str()), (&ack, "x"));
        let publication = Publication {
            channel: Channel::new("a").expect("a name"),
            name: EventName::new(name).expect("a name"),
            payload: publication_payload(heard_args.clone()),
        };
        let event = Event::new(Offset::new(1), Timestamp::from_millis(0), publication);
        let (came, came_attachments) = listen(event_frames(&event, &OwnNames::default()));
        let expected: Vec<Value> = args.iter().map(|value| put_together(value, &attachments)).collect();
        let came: Vec<Value> = came[1..].iter().map(|value| put_together(value, &came_attachments)).collect();
        prop_assert_eq!(came, expected);
        let polled = PacketEncoding { namespace: "/", cursor: None, polling: true , own: &OwnNames::default() }.encode(&event);
        prop_assert_eq!(reframe(&Bytes::clone(&polled)), event_frames(&event, &OwnNames::default()));
    }
}
