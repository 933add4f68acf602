//! Every list that a client can send, at its limit and far beyond it: what a text costs beside one pass over
//! its bytes is bounded by the limit, not by the text. Steps are counted, not time.

use anywire_codes::{Code, Refusal};

use crate::{
    engineio::{self, PACKETS_MAX},
    names::Wanted,
    native::{FrameLimits, parse_frame},
    publish::{PublishLimits, parse_publication, parse_publish},
    request::StreamQuery,
    scan::steps,
    socketio::{Assembler, AssemblerLimits, ConnectAuth},
};

const MAX: usize = 100;
/// As many elements as stand in a message of megabytes.
const MANY: usize = 100_000;
/// Steps beside those that the elements take: the members around a list.
const BESIDE: usize = 8;
const PUBLISH: PublishLimits = PublishLimits { message_bytes_max: 1000, batch_events_max: MAX };
const FRAME: FrameLimits = FrameLimits { publish: PUBLISH, channels_max: MAX };
const PACKET: AssemblerLimits = AssemblerLimits { bytes_max: 1000, attachments: true, publish: PUBLISH };

/// What reads a text, and refuses it.
type Read = fn(&str) -> Option<Refusal>;

fn frame(text: &str) -> Option<Refusal> {
    parse_frame(text, &FRAME).err().map(|error| error.refusal)
}

fn subscribe(arguments: &str) -> Option<Refusal> {
    Wanted::parse(&[arguments], MAX).err()
}

fn auth(text: &str) -> Option<Refusal> {
    ConnectAuth::parse(Some(text), MAX).err()
}

fn body(text: &str) -> Option<Refusal> {
    parse_publish(text.as_bytes(), None, &PUBLISH).err()
}

fn publication(text: &str) -> Option<Refusal> {
    parse_publication(text, &PUBLISH).err()
}

fn query(text: &str) -> Option<Refusal> {
    StreamQuery::parse(text, MAX).err()
}

/// A list-shaped member: the text around it, one element, what stands between two, and who reads it.
struct List {
    before: &'static str,
    element: &'static str,
    between: &'static str,
    after: &'static str,
    read: Read,
    /// The refusal of one too many, and what its message names.
    refused: (Code, &'static str, &'static str),
    /// How many steps one element takes.
    steps: usize,
}

const CHANNELS: (Code, &str, &str) = (Code::TooManyChannels, "\"channels\"", "limits.channels_max");
const EVENTS: (Code, &str, &str) = (Code::TooLarge, "\"events\"", "limits.batch_events_max");

const fn names(before: &'static str, after: &'static str, read: Read) -> List {
    List { before, element: "\"a\"", between: ",", after, read, refused: CHANNELS, steps: 1 }
}

const fn events(before: &'static str, after: &'static str, read: Read) -> List {
    let element = r#"{"channel":"a"}"#;
    List { before, element, between: ",", after, read, refused: EVENTS, steps: 2 }
}

const LISTS: [List; 14] = [
    names(r#"{"op":"subscribe","id":1,"channels":["#, "]}", frame),
    names(r#"{"op":"unsubscribe","channels":["#, r#"],"id":1}"#, frame),
    events(r#"{"op":"publish","id":1,"events":["#, "]}", frame),
    List {
        refused: (Code::TooManyChannels, "\"the channel\"", "limits.channels_max"),
        ..names("[", "]", subscribe)
    },
    names(r#"{"channels":["#, r#"],"after":0}"#, subscribe),
    List {
        refused: (Code::TooManyChannels, "\"room\"", "limits.channels_max"),
        ..names(r#"{"room":["#, "]}", subscribe)
    },
    names(r#"{"token":"t","channels":["#, "]}", auth),
    events(r#"{"events":["#, "]}", body),
    events(r#"{"other":1,"events":["#, "]}", publication),
    List { element: "a", ..names("channels=", "", query) },
    List { element: "channel=a", between: "&", ..names("", "", query) },
    List { element: "channels=a", between: "&", ..names("after=0&", "&wait=1", query) },
    // A list of the wrong things is read as far as the first of them.
    List {
        element: "{}",
        refused: (Code::InvalidRequest, "\"channels\"", "a list of names"),
        ..names(r#"{"op":"subscribe","channels":["#, "]}", frame)
    },
    List {
        element: r#"{"":0}"#,
        refused: (Code::InvalidRequest, "\"\"", "\"channel\""),
        ..events(r#"{"events":["#, "]}", body)
    },
];

impl List {
    fn of(&self, count: usize) -> String {
        let elements = vec![self.element; count].join(self.between);
        format!("{}{elements}{}", self.before, self.after)
    }
}

#[test]
fn a_list_is_read_as_far_as_its_limit_however_long_it_is() {
    for list in &LISTS {
        let (code, member, names) = list.refused;
        for count in [MAX + 1, MANY] {
            let text = list.of(count);
            let (taken, refusal) = steps::of(|| (list.read)(&text));
            let refusal = refusal.expect(list.before);
            assert_eq!(refusal.code, code, "{}: {refusal}", list.before);
            assert!(refusal.message.contains(member), "{}: {refusal}", list.before);
            assert!(refusal.message.contains(names), "{}: {refusal}", list.before);
            let most = (MAX + 1) * list.steps + BESIDE;
            assert!(taken <= most, "{} of {count}: {taken} steps, not {most}", list.before);
        }
        if code != Code::InvalidRequest {
            let fits = (list.read)(&list.of(MAX));
            assert_eq!(fits, None, "{}", list.before);
        }
    }
}

#[test]
fn the_arguments_of_a_packet_are_read_as_far_as_their_limit() {
    for packet in ["2[\"x\",", "2[\"subscribe\",", "31[", "51-[\"x\",", "61-1["] {
        let text = format!("{packet}{}]", vec!["1"; MANY].join(","));
        let (taken, heard) = steps::of(|| Assembler::default().text(&text, &PACKET));
        assert!(heard.is_err(), "{packet}");
        assert!(taken <= 64 + BESIDE, "{packet}: {taken} steps");
    }
}

#[test]
fn the_packets_of_a_payload_are_taken_one_by_one_up_to_their_limit() {
    let body = vec!["6"; MANY].join("\u{1e}");
    let taken: Vec<_> = engineio::payload(&body).collect();
    assert_eq!(taken.len(), PACKETS_MAX + 1);
    assert_eq!(taken.last(), Some(&Err(engineio::PacketError::Count)));
    let body = vec!["6"; PACKETS_MAX].join("\u{1e}");
    assert!(engineio::payload(&body).all(|packet| packet.is_ok()));
}
