//! What `@socket.io/redis-emitter` (and a Socket.IO server's Redis adapter) publishes: MessagePack.
//!
//! ```text
//!  channel  socket.io#/chat#            to everybody, or to several rooms
//!           socket.io#/chat#room#       to one room
//!  message  [uid, {type, data: [event, …arguments], nsp}, {rooms, except, flags}]
//! ```
//!
//! The message alone says what is meant; the channel's name repeats a part of it, for servers that have
//! nobody in the room.

use std::borrow::Cow;

use anywire_log::Payload;
use rmpv::Value;

use crate::{
    emission::{Emission, Refused},
    value::{self, DEPTH_MAX},
};

/// Socket.IO's packet types for events, without and with bytes.
const EVENTS: [u64; 2] = [2, 5];
/// Levels around an event's data in a message.
const ENVELOPE_LEVELS: usize = 4;

/// Reads one message.
pub(crate) fn read(mut bytes: &[u8]) -> Result<Emission<'static>, Refused> {
    // The decoder counts two for a container: one for the value, one for what is in it.
    let depth = 2 * (DEPTH_MAX + ENVELOPE_LEVELS);
    let message = rmpv::decode::read_value_with_max_depth(&mut bytes, depth)
        .map_err(|error| Refused::Format(error.to_string()))?;
    if !bytes.is_empty() {
        return Err(format("something follows the message"));
    }
    let Value::Array(parts) = message else { return Err(format("it is no list")) };
    let Ok([_uid, packet, options]) = <[Value; 3]>::try_from(parts) else {
        return Err(format("it is no list of three"));
    };
    if !list(&options, "except")?.is_empty() {
        return Err(Refused::Except("except"));
    }
    let kind = member(&packet, "type").and_then(Value::as_u64);
    if !kind.is_some_and(|kind| EVENTS.contains(&kind)) {
        return Err(format("its packet is no event"));
    }
    let namespace = member(&packet, "nsp").and_then(Value::as_str).unwrap_or("/").to_owned();
    let rooms = list(&options, "rooms")?.iter().map(room).collect::<Result<_, _>>()?;
    let (event, payload) = match member(&packet, "data") {
        Some(Value::Array(data)) => event(data)?,
        _ => return Err(format("its packet has no list \"data\"")),
    };
    Ok(Emission { namespace: namespace.into(), event: event.into(), payload, rooms })
}

fn event(data: &[Value]) -> Result<(String, Payload), Refused> {
    let (name, arguments) = data.split_first().ok_or_else(|| format("its data is empty"))?;
    let name = name.as_str().ok_or_else(|| format("its event has no name"))?;
    Ok((name.to_owned(), value::payload(arguments)?))
}

fn room(value: &Value) -> Result<Cow<'static, str>, Refused> {
    match value {
        Value::String(text) => match text.as_str() {
            Some(text) => Ok(text.to_owned().into()),
            None => Err(format("a room is not UTF-8")),
        },
        Value::Integer(number) => Ok(number.to_string().into()),
        _ => Err(format("a room is neither a text nor a number")),
    }
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_map()?.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// A list in the options; absent counts as empty.
fn list<'a>(options: &'a Value, name: &str) -> Result<&'a [Value], Refused> {
    match member(options, name) {
        None | Some(Value::Nil) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(Refused::Format(format!("its option {name:?} is no list"))),
    }
}

