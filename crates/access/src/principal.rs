//! A principal: somebody, and what they may do. What it is asked, it is asked in one way, on every transport
//! and every route.

use std::{fmt, sync::Arc};

use anywire_log::{Channel, ChannelPattern, Timestamp};

use crate::grant::{Deed, Grant, for_user};

/// What somebody is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An API key: a back end.
    Key,
    /// A token of a user.
    User,
    /// Nothing.
    Anonymous,
}

/// Somebody, and what they may do.
///
/// Cost of a clone: one reference count.
#[derive(Clone)]
pub struct Principal(Arc<Facts>);

struct Facts {
    kind: Kind,
    id: Box<str>,
    name: Option<Box<str>>,
    roles: Vec<Box<str>>,
    expires_at: Option<Timestamp>,
    rights: Rights,
}

/// Grants, sorted by what they are asked for.
#[derive(Debug, Default)]
struct Rights {
    everything: bool,
    subscribe: Vec<ChannelPattern>,
    publish: Vec<ChannelPattern>,
    deeds: Vec<Deed>,
}

/// Who somebody is, before it is said what they may do.
#[derive(Debug, Clone)]
pub(crate) struct Identity<'a> {
    pub(crate) kind: Kind,
    /// Where the name comes from, so that the same name of two issuers is not the same person.
    pub(crate) source: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) roles: Vec<Box<str>>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Principal {
    pub(crate) fn new<'g>(identity: Identity<'_>, grants: impl IntoIterator<Item = &'g Grant>) -> Self {
        let Identity { kind, source, name, roles, expires_at } = identity;
        let mut rights = Rights::default();
        let user = name.filter(|_| kind == Kind::User);
        grants.into_iter().for_each(|grant| rights.add(grant, user));
        let id = format!("{source}:{}", name.unwrap_or_default()).into();
        Self(Arc::new(Facts { kind, id, name: name.map(Into::into), roles, expires_at, rights }))
    }

    /// Anybody who may do everything: on a server that is open to its own machine.
    #[must_use]
    pub fn everybody() -> Self {
        Self::new(Identity::nobody(), [&Grant::Everything])
    }

    /// Somebody who has not said who they are, and may follow the channels of these patterns.
    #[must_use]
    pub fn anonymous(subscribe: &[String]) -> Self {
        let grants: Vec<Grant> =
            subscribe.iter().map(|pattern| Grant::Subscribe(ChannelPattern::new(pattern))).collect();
        Self::new(Identity::nobody(), &grants)
    }

    /// Somebody who has not said who they are yet: may do nothing until they do.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(Identity::nobody(), [])
    }

    /// What somebody is known by.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What nobody else is called: by it things know who made them, and limits who uses them up. Users of two
    /// issuers, and a key and a user, have two ids, also if they have one name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The `sub` of a user's token.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.name.as_deref().filter(|_| self.0.kind == Kind::User)
    }

    /// When the token or the key ends.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at
    }

    /// Whether everything is allowed.
    #[must_use]
    pub fn may_everything(&self) -> bool {
        self.0.rights.everything
    }

    /// Whether this is a back end, or anybody on an open server.
    #[must_use]
    pub fn is_backend(&self) -> bool {
        self.0.kind == Kind::Key || (self.0.kind == Kind::Anonymous && self.0.rights.everything)
    }

    /// Whether nobody has said yet who this is, and nothing is allowed to such a one.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.0.kind == Kind::Anonymous && self.0.rights.is_empty()
    }

    /// Whether a channel may be followed.
    #[must_use]
    pub fn may_subscribe(&self, channel: &Channel) -> bool {
        self.0.rights.everything || any_matches(&self.0.rights.subscribe, channel)
    }

    /// Whether a channel may be published to.
    #[must_use]
    pub fn may_publish(&self, channel: &Channel) -> bool {
        self.0.rights.everything || any_matches(&self.0.rights.publish, channel)
    }

    /// Whether there is any channel that may be published to.
    #[must_use]
    pub fn publishes(&self) -> bool {
        self.0.rights.everything || !self.0.rights.publish.is_empty()
    }

    /// Whether an action of an application is allowed, on a thing of this owner. Without one: on everything.
    #[must_use]
    pub fn may_do(&self, app: &str, action: &str, owner: Option<&str>) -> bool {
        let rights = &self.0.rights;
        // Whoever has no name is nobody in particular, and owns nothing.
        let owns = self.0.name.is_some() && owner.is_some_and(|owner| owner == self.id());
        let fits = |deed: &Deed| *deed.app == *app && *deed.action == *action && (owns || !deed.own_only);
        rights.everything || rights.deeds.iter().any(fits)
    }
}

