//! Frames from a client: each is read in one pass, a publication in it too.

use std::borrow::Cow;

use anywire_codes::{Code, Refusal};
use anywire_log::{Batch, Channel, Cursor, CursorError, Position};
use serde::Deserialize;

use crate::{
    names::{self, ListError, misfit},
    publish::{
        KeyedDraft, NESTING_MAX, PublishLimits, Taken, keep_name, keep_string, too_deep, twice, without_mark,
    },
    scan::{Scan, ScanError, explain},
};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Deliver these channels, from this position on.
    Subscribe {
        /// The channels; at least one.
        channels: Vec<Channel>,
        /// Where to start.
        position: Position,
        /// Whether the client becomes a member.
        presence: bool,
    },
    /// Deliver these channels no more.
    Unsubscribe(Vec<Channel>),
    /// Append these events.
    Publish(Batch),
    /// Say who is on a channel.
    Presence(Channel),
    /// Use this token from now on.
    Auth(String),
    /// The application has dealt with everything up to here.
    Ack(Cursor),
    /// Answer with a pong.
    Ping,
}

/// One frame from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFrame {
    /// The number that comes back in the answer.
    pub id: Option<u64>,
    /// What is asked for.
    pub command: Command,
}

/// A frame that was not understood, with the id to answer to if there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameError {
    /// The frame's id.
    pub id: Option<u64>,
    /// What is wrong.
    pub refusal: Refusal,
}

/// Limits of one frame. Every limit is finite.
#[derive(Debug, Clone, Copy)]
pub struct FrameLimits {
    /// What one publication may hold.
    pub publish: PublishLimits,
    /// How many channels a frame may name: as many as one connection may follow.
    pub channels_max: usize,
}

/// How deep a frame may be nested: as the data of an event with the frame around it. It holds for members
/// that nobody asks for too.
const FRAME_NESTING_MAX: usize = NESTING_MAX + 1;

/// Reads one frame.
///
/// # Errors
/// [`FrameError`] with the frame's id, where it could be read.
pub fn parse_frame(text: &str, limits: &FrameLimits) -> Result<ClientFrame, FrameError> {
    let text = without_mark(text);
    let no_frame = |why: String| invalid(format!("the frame is no object of the protocol: {why}"));
    let mut draft = FrameDraft::new(limits);
    let mut scan = Scan::new(text, FRAME_NESTING_MAX);
    let mut broken_in = None;
    let scanned = scan.members(|scan, name| {
        let taken = draft.take(scan, name);
        taken.inspect_err(|_| broken_in = Some(name.to_owned()))
    });
    let scanned = scanned.and_then(|()| scan.end());
    // The id was read if it stands before what is broken.
    let id = draft.id;
    scanned.map_err(|error| match error {
        ScanError::Nesting => FrameError { id, refusal: nested(broken_in.as_deref().unwrap_or_default()) },
        _ => FrameError { id, refusal: no_frame(explain(text)) },
    })?;
    let command = match draft.wrong.take() {
        Some(wrong) => Err(no_frame(wrong)),
        None => draft.command(limits),
    };
    command.map(|command| ClientFrame { id, command }).map_err(|refusal| FrameError { id, refusal })
}

/// The refusal of a member that is nested too deep.
fn nested(member: &str) -> Refusal {
    if matches!(member, "data" | "events") {
        return too_deep();
    }
    let member: String = member.chars().take(64).collect();
    invalid(format!("{member:?} is nested deeper than a frame's {FRAME_NESTING_MAX} levels; nest it less"))
}

/// The members of a frame. Those of a publication are judged only if it is one.
struct FrameDraft<'a> {
    op: Option<Cow<'a, str>>,
    id: Option<u64>,
    channels: Option<Result<Vec<Cow<'a, str>>, Refusal>>,
    channels_max: usize,
    after: Option<Cow<'a, str>>,
    presence: bool,
    token: Option<Cow<'a, str>>,
    cursor: Option<Cow<'a, str>>,
    publication: KeyedDraft<'a>,
    /// One bit a member that was there.
    seen: u8,
    /// The first thing that does not fit.
    wrong: Option<String>,
}

impl<'a> FrameDraft<'a> {
    fn new(limits: &FrameLimits) -> Self {
        Self {
            op: None,
            id: None,
            channels: None,
            channels_max: limits.channels_max,
            after: None,
            presence: false,
            token: None,
            cursor: None,
            publication: KeyedDraft::new(&limits.publish),
            seen: 0,
            wrong: None,
        }
    }

