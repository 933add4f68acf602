//! What python-socketio's `RedisManager` publishes: JSON since 5.14, pickled dictionaries before.
//!
//! ```text
//!  {"method": "emit", "event": …, "data": …, "binary": …, "namespace": …, "room": …,
//!   "skip_sid": …, "callback": …, "host_id": …}
//! ```
//!
//! Where `binary` stands, `data` is the list of arguments; with `"binary": true` it is a list of that list
//! with placeholders in it and of each attachment in base64. In versions that do not send it, `data` is the
//! one argument itself, or in a pickle a tuple of them.

use std::borrow::Cow;

use anywire_app::http::is_nested_deeper;
use anywire_log::Payload;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rmpv::Value;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    emission::{Emission, Refused},
    pickle::{self, Pickled},
    text,
    value::{self, DEPTH_MAX, ValueError},
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
    /// Absent in older versions.
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
    let Some(data) = data else { return Ok(none()) };
    match binary {
        None => packed(&[data], &mut []),
        Some(false) => match list_of(data)?.as_slice() {
            [one] if one.get() == "null" => Ok(none()),
            [] => Ok(none()),
            arguments => packed(arguments, &mut []),
        },
        Some(true) => with_attachments(data),
    }
}

/// Python's `None` for data means that there is none.
fn none() -> Payload {
    Payload::Json("{\"$args\":[]}".into())
}

/// The list of arguments with placeholders in it, and after it what they stand for.
fn with_attachments(data: &RawValue) -> Result<Payload, Refused> {
    let parts = list_of(data)?;
    let Some((arguments, attachments)) = parts.split_first() else {
        return Err(Refused::Format("its \"data\" is empty".to_owned()));
    };
    let mut attachments: Vec<Option<Vec<u8>>> =
        attachments.iter().map(|text| bytes_of(text).map(Some)).collect::<Result<_, _>>()?;
    let arguments = list_of(arguments)?;
    if let [one] = arguments.as_slice()
        && let Some(bytes) = text::placeholder(one).and_then(|number| attachments.get_mut(number)?.take())
    {
        return Ok(Payload::Binary(bytes.into()));
    }
    packed(&arguments, &mut attachments)
}

/// Arguments as the log keeps them; each text stays as it was written, but for what looks like our own marks.
fn packed(arguments: &[&RawValue], attachments: &mut [Option<Vec<u8>>]) -> Result<Payload, Refused> {
    if arguments.iter().any(|one| is_nested_deeper(one.get().as_bytes(), DEPTH_MAX)) {
        return Err(ValueError::Deep.into());
    }
    let mut out = String::new();
    match arguments {
        [one] if !text::looks_like_arguments(one) => text::write(one, attachments, &mut out)?,
        several => {
            out.push_str("{\"$args\":[");
            for (place, one) in several.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                text::write(one, attachments, &mut out)?;
            }
            out.push_str("]}");
        }
    }
    Ok(Payload::Json(out.into()))
}

fn list_of(text: &RawValue) -> Result<Vec<&RawValue>, Refused> {
    serde_json::from_str(text.get()).map_err(|_| Refused::Format("its \"data\" is no list".to_owned()))
}

fn bytes_of(text: &RawValue) -> Result<Vec<u8>, Refused> {
    let text: Cow<'_, str> = serde_json::from_str(text.get())
        .map_err(|_| Refused::Format("its attachment is no text".to_owned()))?;
    BASE64_STANDARD
        .decode(text.as_bytes())
        .map_err(|error| Refused::Format(format!("its attachment is no base64: {error}")))
}

