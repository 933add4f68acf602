//! The opening handshake (RFC 6455, section 4.2), as the server judges and answers it.
//!
//! ```text
//!  GET /anywire/ws HTTP/1.1                        HTTP/1.1 101 Switching Protocols
//!  Connection: Upgrade                             Upgrade: websocket
//!  Upgrade: websocket                              Connection: Upgrade
//!  Sec-WebSocket-Version: 13                 ───▶  Sec-WebSocket-Accept: <28 characters>
//!  Sec-WebSocket-Key: <24 characters>              Sec-WebSocket-Protocol: anywire.v1
//!  Sec-WebSocket-Protocol: x, anywire.v1
//! ```

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha1::{Digest, Sha1};

/// The subprotocol of PROTOCOL.md, section 8.
pub const SUBPROTOCOL: &str = "anywire.v1";

/// The key's companion (RFC 6455, section 1.3).
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A handshake that may be answered with `101`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept_key: String,
    /// The subprotocol to name in the answer; none if the client offered none.
    pub subprotocol: Option<Box<str>>,
}

/// Which subprotocols an address speaks. A client that offers some ends the connection unless the answer
/// names one of them (RFC 6455, section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subprotocols {
    /// Whatever is offered: the first is taken.
    Any,
    /// This one.
    Only(&'static str),
}

/// Why a request does not become a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The method is not `GET`.
    #[error("a WebSocket starts with GET: use GET")]
    Method,
    /// `Upgrade: websocket` and `Connection: Upgrade` are not both there.
    #[error(
        "this address speaks WebSocket: send `Connection: Upgrade` and `Upgrade: websocket`, or let a proxy in between pass them on"
    )]
    NotAnUpgrade,
    /// `Sec-WebSocket-Version` is missing or not 13.
    #[error("the header Sec-WebSocket-Version must be 13")]
    Version,
    /// `Sec-WebSocket-Key` is missing, there twice, or not 16 bytes of base64.
    #[error("the header Sec-WebSocket-Key must be there once and hold 16 bytes as base64")]
    Key,
    /// Subprotocols are offered, and none of them is spoken here.
    #[error("none of the subprotocols offered ({offered}) is spoken here: offer {spoken}, or none")]
    Subprotocol {
        /// What the client offered, cut to 64 characters.
        offered: String,
        /// What there is.
        spoken: &'static str,
    },
}

impl HandshakeError {
    /// The HTTP status to answer with.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Method => 405,
            Self::NotAnUpgrade | Self::Version => 426,
            Self::Key | Self::Subprotocol { .. } => 400,
        }
    }

    /// The headers that must go with the status (RFC 9110, section 15.5.22; RFC 6455, section 4.4).
    #[must_use]
    pub const fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Method => &[("allow", "GET")],
            Self::NotAnUpgrade => &[("upgrade", "websocket")],
            Self::Version => &[("upgrade", "websocket"), ("sec-websocket-version", "13")],
            Self::Key | Self::Subprotocol { .. } => &[],
        }
    }
}

/// Judges a request by its method and headers; header names in any case.
///
/// # Errors
/// [`HandshakeError`] with the status and header to answer.
pub fn accept<'h>(
    method: &str,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    spoken: Subprotocols,
) -> Result<Accepted, HandshakeError> {
    let found = Found::collect(headers);
    if method != "GET" {
        return Err(HandshakeError::Method);
    }
    if !(found.upgrade && found.connection) {
        return Err(HandshakeError::NotAnUpgrade);
    }
    if found.version != Single::One(b"13") {
        return Err(HandshakeError::Version);
    }
    match found.key {
        Single::One(key) if is_key(key) => {
            Ok(Accepted { accept_key: accept_key(key), subprotocol: found.choose(spoken)? })
        }
        _ => Err(HandshakeError::Key),
    }
}

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(MAGIC).finalize())
}

