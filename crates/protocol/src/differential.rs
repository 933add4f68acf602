//! The one pass against what it took the place of: parsers derived by serde, run one after the other.
//!
//! They differ on purpose in three places: serde also takes an object's members as a list, by position; a
//! frame that is refused is answered with its id wherever that can be read; and a member whose name is half a
//! surrogate pair is one that nobody knows, as any other. What a subscription names may be a number: the
//! derived parsers take it by [`Name`]. A byte order mark in front is passed over.

use std::borrow::Cow;

use anywire_codes::{Code, Refusal};
use anywire_log::{Batch, Channel, EventName, IdempotencyKey, Payload, Publication};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    native::{Command, FrameLimits, parse_frame},
    publish::{PublishLimits, parse_publication, parse_publish},
    socketio::{Args, Assembler, AssemblerLimits, Incoming, publication_payload},
    testing::{document, text},
};

const LIMITS: PublishLimits = PublishLimits { message_bytes_max: 30, batch_events_max: 3 };
const FRAME_LIMITS: FrameLimits = FrameLimits { publish: LIMITS, channels_max: 3 };

/// A string, or a number as its text.
#[derive(Debug, PartialEq)]
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Ok(Self(raw.into()));
        }
        serde_json::from_str(raw).map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBody<'a> {
    channel: Cow<'a, str>,
    #[serde(default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    encoding: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishBody<'a> {
    #[serde(default)]
    channel: Option<Cow<'a, str>>,
    #[serde(default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    encoding: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    events: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    op: Option<Cow<'a, str>>,
    #[serde(default)]
    id: Option<u64>,
    #[serde(default, rename = "channels")]
    _channels: Option<Vec<Name>>,
    #[serde(default, rename = "channel")]
    _channel: Option<Cow<'a, str>>,
    #[serde(default, rename = "after")]
    _after: Option<Name>,
    #[serde(default, rename = "presence")]
    _presence: bool,
    #[serde(default, rename = "token")]
    _token: Option<Cow<'a, str>>,
    #[serde(default, rename = "cursor")]
    _cursor: Option<Name>,
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    idempotency_key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    channel: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    encoding: Option<&'a RawValue>,
    #[serde(borrow, default)]
    events: Option<&'a RawValue>,
}

/// A batch, or the code of the refusal and, for what is no mistake in the JSON, its message.
type Outcome = Result<Batch, (Code, String)>;

fn no_json<T>(_: T) -> (Code, String) {
    (Code::InvalidRequest, String::new())
}

fn outcome(result: Result<Batch, Refusal>) -> Outcome {
    result.map_err(|refusal| match refusal.code {
        Code::InvalidRequest => no_json(()),
        code => (code, refusal.message),
    })
}

/// As serde reads it, but only from an object.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, (Code, String)> {
    let raw: &RawValue = serde_json::from_str(text).map_err(no_json)?;
    if raw.get().starts_with('{') {
        serde_json::from_str(raw.get()).map_err(no_json)
    } else {
        Err(no_json(()))
    }
}

/// The text with a name that serde takes in place of one that is half a surrogate pair: `\u0812` for
/// `\ud812`, so that it is as long.
fn with_names(text: &str) -> String {
    let mut out = text.to_owned();
    while let Some(at) = out.match_indices("\"\\ud").map(|(at, _)| at).find(|at| is_half(&out[*at..])) {
        out.replace_range(at + DIGIT..=at + DIGIT, "0");
    }
    out
}

/// The payload that [`with_names`] made another one of.
fn with_halves(payload: Payload) -> Payload {
    let Payload::Json(json) = payload else { return payload };
    let mut out = std::str::from_utf8(&json).expect("JSON is UTF-8").to_owned();
    let names: Vec<usize> = out.match_indices("\"\\u0").map(|(at, _)| at).collect();
    for at in names.into_iter().filter(|at| is_half(&out[*at..].replacen('0', "d", 1))).collect::<Vec<_>>() {
        out.replace_range(at + DIGIT..=at + DIGIT, "d");
    }
    Payload::Json(out.into())
}

