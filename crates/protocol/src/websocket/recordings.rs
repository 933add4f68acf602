//! Sessions of clients as bytes, with what must come out of them written out. For tests.

use super::{
    frame::{Opcode, Violation},
    receiver::Received,
};

/// [`Received`], owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Received<'_>> for Item {
    fn from(received: Received<'_>) -> Self {
        match received {
            Received::Text(text) => Self::Text(text.into()),
            Received::Binary(bytes) => Self::Binary(bytes.into()),
            Received::Ping(bytes) => Self::Ping(bytes.into()),
            Received::Pong(bytes) => Self::Pong(bytes.into()),
            Received::Close { code, reason } => Self::Close(code, reason.into()),
        }
    }
}

/// One client's bytes and what comes out of them.
pub(crate) struct Session {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) items: Vec<Item>,
    pub(crate) outcome: Result<(), Violation>,
}

/// A masked frame with this first byte.
pub(crate) fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = super::frame_header(Opcode::Text, payload.len()).as_slice().to_vec();
    frame[0] = first;
    frame[1] |= 0x80;
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

pub(crate) fn sessions() -> Vec<Session> {
    let mut sessions = vec![browser(), fragments(), long_text()];
    sessions.extend(violations());
    sessions
}

/// A browser subscribes, sends a pong, and closes. Written out as it was on the wire.
fn browser() -> Session {
    let bytes = b"\x81\xaa\x01\x02\x03\x04\
        \x7a\x20\x6c\x74\x23\x38\x21\x77\x74\x60\x70\x67\x73\x6b\x61\x61\x23\x2e\x21\x6d\x65\x20\x39\x35\x2d\
        \x20\x60\x6c\x60\x6c\x6d\x61\x6d\x71\x21\x3e\x5a\x20\x62\x26\x5c\x7f\
        \x8a\x82\x00\x00\x00\x00hb\
        \x88\x85\xff\xff\xff\xff\xfc\x17\x9d\x86\x9a";
    Session {
        name: "browser",
        bytes: bytes.to_vec(),
        items: vec![
            Item::Text(r#"{"op":"subscribe","id":1,"channels":["a"]}"#.into()),
            Item::Pong(b"hb".to_vec()),
            Item::Close(Some(1000), "bye".into()),
        ],
        outcome: Ok(()),
    }
}

/// Characters cut by fragments, control frames between them, empty fragments, and two messages after one
/// another.
fn fragments() -> Session {
    let bytes = [
        client_frame(0x01, b"\xe2"),
        client_frame(0x89, b"still there?"),
        client_frame(0x00, b"\x82\xac \xf0\x9f"),
        client_frame(0x00, b""),
        client_frame(0x8a, b""),
        client_frame(0x80, b"\x98\x80"),
        client_frame(0x02, b""),
        client_frame(0x80, b"\xff\x00"),
        client_frame(0x81, b""),
        client_frame(0x88, b""),
    ];
    Session {
        name: "fragments",
        bytes: bytes.concat(),
        items: vec![
            Item::Ping(b"still there?".to_vec()),
            Item::Pong(vec![]),
            Item::Text("€ 😀".into()),
            Item::Binary(vec![0xff, 0x00]),
            Item::Text(String::new()),
            Item::Close(None, String::new()),
        ],
        outcome: Ok(()),
    }
}

/// A message whose length takes two bytes.
fn long_text() -> Session {
    let text = "Việt Nam, ".repeat(40);
    Session {
        name: "long text",
        bytes: [client_frame(0x81, text.as_bytes()), client_frame(0x89, b"")].concat(),
        items: vec![Item::Text(text), Item::Ping(vec![])],
        outcome: Ok(()),
    }
}

/// A good message, then one that breaks a rule.
fn violations() -> impl Iterator<Item = Session> {
    let broken: [(&'static str, Vec<u8>, u16, &'static str); 5] = [
        ("reserved bit", client_frame(0xc1, b"x"), 1002, "reserved bit is set"),
        ("unmasked", b"\x81\x01x".to_vec(), 1002, "frame is not masked"),
        ("bad text", client_frame(0x81, b"abc\xed\xa0\x80def"), 1007, "text is not UTF-8"),
        ("close code", client_frame(0x88, b"\x03\xee"), 1002, "close code is not allowed"),
        ("too large", client_frame(0x82, &[0; 70_001])[..14].to_vec(), 1009, "message is over the limit"),
    ];
    broken.into_iter().map(|(name, bytes, close_code, reason)| Session {
        name,
        bytes: [client_frame(0x81, b"good"), bytes].concat(),
        items: vec![Item::Text("good".into())],
        outcome: Err(Violation { close_code, reason }),
    })
}
