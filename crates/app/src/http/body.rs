//! Bodies of requests as typed values. JSON has one kind of number: `3.0` is the whole number 3.

use anywire_codes::Code;
use axum::{body::Bytes, extract::rejection::BytesRejection, http::StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ApiError, invalid};

/// Up to here a double holds every whole number; a greater one may have been another.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// Reads a body; a whole number may be written with a fraction of zero, as JSON Schema has it.
///
/// # Errors
/// What does not fit, and where.
pub fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    // Nearly every body fits as it is; the way around costs a second look and loses the place of an error.
    serde_json::from_slice(body).or_else(|error| {
        let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return Err(error) };
        whole_numbers(&mut value);
        T::deserialize(value).map_err(|_| error)
    })
}

/// A body as an extractor; give it to [`whole_body`].
pub type Body = Result<Bytes, BytesRejection>;

/// What was sent, if it came whole and is not too much for the route's `DefaultBodyLimit`.
///
/// # Errors
/// `too_large`, with the limit and what to do; `body_broken`.
pub fn whole_body(body: Body, bytes_max: usize, way_out: &str) -> Result<Bytes, ApiError> {
    body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the body has more than {bytes_max} bytes; {way_out}");
            ApiError::new(Code::TooLarge, message)
        }
        _ => ApiError::new(Code::BodyBroken, "the body broke off; send it again"),
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
    fn a_fraction_a_sign_and_a_number_beyond_what_is_exact_are_none() {
        for value in [json!(3.5), json!(-1), json!(-1.0), json!(1e16), json!("3"), json!(null)] {
            assert_eq!(whole_number(&value), None, "{value}");
        }
        assert_eq!(whole_number(&json!(-0.0)), Some(0));
        assert_eq!(whole_number(&json!(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let error = read_json::<Counts>(br#"{"count":3.5,"share":1,"more":[]}"#).expect_err("no count");
        assert!(error.to_string().contains("3.5") && error.column() > 0, "{error}");
    }
}
