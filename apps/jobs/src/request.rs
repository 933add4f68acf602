//! What callers send, checked: every error names the field, its value and the way out.
//!
//! Knows: fields and their limits. Does not know: HTTP, jobs' rules.

use serde_json::{Map, Value};

use crate::{
    domain::{JobError, JobId, Percent, STEPS_MAX, Status},
    rules::StepWish,
    wire::Invalid,
};

/// The largest body of a progress call, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 256 << 10;
const TITLE_CHARS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 100;
const MESSAGE_CHARS_MAX: usize = 2000;
const ERROR_CHARS_MAX: usize = 4000;
const METADATA_BYTES_MAX: usize = 16 << 10;
const RESULT_BYTES_MAX: usize = 64 << 10;
/// How many jobs a list holds at most.
const LIST_MAX: usize = 500;
const LIST_DEFAULT: usize = 50;

/// The body of `POST /api/progress`.
#[derive(Debug, PartialEq)]
pub(crate) struct Start {
    pub(crate) session_id: Option<JobId>,
    pub(crate) title: String,
    pub(crate) total_steps: u32,
}

pub(crate) fn start(body: &[u8]) -> Result<Start, Invalid> {
    let mut fields = Fields::parse(body, &["session_id", "title", "total_steps"])?;
    Ok(Start {
        session_id: match fields.text("session_id", 128)? {
            Some(text) => Some(JobId::new(&text).map_err(|error| Invalid(error.to_string()))?),
            None => None,
        },
        title: fields.required_text("title", TITLE_CHARS_MAX)?,
        total_steps: fields.total_steps()?,
    })
}

/// The body of `…/step`.
pub(crate) fn step(body: &[u8]) -> Result<StepWish, Invalid> {
    let mut fields = Fields::parse(body, &["name", "message", "percent", "metadata"])?;
    Ok(StepWish {
        name: fields.required_text("name", NAME_CHARS_MAX)?,
        message: fields.text("message", MESSAGE_CHARS_MAX)?,
        percent: fields.percent()?,
        metadata: fields.metadata()?,
    })
}

/// The body of `…/complete`: any JSON as the result.
pub(crate) fn complete(body: &[u8]) -> Result<Option<Value>, Invalid> {
    let mut fields = Fields::parse(body, &["result"])?;
    let result = fields.take("result");
    match &result {
        Some(value) => fits("result", value, RESULT_BYTES_MAX).map(|()| result),
        None => Ok(None),
    }
}

/// The body of `…/fail`: a text, or an object with `message` and optionally `step`, `line`, `column`.
pub(crate) fn fail(body: &[u8]) -> Result<JobError, Invalid> {
    let mut fields = Fields::parse(body, &["error"])?;
    let mut fields = match fields.take("error") {
        Some(Value::Object(map)) => Fields::of(map, "error.", &["message", "step", "line", "column"])?,
        Some(text) => Fields { map: Map::from_iter([("message".to_owned(), text)]), prefix: "" },
        None => return Err(Invalid("error is missing; give the reason as a text".to_owned())),
    };
    Ok(JobError {
        message: fields.required_text("message", ERROR_CHARS_MAX)?,
        step: fields.text("step", NAME_CHARS_MAX)?,
        line: fields.number("line")?,
        column: fields.number("column")?,
    })
}

/// A body that may only be empty.
pub(crate) fn nothing(body: &[u8]) -> Result<(), Invalid> {
    Fields::parse(body, &[]).map(|_| ())
}

/// The query of `GET /api/jobs`.
#[derive(Debug, PartialEq, Default)]
pub(crate) struct List {
    pub(crate) status: Option<Status>,
    pub(crate) limit: usize,
    pub(crate) before: Option<JobId>,
}

