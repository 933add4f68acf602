//! Bodies of requests as typed values. JSON has one kind of number: `3.0` is the whole number 3. An object
//! that has a member twice says two things, and is refused.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    fmt,
};

use anywire_codes::Code;
use axum::{
    RequestExt,
    body::{Bytes, HttpBody},
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{ApiError, invalid};

/// Up to here a double holds every whole number; a greater one may have been another.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// How deep a body may be nested: as an event with the message around it.
const NESTING_MAX: usize = 64;

/// Reads a body; a whole number may be written with a fraction of zero, as JSON Schema has it.
///
/// # Errors
/// What does not fit, and where: what is no JSON, no UTF-8, or has a member twice, at any depth.
pub fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let body = without_mark(body)?;
    check_json(body)?;
    // Nearly every body fits as it is; the way around costs a second look and loses the place of an error.
    serde_json::from_slice(body).or_else(|error| {
        let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return Err(error) };
        whole_numbers(&mut value);
        T::deserialize(value).map_err(|_| error)
    })
}

/// Reads any JSON in UTF-8 as the text that it is: nothing is changed, and no number is too great.
///
/// # Errors
/// What is no JSON or no UTF-8, and where; what is nested too deep.
pub fn read_text(body: &[u8]) -> Result<&RawValue, serde_json::Error> {
    serde_json::from_slice(without_mark(body)?)
}

/// Reads an object; each of its members stays the text that it is.
///
/// # Errors
/// As [`read_text`]; what is no object, or has a member twice: what stands within members is others'.
pub fn read_members(body: &[u8]) -> Result<BTreeMap<Cow<'_, str>, &RawValue>, serde_json::Error> {
    let Members(members) = serde_json::from_slice(without_mark(body)?)?;
    Ok(members)
}

/// A body that is not nested too deep, without the byte order mark that some programs put in front.
fn without_mark(body: &[u8]) -> Result<&[u8], serde_json::Error> {
    if is_nested_deeper(body, NESTING_MAX) {
        return Err(serde::de::Error::custom(format!("it is nested deeper than {NESTING_MAX} levels")));
    }
    Ok(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

/// The members of an object, each there once.
struct Members<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(BTreeMap::new()))
    }
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Self, A::Error> {
        while let Some(Name(name)) = members.next_key()? {
            if self.0.contains_key(&name) {
                return Err(A::Error::custom(format_args!("member {name:?} stands in it twice")));
            }
            self.0.insert(name, members.next_value()?);
        }
        Ok(self)
    }
}

/// Checks that a body is JSON in UTF-8 whose objects have each member once.
fn check_json(body: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice(body).map(|Unambiguous| ())
}

/// Any JSON value in which no object has a member twice. Every text of it is read, so each is UTF-8.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _value: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(Name(name)) = members.next_key()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("member {name:?} stands in it twice")));
            }
            names.insert(name);
            members.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// The name of a member, borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A body as an extractor; give it to [`whole_body`]. One whose length says that it is too much for the
/// route's `DefaultBodyLimit` is not asked for: a client that waits for `100 Continue` keeps it.
#[derive(Debug)]
pub struct Body(Result<Bytes, Fault>);

/// Why a body is not here.
#[derive(Debug)]
enum Fault {
    TooLarge,
    Broken,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let announced = request.body().size_hint().lower();
        let request = request.with_limited_body();
        if request.body().size_hint().upper().is_some_and(|limit| announced > limit) {
            return Ok(Self(Err(Fault::TooLarge)));
        }
        let taken = Bytes::from_request(request, state).await;
        Ok(Self(taken.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Fault::TooLarge,
            _ => Fault::Broken,
        })))
    }
}

/// What was sent, if it came whole and is not too much for the route's `DefaultBodyLimit`.
///
/// # Errors
/// `too_large`, with the limit and what to do; `body_broken`.
pub fn whole_body(body: Body, bytes_max: usize, way_out: &str) -> Result<Bytes, ApiError> {
    body.0.map_err(|fault| match fault {
        Fault::TooLarge => {
            let message = format!("the body has more than {bytes_max} bytes; {way_out}");
            ApiError::new(Code::TooLarge, message)
        }
        Fault::Broken => ApiError::new(Code::BodyBroken, "the body broke off; send it again"),
    })
}

