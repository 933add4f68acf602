//! Channels and cursors as JSON values, wherever a client says what it wants to follow: a string, or a
//! number, which is its own text. All or nothing: a value that is neither is refused, never left out.

use std::{borrow::Cow, collections::HashSet};

use anywire_codes::{Code, Refusal};
use anywire_log::{Channel, CursorError, Position};

use crate::scan::{Scan, ScanError, string};

/// The text of a value that names something; `None` if it is neither a string nor a number.
pub(crate) fn name(value: &str) -> Option<Cow<'_, str>> {
    match value.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Some(Cow::Borrowed(value)),
        _ => string(value),
    }
}

/// What is wrong with a member of another kind.
pub(crate) fn misfit(name: &str, value: &str, expected: &str) -> String {
    let shown: String = value.chars().take(64).collect();
    let more = if shown.len() < value.len() { "…" } else { "" };
    format!("\"{name}\" is {shown}{more}; expected {expected}")
}

/// Why a value is no list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListError {
    /// It is no list, or holds anything else too.
    Kind,
    /// It names more than one connection may follow.
    Count,
}

/// The texts of a list of names. Its length is looked at first: before it is known what they are, and whether
/// one stands in it twice.
pub(crate) fn list(value: &str, count_max: usize) -> Result<Vec<Cow<'_, str>>, ListError> {
    let mut names = Vec::new();
    let mut scan = Scan::new(value, usize::MAX);
    let listed = scan.elements_up_to(count_max, |scan| {
        names.push(name(scan.value()?).ok_or(ScanError::Syntax)?);
        Ok(())
    });
    match listed {
        Ok(true) => Ok(names),
        Ok(false) => Err(ListError::Count),
        Err(_) => Err(ListError::Kind),
    }
}

/// The refusal of a list that names more channels than one connection may follow.
pub(crate) fn too_many(member: &str, channels_max: usize) -> Refusal {
    let message = format!(
        "\"{member}\" names more than {channels_max} channels, the limit of one connection \
         (limits.channels_max); name fewer, or open another connection"
    );
    Refusal::new(Code::TooManyChannels, message)
}

/// A text as a channel.
///
/// # Errors
/// `invalid_channel`.
pub fn channel(text: &str) -> Result<Channel, Refusal> {
    Channel::new(text).map_err(|error| Refusal::new(Code::InvalidChannel, error.to_string()))
}

