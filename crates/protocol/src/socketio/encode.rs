//! What the server sends, apart from events of the log.
//!
//! A [`ServerPacket`] is one Engine.IO packet. A WebSocket carries it as one message, a poll's answer as a
//! part of its payload; [`frames`] and [`payload`] make the bytes of either.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::{DEFAULT_NAMESPACE, args::Args};
use crate::{
    engineio::{self, SEPARATOR, base64_packet},
    json::{separate, write_number, write_string},
    websocket::{Opcode, frame_header, text_frame},
};

/// One packet on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerPacket {
    /// A text packet, type and all.
    Text(Bytes),
    /// An attachment.
    Binary(Bytes),
}

/// Packets as WebSocket frames.
#[must_use]
pub fn frames(packets: &[ServerPacket]) -> Bytes {
    if let [ServerPacket::Text(text)] = packets {
        return text_frame(text);
    }
    let mut out = Vec::with_capacity(packets.iter().map(|packet| packet.bytes().len() + 10).sum());
    for packet in packets {
        let opcode = if matches!(packet, ServerPacket::Text(_)) { Opcode::Text } else { Opcode::Binary };
        out.extend_from_slice(frame_header(opcode, packet.bytes().len()).as_slice());
        out.extend_from_slice(packet.bytes());
    }
    out.into()
}

/// Packets as a payload, or a part of one.
#[must_use]
pub fn payload(packets: &[ServerPacket]) -> Bytes {
    if let [ServerPacket::Text(text)] = packets {
        return text.clone();
    }
    let mut out = Vec::new();
    for (index, packet) in packets.iter().enumerate() {
        if index > 0 {
            out.push(SEPARATOR);
        }
        match packet {
            ServerPacket::Text(text) => out.extend_from_slice(text),
            ServerPacket::Binary(bytes) => out.extend_from_slice(&base64_packet(bytes)),
        }
    }
    out.into()
}

/// What waited for a poll as WebSocket frames, for a session whose WebSocket takes over.
#[must_use]
pub fn reframe(payload: &Bytes) -> Bytes {
    let text = std::str::from_utf8(payload).unwrap_or_default();
    let packets: Vec<ServerPacket> = text
        .split(char::from(SEPARATOR))
        .map(|part| match engineio::packet(part) {
            Ok(engineio::Packet::Binary(bytes)) => ServerPacket::Binary(bytes.into_owned().into()),
            _ => ServerPacket::Text(payload.slice_ref(part.as_bytes())),
        })
        .collect();
    frames(&packets)
}

impl ServerPacket {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// An Engine.IO packet of its own.
    #[must_use]
    pub fn engine(packet: &'static str) -> Self {
        Self::Text(Bytes::from_static(packet.as_bytes()))
    }

    /// The client has joined a namespace under this public id. `recovery` is the private id with which it may
    /// come back.
    #[must_use]
    pub fn connected(namespace: &str, socket: &str, recovery: Option<&str>) -> Self {
        let mut out = head(b"40", namespace);
        out.extend_from_slice(b"{\"sid\":");
        write_string(&mut out, socket);
        if let Some(recovery) = recovery {
            out.extend_from_slice(b",\"pid\":");
            write_string(&mut out, recovery);
        }
        out.push(b'}');
        Self::Text(out.into())
    }

    /// The client may not join. `code` is one of PROTOCOL.md, section 11.
    #[must_use]
    pub fn connect_error(namespace: &str, message: &str, code: Option<&str>) -> Self {
        let mut out = head(b"44", namespace);
        out.extend_from_slice(b"{\"message\":");
        write_string(&mut out, message);
        if let Some(code) = code {
            out.extend_from_slice(b",\"data\":{\"code\":");
            write_string(&mut out, code);
            out.push(b'}');
        }
        out.push(b'}');
        Self::Text(out.into())
    }

    /// The server ends a namespace for this client.
    #[must_use]
    pub fn disconnected(namespace: &str) -> Self {
        let mut out = b"41".to_vec();
        if namespace != DEFAULT_NAMESPACE {
            out.extend_from_slice(namespace.as_bytes());
            out.push(b',');
        }
        Self::Text(out.into())
    }
}

