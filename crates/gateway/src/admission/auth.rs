//! Who may connect, and what they may do (PROTOCOL.md, section 10).
//!
//! Invariants:
//! - Without keys the server answers loopback `Host` names and loopback origins only, so no web page
//!   elsewhere reaches it.
//! - Keys are compared in constant time.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anywire_log::{Channel, ChannelPattern, IdempotencyKey, Timestamp};
use anywire_protocol::{Code, Refusal};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    origin::{OriginError, Origins, host_name, is_loopback_name},
    rates::Payer,
};
use crate::config::AuthConfig;

/// Who somebody is, and what they may do.
#[derive(Debug, Clone)]
pub struct Principal(Arc<Rights>);

#[derive(Debug)]
struct Rights {
    user: Option<String>,
    expires_at: Option<Timestamp>,
    subscribe: Vec<ChannelPattern>,
    publish: Vec<ChannelPattern>,
    /// A back end, or anybody on an open server: everything is allowed.
    all: bool,
    /// Nobody has said yet who this is.
    unknown: bool,
}

impl Principal {
    fn everything() -> Self {
        let rights = Rights {
            user: None,
            expires_at: None,
            subscribe: vec![],
            publish: vec![],
            all: true,
            unknown: false,
        };
        Self(Arc::new(rights))
    }

    fn anonymous(subscribe: &[ChannelPattern]) -> Self {
        let subscribe = subscribe.to_vec();
        let rights =
            Rights { user: None, expires_at: None, subscribe, publish: vec![], all: false, unknown: false };
        Self(Arc::new(rights))
    }

    /// Somebody who has not said who they are yet: may do nothing until they do.
    pub(crate) fn nobody() -> Self {
        let rights = Rights {
            user: None,
            expires_at: None,
            subscribe: vec![],
            publish: vec![],
            all: false,
            unknown: true,
        };
        Self(Arc::new(rights))
    }

    /// The `sub` of the token.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// When the token runs out.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at
    }

    /// Whether this is a back end, or anybody on an open server.
    #[must_use]
    pub fn is_backend(&self) -> bool {
        self.0.all
    }

    /// Whom it is charged to what this one does from an address.
    pub(crate) fn payer(&self, address: IpAddr) -> Payer<'_> {
        self.user().map_or(Payer::Address(address), Payer::User)
    }

    /// An idempotency key as this one's own. Tokens that name no user share one name space: their address may
    /// be another when they try again.
    pub(crate) fn own_key(&self, key: IdempotencyKey) -> IdempotencyKey {
        if self.0.all {
            return key;
        }
        let digest = Sha256::digest(self.user().unwrap_or_default().as_bytes());
        key.within(&BASE64_URL_SAFE_NO_PAD.encode(&digest[..15]))
    }

    /// Whether there is any channel that may be published to.
    pub(crate) fn publishes(&self) -> bool {
        self.0.all || !self.0.publish.is_empty()
    }

    /// Whether nobody has said yet who this is.
    pub(crate) fn is_unknown(&self) -> bool {
        self.0.unknown
    }

    /// Refuses channels that may not be subscribed to.
    ///
    /// # Errors
    /// `forbidden`, naming the channel.
    pub fn may_subscribe(&self, channels: &[Channel]) -> Result<(), Refusal> {
        self.check(channels.iter(), &self.0.subscribe, "subscribe to")
    }

    /// Refuses channels that may not be published to.
    ///
    /// # Errors
    /// `forbidden`, naming the channel.
    pub fn may_publish<'a>(&self, channels: impl Iterator<Item = &'a Channel>) -> Result<(), Refusal> {
        self.check(channels, &self.0.publish, "publish to")
    }

    fn check<'a>(
        &self,
        mut channels: impl Iterator<Item = &'a Channel>,
        patterns: &[ChannelPattern],
        what: &str,
    ) -> Result<(), Refusal> {
        let refused = |channel: &&Channel| !patterns.iter().any(|pattern| pattern.matches(channel.as_str()));
        match channels.find(refused).filter(|_| !self.0.all) {
            None => Ok(()),
            Some(_) if self.0.unknown => {
                let message = "no token was given; send \"auth\" with one first";
                Err(Refusal::new(Code::Unauthorized, message))
            }
            Some(channel) => {
                let message =
                    format!("the token does not allow to {what} channel {channel}; ask for one that does");
                Err(Refusal::new(Code::Forbidden, message))
            }
        }
    }
}

