//! Tokens: JSON web tokens that others make for their users (RFC 7519), and whose they are.

mod issuer;
mod key_set;
mod parts;
mod pem;
mod remembered;

use anywire_log::Timestamp;
use serde_json::Value;

pub(crate) use self::key_set::KeySet;
use self::{issuer::Issuer, parts::Unverified, remembered::Remembered};
use crate::{
    config::{AccessConfig, IssuerSection},
    error::{ConfigError, KeyError},
    keys::Hash,
    principal::Principal,
    refused::Refused,
    roles::Roles,
};

/// Whose tokens are taken.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    issuers: Vec<Issuer>,
    remembered: Remembered,
}

impl Tokens {
    pub(crate) fn new(config: &AccessConfig, roles: &Roles) -> Result<Self, ConfigError> {
        let mut issuers = Vec::new();
        for (index, section) in config.issuers.iter().enumerate() {
            let setting = format!("auth.issuers[{index}]");
            if section.issuer.is_empty()
                || config.issuers[..index].iter().any(|one| one.issuer == section.issuer)
            {
                return Err(ConfigError::Name { setting: setting + ".issuer", name: section.issuer.clone() });
            }
            issuers.push(issuer(&setting, section, roles)?);
        }
        issuers.extend(own(config, roles)?);
        Ok(Self { issuers, remembered: Remembered::default() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Whose token it is. `hash` is that of its text.
    pub(crate) fn find(
        &self,
        text: &str,
        hash: &Hash,
        roles: &Roles,
        now: Timestamp,
    ) -> Result<Principal, Refused> {
        if let Some(principal) = self.remembered.find(hash, now) {
            return Ok(principal);
        }
        let token = Unverified::parse(text)?;
        let iss = token.claims.get("iss").and_then(Value::as_str);
        let issuer = self.issuers.iter().find(|issuer| issuer.is_named(iss)).ok_or_else(|| {
            let issuer = iss.map_or_else(|| "nobody".to_owned(), |iss| format!("{iss:?}"));
            if self.is_empty() {
                Refused::Algorithm { algorithm: format!("{:?}", token.algorithm) }
            } else {
                Refused::Issuer { issuer }
            }
        })?;
        let principal = issuer.principal(&token, roles, now)?;
        if text.len() <= remembered::BYTES_MAX {
            self.remembered.keep(*hash, principal.clone());
        }
        Ok(principal)
    }
}

fn key_error(setting: String) -> impl FnOnce(KeyError) -> ConfigError {
    move |error| match error {
        KeyError::Short { characters, needed } => ConfigError::Short { setting, characters, needed },
        error => ConfigError::TokenKey { setting, error },
    }
}

/// Whoever holds `auth.jwt_secret` or the like; none if there is no such key.
fn own(config: &AccessConfig, roles: &Roles) -> Result<Option<Issuer>, ConfigError> {
    let mut keys = KeySet::default();
    if let Some(secret) = &config.jwt_secret {
        keys.add_secret(None, secret).map_err(key_error("auth.jwt_secret".to_owned()))?;
    }
    for (index, section) in config.jwt_secrets.iter().enumerate() {
        let setting = format!("auth.jwt_secrets[{index}].secret");
        keys.add_secret(section.kid.as_deref(), &section.secret).map_err(key_error(setting))?;
    }
    if let Some(pem) = &config.jwt_public_key {
        keys.add_pem(pem).map_err(key_error("auth.jwt_public_key".to_owned()))?;
    }
    roles.check("auth.jwt_roles_allowed", &config.jwt_roles_allowed)?;
    let claim = |name: &str| Some(name.to_owned());
    Ok((!keys.is_empty()).then(|| Issuer {
        source: "user".into(),
        name: config.jwt_issuer.as_deref().map(Into::into),
        audience_setting: "auth.jwt_audience".into(),
        audience: config.jwt_audience.clone(),
        keys,
        roles_claim: claim("roles").filter(|_| !config.jwt_roles_allowed.is_empty()),
        roles_allowed: config.jwt_roles_allowed.clone(),
        roles: Vec::new(),
        subscribe_claim: claim("subscribe"),
        publish_claim: claim("publish"),
    }))
}

fn issuer(setting: &str, section: &IssuerSection, roles: &Roles) -> Result<Issuer, ConfigError> {
    let allowed = section.roles_allowed.clone().unwrap_or_default();
    let everybodys = section.roles.clone().unwrap_or_default();
    roles.check(&format!("{setting}.roles_allowed"), &allowed)?;
    roles.check(&format!("{setting}.roles"), &everybodys)?;
    if section.roles_claim.is_none() && !allowed.is_empty() {
        return Err(ConfigError::RolesWithoutClaim { setting: format!("{setting}.roles_allowed") });
    }
    Ok(Issuer {
        // Quoted, so that no issuer's name and user's name together are those of two others.
        source: format!("user of {:?}", section.issuer).into(),
        name: Some(section.issuer.as_str().into()),
        audience_setting: format!("{setting}.audience").into(),
        audience: section.audience.clone().unwrap_or_default(),
        keys: issuers_keys(setting, section)?,
        roles_claim: section.roles_claim.clone(),
        roles_allowed: allowed,
        roles: everybodys,
        subscribe_claim: section.subscribe_claim.clone(),
        publish_claim: section.publish_claim.clone(),
    })
}

fn issuers_keys(setting: &str, section: &IssuerSection) -> Result<KeySet, ConfigError> {
    let mut keys = KeySet::default();
    match (&section.jwks_file, &section.public_key, &section.secret) {
        (Some(path), None, None) => {
            let setting = format!("{setting}.jwks_file");
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File {
                setting: setting.clone(),
                path: path.clone(),
                error: error.to_string(),
            })?;
            keys = KeySet::of_jwks(&text).map_err(key_error(setting))?;
        }
        (None, Some(pem), None) => {
            keys.add_pem(pem).map_err(key_error(format!("{setting}.public_key")))?;
        }
        (None, None, Some(secret)) => {
            keys.add_secret(None, secret).map_err(key_error(format!("{setting}.secret")))?;
        }
        _ => return Err(ConfigError::IssuerKeys { setting: setting.to_owned() }),
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