/// Where in `"\ud800"` the first digit is.
const DIGIT: usize = 3;

/// The bytes of `"\ud800"`.
const HALF: usize = 8;

fn is_half(text: &str) -> bool {
    let digits = text.get(4..7).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let high = matches!(text.as_bytes().get(4), Some(b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F'));
    let name = text
        .get(HALF..)
        .is_some_and(|rest| rest.trim_start_matches([' ', '\n', '\r', '\t']).starts_with(':'));
    digits && high && text.as_bytes().get(7) == Some(&b'"') && name
}

fn expected_of_body(body: &[u8], key: Option<&str>) -> Outcome {
    let text = std::str::from_utf8(body).map_err(no_json)?;
    let PublishBody { channel, event, data, encoding, events } = object(text)?;
    // What comes after as many as there may be is not looked at.
    let events = events.map(|events| {
        let kept = events.iter().take(LIMITS.batch_events_max).map(|event| object(event.get()));
        kept.collect::<Result<Vec<_>, _>>().map(|kept| (kept, events.len()))
    });
    let publications = match (channel, events.transpose()?) {
        (Some(channel), None) => vec![expected_of_event(EventBody { channel, event, data, encoding })?],
        (None, Some((_, 0))) => return Err(no_json(())),
        (None, Some((_, count))) if count > LIMITS.batch_events_max => {
            let message = "\"events\" holds more than 3 events, the limit (limits.batch_events_max); send several requests";
            return Err((Code::TooLarge, message.to_owned()));
        }
        (None, Some((events, _))) => events.into_iter().map(expected_of_event).collect::<Result<_, _>>()?,
        _ => return Err(no_json(())),
    };
    let idempotency_key = key.map(IdempotencyKey::new).transpose().map_err(no_json)?;
    Ok(Batch { publications, idempotency_key, expect: None })
}

fn expected_of_event(body: EventBody<'_>) -> Result<Publication, (Code, String)> {
    let channel = Channel::new(&body.channel).map_err(|e| (Code::InvalidChannel, e.to_string()))?;
    if channel.is_reserved() {
        let message =
            format!("channel {channel} belongs to the server; use a name that does not begin with '$'");
        return Err((Code::Forbidden, message));
    }
    let name = EventName::new(body.event.as_deref().unwrap_or("message"));
    let name = name.map_err(|e| (Code::InvalidEvent, e.to_string()))?;
    let text = body.data.map_or("null", RawValue::get);
    let payload = match body.encoding.as_deref() {
        None => Payload::Json(text.replace(['\n', '\r'], " ").into()),
        Some("base64") => {
            let text: String = serde_json::from_str(text).map_err(|_| {
                (Code::InvalidEvent, "with \"encoding\":\"base64\", \"data\" must be a string".to_owned())
            })?;
            let bytes = BASE64_STANDARD.decode(text);
            Payload::Binary(
                bytes.map_err(|e| (Code::InvalidEvent, format!("\"data\" is no base64: {e}")))?.into(),
            )
        }
        Some(other) => {
            return Err((
                Code::InvalidEvent,
                format!("\"encoding\" is {other:?}; the only one is \"base64\""),
            ));
        }
    };
    match payload.as_bytes().len() {
        bytes @ 31.. => Err((
            Code::TooLarge,
            format!("\"data\" has {bytes} bytes, the limit is 30 (limits.message_bytes_max)"),
        )),
        _ => Ok(Publication { channel, name, payload }),
    }
}

/// An object that may hold more: its publication is written again, and read again.
fn expected_of_members(text: &str) -> Outcome {
    let text = with_names(text);
    let members: Members<'_> = object(&text)?;
    let known = [
        ("channel", members.channel),
        ("event", members.event),
        ("data", members.data),
        ("encoding", members.encoding),
        ("events", members.events),
    ];
    let written: Vec<String> =
        known.iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", (*value)?.get()))).collect();
    let body = format!("{{{}}}", written.join(","));
    let mut batch = expected_of_body(body.as_bytes(), members.idempotency_key.as_deref())?;
    for publication in &mut batch.publications {
        publication.payload = with_halves(publication.payload.clone());
    }
    Ok(batch)
}

fn check_body(body: &[u8]) {
    let found = outcome(parse_publish(body, Some("key"), &LIMITS));
    let bare = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    assert_eq!(found, expected_of_body(bare, Some("key")), "{}", body.escape_ascii());
    let Ok(text) = std::str::from_utf8(body) else { return };
    assert_eq!(outcome(parse_publication(text, &LIMITS)), expected_of_members(text), "{text:?}");
}

fn check_frame(text: &str) {
    let found = parse_frame(text, &FRAME_LIMITS);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let known = with_names(text);
    let frame: Frame<'_> = match object(&known) {
        Ok(frame) => frame,
        Err(_) => return assert!(found.is_err_and(|e| e.refusal.code == Code::InvalidRequest), "{text:?}"),
    };
    let id = found.as_ref().map_or_else(|error| error.id, |frame| frame.id);
    assert_eq!(id, frame.id, "{text:?}");
    match (frame.op.as_deref(), found) {
        (Some("publish"), Ok(found)) => {
            assert_eq!(expected_of_members(text).map(Command::Publish), Ok(found.command), "{text:?}");
        }
        (Some("publish"), Err(found)) => {
            assert_eq!(outcome(Err(found.refusal)), expected_of_members(text), "{text:?}");
        }
        (Some("ping"), found) => assert!(found.is_ok(), "{text:?}"),
        (Some("subscribe"), Ok(found)) => assert!(matches!(found.command, Command::Subscribe { .. })),
        (Some("subscribe"), Err(_)) => {}
        (_, found) => assert!(found.is_err(), "{text:?}"),
    }
}

/// A packet of an event: how deep it is nested was counted first, then its values were found, then copied.
fn expected_of_packet(json: &str) -> Option<(String, Vec<String>)> {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    let values: Vec<&RawValue> = serde_json::from_str(json).ok().filter(|_| deepest <= 64)?;
    let (name, values) = values.split_first().filter(|_| values.len() <= 64)?;
    let name = match name.get().as_bytes()[0] {
        b'"' => serde_json::from_str(name.get()).ok()?,
        b'0'..=b'9' => name.get().to_owned(),
        _ => return None,
    };
    let reserved =
        ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];
    (!reserved.contains(&name.as_str()))
        .then(|| (name, values.iter().map(|value| value.get().to_owned()).collect()))
}

