//! Events of the log as Socket.IO clients get them.
//!
//! Most clients are on `/`, over a WebSocket, without recovery: for them an event is encoded once, frames and
//! all, in the event's own slot. Every other way an event may look is made from those bytes by copying them
//! between a head and a tail:
//!
//! ```text
//!  the slot     | 81 len | 42        ["x",{…}        ] | 82 len | bytes |   binary frames: attachments
//!  an encoding  | 81 len | 42 /ns ,  ["x",{…} ,"cursor" ] | 82 len | bytes |
//!  by polling              42 /ns ,  ["x",{…} ,"cursor" ]   1e b base64
//! ```

use std::borrow::Cow;

use anywire_log::{Cursor, Epoch, Event};
use bytes::Bytes;

use super::{DEFAULT_NAMESPACE, args::arguments, packet::RESERVED};
use crate::{
    engineio::{SEPARATOR, base64_packet},
    json::{write_cursor, write_number, write_string},
    slots,
    websocket::{Opcode, frame_header},
};

/// Names of events that a client hears from the server itself: `gap`, and those with which namespaces greet.
/// An event of the log that has one arrives under another, so that no publisher can speak for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNames(Vec<Box<str>>);

impl Default for OwnNames {
    fn default() -> Self {
        Self::new([])
    }
}

impl OwnNames {
    /// With these beside those that every namespace has.
    #[must_use]
    pub fn new<'a>(greetings: impl IntoIterator<Item = &'a str>) -> Self {
        Self(std::iter::once("gap").chain(greetings).map(Into::into).collect())
    }

    /// The name under which a client hears an event of this name that is not the server's own.
    #[must_use]
    pub fn heard_as<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if self.hold(name) { Cow::Owned(format!("event:{name}")) } else { Cow::Borrowed(name) }
    }

    fn hold(&self, name: &str) -> bool {
        // Clients end the connection over a name they keep for themselves.
        RESERVED.contains(&name) || self.0.iter().any(|own| **own == *name)
    }
}

/// How an event looks to a client that is not on `/` over a WebSocket without recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketEncoding<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The log's epoch, where the event's cursor goes along as the last argument.
    pub cursor: Option<Epoch>,
    /// As a part of a poll's answer instead of WebSocket frames.
    pub polling: bool,
    /// The server's own events.
    pub own: &'a OwnNames,
}

/// The event on `/`, WebSocket headers and all, made once.
#[must_use]
pub fn event_frames<'a>(event: &'a Event, own: &OwnNames) -> &'a Bytes {
    event.encoding(slots::SOCKETIO, |event| {
        let (args, attachments) = arguments(&event.payload);
        let mut text = Vec::with_capacity(args.len() + event.name.as_str().len() + 16);
        match attachments.len() {
            0 => text.extend_from_slice(b"42["),
            count => {
                text.extend_from_slice(b"45");
                write_number(&mut text, count as u64);
                text.extend_from_slice(b"-[");
            }
        }
        write_string(&mut text, &own.heard_as(event.name.as_str()));
        if !args.is_empty() {
            text.push(b',');
            text.extend_from_slice(&args);
        }
        text.push(b']');
        let rest: usize = attachments.iter().map(|bytes| bytes.len() + 10).sum();
        let mut out = Vec::with_capacity(text.len() + 10 + rest);
        push_frame(&mut out, Opcode::Text, &text);
        for bytes in &attachments {
            push_frame(&mut out, Opcode::Binary, bytes);
        }
        out.into()
    })
}

impl PacketEncoding<'_> {
    /// The event in this encoding. Cost: one copy of the event's bytes.
    #[must_use]
    pub fn encode(&self, event: &Event) -> Bytes {
        let shared = event_frames(event, self.own);
        let (plain, attachments) = split_frame(shared);
        if self.polling
            && self.cursor.is_none()
            && self.namespace == DEFAULT_NAMESPACE
            && attachments.is_empty()
        {
            return plain;
        }
        // The kind and the number of attachments end where the array begins: no digit or '-' is a bracket.
        let array = memchr::memchr(b'[', &plain).unwrap_or(plain.len());
        let mut text = Vec::with_capacity(plain.len() + self.namespace.len() + 40);
        text.extend_from_slice(&plain[..array]);
        if self.namespace != DEFAULT_NAMESPACE {
            text.extend_from_slice(self.namespace.as_bytes());
            text.push(b',');
        }
        text.extend_from_slice(plain[array..].strip_suffix(b"]").unwrap_or_default());
        if let Some(epoch) = self.cursor {
            text.extend_from_slice(b",\"");
            write_cursor(&mut text, Cursor { epoch, offset: event.offset });
            text.push(b'"');
        }
        text.push(b']');
        if self.polling {
            push_base64(&mut text, attachments);
            return text.into();
        }
        let mut out = Vec::with_capacity(text.len() + 10 + attachments.len());
        push_frame(&mut out, Opcode::Text, &text);
        out.extend_from_slice(&attachments);
        out.into()
    }
}

fn push_base64(text: &mut Vec<u8>, mut frames: Bytes) {
    while !frames.is_empty() {
        let (bytes, rest) = split_frame(&frames);
        text.push(SEPARATOR);
        text.extend_from_slice(&base64_packet(&bytes));
        frames = rest;
    }
}

