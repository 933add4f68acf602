//! What callers send, checked: every error names the field, its value and the way out.

use std::{borrow::Cow, collections::BTreeMap, ops::RangeInclusive};

use anywire_app::{
    http::{ApiError, Query, invalid, read_members, read_text},
    whole_number,
};
use serde_json::value::RawValue;

use crate::{
    api::errors::Invalid,
    commands::{LINE_BYTES_MAX, LINE_NUMBER_MAX},
    config::TIMEOUT_MS,
    decisions::StepCommand,
    domain::{
        CommandSpec, JobError, JobId, Json, Kind, Metadata, ParserKind, Percent, Pipe, STEPS_MAX, Status,
    },
};

/// The largest body of a progress call, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 256 << 10;
/// Lines of output may be many.
pub(crate) const LOG_BODY_BYTES_MAX: usize = 4 << 20;
const TITLE_CHARS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 100;
const MESSAGE_CHARS_MAX: usize = 2000;
const ERROR_CHARS_MAX: usize = 4000;
const METADATA_BYTES_MAX: usize = 16 << 10;
const RESULT_BYTES_MAX: usize = 64 << 10;
const ARGUMENTS_MAX: usize = 256;
const ARGUMENT_CHARS_MAX: usize = 4000;
/// How many lines of output a request brings or an answer holds.
const LOG_LINES_MAX: usize = 2000;
/// How long whoever drives a job may be silent, if it says so.
pub(crate) const LEASE_MS: RangeInclusive<u64> = 5000..=24 * 3_600_000;
/// How many jobs a list holds at most.
const LIST_MAX: usize = 500;
const LIST_DEFAULT: usize = 50;

/// The body of `POST /api/progress`.
#[derive(Debug, PartialEq)]
pub(crate) struct Start {
    pub(crate) session_id: Option<JobId>,
    pub(crate) title: String,
    pub(crate) total_steps: u32,
    /// The command line that the caller runs itself.
    pub(crate) argv: Option<Vec<String>>,
    /// After so long without a call it is taken for lost.
    pub(crate) lease_ms: Option<u64>,
}

pub(crate) fn start(body: &[u8]) -> Result<Start, Invalid> {
    let mut fields = Fields::parse(body, &["session_id", "title", "total_steps", "argv", "lease_ms"])?;
    Ok(Start {
        session_id: fields.session_id()?,
        title: fields.required_text("title", TITLE_CHARS_MAX)?,
        total_steps: fields.steps("total_steps")?,
        argv: fields.texts("argv", ARGUMENTS_MAX, ARGUMENT_CHARS_MAX)?,
        lease_ms: fields.millis("lease_ms", &LEASE_MS)?,
    })
}

/// The body of `POST /api/commands`: the name of a configured command, or a command line.
#[derive(Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) session_id: Option<JobId>,
    pub(crate) title: Option<String>,
    pub(crate) spec: CommandSpec,
}

pub(crate) fn run(body: &[u8]) -> Result<Run, Invalid> {
    let known = ["session_id", "title", "command", "parameters", "argv", "parser", "pattern", "timeout_ms"];
    let mut fields = Fields::parse(body, &known)?;
    let (session_id, title) = (fields.session_id()?, fields.text("title", TITLE_CHARS_MAX)?);
    let (name, argv) =
        (fields.text("command", NAME_CHARS_MAX)?, fields.texts("argv", ARGUMENTS_MAX, ARGUMENT_CHARS_MAX)?);
    let spec = match (name, argv) {
        (Some(name), None) => CommandSpec::Configured { name, parameters: fields.parameters()? },
        (None, Some(argv)) => CommandSpec::AdHoc {
            argv,
            parser: fields.parser()?,
            pattern: fields.text("pattern", MESSAGE_CHARS_MAX)?,
            timeout_ms: fields.millis("timeout_ms", &TIMEOUT_MS)?,
        },
        (None, None) => {
            return Err(Invalid("command is missing; send the name of one (GET /api/commands)".to_owned()));
        }
        (Some(_), Some(_)) => {
            return Err(Invalid("command and argv exclude each other; send one of them".to_owned()));
        }
    };
    // What is left belongs to the other kind.
    match fields.members.keys().next() {
        Some(other) => {
            Err(Invalid(format!("field {other} does not belong to this kind of command; leave it out")))
        }
        None => Ok(Run { session_id, title, spec }),
    }
}