/// What a request says about who sends it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The `Host` header, or `:authority`.
    pub host: Option<&'a str>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `token` query parameter.
    pub token: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    /// The key or token. Only `Bearer` is ours: another scheme belongs to a proxy in between, and says
    /// nothing here.
    #[must_use]
    pub fn given(&self) -> Option<&'a str> {
        self.bearer().or(self.token)
    }

    fn bearer(&self) -> Option<&'a str> {
        let (scheme, value) = self.authorization?.trim().split_once([' ', '\t'])?;
        let value = value.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !value.is_empty()).then_some(value)
    }

    /// Whether the answer is for this client alone: a proxy's password is no reason to let others have it.
    #[must_use]
    pub fn are_personal(&self) -> bool {
        self.authorization.is_some() || self.token.is_some()
    }
}

/// The claims of a client's token.
#[derive(Debug, Deserialize)]
struct Claims {
    #[serde(default)]
    sub: Option<String>,
    /// Seconds since 1970, maybe with a fraction (RFC 7519, section 2).
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    publish: Vec<String>,
}

/// How far the clock of who makes tokens may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

impl Claims {
    /// Refuses a token whose time has not come. Those who make tokens often let them begin at once, by their
    /// own clock.
    fn check_begin(&self) -> Result<(), Refusal> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        match self.nbf.filter(|begin| *begin > (now + CLOCK_SKEW).as_secs_f64()) {
            Some(begin) => {
                Err(unauthorized(&format!("it is not valid before {begin} (nbf); check the clocks")))
            }
            None => Ok(()),
        }
    }
}

/// Why authorization cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// A key is too short to be a secret.
    #[error("auth.api_keys holds a key of {characters} characters; at least 16 are needed")]
    ShortKey {
        /// How long it is.
        characters: usize,
    },
    /// A secret is too short to be one.
    #[error("auth.jwt_secret has {characters} characters; at least 32 are needed")]
    ShortSecret {
        /// How long it is.
        characters: usize,
    },
    /// The public key is none.
    #[error("auth.jwt_public_key is no PEM public key for RS256, ES256 or EdDSA: {detail}")]
    PublicKey {
        /// What the library said.
        detail: String,
    },
    /// An origin is none.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// The address can be reached from elsewhere and nothing keeps anybody out.
    #[error(
        "listening on {address} without keys would let anybody in; set auth.api_keys (or auth.jwt_secret), or listen on 127.0.0.1"
    )]
    OpenToAll {
        /// The address.
        address: IpAddr,
    },
}

/// Decides who gets in.
#[derive(Debug)]
pub struct Gate {
    keys: Vec<String>,
    verifiers: Vec<(DecodingKey, Vec<Algorithm>)>,
    anonymous: Vec<ChannelPattern>,
    origins: Origins,
    open: bool,
}

impl Gate {
    /// Sets authorization up.
    ///
    /// # Errors
    /// [`AuthError`] names the setting.
    pub fn new(config: &AuthConfig) -> Result<Self, AuthError> {
        if let Some(key) = config.api_keys.iter().find(|key| key.len() < 16) {
            return Err(AuthError::ShortKey { characters: key.len() });
        }
        let mut verifiers = Vec::new();
        if let Some(secret) = &config.jwt_secret {
            if secret.len() < 32 {
                return Err(AuthError::ShortSecret { characters: secret.len() });
            }
            verifiers.push((DecodingKey::from_secret(secret.as_bytes()), vec![Algorithm::HS256]));
        }
        if let Some(pem) = &config.jwt_public_key {
            verifiers.push(public_key(pem)?);
        }
        let open = !config.is_configured();
        Ok(Self {
            keys: config.api_keys.clone(),
            verifiers,
            anonymous: config.anonymous_subscribe.iter().map(|text| ChannelPattern::new(text)).collect(),
            origins: Origins::parse(&config.origins, open)?,
            open,
        })
    }

