//! Publications as JSON (PROTOCOL.md, section 5): one event, or a batch.
//!
//! Knows: the members and their limits. Does not know: who publishes, and over what.

use anywire_log::{Batch, Channel, EventName, IdempotencyKey, Payload, Publication};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Code, Refusal};

/// Limits of one publication. Every limit is finite.
#[derive(Debug, Clone, Copy)]
pub struct PublishLimits {
    /// Payload bytes of one event.
    pub message_bytes_max: usize,
    /// Events of one batch.
    pub batch_events_max: usize,
}

/// The event name where none is given.
const DEFAULT_EVENT: &str = "message";

/// One event as it stands in a publication.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBody<'a> {
    channel: std::borrow::Cow<'a, str>,
    #[serde(default)]
    event: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    encoding: Option<std::borrow::Cow<'a, str>>,
}

/// The whole body: one event's members, or `events`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishBody<'a> {
    #[serde(default)]
    channel: Option<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    event: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    encoding: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    events: Option<Vec<EventBody<'a>>>,
}

/// Reads the body of `POST /anywire/publish`.
///
/// # Errors
/// A [`Refusal`] that names the member and its value.
pub fn parse_publish(body: &[u8], key: Option<&str>, limits: &PublishLimits) -> Result<Batch, Refusal> {
    let body: PublishBody<'_> = serde_json::from_slice(body).map_err(|error| {
        Refusal::new(Code::InvalidRequest, format!("the body is no publication: {error}"))
    })?;
    let PublishBody { channel, event, data, encoding, events } = body;
    let publications = match (channel, events) {
        (Some(channel), None) => vec![publication(EventBody { channel, event, data, encoding }, limits)?],
        (None, Some(events)) => publications(events, limits)?,
        (None, None) => {
            return Err(invalid("the body has neither \"channel\" nor \"events\"; give one of them"));
        }
        (Some(_), Some(_)) => {
            return Err(invalid("the body has both \"channel\" and \"events\"; give one of them"));
        }
    };
    let idempotency_key = key.map(IdempotencyKey::new).transpose();
    let idempotency_key = idempotency_key.map_err(|error| invalid(&error.to_string()))?;
    Ok(Batch { publications, idempotency_key, expect: None })
}

fn publications(events: Vec<EventBody<'_>>, limits: &PublishLimits) -> Result<Vec<Publication>, Refusal> {
    if events.is_empty() {
        return Err(invalid("\"events\" is empty; publish at least one event"));
    }
    if events.len() > limits.batch_events_max {
        let message = format!(
            "\"events\" holds {} events, the limit is {} (limits.batch_events_max); send several requests",
            events.len(),
            limits.batch_events_max
        );
        return Err(Refusal::new(Code::TooLarge, message));
    }
    events.into_iter().map(|event| publication(event, limits)).collect()
}

fn publication(body: EventBody<'_>, limits: &PublishLimits) -> Result<Publication, Refusal> {
    let channel =
        Channel::new(&body.channel).map_err(|e| Refusal::new(Code::InvalidChannel, e.to_string()))?;
    if channel.is_reserved() {
        let message =
            format!("channel {channel} belongs to the server; use a name that does not begin with '$'");
        return Err(Refusal::new(Code::Forbidden, message));
    }
    let name = body.event.as_deref().unwrap_or(DEFAULT_EVENT);
    let name = EventName::new(name).map_err(|e| Refusal::new(Code::InvalidEvent, e.to_string()))?;
    let payload = payload(body.data, body.encoding.as_deref())?;
    let bytes = payload.as_bytes().len();
    if bytes > limits.message_bytes_max {
        let limit = limits.message_bytes_max;
        let message = format!("\"data\" has {bytes} bytes, the limit is {limit} (limits.message_bytes_max)");
        return Err(Refusal::new(Code::TooLarge, message));
    }
    Ok(Publication { channel, name, payload })
}

