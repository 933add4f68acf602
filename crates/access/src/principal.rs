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
    marks: Marks,
    rights: Rights,
    /// Whose rights these are a part of.
    whole: Option<Principal>,
}

/// By what a principal can be taken back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    /// The id of the session at the console.
    pub(crate) session: Option<Box<str>>,
    /// The `jti` of a token.
    pub(crate) token_id: Option<Box<str>>,
    /// The `iat` of a token.
    pub(crate) issued_at: Option<Timestamp>,
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
    /// What it is called there, where names are given again to others.
    pub(crate) number: Option<&'a str>,
    pub(crate) roles: Vec<Box<str>>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) marks: Marks,
}

impl Principal {
    pub(crate) fn new<'g>(identity: Identity<'_>, grants: impl IntoIterator<Item = &'g Grant>) -> Self {
        let Identity { kind, source, name, number, roles, expires_at, marks } = identity;
        let mut rights = Rights::default();
        let user = name.filter(|_| kind == Kind::User);
        grants.into_iter().for_each(|grant| rights.add(grant, user));
        let id = format!("{source}:{}", number.or(name).unwrap_or_default()).into();
        let (name, whole) = (name.map(Into::into), None);
        Self(Arc::new(Facts { kind, id, name, roles, expires_at, marks, rights, whole }))
    }

    /// The same one, who may do nothing but follow these of the channels that it may follow.
    #[must_use]
    pub fn following_only(&self, channels: &[Channel]) -> Self {
        let Facts { kind, id, name, expires_at, marks, .. } = &*self.0;
        let may = channels.iter().filter(|channel| self.may_subscribe(channel));
        let subscribe = may.map(|channel| ChannelPattern::new(channel.as_str())).collect();
        Self(Arc::new(Facts {
            kind: *kind,
            id: id.clone(),
            name: name.clone(),
            roles: Vec::new(),
            expires_at: *expires_at,
            marks: marks.clone(),
            rights: Rights { subscribe, ..Rights::default() },
            whole: Some(self.whole().clone()),
        }))
    }

    /// Whose rights these are a part of: this one itself, unless they were narrowed.
    #[must_use]
    pub fn whole(&self) -> &Self {
        self.0.whole.as_ref().unwrap_or(self)
    }

    /// Whether the two are one value, with the rights of one moment.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
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

    /// The `sub` of a user's token, or the name of an account.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.name.as_deref().filter(|_| self.0.kind == Kind::User)
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The roles it has.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.0.roles.iter().map(|role| &**role)
    }

    /// What it may do, as it is written in the configuration.
    pub fn grants(&self) -> impl Iterator<Item = String> {
        let Rights { everything, subscribe, publish, deeds } = &self.0.rights;
        let all = everything.then_some(Grant::Everything).into_iter();
        let subscribe = subscribe.iter().cloned().map(Grant::Subscribe);
        let publish = publish.iter().cloned().map(Grant::Publish);
        let deeds = deeds.iter().cloned().map(Grant::Do);
        all.chain(subscribe).chain(publish).chain(deeds).map(|grant| grant.to_string())
    }

    /// The session at the console that it is.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.0.marks.session.as_deref()
    }

    /// What its token is called (`jti`).
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.0.marks.token_id.as_deref()
    }

    /// When its token was made (`iat`).
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.marks.issued_at
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
        // Whoever has a part of its rights is somebody to whom it gave them.
        let is_whole_key = self.0.kind == Kind::Key && self.0.whole.is_none();
        is_whole_key || (self.0.kind == Kind::Anonymous && self.0.rights.everything)
    }

    /// Whether nobody has said yet who this is, and nothing is allowed to such a one.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.0.kind == Kind::Anonymous && self.0.rights.is_empty()
    }

    /// Whether a channel may be followed.
    #[must_use]
    pub fn may_subscribe(&self, channel: &Channel) -> bool {
        let rights = &self.0.rights;
        (rights.everything || any_matches(&rights.subscribe, channel)) && !is_secret(channel)
    }

    /// Whether a channel may be published to.
    #[must_use]
    pub fn may_publish(&self, channel: &Channel) -> bool {
        let rights = &self.0.rights;
        (rights.everything || any_matches(&rights.publish, channel)) && !is_secret(channel)
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

impl<'a> Identity<'a> {
    /// Somebody without roles, for ever.
    pub(crate) fn of(kind: Kind, source: &'a str, name: Option<&'a str>) -> Self {
        let (roles, marks) = (Vec::new(), Marks::default());
        Self { kind, source, name, number: None, roles, expires_at: None, marks }
    }

    fn nobody() -> Self {
        Self::of(Kind::Anonymous, "anonymous", None)
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

/// The channel of accounts, sessions and keys.
pub const ACCESS_CHANNEL: &str = "$access";
/// The channel of who did what.
pub const AUDIT_CHANNEL: &str = "$audit";

/// Whether a channel is for nobody, whatever they may do: who somebody is stands on it.
#[must_use]
pub fn is_secret(channel: &Channel) -> bool {
    matches!(channel.as_str(), ACCESS_CHANNEL | AUDIT_CHANNEL)
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
        Principal::new(Identity::of(kind, source, Some(name)), &grants)
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
    fn nobody_reads_or_writes_the_channels_of_accounts_and_of_the_audit() {
        let admin = principal(Kind::Key, "key", "main", &["*", "subscribe:$*", "publish:$*"]);
        for somebody in [admin, Principal::everybody()] {
            for name in [ACCESS_CHANNEL, AUDIT_CHANNEL] {
                let channel = channel(name);
                assert!(!somebody.may_subscribe(&channel) && !somebody.may_publish(&channel), "{name}");
            }
        }
    }

    #[test]
    fn a_part_of_somebodys_rights_is_no_more_than_they_are() {
        let ann = principal(Kind::User, "user", "ann", &["subscribe:a_*", "publish:a_*", "jobs:read"]);
        let part = ann.following_only(&[channel("a_1"), channel("b_1")]);
        assert!(part.may_subscribe(&channel("a_1")) && !part.may_subscribe(&channel("a_2")));
        assert!(!part.may_subscribe(&channel("b_1")) && !part.may_publish(&channel("a_1")));
        assert!(!part.may_do("jobs", "read", None) && part.id() == ann.id() && part.user() == Some("ann"));
        assert!(part.whole().is(&ann) && ann.whole().is(&ann) && !part.is(&ann));
        assert!(part.following_only(&[channel("a_1")]).whole().is(&ann));
    }

    #[test]
    fn a_key_has_no_channels_of_a_user() {
        let key = principal(Kind::Key, "key", "reports", &["subscribe:inbox_{user}", "publish:a"]);
        assert!(!key.may_subscribe(&channel("inbox_reports")));
        assert_eq!((key.user(), key.is_backend(), key.publishes()), (None, true, true));
        assert_eq!(key.to_string(), "the key \"reports\"");
    }
}
