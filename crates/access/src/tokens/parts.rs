//! A token as it is written: a JSON web signature in its compact form (RFC 7515, section 7.1), read before
//! anything in it is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::refused::Refused;

/// The greatest length of a token, in bytes. A head of a request has at most as many.
const TOKEN_BYTES_MAX: usize = 32 << 10;

/// A token whose signature nobody has looked at yet.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) claims: Map<String, Value>,
    /// What is signed.
    pub(super) signed: &'a str,
    pub(super) signature: &'a str,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions without which the token means something else. There is none that is known here.
    #[serde(default)]
    crit: Option<Value>,
}

impl<'a> Unverified<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::TooLong { bytes: token.len(), bytes_max: TOKEN_BYTES_MAX });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refused::Malformed)?;
        let header: Header = part(header).ok_or(Refused::Malformed)?;
        let claims = part(payload).ok_or(Refused::Malformed)?;
        if let Some(extensions) = header.crit {
            return Err(Refused::Critical { extensions: extensions.to_string() });
        }
        let algorithm = algorithm(&header.alg).ok_or(Refused::Algorithm { algorithm: header.alg })?;
        Ok(Self { algorithm, kid: header.kid, claims, signed, signature })
    }
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// The algorithms that are taken. `none` is not one of them.
fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "HS256" => Some(Algorithm::HS256),
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    fn refused(token: &str) -> Refused {
        Unverified::parse(token).expect_err(token)
    }

    #[test]
    fn a_token_is_read_as_far_as_anybody_could() {
        let text = token(r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#, r#"{"sub":"u1"}"#);
        let parsed = Unverified::parse(&text).expect("a token");
        assert_eq!((parsed.algorithm, parsed.kid.as_deref()), (Algorithm::ES256, Some("k1")));
        assert_eq!((parsed.claims["sub"].clone(), parsed.signature), (json!("u1"), "c2ln"));
        assert_eq!(format!("{}.c2ln", parsed.signed), text);
    }

    #[test]
    fn what_is_no_token_or_signed_in_another_way_is_refused() {
        let many = format!("{}.x.y.z", token("{\"alg\":\"HS256\"}", "{}"));
        for text in ["", "a", "a.b", "a.b.c", "..", &many, &token("{}", "{}"), &token("{\"alg\":1}", "{}")] {
            assert_eq!(refused(text), Refused::Malformed, "{text}");
        }
        assert_eq!(refused(&token(r#"{"alg":"HS256"}"#, "[]")), Refused::Malformed);
        assert_eq!(refused(&token(r#"{"alg":"HS256","alg":"none"}"#, "{}")), Refused::Malformed);
        for name in ["none", "None", "hs256", "HS512", "PS256", ""] {
            let text = token(&json!({ "alg": name }).to_string(), "{}");
            assert_eq!(refused(&text), Refused::Algorithm { algorithm: name.to_owned() });
        }
        let long = token(r#"{"alg":"HS256"}"#, &" ".repeat(TOKEN_BYTES_MAX));
        assert!(matches!(refused(&long), Refused::TooLong { .. }));
    }

    #[test]
    fn a_token_with_an_extension_that_must_be_understood_is_refused() {
        for crit in ["[\"b64\"]", "[\"exp\"]", "[]", "\"x\"", "[\"http://example.com/u\"]"] {
            let text = token(&format!(r#"{{"alg":"HS256","crit":{crit},"b64":false}}"#), "{}");
            assert_eq!(refused(&text), Refused::Critical { extensions: crit.to_owned() });
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[A-Za-z0-9_.=-]{0,80}") {
            let _taken_or_refused = Unverified::parse(&text);
        }
    }
}
