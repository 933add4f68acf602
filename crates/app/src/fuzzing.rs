//! What must hold for any body and any address, whichever application they are for: the bodies of fuzz
//! targets in `/fuzz`.

use axum::http::Uri;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    http::{Query, is_nested_deeper, list_of, read_json, read_members, read_text},
    time::in_calendar,
};

#[cfg(test)]
#[path = "../../../fuzz/smoke.rs"]
mod smoke;

/// Small, so that it is met often.
const ENTRIES_MAX: usize = 4;
const NESTING_MAX: usize = 64;

/// One of each kind of member.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default, deserialize_with = "entries")]
    list: Vec<u32>,
    count: Option<u64>,
    #[serde(rename = "text")]
    _text: Option<String>,
    #[serde(rename = "number")]
    _number: Option<f64>,
    #[serde(rename = "inner")]
    _inner: Option<Box<Body>>,
}

fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    list_of(deserializer, "list", ENTRIES_MAX)
}

/// The ways to read a body agree on what JSON is, and no list comes out longer than its limit.
pub fn body(data: &[u8]) {
    let text = read_text(data);
    let value = read_json::<Value>(data);
    let members = read_members(data);
    if let Ok(text) = text {
        assert!(!is_nested_deeper(text.get().as_bytes(), NESTING_MAX));
        assert!(
            data.ends_with(text.get().trim_end().as_bytes())
                || data.last().is_some_and(u8::is_ascii_whitespace)
        );
    }
    // What has a member twice is JSON, but not a body that could be understood.
    assert!(value.is_err() || text.is_ok());
    assert!(members.is_err() || text.is_ok());
    if let (Ok(Value::Object(object)), Ok(members)) = (&value, &members) {
        assert!(object.keys().eq(members.keys().map(AsRef::as_ref)));
    }
    assert!(!matches!(value, Ok(Value::Object(_))) || members.is_ok());
    if let Ok(body) = read_json::<Body>(data) {
        check_body(&body);
        let count = value.ok().and_then(|value| value["count"].as_f64());
        assert_eq!(body.count.map(|count| count as f64), count);
    }
}

fn check_body(body: &Body) {
    assert!(body.list.len() <= ENTRIES_MAX);
    if let Some(inner) = &body._inner {
        check_body(inner);
    }
}

/// A parameter is what the address says, within its range, or refused.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(uri) = format!("/?{text}").parse::<Uri>() else { return };
    let Ok(query) = Query::of(&uri) else { return };
    let names: Vec<&str> = query.iter().map(|(name, _)| name).collect();
    for name in names.iter().take(20).chain(&["absent"]) {
        let count = names.iter().filter(|other| *other == name).count();
        match query.text(name) {
            Ok(found) => assert_eq!(found.is_some(), count == 1),
            Err(_) => assert!(count > 1),
        }
        if let Ok(Some(number)) = query.number::<u64>(name, 3..=500) {
            assert!((3..=500).contains(&number));
        }
        if let Ok(Some(time)) = query.time(name) {
            assert!(in_calendar(time));
        }
        let words = [("open", 1), ("done", 2)];
        let word = query.one_of(name, &words).ok().flatten();
        assert!(
            word.is_none_or(|_| words.iter().any(|(word, _)| query.text(name).ok().flatten() == Some(*word)))
        );
        let _taken_or_refused = query.cursor(name);
    }
}

#[cfg(test)]
mod tests {
    use super::smoke::check;

    #[test]
    fn a_body_keeps_its_promises_for_any_bytes() {
        check("body", 5_000, super::body);
    }

    #[test]
    fn a_query_keeps_its_promises_for_any_text() {
        check("query", 5_000, super::query);
    }
}
