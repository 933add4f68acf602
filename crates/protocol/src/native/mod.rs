//! The native WebSocket frames (PROTOCOL.md, section 8): JSON objects with an `op`.
//!
//! Knows: the frames' members. Does not know: WebSocket framing (see `websocket`), who may do what.

use std::borrow::Cow;

use anywire_log::{Batch, Channel, Cursor, CursorError, Event, Gap, Position, Timestamp};
use bytes::Bytes;
use serde::Deserialize;

use crate::{
    Code, Refusal,
    json::{
        event_size_hint, iso_time, separate, write_cursor, write_event, write_gap, write_number, write_string,
    },
    publish::{KeyedDraft, PublishLimits, Taken, keep_string, misfit, twice},
    scan::{Scan, ScanError, explain},
    slots,
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

/// Reads one frame.
///
/// # Errors
/// [`FrameError`] with the frame's id, where it could be read.
pub fn parse_frame(text: &str, limits: &PublishLimits) -> Result<ClientFrame, FrameError> {
    let no_frame = |why: String| invalid(format!("the frame is no object of the protocol: {why}"));
    let mut draft = FrameDraft::new(limits);
    let mut scan = Scan::new(text, usize::MAX);
    let scanned = scan.members(|scan, name| draft.take(scan, name)).and_then(|()| scan.end());
    scanned.map_err(|_| FrameError { id: None, refusal: no_frame(explain(text)) })?;
    let id = draft.id;
    let command = match draft.wrong.take() {
        Some(wrong) => Err(no_frame(wrong)),
        None => draft.command(limits),
    };
    command.map(|command| ClientFrame { id, command }).map_err(|refusal| FrameError { id, refusal })
}

/// The members of a frame. Those of a publication are judged only if it is one.
struct FrameDraft<'a> {
    op: Option<Cow<'a, str>>,
    id: Option<u64>,
    channels: Option<Vec<Cow<'a, str>>>,
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
    fn new(limits: &PublishLimits) -> Self {
        Self {
            op: None,
            id: None,
            channels: None,
            after: None,
            presence: false,
            token: None,
            cursor: None,
            publication: KeyedDraft::new(limits),
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
            "after" => &mut self.after,
            "token" => &mut self.token,
            "cursor" => &mut self.cursor,
            _ if seen => return Err(twice(name)),
            "id" => return json(name, value, "a whole number from 0 on").map(|id| self.id = id),
            "channels" => return json(name, value, "a list of names").map(|list| self.channels = list),
            _ => return json(name, value, "true or false").map(|presence| self.presence = presence),
        };
        keep_string(slot, &mut seen, name, value)
    }

    fn command(self, limits: &PublishLimits) -> Result<Command, Refusal> {
        match self.op.as_deref() {
            Some("subscribe") => Ok(Command::Subscribe {
                channels: channels(self.channels.as_deref())?,
                position: position(self.after.as_deref())?,
                presence: self.presence,
            }),
            Some("unsubscribe") => channels(self.channels.as_deref()).map(Command::Unsubscribe),
            Some("publish") => self.publication.batch(limits).map(Command::Publish),
            Some("presence") => {
                channel(member(self.publication.channel(), "channel")?).map(Command::Presence)
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

fn channel(text: &str) -> Result<Channel, Refusal> {
    Channel::new(text).map_err(|error| Refusal::new(Code::InvalidChannel, error.to_string()))
}

fn channels(texts: Option<&[Cow<'_, str>]>) -> Result<Vec<Channel>, Refusal> {
    match texts {
        None | Some([]) => Err(invalid("\"channels\" is missing or empty; name at least one channel")),
        Some(texts) => texts.iter().map(|text| channel(text)).collect(),
    }
}

fn cursor(text: &str) -> Result<Cursor, Refusal> {
    text.parse().map_err(|error: CursorError| Refusal::new(Code::InvalidCursor, error.to_string()))
}

fn position(text: Option<&str>) -> Result<Position, Refusal> {
    let Some(text) = text else { return Ok(Position::Tail) };
    text.parse().map_err(|error: CursorError| Refusal::new(Code::InvalidCursor, error.to_string()))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidRequest, message)
}

/// One member of a channel's presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The client's name.
    pub client: String,
    /// The `sub` of its token.
    pub user: Option<String>,
    /// Since when it is there.
    pub joined_at: Timestamp,
}

/// Writes `{"client":…}` of a member.
pub fn write_member(out: &mut Vec<u8>, member: &Member) {
    out.extend_from_slice(b"{\"client\":");
    write_string(out, &member.client);
    out.extend_from_slice(b",\"user\":");
    match &member.user {
        Some(user) => write_string(out, user),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(format!(",\"joined_at\":\"{}\"}}", iso_time(member.joined_at)).as_bytes());
}

/// Writes `"channel":…,"cursor":…,"members":[…]`, the content of a presence answer.
pub fn write_presence(out: &mut Vec<u8>, channel: &Channel, cursor: Cursor, members: &[Member]) {
    out.extend_from_slice(b"\"channel\":");
    write_string(out, channel.as_str());
    out.extend_from_slice(b",\"cursor\":\"");
    write_cursor(out, cursor);
    out.extend_from_slice(b"\",\"members\":[");
    for (index, member) in members.iter().enumerate() {
        separate(out, index);
        write_member(out, member);
    }
    out.push(b']');
}

/// The frame of an event, WebSocket header and all, made once.
#[must_use]
pub fn event_frame(event: &Event) -> &Bytes {
    event.encoding(slots::WEBSOCKET, |event| {
        let mut text = Vec::with_capacity(event_size_hint(event));
        write_event(&mut text, "\"op\":\"event\",", event);
        crate::websocket::text_frame(&text)
    })
}

/// The text of one frame from the server. Everything but events, which have [`event_frame`].
#[derive(Debug, Clone)]
pub enum ServerFrame<'a> {
    /// Delivery on these channels starts at this cursor.
    Subscribed {
        /// The client's id.
        id: Option<u64>,
        /// The channels.
        channels: &'a [Channel],
        /// Where delivery starts.
        cursor: Cursor,
        /// How often the client may expect to hear something.
        heartbeat_ms: u32,
    },
    /// Delivery on these channels has ended.
    Unsubscribed {
        /// The client's id.
        id: Option<u64>,
        /// The channels.
        channels: &'a [Channel],
    },
    /// Something is gone.
    Gap(&'a Gap),
    /// Nothing happened up to this cursor.
    Heartbeat(Cursor),
    /// The batch is committed.
    Published {
        /// The client's id.
        id: Option<u64>,
        /// The cursor of its last event.
        cursor: Cursor,
        /// Its offsets.
        offsets: &'a [u64],
        /// The key was known.
        duplicate: bool,
    },
    /// Who is on a channel.
    Presence {
        /// The client's id.
        id: Option<u64>,
        /// The channel.
        channel: &'a Channel,
        /// Where joins and leaves follow from.
        cursor: Cursor,
        /// Who is there.
        members: &'a [Member],
    },
    /// The token holds.
    Authorized {
        /// The client's id.
        id: Option<u64>,
        /// Until when.
        expires_at: Option<Timestamp>,
    },
    /// The answer to a ping.
    Pong {
        /// The client's id.
        id: Option<u64>,
    },
    /// The server is about to close; come back then.
    Goodbye {
        /// After how many milliseconds.
        retry_ms: u32,
    },
    /// Something was refused.
    Error {
        /// The client's id.
        id: Option<u64>,
        /// What and why.
        refusal: &'a Refusal,
    },
}

impl ServerFrame<'_> {
    /// The frame's text in a WebSocket frame, ready to be written.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(128);
        self.write(&mut out);
        crate::websocket::text_frame(&out)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Subscribed { id, channels, cursor, heartbeat_ms } => {
                open(out, "subscribed", *id);
                write_channels(out, channels);
                out.extend_from_slice(
                    format!(",\"cursor\":\"{cursor}\",\"heartbeat_ms\":{heartbeat_ms}").as_bytes(),
                );
            }
            Self::Unsubscribed { id, channels } => {
                open(out, "unsubscribed", *id);
                write_channels(out, channels);
            }
            Self::Gap(gap) => return write_gap(out, "\"op\":\"gap\",", gap),
            Self::Heartbeat(cursor) => {
                open(out, "heartbeat", None);
                out.extend_from_slice(format!(",\"cursor\":\"{cursor}\"").as_bytes());
            }
            Self::Published { id, cursor, offsets, duplicate } => {
                open(out, "published", *id);
                out.push(b',');
                write_published(out, *cursor, offsets, *duplicate);
            }
            Self::Presence { id, channel, cursor, members } => {
                open(out, "presence", *id);
                out.push(b',');
                write_presence(out, channel, *cursor, members);
            }
            Self::Authorized { id, expires_at } => write_authorized(out, *id, *expires_at),
            Self::Pong { id } => open(out, "pong", *id),
            Self::Goodbye { retry_ms } => {
                open(out, "goodbye", None);
                out.extend_from_slice(format!(",\"retry_ms\":{retry_ms}").as_bytes());
            }
            Self::Error { id, refusal } => write_error(out, *id, refusal),
        }
        out.push(b'}');
    }
}

fn open(out: &mut Vec<u8>, op: &str, id: Option<u64>) {
    out.extend_from_slice(b"{\"op\":");
    write_string(out, op);
    if let Some(id) = id {
        out.extend_from_slice(b",\"id\":");
        write_number(out, id);
    }
}

fn write_channels(out: &mut Vec<u8>, channels: &[Channel]) {
    out.extend_from_slice(b",\"channels\":[");
    for (index, channel) in channels.iter().enumerate() {
        separate(out, index);
        write_string(out, channel.as_str());
    }
    out.push(b']');
}

/// Writes `"cursor":…,"offsets":[…]`, the content of a publisher's answer.
pub fn write_published(out: &mut Vec<u8>, cursor: Cursor, offsets: &[u64], duplicate: bool) {
    out.extend_from_slice(b"\"cursor\":\"");
    write_cursor(out, cursor);
    out.extend_from_slice(b"\",\"offsets\":[");
    for (index, offset) in offsets.iter().enumerate() {
        separate(out, index);
        write_number(out, *offset);
    }
    out.push(b']');
    if duplicate {
        out.extend_from_slice(b",\"duplicate\":true");
    }
}

fn write_authorized(out: &mut Vec<u8>, id: Option<u64>, expires_at: Option<Timestamp>) {
    open(out, "authorized", id);
    let expires_at = expires_at.map_or("null".to_owned(), |time| format!("\"{}\"", iso_time(time)));
    out.extend_from_slice(format!(",\"expires_at\":{expires_at}").as_bytes());
}

fn write_error(out: &mut Vec<u8>, id: Option<u64>, refusal: &Refusal) {
    open(out, "error", id);
    out.extend_from_slice(b",\"code\":");
    write_string(out, refusal.code.as_str());
    out.extend_from_slice(b",\"message\":");
    write_string(out, &refusal.message);
    if let Some(retry_ms) = refusal.retry_ms {
        out.extend_from_slice(format!(",\"retry_ms\":{retry_ms}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PublishLimits = PublishLimits { message_bytes_max: 100, batch_events_max: 3 };

    fn text(frame: &ServerFrame<'_>) -> String {
        let mut out = Vec::new();
        frame.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

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
    fn a_wrong_frame_is_refused_with_its_id() {
        let check = |text: &str, id, code| {
            let error = parse_frame(text, &LIMITS).expect_err(text);
            assert_eq!((error.id, error.refusal.code), (id, code), "{text}");
        };
        check("", None, Code::InvalidRequest);
        check("[]", None, Code::InvalidRequest);
        check(r#"{"id":1}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"dance","id":1}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"subscribe","id":1}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"subscribe","id":1,"channels":[]}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"subscribe","id":1,"channels":["a b"]}"#, Some(1), Code::InvalidChannel);
        check(r#"{"op":"subscribe","id":1,"channels":["a"],"after":"x"}"#, Some(1), Code::InvalidCursor);
        check(r#"{"op":"publish","id":1,"data":1}"#, Some(1), Code::InvalidRequest);
        check(r#"{"op":"auth","id":1}"#, Some(1), Code::InvalidRequest);
    }

    #[test]
    fn frames_to_a_client_look_as_written_down() {
        let cursor: Cursor = "1f0c93ab-5".parse().expect("a cursor");
        let channels = [a()];
        let check = |frame: ServerFrame<'_>, expected: &str| assert_eq!(text(&frame), expected);
        check(
            ServerFrame::Subscribed { id: Some(1), channels: &channels, cursor, heartbeat_ms: 25000 },
            r#"{"op":"subscribed","id":1,"channels":["a"],"cursor":"1f0c93ab-5","heartbeat_ms":25000}"#,
        );
        check(
            ServerFrame::Published { id: Some(3), cursor, offsets: &[4, 5], duplicate: false },
            r#"{"op":"published","id":3,"cursor":"1f0c93ab-5","offsets":[4,5]}"#,
        );
        check(ServerFrame::Heartbeat(cursor), r#"{"op":"heartbeat","cursor":"1f0c93ab-5"}"#);
        check(ServerFrame::Pong { id: None }, r#"{"op":"pong"}"#);
        check(ServerFrame::Goodbye { retry_ms: 7 }, r#"{"op":"goodbye","retry_ms":7}"#);
        let refusal = Refusal::new(Code::Forbidden, "no \"a\"");
        check(
            ServerFrame::Error { id: Some(1), refusal: &refusal },
            r#"{"op":"error","id":1,"code":"forbidden","message":"no \"a\""}"#,
        );
        let gap = Gap {
            from: cursor,
            to: "1f0c93ab-9".parse().expect("a cursor"),
            reason: anywire_log::GapReason::Trimmed,
            lost: vec![(a(), anywire_log::Offset::new(9))],
        };
        check(
            ServerFrame::Gap(&gap),
            r#"{"op":"gap","from":"1f0c93ab-5","to":"1f0c93ab-9","channels":["a"],"reason":"trimmed","lost":{"a":9}}"#,
        );
    }
}
