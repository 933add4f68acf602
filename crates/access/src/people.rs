//! People, and keys made while the server runs: who is not in the configuration, and what was taken back.

use std::fmt;

use anywire_log::Timestamp;

use crate::{
    error::ConfigError,
    grant::Grant,
    keys::Hash,
    principal::{Identity, Kind, Marks, Principal},
    roles::Roles,
};

/// Who is not in the configuration. Asked at requests and at the beginning of connections, never for an
/// event.
pub trait People: fmt::Debug + Send + Sync {
    /// Whether there is an account or a key: then nobody gets in who does not say who they are.
    fn is_anybody(&self) -> bool;

    /// Whose session this is, by the SHA-256 of what the cookie holds; none if it has ended.
    fn session(&self, hash: &Hash, now: Timestamp) -> Option<Principal>;

    /// Whose key this is, by its SHA-256; none if there is none, or it has ended.
    fn key(&self, hash: &Hash, now: Timestamp) -> Option<Principal>;

    /// Whether somebody is still who they were: nothing was taken back, and no rights were changed since.
    fn stands(&self, principal: &Principal) -> bool;
}

/// Nobody but those in the configuration.
#[derive(Debug)]
pub(crate) struct Nobody;

impl People for Nobody {
    fn is_anybody(&self) -> bool {
        false
    }

    fn session(&self, _hash: &Hash, _now: Timestamp) -> Option<Principal> {
        None
    }

    fn key(&self, _hash: &Hash, _now: Timestamp) -> Option<Principal> {
        None
    }

    fn stands(&self, _principal: &Principal) -> bool {
        true
    }
}

impl Principal {
    /// Somebody with an account, at the console by this session. `number` is what no other account ever had.
    /// Roles that there are not (any more) give nothing.
    #[must_use]
    pub fn of_account(number: &str, name: &str, session: &str, named: &[String], roles: &Roles) -> Self {
        let marks = Marks { session: Some(session.into()), ..Marks::default() };
        let own = named.iter().map(|role| role.as_str().into()).collect();
        let identity = Identity {
            number: Some(number),
            roles: own,
            marks,
            ..Identity::of(Kind::User, "account", Some(name))
        };
        Self::new(identity, named.iter().filter_map(|role| roles.grants(role)).flatten())
    }

    /// A key that was made while the server ran.
    ///
    /// # Errors
    /// [`ConfigError::Grant`] for what is no grant.
    pub fn of_made_key(
        number: &str,
        name: &str,
        named: &[String],
        grants: &[String],
        ends: Option<Timestamp>,
        roles: &Roles,
    ) -> Result<Self, ConfigError> {
        let own: Result<Vec<Grant>, _> = grants.iter().map(|text| text.parse()).collect();
        let own = own.map_err(|error| ConfigError::Grant { setting: "grants".to_owned(), error })?;
        let identity = Identity {
            number: Some(number),
            roles: named.iter().map(|role| role.as_str().into()).collect(),
            expires_at: ends,
            ..Identity::of(Kind::Key, "made-key", Some(name))
        };
        let of_roles = named.iter().filter_map(|role| roles.grants(role)).flatten();
        Ok(Self::new(identity, of_roles.chain(&own)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_another_one_than_one_of_its_name_that_is_gone() {
        let roles = Roles::new(&Default::default()).expect("built in");
        let account = |number| Principal::of_account(number, "anna", "s1", &["viewer".to_owned()], &roles);
        let (one, other) = (account("1"), account("2"));
        assert_eq!((one.user(), one.name(), one.session()), (Some("anna"), Some("anna"), Some("s1")));
        assert_ne!(one.id(), other.id());
        assert!(one.may_do("jobs", "read", None) && !one.may_do("jobs", "manage", None));
        assert!(Principal::of_account("1", "anna", "s", &["gone".to_owned()], &roles).roles().count() == 1);
    }

    #[test]
    fn a_made_key_has_its_roles_and_grants_until_its_end() {
        let roles = Roles::new(&Default::default()).expect("built in");
        let grants = ["jobs:read".to_owned()];
        let end = Some(Timestamp::from_millis(5));
        let key = Principal::of_made_key("7", "reports", &["publisher".to_owned()], &grants, end, &roles);
        let key = key.expect("sound");
        assert!(key.is_backend() && key.publishes() && key.may_do("jobs", "read", None));
        assert_eq!((key.id(), key.expires_at(), key.user()), ("made-key:7", end, None));
        let error = Principal::of_made_key("7", "a", &[], &["jobs".to_owned()], None, &roles);
        assert!(error.expect_err("no grant").to_string().contains("\"jobs\" is no grant"));
    }
}
