//! Frames from the server. An event's frame is made once, WebSocket header and all.

use anywire_codes::Refusal;
use anywire_log::{Channel, Cursor, Event, Gap, Timestamp};
use bytes::Bytes;

use crate::{
    json::{
        event_size_hint, iso_time, separate, write_cursor, write_event, write_gap, write_number, write_string,
    },
    slots,
};

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
    use anywire_codes::Code;

    use super::*;

    fn text(frame: &ServerFrame<'_>) -> String {
        let mut out = Vec::new();
        frame.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn a() -> Channel {
        Channel::new("a").expect("a name")
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
