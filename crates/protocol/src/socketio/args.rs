//! Bytes inside JSON, and several arguments in one payload.
//!
//! ```text
//!  on Socket.IO's wire     {"_placeholder":true,"num":0}   and the bytes as attachment 0
//!  in the log              {"$binary":"AAEC"}              the bytes as base64
//!  several arguments       {"$args":[1,"two"]}             of one event; none at all is {"$args":[]}
//!  a client's own object
//!    {"$binary":"AAEC"}     {"$$binary":"AAEC"}             one more $ than it has; on the way out one less
//!    {"$args":[1]}          {"$args":[{"$args":[1]}]}       as the only one of several arguments
//! ```

use std::borrow::Cow;

use anywire_log::Payload;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ATTACHMENTS_MAX;
use crate::publish::into_one_line;

/// What comes with an event or an acknowledgement: JSON values, and the attachments their placeholders name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Args {
    /// The values, each a JSON text.
    pub values: Vec<String>,
    /// The attachments.
    pub attachments: Vec<Bytes>,
}

impl Args {
    /// Values in which bytes are marked as the log does it: they become attachments, the first ten.
    #[must_use]
    pub fn from_marked(values: &[&str]) -> Self {
        let (list, attachments) = extract(format!("[{}]", values.join(",")).into());
        let values: Vec<&RawValue> = serde_json::from_slice(&list).unwrap_or_default();
        Self { values: values.into_iter().map(|value| value.get().to_owned()).collect(), attachments }
    }

    /// The values with bytes marked as the log does it.
    #[must_use]
    pub fn marked(&self) -> Vec<String> {
        self.values.iter().map(|value| mark(&escaped(value), &self.attachments)).collect()
    }
}

/// What the log keeps of an event's arguments: bytes alone as bytes, one value as itself, anything else under
/// `$args`.
///
/// Cost: nothing is copied where there is one value and no attachment.
#[must_use]
pub fn publication_payload(args: Args) -> Payload {
    let Args { mut values, attachments } = args;
    if let ([value], [bytes]) = (values.as_slice(), attachments.as_slice())
        && placeholder(value).is_some_and(|(length, _)| length == value.len())
    {
        return Payload::Binary(bytes.clone());
    }
    let text = match values.as_slice() {
        [one] if several(one.as_bytes()).is_none() => values.swap_remove(0),
        _ => format!("{{\"$args\":[{}]}}", values.join(",")),
    };
    let text = if has_marker(text.as_bytes()) { escaped(&text).into_owned() } else { text };
    let text = if attachments.is_empty() { text } else { mark(&text, &attachments) };
    Payload::Json(into_one_line(text))
}

/// Whether a text may hold the marker of bytes, or an escaped one.
fn has_marker(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"$binary\"").is_some()
}

/// A text in which every object that looks like the marker of bytes has one more `$`: it is a client's own.
fn escaped(text: &str) -> Cow<'_, str> {
    if !has_marker(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(replace_objects(text, |rest| {
        let Marker { length, name, text } = Marker::read(rest)?;
        Some((length, format!("{{\"${name}\":\"{text}\"}}")))
    }))
}

/// Puts marked bytes where placeholders name them.
fn mark(text: &str, attachments: &[Bytes]) -> String {
    replace_objects(text, |rest| {
        let (length, index) = placeholder(rest)?;
        let bytes = attachments.get(index)?;
        Some((length, format!("{{\"$binary\":\"{}\"}}", BASE64_STANDARD.encode(bytes))))
    })
}

/// A payload as the arguments of an event, joined by commas, with its attachments.
pub(super) fn arguments(payload: &Payload) -> (Bytes, Vec<Bytes>) {
    match payload {
        Payload::Binary(bytes) => {
            (Bytes::from_static(b"{\"_placeholder\":true,\"num\":0}"), vec![bytes.clone()])
        }
        Payload::Json(text) => {
            let args = several(text).map_or_else(|| text.clone(), Bytes::from);
            extract(args)
        }
    }
}

/// The inside of `{"$args":[…]}`.
fn several(text: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Several<'a> {
        #[serde(borrow, rename = "$args")]
        args: Vec<&'a RawValue>,
    }
    if !text.starts_with(b"{\"$args\"") {
        return None;
    }
    let several: Several<'_> = serde_json::from_slice(text).ok()?;
    let values: Vec<&str> = several.args.iter().map(|value| value.get()).collect();
    Some(values.join(","))
}