impl Accepted {
    /// The whole answer, up to and with the empty line.
    #[must_use]
    pub fn response(&self) -> Bytes {
        let mut text = String::with_capacity(192);
        text.push_str("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
        push_header(&mut text, "Sec-WebSocket-Accept", &self.accept_key);
        if let Some(subprotocol) = &self.subprotocol {
            push_header(&mut text, "Sec-WebSocket-Protocol", subprotocol);
        }
        text.push_str("\r\n");
        Bytes::from(text)
    }
}

fn push_header(text: &mut String, name: &str, value: &str) {
    text.extend([name, ": ", value, "\r\n"]);
}

/// A header that must be there exactly once.
#[derive(Debug, Default, PartialEq, Eq)]
enum Single<'h> {
    #[default]
    None,
    One(&'h [u8]),
    Many,
}

impl<'h> Single<'h> {
    fn add(&mut self, value: &'h [u8]) {
        *self = match self {
            Self::None => Self::One(value.trim_ascii()),
            _ => Self::Many,
        };
    }
}

/// What the headers say about WebSocket.
#[derive(Default)]
struct Found<'h> {
    upgrade: bool,
    connection: bool,
    version: Single<'h>,
    key: Single<'h>,
    /// The subprotocols, in order.
    offered: Vec<&'h str>,
}

impl<'h> Found<'h> {
    fn collect(headers: impl IntoIterator<Item = (&'h str, &'h [u8])>) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("upgrade") {
                found.upgrade |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"websocket"));
            } else if name.eq_ignore_ascii_case("connection") {
                found.connection |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
            } else if name.eq_ignore_ascii_case("sec-websocket-version") {
                found.version.add(value);
            } else if name.eq_ignore_ascii_case("sec-websocket-key") {
                found.key.add(value);
            } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
                let names = tokens(value).filter_map(|token| std::str::from_utf8(token).ok());
                found.offered.extend(names.filter(|name| is_token(name)));
            }
        }
        found
    }

    /// The subprotocol to answer with.
    fn choose(&self, spoken: Subprotocols) -> Result<Option<Box<str>>, HandshakeError> {
        match spoken {
            Subprotocols::Any => Ok(self.offered.first().map(|first| (*first).into())),
            Subprotocols::Only(name) if self.offered.contains(&name) => Ok(Some(name.into())),
            Subprotocols::Only(_) if self.offered.is_empty() => Ok(None),
            Subprotocols::Only(spoken) => {
                let offered = self.offered.join(", ").chars().take(64).collect();
                Err(HandshakeError::Subprotocol { offered, spoken })
            }
        }
    }
}

