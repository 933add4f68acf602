//! Who somebody is, and what they may do. Without sockets, and with a time that is given.
//!
//! Invariant: a [`Principal`] is made here only; whoever is asked about one need not know where it comes
//! from.

mod config;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod grant;
mod keys;
mod principal;
mod refused;
mod roles;
mod tokens;

use anywire_log::Timestamp;

pub use self::{
    config::{AccessConfig, IssuerSection, KeySection, SecretSection},
    error::{ConfigError, KeyError},
    grant::GrantError,
    principal::{Kind, Principal},
    refused::Refused,
};
use self::{keys::Keys, roles::Roles, tokens::Tokens};

/// Finds out who somebody is.
#[derive(Debug)]
pub struct Access {
    roles: Roles,
    keys: Keys,
    tokens: Tokens,
}

impl Access {
    /// Sets access up.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn new(config: &AccessConfig) -> Result<Self, ConfigError> {
        let roles = Roles::new(&config.roles)?;
        let keys = Keys::new(&config.api_keys, &config.keys, &roles)?;
        let tokens = Tokens::new(config, &roles)?;
        Ok(Self { roles, keys, tokens })
    }

    /// Whether nothing is configured that could tell who somebody is.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.keys.is_empty() && self.tokens.is_empty()
    }

    /// Finds out whom a key or token belongs to.
    ///
    /// Cost: one hash of the text and a look-up; for a token that is new, a check of its signature.
    ///
    /// # Errors
    /// [`Refused`] says why it is not taken.
    pub fn principal(&self, text: &str, now: Timestamp) -> Result<Principal, Refused> {
        let hash = keys::hash(text);
        match self.keys.find(&hash, now) {
            Some(Ok(principal)) => Ok(principal),
            Some(Err(ended)) => Err(ended),
            None => self.tokens.find(text, &hash, &self.roles, now),
        }
    }
}
