//! Socket.IO's packets as a client that comes back needs them.
//!
//! At Anywire a client asks for cursors and names the last one when it subscribes. Socket.IO on Node gives it
//! a session (`pid`) when it joins and an offset with each event; both go into the packet with which it joins
//! again, as `socket.io-client` sends it.

use super::contender::Contender;
use super::notice::{CHANNEL, Notice, Position};
use serde_json::{Map, Value};

/// Between the packets of a payload.
pub(super) const SEPARATOR: char = '\x1e';

/// What a packet asks of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// Nothing but to count these.
    Said(Vec<Notice>),
    /// A pong.
    Ping,
    /// To go: the server is done, or refuses.
    End,
}

/// The packets with which a client joins and goes on from where it stands.
pub(super) fn join(server: Contender, position: &Position) -> Vec<String> {
    match server {
        Contender::Anywire => {
            let after = position.cursor.as_ref().map(|cursor| format!(r#",{{"after":"{cursor}"}}"#));
            let after = after.unwrap_or_default();
            vec![r#"40{"recover":true}"#.to_owned(), format!(r#"420["subscribe",["{CHANNEL}"]{after}]"#)]
        }
        Contender::Socketio => vec![rejoin(position)],
    }
}

/// Without a session there is nothing to recover; without an event there is no offset yet.
fn rejoin(position: &Position) -> String {
    let Some(session) = &position.session else { return "40".to_owned() };
    let mut auth = Map::from_iter([("pid".to_owned(), session.as_str().into())]);
    auth.extend(position.cursor.as_ref().map(|offset| ("offset".to_owned(), offset.as_str().into())));
    format!("40{}", Value::Object(auth))
}

/// The id in Engine.IO's first packet.
pub(super) fn session(text: &str) -> Option<String> {
    let opening: Value = serde_json::from_str(text.strip_prefix('0')?).ok()?;
    opening["sid"].as_str().map(str::to_owned)
}

/// Reads a packet. `None`: it is none that this client should get.
pub(super) fn read(server: Contender, text: &str) -> Option<Packet> {
    match text.as_bytes() {
        b"2" => Some(Packet::Ping),
        b"6" | [b'0', ..] => Some(Packet::Said(Vec::new())),
        [b'1'] | [b'4', b'1' | b'4', ..] => Some(Packet::End),
        [b'4', b'0', ..] => joined(server, &text[2..]),
        [b'4', b'2', ..] => event(server, &text[2..]),
        [b'4', b'3', b'0', ..] if server == Contender::Anywire => subscribed(&text[3..]),
        _ => None,
    }
}

/// Node says which session it would recover; one that says none is set up without recovery.
fn joined(server: Contender, answer: &str) -> Option<Packet> {
    let notice = match server {
        Contender::Anywire => None,
        Contender::Socketio => {
            let answer: Value = serde_json::from_str(answer).ok()?;
            Some(Notice::Session(answer["pid"].as_str()?.to_owned()))
        }
    };
    Some(Packet::Said(notice.into_iter().collect()))
}

fn subscribed(answer: &str) -> Option<Packet> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    Some(Packet::Said(vec![Notice::Cursor(answer[0]["cursor"].as_str()?.to_owned())]))
}

/// The last argument is the cursor, or at Node the offset.
fn event(server: Contender, event: &str) -> Option<Packet> {
    let event: Value = serde_json::from_str(event).ok()?;
    if server == Contender::Anywire && event[0] == "gap" {
        return Some(Packet::Said(vec![Notice::Gap]));
    }
    let (data, cursor) = (event[1].as_str()?.to_owned(), event[2].as_str()?.to_owned());
    Some(Packet::Said(vec![Notice::Event { data, cursor }]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(notice: Notice) -> Option<Packet> {
        Some(Packet::Said(vec![notice]))
    }

    #[test]
    fn packets_become_events_cursors_and_gaps() {
        let event = Notice::Event { data: "x".into(), cursor: "e-2".into() };
        let check = |text: &str, expected: Option<Packet>| {
            assert_eq!(read(Contender::Anywire, text), expected, "{text}");
        };
        check(r#"42["m","x","e-2"]"#, said(event));
        check(r#"430[{"ok":true,"channels":["a"],"cursor":"e-1"}]"#, said(Notice::Cursor("e-1".into())));
        check(r#"42["gap",{}]"#, said(Notice::Gap));
        check("2", Some(Packet::Ping));
        check("41", Some(Packet::End));
        check(r#"40{"sid":"s"}"#, Some(Packet::Said(Vec::new())));
        check(r#"430[{"ok":false}]"#, None);
        check("9", None);
    }

    #[test]
    fn packets_of_node_become_sessions_and_events_with_their_offset() {
        let check = |text: &str, expected: Option<Packet>| {
            assert_eq!(read(Contender::Socketio, text), expected, "{text}");
        };
        check(r#"40{"sid":"s","pid":"p-1"}"#, said(Notice::Session("p-1".into())));
        check(r#"42["m","x","OdGfa7"]"#, said(Notice::Event { data: "x".into(), cursor: "OdGfa7".into() }));
        check("2", Some(Packet::Ping));
        check("6", Some(Packet::Said(Vec::new())));
        check(r#"44{"message":"no"}"#, Some(Packet::End));
        // Without recovery there is neither a session nor an offset.
        check(r#"40{"sid":"s"}"#, None);
        check(r#"42["m","x"]"#, None);
    }

    #[test]
    fn joining_names_the_cursor_it_goes_on_from() {
        let position = Position { cursor: Some("e-1".into()), session: None };
        let check = |position: &Position, expected: &str| {
            assert_eq!(join(Contender::Anywire, position)[1], expected);
        };
        check(&position, r#"420["subscribe",["jitter"],{"after":"e-1"}]"#);
        check(&Position::default(), r#"420["subscribe",["jitter"]]"#);
        assert_eq!(session(r#"0{"sid":"s1","upgrades":[]}"#), Some("s1".into()));
    }

    #[test]
    fn joining_node_again_names_the_session_and_the_last_offset() {
        let check = |session: Option<&str>, offset: Option<&str>, expected: Value| {
            let position =
                Position { cursor: offset.map(str::to_owned), session: session.map(str::to_owned) };
            let packets = join(Contender::Socketio, &position);
            let auth = packets[0].strip_prefix("40").expect("it joins");
            let auth = if auth.is_empty() { "null" } else { auth };
            assert_eq!(serde_json::from_str::<Value>(auth).expect("it is JSON"), expected);
            assert_eq!(packets.len(), 1);
        };
        check(None, None, Value::Null);
        check(Some("p"), None, serde_json::json!({ "pid": "p" }));
        check(Some("p"), Some("o"), serde_json::json!({ "pid": "p", "offset": "o" }));
    }
}