impl fmt::Display for Principal {
    /// As messages name it: `key "reports" (roles viewer)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.kind, &self.0.name) {
            (Kind::Key, Some(name)) => write!(f, "the key {name:?}")?,
            (Kind::Key, None) => f.write_str("the key")?,
            (Kind::User, Some(name)) => write!(f, "user {name:?}")?,
            (Kind::User, None) => f.write_str("the token")?,
            (Kind::Anonymous, _) => f.write_str("a client without a token")?,
        }
        match self.0.roles.as_slice() {
            [] => Ok(()),
            [role] => write!(f, " (role {role})"),
            roles => write!(f, " (roles {})", roles.join(", ")),
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { id, rights, expires_at, .. } = &*self.0;
        f.debug_struct("Principal")
            .field("id", id)
            .field("rights", rights)
            .field("expires_at", expires_at)
            .finish()
    }
}

impl Identity<'_> {
    fn nobody() -> Self {
        Self { kind: Kind::Anonymous, source: "anonymous", name: None, roles: Vec::new(), expires_at: None }
    }
}

impl Rights {
    fn add(&mut self, grant: &Grant, user: Option<&str>) {
        match grant {
            Grant::Everything => self.everything = true,
            Grant::Subscribe(pattern) => self.subscribe.extend(for_user(pattern, user)),
            Grant::Publish(pattern) => self.publish.extend(for_user(pattern, user)),
            Grant::Do(deed) => self.deeds.push(deed.clone()),
        }
    }

    fn is_empty(&self) -> bool {
        !self.everything && self.subscribe.is_empty() && self.publish.is_empty() && self.deeds.is_empty()
    }
}

fn any_matches(patterns: &[ChannelPattern], channel: &Channel) -> bool {
    patterns.iter().any(|pattern| pattern.matches(channel.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> Channel {
        Channel::new(name).expect(name)
    }

    fn principal(kind: Kind, source: &str, name: &str, grants: &[&str]) -> Principal {
        let grants: Vec<Grant> = grants.iter().map(|text| text.parse().expect(text)).collect();
        let identity = Identity { kind, source, name: Some(name), roles: Vec::new(), expires_at: None };
        Principal::new(identity, &grants)
    }

    #[test]
    fn a_principal_may_do_what_its_grants_say_and_nothing_else() {
        let ann = principal(
            Kind::User,
            "user",
            "ann",
            &["subscribe:progress_*", "subscribe:inbox_{user}", "publish:say_{user}", "jobs:create"],
        );
        assert!(ann.may_subscribe(&channel("progress_1")) && ann.may_subscribe(&channel("inbox_ann")));
        assert!(!ann.may_subscribe(&channel("inbox_bob")) && !ann.may_subscribe(&channel("say_ann")));
        assert!(ann.may_publish(&channel("say_ann")) && !ann.may_publish(&channel("progress_1")));
        assert!(ann.publishes() && !ann.is_backend() && !ann.is_nobody());
        assert!(ann.may_do("jobs", "create", None) && !ann.may_do("jobs", "read", None));
        assert!(!ann.may_do("monitor", "create", None));
    }

    #[test]
    fn a_right_to_ones_own_things_is_none_to_those_of_others() {
        let ann = principal(Kind::User, "user", "ann", &["jobs:read:own"]);
        assert!(ann.may_do("jobs", "read", Some(ann.id())));
        assert!(!ann.may_do("jobs", "read", None), "not to all of them");
        let others = [
            principal(Kind::User, "user", "bob", &[]),
            principal(Kind::Key, "key", "ann", &[]),
            principal(Kind::User, "https://id.example", "ann", &[]),
        ];
        for other in others {
            assert!(!ann.may_do("jobs", "read", Some(other.id())), "{} is another", other.id());
        }
        let all = principal(Kind::User, "user", "bob", &["jobs:read"]);
        assert!(all.may_do("jobs", "read", None) && all.may_do("jobs", "read", Some(ann.id())));
    }

    #[test]
    fn everything_is_everything_and_nobody_may_do_nothing() {
        let admin = principal(Kind::Key, "key", "main", &["*"]);
        assert!(admin.may_subscribe(&channel("$overview")) && admin.may_publish(&channel("a")));
        assert!(admin.may_do("jobs", "manage", None) && admin.is_backend());
        let nobody = Principal::nobody();
        assert!(nobody.is_nobody() && !nobody.publishes() && !nobody.may_subscribe(&channel("a")));
        let open = Principal::anonymous(&["open_*".to_owned()]);
        assert!(!open.is_nobody() && open.may_subscribe(&channel("open_1")) && !open.is_backend());
        assert!(Principal::everybody().is_backend() && !Principal::everybody().is_nobody());
    }

    #[test]
    fn a_key_has_no_channels_of_a_user() {
        let key = principal(Kind::Key, "key", "reports", &["subscribe:inbox_{user}", "publish:a"]);
        assert!(!key.may_subscribe(&channel("inbox_reports")));
        assert_eq!((key.user(), key.is_backend(), key.publishes()), (None, true, true));
        assert_eq!(key.to_string(), "the key \"reports\"");
    }
}
