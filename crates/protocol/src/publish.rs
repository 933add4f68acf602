//! Publications as JSON (PROTOCOL.md, section 5): one event, or a batch, over every transport.
//!
//! Invariant: what is published is read once. Its text is checked where it lies, and copied once into the
//! payload, so that an event in the log never keeps the rest of a request in memory.

use std::borrow::Cow;

use anywire_log::{Batch, Channel, EventName, IdempotencyKey, Payload, Publication};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;

use crate::{
    Code, Refusal,
    names::{self, misfit},
    scan::{Scan, ScanError, explain, string},
};

/// Limits of one publication. Every limit is finite.
#[derive(Debug, Clone, Copy)]
pub struct PublishLimits {
    /// Payload bytes of one event.
    pub message_bytes_max: usize,
    /// Events of one batch.
    pub batch_events_max: usize,
}

/// How deep the data of an event may be nested, whichever way it comes. With the message around it that is as
/// deep as parsers of all kinds go.
pub(crate) const NESTING_MAX: usize = 63;
/// The event name where none is given.
const DEFAULT_EVENT: &str = "message";

/// Reads the body of `POST /anywire/publish`.
///
/// # Errors
/// A [`Refusal`] that names the member and its value.
pub fn parse_publish(body: &[u8], key: Option<&str>, limits: &PublishLimits) -> Result<Batch, Refusal> {
    let text = std::str::from_utf8(body).map_err(|error| no_publication(&error.to_string()))?;
    let text = without_mark(text);
    let mut draft = Draft::new(limits);
    let mut scan = Scan::new(text, usize::MAX);
    let scanned = scan.members(|scan, name| match draft.take(scan, name)? {
        Some(taken) => {
            draft.judge(taken);
            Ok(())
        }
        None => {
            let known = "\"channel\", \"event\", \"data\", \"encoding\", \"events\"";
            draft.wrong.get_or_insert_with(|| unknown(name, known));
            scan.value().map(drop)
        }
    });
    scanned.and_then(|()| scan.end()).map_err(|error| broken(error, text))?;
    draft.batch(key, limits)
}

/// A text without the byte order mark that some programs put in front of it.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Why a text does not pass as a publication.
fn broken(error: ScanError, text: &str) -> Refusal {
    match error {
        ScanError::Nesting => too_deep(),
        _ => no_publication(&explain(text)),
    }
}

/// The refusal of data that is nested too deep.
pub(crate) fn too_deep() -> Refusal {
    let message = format!("\"data\" is nested deeper than {NESTING_MAX} levels; nest it less");
    Refusal::new(Code::InvalidEvent, message)
}

/// Reads the members of a publication from an object that may hold others too, and `idempotency_key` among
/// them.
///
/// # Errors
/// A [`Refusal`] that names the member and its value.
pub fn parse_publication(text: &str, limits: &PublishLimits) -> Result<Batch, Refusal> {
    let mut scan = Scan::new(text, usize::MAX);
    let draft = KeyedDraft::read(&mut scan, limits).and_then(|draft| scan.end().map(|()| draft));
    draft.map_err(|error| broken(error, text))?.batch(limits)
}

/// The members of a publication as they stand in a text: one event's, or `events`.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    one: EventDraft<'a>,
    events: Option<EventDrafts<'a>>,
    events_seen: bool,
    /// The first thing that does not fit.
    wrong: Option<String>,
    batch_events_max: usize,
}

/// One event as it stands in a text. A member that is null is as one that is not there.
#[derive(Debug, Default)]
struct EventDraft<'a> {
    channel: Option<Cow<'a, str>>,
    event: Option<Cow<'a, str>>,
    data: Option<&'a str>,
    encoding: Option<Cow<'a, str>>,
    /// One bit a member that was there.
    seen: u8,
}

/// The events of a batch: as many as one may hold. What comes after them is not looked at.
#[derive(Debug, Default)]
struct EventDrafts<'a> {
    kept: Vec<EventDraft<'a>>,
    /// There are no more.
    all: bool,
}

/// Whether a member fits; if not, what is wrong with it.
pub(crate) type Taken = Result<(), String>;

impl<'a> Draft<'a> {
    pub(crate) fn new(limits: &PublishLimits) -> Self {
        Self {
            one: EventDraft::default(),
            events: None,
            events_seen: false,
            wrong: None,
            batch_events_max: limits.batch_events_max,
        }
    }