fn payload(data: Option<&RawValue>, encoding: Option<&str>) -> Result<Payload, Refusal> {
    let text = data.map_or("null", RawValue::get);
    match encoding {
        None => Ok(Payload::Json(one_line(text))),
        Some("base64") => {
            let text: std::borrow::Cow<'_, str> = serde_json::from_str(text).map_err(|_| {
                Refusal::new(Code::InvalidEvent, "with \"encoding\":\"base64\", \"data\" must be a string")
            })?;
            let bytes = BASE64_STANDARD.decode(text.as_bytes()).map_err(|error| {
                Refusal::new(Code::InvalidEvent, format!("\"data\" is no base64: {error}"))
            })?;
            Ok(Payload::Binary(bytes.into()))
        }
        Some(other) => {
            let message = format!("\"encoding\" is {other:?}; the only one is \"base64\"");
            Err(Refusal::new(Code::InvalidEvent, message))
        }
    }
}

/// The text on one line: line breaks in JSON are white space between tokens (inside strings they are escaped), and SSE could not carry
/// them.
pub(crate) fn one_line(text: &str) -> Bytes {
    let bytes = text.as_bytes();
    if memchr::memchr2(b'\n', b'\r', bytes).is_none() {
        return Bytes::copy_from_slice(bytes);
    }
    bytes
        .iter()
        .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte })
        .collect::<Vec<_>>()
        .into()
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(Code::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PublishLimits = PublishLimits { message_bytes_max: 30, batch_events_max: 3 };

    fn parse(body: &str) -> Result<Vec<(String, String, Payload)>, Code> {
        let batch = parse_publish(body.as_bytes(), None, &LIMITS).map_err(|refusal| refusal.code)?;
        let plain = |p: Publication| (p.channel.to_string(), p.name.as_str().to_owned(), p.payload);
        Ok(batch.publications.into_iter().map(plain).collect())
    }

    fn json(text: &'static str) -> Payload {
        Payload::Json(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_payload_keeps_its_text_but_for_line_breaks() {
        let parsed = parse("{\"channel\":\"a\",\"event\":\"x\",\"data\":{\"b\": 1.50,\n\"a\":\"\\n\"}}");
        assert_eq!(parsed, Ok(vec![("a".into(), "x".into(), json("{\"b\": 1.50, \"a\":\"\\n\"}"))]));
    }

    #[test]
    fn event_and_data_have_defaults_and_bytes_come_as_base64() {
        assert_eq!(parse(r#"{"channel":"a"}"#), Ok(vec![("a".into(), "message".into(), json("null"))]));
        let parsed = parse(r#"{"channel":"a","encoding":"base64","data":"AAEC"}"#);
        assert_eq!(
            parsed,
            Ok(vec![("a".into(), "message".into(), Payload::Binary(Bytes::from_static(&[0, 1, 2])))])
        );
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_own_code() {
        let check = |body: &str, code| assert_eq!(parse(body), Err(code), "{body}");
        check("", Code::InvalidRequest);
        check("[]", Code::InvalidRequest);
        check("{}", Code::InvalidRequest);
        check(r#"{"chanel":"a"}"#, Code::InvalidRequest);
        check(r#"{"channel":"a","events":[]}"#, Code::InvalidRequest);
        check(r#"{"events":[]}"#, Code::InvalidRequest);
        check(r#"{"channel":"a b"}"#, Code::InvalidChannel);
        check(r#"{"channel":"$a"}"#, Code::Forbidden);
        check(r#"{"channel":"a","event":""}"#, Code::InvalidEvent);
        check(r#"{"channel":"a","encoding":"hex","data":"00"}"#, Code::InvalidEvent);
        check(r#"{"channel":"a","encoding":"base64","data":"%"}"#, Code::InvalidEvent);
        check(r#"{"channel":"a","data":"1234567890123456789012345678901"}"#, Code::TooLarge);
        let four = r#"{"events":[{"channel":"a"},{"channel":"a"},{"channel":"a"},{"channel":"a"}]}"#;
        check(four, Code::TooLarge);
    }
}
