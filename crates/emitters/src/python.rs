//! What python-socketio's `RedisManager` publishes: JSON since 5.14, pickled dictionaries before.
//!
//! ```text
//!  {"method": "emit", "event": …, "data": …, "binary": …, "namespace": …, "room": …, "skip_sid": …, "callback": …, "host_id": …}
//! ```
//!
//! Where `binary` stands (5.15 and newer), `data` is the list of arguments; with `"binary": true` it is that list with placeholders,
//! followed by each attachment in base64. Without it, `data` is the one argument itself, or in a pickle a tuple of them.
//!
//! Knows: this shape. Does not know: channels of the log.

use std::borrow::Cow;

use anywire_log::Payload;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rmpv::Value;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    emission::{Emission, Refused},
    node, pickle,
    pickle::Pickled,
    value::ValueError,
};

/// What a pickle of protocol 2 and newer begins with. No JSON text does.
const PICKLED: u8 = 0x80;
/// How much larger than its bytes a pickled message may be in memory.
const GROWTH_MAX: usize = 4;

/// Reads one message.
pub(crate) fn read(bytes: &[u8]) -> Result<Emission<'_>, Refused> {
    if bytes.first() == Some(&PICKLED) {
        return read_pickled(bytes);
    }
    let message: Message<'_> =
        serde_json::from_slice(bytes).map_err(|error| Refused::Format(error.to_string()))?;
    may_be_published(&message.method, is_given(message.skip_sid), is_given(message.callback))?;
    let payload = payload(message.data, message.binary)?;
    let event = message.event.ok_or_else(|| Refused::Format("it has no \"event\"".to_owned()))?;
    let rooms = message.room.map_or(Vec::new(), Rooms::into_list);
    Ok(Emission { namespace: message.namespace.unwrap_or("/".into()), event, payload, rooms })
}

#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    /// Absent before 5.15.
    #[serde(default)]
    binary: Option<bool>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    room: Option<Rooms<'a>>,
    #[serde(borrow, default)]
    skip_sid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    callback: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Rooms<'a> {
    One(Room<'a>),
    Several(#[serde(borrow)] Vec<Room<'a>>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Room<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Number(i64),
}

impl<'a> Rooms<'a> {
    fn into_list(self) -> Vec<Cow<'a, str>> {
        let name = |room| match room {
            Room::Text(text) => text,
            Room::Number(number) => Cow::Owned(number.to_string()),
        };
        match self {
            Self::One(room) => vec![name(room)],
            Self::Several(rooms) => rooms.into_iter().map(name).collect(),
        }
    }
}

fn is_given(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| !matches!(value.get(), "null" | "[]"))
}

fn may_be_published(method: &str, skips: bool, calls_back: bool) -> Result<(), Refused> {
    if method != "emit" {
        return Err(Refused::Request(method.to_owned()));
    }
    if skips {
        return Err(Refused::Except("skip_sid"));
    }
    if calls_back { Err(Refused::Acknowledgement) } else { Ok(()) }
}

/// The payload; the JSON text of one argument stays as it was written.
fn payload(data: Option<&RawValue>, binary: Option<bool>) -> Result<Payload, Refused> {
    let Some(data) = data else { return Ok(Payload::null()) };
    match binary {
        None => Ok(json(data)),
        Some(false) => match list_of(data)?.as_slice() {
            [] => Ok(Payload::null()),
            [one] => Ok(json(one)),
            _ => Ok(json(data)),
        },
        Some(true) => match list_of(data)?.as_slice() {
            [arguments, attachment] if is_one_placeholder(arguments) => attachment_bytes(attachment),
            _ => Err(ValueError::Bytes.into()),
        },
    }
}

fn list_of(text: &RawValue) -> Result<Vec<&RawValue>, Refused> {
    serde_json::from_str(text.get()).map_err(|_| Refused::Format("its \"data\" is no list".to_owned()))
}

fn json(text: &RawValue) -> Payload {
    // A line break in a JSON text can only stand between tokens, where a space means the same.
    let one_line: Vec<u8> =
        text.get().bytes().map(|c| if matches!(c, b'\n' | b'\r') { b' ' } else { c }).collect();
    Payload::Json(one_line.into())
}

/// Whether the arguments are nothing but one attachment.
fn is_one_placeholder(arguments: &RawValue) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Placeholder {
        #[serde(rename = "_placeholder")]
        placeholder: bool,
        num: u32,
    }
    serde_json::from_str::<[Placeholder; 1]>(arguments.get())
        .is_ok_and(|[one]| one.placeholder && one.num == 0)
}

fn attachment_bytes(text: &RawValue) -> Result<Payload, Refused> {
    let text: Cow<'_, str> = serde_json::from_str(text.get())
        .map_err(|_| Refused::Format("its attachment is no text".to_owned()))?;
    let bytes = BASE64_STANDARD
        .decode(text.as_bytes())
        .map_err(|error| Refused::Format(format!("its attachment is no base64: {error}")))?;
    Ok(Payload::Binary(bytes.into()))
}