fn format(what: &str) -> Refused {
    Refused::Format(what.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What emitter 5.1 wrote for `emitter.of("/chat").to("news").emit("news", {id: 1, d: new
    /// Date(1700000000123), f: 1.5, neg: -3, big: 2 ** 40, t: true, n: null, l: ["a"]})`.
    const TO_A_ROOM: &str = "93a7656d697474657283a47479706502a46461746192a46e65777388a2696401a164d7ff1d5353006553f100a166cb3ff8000000000000a36e6567fda3626967cf0000010000000000a174c3a16ec0a16c91a161a36e7370a52f6368617483a5726f6f6d7391a46e657773a5666c61677380a665786365707490";
    /// The same for `emitter.volatile.emit("file", Buffer.from([1, 2, 3]))`.
    const BYTES: &str = "93a7656d697474657283a47479706502a46461746192a466696c65c403010203a36e7370a12f83a5726f6f6d7390a5666c61677381a8766f6c6174696c65c3a665786365707490";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits"))
            .collect()
    }

    fn message(packet: &str, options: &str) -> Result<Emission<'static>, Refused> {
        let text = format!("[\"emitter\",{packet},{options}]");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &pack(&value)).expect("writing to memory");
        read(&bytes)
    }

    fn pack(value: &serde_json::Value) -> Value {
        match value {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(truth) => (*truth).into(),
            serde_json::Value::Number(number) => number.as_i64().expect("a whole number").into(),
            serde_json::Value::String(text) => text.as_str().into(),
            serde_json::Value::Array(items) => items.iter().map(pack).collect::<Vec<_>>().into(),
            serde_json::Value::Object(members) => {
                Value::Map(members.iter().map(|(key, value)| (key.as_str().into(), pack(value))).collect())
            }
        }
    }

    #[test]
    fn an_event_for_a_room_keeps_its_name_and_data() {
        let emission = read(&bytes(TO_A_ROOM)).expect("a message");
        let data = r#"{"id":1,"d":"2023-11-14T22:13:20.123Z","f":1.5,"neg":-3,"big":1099511627776,"t":true,"n":null,"l":["a"]}"#;
        assert_eq!(emission.payload, Payload::Json(data.into()));
        assert_eq!((&*emission.namespace, &*emission.event), ("/chat", "news"));
        assert_eq!(emission.rooms, ["news"]);
    }

    #[test]
    fn bytes_alone_stay_bytes() {
        let emission = read(&bytes(BYTES)).expect("a message");
        assert_eq!(emission.payload, Payload::Binary(vec![1, 2, 3].into()));
        assert_eq!((&*emission.event, emission.rooms.len()), ("file", 0));
    }

    #[test]
    fn none_and_several_arguments_stand_as_those_of_clients() {
        let data = |arguments: &str| {
            let packet = format!(r#"{{"type":2,"data":["x"{arguments}],"nsp":"/"}}"#);
            message(&packet, r#"{"rooms":[7]}"#)
                .map(|emission| (emission.payload, emission.rooms[0].to_string()))
        };
        assert_eq!(data(""), Ok((Payload::Json(r#"{"$args":[]}"#.into()), "7".into())));
        assert_eq!(data(r#",1,"b""#), Ok((Payload::Json(r#"{"$args":[1,"b"]}"#.into()), "7".into())));
    }

    #[test]
    fn what_a_log_cannot_do_is_refused_with_the_reason() {
        let refusal =
            |packet: &str, options: &str| message(packet, options).expect_err("refused").to_string();
        let packet = r#"{"type":2,"data":["x"],"nsp":"/"}"#;
        assert!(refusal(packet, r#"{"rooms":["a"],"except":["b"]}"#).contains("leaves some clients out"));
        assert!(refusal(packet, r#"{"rooms":"a"}"#).contains("no list"));
        assert!(refusal(r#"{"type":0,"data":["x"]}"#, "{}").contains("no event"));
        assert!(refusal(r#"{"type":2,"data":[]}"#, "{}").contains("empty"));
        assert!(refusal(r#"{"type":2}"#, "{}").contains("no list"));
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |levels: usize| {
            let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            message(&format!(r#"{{"type":2,"data":["x",{text}],"nsp":"/"}}"#), "{}")
        };
        assert!(nested(DEPTH_MAX).is_ok());
        assert!(nested(DEPTH_MAX + 2).is_err());
        assert!(read(&[0x91; 100_000]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = read(&bytes);
        }

        #[test]
        fn a_changed_message_is_read_or_refused(at in 0..TO_A_ROOM.len() / 2, change: u8) {
            let mut changed = bytes(TO_A_ROOM);
            changed[at] = change;
            let _read = read(&changed);
        }
    }
}