    /// Takes a member's value; `None` if it is no member of a publication: its value is still to be taken.
    pub(crate) fn take(&mut self, scan: &mut Scan<'a>, name: &str) -> Result<Option<Taken>, ScanError> {
        if name != "events" {
            return self.one.take(scan, name);
        }
        let taken = match scan.peek() {
            Some(b'[') => self.take_events(scan)?,
            _ => match scan.value()? {
                "null" => Ok(()),
                other => Err(misfit(name, other, "a list of events")),
            },
        };
        Ok(Some(if std::mem::replace(&mut self.events_seen, true) { Err(twice(name)) } else { taken }))
    }

    /// Keeps what is wrong, if it is the first thing.
    pub(crate) fn judge(&mut self, taken: Taken) {
        if let Err(message) = taken {
            self.wrong.get_or_insert(message);
        }
    }

    pub(crate) fn channel(&self) -> Option<&str> {
        self.one.channel.as_deref()
    }

    fn take_events(&mut self, scan: &mut Scan<'a>) -> Result<Taken, ScanError> {
        let mut drafts = EventDrafts::default();
        let mut judged = Ok(());
        drafts.all = scan.elements_up_to(self.batch_events_max, |scan| {
            drafts.kept.push(EventDraft::read(scan, &mut judged)?);
            Ok(())
        })?;
        self.events = Some(drafts);
        Ok(judged)
    }

    /// The batch, if everything fits.
    ///
    /// # Errors
    /// A [`Refusal`] that names the member and its value.
    pub(crate) fn batch(self, key: Option<&str>, limits: &PublishLimits) -> Result<Batch, Refusal> {
        if let Some(wrong) = self.wrong {
            return Err(no_publication(&wrong));
        }
        let publications = match (self.one.channel.is_some(), self.events) {
            (true, None) => vec![self.one.publication(limits)?],
            (false, Some(events)) => events.publications(limits)?,
            (false, None) => {
                return Err(invalid("the body has neither \"channel\" nor \"events\"; give one of them"));
            }
            (true, Some(_)) => {
                return Err(invalid("the body has both \"channel\" and \"events\"; give one of them"));
            }
        };
        let idempotency_key = key.map(IdempotencyKey::new).transpose();
        let idempotency_key = idempotency_key.map_err(|error| invalid(&error.to_string()))?;
        Ok(Batch { publications, idempotency_key, expect: None })
    }
}

/// A publication that has its idempotency key among its members, where there is no header.
#[derive(Debug)]
pub(crate) struct KeyedDraft<'a> {
    draft: Draft<'a>,
    key: Option<Cow<'a, str>>,
    key_seen: bool,
}

impl<'a> KeyedDraft<'a> {
    pub(crate) fn new(limits: &PublishLimits) -> Self {
        Self { draft: Draft::new(limits), key: None, key_seen: false }
    }

    /// Takes an object; what is no member of a publication is passed over.
    pub(crate) fn read(scan: &mut Scan<'a>, limits: &PublishLimits) -> Result<Self, ScanError> {
        let mut read = Self::new(limits);
        scan.members(|scan, name| match read.take(scan, name)? {
            Some(taken) => {
                read.draft.judge(taken);
                Ok(())
            }
            None => scan.value().map(drop),
        })?;
        Ok(read)
    }

    /// As [`Draft::take`].
    pub(crate) fn take(&mut self, scan: &mut Scan<'a>, name: &str) -> Result<Option<Taken>, ScanError> {
        if name != "idempotency_key" {
            return self.draft.take(scan, name);
        }
        let value = scan.value()?;
        Ok(Some(keep_string(&mut self.key, &mut self.key_seen, name, value)))
    }

    /// As [`Draft::judge`].
    pub(crate) fn judge(&mut self, taken: Taken) {
        self.draft.judge(taken);
    }

    pub(crate) fn channel(&self) -> Option<&str> {
        self.draft.channel()
    }

    /// As [`Draft::batch`].
    pub(crate) fn batch(self, limits: &PublishLimits) -> Result<Batch, Refusal> {
        self.draft.batch(self.key.as_deref(), limits)
    }
}