    fn take(&mut self, scan: &mut Scan<'a>, name: &str) -> Result<(), ScanError> {
        let taken = match self.publication.take(scan, name)? {
            Some(taken) if name == "channel" => taken,
            Some(taken) => {
                self.publication.judge(taken);
                Ok(())
            }
            None => self.take_own(name, scan.value()?),
        };
        if let Err(message) = taken {
            self.wrong.get_or_insert(message);
        }
        Ok(())
    }

    fn take_own(&mut self, name: &str, value: &'a str) -> Taken {
        let Some(at) = OWN_MEMBERS.iter().position(|known| *known == name) else { return Ok(()) };
        let mut seen = self.seen & 1 << at != 0;
        self.seen |= 1 << at;
        let slot = match name {
            "op" => &mut self.op,
            "token" => &mut self.token,
            "after" => return keep_name(&mut self.after, &mut seen, name, value),
            "cursor" => return keep_name(&mut self.cursor, &mut seen, name, value),
            _ if seen => return Err(twice(name)),
            "id" => return json(name, value, "a whole number from 0 on").map(|id| self.id = id),
            "channels" if value == "null" => return Ok(()),
            "channels" => {
                self.channels = Some(match names::list(value, self.channels_max) {
                    Ok(list) => Ok(list),
                    Err(ListError::Count) => Err(names::too_many(name, self.channels_max)),
                    Err(ListError::Kind) => return Err(misfit(name, value, "a list of names")),
                });
                return Ok(());
            }
            _ => return json(name, value, "true or false").map(|presence| self.presence = presence),
        };
        keep_string(slot, &mut seen, name, value)
    }

    fn command(self, limits: &FrameLimits) -> Result<Command, Refusal> {
        match self.op.as_deref() {
            Some("subscribe") => Ok(Command::Subscribe {
                channels: self.channels()?,
                position: self.position()?,
                presence: self.presence,
            }),
            Some("unsubscribe") => self.channels().map(Command::Unsubscribe),
            Some("publish") => self.publication.batch(&limits.publish).map(Command::Publish),
            Some("presence") => {
                names::channel(member(self.publication.channel(), "channel")?).map(Command::Presence)
            }
            Some("auth") => Ok(Command::Auth(member(self.token.as_deref(), "token")?.to_owned())),
            Some("ack") => cursor(member(self.cursor.as_deref(), "cursor")?).map(Command::Ack),
            Some("ping") => Ok(Command::Ping),
            Some(other) => Err(invalid(format!(
                "\"op\" is {other:?}; known are subscribe, unsubscribe, publish, presence, auth, ack, ping"
            ))),
            None => Err(invalid("the frame has no \"op\"")),
        }
    }

    /// The channels of a subscription: all that are named, or none.
    fn channels(&self) -> Result<Vec<Channel>, Refusal> {
        if let Some(stray) = self.publication.channel() {
            return Err(invalid(format!("\"channel\" is {stray:?}; name it in \"channels\", a list")));
        }
        match &self.channels {
            Some(Ok(texts)) if !texts.is_empty() => names::channels(texts),
            Some(Err(refusal)) => Err(refusal.clone()),
            _ => Err(invalid("\"channels\" is missing or empty; name at least one channel")),
        }
    }

    fn position(&self) -> Result<Position, Refusal> {
        self.after.as_deref().map_or(Ok(Position::Tail), names::position)
    }
}

/// The members of a frame that are none of a publication.
const OWN_MEMBERS: [&str; 7] = ["op", "id", "channels", "after", "presence", "token", "cursor"];

/// A member that is small, or rare.
fn json<'a, T: Deserialize<'a>>(name: &str, value: &'a str, expected: &str) -> Result<T, String> {
    serde_json::from_str(value).map_err(|_| misfit(name, value, expected))
}

fn member<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str, Refusal> {
    value.ok_or_else(|| invalid(format!("\"{name}\" is missing")))
}

