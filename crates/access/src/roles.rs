//! Roles: named sets of grants.

use std::{collections::BTreeMap, sync::Arc};

use crate::{error::ConfigError, grant::Grant};

/// The roles that are there without being configured, and what each may do.
const BUILT_IN: [(&str, &[&str]); 4] = [
    ("admin", &["*"]),
    (
        "operator",
        &[
            "subscribe:*",
            "subscribe:$overview",
            "subscribe:$presence:*",
            "jobs:read",
            "jobs:manage",
            "monitor:read",
            "monitor:manage",
            "pipeline:read",
            "pipeline:manage",
            "server:read",
        ],
    ),
    (
        "viewer",
        &[
            "subscribe:*",
            "subscribe:$overview",
            "subscribe:$presence:*",
            "jobs:read",
            "monitor:read",
            "pipeline:read",
            "server:read",
        ],
    ),
    ("publisher", &["subscribe:*", "subscribe:$presence:*", "publish:*"]),
];

/// Every role, by its name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Roles(Arc<BTreeMap<Box<str>, Vec<Grant>>>);

impl Roles {
    /// The built-in roles with those of `[auth.roles]`: one of the same name stands in its place.
    ///
    /// # Errors
    /// [`ConfigError`] names the role whose grants are none.
    pub fn new(configured: &BTreeMap<String, Vec<String>>) -> Result<Self, ConfigError> {
        let mut roles = BTreeMap::new();
        for (name, grants) in BUILT_IN {
            roles.insert(name.into(), parse(name, grants.iter().copied())?);
        }
        for (name, grants) in configured {
            roles.insert(name.as_str().into(), parse(name, grants.iter().map(String::as_str))?);
        }
        Ok(Self(Arc::new(roles)))
    }

    /// What a role may do; none if there is no such role.
    pub(crate) fn grants(&self, role: &str) -> Option<&[Grant]> {
        self.0.get(role).map(Vec::as_slice)
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    /// Whether one of these roles may do everything.
    #[must_use]
    pub fn may_everything(&self, names: &[String]) -> bool {
        names.iter().filter_map(|role| self.grants(role)).flatten().any(|grant| *grant == Grant::Everything)
    }

    /// Whether there are all these roles.
    ///
    /// # Errors
    /// [`ConfigError::UnknownRole`] names the setting, the role and those there are.
    pub fn check(&self, setting: &str, names: &[String]) -> Result<(), ConfigError> {
        let Some(role) = names.iter().find(|name| self.grants(name).is_none()) else { return Ok(()) };
        let known: Vec<&str> = self.names().collect();
        Err(ConfigError::UnknownRole {
            setting: setting.to_owned(),
            role: role.clone(),
            known: known.join(", "),
        })
    }
}

fn parse<'a>(role: &str, grants: impl Iterator<Item = &'a str>) -> Result<Vec<Grant>, ConfigError> {
    let parsed = grants.map(str::parse).collect::<Result<_, _>>();
    parsed.map_err(|error| ConfigError::Grant { setting: format!("auth.roles.{role}"), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(configured: &[(&str, &[&str])]) -> Result<Roles, ConfigError> {
        let texts = |grants: &[&str]| grants.iter().map(|text| (*text).to_owned()).collect();
        let configured: BTreeMap<String, Vec<String>> =
            configured.iter().map(|(name, grants)| ((*name).to_owned(), texts(grants))).collect();
        Roles::new(&configured)
    }

    #[test]
    fn a_viewer_changes_nothing_and_an_operator_no_rights() {
        let roles = roles(&[]).expect("built in");
        let grants = |role: &str| roles.grants(role).expect(role);
        let changes_nothing = |grant: &Grant| match grant {
            Grant::Do(deed) => &*deed.action == "read",
            Grant::Subscribe(_) => true,
            Grant::Everything | Grant::Publish(_) => false,
        };
        assert!(grants("viewer").iter().all(changes_nothing));
        assert_eq!(grants("admin"), [Grant::Everything]);
        for role in ["operator", "viewer", "publisher"] {
            let text: Vec<String> = grants(role).iter().map(ToString::to_string).collect();
            assert!(
                !text.iter().any(|grant| grant == "*" || grant.starts_with("access:")),
                "{role}: {text:?}"
            );
        }
    }

    #[test]
    fn a_configured_role_stands_in_the_place_of_a_built_in_one() {
        let roles =
            roles(&[("viewer", &["server:read"]), ("support", &["subscribe:inbox_*"])]).expect("sound");
        assert_eq!(roles.grants("viewer").expect("there").len(), 1);
        assert_eq!(roles.grants("support").expect("there")[0].to_string(), "subscribe:inbox_*");
        assert_eq!(roles.grants("nobody"), None);
    }

    #[test]
    fn a_grant_that_is_none_and_a_role_that_is_not_there_are_named_with_their_setting() {
        let error = roles(&[("support", &["inbox"])]).expect_err("no grant").to_string();
        assert!(error.starts_with("auth.roles.support: \"inbox\" is no grant"), "{error}");
        let error = roles(&[]).expect("sound").check("auth.keys[0].roles", &["admn".to_owned()]);
        let expected = "auth.keys[0].roles names the role \"admn\", which there is not; \
                        there are admin, operator, publisher, viewer; add it to [auth.roles]";
        assert_eq!(error.expect_err("unknown").to_string(), expected);
    }
}