fn check_packet(json: &str) {
    let limits = AssemblerLimits { bytes_max: 100, attachments: true, publish: LIMITS };
    let found = Assembler::default().text(&format!("2/n,{json}"), &limits);
    let expected = expected_of_packet(json);
    match (found, expected) {
        (Err(_), None) => {}
        (Ok(Some(Incoming::Event { name, args, .. })), Some((expected_name, values))) => {
            assert_eq!((name, &args.values), (expected_name, &values), "{json:?}");
        }
        (Ok(Some(Incoming::Publish { batch, .. })), Some((name, values))) => {
            let args = Args { values, attachments: Vec::new() };
            let Payload::Json(text) = publication_payload(args) else { panic!("no bytes in {json:?}") };
            let text = std::str::from_utf8(&text).expect("UTF-8");
            assert_eq!((name.as_str(), outcome(batch)), ("publish", expected_of_members(text)), "{json:?}");
        }
        (found, expected) => panic!("{json:?}: {found:?} instead of {expected:?}"),
    }
}

#[test]
fn texts_on_which_parsers_differ_are_read_as_before() {
    for text in [
        "{\"channel\":\"a\",\"channel\":\"b\"}",
        "{\"data\":null,\"channel\":\"a\",\"data\":1}",
        "{\"ch\\u0061nnel\":\"a\",\"channel\":\"b\"}",
        "{\"ch\\u0061nnel\":\"\\u0061\",\"data\":\"\\ud800\"}",
        "{\"channel\":\"\\ud800\"}",
        "{\"data\":{\"\\ud800\":\"\"},\"channel\":\"a\"}",
        "\u{feff}{\"channel\":\"a\"}",
        "{\"channel\":\"a\"}\u{0}",
        "{\"channel\":\"a\",\"data\":1e400}",
        "{\"channel\":\"a\",\"data\":-}",
        "{\"channel\":\"a\",\"events\":null}",
        "{\"channel\":null,\"events\":[{\"channel\":\"a\",\"event\":null}]}",
        "{\"events\":[{\"channel\":null}]}",
        "{\"events\":[{\"channel\":\"a b\"},{\"channel\":5}]}",
        "{\"events\":[{\"channel\":\"a b\"},{\"x\":5}]}",
        "{\"events\":[[\"a\"]]}",
        "[\"a\"]",
        "{\"events\":[{\"channel\":\"a\"},{\"channel\":\"a\"},{\"channel\":\"a\"},{}]}",
        "{\"op\":\"publish\",\"id\":1,\"channel\":\"a\",\"data\":{\"op\":1}}",
        "{\"op\":\"publish\",\"channel\":\"a\",\"id\":18446744073709551615,\"x\":{\"y\":[]}}",
        "{\"\\u006fp\":\"\\u0070ing\",\"id\":0,\"data\":1,\"data\":2,\"events\":5}",
        "{\"op\":\"ping\",\"id\":null}",
    ] {
        check_body(text.as_bytes());
        check_frame(text);
        check_packet(&format!("[\"publish\",{text}]"));
        check_packet(&format!("[\"x\",{text},{text}]"));
    }
    let deep = |levels| format!("{{\"channel\":\"a\",\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    for levels in [61, 62, 63, 500, 100_000] {
        check_body(deep(levels).as_bytes());
        let frame = deep(levels).replace("{\"channel\"", "{\"op\":\"publish\",\"channel\"");
        match levels {
            // Before, what nobody asks for was as deep as it liked.
            64.. => assert!(parse_frame(&frame, &FRAME_LIMITS).is_err(), "{levels}"),
            _ => check_frame(&frame),
        }
        check_packet(&format!("[\"publish\",{}]", deep(levels)));
    }
    check_body(b"{\"channel\":\"a\",\"data\":\"\xff\"}");
    check_body(b"{\"channel\":\"a\",\"\xc3\":1}");
}

