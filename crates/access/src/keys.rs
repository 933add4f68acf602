//! API keys: found by their SHA-256, so that the time of a look-up tells nothing of a key, and a file with
//! them need not hold them.
//!
//! Invariant: no key is kept, only its hash.

use std::collections::{BTreeSet, HashMap};

use anywire_log::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    config::KeySection,
    error::ConfigError,
    grant::Grant,
    principal::{Identity, Kind, Principal},
    refused::Refused,
    roles::Roles,
};

/// The least length of a key, in characters.
const KEY_CHARACTERS_MIN: usize = 16;

/// A SHA-256.
pub type Hash = [u8; 32];

/// The SHA-256 of a text.
#[must_use]
pub fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

/// The keys there are.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<Hash, Principal, foldhash::fast::RandomState>);

impl Keys {
    pub(crate) fn new(plain: &[String], named: &[KeySection], roles: &Roles) -> Result<Self, ConfigError> {
        let mut keys = Self::default();
        for key in plain {
            check_length("auth.api_keys holds a key that", key)?;
            let principal = Principal::new(identity(None, &[], None), [&Grant::Everything]);
            // The same one twice does no harm: it may do everything both times.
            keys.0.insert(hash(key), principal);
        }
        let mut names = BTreeSet::new();
        for (index, section) in named.iter().enumerate() {
            let setting = format!("auth.keys[{index}]");
            if section.name.is_empty() || !names.insert(section.name.as_str()) {
                return Err(ConfigError::Name {
                    setting: format!("{setting}.name"),
                    name: section.name.clone(),
                });
            }
            let principal = principal(&setting, section, roles)?;
            if keys.0.insert(hash_of(&setting, section)?, principal).is_some() {
                return Err(ConfigError::SameKey { setting });
            }
        }
        Ok(keys)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom a key belongs to, if it is one.
    ///
    /// Cost: one look-up by the hash of the text.
    pub(crate) fn find(&self, hash: &Hash, now: Timestamp) -> Option<Result<Principal, Refused>> {
        let principal = self.0.get(hash)?;
        match principal.expires_at().filter(|at| *at <= now) {
            Some(at) => Some(Err(Refused::KeyEnded { principal: principal.to_string(), at: iso(at) })),
            None => Some(Ok(principal.clone())),
        }
    }
}

fn identity<'a>(name: Option<&'a str>, roles: &[String], expires_at: Option<Timestamp>) -> Identity<'a> {
    let roles = roles.iter().map(|role| role.as_str().into()).collect();
    Identity { roles, expires_at, ..Identity::of(Kind::Key, "key", name) }
}

fn principal(setting: &str, section: &KeySection, roles: &Roles) -> Result<Principal, ConfigError> {
    let named = section.roles.as_deref().unwrap_or_default();
    roles.check(&format!("{setting}.roles"), named)?;
    let grants = section.grants.as_deref().unwrap_or_default().iter().map(|text| text.parse());
    let grants = grants.collect::<Result<Vec<Grant>, _>>();
    let grants =
        grants.map_err(|error| ConfigError::Grant { setting: format!("{setting}.grants"), error })?;
    let of_roles = named.iter().filter_map(|role| roles.grants(role)).flatten();
    let mut all = of_roles.chain(&grants).peekable();
    if all.peek().is_none() {
        return Err(ConfigError::NoRights { setting: setting.to_owned() });
    }
    let ends = section.ends.as_deref().map(|text| time(&format!("{setting}.ends"), text)).transpose()?;
    Ok(Principal::new(identity(Some(&section.name), named, ends), all))
}

fn hash_of(setting: &str, section: &KeySection) -> Result<Hash, ConfigError> {
    match (&section.key, &section.sha256) {
        (Some(key), None) => check_length(&format!("{setting}.key"), key).map(|()| hash(key)),
        (None, Some(hex)) => {
            from_hex(hex).ok_or_else(|| ConfigError::Hash { setting: format!("{setting}.sha256") })
        }
        _ => Err(ConfigError::KeyOrHash { setting: setting.to_owned() }),
    }
}

fn check_length(setting: &str, key: &str) -> Result<(), ConfigError> {
    match key.chars().count() {
        characters if characters < KEY_CHARACTERS_MIN => {
            let setting = setting.to_owned();
            Err(ConfigError::Short { setting, characters, needed: KEY_CHARACTERS_MIN })
        }
        _ => Ok(()),
    }
}

fn from_hex(text: &str) -> Option<Hash> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

fn iso(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.as_millis())
        .map_or_else(|_| "its end".to_owned(), |at| at.to_string())
}

