//! Packets, one by one (WebSocket) or joined (polling).
//!
//! ```text
//!  text packet    | type: '0'..'6' | data … |
//!  bytes          a binary WebSocket message, or | 'b' | base64 … | where only text travels
//!  payload        packet | 1e | packet | 1e | packet
//! ```

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;

/// What stands between two packets of a payload: U+001E, which no JSON text holds unescaped.
pub const SEPARATOR: u8 = 0x1e;
/// The most packets in one payload that every client reads: python-engineio drops a payload of more, and what
/// was in it is lost.
pub const PAYLOAD_PACKETS_MAX: usize = 16;
/// The most packets of one payload that are taken from a client.
pub const PACKETS_MAX: usize = 10_000;
/// The packet that closes a session.
pub const CLOSE: &str = "1";
/// The server's ping.
pub const PING: &str = "2";
/// The answer to a probe.
pub const PONG_PROBE: &str = "3probe";
/// The packet that says nothing: it ends a poll.
pub const NOOP: &str = "6";

/// One packet from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The client closes the session.
    Close,
    /// A ping; only `2probe` on a new WebSocket has a meaning.
    Ping(&'a str),
    /// The answer to the server's ping.
    Pong,
    /// A text message.
    Message(&'a str),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
    /// The WebSocket takes over.
    Upgrade,
    /// Nothing.
    Noop,
}

/// Why something is no packet, or none that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// It is none.
    #[error("parse error")]
    Kind,
    /// It stands behind too many others in one payload.
    #[error("the body has more than {PACKETS_MAX} packets, the limit; send several bodies")]
    Count,
}

/// Reads one text packet.
///
/// # Errors
/// [`PacketError::Kind`] for an unknown type, for `0` (only the server opens) and for bytes that are no
/// base64.
pub fn packet(text: &str) -> Result<Packet<'_>, PacketError> {
    let mut characters = text.chars();
    let kind = characters.next().ok_or(PacketError::Kind)?;
    let data = characters.as_str();
    Ok(match kind {
        '1' => Packet::Close,
        '2' => Packet::Ping(data),
        '3' => Packet::Pong,
        '4' => Packet::Message(data),
        '5' => Packet::Upgrade,
        '6' => Packet::Noop,
        'b' => Packet::Binary(Cow::Owned(BASE64_STANDARD.decode(data).map_err(|_| PacketError::Kind)?)),
        _ => return Err(PacketError::Kind),
    })
}

/// The packets of a payload, in order. Behind the last that is taken there is an error.
pub fn payload(body: &str) -> impl Iterator<Item = Result<Packet<'_>, PacketError>> {
    let packets = body.split(char::from(SEPARATOR)).take(PACKETS_MAX + 1).enumerate();
    packets.map(|(index, text)| if index < PACKETS_MAX { packet(text) } else { Err(PacketError::Count) })
}

/// Bytes as a packet for where only text travels.
#[must_use]
pub fn base64_packet(bytes: &[u8]) -> Bytes {
    let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
    text.push('b');
    BASE64_STANDARD.encode_string(bytes, &mut text);
    text.into()
}

/// What the server says when a session begins.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The session's id: a secret of this client, since who knows it can speak for it.
    pub session: &'a str,
    /// Whether a WebSocket may take over.
    pub upgrades: bool,
    /// How often the server pings, in milliseconds.
    pub ping_interval_ms: u32,
    /// How long it waits for the answer, in milliseconds.
    pub ping_timeout_ms: u32,
    /// The largest body or message it takes, in bytes.
    pub payload_bytes_max: usize,
}

impl Opening<'_> {
    /// The packet.
    #[must_use]
    pub fn packet(&self) -> Bytes {
        format!(
            "0{{\"sid\":\"{}\",\"upgrades\":[{}],\"pingInterval\":{},\"pingTimeout\":{},\"maxPayload\":{}}}",
            self.session,
            if self.upgrades { "\"websocket\"" } else { "" },
            self.ping_interval_ms,
            self.ping_timeout_ms,
            self.payload_bytes_max
        )
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_taken_apart_at_its_separators() {
        let packets: Vec<_> =
            payload("4hello\u{1e}2probe\u{1e}bAQIDBA==\u{1e}3\u{1e}1\u{1e}5\u{1e}6").collect();
        let expected = [
            Packet::Message("hello"),
            Packet::Ping("probe"),
            Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4])),
            Packet::Pong,
            Packet::Close,
            Packet::Upgrade,
            Packet::Noop,
        ];
        assert_eq!(packets, expected.map(Ok));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for text in ["", "abc", "0{}", "7", "é", "b%", "bAQI"] {
            assert_eq!(packet(text), Err(PacketError::Kind), "{text:?}");
        }
        assert_eq!(payload("4a\u{1e}").last(), Some(Err(PacketError::Kind)), "an empty packet at the end");
    }

    #[test]
    fn the_first_packet_looks_as_written_down() {
        let opening = Opening {
            session: "lv_VI97HAXpY6yYWAAAC",
            upgrades: true,
            ping_interval_ms: 25_000,
            ping_timeout_ms: 20_000,
            payload_bytes_max: 1_000_000,
        };
        let expected = concat!(
            r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"#,
            r#""pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
        assert_eq!(opening.packet(), expected);
        assert_eq!(base64_packet(&[1, 2, 3, 4]), "bAQIDBA==");
    }
}
