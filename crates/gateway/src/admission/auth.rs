//! Who may connect, and from where (PROTOCOL.md, section 10).
//!
//! Invariant: without keys the server answers loopback `Host` names and loopback origins only, so no web page
//! elsewhere reaches it.

use std::{net::IpAddr, sync::Arc};

use anywire_access::{Access, ConfigError, Kind, People, Principal, Refused, TicketError, is_ticket};
use anywire_log::{Clock, Timestamp};
use anywire_protocol::{Code, Refusal};

use super::{
    credentials::{Addressed, Credentials},
    origin::{OriginError, Origins},
};
use crate::config::AuthConfig;

/// Why a key is refused that stands where proxies, browsers and logs keep it.
const KEY_IN_ADDRESS: &str = "the token was refused: an API key does not belong into an address (?token=); send \"Authorization: Bearer <key>\"";

/// Why authorization cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// What says who somebody is is not sound.
    #[error(transparent)]
    Access(#[from] ConfigError),
    /// A setting means nothing while nobody has to say who they are.
    #[error(
        "{setting} is set and there are no keys, so everybody on this machine may do everything; \
         set auth.api_keys (or auth.keys, auth.jwt_secret, auth.issuers, …) as well, or leave {setting} out"
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
        "listening on {address} without accounts and keys would let anybody in; add an account: anywire user add anna --role admin \
         (with the same --config and --data), or set auth.api_keys (or auth.jwt_secret), or listen on 127.0.0.1"
    )]
    OpenToAll {
        /// The address.
        address: IpAddr,
    },
}

/// Decides who gets in: about places itself, about who somebody is by what `access` says.
pub struct Gate {
    access: Access,
    clock: Arc<dyn Clock>,
    everybody: Principal,
    /// Those who say nothing of who they are, where such may do anything.
    anonymous: Option<Principal>,
    /// Of an open server, and of one with keys.
    origins: [Origins; 2],
    /// An open server answers what a proxy passes on.
    open_behind_proxy: bool,
}

impl Gate {
    /// Sets authorization up.
    ///
    /// # Errors
    /// [`AuthError`] names the setting.
    pub fn new(config: &AuthConfig, clock: Arc<dyn Clock>) -> Result<Self, AuthError> {
        Self::with(Access::new(&config.access())?, config, clock)
    }

    /// The same with people who are not in the configuration.
    ///
    /// # Errors
    /// [`AuthError`] names the setting.
    pub fn with_people(
        config: &AuthConfig,
        clock: Arc<dyn Clock>,
        people: Arc<dyn People>,
    ) -> Result<Self, AuthError> {
        Self::with(Access::new(&config.access())?.with_people(people), config, clock)
    }

    fn with(access: Access, config: &AuthConfig, clock: Arc<dyn Clock>) -> Result<Self, AuthError> {
        let open = access.is_open();
        if let Some(setting) = config.about_known_people().filter(|_| open) {
            return Err(AuthError::WithoutKeys { setting });
        }
        let anonymous = Some(config.anonymous_subscribe.as_slice()).filter(|patterns| !patterns.is_empty());
        Ok(Self {
            access,
            clock,
            everybody: Principal::everybody(),
            anonymous: anonymous.map(Principal::anonymous),
            origins: [Origins::parse(&config.origins, true)?, Origins::parse(&config.origins, false)?],
            open_behind_proxy: config.open_behind_proxy,
        })
    }

