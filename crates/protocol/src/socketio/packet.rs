//! One text packet of a client.
//!
//! ```text
//!  | type: '0'..'6' | attachments '-' | '/namespace' ',' | ack id | JSON |
//!                    only types 5, 6    unless it is "/"   maybe    by type
//! ```

use std::borrow::Cow;

use anywire_log::Batch;
use smallvec::SmallVec;

use super::{ATTACHMENTS_MAX, DEFAULT_NAMESPACE, PUBLISH};
use crate::{
    Refusal,
    publish::{KeyedDraft, PublishLimits},
    scan::{Scan, ScanError, string},
};

/// How deep the JSON of a packet may be nested.
const NESTING_MAX: usize = 64;
/// The most arguments of an event or an acknowledgement.
const ARGUMENTS_MAX: usize = 64;
/// The longest name of a namespace, in bytes.
const NAMESPACE_BYTES_MAX: usize = 255;
/// Names that the client libraries keep for themselves.
pub(super) const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Why a packet is none. The session ends with it: nothing after it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The first character is no type a client may send.
    #[error("unknown packet type")]
    Type,
    /// The number of attachments is missing, or above [`ATTACHMENTS_MAX`].
    #[error("the number of attachments must be 1 to 10")]
    Attachments,
    /// The namespace is too long.
    #[error("the namespace is longer than 255 bytes")]
    Namespace,
    /// What follows is not the JSON this type has.
    #[error("the payload does not fit the packet type")]
    Payload,
    /// The JSON is nested too deep.
    #[error("the JSON of a packet is nested deeper than 64 levels")]
    Nesting,
    /// There are too many arguments.
    #[error("an event or an acknowledgement has more than 64 arguments")]
    Arguments,
    /// It has attachments before any namespace is joined.
    #[error("no packet may have attachments before a namespace is joined")]
    Early,
    /// Text came where attachments were due, or bytes where none were.
    #[error("attachments came out of turn")]
    Turn,
    /// The attachments of one packet are too many bytes.
    #[error("the attachments of one packet are over the limit (limits.message_bytes_max)")]
    TooLarge,
}

impl PacketError {
    /// Whether the packet is one, but larger than one may be: its client should be told.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::Attachments
                | Self::Early
                | Self::Namespace
                | Self::Nesting
                | Self::Arguments
                | Self::TooLarge
        )
    }
}

/// Arguments as they stand in a text; of one or two on the stack.
pub(super) type Values<'a> = SmallVec<[&'a str; 2]>;

/// What a packet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body<'a> {
    Connect(Option<&'a str>),
    Disconnect,
    Event {
        name: Cow<'a, str>,
        args: Values<'a>,
    },
    /// The event by which a client publishes, with one object and no attachments.
    Publish(Result<Batch, Refusal>),
    Ack(Values<'a>),
}

/// A packet's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientPacket<'a> {
    pub(super) namespace: &'a str,
    pub(super) ack: Option<u64>,
    pub(super) attachments: usize,
    pub(super) body: Body<'a>,
}

/// Takes a packet's text apart.
pub(super) fn parse<'a>(text: &'a str, limits: &PublishLimits) -> Result<ClientPacket<'a>, PacketError> {
    let kind = *text.as_bytes().first().ok_or(PacketError::Type)?;
    let rest = if kind.is_ascii_digit() { &text[1..] } else { return Err(PacketError::Type) };
    let (attachments, rest) = if matches!(kind, b'5' | b'6') { attachments(rest)? } else { (0, rest) };
    let (namespace, rest) = match rest.starts_with('/') {
        true => rest.split_once(',').unwrap_or((rest, "")),
        false => (DEFAULT_NAMESPACE, rest),
    };
    if namespace.len() > NAMESPACE_BYTES_MAX {
        return Err(PacketError::Namespace);
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (id, json) = rest.split_at(digits);
    let ack = if id.is_empty() { None } else { Some(id.parse().map_err(|_| PacketError::Payload)?) };
    let body = match kind {
        b'0' if ack.is_none() => Body::Connect(object(json)?),
        b'1' if rest.is_empty() => Body::Disconnect,
        b'2' => event(json, Some(limits))?,
        b'5' => event(json, None)?,
        b'3' | b'6' if ack.is_some() => Body::Ack(array(json)?),
        b'0'..=b'6' => return Err(PacketError::Payload),
        _ => return Err(PacketError::Type),
    };
    Ok(ClientPacket { namespace, ack, attachments, body })
}

fn attachments(text: &str) -> Result<(usize, &str), PacketError> {
    let (number, rest) = text.split_once('-').ok_or(PacketError::Attachments)?;
    let plain = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let count = number.parse().ok().filter(|count| plain && (1..=ATTACHMENTS_MAX).contains(count));
    Ok((count.ok_or(PacketError::Attachments)?, rest))
}

fn object(json: &str) -> Result<Option<&str>, PacketError> {
    if json.is_empty() {
        return Ok(None);
    }
    let mut scan = Scan::new(json, NESTING_MAX);
    let value = scan.value()?;
    scan.end()?;
    if value.starts_with('{') { Ok(Some(value)) } else { Err(PacketError::Payload) }
}

fn array(json: &str) -> Result<Values<'_>, PacketError> {
    let mut values = Values::new();
    let mut scan = Scan::new(json, NESTING_MAX);
    scan.elements(|scan| push(&mut values, scan.value()?))?;
    scan.end()?;
    Ok(values)
}

fn push<'a>(values: &mut Values<'a>, value: &'a str) -> Result<(), ScanError> {
    if values.len() == ARGUMENTS_MAX {
        return Err(ScanError::Count);
    }
    values.push(value);
    Ok(())
}