pub(crate) fn list(query: &[(String, String)]) -> Result<List, Invalid> {
    let mut list = List { limit: LIST_DEFAULT, ..List::default() };
    for (name, value) in query {
        match name.as_str() {
            "state" | "status" if value.is_empty() => {}
            "state" | "status" => list.status = Some(status(value)?),
            "limit" => list.limit = limit(value)?,
            // Who asks is the server's business: a token may come in the query.
            "token" => {}
            "before" => {
                list.before = Some(JobId::new(value).map_err(|error| Invalid(format!("before: {error}")))?)
            }
            _ => {
                return Err(Invalid(format!(
                    "query parameter {name:?} is unknown; use state, limit and before"
                )));
            }
        }
    }
    Ok(list)
}

fn status(value: &str) -> Result<Status, Invalid> {
    let known = || Status::ALL.map(Status::as_str).join(", ");
    Status::parse(value).ok_or_else(|| Invalid(format!("state {value:?} is unknown; use one of {}", known())))
}

fn limit(value: &str) -> Result<usize, Invalid> {
    let number = value.parse().ok().filter(|limit| (1..=LIST_MAX).contains(limit));
    number.ok_or_else(|| Invalid(format!("limit is {value:?}; use a whole number from 1 to {LIST_MAX}")))
}

/// The members of a JSON object, taken one by one.
struct Fields {
    map: Map<String, Value>,
    prefix: &'static str,
}

impl Fields {
    fn parse(body: &[u8], allowed: &[&str]) -> Result<Self, Invalid> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { map: Map::new(), prefix: "" });
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Self::of(map, "", allowed),
            Ok(other) => Err(Invalid(format!("the body is {}; send a JSON object", shown(&other)))),
            Err(error) => Err(Invalid(format!("the body is no JSON: {error}; send a JSON object"))),
        }
    }

    fn of(map: Map<String, Value>, prefix: &'static str, allowed: &[&str]) -> Result<Self, Invalid> {
        let known = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
        match map.keys().find(|key| !allowed.contains(&key.as_str())) {
            Some(key) => Err(Invalid(format!("field {prefix}{key} is unknown; known fields: {known}"))),
            None => Ok(Self { map, prefix }),
        }
    }

    /// A member; null counts as absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str, chars_max: usize) -> Result<Option<String>, Invalid> {
        let prefix = self.prefix;
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let chars = text.chars().count();
                if chars > chars_max {
                    return Err(Invalid(format!(
                        "{prefix}{name} has {chars} characters; at most {chars_max} are allowed"
                    )));
                }
                Ok(Some(text))
            }
            Some(other) => Err(Invalid(format!("{prefix}{name} is {}; send a text", shown(&other)))),
        }
    }

    fn required_text(&mut self, name: &str, chars_max: usize) -> Result<String, Invalid> {
        let prefix = self.prefix;
        match self.text(name, chars_max)? {
            Some(text) if !text.trim().is_empty() => Ok(text),
            Some(_) => Err(Invalid(format!("{prefix}{name} is empty; send 1 to {chars_max} characters"))),
            None => Err(Invalid(format!("{prefix}{name} is missing; send 1 to {chars_max} characters"))),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, Invalid> {
        let prefix = self.prefix;
        let Some(value) = self.take(name) else { return Ok(None) };
        let wrong = || Invalid(format!("{prefix}{name} is {}; send a whole number from 0", shown(&value)));
        value.as_u64().map(Some).ok_or_else(wrong)
    }

    fn total_steps(&mut self) -> Result<u32, Invalid> {
        let range = format!("send a whole number from 1 to {STEPS_MAX}");
        let Some(value) = self.take("total_steps") else {
            return Err(Invalid(format!("total_steps is missing; {range}")));
        };
        let steps = value.as_u64().and_then(|steps| u32::try_from(steps).ok());
        let in_range = steps.filter(|steps| (1..=STEPS_MAX).contains(steps));
        in_range.ok_or_else(|| Invalid(format!("total_steps is {}; {range}", shown(&value))))
    }

    fn percent(&mut self) -> Result<Option<Percent>, Invalid> {
        let Some(value) = self.take("percent") else { return Ok(None) };
        let wrong = || Invalid(format!("percent is {}; send a number from 0 to 100", shown(&value)));
        value.as_f64().and_then(Percent::new).map(Some).ok_or_else(wrong)
    }

    fn metadata(&mut self) -> Result<Map<String, Value>, Invalid> {
        match self.take("metadata") {
            None => Ok(Map::new()),
            Some(value) => match &value {
                Value::Object(map) => fits("metadata", &value, METADATA_BYTES_MAX).map(|()| map.clone()),
                other => Err(Invalid(format!("metadata is {}; send an object", shown(other)))),
            },
        }
    }
}

fn fits(name: &str, value: &Value, bytes_max: usize) -> Result<(), Invalid> {
    let bytes = value.to_string().len();
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Invalid(format!("{name} has {bytes} bytes as JSON; at most {bytes_max} are allowed")))
}