/// The body of `POST /api/chat/create-video`.
#[derive(Debug, PartialEq)]
pub(crate) struct Video {
    pub(crate) session_id: Option<JobId>,
    pub(crate) message: String,
    pub(crate) language: String,
}

pub(crate) fn video(body: &[u8]) -> Result<Video, Invalid> {
    let mut fields = Fields::parse(body, &["message", "language", "session_id"])?;
    let language = fields.text("language", 16)?.unwrap_or_else(|| "auto".to_owned());
    if !["auto", "en", "vi"].contains(&language.as_str()) {
        return Err(Invalid(format!("language is {language:?}; use auto, en or vi")));
    }
    Ok(Video {
        session_id: fields.session_id()?,
        message: fields.required_text("message", MESSAGE_CHARS_MAX)?,
        language,
    })
}

/// The body of `…/log`: lines of the output of a command that runs elsewhere.
#[derive(Debug, PartialEq)]
pub(crate) struct Output {
    pub(crate) lines: Vec<(Pipe, String)>,
    /// The number of the first of them, where whoever sends them counts.
    pub(crate) first: Option<u64>,
}

pub(crate) fn log(body: &[u8]) -> Result<Output, Invalid> {
    let mut fields = Fields::parse(body, &["lines", "first"])?;
    let first = fields.number("first")?;
    if first == Some(0) {
        return Err(Invalid("first is 0; lines are counted from 1".to_owned()));
    }
    let missing = || Invalid(format!("lines is missing; send 1 to {LOG_LINES_MAX} texts"));
    let items = fields.list("lines", LOG_LINES_MAX)?.ok_or_else(missing)?;
    let lines = items.into_iter().map(output_line).collect::<Result<_, _>>()?;
    Ok(Output { lines, first })
}

/// A text, or an object that says which pipe it came out of.
fn output_line(item: &RawValue) -> Result<(Pipe, String), Invalid> {
    let chars_max = LINE_BYTES_MAX;
    if !item.get().starts_with('{') {
        return Ok((Pipe::Out, text_of("lines", item, LOG_LINES_MAX, chars_max)?));
    }
    let mut line = Fields::of(item, "lines.", &["text", "stream"])?;
    let pipe = match line.take("stream").map(|name| (name, string(name))) {
        None => Pipe::Out,
        Some((_, Some(name))) if name == "out" => Pipe::Out,
        Some((_, Some(name))) if name == "err" => Pipe::Err,
        Some((other, _)) => return Err(Invalid(format!("lines.stream is {}; use out or err", shown(other)))),
    };
    let text = line.take("text").unwrap_or(RawValue::NULL);
    Ok((pipe, text_of("lines.text", text, LOG_LINES_MAX, chars_max)?))
}

/// The query of `…/log`: the number after which lines are wanted, and how many at most.
pub(crate) fn log_query(query: &Query) -> Result<(u64, usize), ApiError> {
    let after = query.number("after", 0..=LINE_NUMBER_MAX)?.unwrap_or(0);
    let limit = query.number("limit", 1..=LOG_LINES_MAX)?.unwrap_or(LOG_LINES_MAX);
    Ok((after, limit))
}

/// The body of `…/cleanup`: how old, in seconds.
pub(crate) fn cleanup(body: &[u8]) -> Result<Option<u64>, Invalid> {
    Fields::parse(body, &["older_than_s"])?.number("older_than_s")
}

/// The body of `…/step`.
pub(crate) fn step(body: &[u8]) -> Result<StepCommand, Invalid> {
    let mut fields = Fields::parse(body, &["name", "step", "message", "percent", "metadata", "total_steps"])?;
    Ok(StepCommand {
        name: fields.required_text("name", NAME_CHARS_MAX)?,
        number: fields.has("step").then(|| fields.steps("step")).transpose()?,
        message: fields.text("message", MESSAGE_CHARS_MAX)?,
        percent: fields.percent()?,
        metadata: fields.metadata()?,
        total_steps: fields.has("total_steps").then(|| fields.steps("total_steps")).transpose()?,
        artefacts: Vec::new(),
    })
}