/// Reads an event's name and arguments; with limits, a publication too.
fn event<'a>(json: &'a str, limits: Option<&PublishLimits>) -> Result<Body<'a>, PacketError> {
    let (mut name, mut args, mut publication) = (None, Values::new(), None);
    let mut scan = Scan::new(json, NESTING_MAX);
    scan.elements(|scan| {
        let Some(name) = &name else {
            name = Some(event_name(scan.value()?)?);
            return Ok(());
        };
        match limits {
            Some(limits) if name == PUBLISH && args.is_empty() && scan.peek() == Some(b'{') => {
                let (draft, value) = scan.value_with(|scan| KeyedDraft::read(scan, limits))?;
                publication = Some((draft, limits));
                push(&mut args, value)
            }
            _ => push(&mut args, scan.value()?),
        }
    })?;
    scan.end()?;
    match publication {
        Some((draft, limits)) if args.len() == 1 => Ok(Body::Publish(draft.batch(limits))),
        _ => Ok(Body::Event { name: name.ok_or(PacketError::Payload)?, args }),
    }
}

fn event_name(value: &str) -> Result<Cow<'_, str>, ScanError> {
    // Old clients may emit a number as the event's name.
    let name = match value.as_bytes().first() {
        Some(b'0'..=b'9') => Cow::Borrowed(value),
        _ => string(value).ok_or(ScanError::Syntax)?,
    };
    if RESERVED.contains(&&*name) { Err(ScanError::Syntax) } else { Ok(name) }
}

impl From<ScanError> for PacketError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Syntax => Self::Payload,
            ScanError::Nesting => Self::Nesting,
            ScanError::Count => Self::Arguments,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet<'a>(
        namespace: &'a str,
        ack: Option<u64>,
        attachments: usize,
        body: Body<'a>,
    ) -> ClientPacket<'a> {
        ClientPacket { namespace, ack, attachments, body }
    }

    const LIMITS: PublishLimits = PublishLimits { message_bytes_max: 100, batch_events_max: 3 };

    fn parse(text: &str) -> Result<ClientPacket<'_>, PacketError> {
        super::parse(text, &LIMITS)
    }

    fn event<'a>(name: &'a str, args: &[&'a str]) -> Body<'a> {
        Body::Event { name: Cow::Borrowed(name), args: args.into() }
    }

    #[test]
    fn packets_are_read() {
        fn check<'a>(text: &'a str, expected: ClientPacket<'a>) {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        check("0", packet("/", None, 0, Body::Connect(None)));
        check(r#"0{"token":"1"}"#, packet("/", None, 0, Body::Connect(Some(r#"{"token":"1"}"#))));
        check("0/admin,", packet("/admin", None, 0, Body::Connect(None)));
        check("0/admin", packet("/admin", None, 0, Body::Connect(None)));
        check("1", packet("/", None, 0, Body::Disconnect));
        check("1/a,", packet("/a", None, 0, Body::Disconnect));
        check(r#"2["x",1,{"a":[]}]"#, packet("/", None, 0, event("x", &["1", r#"{"a":[]}"#])));
        check(r#"2/a,12["x"]"#, packet("/a", Some(12), 0, event("x", &[])));
        check(r#"2[7,"y"]"#, packet("/", None, 0, event("7", &[r#""y""#])));
        check("3/a,0[]", packet("/a", Some(0), 0, Body::Ack([].into_iter().collect())));
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        check(
            r#"51-/a,3["x",{"_placeholder":true,"num":0}]"#,
            packet("/a", Some(3), 1, event("x", &[placeholder])),
        );
        check(
            r#"61-3[{"_placeholder":true,"num":0}]"#,
            packet("/", Some(3), 1, Body::Ack([placeholder].into_iter().collect())),
        );
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let check = |text: &str, error| assert_eq!(parse(text), Err(error), "{text}");
        check("", PacketError::Type);
        check("abc", PacketError::Type);
        check("7", PacketError::Type);
        check("éa", PacketError::Type);
        for text in
            ["2", "2{}", "2[]", "2[{}]", "2[null]", "2[\"x\"", "2[\"x\"]1", "2[\"connect\"]", "2abc[\"x\"]"]
        {
            check(text, PacketError::Payload);
        }
        for text in ["0[]", "0\"x\"", "01", "1{}", "3[]", "3x[]", "30{}", "4{}", "2[\"\u{1}\"]"] {
            check(text, PacketError::Payload);
        }
        check("299999999999999999999[\"x\"]", PacketError::Payload);
        for text in
            ["5[\"x\"]", "50-[\"x\"]", "511-[\"x\"]", "5-1-[\"x\"]", "5+1-[\"x\"]", "5999999999-[\"x\"]", "6"]
        {
            check(text, PacketError::Attachments);
        }
        check(&format!("2/{},[\"x\"]", "n".repeat(255)), PacketError::Namespace);
    }

    #[test]
    fn deep_nesting_and_endless_arguments_are_refused_before_anything_is_built() {
        let nested = |depth: usize| format!("2[\"x\",{}{}]", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(63)).is_ok());
        assert_eq!(parse(&nested(64)), Err(PacketError::Nesting));
        assert_eq!(parse(&nested(500_000)), Err(PacketError::Nesting));
        let arguments = |count: usize| format!("2[\"x\"{}]", ",1".repeat(count));
        assert!(parse(&arguments(64)).is_ok());
        for count in [65, 500_000] {
            assert_eq!(parse(&arguments(count)), Err(PacketError::Arguments), "{count}");
        }
        let values = |count: usize| format!("31[{}]", vec!["1"; count].join(","));
        assert!(parse(&values(64)).is_ok());
        assert_eq!(parse(&values(65)), Err(PacketError::Arguments));
        assert!(parse(&format!("2[\"x\",\"{}\"]", "[".repeat(1000))).is_ok(), "a text is not nesting");
    }
}