/// Reads a body that should be `what`, such as "a report".
///
/// # Errors
/// `invalid_request`, with what does not fit, and where.
pub fn parse_json<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, ApiError> {
    read_json(body).map_err(|error| invalid(format!("the body is not {what}: {error}")))
}

/// The whole number from 0 that a value is, written `3` or `3.0`.
#[must_use]
pub fn whole_number(value: &Value) -> Option<u64> {
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(number);
    value.as_u64().or_else(|| Some(value.as_f64().filter(whole)? as u64))
}

/// Whether a JSON text has more levels of objects and lists than that.
#[must_use]
pub fn is_nested_deeper(text: &[u8], levels_max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    text.iter().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > levels_max
    })
}

fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(whole) = whole_number(value) {
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Counts {
        count: u32,
        share: f64,
        more: Vec<Option<u64>>,
    }

    #[test]
    fn a_whole_number_with_a_fraction_of_zero_is_one() {
        let read: Counts = read_json(br#"{"count":3.0,"share":2.0,"more":[4e2,null,5]}"#).expect("counts");
        assert_eq!(read, Counts { count: 3, share: 2.0, more: vec![Some(400), None, Some(5)] });
    }

    #[test]
    fn a_body_is_nested_as_deep_as_an_event_may_be() {
        let nested = |levels: usize| format!("{}\"[{{\\\"[\"{}", "[".repeat(levels), "]".repeat(levels));
        read_json::<Value>(nested(64).as_bytes()).expect("64 levels");
        for levels in [65, 100_000] {
            let error = read_json::<Value>(nested(levels).as_bytes()).expect_err("too deep").to_string();
            assert!(error.contains("64 levels"), "{error}");
        }
    }

    #[test]
    fn members_and_texts_stay_as_they_were_typed() {
        let typed = r#"{"b":1E400,"a":[1.10, -0.0,9007199254740993,"\u00e9"],"c":{"x":1,"x":2}}"#;
        assert_eq!(read_text(typed.as_bytes()).expect("JSON").get(), typed);
        let members = read_members(typed.as_bytes()).expect("members");
        assert_eq!(members["a"].get(), r#"[1.10, -0.0,9007199254740993,"\u00e9"]"#);
        assert_eq!((members["b"].get(), members["c"].get()), ("1E400", r#"{"x":1,"x":2}"#));
        for body in ["[]", "{\"a\":1,\"\\u0061\":2}", "{\"a\":01}", "{\"a\":1} {"] {
            read_members(body.as_bytes()).expect_err(body);
        }
        read_members(b"{\"a\":\"\xff\"}").expect_err("no UTF-8");
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
        read_members(deep.as_bytes()).expect_err("65 levels");
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let text = "\u{feff}{\"count\":3,\"share\":2,\"more\":[]}";
        assert_eq!(read_json::<Counts>(text.as_bytes()).expect("counts").count, 3);
    }

    #[test]
    fn a_fraction_a_sign_and_a_number_beyond_what_is_exact_are_none() {
        for value in [json!(3.5), json!(-1), json!(-1.0), json!(1e16), json!("3"), json!(null)] {
            assert_eq!(whole_number(&value), None, "{value}");
        }
        assert_eq!(whole_number(&json!(-0.0)), Some(0));
        assert_eq!(whole_number(&json!(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn an_object_with_a_member_twice_is_refused_at_any_depth() {
        for body in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":[{"c":1,"d":2,"c":null}]}}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"a":"x","a":"y"}]"#,
        ] {
            let error = read_json::<Value>(body.as_bytes()).expect_err(body).to_string();
            assert!(error.contains("stands in it twice at line 1 column"), "{error}");
        }
        let same_names_elsewhere = br#"{"a":{"a":[{"a":1},{"a":1}]},"b":{"a":-1.5e3}}"#;
        assert!(read_json::<Value>(same_names_elsewhere).is_ok());
    }

    #[test]
    fn a_body_that_is_not_utf_8_is_no_json_wherever_that_stands() {
        for body in
            [&b"{\"a\":\"\xff\"}"[..], b"{\"\xc3\":1}", b"[\"\xed\xa0\x80\"]", b"\"\xc0\x80\"", b"\xfe{}"]
        {
            assert!(read_json::<Value>(body).is_err() && check_json(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let error = read_json::<Counts>(br#"{"count":3.5,"share":1,"more":[]}"#).expect_err("no count");
        assert!(error.to_string().contains("3.5") && error.column() > 0, "{error}");
    }
}
