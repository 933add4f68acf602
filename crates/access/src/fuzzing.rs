//! What must hold for any token, grant and key: the bodies of fuzz targets in `/fuzz`.

use std::{collections::BTreeMap, sync::LazyLock};

use anywire_log::{Channel, Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign};
use serde_json::Value;

use crate::{Access, AccessConfig, Kind, Principal, grant::Grant, tokens::KeySet};

#[cfg(test)]
#[path = "../../../fuzz/smoke.rs"]
mod smoke;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// The one role that tokens may give, and what it allows.
const ROLE: &str = "reader";
const ROLE_FOLLOWS: &str = "shared";

static ACCESS: LazyLock<Access> = LazyLock::new(|| {
    let config = AccessConfig {
        jwt_secret: Some(SECRET.to_owned()),
        roles: BTreeMap::from([(ROLE.to_owned(), vec![format!("subscribe:{ROLE_FOLLOWS}")])]),
        jwt_roles_allowed: vec![ROLE.to_owned()],
        ..AccessConfig::default()
    };
    Access::new(&config).expect("the settings are sound")
});

/// No text is a token that was not signed; and of a token that was, whatever it says, its bearer may do what
/// it says and nothing else.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if ACCESS.principal(text, NOW).is_ok() {
        let (signed, signature) = text.rsplit_once('.').expect("a token has three parts");
        assert_eq!(signature, signature_of(signed), "{text:?} was never signed");
    }
    let payload = URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#));
    let whole = format!("{signed}.{}", signature_of(&signed));
    if let Ok(principal) = ACCESS.principal(&whole, NOW) {
        let claims = serde_json::from_str(text).expect("what is taken is JSON");
        check_principal(&principal, &claims);
    }
}

fn signature_of(signed: &str) -> String {
    sign(signed.as_bytes(), &EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256)
        .expect("HMAC signs anything")
}

fn check_principal(principal: &Principal, claims: &Value) {
    assert_eq!((principal.kind(), principal.user()), (Kind::User, claims["sub"].as_str()));
    assert!(!principal.may_everything() && !principal.is_backend());
    assert!(principal.expires_at().is_some_and(|end| end > NOW), "{claims}");
    let listed = |claim: &str, channel: &str| {
        let patterns = claims[claim].as_array().into_iter().flatten().filter_map(Value::as_str);
        patterns.into_iter().any(|pattern| fits_of(claims["sub"].as_str(), pattern, channel))
    };
    let has_role = match &claims["roles"] {
        Value::String(role) => role == ROLE,
        roles => roles.as_array().is_some_and(|roles| roles.iter().any(|role| role == ROLE)),
    };
    let patterns = ["subscribe", "publish"].into_iter().filter_map(|claim| claims[claim].as_array());
    let sub = claims["sub"].as_str().unwrap_or_default();
    let named = patterns.flatten().filter_map(Value::as_str).flat_map(probes);
    let named = named.flat_map(|name| [name.replace("{user}", sub), name]);
    for name in named.take(20).chain([ROLE_FOLLOWS.to_owned(), "a".to_owned(), "$presence:a".to_owned()]) {
        let Ok(channel) = Channel::new(&name) else { continue };
        let by_role = has_role && name == ROLE_FOLLOWS;
        assert_eq!(principal.may_subscribe(&channel), by_role || listed("subscribe", &name), "{name}");
        assert_eq!(principal.may_publish(&channel), listed("publish", &name), "{name}");
    }
}

/// Names that a pattern may fit.
fn probes(pattern: &str) -> [String; 3] {
    [pattern.replace('*', ""), pattern.replace('*', "x"), format!("{pattern}x")]
}

/// What `{user}` means in a pattern of a token, once more: its `sub`, where that is one name.
fn fits_of(sub: Option<&str>, pattern: &str, name: &str) -> bool {
    if !pattern.contains("{user}") {
        return fits(pattern, name);
    }
    let Some(sub) = sub.filter(|sub| !sub.is_empty() && !sub.contains('*')) else { return false };
    let named = pattern.replace("{user}", sub);
    named.starts_with('$') == pattern.starts_with('$') && fits(&named, name)
}

/// What `*` means, once more and as plainly as can be (PROTOCOL.md, section 1).
fn fits(pattern: &str, name: &str) -> bool {
    if name.starts_with('$') && !pattern.starts_with('$') {
        return false;
    }
    let name: Vec<char> = name.chars().collect();
    // `reached[n]`: what stands of the pattern fits the first n characters.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for sign in pattern.chars() {
        let before = reached.clone();
        reached.fill(false);
        for at in 0..=name.len() {
            reached[at] = match sign {
                '*' => before[..=at].contains(&true),
                sign => at > 0 && before[at - 1] && name[at - 1] == sign,
            };
        }
    }
    reached[name.len()]
}

/// A grant means what it is written as, or is refused.
pub fn grant(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(grant) = text.parse::<Grant>() {
        assert_eq!(grant.to_string(), text);
    }
}

/// A set of keys and a public key are taken, with as many as there may be, or refused.
pub fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(keys) = KeySet::of_jwks(text) {
        assert!(!keys.is_empty());
    }
    let mut keys = KeySet::default();
    assert_eq!(keys.add_pem(text).is_ok(), !keys.is_empty());
}

#[cfg(test)]
mod tests {
    use super::smoke::check;

    #[test]
    fn a_token_keeps_its_promises_for_any_text() {
        check("token", 5_000, super::token);
    }

    #[test]
    fn a_grant_keeps_its_promises_for_any_text() {
        check("grant", 5_000, super::grant);
    }

    #[test]
    fn keys_keep_their_promises_for_any_text() {
        check("keys", 5_000, super::keys);
    }
}