/// The members of a comma-separated header.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether this may stand in a header as a name (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// Whether this is 16 bytes as base64. The four bits that the last character has to spare may be anything:
/// RFC 6455's own example sets one.
fn is_key(key: &[u8]) -> bool {
    key.len() == 24
        && key.ends_with(b"==")
        && key[..22].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: [(&str, &str); 4] = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ];

    fn judge(method: &str, headers: &[(&str, &str)]) -> Result<Accepted, HandshakeError> {
        judge_for(method, headers, Subprotocols::Only(SUBPROTOCOL))
    }

    fn judge_for(
        method: &str,
        headers: &[(&str, &str)],
        spoken: Subprotocols,
    ) -> Result<Accepted, HandshakeError> {
        accept(method, headers.iter().map(|(name, value)| (*name, value.as_bytes())), spoken)
    }

    /// The good request with one header changed (or, with `None`, left out).
    fn with(name: &str, value: Option<&str>) -> Result<Accepted, HandshakeError> {
        let mut headers: Vec<_> = GOOD.into_iter().filter(|(good, _)| *good != name).collect();
        headers.extend(value.map(|value| (name, value)));
        judge("GET", &headers)
    }

    #[test]
    fn the_example_of_rfc_6455_is_answered_byte_for_byte() {
        let mut headers = GOOD.to_vec();
        headers.push(("Sec-WebSocket-Protocol", "chat, anywire.v1"));
        let accepted = judge("GET", &headers);
        let expected = Accepted {
            accept_key: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into(),
            subprotocol: Some("anywire.v1".into()),
        };
        assert_eq!(accepted.as_ref(), Ok(&expected));
        assert_eq!(
            expected.response(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: anywire.v1\r\n\r\n"
        );
    }

    #[test]
    fn a_client_that_offers_no_subprotocol_gets_none() {
        for offer in [None, Some(""), Some(" , ")] {
            let accepted = with("sec-websocket-protocol", offer).expect("the rest is good");
            assert_eq!(accepted.subprotocol, None);
            assert!(accepted.response().ends_with(b"xOo=\r\n\r\n"));
        }
    }

    #[test]
    fn a_client_that_offers_only_what_is_not_spoken_is_told_what_is() {
        for offer in ["chat", "Anywire.v1", "anywire.v10, v2"] {
            let error = with("sec-websocket-protocol", Some(offer)).expect_err("it would hang up");
            let said = error.to_string();
            assert_eq!(error.status(), 400);
            assert!(said.contains(offer) && said.contains("offer anywire.v1, or none"), "{said}");
        }
    }

    #[test]
    fn where_any_subprotocol_is_spoken_the_first_is_taken() {
        for (offers, first) in [(&["v1"][..], "v1"), (&["a b, v2, v1"], "v2"), (&[",v3", "v1"], "v3")] {
            let offers = offers.iter().map(|offer| ("Sec-WebSocket-Protocol", *offer));
            let headers: Vec<_> = GOOD.into_iter().chain(offers).collect();
            let accepted = judge_for("GET", &headers, Subprotocols::Any).expect("it is good");
            assert_eq!(accepted.subprotocol.as_deref(), Some(first));
        }
    }

    #[test]
    fn tokens_are_found_in_lists_and_in_any_case() {
        assert!(with("connection", Some("keep-alive, uPGRADE")).is_ok());
        assert!(with("upgrade", Some("h2c, WebSocket")).is_ok());
        assert!(with("UPGRADE", Some("websocket")).is_ok());
    }

    #[test]
    fn a_request_that_is_no_upgrade_is_answered_426() {
        for (name, value) in
            [("connection", Some("close")), ("connection", None), ("upgrade", Some("h2c")), ("upgrade", None)]
        {
            let error = with(name, value).expect_err("it is no upgrade");
            assert_eq!((&error, error.status()), (&HandshakeError::NotAnUpgrade, 426));
            assert_eq!(error.headers(), [("upgrade", "websocket")]);
        }
    }

    #[test]
    fn another_version_is_told_which_one_is_spoken() {
        for version in [None, Some("8"), Some("13, 8"), Some("")] {
            let error = with("sec-websocket-version", version).expect_err("it is not 13");
            assert_eq!((&error, error.status()), (&HandshakeError::Version, 426));
            assert_eq!(error.headers(), [("upgrade", "websocket"), ("sec-websocket-version", "13")]);
        }
    }

    #[test]
    fn a_key_must_be_16_bytes_of_base64() {
        for key in [
            None,
            Some(""),
            Some("dGhlIHNhbXBsZSBub25jZQ"),
            Some("dGhlIHNhbXBsZSBub25j"),
            Some("dGhlIHNhbXBsZSBub25jZ!=="),
        ] {
            let error = with("sec-websocket-key", key).expect_err("it is no key");
            assert_eq!((&error, error.status()), (&HandshakeError::Key, 400));
        }
        let twice = [GOOD.as_slice(), &[("sec-websocket-key", KEY)]].concat();
        assert_eq!(judge("GET", &twice), Err(HandshakeError::Key));
    }

    #[test]
    fn the_spare_bits_of_a_key_are_free() {
        assert!(with("sec-websocket-key", Some("AQIDBAUGBwgJCgsMDQ4PEC==")).is_ok(), "RFC 6455, section 4.1");
    }

    #[test]
    fn another_method_is_answered_405() {
        let error = judge("POST", &GOOD).expect_err("it is not GET");
        assert_eq!((&error, error.status()), (&HandshakeError::Method, 405));
        assert_eq!(error.headers(), [("allow", "GET")]);
    }
}