fn push_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.extend_from_slice(frame_header(opcode, payload.len()).as_slice());
    out.extend_from_slice(payload);
}

/// The payload of the first frame of our own making, and the frames after it.
fn split_frame(frames: &Bytes) -> (Bytes, Bytes) {
    let at = |from: usize, to: usize| frames.get(from..to).unwrap_or_default().iter();
    let number = |from, to| at(from, to).fold(0usize, |number, byte| number << 8 | usize::from(*byte));
    let (header, length) = match frames.get(1) {
        Some(126) => (4, number(2, 4)),
        Some(127) => (10, number(2, 10)),
        Some(short) => (2, usize::from(*short)),
        None => (0, 0),
    };
    let end = (header + length).min(frames.len());
    (frames.slice(header.min(end)..end), frames.slice(end..))
}

#[cfg(test)]
mod tests {
    use anywire_log::{Channel, EventName, Offset, Payload, Publication, Timestamp};

    use super::*;

    fn event(name: &str, payload: Payload) -> Event {
        let channel = Channel::new("a").expect("a name");
        let publication = Publication { channel, name: EventName::new(name).expect("a name"), payload };
        Event::new(Offset::new(42), Timestamp::from_millis(0), publication)
    }

    fn json(text: &str) -> Payload {
        Payload::Json(Bytes::copy_from_slice(text.as_bytes()))
    }

    const EPOCH: Epoch = Epoch::new(0x1f0c_93ab);

    #[test]
    fn an_event_on_the_default_namespace_is_one_frame() {
        let event = event("x", json("{\"n\":1}"));
        assert_eq!(event_frames(&event, &OwnNames::default()).as_ref(), b"\x81\x0f42[\"x\",{\"n\":1}]");
    }

    #[test]
    fn other_namespaces_and_recovery_put_a_head_and_a_tail_around_it() {
        let event = event("x", json("{\"n\":[1]}"));
        let check = |namespace, cursor, expected: &str| {
            let text =
                PacketEncoding { namespace, cursor, polling: true, own: &OwnNames::default() }.encode(&event);
            assert_eq!(text, expected);
            let frame = PacketEncoding { namespace, cursor, polling: false, own: &OwnNames::default() }
                .encode(&event);
            assert_eq!(split_frame(&frame), (text, Bytes::new()));
        };
        check("/", None, r#"42["x",{"n":[1]}]"#);
        check("/chat", None, r#"42/chat,["x",{"n":[1]}]"#);
        check("/", Some(EPOCH), r#"42["x",{"n":[1]},"1f0c93ab-42"]"#);
        check("/chat", Some(EPOCH), r#"42/chat,["x",{"n":[1]},"1f0c93ab-42"]"#);
    }

    #[test]
    fn no_arguments_several_arguments_and_bytes() {
        let polled = |payload, cursor| {
            let bytes = PacketEncoding { namespace: "/", cursor, polling: true, own: &OwnNames::default() }
                .encode(&event("x", payload));
            String::from_utf8(bytes.to_vec()).expect("text")
        };
        assert_eq!(polled(json("{\"$args\":[]}"), None), r#"42["x"]"#);
        assert_eq!(polled(json("{\"$args\":[]}"), Some(EPOCH)), r#"42["x","1f0c93ab-42"]"#);
        assert_eq!(polled(json("{\"$args\":[1,[2]]}"), None), r#"42["x",1,[2]]"#);
        let bytes = Payload::Binary(Bytes::from_static(&[1, 2, 3, 4]));
        let expected = "451-[\"x\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==";
        assert_eq!(polled(bytes.clone(), None), expected);
        let event = event("x", bytes);
        let frames = event_frames(&event, &OwnNames::default());
        assert!(frames.ends_with(b"\x82\x04\x01\x02\x03\x04"), "{frames:?}");
        let encoded =
            PacketEncoding { namespace: "/n", cursor: None, polling: false, own: &OwnNames::default() }
                .encode(&event);
        assert!(encoded.ends_with(b"\x82\x04\x01\x02\x03\x04"), "{encoded:?}");
    }

    #[test]
    fn nothing_published_makes_a_client_end_its_connection() {
        let polled = |name, payload| {
            let bytes =
                PacketEncoding { namespace: "/", cursor: None, polling: true, own: &OwnNames::default() }
                    .encode(&event(name, payload));
            String::from_utf8(bytes.to_vec()).expect("text")
        };
        assert_eq!(polled("disconnect", json("1")), r#"42["event:disconnect",1]"#);
        let forged = r#"[{"$binary":"AA=="},{"_placeholder":true,"num":7}]"#;
        assert_eq!(polled("x", json(forged)), format!("42[\"x\",{forged}]"));
    }

    #[test]
    fn long_events_keep_their_length() {
        for size in [100, 125, 126, 1000, 65_535, 65_536, 100_000] {
            let event = event("x", json(&format!("\"{}\"", "y".repeat(size))));
            let (text, rest) = split_frame(event_frames(&event, &OwnNames::default()));
            assert_eq!((text.len(), rest.len()), (size + 10, 0), "{size}");
        }
    }
}