impl<'a> EventDraft<'a> {
    /// Takes an element of `events`.
    /// The first thing that does not fit is kept in `judged`; nothing is said of those after it.
    fn read(scan: &mut Scan<'a>, judged: &mut Taken) -> Result<Self, ScanError> {
        let mut read = Self::default();
        if scan.peek() != Some(b'{') {
            let value = scan.value()?;
            judge_if(judged, || misfit("events", value, "objects in it"));
            return Ok(read);
        }
        scan.members(|scan, name| {
            match read.take(scan, name)? {
                Some(Ok(())) => {}
                Some(Err(message)) => judge_if(judged, || message),
                None => {
                    scan.value()?;
                    let known = "\"channel\", \"event\", \"data\", \"encoding\"";
                    judge_if(judged, || unknown(name, known));
                }
            }
            Ok(())
        })?;
        if read.channel.is_none() {
            judge_if(judged, || "an event has no \"channel\"".to_owned());
        }
        Ok(read)
    }

    fn take(&mut self, scan: &mut Scan<'a>, name: &str) -> Result<Option<Taken>, ScanError> {
        let (bit, slot) = match name {
            "channel" => (1, Some(&mut self.channel)),
            "event" => (2, Some(&mut self.event)),
            "data" => (4, None),
            "encoding" => (8, Some(&mut self.encoding)),
            _ => return Ok(None),
        };
        let value = if name == "data" { scan.value_within(NESTING_MAX)? } else { scan.value()? };
        let mut seen = self.seen & bit != 0;
        self.seen |= bit;
        Ok(Some(match slot {
            Some(slot) => keep_string(slot, &mut seen, name, value),
            None if seen => Err(twice(name)),
            None => {
                self.data = (value != "null").then_some(value);
                Ok(())
            }
        }))
    }

    fn publication(self, limits: &PublishLimits) -> Result<Publication, Refusal> {
        let channel = self.channel.unwrap_or_default();
        let channel =
            Channel::new(&channel).map_err(|e| Refusal::new(Code::InvalidChannel, e.to_string()))?;
        if channel.is_reserved() {
            let message =
                format!("channel {channel} belongs to the server; use a name that does not begin with '$'");
            return Err(Refusal::new(Code::Forbidden, message));
        }
        let name = self.event.as_deref().unwrap_or(DEFAULT_EVENT);
        let name = EventName::new(name).map_err(|e| Refusal::new(Code::InvalidEvent, e.to_string()))?;
        let payload = payload(self.data.unwrap_or("null"), self.encoding.as_deref())?;
        let bytes = payload.as_bytes().len();
        if bytes > limits.message_bytes_max {
            let limit = limits.message_bytes_max;
            let message =
                format!("\"data\" has {bytes} bytes, the limit is {limit} (limits.message_bytes_max)");
            return Err(Refusal::new(Code::TooLarge, message));
        }
        Ok(Publication { channel, name, payload })
    }
}

impl EventDrafts<'_> {
    fn publications(self, limits: &PublishLimits) -> Result<Vec<Publication>, Refusal> {
        if self.all && self.kept.is_empty() {
            return Err(invalid("\"events\" is empty; publish at least one event"));
        }
        if !self.all {
            let message = format!(
                "\"events\" holds more than {} events, the limit (limits.batch_events_max); send several requests",
                limits.batch_events_max
            );
            return Err(Refusal::new(Code::TooLarge, message));
        }
        self.kept.into_iter().map(|event| event.publication(limits)).collect()
    }
}

/// Keeps a member that is a string or null, and comes once.
pub(crate) fn keep_string<'a>(
    slot: &mut Option<Cow<'a, str>>,
    seen: &mut bool,
    name: &str,
    value: &'a str,
) -> Taken {
    if std::mem::replace(seen, true) {
        return Err(twice(name));
    }
    if value != "null" {
        *slot = Some(string(value).ok_or_else(|| misfit(name, value, "a string"))?);
    }
    Ok(())
}

/// Keeps a member that names something, a string or a number, or null, and comes once.
pub(crate) fn keep_name<'a>(
    slot: &mut Option<Cow<'a, str>>,
    seen: &mut bool,
    name: &str,
    value: &'a str,
) -> Taken {
    match names::name(value) {
        Some(text) if !std::mem::replace(seen, true) => {
            *slot = Some(text);
            Ok(())
        }
        _ => keep_string(slot, seen, name, value),
    }
}

