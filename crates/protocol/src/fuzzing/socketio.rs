//! What must hold for any bytes a Socket.IO client may send.

use anywire_log::{Channel, Epoch, Event, EventName, Offset, Payload, Publication, Timestamp};
use serde_json::value::RawValue;

use crate::{
    engineio::{Packet, Query, base64_packet, packet, payload},
    socketio::{
        ATTACHMENTS_MAX, Ack, Args, Assembler, AssemblerLimits, ConnectAuth, Emit, Incoming, OwnNames,
        PacketEncoding, ServerPacket, event_frames, frames, payload as joined, publication_payload, reframe,
    },
    websocket::{Limits, Received, Receiver},
};

/// Small, so that it is met often.
const LIMITS: AssemblerLimits =
    AssemblerLimits { bytes_max: 200, attachments: true, publish: super::PUBLISH_LIMITS };
const EPOCH: Epoch = Epoch::new(0x1f0c_93ab);

/// A request's query and a payload's packets are understood or refused, and bytes survive being carried as
/// text.
pub fn engineio(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(query) = Query::parse(text) {
        assert!(query.client.is_none_or(|name| (1..=64).contains(&name.len())));
    }
    for found in payload(text).flatten() {
        if let Packet::Binary(bytes) = &found {
            let again = base64_packet(bytes);
            let again = packet(std::str::from_utf8(&again).expect("base64 is text"))
                .map(|packet| format!("{packet:?}"));
            assert_eq!(again, Ok(format!("{found:?}")));
        }
    }
}

/// What a client sends is understood or ends its session; what is understood can go through the log and come
/// to other clients, on every carrier, as it was said.
pub fn socketio(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut assembler = Assembler::default();
    for found in payload(text) {
        let heard = match found {
            Ok(Packet::Message(text)) => assembler.text(text, &LIMITS),
            Ok(Packet::Binary(bytes)) => assembler.binary(&bytes, &LIMITS),
            Ok(_) => continue,
            Err(_) => return,
        };
        match heard {
            Ok(Some(incoming)) => check_incoming(incoming),
            Ok(None) => {}
            // Nothing after it is listened to.
            Err(_) => return,
        }
    }
}

fn check_incoming(incoming: Incoming) {
    match incoming {
        Incoming::Connect { auth, .. } => {
            let _taken_or_passed_over = ConnectAuth::parse(auth.as_deref(), super::FRAME_LIMITS.channels_max);
        }
        Incoming::Disconnect { .. } => {}
        Incoming::Publish { batch, .. } => {
            if let Ok(batch) = batch {
                super::check_batch(batch);
            }
        }
        Incoming::Ack { namespace, ack, args } => {
            check_args(&args);
            check_packets(&Ack { namespace: &namespace, id: ack, args: &args }.packets());
        }
        Incoming::Event { namespace, ack, name, args } => {
            check_args(&args);
            check_packets(&Emit { namespace: &namespace, name: &name, ack, args: &args }.packets());
            if let Ok(name) = EventName::new(&name) {
                check_publication(name, &args);
            }
        }
    }
}

fn check_args(args: &Args) {
    assert!(args.attachments.len() <= ATTACHMENTS_MAX && args.values.len() <= 64);
    assert!(args.attachments.iter().map(bytes::Bytes::len).sum::<usize>() <= LIMITS.bytes_max);
    for value in &args.values {
        assert!(serde_json::from_str::<&RawValue>(value).is_ok(), "{value:?}");
    }
}

/// Whatever carries packets, the same arrives.
fn check_packets(packets: &[ServerPacket]) {
    assert_eq!(reframe(&joined(packets)), frames(packets));
}

fn check_publication(name: EventName, args: &Args) {
    let publication = Publication {
        channel: Channel::new("a").expect("a name"),
        name,
        payload: publication_payload(args.clone()),
    };
    // However often a client names its attachments, what it said stays about as large as it was: what looks
    // like a mark of ours, such as `{"$binary":""}`, gets one `$` more.
    let said: usize = args.values.iter().map(|value| value.len() + 1).sum();
    let carried: usize = args.attachments.iter().map(|bytes| bytes.len() * 2 + 16).sum();
    assert!(publication.payload.as_bytes().len() <= said + said / 14 + carried + 16);
    if let Payload::Json(text) = &publication.payload {
        assert!(!text.contains(&b'\n') && !text.contains(&b'\r'));
        assert!(serde_json::from_slice::<&RawValue>(text).is_ok(), "{text:?}");
    }
    let event = Event::new(Offset::new(42), Timestamp::from_millis(0), publication);
    let (plain, attachments) = check_frames(event_frames(&event, &OwnNames::default()), "");
    let polled = PacketEncoding { namespace: "/", cursor: None, polling: true, own: &OwnNames::default() }
        .encode(&event);
    let polled = std::str::from_utf8(&polled).expect("a payload is text");
    assert_eq!(polled.split('\u{1e}').next(), Some(plain.as_str()));
    assert_eq!(polled.split('\u{1e}').count(), 1 + attachments);
    let encoding =
        PacketEncoding { namespace: "/n", cursor: Some(EPOCH), polling: false, own: &OwnNames::default() };
    let (encoded, encoded_attachments) = check_frames(&encoding.encode(&event), ",\"1f0c93ab-42\"");
    assert_eq!(encoded_attachments, attachments);
    assert!(encoded.contains("/n,["), "{encoded}");
}

/// Reads frames as a client does: one text packet that its own rules take, and the attachments it announces.
/// `cursor` is what ours adds behind the last argument: it does not count towards the most that a client may
/// say.
fn check_frames(frames: &[u8], cursor: &str) -> (String, usize) {
    let (mut text, mut attachments) = (String::new(), 0);
    // A client's receiver wants masked frames: the mask of zeros changes nothing.
    let mut rest = frames;
    while !rest.is_empty() {
        let (header, length) = match rest[1] {
            126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            127 => (10, u64::from_be_bytes(rest[2..10].try_into().expect("eight bytes")) as usize),
            short => (2, usize::from(short)),
        };
        let mut masked =
            [&rest[..1], &[rest[1] | 0x80], &rest[2..header], &[0; 4], &rest[header..header + length]]
                .concat();
        let limits = Limits { message_bytes_max: frames.len() };
        let mut take = |received: Received<'_>| match received {
            Received::Text(found) if text.is_empty() => text.push_str(found),
            Received::Binary(_) => attachments += 1,
            other => panic!("{other:?} in an event"),
        };
        Receiver::new().receive(&mut masked, &limits, &mut take).expect("a sound frame");
        rest = &rest[header + length..];
    }
    let packet = text.strip_prefix('4').expect("a message");
    let said = packet.strip_suffix(&format!("{cursor}]")).expect("the cursor is last");
    let heard = Assembler::default().text(&format!("{said}]"), &LIMITS);
    let heard = heard.unwrap_or_else(|error| panic!("{packet}: {error}"));
    assert_eq!(heard.is_none(), attachments > 0, "{packet}");
    (text, attachments)
}
