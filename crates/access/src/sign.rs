//! Tokens that this server would take, signed with its own secret: to try rights with.

use anywire_log::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value};

use crate::{config::AccessConfig, error::ConfigError, roles::Roles};

/// What a token is to say.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// Whose it is (`sub`).
    pub user: String,
    /// The roles it gives.
    pub roles: Vec<String>,
    /// Patterns of channels that may be followed.
    pub subscribe: Vec<String>,
    /// Patterns of channels that may be published to.
    pub publish: Vec<String>,
    /// How long it lasts, in minutes.
    pub minutes: u32,
}

/// Why no token can be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// There is nothing to sign it with.
    #[error("there is no secret to sign with; set auth.jwt_secret (at least 32 characters)")]
    NoSecret,
    /// A role is none.
    #[error(transparent)]
    Roles(#[from] ConfigError),
    /// Whoever reads the token would pass the role over.
    #[error("tokens may not give the role {role:?}; add it to auth.jwt_roles_allowed")]
    NotAllowed {
        /// The role.
        role: String,
    },
    /// It could not be signed.
    #[error("the token cannot be signed: {0}")]
    Sign(String),
}

/// Signs a token by the first secret of the configuration.
///
/// # Errors
/// [`SignError`] names what is missing.
pub fn sign(config: &AccessConfig, claims: &Claims, now: Timestamp) -> Result<String, SignError> {
    Roles::new(&config.roles)?.check("--role", &claims.roles)?;
    let refused = claims.roles.iter().find(|role| !config.jwt_roles_allowed.contains(role));
    if let Some(role) = refused {
        return Err(SignError::NotAllowed { role: role.clone() });
    }
    let one = config.jwt_secret.as_deref().map(|secret| (None, secret));
    let several = config.jwt_secrets.first().map(|section| (section.kid.clone(), section.secret.as_str()));
    let (kid, secret) = one.or(several).ok_or(SignError::NoSecret)?;
    let now_s = now.as_millis() / 1000;
    let mut payload = Map::new();
    payload.insert("sub".to_owned(), claims.user.as_str().into());
    payload.insert("iat".to_owned(), now_s.into());
    payload.insert("exp".to_owned(), (now_s + 60 * i64::from(claims.minutes)).into());
    for (claim, texts) in
        [("roles", &claims.roles), ("subscribe", &claims.subscribe), ("publish", &claims.publish)]
    {
        if !texts.is_empty() {
            payload.insert(claim.to_owned(), texts.clone().into());
        }
    }
    let issuer = config.jwt_issuer.as_deref().map(Value::from);
    payload.extend(issuer.map(|issuer| ("iss".to_owned(), issuer)));
    let audience = config.jwt_audience.first().map(|audience| Value::from(audience.as_str()));
    payload.extend(audience.map(|audience| ("aud".to_owned(), audience)));
    let header = Header { kid, ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, &payload, &EncodingKey::from_secret(secret.as_bytes()))
        .map_err(|error| SignError::Sign(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, config::SecretSection};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn config() -> AccessConfig {
        AccessConfig {
            jwt_secret: Some(SECRET.into()),
            jwt_issuer: Some("us".into()),
            jwt_audience: vec!["anywire".into()],
            jwt_roles_allowed: vec!["viewer".into()],
            ..AccessConfig::default()
        }
    }

    fn claims(role: &str) -> Claims {
        Claims { user: "u1".into(), roles: vec![role.into()], minutes: 10, ..Claims::default() }
    }

    #[test]
    fn what_is_signed_is_taken_with_its_roles_until_its_end() {
        let kid = SecretSection { kid: Some("k1".into()), secret: SECRET.into() };
        let rotated = AccessConfig { jwt_secret: None, jwt_secrets: vec![kid], ..config() };
        for config in [config(), rotated] {
            let now = Timestamp::from_millis(1_700_000_000_500);
            let token = sign(&config, &claims("viewer"), now).expect("signed");
            let access = Access::new(&config).expect("sound");
            let principal = access.principal(&token, now).expect("taken");
            assert_eq!((principal.user(), principal.roles().next()), (Some("u1"), Some("viewer")));
            assert_eq!(principal.expires_at(), Some(Timestamp::from_millis(1_700_000_600_000)));
            assert_eq!(principal.issued_at(), Some(Timestamp::from_millis(1_700_000_000_000)));
        }
    }

    #[test]
    fn what_would_not_be_taken_is_not_signed() {
        let signed = |config: &AccessConfig, role: &str| {
            sign(config, &claims(role), Timestamp::from_millis(0)).expect_err("refused").to_string()
        };
        assert!(signed(&config(), "boss").starts_with("--role names the role \"boss\", which there is not"));
        let error = signed(&config(), "admin");
        assert_eq!(error, "tokens may not give the role \"admin\"; add it to auth.jwt_roles_allowed");
        let without = AccessConfig { jwt_secret: None, ..config() };
        assert!(signed(&without, "viewer").contains("set auth.jwt_secret"));
    }
}