/// The body of `…/complete`: any JSON as the result.
pub(crate) fn complete(body: &[u8]) -> Result<Option<Json>, Invalid> {
    let result = Fields::parse(body, &["result"])?.take("result");
    result.map(|text| fits("result", text, RESULT_BYTES_MAX).map(|()| Json::from(text))).transpose()
}

/// The body of `…/fail`: a text, or an object with `message` and optionally `step`, `line`, `column`.
pub(crate) fn fail(body: &[u8]) -> Result<JobError, Invalid> {
    let mut fields = Fields::parse(body, &["error"])?;
    let mut fields = match fields.take("error") {
        Some(error) if error.get().starts_with('{') => {
            Fields::of(error, "error.", &["message", "step", "line", "column"])?
        }
        Some(text) => Fields { members: BTreeMap::from([("message".into(), text)]), prefix: "" },
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
    pub(crate) kind: Option<Kind>,
    pub(crate) limit: usize,
    pub(crate) before: Option<JobId>,
}

pub(crate) fn list(query: &Query) -> Result<List, ApiError> {
    // Who asks is the server's business: a token may come in the query.
    let known = ["state", "status", "kind", "limit", "before", "token", "ticket"];
    if let Some((name, _)) = query.iter().find(|(name, _)| !known.contains(name)) {
        let message = format!("query parameter {name:?} is unknown; use state, kind, limit and before");
        return Err(invalid(message));
    }
    let statuses = Status::ALL.map(|status| (status.as_str(), status));
    let status = query.one_of("state", &statuses)?;
    Ok(List {
        status: status.or(query.one_of("status", &statuses)?),
        kind: query.one_of("kind", &Kind::ALL.map(|kind| (kind.as_str(), kind)))?,
        limit: query.number("limit", 1..=LIST_MAX)?.unwrap_or(LIST_DEFAULT),
        before: query.fitting("before", "the session_id of a job", |text| JobId::new(text).ok())?,
    })
}

fn list_expected(count_max: usize) -> String {
    format!("send a list of 1 to {count_max} texts")
}

/// An entry of a list of texts.
fn text_of(name: &str, item: &RawValue, count_max: usize, chars_max: usize) -> Result<String, Invalid> {
    let Some(text) = string(item) else {
        return Err(Invalid(format!("{name} holds {}; {}", shown(item), list_expected(count_max))));
    };
    if text.contains('\0') {
        return Err(Invalid(format!("{name} holds a NUL character; leave it out")));
    }
    let chars = text.chars().count();
    if chars > chars_max {
        let message = format!("{name} has an entry of {chars} characters; at most {chars_max} are allowed");
        return Err(Invalid(message));
    }
    Ok(text)
}

/// The members of a JSON object, taken one by one, each as the text that it is.
struct Fields<'a> {
    members: BTreeMap<Cow<'a, str>, &'a RawValue>,
    prefix: &'static str,
}