/// Keeps what is wrong, if nothing was before: words are made once, however many members are wrong.
fn judge_if(judged: &mut Taken, words: impl FnOnce() -> String) {
    if judged.is_ok() {
        *judged = Err(words());
    }
}

/// What is wrong with a member that comes again.
pub(crate) fn twice(name: &str) -> String {
    format!("\"{name}\" stands in it twice")
}

fn unknown(name: &str, known: &str) -> String {
    let name: String = name.chars().take(64).collect();
    format!("{name:?} is no member of it; known are {known}")
}

fn payload(data: &str, encoding: Option<&str>) -> Result<Payload, Refusal> {
    match encoding {
        None => Ok(Payload::Json(one_line(data))),
        Some("base64") => {
            let text = string(data).ok_or_else(|| {
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

/// The text on one line: line breaks in JSON are white space between tokens (inside strings they are
/// escaped), and SSE could not carry them.
pub(crate) fn one_line(text: &str) -> Bytes {
    let bytes = text.as_bytes();
    if has_line_breaks(bytes) { without_line_breaks(bytes.to_vec()) } else { Bytes::copy_from_slice(bytes) }
}

/// As [`one_line`], for a text that nobody else needs: it is not copied.
pub(crate) fn into_one_line(text: String) -> Bytes {
    if has_line_breaks(text.as_bytes()) { without_line_breaks(text.into_bytes()) } else { text.into() }
}

fn has_line_breaks(bytes: &[u8]) -> bool {
    memchr::memchr2(b'\n', b'\r', bytes).is_some()
}

fn without_line_breaks(mut bytes: Vec<u8>) -> Bytes {
    for byte in &mut bytes {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    bytes.into()
}

fn no_publication(why: &str) -> Refusal {
    invalid(&format!("the body is no publication: {why}"))
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

    #[test]
    fn data_is_nested_as_deep_as_any_way_in_allows() {
        let limits = PublishLimits { message_bytes_max: 1 << 20, batch_events_max: 3 };
        let data = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (levels, fits) in [(1, true), (63, true), (64, false), (100_000, false)] {
            let event = format!(r#"{{"channel":"a","data":{}}}"#, data(levels));
            for body in [event.clone(), format!("{{\"events\":[{event}]}}")] {
                let code = parse_publish(body.as_bytes(), None, &limits).map_err(|refusal| refusal.code);
                assert_eq!(code.map(drop), if fits { Ok(()) } else { Err(Code::InvalidEvent) }, "{levels}");
            }
        }
        let deep = format!(r#"{{"channel":"a","data":{}}}"#, data(64));
        let refusal = parse_publish(deep.as_bytes(), None, &limits).expect_err("too deep");
        assert!(refusal.message.contains("63 levels"), "{refusal}");
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(parse("\u{feff}{\"channel\":\"a\"}"), parse("{\"channel\":\"a\"}"));
        assert_eq!(parse("\u{feff}\u{feff}{\"channel\":\"a\"}"), Err(Code::InvalidRequest));
        assert!(parse_publish(b"\xff\xfe{\0}\0", None, &LIMITS).is_err());
    }

    #[test]
    fn a_channel_is_a_string_and_a_batch_that_names_another_thing_is_refused_whole() {
        for other in ["42", "true", "{}", "[\"a\"]"] {
            assert_eq!(parse(&format!(r#"{{"channel":{other}}}"#)), Err(Code::InvalidRequest), "{other}");
            let events = format!(r#"{{"events":[{{"channel":"a"}},{{"channel":{other}}}]}}"#);
            assert_eq!(parse(&events), Err(Code::InvalidRequest), "{other}");
        }
        assert_eq!(parse(r#"{"channel":"a","event":7}"#), Err(Code::InvalidRequest));
    }

    #[test]
    fn a_batch_over_its_limit_keeps_no_more_events_than_one_may_hold() {
        let text = format!("{{\"events\":[{}]}}", vec!["{\"channel\":\"a\"}"; 1000].join(","));
        let mut scan = Scan::new(&text, usize::MAX);
        let draft = KeyedDraft::read(&mut scan, &LIMITS).expect("sound").draft;
        assert_eq!(draft.events.map(|events| (events.kept.len(), events.all)), Some((3, false)));
    }
}