#[test]
fn a_frame_that_is_refused_for_a_member_of_the_wrong_kind_is_answered_with_its_id() {
    let error = parse_frame("{\"op\":\"subscribe\",\"channels\":\"a\",\"id\":7}", &FRAME_LIMITS)
        .expect_err("no list");
    assert_eq!(error.id, Some(7));
    assert_eq!(
        error.refusal.message,
        "the frame is no object of the protocol: \"channels\" is \"a\"; expected a list of names"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_publication_is_read_as_before(text in document()) {
        check_body(text.as_bytes());
        check_frame(&text);
        check_packet(&format!("[\"publish\",{text}]"));
    }

    #[test]
    fn a_broken_publication_is_refused_as_before(text in document(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = text.into_bytes();
        bytes.push(b' ');
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check_body(&bytes);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            check_frame(text);
            check_packet(&format!("[\"publish\",{text}]"));
        }
    }

    #[test]
    fn an_event_packet_is_read_as_before(values in prop::collection::vec(text(), 0..4), name in prop::sample::select(&["\"publish\"", "\"x\"", "7", "\"connect\"", "null"][..])) {
        check_packet(&format!("[{}]", std::iter::once(name).chain(values.iter().map(String::as_str)).collect::<Vec<_>>().join(",")));
        check_packet(&format!(" [ {name} , {} ] ", values.join(" , ")));
    }
}