    /// Whether anybody on a loopback address gets in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Refuses to listen where an open server could be reached from elsewhere.
    ///
    /// # Errors
    /// [`AuthError::OpenToAll`].
    pub fn check_address(&self, address: IpAddr) -> Result<(), AuthError> {
        if self.open && !address.is_loopback() {
            return Err(AuthError::OpenToAll { address });
        }
        Ok(())
    }

    /// Refuses peers from elsewhere on an open server: one that is mounted in somebody's own server may
    /// listen on any address.
    ///
    /// # Errors
    /// `host_forbidden`.
    pub(crate) fn check_peer(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        match address.filter(|address| self.open && !address.is_loopback()) {
            None => Ok(()),
            Some(address) => {
                let message = format!(
                    "{address} is another machine, and the server is open to its own only; set auth.api_keys"
                );
                Err(Refusal::new(Code::HostForbidden, message))
            }
        }
    }

    /// Checks host and origin, for every request. Returns the origin to name in the CORS headers, if the
    /// request is from another.
    ///
    /// # Errors
    /// `host_forbidden` or `origin_forbidden`.
    pub fn check_place<'a>(&self, credentials: &Credentials<'a>) -> Result<Option<&'a str>, Refusal> {
        if let Some(host) = credentials.host.filter(|host| self.open && !is_loopback_name(host_name(host))) {
            let message = format!(
                "host {host:?} is no loopback name, and the server is open to loopback only; use http://127.0.0.1, or set auth.api_keys"
            );
            return Err(Refusal::new(Code::HostForbidden, message));
        }
        let Some(origin) = credentials.origin else { return Ok(None) };
        if self.origins.access(origin, credentials.host).is_some() {
            return Ok(Some(origin));
        }
        let message = format!("origin {origin:?} is not allowed; add it to auth.origins");
        Err(Refusal::new(Code::OriginForbidden, message))
    }

    /// The origins whose pages may connect.
    pub(crate) fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Finds out who somebody is.
    ///
    /// # Errors
    /// `unauthorized` or `token_expired`.
    pub fn principal(&self, credentials: &Credentials<'_>) -> Result<Principal, Refusal> {
        match credentials.given() {
            _ if self.open => Ok(Principal::everything()),
            Some(text) => self.principal_of(text),
            None if !self.anonymous.is_empty() => Ok(Principal::anonymous(&self.anonymous)),
            None => Err(Refusal::new(
                Code::Unauthorized,
                "no token was given; send \"Authorization: Bearer <token>\" or ?token=",
            )),
        }
    }

    /// Finds out whom a key or token belongs to.
    ///
    /// # Errors
    /// `unauthorized` or `token_expired`.
    pub fn principal_of(&self, text: &str) -> Result<Principal, Refusal> {
        if self.open || self.keys.iter().any(|key| same(key.as_bytes(), text.as_bytes())) {
            return Ok(Principal::everything());
        }
        let header =
            jsonwebtoken::decode_header(text).map_err(|_| unauthorized("it is neither a key nor a JWT"))?;
        let verifier = self.verifiers.iter().find(|(_, algorithms)| algorithms.contains(&header.alg));
        let Some((key, _)) = verifier else {
            return Err(unauthorized("no key is configured for its algorithm"));
        };
        let mut validation = Validation::new(header.alg);
        validation.leeway = 0;
        validation.validate_aud = false;
        match jsonwebtoken::decode::<Claims>(text, key, &validation) {
            Ok(token) => token.claims.check_begin().map(|()| principal_of_claims(token.claims)),
            Err(error) if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::ExpiredSignature) => {
                Err(Refusal::new(
                    Code::TokenExpired,
                    "the token has run out; get a new one and go on from the cursor",
                ))
            }
            Err(error) => Err(unauthorized(&error.to_string())),
        }
    }
}