/// A value as an error shows it: short.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        other => other.to_string().chars().take(64).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T, Invalid>) -> String {
        result.expect_err("invalid").0
    }

    #[test]
    fn every_error_names_the_field_its_value_and_the_way_out() {
        let cases: [(&str, &str); 8] = [
            ("", "title is missing; send 1 to 200 characters"),
            (r#"{"title":" ","total_steps":1}"#, "title is empty; send 1 to 200 characters"),
            (r#"{"title":"x"}"#, "total_steps is missing; send a whole number from 1 to 1000"),
            (r#"{"title":"x","total_steps":0}"#, "total_steps is 0; send a whole number from 1 to 1000"),
            (r#"{"title":"x","total_steps":1.5}"#, "total_steps is 1.5; send a whole number from 1 to 1000"),
            (r#"{"title":7,"total_steps":1}"#, "title is 7; send a text"),
            (r#"{"titel":"x"}"#, "field titel is unknown; known fields: session_id, title, total_steps"),
            ("[]", "the body is an array; send a JSON object"),
        ];
        for (body, expected) in cases {
            assert_eq!(message(start(body.as_bytes())), expected);
        }
        assert!(
            message(start(br#"{"title":"x","total_steps":1,"session_id":"a/b"}"#))
                .contains(r#""a/b" is not allowed"#)
        );
        assert_eq!(
            message(step(br#"{"name":"x","percent":101}"#)),
            "percent is 101; send a number from 0 to 100"
        );
        assert_eq!(message(step(br#"{"name":"x","metadata":[]}"#)), "metadata is an array; send an object");
        assert_eq!(message(nothing(br#"{"x":1}"#)), "field x is unknown; known fields: none");
    }

    #[test]
    fn a_failure_is_a_text_or_an_object() {
        let text = fail(br#"{"error":"broke"}"#).expect("a text");
        assert_eq!((text.message.as_str(), text.line), ("broke", None));
        let object =
            fail(br#"{"error":{"message":"broke","step":"parse","line":3,"column":9}}"#).expect("an object");
        assert_eq!((object.step.as_deref(), object.line, object.column), (Some("parse"), Some(3), Some(9)));
    }

    #[test]
    fn a_list_has_a_default_length_and_refuses_unknown_states() {
        assert_eq!(list(&[]), Ok(List { status: None, limit: 50, before: None }));
        let query = |name: &str, value: &str| list(&[(name.to_owned(), value.to_owned())]);
        assert!(message(query("state", "done")).contains("queued, running, succeeded"));
        assert!(message(query("limit", "0")).contains("from 1 to 500"));
    }

    #[test]
    fn metadata_that_is_too_large_is_refused_with_its_size() {
        let body = format!(r#"{{"name":"x","metadata":{{"a":"{}"}}}}"#, "y".repeat(METADATA_BYTES_MAX));
        assert!(message(step(body.as_bytes())).starts_with("metadata has 16392 bytes as JSON"));
    }
}
