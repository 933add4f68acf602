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
    credentials::{Addressed, Credentials},
    keys::public_key,
    origin::{OriginError, Origins},
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

/// Why a key is refused that stands where proxies, browsers and logs keep it.
const KEY_IN_ADDRESS: &str =
    "an API key does not belong into an address (?token=); send \"Authorization: Bearer <key>\"";

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
    #[error(
        "auth.jwt_public_key is no PEM public key for RS256 (from 2048 bits), ES256 (P-256) or EdDSA (Ed25519): {detail}"
    )]
    PublicKey {
        /// What the library said.
        detail: String,
    },
    /// A setting means nothing while nobody has to say who they are.
    #[error(
        "{setting} is set and there are no keys, so everybody on this machine may do everything; \
         set auth.api_keys (or auth.jwt_secret, auth.jwt_public_key) as well, or leave {setting} out"
    )]
    WithoutKeys {
        /// The setting.
        setting: &'static str,
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
    /// An open server answers what a proxy passes on.
    open_behind_proxy: bool,
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
            verifiers.push(public_key(pem).map_err(|detail| AuthError::PublicKey { detail })?);
        }
        let open = !config.is_configured();
        if open && !config.anonymous_subscribe.is_empty() {
            return Err(AuthError::WithoutKeys { setting: "auth.anonymous_subscribe" });
        }
        Ok(Self {
            keys: config.api_keys.clone(),
            verifiers,
            anonymous: config.anonymous_subscribe.iter().map(|text| ChannelPattern::new(text)).collect(),
            origins: Origins::parse(&config.origins, open)?,
            open,
            open_behind_proxy: config.open_behind_proxy,
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

    /// Checks host, proxy and origin, for every request. Returns the origin to name in the CORS headers, if
    /// the request is from another.
    ///
    /// # Errors
    /// `invalid_request`, `host_forbidden` or `origin_forbidden`.
    pub fn check_place<'a>(&self, credentials: &Credentials<'a>) -> Result<Option<&'a str>, Refusal> {
        let host = credentials.authority()?;
        if self.open {
            self.check_proxy(credentials)?;
            if let Some(host) = host.filter(|host| !host.is_loopback()) {
                let message = format!(
                    "host {:?} is no loopback name, and the server is open to loopback only; use http://127.0.0.1, or set auth.api_keys",
                    host.name
                );
                return Err(Refusal::new(Code::HostForbidden, message));
            }
        }
        let Some(origin) = credentials.origin else { return Ok(None) };
        let host = match credentials.host {
            Addressed::By(host) => Some(host),
            _ => None,
        };
        if self.origins.access(origin, host).is_some() {
            return Ok(Some(origin));
        }
        let message = format!("origin {origin:?} is not allowed; add it to auth.origins");
        Err(Refusal::new(Code::OriginForbidden, message))
    }

    /// Refuses what a proxy passed on to an open server: behind it may be anybody.
    fn check_proxy(&self, credentials: &Credentials<'_>) -> Result<(), Refusal> {
        match credentials.proxy.filter(|_| !self.open_behind_proxy) {
            None => Ok(()),
            Some(sign) => {
                let message = format!(
                    "the request came through a proxy ({sign}), and the server is open to its own machine only; \
                     set auth.api_keys, or auth.open_behind_proxy = true if nobody else reaches the proxy"
                );
                Err(Refusal::new(Code::HostForbidden, message))
            }
        }
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
            Some(text) if credentials.bearer().is_none() && self.is_key(text) => {
                Err(unauthorized(KEY_IN_ADDRESS))
            }
            Some(text) => self.principal_of(text),
            None if !self.anonymous.is_empty() => Ok(Principal::anonymous(&self.anonymous)),
            None => Err(Refusal::new(
                Code::Unauthorized,
                "no token was given; send \"Authorization: Bearer <token>\" or ?token=",
            )),
        }
    }

    /// Whether a text is an API key.
    fn is_key(&self, text: &str) -> bool {
        self.keys.iter().any(|key| same(key.as_bytes(), text.as_bytes()))
    }

    /// Finds out whom a key or token belongs to.
    ///
    /// # Errors
    /// `unauthorized` or `token_expired`.
    pub fn principal_of(&self, text: &str) -> Result<Principal, Refusal> {
        if self.open || self.is_key(text) {
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
        let credentials = Credentials { host: Addressed::By(host), origin, ..Credentials::default() };
        gate.check_place(&credentials).map(|origin| origin.is_some()).map_err(|refusal| refusal.code)
    }

    fn signed(secret: &str, claims: &serde_json::Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).expect("a token")
    }

    #[test]
    fn a_key_in_an_address_is_refused_and_a_token_is_not() {
        let key = "0123456789abcdef";
        let gate = gate(AuthConfig { api_keys: vec![key.into()], ..AuthConfig::default() });
        let refusal = gate
            .principal(&Credentials { token: Some(key), ..Credentials::default() })
            .expect_err("in an address");
        assert_eq!(refusal.code, Code::Unauthorized);
        assert!(refusal.message.contains("Authorization: Bearer"), "{refusal}");
        let bearer = format!("Bearer {key}");
        let both = Credentials { authorization: Some(&bearer), token: Some(key), ..Credentials::default() };
        assert!(gate.principal(&both).is_ok_and(|principal| principal.is_backend()));
    }

    #[test]
    fn an_open_server_refuses_what_a_proxy_passed_on_unless_a_setting_says_so() {
        let through = Credentials { proxy: Some("Via"), ..Credentials::default() };
        let refused = |config| gate(config).check_place(&through).map_err(|refusal| refusal.to_string());
        let error = refused(AuthConfig::default()).expect_err("anybody may be behind it");
        assert!(error.contains("(Via)") && error.contains("auth.open_behind_proxy"), "{error}");
        assert_eq!(refused(AuthConfig { open_behind_proxy: true, ..AuthConfig::default() }), Ok(None));
        let keys = AuthConfig { api_keys: vec!["0123456789abcdef".into()], ..AuthConfig::default() };
        assert_eq!(refused(keys), Ok(None));
    }

    #[test]
    fn a_setting_that_means_nothing_without_keys_is_refused() {
        let config = AuthConfig { anonymous_subscribe: vec!["news".into()], ..AuthConfig::default() };
        let error = Gate::new(&config).expect_err("everything is open").to_string();
        assert!(error.contains("auth.anonymous_subscribe is set and there are no keys"), "{error}");
        let config = AuthConfig { origins: vec!["http://app.example".into()], ..AuthConfig::default() };
        assert!(Gate::new(&config).is_ok(), "pages elsewhere may be let in to an open server");
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
        let secret = "0123456789abcdef0123456789abcdef";
        let gate = gate(AuthConfig {
            jwt_secret: Some(secret.into()),
            anonymous_subscribe: vec!["open_*".into()],
            ..AuthConfig::default()
        });
        let signed = signed(secret, &serde_json::json!({ "sub": "u1", "exp": 4_000_000_000u64 }));
        let channel = [Channel::new("open_1").expect("a name")];
        for authorization in
            ["Basic dTpw", "Negotiate abc", "Digest username=\"u\"", "Basic", "Bearer", "bearer  ", ""]
        {
            let with =
                |token| Credentials { authorization: Some(authorization), token, ..Credentials::default() };
            let known = gate.principal(&with(Some(&signed))).expect(authorization);
            assert_eq!(known.user(), Some("u1"), "{authorization:?} does not hide a token");
            let anonymous = gate.principal(&with(None)).expect(authorization);
            assert!(
                !anonymous.is_backend() && anonymous.may_subscribe(&channel).is_ok(),
                "{authorization:?}"
            );
        }
        for authorization in ["Bearer wrong", "bearer\twrong"] {
            let both = Credentials {
                authorization: Some(authorization),
                token: Some(&signed),
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