fn time(setting: &str, text: &str) -> Result<Timestamp, ConfigError> {
    let time = text.parse::<jiff::Timestamp>();
    time.map(|time| Timestamp::from_millis(time.as_millisecond()))
        .map_err(|_| ConfigError::Time { setting: setting.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use anywire_log::Channel;
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "0123456789abcdef";
    /// `printf %s 0123456789abcdef | sha256sum`.
    const KEY_SHA256: &str = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";

    fn section() -> KeySection {
        KeySection {
            name: "reports".into(),
            key: None,
            sha256: Some(KEY_SHA256.into()),
            roles: Some(vec!["publisher".into()]),
            grants: None,
            ends: None,
        }
    }

    fn keys(plain: &[&str], named: &[KeySection]) -> Result<Keys, ConfigError> {
        let plain: Vec<String> = plain.iter().map(|key| (*key).to_owned()).collect();
        Keys::new(&plain, named, &Roles::new(&Default::default())?)
    }

    fn find(keys: &Keys, text: &str) -> Option<Result<Principal, Refused>> {
        keys.find(&hash(text), Timestamp::from_millis(1_000))
    }

    #[test]
    fn a_key_has_its_roles_and_grants_and_the_old_ones_every_right() {
        let named = KeySection { grants: Some(vec!["jobs:read".into()]), ..section() };
        let keys = keys(&["fedcba9876543210"], &[named]).expect("sound");
        let old = find(&keys, "fedcba9876543210").expect("known").expect("valid");
        assert!(old.may_do("jobs", "manage", None) && old.is_backend());
        let reports = find(&keys, KEY).expect("known").expect("valid");
        assert!(reports.may_publish(&Channel::new("a").expect("a name")));
        assert!(reports.may_do("jobs", "read", None) && !reports.may_do("jobs", "manage", None));
        assert_eq!((reports.id(), reports.user(), reports.expires_at()), ("key:reports", None, None));
        assert_eq!(reports.to_string(), "the key \"reports\" (role publisher)");
        assert!(find(&keys, "0123456789abcdeX").is_none() && find(&keys, KEY_SHA256).is_none());
    }

    #[test]
    fn a_key_ends_when_it_was_said_to() {
        let key = KeySection { ends: Some("1970-01-01T00:00:02Z".into()), ..section() };
        let keys = keys(&[], &[key]).expect("sound");
        let end = Timestamp::from_millis(2_000);
        let valid = find(&keys, KEY).expect("known").expect("valid");
        assert_eq!(valid.expires_at(), Some(end));
        let ended = keys.find(&hash(KEY), end).expect("known").expect_err("ended").to_string();
        assert_eq!(
            ended,
            "the key \"reports\" (role publisher) ended at 1970-01-01T00:00:02Z; get a new one"
        );
    }

    #[test]
    fn a_section_that_is_not_sound_is_named_with_the_way_out() {
        let check = |section: KeySection, expected: &str| {
            let error = keys(&[], &[section]).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        let base = section();
        let key = |key: &str| KeySection { key: Some(key.into()), sha256: None, ..section() };
        check(key("short"), "auth.keys[0].key has 5 characters; at least 16 are needed");
        check(
            KeySection { key: Some(KEY.into()), ..section() },
            "auth.keys[0] needs one of `key` and `sha256`",
        );
        check(KeySection { sha256: None, ..section() }, "auth.keys[0] needs one of `key` and `sha256`");
        for wrong in ["", "9f9f", &"g".repeat(64), &"é".repeat(32), &"0".repeat(66)] {
            let wrong = KeySection { sha256: Some(wrong.into()), ..section() };
            check(wrong, "auth.keys[0].sha256 is no SHA-256; it has 64 hexadecimal digits");
        }
        check(KeySection { roles: None, ..section() }, "auth.keys[0] may do nothing; give it `roles` or");
        check(
            KeySection { roles: Some(vec!["boss".into()]), ..section() },
            "auth.keys[0].roles names the role \"boss\", which there is not",
        );
        check(
            KeySection { grants: Some(vec!["jobs".into()]), ..section() },
            "auth.keys[0].grants: \"jobs\" is no grant",
        );
        check(
            KeySection { ends: Some("soon".into()), ..section() },
            "auth.keys[0].ends is \"soon\", which is no time",
        );
        check(KeySection { name: String::new(), ..section() }, "auth.keys[0].name is \"\"");
        let error = keys(&[], &[section(), section()]).expect_err("twice").to_string();
        assert_eq!(error, "auth.keys[1].name is \"reports\"; give each a name of its own");
        let twice = [base, KeySection { name: "other".into(), ..key(KEY) }];
        let error = keys(&[], &twice).expect_err("twice").to_string();
        assert_eq!(error, "auth.keys[1] is the same key as another one; remove one of them");
        let error = keys(&["short"], &[]).expect_err("short").to_string();
        assert_eq!(error, "auth.api_keys holds a key that has 5 characters; at least 16 are needed");
    }

    proptest! {
        #[test]
        fn only_the_key_itself_is_the_key(text in "[0-9a-f]{0,20}") {
            let keys = keys(&[], &[section()]).expect("sound");
            prop_assert_eq!(find(&keys, &text).is_some(), text == KEY);
        }
    }
}