/// The answer to an event that wanted one.
#[derive(Debug, Clone, Copy)]
pub struct Ack<'a> {
    /// Where.
    pub namespace: &'a str,
    /// The id the client gave.
    pub id: u64,
    /// The answer.
    pub args: &'a Args,
}

impl Ack<'_> {
    /// The packets.
    #[must_use]
    pub fn packets(&self) -> SmallVec<[ServerPacket; 1]> {
        with_attachments([b'3', b'6'], self.namespace, Some(self.id), None, self.args)
    }
}

/// An event that is not in the log: for one client, now.
#[derive(Debug, Clone, Copy)]
pub struct Emit<'a> {
    /// Where.
    pub namespace: &'a str,
    /// The event's name.
    pub name: &'a str,
    /// The id under which the client is to answer.
    pub ack: Option<u64>,
    /// What comes with it.
    pub args: &'a Args,
}

impl Emit<'_> {
    /// The packets.
    #[must_use]
    pub fn packets(&self) -> SmallVec<[ServerPacket; 1]> {
        with_attachments([b'2', b'5'], self.namespace, self.ack, Some(self.name), self.args)
    }
}

fn with_attachments(
    [plain, binary]: [u8; 2],
    namespace: &str,
    id: Option<u64>,
    name: Option<&str>,
    args: &Args,
) -> SmallVec<[ServerPacket; 1]> {
    let mut out = match args.attachments.len() {
        0 => head(&[b'4', plain], namespace),
        count => head(format!("4{}{count}-", char::from(binary)).as_bytes(), namespace),
    };
    if let Some(id) = id {
        write_number(&mut out, id);
    }
    out.push(b'[');
    if let Some(name) = name {
        write_string(&mut out, name);
    }
    for (index, value) in args.values.iter().enumerate() {
        separate(&mut out, index + usize::from(name.is_some()));
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b']');
    let mut packets = smallvec![ServerPacket::Text(out.into())];
    packets.extend(args.attachments.iter().cloned().map(ServerPacket::Binary));
    packets
}

fn head(kind: &[u8], namespace: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + namespace.len());
    out.extend_from_slice(kind);
    if namespace != DEFAULT_NAMESPACE {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(packet: &ServerPacket) -> &str {
        std::str::from_utf8(packet.bytes()).expect("text")
    }

    #[test]
    fn packets_look_as_written_down() {
        let check = |packet: ServerPacket, expected: &str| assert_eq!(text(&packet), expected);
        check(ServerPacket::connected("/", "s", None), r#"40{"sid":"s"}"#);
        check(ServerPacket::connected("/a", "s", Some("p")), r#"40/a,{"sid":"s","pid":"p"}"#);
        check(
            ServerPacket::connect_error("/a", "Invalid namespace", None),
            r#"44/a,{"message":"Invalid namespace"}"#,
        );
        check(
            ServerPacket::connect_error("/", "no", Some("forbidden")),
            r#"44{"message":"no","data":{"code":"forbidden"}}"#,
        );
        check(ServerPacket::disconnected("/"), "41");
        check(ServerPacket::disconnected("/a"), "41/a,");
    }

    #[test]
    fn answers_and_events_carry_their_attachments() {
        let place = r#"{"_placeholder":true,"num":0}"#;
        let args =
            Args { values: vec!["1".into(), place.into()], attachments: vec![Bytes::from_static(&[7])] };
        let packets = Ack { namespace: "/a", id: 12, args: &args }.packets();
        assert_eq!(text(&packets[0]), format!("461-/a,12[1,{place}]"));
        assert_eq!(payload(&packets).as_ref(), format!("461-/a,12[1,{place}]\u{1e}bBw==").as_bytes());
        assert_eq!(reframe(&payload(&packets)), frames(&packets));
        let none = Args::default();
        let packets = Emit { namespace: "/", name: "x", ack: Some(3), args: &none }.packets();
        assert_eq!(text(&packets[0]), r#"423["x"]"#);
        assert_eq!(frames(&packets).as_ref(), b"\x81\x08423[\"x\"]");
        let args = Args { values: vec!["1".into(), "2".into()], attachments: vec![] };
        let packets = Emit { namespace: "/", name: "x", ack: None, args: &args }.packets();
        assert_eq!(text(&packets[0]), r#"42["x",1,2]"#);
    }
}
