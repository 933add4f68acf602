//! The members of a query string (`application/x-www-form-urlencoded`), read by one rule whoever asks: bytes
//! that are no UTF-8 are refused, since two of them would become one and the same text, and so is a member
//! that stands there twice where one is meant, since nobody can know which.

use crate::{Code, Refusal, sse::is_last_event_id};

/// How much of a text a refusal shows, in characters.
const SHOWN_MAX: usize = 64;

/// The members of a query string, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(Vec<(String, String)>);

impl Members {
    /// Reads a query string (without `?`).
    ///
    /// # Errors
    /// `invalid_request`, or `invalid_channel` for a channel: bytes that are no UTF-8, with the member.
    pub fn parse(query: &str) -> Result<Self, Refusal> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let member = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| {
                let message = format!("a member of the address is named {:?}, which is no UTF-8", cut(name));
                Refusal::new(Code::InvalidRequest, message)
            })?;
            let value = decode(value).ok_or_else(|| no_text(&name, value))?;
            Ok((name, value))
        };
        pairs.map(member).collect::<Result<_, _>>().map(Self)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a member that stands there once.
    ///
    /// # Errors
    /// `invalid_request` if it stands there more than once.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.iter().filter(|(other, _)| *other == name).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            let message = format!("{:?} stands in the address more than once; give it once", cut(name));
            return Err(Refusal::new(Code::InvalidRequest, message));
        }
        Ok(value)
    }

    /// What stands for the header `Last-Event-ID`; of several spellings the last counts.
    ///
    /// # Errors
    /// `invalid_request` if one of them stands there more than once.
    pub fn last_event_id(&self) -> Result<Option<&str>, Refusal> {
        let found = self.iter().rev().find(|(name, _)| is_last_event_id(name));
        found.map_or(Ok(None), |(name, _)| self.text(name))
    }
}

fn no_text(name: &str, value: &str) -> Refusal {
    let code = match name {
        "channel" | "channels" => Code::InvalidChannel,
        _ => Code::InvalidRequest,
    };
    let (name, value) = (cut(name), cut(value));
    Refusal::new(code, format!("{name:?} is {value:?}, which is no UTF-8; escape the bytes of UTF-8"))
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// A name or value without its escapes; `None` if it is no UTF-8 then. What is no escape stays as it is.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = || {
            let digits =
                bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => match escaped() {
                Some(byte) => {
                    out.push(byte);
                    at += 2;
                }
                None => out.push(b'%'),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_decoded_in_order() {
        let members = Members::parse("a=1&b=ti%E1%BA%BFng+x&&c&a=%26").expect("members");
        let all: Vec<_> = members.iter().collect();
        assert_eq!(all, [("a", "1"), ("b", "tiếng x"), ("c", ""), ("a", "&")]);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(decode("a%2").as_deref(), Some("a%2"));
        assert_eq!(decode("a%zz+b").as_deref(), Some("a%zz b"));
        assert_eq!(decode("%+f").as_deref(), Some("% f"));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_the_member() {
        let refused = |query: &str, code, words: &str| {
            let refusal = Members::parse(query).expect_err(query);
            assert_eq!(refusal.code, code, "{query}");
            assert!(refusal.message.contains(words), "{}", refusal.message);
        };
        refused("a=1&key=%ff", Code::InvalidRequest, "\"key\" is \"%ff\", which is no UTF-8");
        refused("channel=%fe", Code::InvalidChannel, "\"channel\" is \"%fe\"");
        refused("channels=a,%c3%28", Code::InvalidChannel, "\"channels\" is \"a,%c3%28\"");
        refused("key=%ed%a0%80", Code::InvalidRequest, "no UTF-8");
        refused("header.%ff=x", Code::InvalidRequest, "named \"header.%ff\"");
    }

    #[test]
    fn a_member_that_is_meant_once_stands_there_once() {
        let members = Members::parse("topic=a&topic=b&key=&x=1").expect("members");
        assert_eq!((members.text("key"), members.text("none")), (Ok(Some("")), Ok(None)));
        let refusal = members.text("topic").expect_err("twice");
        assert_eq!(refusal.code, Code::InvalidRequest);
        assert_eq!(refusal.message, "\"topic\" stands in the address more than once; give it once");
    }

    #[test]
    fn the_last_spelling_of_the_last_event_id_counts() {
        let found =
            |query: &str| Members::parse(query).expect(query).last_event_id().map(|id| id.map(str::to_owned));
        assert_eq!(found("lastEventId=1&last_event_id=2&after=3"), Ok(Some("2".to_owned())));
        assert_eq!(found("after=3"), Ok(None));
        assert!(found("lastEventId=1&lastEventId=2").is_err());
    }
}