    /// Whether anybody on a loopback address gets in. The first account or key ends that.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.access.is_open()
    }

    /// A ticket for somebody, and until when it is good.
    pub(crate) fn issue_ticket(&self, principal: Principal) -> Result<(String, Timestamp), TicketError> {
        self.access.issue_ticket(principal, self.clock.now())
    }

    /// Whether somebody is still who they were when they came.
    pub(crate) fn stands(&self, principal: &Principal) -> bool {
        self.access.stands(principal)
    }

    /// Refuses to listen where an open server could be reached from elsewhere.
    ///
    /// # Errors
    /// [`AuthError::OpenToAll`].
    pub fn check_address(&self, address: IpAddr) -> Result<(), AuthError> {
        if self.is_open() && !address.is_loopback() {
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
        match address.filter(|address| self.is_open() && !address.is_loopback()) {
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
        if self.is_open() {
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
        // Browsers write every origin in ASCII (RFC 6454, section 6.2).
        if origin.is_ascii() && self.origins().access(origin, host).is_some() {
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
        &self.origins[usize::from(!self.is_open())]
    }

    /// Finds out who somebody is: by a key or token, or else by a session.
    ///
    /// # Errors
    /// `unauthorized` or `token_expired`; `origin_forbidden` or `media_type` where a session does not count.
    pub fn principal(&self, credentials: &Credentials<'_>) -> Result<Principal, Refusal> {
        let nobody = |refusal: Refusal| self.anonymous.clone().ok_or(refusal);
        match self.known(credentials) {
            Ok(Some(known)) => Ok(known),
            Ok(None) => {
                let message = match credentials.session {
                    None => "no token was given; send \"Authorization: Bearer <token>\" or ?token=",
                    Some(_) => "the session has ended; sign in again",
                };
                nobody(Refusal::new(Code::Unauthorized, message))
            }
            // A session that does not count says nothing.
            Err(refusal) if credentials.given().is_none() => nobody(refusal),
            Err(refusal) => Err(refusal),
        }
    }

    /// The same where also those may ask who have not said who they are.
    ///
    /// # Errors
    /// As above, but for those.
    pub fn principal_or_nobody(&self, credentials: &Credentials<'_>) -> Result<Principal, Refusal> {
        Ok(self.known(credentials)?.unwrap_or_else(Principal::nobody))
    }

    fn known(&self, credentials: &Credentials<'_>) -> Result<Option<Principal>, Refusal> {
        if self.is_open() {
            return Ok(Some(self.everybody.clone()));
        }
        let Some(text) = credentials.given() else { return self.session(credentials) };
        let in_address = credentials.bearer().is_none();
        match self.principal_of(text)? {
            principal if in_address && principal.kind() == Kind::Key && !is_ticket(text) => {
                Err(Refusal::new(Code::Unauthorized, KEY_IN_ADDRESS))
            }
            principal => Ok(Some(principal)),
        }
    }

    /// Whose session it is that a request brings.
    ///
    /// # Errors
    /// `origin_forbidden` or `media_type` where it does not count.
    pub(crate) fn session(&self, credentials: &Credentials<'_>) -> Result<Option<Principal>, Refusal> {
        let Some(cookie) = credentials.session.filter(|_| !self.is_open()) else { return Ok(None) };
        let found = self.access.session(cookie, self.clock.now());
        // What is no session (any more) is no reason to refuse who else may ask.
        found.map(|principal| credentials.check_session().map(|()| principal)).transpose()
    }

    /// Finds out whom a key or token belongs to.
    ///
    /// # Errors
    /// `unauthorized` or `token_expired`.
    pub fn principal_of(&self, text: &str) -> Result<Principal, Refusal> {
        if self.is_open() {
            return Ok(self.everybody.clone());
        }
        self.access.principal(text, self.clock.now()).map_err(|refused| match refused {
            Refused::Expired => Refusal::new(
                Code::TokenExpired,
                "the token has run out; get a new one and go on from the cursor",
            ),
            refused => Refusal::new(Code::Unauthorized, format!("the token was refused: {refused}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use anywire_log::{Channel, SystemClock, Timestamp};

    use super::*;
    use crate::admission::rights::Rights as _;

    fn gate(config: AuthConfig) -> Gate {
        Gate::new(&config, Arc::new(SystemClock)).expect("a sound configuration")
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
        let refused = |config: &AuthConfig| {
            Gate::new(config, Arc::new(SystemClock)).err().expect("everything is open").to_string()
        };
        let error = refused(&config);
        assert!(error.contains("auth.anonymous_subscribe is set and there are no keys"), "{error}");
        let config = AuthConfig { jwt_audience: vec!["anywire".into()], ..AuthConfig::default() };
        assert!(refused(&config).contains("auth.jwt_audience is set and there are no keys"));
        let config = AuthConfig { origins: vec!["http://app.example".into()], ..AuthConfig::default() };
        assert!(
            Gate::new(&config, Arc::new(SystemClock)).is_ok(),
            "pages elsewhere may be let in to an open server"
        );
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
                !anonymous.is_backend() && anonymous.check_subscribe(&channel).is_ok(),
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
        assert!(principal.check_subscribe(&[channel("progress_1")]).is_ok());
        assert!(principal.check_subscribe(&[channel("progress_1"), channel("other")]).is_err());
        assert!(principal.check_publish([channel("progress_1")].iter()).is_err());
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
