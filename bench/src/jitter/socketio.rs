//! Socket.IO's packets as a client that asks for cursors needs them.
//!
//! Knows: Engine.IO 4 and Socket.IO 5 on the default namespace. Does not know: sockets, polls.

use super::connection::{CHANNEL, Notice};
use serde_json::Value;

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

/// The packets with which a client joins and goes on after `cursor`.
pub(super) fn join(cursor: Option<&str>) -> [String; 2] {
    let after = cursor.map(|cursor| format!(r#",{{"after":"{cursor}"}}"#)).unwrap_or_default();
    [r#"40{"recover":true}"#.to_owned(), format!(r#"420["subscribe",["{CHANNEL}"]{after}]"#)]
}

/// The id in Engine.IO's first packet.
pub(super) fn session(text: &str) -> Option<String> {
    let opening: Value = serde_json::from_str(text.strip_prefix('0')?).ok()?;
    opening["sid"].as_str().map(str::to_owned)
}

/// Reads a packet. `None`: it is none that this client should get.
pub(super) fn read(text: &str) -> Option<Packet> {
    if text == "2" {
        return Some(Packet::Ping);
    }
    if let Some(answer) = text.strip_prefix("430") {
        let answer: Value = serde_json::from_str(answer).ok()?;
        return Some(Packet::Said(vec![Notice::Cursor(answer[0]["cursor"].as_str()?.to_owned())]));
    }
    if let Some(event) = text.strip_prefix("42") {
        let event: Value = serde_json::from_str(event).ok()?;
        if event[0] == "gap" {
            return Some(Packet::Said(vec![Notice::Gap]));
        }
        let (data, cursor) = (event[1].as_str()?.to_owned(), event[2].as_str()?.to_owned());
        return Some(Packet::Said(vec![Notice::Event { data, cursor }]));
    }
    match text.as_bytes() {
        [b'0', ..] | [b'4', b'0', ..] | [b'6'] => Some(Packet::Said(Vec::new())),
        [b'1'] | [b'4', b'1' | b'4', ..] => Some(Packet::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_become_events_cursors_and_gaps() {
        let event = Notice::Event { data: "x".into(), cursor: "e-2".into() };
        let check = |text: &str, expected: Option<Packet>| assert_eq!(read(text), expected, "{text}");
        check(r#"42["m","x","e-2"]"#, Some(Packet::Said(vec![event])));
        check(
            r#"430[{"ok":true,"channels":["a"],"cursor":"e-1"}]"#,
            Some(Packet::Said(vec![Notice::Cursor("e-1".into())])),
        );
        check(r#"42["gap",{}]"#, Some(Packet::Said(vec![Notice::Gap])));
        check("2", Some(Packet::Ping));
        check("41", Some(Packet::End));
        check(r#"40{"sid":"s"}"#, Some(Packet::Said(Vec::new())));
        check(r#"430[{"ok":false}]"#, None);
        check("9", None);
    }

    #[test]
    fn joining_names_the_cursor_it_goes_on_from() {
        assert_eq!(join(Some("e-1"))[1], r#"420["subscribe",["jitter"],{"after":"e-1"}]"#);
        assert_eq!(join(None)[1], r#"420["subscribe",["jitter"]]"#);
        assert_eq!(session(r#"0{"sid":"s1","upgrades":[]}"#), Some("s1".into()));
    }
}