/// Texts as channels, each once.
///
/// # Errors
/// `invalid_channel`, with the first text that is none.
pub(crate) fn channels(texts: &[Cow<'_, str>]) -> Result<Vec<Channel>, Refusal> {
    let mut seen = HashSet::new();
    let all = texts.iter().map(|text| channel(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(all.into_iter().filter(|channel| seen.insert(channel.clone())).collect())
}

/// The channels that a value names: one, or a list of them.
///
/// # Errors
/// `invalid_request` if it is something else, `too_many_channels` or `invalid_channel`.
pub(crate) fn one_or_more(member: &str, value: &str, channels_max: usize) -> Result<Vec<Channel>, Refusal> {
    let texts = name(value).map_or_else(|| list(value, channels_max), |name| Ok(vec![name]));
    channels(&texts.map_err(|error| match error {
        ListError::Kind => invalid(misfit(member, value, "a name, or a list of names")),
        ListError::Count => too_many(member, channels_max),
    })?)
}

/// A text as a position.
///
/// # Errors
/// `invalid_cursor`.
pub(crate) fn position(text: &str) -> Result<Position, Refusal> {
    text.parse().map_err(|error: CursorError| Refusal::new(Code::InvalidCursor, error.to_string()))
}

/// What `subscribe` and `unsubscribe` of Socket.IO clients name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The channels; at least one.
    pub channels: Vec<Channel>,
    /// Where to start.
    pub position: Option<Position>,
}

impl Wanted {
    /// Reads the arguments of such an event: a channel, a list of them, or an object with `channel`,
    /// `channels` or `room`; and where to start, `after`, in that object or in a second one. No list may name
    /// more channels than `channels_max`.
    ///
    /// # Errors
    /// A [`Refusal`] that names what does not fit.
    pub fn parse(values: &[&str], channels_max: usize) -> Result<Self, Refusal> {
        let (first, second) = match values {
            [] => ("null", "null"),
            [first] => (*first, "null"),
            [first, second] => (*first, *second),
            [_, _, third, ..] => {
                return Err(invalid(misfit("the third argument", third, "a list of names as the first one")));
            }
        };
        let mut members = Members::default();
        if first.starts_with('{') {
            members.read(first)?;
        } else {
            members.names = Some(("the channel", first)).filter(|_| first != "null");
        }
        match second {
            "null" => {}
            object if object.starts_with('{') => members.read(object)?,
            other => return Err(invalid(misfit("the second argument", other, "{\"after\": a cursor}"))),
        }
        members.wanted(channels_max)
    }
}

/// What the arguments say.
#[derive(Default)]
struct Members<'a> {
    names: Option<(&'static str, &'a str)>,
    after: Option<&'a str>,
}

impl<'a> Members<'a> {
    fn read(&mut self, object: &'a str) -> Result<(), Refusal> {
        let mut twice = None;
        let mut scan = Scan::new(object, usize::MAX);
        let scanned = scan.members(|scan, name| {
            let value = scan.value()?;
            let known = ["channels", "channel", "room"].into_iter().find(|known| *known == name);
            match known.filter(|_| value != "null") {
                Some(name) => {
                    twice = self.names.replace((name, value)).map(|before| (before.0, name)).or(twice)
                }
                None if name == "after" && value != "null" => self.after = Some(value),
                None => {}
            }
            Ok(())
        });
        match (scanned, twice) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some((one, other))) => {
                Err(invalid(format!("both {one:?} and {other:?} name channels; give one of them")))
            }
            (Err(_), _) => Err(invalid(misfit("the argument", object, "an object"))),
        }
    }

    fn wanted(self, channels_max: usize) -> Result<Wanted, Refusal> {
        let named = self.names.map(|(member, value)| one_or_more(member, value, channels_max));
        let channels = named.transpose()?;
        let Some(channels) = channels.filter(|channels| !channels.is_empty()) else {
            let message =
                "no channel is named; emit a name, or a list of names, such as emit(\"subscribe\", \"news\")";
            return Err(invalid(message));
        };
        let after = |value| name(value).ok_or_else(|| invalid(misfit("after", value, "a cursor, or 0")));
        let position = self.after.map(|value| position(&after(value)?)).transpose()?;
        Ok(Wanted { channels, position })
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(values: &[&str]) -> Result<(Vec<String>, Option<Position>), Code> {
        let wanted = Wanted::parse(values, 4).map_err(|refusal| refusal.code)?;
        Ok((wanted.channels.iter().map(ToString::to_string).collect(), wanted.position))
    }

    #[test]
    fn a_number_is_its_own_text() {
        let check = |values: &[&str], names: &[&str], position| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(wanted(values), Ok((names, position)), "{values:?}");
        };
        let after = Some(Position::After("1f0c93ab-5".parse().expect("a cursor")));
        check(&[r#""a""#], &["a"], None);
        check(&["42"], &["42"], None);
        check(&[r#"["a", 42, 1.10, 42]"#], &["a", "42", "1.10"], None);
        check(&[r#""a""#, r#"{"after":0}"#], &["a"], Some(Position::Oldest));
        check(&[r#""a""#, r#"{"after":"1f0c93ab-5","other":[]}"#], &["a"], after);
        check(&[r#"{"room":7,"after":"1f0c93ab-5"}"#, "null"], &["7"], after);
        check(&[r#"{"channels":["a","b"],"channel":null,"after":null}"#], &["a", "b"], None);
        check(&[r#"[9007199254740993]"#], &["9007199254740993"], None);
    }

    #[test]
    fn what_names_nothing_is_refused_and_nothing_with_it_is_joined() {
        let check = |values: &[&str], code| assert_eq!(wanted(values), Err(code), "{values:?}");
        for other in ["null", "true", "{}", "[]", r#"["b"]"#] {
            check(&[&format!("[\"a\",{other}]")], Code::InvalidRequest);
        }
        for other in [r#""""#, r#""b c""#] {
            check(&[&format!("[\"a\",{other}]")], Code::InvalidChannel);
        }
        check(&["true"], Code::InvalidRequest);
        for values in [&[][..], &["null"], &["[]"], &["{}"], &[r#"{"after":0}"#]] {
            check(values, Code::InvalidRequest);
        }
        for after in ["true", "[]", "{}"] {
            check(&["\"a\"", &format!("{{\"after\":{after}}}")], Code::InvalidRequest);
        }
        for after in ["1", "-1", "\"x\"", "\"\"", "0.5"] {
            check(&["\"a\"", &format!("{{\"after\":{after}}}")], Code::InvalidCursor);
        }
        check(&["\"a\"", "\"b\""], Code::InvalidRequest);
        check(&["\"a\"", "null", "\"b\""], Code::InvalidRequest);
        check(&[r#"{"channel":"a","room":"b"}"#], Code::InvalidRequest);
        check(&["\"a\"", r#"{"channel":"b"}"#], Code::InvalidRequest);
    }
}
