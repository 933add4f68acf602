//! Values out of MessagePack and pickle, as the payload of an event.
//!
//! What JSON has no word for stands in the log as Socket.IO's own clients' events do: bytes within other data
//! are `{"$binary":"<base64>"}`, none or several arguments are `{"$args":[…]}`. An object of the emitter's
//! own that looks like one of them is told apart.

use anywire_log::Payload;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rmpv::Value;

/// How deep values may lie in each other, as everywhere: JSON parsers of browsers and back ends take at
/// least this.
pub(crate) const DEPTH_MAX: usize = 63;
/// MessagePack's extension type for times.
const TIMESTAMP: i8 = -1;

/// Why a value has no JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("it holds text that is not UTF-8")]
    Text,
    #[error("it holds an object whose key is neither a text nor a number")]
    Key,
    #[error("it holds a MessagePack extension of type {0}, which is none of JSON's kinds")]
    Extension(i8),
    #[error("it is deeper than {DEPTH_MAX} levels")]
    Deep,
}

/// The payload of an event's arguments.
pub(crate) fn payload(arguments: &[Value]) -> Result<Payload, ValueError> {
    let mut text = String::new();
    match arguments {
        [Value::Binary(bytes)] => return Ok(Payload::Binary(bytes.clone().into())),
        [one] if !looks_like_arguments(one) => write_json(one, &mut text, 0)?,
        several => {
            text.push_str("{\"$args\":");
            write_list('[', ']', several, &mut text, |one, text| write_json(one, text, 0))?;
            text.push('}');
        }
    }
    Ok(Payload::Json(text.into()))
}

/// Appends a value's JSON text.
pub(crate) fn write_json(value: &Value, out: &mut String, depth: usize) -> Result<(), ValueError> {
    if depth > DEPTH_MAX {
        return Err(ValueError::Deep);
    }
    match value {
        Value::Nil => out.push_str("null"),
        Value::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::F32(number) => write_float(f64::from(*number), out),
        Value::F64(number) => write_float(*number, out),
        Value::String(text) => write_text(text.as_str().ok_or(ValueError::Text)?, out),
        Value::Binary(bytes) => {
            out.push_str("{\"$binary\":\"");
            BASE64_STANDARD.encode_string(bytes, out);
            out.push_str("\"}");
        }
        Value::Ext(TIMESTAMP, bytes) => {
            write_text(&time(bytes).ok_or(ValueError::Extension(TIMESTAMP))?, out)
        }
        Value::Ext(kind, _) => return Err(ValueError::Extension(*kind)),
        Value::Array(items) => {
            let each = |item: &Value, out: &mut String| write_json(item, out, depth + 1);
            write_list('[', ']', items, out, each)?;
        }
        Value::Map(members) => {
            let own_marker = looks_like_bytes(members);
            let each = |(key, item): &(Value, Value), out: &mut String| {
                write_key(key, out)?;
                if own_marker {
                    // Behind the quote: one more `$`, which readers take away again.
                    let quote = out.rfind("\"$").map_or(out.len(), |at| at + 1);
                    out.insert(quote, '$');
                }
                out.push(':');
                write_json(item, out, depth + 1)
            };
            write_list('{', '}', members, out, each)?;
        }
    }
    Ok(())
}

/// Whether an object of the emitter's own would be read as bytes, or as such an object with one `$` more.
fn looks_like_bytes(members: &[(Value, Value)]) -> bool {
    let [(key, Value::String(_))] = members else { return false };
    key.as_str().is_some_and(|key| key.starts_with('$') && key.trim_start_matches('$') == "binary")
}

/// Whether a value would be read as several arguments.
fn looks_like_arguments(value: &Value) -> bool {
    let Value::Map(members) = value else { return false };
    matches!(members.as_slice(), [(key, Value::Array(_))] if key.as_str() == Some("$args"))
}

fn write_list<T>(
    open: char,
    close: char,
    items: &[T],
    out: &mut String,
    each: impl Fn(&T, &mut String) -> Result<(), ValueError>,
) -> Result<(), ValueError> {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out)?;
    }
    out.push(close);
    Ok(())
}

fn write_key(key: &Value, out: &mut String) -> Result<(), ValueError> {
    match key {
        Value::String(text) => write_text(text.as_str().ok_or(ValueError::Text)?, out),
        Value::Integer(number) => write_text(&number.to_string(), out),
        _ => return Err(ValueError::Key),
    }
    Ok(())
}