impl<'a> Fields<'a> {
    fn parse(body: &'a [u8], allowed: &[&str]) -> Result<Self, Invalid> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { members: BTreeMap::new(), prefix: "" });
        }
        let text = read_text(body).map_err(|error| no_object(&error))?;
        if !text.get().starts_with('{') {
            return Err(Invalid(format!("the body is {}; send a JSON object", shown(text))));
        }
        Self::of(text, "", allowed)
    }

    fn of(object: &'a RawValue, prefix: &'static str, allowed: &[&str]) -> Result<Self, Invalid> {
        let members = read_members(object.get().as_bytes()).map_err(|error| no_object(&error))?;
        let known = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
        match members.keys().find(|key| !allowed.contains(&&***key)) {
            Some(key) => Err(Invalid(format!("field {prefix}{key} is unknown; known fields: {known}"))),
            None => Ok(Self { members, prefix }),
        }
    }

    /// A member; null counts as absent.
    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.members.remove(name).filter(|value| value.get() != "null")
    }

    fn session_id(&mut self) -> Result<Option<JobId>, Invalid> {
        let text = self.text("session_id", 128)?;
        text.map(|text| JobId::new(&text).map_err(|error| Invalid(error.to_string()))).transpose()
    }

    /// A list of at least one text.
    fn texts(
        &mut self,
        name: &str,
        count_max: usize,
        chars_max: usize,
    ) -> Result<Option<Vec<String>>, Invalid> {
        let Some(items) = self.list(name, count_max)? else { return Ok(None) };
        let text = |item| text_of(name, item, count_max, chars_max);
        items.into_iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// A list of at least one entry.
    fn list(&mut self, name: &str, count_max: usize) -> Result<Option<Vec<&'a RawValue>>, Invalid> {
        let expected = list_expected(count_max);
        let Some(value) = self.take(name) else { return Ok(None) };
        match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            Ok(items) if items.is_empty() || items.len() > count_max => {
                Err(Invalid(format!("{name} has {} entries; {expected}", items.len())))
            }
            Ok(items) => Ok(Some(items)),
            Err(_) => Err(Invalid(format!("{name} is {}; {expected}", shown(value)))),
        }
    }

    fn parameters(&mut self) -> Result<BTreeMap<String, String>, Invalid> {
        let Some(value) = self.take("parameters") else { return Ok(BTreeMap::new()) };
        if !value.get().starts_with('{') {
            return Err(Invalid(format!("parameters is {}; send an object of texts", shown(value))));
        }
        let members = read_members(value.get().as_bytes()).map_err(|error| no_object(&error))?;
        let text = |(name, value): (Cow<'_, str>, &RawValue)| match value.get().as_bytes()[0] {
            // A number as it was typed: 1.10 of a version is not 1.1.
            b'-' | b'0'..=b'9' => Ok((name.into_owned(), value.get().to_owned())),
            _ => match string(value) {
                Some(text) => Ok((name.into_owned(), text)),
                None => Err(Invalid(format!("parameter {name:?} is {}; send a text", shown(value)))),
            },
        };
        members.into_iter().map(text).collect()
    }

    fn parser(&mut self) -> Result<ParserKind, Invalid> {
        let Some(value) = self.take("parser") else { return Ok(ParserKind::default()) };
        let wrong = |_| Invalid(format!("parser is {}; use lines, json, ffmpeg or pattern", shown(value)));
        serde_json::from_str(value.get()).map_err(wrong)
    }

    fn millis(&mut self, name: &str, range: &RangeInclusive<u64>) -> Result<Option<u64>, Invalid> {
        match self.number(name)? {
            Some(millis) if !range.contains(&millis) => {
                Err(Invalid(format!("{name} is {millis}; send {} to {}", range.start(), range.end())))
            }
            other => Ok(other),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| value.get() != "null")
    }

    fn text(&mut self, name: &str, chars_max: usize) -> Result<Option<String>, Invalid> {
        let prefix = self.prefix;
        let Some(value) = self.take(name) else { return Ok(None) };
        let Some(text) = string(value) else {
            return Err(Invalid(format!("{prefix}{name} is {}; send a text", shown(value))));
        };
        let chars = text.chars().count();
        if chars > chars_max {
            let message = format!("{prefix}{name} has {chars} characters; at most {chars_max} are allowed");
            return Err(Invalid(message));
        }
        Ok(Some(text))
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
        let wrong = || Invalid(format!("{prefix}{name} is {}; send a whole number from 0", shown(value)));
        whole(value).map(Some).ok_or_else(wrong)
    }

    /// A number of a step, or of steps.
    fn steps(&mut self, name: &str) -> Result<u32, Invalid> {
        let range = format!("send a whole number from 1 to {STEPS_MAX}");
        let Some(value) = self.take(name) else {
            return Err(Invalid(format!("{name} is missing; {range}")));
        };
        let steps = whole(value).and_then(|steps| u32::try_from(steps).ok());
        let in_range = steps.filter(|steps| (1..=STEPS_MAX).contains(steps));
        in_range.ok_or_else(|| Invalid(format!("{name} is {}; {range}", shown(value))))
    }

    fn percent(&mut self) -> Result<Option<Percent>, Invalid> {
        let Some(value) = self.take("percent") else { return Ok(None) };
        let wrong = || Invalid(format!("percent is {}; send a number from 0 to 100", shown(value)));
        let percent = serde_json::from_str(value.get()).ok().and_then(Percent::new);
        percent.map(Some).ok_or_else(wrong)
    }

    fn metadata(&mut self) -> Result<Metadata, Invalid> {
        let Some(value) = self.take("metadata") else { return Ok(Metadata::default()) };
        if !value.get().starts_with('{') {
            return Err(Invalid(format!("metadata is {}; send an object", shown(value))));
        }
        fits("metadata", value, METADATA_BYTES_MAX)?;
        // Twice the same member to set says two things; what stands within members is the caller's.
        read_members(value.get().as_bytes()).map_err(|error| Invalid(format!("metadata: {error}")))?;
        serde_json::from_str(value.get()).map_err(|error| no_object(&error))
    }
}