fn extract(text: Bytes) -> (Bytes, Vec<Bytes>) {
    let Some(plain) = std::str::from_utf8(&text).ok().filter(|text| has_marker(text.as_bytes())) else {
        return (text, Vec::new());
    };
    // A placeholder that somebody published would name an attachment that is not there. Clients differ in
    // what they take for one: JavaScript's `true` alone, Python's anything but false, null, 0 and "".
    let forged =
        any_placeholder_member(plain, |value| !value.starts_with("false") && !value.starts_with("null"));
    let mut attachments = Vec::new();
    let replaced = replace_objects(plain, |rest| {
        let Marker { length, name, text } = Marker::read(rest)?;
        if let Some(own) = name.strip_prefix("$$") {
            return Some((length, format!("{{\"${own}\":\"{text}\"}}")));
        }
        if forged || attachments.len() == ATTACHMENTS_MAX {
            return None;
        }
        attachments.push(Bytes::from(BASE64_STANDARD.decode(text).ok()?));
        Some((length, format!("{{\"_placeholder\":true,\"num\":{}}}", attachments.len() - 1)))
    });
    (replaced.into(), attachments)
}

/// Whether every placeholder in these texts is as clients write it, and names an attachment of its own among
/// `count`. One that several name would be copied for each of them, so that a few bytes of text become
/// megabytes; one with other members would be found by those who read the packet, and not by us.
pub(super) fn placeholders_fit(texts: &[&str], count: usize) -> bool {
    let mut named = [false; ATTACHMENTS_MAX];
    let mut fit = true;
    for text in texts.iter().filter(|_| count > 0) {
        let mut written = 0;
        replace_objects(text, |rest| {
            let (_, index) = placeholder(rest)?;
            let before =
                named.get_mut(index).filter(|_| index < count).map(|named| std::mem::replace(named, true));
            fit &= before == Some(false);
            written += 1;
            None
        });
        let mut members = 0;
        any_placeholder_member(text, |value| {
            members += usize::from(value.starts_with("true"));
            false
        });
        fit &= members == written;
    }
    fit
}

/// Whether `matches` the text after the colon of any member named `_placeholder`, however the name is
/// spelled.
fn any_placeholder_member(text: &str, mut matches: impl FnMut(&str) -> bool) -> bool {
    let bytes = text.as_bytes();
    if memchr::memmem::find(bytes, b"_placeholder").is_none() && memchr::memmem::find(bytes, b"\\u").is_none()
    {
        return false;
    }
    let mut at = 0;
    while let Some(begin) = memchr::memchr(b'"', &bytes[at..]).map(|found| at + found) {
        at = end_of_string(bytes, begin);
        let mut after = Scan(&text[at..]);
        if after.eat(":").is_some() && is_placeholder_name(&text[begin..at]) {
            after.skip_white_space();
            if matches(after.0) {
                return true;
            }
        }
    }
    false
}

fn is_placeholder_name(string: &str) -> bool {
    match string.contains('\\') {
        true => serde_json::from_str::<String>(string).is_ok_and(|name| name == "_placeholder"),
        false => string == "\"_placeholder\"",
    }
}

/// Copies a JSON text; wherever an object begins, `replace` may give the length of what is to go and what
/// comes instead.
fn replace_objects(text: &str, mut replace: impl FnMut(&str) -> Option<(usize, String)>) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at),
            b'{' => match replace(&text[at..]) {
                Some((length, instead)) => {
                    out.push_str(&text[copied..at]);
                    out.push_str(&instead);
                    at += length;
                    copied = at;
                }
                None => at += 1,
            },
            _ => at += 1,
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// The place after the string that begins at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `{"_placeholder":true,"num":N}` at the front of a text, members in either order: its length and N.
fn placeholder(text: &str) -> Option<(usize, usize)> {
    let mut scan = Scan(text);
    scan.eat("{")?;
    let mut index = None;
    let mut marked = false;
    for member in 0..2 {
        if member == 1 {
            scan.eat(",")?;
        }
        match scan.string()? {
            "_placeholder" => {
                scan.eat(":")?;
                scan.eat("true")?;
                marked = true;
            }
            "num" => {
                scan.eat(":")?;
                index = Some(scan.number()?);
            }
            _ => return None,
        }
    }
    scan.eat("}")?;
    index.filter(|_| marked).map(|index| (text.len() - scan.0.len(), index))
}