fn principal_of_claims(claims: Claims) -> Principal {
    let patterns = |texts: Vec<String>| texts.iter().map(|text| ChannelPattern::new(text)).collect();
    Principal(Arc::new(Rights {
        user: claims.sub,
        expires_at: Some(Timestamp::from_millis((claims.exp * 1000.0) as i64)),
        subscribe: patterns(claims.subscribe),
        publish: patterns(claims.publish),
        all: false,
        unknown: false,
    }))
}

fn unauthorized(why: &str) -> Refusal {
    Refusal::new(Code::Unauthorized, format!("the token was refused: {why}"))
}

fn public_key(pem: &str) -> Result<(DecodingKey, Vec<Algorithm>), AuthError> {
    let pem = pem.as_bytes();
    let rsa = DecodingKey::from_rsa_pem(pem).map(|key| (key, vec![Algorithm::RS256]));
    let ec = || DecodingKey::from_ec_pem(pem).map(|key| (key, vec![Algorithm::ES256]));
    let ed = || DecodingKey::from_ed_pem(pem).map(|key| (key, vec![Algorithm::EdDSA]));
    rsa.or_else(|_| ec())
        .or_else(|_| ed())
        .map_err(|error| AuthError::PublicKey { detail: error.to_string() })
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0u8, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(config: AuthConfig) -> Gate {
        Gate::new(&config).expect("a sound configuration")
    }

    fn place(gate: &Gate, host: &str, origin: Option<&str>) -> Result<bool, Code> {
        let credentials = Credentials { host: Some(host), origin, ..Credentials::default() };
        gate.check_place(&credentials).map(|origin| origin.is_some()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn an_open_server_answers_loopback_names_and_origins_only() {
        let gate = gate(AuthConfig::default());
        assert_eq!(place(&gate, "127.0.0.1:8000", None), Ok(false));
        assert_eq!(place(&gate, "[::1]:8000", Some("http://localhost:5173")), Ok(true));
        assert_eq!(place(&gate, "app.localhost", None), Ok(false));
        assert_eq!(place(&gate, "evil.example", None), Err(Code::HostForbidden));
        assert_eq!(place(&gate, "127.0.0.1:8000", Some("https://evil.example")), Err(Code::OriginForbidden));
        assert_eq!(place(&gate, "127.0.0.1:8000", Some("null")), Err(Code::OriginForbidden));
        assert!(gate.check_peer(None).is_ok() && gate.check_peer(Some([127, 0, 0, 1].into())).is_ok());
        assert!(gate.check_peer(Some([192, 0, 2, 1].into())).is_err());
        assert!(gate.check_address("127.0.0.1".parse().expect("an address")).is_ok());
        assert!(gate.check_address("0.0.0.0".parse().expect("an address")).is_err());
    }

    #[test]
    fn with_keys_only_the_own_and_listed_origins_get_in() {
        let gate = gate(AuthConfig {
            api_keys: vec!["0123456789abcdef".into()],
            origins: vec!["https://app.example.com/".into()],
            ..AuthConfig::default()
        });
        assert_eq!(place(&gate, "live.example.com", Some("https://live.example.com")), Ok(true));
        assert_eq!(place(&gate, "live.example.com", Some("https://app.example.com")), Ok(true));
        assert_eq!(place(&gate, "live.example.com", Some("http://localhost")), Err(Code::OriginForbidden));
        let with = |authorization| Credentials { authorization, ..Credentials::default() };
        assert!(gate.principal(&with(Some("Bearer 0123456789abcdef"))).is_ok_and(|p| p.is_backend()));
        let refused = |authorization| gate.principal(&with(authorization)).expect_err("refused").code;
        assert_eq!(refused(Some("Bearer 0123456789abcdeX")), Code::Unauthorized);
        assert_eq!(refused(Some("Basic abc")), Code::Unauthorized);
        assert_eq!(refused(None), Code::Unauthorized);
    }

    #[test]
    fn a_scheme_that_is_not_ours_says_nothing() {
        let gate = gate(AuthConfig {
            api_keys: vec!["0123456789abcdef".into()],
            anonymous_subscribe: vec!["open_*".into()],
            ..AuthConfig::default()
        });
        let channel = [Channel::new("open_1").expect("a name")];
        for authorization in
            ["Basic dTpw", "Negotiate abc", "Digest username=\"u\"", "Basic", "Bearer", "bearer  ", ""]
        {
            let with =
                |token| Credentials { authorization: Some(authorization), token, ..Credentials::default() };
            let known = gate.principal(&with(Some("0123456789abcdef"))).expect(authorization);
            assert!(known.is_backend(), "{authorization:?} does not hide a token");
            let anonymous = gate.principal(&with(None)).expect(authorization);
            assert!(
                !anonymous.is_backend() && anonymous.may_subscribe(&channel).is_ok(),
                "{authorization:?}"
            );
        }
        for authorization in ["Bearer wrong", "bearer\twrong"] {
            let both = Credentials {
                authorization: Some(authorization),
                token: Some("0123456789abcdef"),
                ..Credentials::default()
            };
            assert_eq!(gate.principal(&both).expect_err("ours is judged").code, Code::Unauthorized);
        }
    }

    #[test]
    fn a_token_allows_its_channels_until_it_runs_out() {
        let secret = "0123456789abcdef0123456789abcdef";
        let gate = gate(AuthConfig { jwt_secret: Some(secret.into()), ..AuthConfig::default() });
        let token = |exp: i64| {
            let claims =
                serde_json::json!({ "sub": "u1", "exp": exp, "subscribe": ["progress_*"], "publish": [] });
            let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
            jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
        };
        let principal = gate.principal_of(&token(4_000_000_000)).expect("a good token");
        let channel = |name: &str| Channel::new(name).expect(name);
        assert_eq!(principal.user(), Some("u1"));
        assert!(principal.may_subscribe(&[channel("progress_1")]).is_ok());
        assert!(principal.may_subscribe(&[channel("progress_1"), channel("other")]).is_err());
        assert!(principal.may_publish([channel("progress_1")].iter()).is_err());
        assert_eq!(gate.principal_of(&token(1)).expect_err("expired").code, Code::TokenExpired);
        assert_eq!(gate.principal_of("a.b.c").expect_err("broken").code, Code::Unauthorized);
    }

    #[test]
    fn the_times_of_a_token_may_have_fractions_and_one_that_begins_later_is_refused() {
        let secret = "0123456789abcdef0123456789abcdef";
        let gate = gate(AuthConfig { jwt_secret: Some(secret.into()), ..AuthConfig::default() });
        let principal = |claims: serde_json::Value| {
            let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
            let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key);
            gate.principal_of(&token.expect("a token"))
        };
        let good = principal(serde_json::json!({ "exp": 4_000_000_000.25, "nbf": 1_000_000_000.5 }));
        let expires_at = good.expect("a good token").expires_at();
        assert_eq!(expires_at, Some(Timestamp::from_millis(4_000_000_000_250)));
        let early = principal(serde_json::json!({ "exp": 4_000_000_000u64, "nbf": 3_999_999_999u64 }));
        let refusal = early.expect_err("its time has not come");
        assert_eq!(refusal.code, Code::Unauthorized);
        assert!(refusal.message.contains("nbf"), "{refusal}");
    }
}
