//! Whose tokens are taken, and whose are not. Every attack here once went through somewhere.

use anywire_log::{Channel, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use super::*;
use crate::{Access, config::SecretSection};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";
const NOW_MS: i64 = 1_800_000_000_000;
const RSA: &str = include_str!("fixtures/rsa.pem");
const RSA_PUBLIC: &str = include_str!("fixtures/rsa.pub.pem");
const P256: &str = include_str!("fixtures/p256.pem");
const P256_PUBLIC: &str = include_str!("fixtures/p256.pub.pem");
const ED25519: &str = include_str!("fixtures/ed25519.pem");
const ED25519_PUBLIC: &str = include_str!("fixtures/ed25519.pub.pem");

fn claims(more: Value) -> Value {
    let mut claims = json!({ "sub": "u1", "exp": NOW_MS / 1000 + 600, "subscribe": ["a_*"] });
    let all = claims.as_object_mut().expect("an object");
    for (name, value) in more.as_object().expect("an object") {
        match value {
            Value::Null => all.remove(name),
            value => all.insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn signing(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(RSA.as_bytes()).expect("RSA"),
        Algorithm::ES256 => EncodingKey::from_ec_pem(P256.as_bytes()).expect("P-256"),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(ED25519.as_bytes()).expect("Ed25519"),
        _ => EncodingKey::from_secret(SECRET.as_bytes()),
    }
}

fn token(algorithm: Algorithm, kid: Option<&str>, more: Value) -> String {
    let header = Header { kid: kid.map(Into::into), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, &claims(more), &signing(algorithm)).expect("a token")
}

fn hs256(more: Value) -> String {
    token(Algorithm::HS256, None, more)
}

fn own() -> AccessConfig {
    AccessConfig { jwt_secret: Some(SECRET.into()), ..AccessConfig::default() }
}

fn section(issuer: &str) -> IssuerSection {
    IssuerSection {
        issuer: issuer.into(),
        audience: Some(vec!["anywire".into()]),
        jwks_file: None,
        public_key: Some(RSA_PUBLIC.into()),
        secret: None,
        roles_claim: Some("realm_access.roles".into()),
        roles_allowed: Some(vec!["viewer".into()]),
        roles: None,
        subscribe_claim: None,
        publish_claim: None,
    }
}

fn ask(config: &AccessConfig, token: &str) -> Result<Principal, Refused> {
    Access::new(config).expect("sound").principal(token, Timestamp::from_millis(NOW_MS))
}

fn refused(config: &AccessConfig, token: &str) -> Refused {
    ask(config, token).expect_err("refused")
}

fn follows(principal: &Principal, channel: &str) -> bool {
    principal.may_subscribe(&Channel::new(channel).expect(channel))
}

fn not_sound(config: &AccessConfig) -> String {
    Access::new(config).expect_err("not sound").to_string()
}

#[test]
fn a_token_is_checked_by_the_key_of_its_algorithm() {
    let keys =
        [(Algorithm::RS256, RSA_PUBLIC), (Algorithm::ES256, P256_PUBLIC), (Algorithm::EdDSA, ED25519_PUBLIC)];
    for (algorithm, pem) in keys {
        let config = AccessConfig { jwt_public_key: Some(pem.into()), ..AccessConfig::default() };
        let principal = ask(&config, &token(algorithm, None, json!({}))).expect("good");
        assert_eq!((principal.user(), principal.id()), (Some("u1"), "user:u1"), "{algorithm:?}");
        let others = keys.into_iter().map(|(other, _)| other).chain([Algorithm::HS256]);
        for other in others.filter(|other| *other != algorithm) {
            let refusal = refused(&config, &token(other, None, json!({})));
            assert_eq!(refusal, Refused::Algorithm { algorithm: format!("{other:?}") });
        }
    }
    assert!(follows(&ask(&own(), &hs256(json!({}))).expect("good"), "a_1"));
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    let key = EncodingKey::from_secret(RSA_PUBLIC.as_bytes());
    let forged = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(json!({})), &key);
    let forged = forged.expect("a token");
    let public = AccessConfig { jwt_public_key: Some(RSA_PUBLIC.into()), ..AccessConfig::default() };
    assert_eq!(refused(&public, &forged), Refused::Algorithm { algorithm: "HS256".into() });
    let both = AccessConfig { jwt_secret: Some(SECRET.into()), ..public };
    assert_eq!(refused(&both, &forged), Refused::Signature);
}

#[test]
fn a_token_that_was_changed_is_refused() {
    let good = hs256(json!({}));
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let (header, _) = signed.split_once('.').expect("three parts");
    let other = hs256(json!({ "sub": "admin" }));
    let payload = other.split('.').nth(1).expect("three parts");
    for forged in [format!("{header}.{payload}.{signature}"), format!("{signed}."), format!("{signed}.AAAA")]
    {
        assert_eq!(refused(&own(), &forged), Refused::Signature);
    }
    let elsewhere = AccessConfig { jwt_secret: Some(OTHER.into()), ..AccessConfig::default() };
    assert_eq!(refused(&elsewhere, &good), Refused::Signature);
}

#[test]
fn a_token_for_another_audience_is_refused() {
    let named = AccessConfig { jwt_audience: vec!["anywire".into(), "live".into()], ..own() };
    for aud in [json!("anywire"), json!(["billing", "live"])] {
        assert!(ask(&named, &hs256(json!({ "aud": aud }))).is_ok());
        let refusal = refused(&own(), &hs256(json!({ "aud": aud }))).to_string();
        assert!(refusal.ends_with("and this server is called [] (auth.jwt_audience)"), "{refusal}");
    }
    for aud in [json!("billing"), json!(["billing"]), json!([]), Value::Null] {
        assert!(matches!(refused(&named, &hs256(json!({ "aud": aud }))), Refused::Audience { .. }), "{aud}");
    }
    assert!(matches!(refused(&named, &hs256(json!({ "aud": 7 }))), Refused::Claim { .. }));
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    let named = AccessConfig { jwt_issuer: Some("https://me".into()), ..own() };
    assert!(ask(&named, &hs256(json!({ "iss": "https://me" }))).is_ok());
    assert!(ask(&own(), &hs256(json!({ "iss": "https://anybody" }))).is_ok());
    for iss in [json!("https://you"), json!(["https://me"]), Value::Null] {
        assert!(matches!(refused(&named, &hs256(json!({ "iss": iss }))), Refused::Issuer { .. }), "{iss}");
    }
}

#[test]
fn a_token_counts_from_its_beginning_to_its_end() {
    let now = NOW_MS / 1000;
    let at = |name: &str, value: Value| ask(&own(), &hs256(json!({ name: value })));
    assert_eq!(at("exp", json!(now)).expect_err("ended"), Refused::Expired);
    assert_eq!(at("exp", json!(-1)).expect_err("ended"), Refused::Expired);
    let fraction = at("exp", json!(now as f64 + 1.25)).expect("good").expires_at();
    assert_eq!(fraction, Some(Timestamp::from_millis(NOW_MS + 1_250)));
    assert!(at("exp", json!(1e300)).is_ok());
    for claim in ["nbf", "iat"] {
        assert!(at(claim, json!(now + 60)).is_ok(), "clocks differ");
        assert!(matches!(at(claim, json!(now + 61)).expect_err("early"), Refused::Early { .. }));
        assert!(matches!(at(claim, json!("soon")).expect_err("no number"), Refused::Claim { .. }));
    }
    assert!(matches!(at("exp", Value::Null).expect_err("endless"), Refused::Claim { .. }));
    assert!(matches!(at("exp", json!("4000000000")).expect_err("no number"), Refused::Claim { .. }));
}

#[test]
fn claims_that_are_no_lists_of_texts_are_named() {
    for (name, value) in [
        ("subscribe", json!("a_*")),
        ("subscribe", json!([1])),
        ("publish", json!({})),
        ("sub", json!(7)),
        ("subscribe", json!(vec!["a"; 1_001])),
    ] {
        let refusal = refused(&own(), &hs256(json!({ name: value })));
        assert!(matches!(&refusal, Refused::Claim { claim, .. } if claim == name), "{refusal}");
    }
}

#[test]
fn secrets_are_changed_one_after_the_other() {
    let secret =
        |kid: Option<&str>, secret: &str| SecretSection { kid: kid.map(Into::into), secret: secret.into() };
    let both = AccessConfig {
        jwt_secrets: vec![secret(Some("old"), SECRET), secret(Some("new"), OTHER)],
        ..AccessConfig::default()
    };
    let of = |kid| token(Algorithm::HS256, kid, json!({}));
    assert!(ask(&both, &of(Some("old"))).is_ok());
    assert!(ask(&both, &of(None)).is_ok(), "a token that names no key is tried with each");
    assert_eq!(refused(&both, &of(Some("new"))), Refused::Signature);
    assert_eq!(refused(&both, &of(Some("older"))), Refused::UnknownKey { kid: "older".into() });
    let after = AccessConfig { jwt_secrets: vec![secret(Some("new"), OTHER)], ..AccessConfig::default() };
    assert_eq!(refused(&after, &of(Some("old"))), Refused::UnknownKey { kid: "old".into() });
    let unnamed = AccessConfig { jwt_secrets: vec![secret(None, SECRET)], ..AccessConfig::default() };
    assert!(ask(&unnamed, &of(Some("any"))).is_ok());
    let short = AccessConfig { jwt_secrets: vec![secret(None, "short")], ..AccessConfig::default() };
    assert_eq!(not_sound(&short), "auth.jwt_secrets[0].secret has 5 characters; at least 32 are needed");
}

#[test]
fn roles_are_given_by_those_who_may_give_them() {
    let roles = |config: &AccessConfig| {
        ask(config, &hs256(json!({ "roles": ["viewer", "admin", "nonsense"] }))).expect("good")
    };
    let nobody = roles(&own());
    assert!(!nobody.may_do("server", "read", None) && !follows(&nobody, "b"));
    let viewer = roles(&AccessConfig { jwt_roles_allowed: vec!["viewer".into()], ..own() });
    assert!(viewer.may_do("server", "read", None) && follows(&viewer, "b") && !viewer.is_backend());
    assert_eq!(viewer.to_string(), "user \"u1\" (role viewer)");
    let unknown = AccessConfig { jwt_roles_allowed: vec!["vewer".into()], ..own() };
    assert!(not_sound(&unknown).starts_with("auth.jwt_roles_allowed names the role \"vewer\""));
}

#[test]
fn an_issuer_speaks_for_its_own_users_only() {
    let config = AccessConfig { issuers: vec![section("https://id.example")], ..own() };
    let of = |algorithm, iss: &str, aud: &str| {
        let roles = json!({ "roles": ["viewer", "admin"] });
        let more = json!({ "iss": iss, "aud": aud, "realm_access": roles, "subscribe": ["a_*"] });
        ask(&config, &token(algorithm, None, more))
    };
    let user = of(Algorithm::RS256, "https://id.example", "anywire").expect("good");
    assert_eq!((user.user(), user.id()), (Some("u1"), "user of \"https://id.example\":u1"));
    assert!(user.may_do("jobs", "read", None) && !user.may_do("jobs", "manage", None) && !user.is_backend());
    // The own secret does not sign for the issuer, nor its key for others.
    let wrong = of(Algorithm::HS256, "https://id.example", "anywire").expect_err("another key");
    assert_eq!(wrong, Refused::Algorithm { algorithm: "HS256".into() });
    let wrong = of(Algorithm::RS256, "https://elsewhere", "anywire").expect_err("another issuer");
    assert_eq!(wrong, Refused::Algorithm { algorithm: "RS256".into() });
    let wrong = of(Algorithm::RS256, "https://id.example", "billing").expect_err("another audience");
    assert!(wrong.to_string().contains("[anywire] (auth.issuers[0].audience)"), "{wrong}");
    assert!(ask(&config, &hs256(json!({}))).is_ok(), "the own tokens go on");
    // Its claims are read only where that is configured.
    let bare = IssuerSection { roles_claim: None, roles_allowed: None, ..section("https://id.example") };
    let more = json!({ "iss": "https://id.example", "aud": "anywire", "subscribe": ["a_*"], "c/s": ["b"] });
    let signed = token(Algorithm::RS256, None, more);
    let with = |section: IssuerSection| {
        ask(&AccessConfig { issuers: vec![section], ..AccessConfig::default() }, &signed).expect("good")
    };
    assert!(!follows(&with(bare.clone()), "a_1"));
    assert!(follows(&with(IssuerSection { subscribe_claim: Some("c/s".into()), ..bare.clone() }), "b"));
    let members = IssuerSection { roles: Some(vec!["viewer".into()]), ..bare };
    assert!(with(members).may_do("server", "read", None));
}

fn jwk(algorithm: Algorithm, kid: &str, more: &Value) -> Value {
    let jwk = Jwk::from_encoding_key(&signing(algorithm), algorithm).expect("a key");
    let mut jwk = serde_json::to_value(jwk).expect("JSON");
    let all = jwk.as_object_mut().expect("an object");
    all.insert("kid".into(), kid.into());
    all.extend(more.as_object().expect("an object").clone());
    jwk
}

fn verify(set: &Value, token: &str) -> Result<(), Refused> {
    let keys = KeySet::of_jwks(&set.to_string()).expect("a set");
    keys.verify(&Unverified::parse(token).expect("a token"))
}

#[test]
fn a_key_set_checks_tokens_by_the_keys_they_name() {
    let more = json!({});
    let set = json!({ "keys": [
        jwk(Algorithm::RS256, "r", &more),
        jwk(Algorithm::ES256, "e", &json!({ "use": "sig" })),
        jwk(Algorithm::EdDSA, "d", &json!({ "key_ops": ["verify"] })),
    ]});
    for (algorithm, kid) in [(Algorithm::RS256, "r"), (Algorithm::ES256, "e"), (Algorithm::EdDSA, "d")] {
        assert_eq!(verify(&set, &token(algorithm, Some(kid), json!({}))), Ok(()), "{kid}");
        assert_eq!(verify(&set, &token(algorithm, None, json!({}))), Ok(()), "{kid} unnamed");
        let unknown = verify(&set, &token(algorithm, Some("x"), json!({})));
        assert_eq!(unknown, Err(Refused::UnknownKey { kid: "x".into() }));
    }
    let confused = verify(&set, &token(Algorithm::HS256, Some("r"), json!({})));
    assert_eq!(confused, Err(Refused::Algorithm { algorithm: "HS256".into() }));
}

#[test]
fn keys_of_a_set_that_are_for_something_else_are_passed_over() {
    let good = jwk(Algorithm::ES256, "e", &json!({}));
    let odd = [
        json!({ "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "kid": "o" }),
        json!({ "kty": "lattice", "kid": "l" }),
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "small" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "short" }),
        json!({ "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "other curve" }),
        json!({ "kty": "RSA", "n": 7, "kid": "broken" }),
        json!("text"),
        jwk(Algorithm::RS256, "enc", &json!({ "use": "enc" })),
        jwk(Algorithm::RS256, "ops", &json!({ "key_ops": ["encrypt"] })),
        jwk(Algorithm::RS256, "alg", &json!({ "alg": "PS256" })),
    ];
    let alone = json!({ "keys": odd }).to_string();
    assert_eq!(KeySet::of_jwks(&alone).expect_err("useless"), KeyError::NoUsableKey { keys: odd.len() });
    let mut keys = odd.to_vec();
    keys.push(good);
    let set = json!({ "keys": keys });
    assert_eq!(verify(&set, &token(Algorithm::ES256, Some("e"), json!({}))), Ok(()));
    for kid in ["enc", "ops", "alg"] {
        assert!(verify(&set, &token(Algorithm::RS256, Some(kid), json!({}))).is_err(), "{kid}");
    }
}

#[test]
fn a_key_set_has_limits() {
    let error = |text: &str| KeySet::of_jwks(text).expect_err("refused");
    assert!(matches!(error(&" ".repeat(300_000)), KeyError::SetTooLarge { bytes: 300_000, .. }));
    let many = json!({ "keys": vec![json!({}); 101] }).to_string();
    assert_eq!(error(&many), KeyError::SetTooLong { keys: 101, keys_max: 100 });
    assert!(matches!(error("<html>"), KeyError::NoSet { .. }));
    assert!(matches!(error("{\"keys\":{}}"), KeyError::NoSet { .. }));
}

#[test]
fn an_issuer_that_is_not_sound_is_named_with_the_way_out() {
    let check = |section: IssuerSection, expected: &str| {
        let config = AccessConfig { issuers: vec![section], ..AccessConfig::default() };
        let error = not_sound(&config);
        assert!(error.starts_with(expected), "{error}");
    };
    let base = || section("https://id.example");
    check(
        IssuerSection { issuer: String::new(), ..base() },
        "auth.issuers[0].issuer is \"\"; give each a name",
    );
    check(
        IssuerSection { public_key: None, ..base() },
        "auth.issuers[0] needs one of `jwks_file`, `public_key`",
    );
    check(IssuerSection { secret: Some(SECRET.into()), ..base() }, "auth.issuers[0] needs one of");
    check(
        IssuerSection { public_key: Some("no".into()), ..base() },
        "auth.issuers[0].public_key: it is no PEM public key",
    );
    check(
        IssuerSection { public_key: None, secret: Some("short".into()), ..base() },
        "auth.issuers[0].secret has 5 characters; at least 32 are needed",
    );
    check(
        IssuerSection { public_key: None, jwks_file: Some("/nowhere/keys.json".into()), ..base() },
        "auth.issuers[0].jwks_file is /nowhere/keys.json, which cannot be read: ",
    );
    check(
        IssuerSection { roles_claim: None, ..base() },
        "auth.issuers[0].roles_allowed is set and `roles_claim`",
    );
    let twice = AccessConfig { issuers: vec![base(), base()], ..AccessConfig::default() };
    assert!(not_sound(&twice).starts_with("auth.issuers[1].issuer is \"https://id.example\""));
}

#[test]
fn a_token_is_not_remembered_beyond_its_end_nor_before_it_was_checked() {
    let access = Access::new(&own()).expect("sound");
    let token = hs256(json!({}));
    let at =
        |ms: i64| access.principal(&token, Timestamp::from_millis(ms)).map(|found| found.id().to_owned());
    for _ in 0..2 {
        assert_eq!(at(NOW_MS).as_deref(), Ok("user:u1"));
    }
    assert_eq!(at(NOW_MS + 600_000), Err(Refused::Expired));
    let changed = format!("{token}A");
    for _ in 0..2 {
        assert_eq!(
            access.principal(&changed, Timestamp::from_millis(NOW_MS)).expect_err("changed"),
            Refused::Signature
        );
    }
}
