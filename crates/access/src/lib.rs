//! Who somebody is, and what they may do. Without sockets, and with a time that is given.
//!
//! Invariant: a [`Principal`] is made here only; whoever is asked about one need not know where it comes
//! from.

mod caller;
mod config;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod grant;
mod keys;
mod people;
mod principal;
mod refused;
mod roles;
mod sign;
mod tickets;
mod tokens;

use std::sync::Arc;

use anywire_log::Timestamp;

pub use self::{
    caller::{Caller, SESSION_COOKIES},
    config::{AccessConfig, IssuerSection, KeySection, SecretSection},
    error::{ConfigError, KeyError},
    grant::GrantError,
    keys::{Hash, hash},
    people::People,
    principal::{ACCESS_CHANNEL, AUDIT_CHANNEL, Kind, Principal, is_secret},
    refused::Refused,
    roles::Roles,
    sign::{Claims, SignError, sign},
    tickets::{TicketError, is_ticket},
};
use self::{keys::Keys, people::Nobody, tickets::Tickets, tokens::Tokens};

/// Finds out who somebody is.
#[derive(Debug)]
pub struct Access {
    roles: Roles,
    keys: Keys,
    tokens: Tokens,
    people: Arc<dyn People>,
    tickets: Tickets,
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
        Ok(Self { roles, keys, tokens, people: Arc::new(Nobody), tickets: Tickets::default() })
    }

    /// With those who are not in the configuration.
    #[must_use]
    pub fn with_people(self, people: Arc<dyn People>) -> Self {
        Self { people, ..self }
    }

    /// Whether there is nothing that could tell who somebody is. The first account ends that.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.keys.is_empty() && self.tokens.is_empty() && !self.people.is_anybody()
    }

    /// Whose session this is, by what its cookie holds.
    ///
    /// Cost: one hash of the text and a look-up.
    #[must_use]
    pub fn session(&self, cookie: &str, now: Timestamp) -> Option<Principal> {
        self.people.session(&keys::hash(cookie), now)
    }

    /// A ticket for somebody: it is taken once in the place of a key or token, with the same rights and their
    /// end. Also until when it is good.
    ///
    /// # Errors
    /// [`TicketError`].
    pub fn issue_ticket(
        &self,
        principal: Principal,
        now: Timestamp,
    ) -> Result<(String, Timestamp), TicketError> {
        self.tickets.issue(principal, now)
    }

    /// Whether somebody is still who they were when they came.
    #[must_use]
    pub fn stands(&self, principal: &Principal) -> bool {
        self.people.stands(principal.whole())
    }

    /// Finds out whom a key or token belongs to.
    ///
    /// Cost: one hash of the text and a look-up; for a token that is new, a check of its signature.
    ///
    /// # Errors
    /// [`Refused`] says why it is not taken.
    pub fn principal(&self, text: &str, now: Timestamp) -> Result<Principal, Refused> {
        let hash = keys::hash(text);
        if is_ticket(text) {
            let principal = self.tickets.redeem(&hash, now).ok_or(Refused::Ticket)?;
            let ended = principal.expires_at().is_some_and(|end| end <= now);
            return if !ended && self.stands(&principal) { Ok(principal) } else { Err(Refused::TakenBack) };
        }
        if let Some(found) = self.keys.find(&hash, now) {
            return found;
        }
        if let Some(principal) = self.people.key(&hash, now) {
            return Ok(principal);
        }
        let principal = self.tokens.find(text, &hash, &self.roles, now)?;
        if self.people.stands(&principal) { Ok(principal) } else { Err(Refused::TakenBack) }
    }
}