fn read_pickled(bytes: &[u8]) -> Result<Emission<'static>, Refused> {
    let members = pickle::read_members(bytes, bytes.len().saturating_mul(GROWTH_MAX))?;
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, one)| one);
    let given = |name: &str| member(name).map(|one| &one.value).filter(|value| !value.is_nil());
    let text = |name: &str| given(name).and_then(Value::as_str).map(str::to_owned);
    let missing = |name: &str| Refused::Format(format!("it has no {name:?}"));
    let method = text("method").ok_or_else(|| missing("method"))?;
    let skips = given("skip_sid").is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()));
    may_be_published(&method, skips, given("callback").is_some())?;
    let rooms = match given("room") {
        None => Vec::new(),
        Some(Value::Array(rooms)) => rooms.iter().map(pickled_room).collect::<Result<_, _>>()?,
        Some(room) => vec![pickled_room(room)?],
    };
    let payload = match member("data") {
        None | Some(Pickled { value: Value::Nil, .. }) => none(),
        Some(Pickled { value: Value::Array(arguments), tuple: true }) => value::payload(arguments)?,
        Some(one) => value::payload(std::slice::from_ref(&one.value))?,
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

    fn json(text: &str) -> Payload {
        Payload::Json(text.to_owned().into())
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
        check(&message("[1, 2]"), Ok((json(r#"{"$args":[1,2]}"#), &["a"])));
        let typed = r#"{"z":1.10,"b":1E400,"c":9007199254740993,"d":-0.0,"e":"\u00e9","a":{"x":1,"x":2}}"#;
        check(&message(&format!("[{typed}]")), Ok((json(typed), &["a"])));
        check(&message("[null]"), Ok((none(), &["a"])));
        check(&message("[]"), Ok((none(), &["a"])));
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
    fn bytes_are_put_back_where_they_belong() {
        let message = |arguments: &str| {
            format!(r#"{{"method":"emit","event":"x","data":[{arguments},"AQID"],"binary":true,"room":"a"}}"#)
        };
        let alone = r#"[{"_placeholder":true,"num":0}]"#;
        check(&message(alone), Ok((Payload::Binary(vec![1, 2, 3].into()), &["a"])));
        let within = r#"[{"z":1,"f":{"num":0,"_placeholder":true}}]"#;
        check(&message(within), Ok((json(r#"{"z":1,"f":{"$binary":"AQID"}}"#), &["a"])));
        let twice = r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#;
        let once = r#"{"$args":[{"$binary":"AQID"},{"_placeholder":true,"num":0}]}"#;
        check(&message(twice), Ok((json(once), &["a"])));
    }

    #[test]
    fn texts_beside_bytes_stay_as_they_were_written() {
        let typed = r#"{"z":1.10,"b":1E400,"c":9007199254740993,"d":-0.0,"e":"\u00e9","a":{"x":1,"x":2}}"#;
        let data = format!(r#"[[{typed},{{"_placeholder":true,"num":0}}],"AQID"]"#);
        let message = format!(r#"{{"method":"emit","event":"x","data":{data},"binary":true}}"#);
        let packed = format!(r#"{{"$args":[{typed},{{"$binary":"AQID"}}]}}"#);
        assert_eq!(read(message.as_bytes()).expect("an emission").payload, Payload::Json(packed.into()));
    }

    #[test]
    fn what_looks_like_a_mark_of_ours_is_told_apart() {
        let message = |data: &str, binary: &str| {
            format!(r#"{{"method":"emit","event":"x","data":{data}{binary},"room":"a"}}"#)
        };
        let (old, new) = ("", r#","binary":false"#);
        let own = r#"{"$binary":"AQID"}"#;
        let escaped = r#"{"$$binary":"AQID"}"#;
        check(&message(own, old), Ok((json(escaped), &["a"])));
        check(&message(&format!("[{own}]"), new), Ok((json(escaped), &["a"])));
        let within = r#"[{"a":[{ "$$binary" : "AQID" }],"b":{"$binary":1}}]"#;
        let packed = r#"{"a":[{"$$$binary":"AQID"}],"b":{"$binary":1}}"#;
        check(&message(within, new), Ok((json(packed), &["a"])));
        let both = r#"[[{"$binary":"x"},{"_placeholder":true,"num":0}],"AQID"]"#;
        let packed = r#"{"$args":[{"$$binary":"x"},{"$binary":"AQID"}]}"#;
        check(&message(both, r#","binary":true"#), Ok((json(packed), &["a"])));
        let arguments = r#"{"$args":[1]}"#;
        let packed = r#"{"$args":[{"$args":[1]}]}"#;
        check(&message(arguments, old), Ok((json(packed), &["a"])));
        check(&message(&format!("[{arguments}]"), new), Ok((json(packed), &["a"])));
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
        assert_eq!((&*emission.event, emission.payload), ("e", json(r#"{"$args":[1,"z"]}"#)));
        assert_eq!(emission.rooms, ["r"]);
    }
}