fn no_object(error: &serde_json::Error) -> Invalid {
    Invalid(format!("the body is no JSON: {error}; send a JSON object"))
}

/// A text; none where it is something else.
fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn whole(value: &RawValue) -> Option<u64> {
    whole_number(&serde_json::from_str(value.get()).ok()?)
}

fn fits(name: &str, value: &RawValue, bytes_max: usize) -> Result<(), Invalid> {
    let bytes = value.get().len();
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Invalid(format!("{name} has {bytes} bytes as JSON; at most {bytes_max} are allowed")))
}

/// A value as an error shows it: short.
fn shown(value: &RawValue) -> String {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        _ => value.get().chars().take(64).collect(),
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
            (r#"{"title":"x"}"#, "total_steps is missing; send a whole number from 1 to 100000"),
            (r#"{"title":"x","total_steps":0}"#, "total_steps is 0; send a whole number from 1 to 100000"),
            (
                r#"{"title":"x","total_steps":1.5}"#,
                "total_steps is 1.5; send a whole number from 1 to 100000",
            ),
            (r#"{"title":7,"total_steps":1}"#, "title is 7; send a text"),
            (
                r#"{"titel":"x"}"#,
                "field titel is unknown; known fields: session_id, title, total_steps, argv, lease_ms",
            ),
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
        let asked = |query: &str| list(&Query::of(&format!("/?{query}").parse().expect("an address"))?);
        assert_eq!(asked(""), Ok(List { status: None, kind: None, limit: 50, before: None }));
        assert_eq!(asked("state=&kind=&token=x"), asked(""));
        let refused = |query: &str, words: &str| {
            let error = asked(query).expect_err(query);
            assert!(error.message().contains(words), "{error:?}");
        };
        refused("state=done", "queued, running, succeeded");
        refused("limit=0", "from 1 to 500");
        refused("before=a%2Fb", "\"before\" is \"a/b\"");
        refused("limit=1&limit=2", "\"limit\" stands in the address more than once");
        refused("state=%ff", "\"state\" is \"%ff\", which is no UTF-8");
        refused("page=2", "\"page\" is unknown");
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_where_it_is_ours() {
        let twice = message(start(br#"{"title":"x","total_steps":1,"total_steps":2}"#));
        assert!(twice.contains("\"total_steps\" stands in it twice"), "{twice}");
        let inside = message(fail(br#"{"error":{"message":"x","line":1,"line":2}}"#));
        assert!(inside.contains("\"line\" stands in it twice"), "{inside}");
        let metadata = message(step(br#"{"name":"x","metadata":{"b":1,"b":2}}"#));
        assert!(metadata.contains("metadata: member \"b\" stands in it twice"), "{metadata}");
        let theirs = step(br#"{"name":"x","metadata":{"a":{"b":1,"b":2}}}"#).expect("their own business");
        assert_eq!(theirs.metadata.get("a").map(Json::get), Some(r#"{"b":1,"b":2}"#));
    }

    #[test]
    fn a_number_of_a_parameter_stays_as_it_was_typed_and_one_beyond_all_bounds_is_named() {
        let body = br#"{"command":"build","parameters":{"version":1.10,"id":9007199254740993}}"#;
        let CommandSpec::Configured { parameters, .. } = run(body).expect("a command").spec else {
            panic!("a configured command");
        };
        assert_eq!((parameters["version"].as_str(), parameters["id"].as_str()), ("1.10", "9007199254740993"));
        let percent = message(step(br#"{"name":"x","percent":1E400}"#));
        assert_eq!(percent, "percent is 1E400; send a number from 0 to 100");
    }

    #[test]
    fn metadata_that_is_too_large_is_refused_with_its_size() {
        let body = format!(r#"{{"name":"x","metadata":{{"a":"{}"}}}}"#, "y".repeat(METADATA_BYTES_MAX));
        assert!(message(step(body.as_bytes())).starts_with("metadata has 16392 bytes as JSON"));
    }
}