/// `{"$binary":"…"}` at the front of a text, with one `$` or more: its length, its member's name and text.
struct Marker<'a> {
    length: usize,
    name: &'a str,
    text: &'a str,
}

impl<'a> Marker<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut scan = Scan(text);
        scan.eat("{")?;
        let name = scan.string()?;
        (name.starts_with('$') && name.trim_start_matches('$') == "binary").then_some(())?;
        scan.eat(":")?;
        let encoded = scan.string()?;
        scan.eat("}")?;
        Some(Self { length: text.len() - scan.0.len(), name, text: encoded })
    }
}

/// Reads a JSON text from the front; white space between tokens is passed over.
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    fn skip_white_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn eat(&mut self, token: &str) -> Option<()> {
        self.skip_white_space();
        self.0 = self.0.strip_prefix(token)?;
        Some(())
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.eat("\"")?;
        let (text, rest) = self.0.split_once('"')?;
        self.0 = rest;
        (!text.contains('\\')).then_some(text)
    }

    fn number(&mut self) -> Option<usize> {
        self.skip_white_space();
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        number.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(values: &[&str], attachments: &[&'static [u8]]) -> Args {
        Args {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            attachments: attachments.iter().map(|bytes| Bytes::from_static(bytes)).collect(),
        }
    }

    fn there_and_back(args: Args) -> (String, String, usize) {
        let payload = publication_payload(args);
        let (text, attachments) = arguments(&payload);
        let stored = String::from_utf8_lossy(payload.as_bytes()).into_owned();
        (stored, String::from_utf8_lossy(&text).into_owned(), attachments.len())
    }

    #[test]
    fn arguments_go_through_the_log_and_come_back() {
        let check = |args: Args, stored: &str, joined: &str, attachments| {
            assert_eq!(there_and_back(args), (stored.to_owned(), joined.to_owned(), attachments));
        };
        check(args(&["{\"a\":1}"], &[]), "{\"a\":1}", "{\"a\":1}", 0);
        check(args(&[], &[]), "{\"$args\":[]}", "", 0);
        check(args(&["1", "\"two\""], &[]), "{\"$args\":[1,\"two\"]}", "1,\"two\"", 0);
        let place = "{\"_placeholder\":true,\"num\":0}";
        check(args(&[place], &[b"\0\x01"]), "\0\x01", place, 1);
        check(
            args(&["{\"a\":{ \"num\": 0, \"_placeholder\": true }}", "2"], &[&[0, 1, 2]]),
            "{\"$args\":[{\"a\":{\"$binary\":\"AAEC\"}},2]}",
            "{\"a\":{\"_placeholder\":true,\"num\":0}},2",
            1,
        );
    }

    #[test]
    fn texts_that_only_look_like_it_stay_as_they_are() {
        for text in [
            r#"{"$binary":"%%"}"#,
            r#"{"$binary":"AAEC","x":1}"#,
            r#"{"$binary":1}"#,
            r#""{\"$binary\":\"AAEC\"}""#,
            r#"{"$args":[1],"x":2}"#,
            r#"{"$args":1}"#,
        ] {
            let (joined, attachments) = arguments(&Payload::Json(Bytes::copy_from_slice(text.as_bytes())));
            assert_eq!((joined.as_ref(), attachments.len()), (text.as_bytes(), 0));
        }
        assert!(placeholders_fit(&[r#"["{\"_placeholder\":true,\"num\":9}"]"#], 1));
        assert!(!placeholders_fit(&[r#"[{"_placeholder":true,"num":9}]"#], 1));
    }

    #[test]
    fn what_a_client_sends_itself_arrives_as_it_was() {
        let place = r#"{"_placeholder":true,"num":0}"#;
        for own in [
            r#"{"$binary":"AAEC"}"#,
            r#"{"a":[{ "$binary" : "AAEC" },1]}"#,
            r#"{"$$binary":"AAEC"}"#,
            r#"{"$binary":"no base64"}"#,
            r#"{"$args":[1,2]}"#,
            r#"{"$args":[]}"#,
            r#"{"$args":[{"$args":[1]}]}"#,
            r#"{"$args":[1],"x":2}"#,
            place,
        ] {
            let (_, came, attachments) = there_and_back(args(&[own], &[]));
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("one value");
            assert_eq!((value(&came), attachments), (value(own), 0), "{own}");
            let beside = format!("{{\"own\":{own},\"bytes\":{place}}}");
            if own != place {
                let (_, came, attachments) = there_and_back(args(&[&beside], &[b"\x07"]));
                assert_eq!((value(&came), attachments), (value(&beside), 1), "{own} beside bytes");
            }
        }
        let answered = Args { values: vec![r#"{"$binary":"AAEC"}"#.into()], attachments: vec![] };
        let marked = answered.marked();
        assert_eq!(marked, [r#"{"$$binary":"AAEC"}"#]);
        assert_eq!(Args::from_marked(&[&marked[0]]), answered);
    }

    #[test]
    fn nothing_that_a_client_may_take_for_a_placeholder_travels_beside_attachments() {
        const FORGED: [&str; 9] = [
            r#"{"_placeholder":true}"#,
            r#"{"_placeholder":true,"num":99}"#,
            r#"{"_placeholder":true,"num":0,"q":1}"#,
            r#"{"num":"x","_placeholder":true}"#,
            r#"{"_placeholder":true,"num":-1}"#,
            r#"{"_placeholder" : true,"num":0.0}"#,
            r#"{"\u005fplaceholder":true,"num":0}"#,
            r#"{"_placeholder":false,"_placeholder":true,"num":0}"#,
            r#"[[{"a":{"_pl\u0061ceholder": true}}]]"#,
        ];
        let place = r#"{"_placeholder":true,"num":0}"#;
        for forged in FORGED {
            let published = format!(r#"{{"a":{{"$binary":"AAAA"}},"b":{forged}}}"#);
            let (joined, attachments) = arguments(&Payload::Json(published.clone().into()));
            assert_eq!((joined.as_ref(), attachments.len()), (published.as_bytes(), 0), "{forged}");
            assert!(!placeholders_fit(&[forged, place], 1), "{forged}");
            assert!(!placeholders_fit(&[&format!("[{forged},{place}]")], 1), "{forged}");
            assert!(
                placeholders_fit(&[forged], 0),
                "{forged}: without attachments it is a value as any other"
            );
        }
        for truthy in [r#"{"_placeholder":1,"num":9}"#, r#"{"_placeholder":"true","num":9}"#] {
            let published = format!(r#"[{{"$binary":"AAAA"}},{truthy}]"#);
            assert_eq!(arguments(&Payload::Json(published.into())).1.len(), 0, "{truthy}");
        }
        for harmless in
            [r#"{"_placeholder":false}"#, r#"{"_placeholder":null,"num":9}"#, r#"["_placeholder",true]"#]
        {
            let published = format!(r#"[{{"$binary":"AAAA"}},{harmless}]"#);
            assert_eq!(arguments(&Payload::Json(published.into())).1.len(), 1, "{harmless}");
            assert!(placeholders_fit(&[harmless, place], 1), "{harmless}");
        }
    }

    #[test]
    fn marked_values_become_attachments_and_back() {
        let marked = [r#"{"a":{"$binary":"AAEC"}}"#, "2", r#"{"$binary":"Bw=="}"#];
        let args = Args::from_marked(&marked);
        let places = |number| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
        assert_eq!(args.values, [format!(r#"{{"a":{}}}"#, places(0)), "2".into(), places(1)]);
        assert_eq!(args.attachments, [Bytes::from_static(&[0, 1, 2]), Bytes::from_static(&[7])]);
        assert_eq!(args.marked(), marked);
        assert_eq!(Args::from_marked(&[]), Args::default());
    }

    #[test]
    fn an_attachment_is_named_once() {
        let (first, second) = (r#"{"_placeholder":true,"num":0}"#, r#"{"num":1,"_placeholder":true}"#);
        assert!(placeholders_fit(&[second, first], 2));
        assert!(placeholders_fit(&["1"], 2), "one that nobody names harms nobody");
        assert!(!placeholders_fit(&[first, second, first], 2));
        assert!(!placeholders_fit(&[&format!("[{first},{first}]")], 2));
        assert!(!placeholders_fit(&[second], 1));
    }

    #[test]
    fn more_than_ten_pieces_of_bytes_are_carried_as_text() {
        let text = format!("[{}]", [r#"{"$binary":"AA=="}"#; 12].join(","));
        let (joined, attachments) = arguments(&Payload::Json(text.into()));
        assert_eq!(attachments.len(), ATTACHMENTS_MAX);
        assert_eq!(memchr::memmem::find_iter(&joined, b"$binary").count(), 2);
    }
}
