//! JSON out of other processes' messages, on its way into the log as the text that it is.
//!
//! Numbers, texts and the order of members stay as they were written. Only what the log reads as marks
//! changes: an object that looks like bytes gets one more `$`, and a placeholder becomes its bytes.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::emission::Refused;

/// Appends a value whose depth was checked. An attachment is put where its placeholder stands, once: copies
/// of one that many name would fill the memory.
pub(crate) fn write(
    value: &RawValue,
    attachments: &mut [Option<Vec<u8>>],
    out: &mut String,
) -> Result<(), Refused> {
    let may_be_placeholder = !attachments.is_empty() && value.get().contains("_placeholder");
    if !may_be_placeholder && !value.get().contains("$binary") {
        // A line break in a JSON text can only stand between tokens, where a space means the same.
        out.extend(value.get().chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
        return Ok(());
    }
    match value.get().as_bytes().first() {
        Some(b'{') => write_object(value, attachments, out),
        Some(b'[') => {
            let items: Vec<&RawValue> = read(value)?;
            out.push('[');
            for (place, item) in items.into_iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                write(item, attachments, out)?;
            }
            out.push(']');
            Ok(())
        }
        _ => {
            out.push_str(value.get());
            Ok(())
        }
    }
}

fn write_object(
    value: &RawValue,
    attachments: &mut [Option<Vec<u8>>],
    out: &mut String,
) -> Result<(), Refused> {
    if let Some(bytes) = placeholder(value).and_then(|number| attachments.get_mut(number)?.take()) {
        out.push_str("{\"$binary\":\"");
        BASE64_STANDARD.encode_string(bytes, out);
        out.push_str("\"}");
        return Ok(());
    }
    let Members(members) = read(value)?;
    let own_mark = looks_like_bytes(&members);
    out.push('{');
    for (place, (name, item)) in members.into_iter().enumerate() {
        out.push_str(if place > 0 { "," } else { "" });
        match own_mark {
            // Readers take it away again.
            true => out.extend(["\"$", &name.get()[1..]]),
            false => out.push_str(name.get()),
        }
        out.push(':');
        write(item, attachments, out)?;
    }
    out.push('}');
    Ok(())
}

/// The number in `{"_placeholder": true, "num": N}`.
pub(crate) fn placeholder(value: &RawValue) -> Option<usize> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Placeholder {
        #[serde(rename = "_placeholder")]
        is_one: bool,
        num: usize,
    }
    if !value.get().contains("_placeholder") {
        return None;
    }
    let found: Placeholder = serde_json::from_str(value.get()).ok()?;
    found.is_one.then_some(found.num)
}

/// Whether a value would be read as several arguments.
pub(crate) fn looks_like_arguments(value: &RawValue) -> bool {
    if !value.get().contains("$args") {
        return false;
    }
    let members = serde_json::from_str::<Members<'_>>(value.get());
    members.is_ok_and(|Members(members)| {
        matches!(members.as_slice(), [(name, list)] if name.get() == "\"$args\"" && list.get().starts_with('['))
    })
}

/// Whether an object of the emitter's own would be read as bytes, or as such an object with one `$` more.
fn looks_like_bytes(members: &[(&RawValue, &RawValue)]) -> bool {
    let [(name, text)] = members else { return false };
    let name = name.get().trim_matches('"');
    let is_name = name.starts_with('$') && name.trim_start_matches('$') == "binary";
    is_name && text.get().starts_with('"')
}

fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Result<T, Refused> {
    serde_json::from_str(value.get()).map_err(|error| Refused::Format(error.to_string()))
}

/// The members of an object as they are written, in their order.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Self, A::Error> {
        while let Some(member) = members.next_entry()? {
            self.0.push(member);
        }
        Ok(self)
    }
}