fn cursor(text: &str) -> Result<Cursor, Refusal> {
    text.parse().map_err(|error: CursorError| Refusal::new(Code::InvalidCursor, error.to_string()))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits {
        publish: PublishLimits { message_bytes_max: 100, batch_events_max: 3 },
        channels_max: 3,
    };

    fn a() -> Channel {
        Channel::new("a").expect("a name")
    }

    #[test]
    fn frames_from_a_client_are_read() {
        let parse = |text| parse_frame(text, &LIMITS).expect(text);
        let cursor: Cursor = "1f0c93ab-5".parse().expect("a cursor");
        let frame =
            parse(r#"{"op":"subscribe","id":1,"channels":["a"],"after":"1f0c93ab-5","presence":true}"#);
        let command =
            Command::Subscribe { channels: vec![a()], position: Position::After(cursor), presence: true };
        assert_eq!(frame, ClientFrame { id: Some(1), command });
        assert_eq!(
            parse(r#"{"op":"unsubscribe","channels":["a"]}"#).command,
            Command::Unsubscribe(vec![a()])
        );
        assert_eq!(parse(r#"{"op":"ping","id":0}"#), ClientFrame { id: Some(0), command: Command::Ping });
        assert_eq!(parse(r#"{"op":"ack","cursor":"1f0c93ab-5"}"#).command, Command::Ack(cursor));
        let frame =
            parse(r#"{"op":"publish","id":3,"channel":"a","event":"x","data":[1],"idempotency_key":"k"}"#);
        let Command::Publish(batch) = frame.command else { panic!("a publication") };
        assert_eq!(batch.publications[0].payload.as_bytes().as_ref(), b"[1]");
        assert_eq!(batch.idempotency_key.expect("a key").as_str(), "k");
    }

    #[test]
    fn a_number_that_names_a_channel_or_a_place_is_its_own_text() {
        let command = |text| parse_frame(text, &LIMITS).expect(text).command;
        let channels = ["a", "42"].map(|name| Channel::new(name).expect("a name")).to_vec();
        assert_eq!(
            command(r#"{"op":"subscribe","channels":["a",42],"after":0}"#),
            Command::Subscribe { channels, position: Position::Oldest, presence: false }
        );
        for text in [r#"{"op":"presence","channel":42}"#, r#"{"op":"publish","channel":42}"#] {
            let error = parse_frame(text, &LIMITS).expect_err("what is published to is a string");
            assert_eq!(error.refusal.code, Code::InvalidRequest);
        }
    }

    #[test]
    fn members_that_nobody_asks_for_are_nested_no_deeper_than_others() {
        let frame = |depth: usize| {
            format!(r#"{{"op":"ping","id":1,"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
        };
        assert_eq!(parse_frame(&frame(63), &LIMITS).map(|frame| frame.command), Ok(Command::Ping));
        for depth in [64, 100_000] {
            let error = parse_frame(&frame(depth), &LIMITS).expect_err("deep");
            assert_eq!((error.id, error.refusal.code), (Some(1), Code::InvalidRequest));
            assert_eq!(
                error.refusal.message,
                "\"x\" is nested deeper than a frame's 64 levels; nest it less"
            );
        }
    }

    #[test]
    fn a_wrong_frame_is_refused_with_its_id() {
        let check = |text: &str, id, code| {
            let error = parse_frame(text, &LIMITS).expect_err(text);
            assert_eq!((error.id, error.refusal.code), (id, code), "{text}");
        };
        check("", None, Code::InvalidRequest);
        check("[]", None, Code::InvalidRequest);
        check(r#"{"op":"publish","id":7,"channel":"a","data":{]}"#, Some(7), Code::InvalidRequest);
        check(r#"{"id":7,"op":"ping""#, Some(7), Code::InvalidRequest);
        let deep = format!(
            r#"{{"id":7,"op":"publish","channel":"a","data":{}1{}}}"#,
            "[".repeat(64),
            "]".repeat(64)
        );
        check(&deep, Some(7), Code::InvalidEvent);
        check(r#"{"id":1}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"dance","id":1}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"subscribe","id":1}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"subscribe","id":1,"channels":[]}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"subscribe","id":1,"channels":["a b"]}"#, Some(1), Code::InvalidChannel);
        check(r#"{"op":"subscribe","id":1,"channels":["a"],"after":"x"}"#, Some(1), Code::InvalidCursor);
        for other in ["null", "true", "{}", "[\"b\"]"] {
            let text = format!(r#"{{"op":"subscribe","id":1,"channels":["a",{other}]}}"#);
            check(&text, Some(1), Code::InvalidRequest);
        }
        check(r#"{"op":"subscribe","id":1,"channels":"a"}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"subscribe","id":1,"channels":["a"],"channel":"b"}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"subscribe","id":1,"channels":["a"],"after":1}"#, Some(1), Code::InvalidCursor);
        check(r#"{"op":"subscribe","id":1,"channels":["a"],"after":[]}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"publish","id":1,"data":1}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"auth","id":1}"#, Some(1), Code::InvalidRequest);
    }
}