fn write_text(text: &str, out: &mut String) {
    // A text always has a JSON form.
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// JSON has no infinity and no not-a-number; `JSON.stringify` writes null for them.
fn write_float(number: f64, out: &mut String) {
    match serde_json::Number::from_f64(number) {
        Some(number) => out.push_str(&number.to_string()),
        None => out.push_str("null"),
    }
}

/// A time as `Date.toJSON` writes it: ISO-8601 in UTC with milliseconds.
///
/// ```text
///  4 bytes  ssssssss                      seconds
///  8 bytes  nnnnnnnn nnnnnnss ssssssss …  30 bits of nanoseconds, 34 of seconds
/// 12 bytes  nnnnnnnn ssssssss ssssssss    nanoseconds, then signed seconds
/// ```
fn time(bytes: &[u8]) -> Option<String> {
    let (seconds, nanoseconds) = match bytes.len() {
        4 => (i64::from(u32::from_be_bytes(bytes.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(bytes.try_into().ok()?);
            (i64::try_from(both & 0x3_ffff_ffff).ok()?, u32::try_from(both >> 34).ok()?)
        }
        12 => {
            let (nanoseconds, seconds) = bytes.split_at(4);
            let nanoseconds = u32::from_be_bytes(nanoseconds.try_into().ok()?);
            (i64::from_be_bytes(seconds.try_into().ok()?), nanoseconds)
        }
        _ => return None,
    };
    let time = jiff::Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value, expected: Result<&str, ValueError>) {
        let mut out = String::new();
        let written = write_json(&value, &mut out, 0);
        assert_eq!(written.map(|()| out.as_str()), expected);
    }

    #[test]
    fn every_kind_of_value_looks_as_javascript_would_write_it() {
        check(Value::Nil, Ok("null"));
        check(Value::from(-3), Ok("-3"));
        check(Value::from(u64::MAX), Ok("18446744073709551615"));
        check(Value::from(1.5), Ok("1.5"));
        check(Value::from(f64::NAN), Ok("null"));
        check(Value::from("ố\"\n"), Ok(r#""ố\"\n""#));
        let map =
            Value::Map(vec![(Value::from("b"), Value::Array(vec![true.into()])), (7.into(), Value::Nil)]);
        check(map, Ok(r#"{"b":[true],"7":null}"#));
        check(Value::Array(vec![Value::Binary(vec![0, 1, 2])]), Ok(r#"[{"$binary":"AAEC"}]"#));
    }

    #[test]
    fn an_object_that_looks_like_ours_is_told_apart() {
        let map = |key: &str, value: Value| Value::Map(vec![(Value::from(key), value)]);
        check(map("$binary", "AAEC".into()), Ok(r#"{"$$binary":"AAEC"}"#));
        check(map("$$binary", "$x".into()), Ok(r#"{"$$$binary":"$x"}"#));
        check(map("$binary", 1.into()), Ok(r#"{"$binary":1}"#));
        check(map("a", map("$binary", "AAEC".into())), Ok(r#"{"a":{"$$binary":"AAEC"}}"#));
        let own = map("$args", Value::Array(vec![1.into()]));
        assert_eq!(payload(&[own]), Ok(Payload::Json(r#"{"$args":[{"$args":[1]}]}"#.into())));
    }

    #[test]
    fn times_of_every_length_are_iso_texts() {
        check(Value::Ext(-1, vec![0x65, 0x53, 0xf1, 0x00]), Ok("\"2023-11-14T22:13:20.000Z\""));
        let eight = vec![0x1d, 0x53, 0x53, 0x00, 0x65, 0x53, 0xf1, 0x00];
        check(Value::Ext(-1, eight), Ok("\"2023-11-14T22:13:20.123Z\""));
        let twelve = vec![0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        check(Value::Ext(-1, twelve), Ok("\"1969-12-31T23:59:59.000Z\""));
        check(Value::Ext(-1, vec![1]), Err(ValueError::Extension(-1)));
        check(Value::Ext(5, vec![1]), Err(ValueError::Extension(5)));
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        check(Value::Map(vec![(Value::Nil, Value::Nil)]), Err(ValueError::Key));
        let deep = (0..=DEPTH_MAX).fold(Value::Nil, |inner, _| Value::Array(vec![inner]));
        check(deep, Err(ValueError::Deep));
    }
}