fn read_pickled(bytes: &[u8]) -> Result<Emission<'static>, Refused> {
    let members = pickle::read_members(bytes, bytes.len().saturating_mul(GROWTH_MAX))?;
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, one)| one);
    let value = |name: &str| member(name).map(|one| &one.value).filter(|value| !value.is_nil());
    let text = |name: &str| value(name).and_then(Value::as_str).map(str::to_owned);
    let missing = |name: &str| Refused::Format(format!("it has no {name:?}"));
    let method = text("method").ok_or_else(|| missing("method"))?;
    let skips = value("skip_sid").is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()));
    may_be_published(&method, skips, value("callback").is_some())?;
    let rooms = match value("room") {
        None => Vec::new(),
        Some(Value::Array(rooms)) => rooms.iter().map(pickled_room).collect::<Result<_, _>>()?,
        Some(room) => vec![pickled_room(room)?],
    };
    let payload = match member("data") {
        None => Payload::null(),
        Some(Pickled { value: Value::Array(arguments), tuple: true }) => node::payload(arguments)?,
        Some(one) => node::payload(std::slice::from_ref(&one.value))?,
    };
    Ok(Emission {
        namespace: text("namespace").unwrap_or_else(|| "/".to_owned()).into(),
        event: text("event").ok_or_else(|| missing("event"))?.into(),
        payload,
        rooms,
    })
}

fn pickled_room(room: &Value) -> Result<Cow<'static, str>, Refused> {
    match (room.as_str(), room.as_i64()) {
        (Some(text), _) => Ok(text.to_owned().into()),
        (None, Some(number)) => Ok(number.to_string().into()),
        (None, None) => Err(Refused::Format("a room is neither a text nor a number".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: Result<(Payload, &[&str]), &str>) {
        match (read(message.as_bytes()), expected) {
            (Ok(emission), Ok((payload, rooms))) => {
                assert_eq!(emission.payload, payload, "{message}");
                assert_eq!(emission.rooms, rooms, "{message}");
            }
            (Err(refused), Err(part)) => {
                assert!(refused.to_string().contains(part), "{refused} has no {part:?}");
            }
            (read, expected) => panic!("{read:?}, expected {expected:?} of {message}"),
        }
    }

    fn json(text: &'static str) -> Payload {
        Payload::Json(text.into())
    }

    #[test]
    fn the_newest_format_keeps_the_text_of_the_data() {
        let message = |data: &str| {
            format!(
                r#"{{"method": "emit", "event": "news", "data": {data}, "binary": false, "namespace": "/", "room": "a", "skip_sid": null, "callback": null, "host_id": "0"}}"#
            )
        };
        check(
            &message(r#"[{"b": 1.50, "a": "\u1ed1"}]"#),
            Ok((json(r#"{"b": 1.50, "a": "\u1ed1"}"#), &["a"])),
        );
        check(&message("[[1, 2]]"), Ok((json("[1, 2]"), &["a"])));
        check(&message("[1, 2]"), Ok((json("[1, 2]"), &["a"])));
        check(&message("[null]"), Ok((Payload::null(), &["a"])));
        check(&message("[]"), Ok((Payload::null(), &["a"])));
        check(&message("{}"), Err("no list"));
    }

    #[test]
    fn the_format_of_5_14_has_the_argument_itself() {
        let message = r#"{"method": "emit", "event": "news", "data": [1, 2], "namespace": "/", "room": null, "skip_sid": null, "callback": null, "host_id": "0"}"#;
        check(message, Ok((json("[1, 2]"), &[])));
    }

    #[test]
    fn rooms_are_texts_numbers_or_lists_of_them() {
        let message = |room: &str| format!(r#"{{"method":"emit","event":"x","data":1,"room":{room}}}"#);
        check(&message("7"), Ok((json("1"), &["7"])));
        check(&message(r#"["a",7]"#), Ok((json("1"), &["a", "7"])));
        check(&message("{}"), Err("no message of this kind"));
    }

    #[test]
    fn bytes_alone_stay_bytes() {
        let message = |arguments: &str| {
            format!(r#"{{"method":"emit","event":"x","data":[{arguments},"AQID"],"binary":true,"room":"a"}}"#)
        };
        let alone = r#"[{"_placeholder":true,"num":0}]"#;
        check(&message(alone), Ok((Payload::Binary(vec![1, 2, 3].into()), &["a"])));
        check(&message(r#"[{"f":{"_placeholder":true,"num":0}}]"#), Err("bytes beside other data"));
    }

    #[test]
    fn what_only_a_server_can_do_is_refused_with_the_reason() {
        check(r#"{"method":"disconnect","sid":"1"}"#, Err("asks for \"disconnect\""));
        check(r#"{"method":"emit","event":"x","data":1,"skip_sid":"1"}"#, Err("leaves some clients out"));
        check(r#"{"method":"emit","event":"x","data":1,"callback":["a","/",1]}"#, Err("acknowledgement"));
        check(r#"{"method":"emit","data":1}"#, Err("no \"event\""));
        check("{", Err("no message of this kind"));
    }

    #[test]
    fn an_old_pickled_message_is_read() {
        // {'method': 'emit', 'event': 'e', 'data': (1, 'z'), 'namespace': '/', 'room': 'r'}
        let pickled = b"\x80\x04}(\x8c\x06method\x8c\x04emit\x8c\x05event\x8c\x01e\x8c\x04dataK\x01\x8c\x01z\x86\x8c\tnamespace\x8c\x01/\x8c\x04room\x8c\x01ru.";
        let emission = read(pickled).expect("plain values");
        assert_eq!((&*emission.event, emission.payload), ("e", json(r#"[1,"z"]"#)));
        assert_eq!(emission.rooms, ["r"]);
    }
}
