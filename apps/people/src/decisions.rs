//! What may be done to accounts, keys and sessions. Decisions without a log, a clock or a password: what they
//! need of those is given.

use anywire_access::{Caller, Principal};
use anywire_app::{ApiError, Decision};
use anywire_codes::Code;
use anywire_log::{Publication, Timestamp};

use crate::{
    audit::Entry,
    records::{Change, Key, PasswordHash, Revoked, Session, User, WriteError},
    state::Everybody,
};

/// How long a session lasts after it was used last: 12 hours.
pub(crate) const SESSION_MS: u64 = 12 * 3600 * 1000;
/// How long one lasts however it is used: 30 days. The cookie is kept as long.
pub(crate) const SESSION_MAX_MS: u64 = 30 * 24 * 3600 * 1000;
/// A session is renewed when less than this is left of it, so that not every request is written down.
const RENEW_BELOW_MS: u64 = SESSION_MS - 3600 * 1000;
/// How often at most it is written down that a key was used.
const USED_EVERY_MS: i64 = 3600 * 1000;
/// How many changes are made by one look at what is over.
const KEPT_UP_MAX: usize = 1_000;
/// How many accounts there may be.
pub(crate) const USERS_MAX: usize = 10_000;
/// How many keys.
pub(crate) const KEYS_MAX: usize = 10_000;
/// How many sessions one account has at once; the oldest ends for another.
const SESSIONS_OF_ONE_MAX: usize = 20;
/// How many roles or grants one has.
const RIGHTS_MAX: usize = 100;

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Another has it.
    #[error("there is {what} {name:?} already; choose another name, or change that one")]
    NameTaken { what: &'static str, name: String },
    /// It is none.
    #[error(
        "{name:?} is no name; it has 1 to 64 letters, digits and . _ - @ +, and begins with a letter or digit"
    )]
    NoName { name: String },
    /// It is not there.
    #[error("there is no {what} {id:?}; the list shows those there are")]
    NotFound { what: &'static str, id: String },
    /// There would be nobody left who may do everything.
    #[error("{name} is the last account that may do everything; give another one such a role first")]
    LastAdmin { name: String },
    /// Only who may everything gives that away.
    #[error("{what} may do everything, and {who} may not; ask somebody who has the role admin")]
    Above { what: String, who: String },
    /// What it may do is not sound.
    #[error("{0}")]
    Rights(String),
    /// So many there are.
    #[error("there are {max} {what}, the limit; remove those that nobody needs")]
    TooMany { what: &'static str, max: usize },
    /// It cannot be written down.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::NameTaken { .. } => Code::NameTaken,
            Refusal::NotFound { .. } => Code::NotFound,
            Refusal::LastAdmin { .. } => Code::LastAdmin,
            Refusal::Above { .. } => Code::Forbidden,
            Refusal::NoName { .. } | Refusal::Rights(_) => Code::InvalidRequest,
            Refusal::TooMany { .. } => Code::LimitReached,
            Refusal::Write(_) => Code::Internal,
        };
        Self::new(code, refusal.to_string())
    }
}

type Ruling<A = ()> = Result<Decision<A>, Refusal>;

/// What happened, with its entry in the audit trail: one batch.
fn decided<A>(changes: &[Change], entry: &Entry, answer: A) -> Ruling<A> {
    let events = changes.iter().map(Change::publication).chain([entry.publication()]);
    let publications: Result<Vec<Publication>, WriteError> = events.collect();
    Ok(Decision::append(publications?, answer))
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let first = name.starts_with(|first: char| first.is_alphanumeric());
    let fits = |c: char| c.is_alphanumeric() || "._-@+".contains(c);
    match first && name.chars().count() <= 64 && name.chars().all(fits) {
        true => Ok(()),
        false => Err(Refusal::NoName { name: name.chars().take(80).collect() }),
    }
}

fn check_roles(state: &Everybody, roles: &[String]) -> Result<(), Refusal> {
    if roles.len() > RIGHTS_MAX {
        return Err(Refusal::TooMany { what: "roles of one account or key", max: RIGHTS_MAX });
    }
    state.roles().check("roles", roles).map_err(|error| Refusal::Rights(error.to_string()))
}

/// Whoever may not do everything, gives nobody and takes from nobody the right to.
fn check_above(state: &Everybody, caller: &Principal, what: &str, roles: &[String]) -> Result<(), Refusal> {
    match state.roles().may_everything(roles) && !caller.may_everything() {
        true => Err(Refusal::Above { what: what.to_owned(), who: caller.to_string() }),
        false => Ok(()),
    }
}

fn may_everything(state: &Everybody, user: &User) -> bool {
    !user.disabled && state.roles().may_everything(&user.roles)
}

/// Refuses a change after which no account may do everything, where one does.
fn check_last_admin(state: &Everybody, before: &User, after: Option<&User>) -> Result<(), Refusal> {
    let stays = after.is_some_and(|after| may_everything(state, after));
    let another = || state.users().any(|user| user.id != before.id && may_everything(state, user));
    match may_everything(state, before) && !stays && !another() {
        true => Err(Refusal::LastAdmin { name: before.name.clone() }),
        false => Ok(()),
    }
}

fn user<'s>(state: &'s Everybody, id: &str) -> Result<&'s User, Refusal> {
    state.user(id).ok_or_else(|| Refusal::NotFound { what: "account", id: id.to_owned() })
}

fn end_sessions<'s>(state: &'s Everybody, user: &'s str) -> impl Iterator<Item = Change> + 's {
    state.sessions_of(user).map(|session| Change::SessionEnded(session.id.clone()))
}

pub(crate) fn add_user(state: &Everybody, caller: &Caller, user: User) -> Ruling<User> {
    check_name(&user.name)?;
    check_roles(state, &user.roles)?;
    check_above(state, &caller.principal, &format!("one with the roles {:?}", user.roles), &user.roles)?;
    if state.user_named(&user.name).is_some() {
        return Err(Refusal::NameTaken { what: "an account", name: user.name });
    }
    if state.users().len() >= USERS_MAX {
        return Err(Refusal::TooMany { what: "accounts", max: USERS_MAX });
    }
    let entry = Entry::of(caller, "user-added").whom(&user.name).detail(user.roles.join(", "));
    decided(&[Change::User(user.clone())], &entry, user)
}

/// What is to be different about an account.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserChange {
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) disabled: Option<bool>,
    pub(crate) password: Option<PasswordHash>,
}

/// Changes an account. Its sessions end where it is disabled or gets another password; where its roles are
/// others, its connections do (see [`Everybody`]).
pub(crate) fn change_user(state: &Everybody, caller: &Caller, id: &str, change: UserChange) -> Ruling<User> {
    let before = user(state, id)?;
    check_above(state, &caller.principal, &before.name, &before.roles)?;
    let UserChange { roles, disabled, password } = change;
    let ends = disabled == Some(true) || password.is_some();
    let mut said = Vec::new();
    said.extend(roles.as_ref().map(|roles| format!("roles {}", roles.join(", "))));
    said.extend(disabled.map(|disabled| if disabled { "disabled" } else { "enabled" }.to_owned()));
    said.extend(password.as_ref().map(|_| "password".to_owned()));
    let after = User {
        roles: roles.unwrap_or_else(|| before.roles.clone()),
        disabled: disabled.unwrap_or(before.disabled),
        password: password.unwrap_or_else(|| before.password.clone()),
        ..before.clone()
    };
    check_roles(state, &after.roles)?;
    check_above(state, &caller.principal, &format!("one with the roles {:?}", after.roles), &after.roles)?;
    check_last_admin(state, before, Some(&after))?;
    if after == *before {
        return Ok(Decision::nothing(after));
    }
    let mut changes = vec![Change::User(after.clone())];
    changes.extend(end_sessions(state, id).filter(|_| ends));
    let entry = Entry::of(caller, "user-changed").whom(&after.name).detail(said.join("; "));
    decided(&changes, &entry, after)
}

pub(crate) fn remove_user(state: &Everybody, caller: &Caller, id: &str) -> Ruling {
    let before = user(state, id)?;
    check_above(state, &caller.principal, &before.name, &before.roles)?;
    check_last_admin(state, before, None)?;
    let mut changes: Vec<Change> = end_sessions(state, id).collect();
    changes.push(Change::UserRemoved(id.to_owned()));
    decided(&changes, &Entry::of(caller, "user-removed").whom(&before.name), ())
}

/// Changes one's own password: every other session ends.
pub(crate) fn set_password(state: &Everybody, caller: &Caller, id: &str, password: PasswordHash) -> Ruling {
    let before = user(state, id)?;
    let after = User { password, ..before.clone() };
    let own = caller.principal.session().map(|session| Change::SessionEnded(session.to_owned()));
    let mut changes = vec![Change::User(after)];
    changes.extend(end_sessions(state, id).filter(|end| Some(end) != own.as_ref()));
    decided(&changes, &Entry::of(caller, "password-changed").whom(&before.name), ())
}

/// Begins a session of an account whose password was right; `replaced` is the one that the cookie held so
/// far. None if the account was disabled or removed, or its password changed meanwhile.
pub(crate) fn sign_in(
    state: &Everybody,
    caller: &Caller,
    session: Session,
    password: &PasswordHash,
    replaced: Option<&str>,
) -> Ruling<bool> {
    let user = state.user(&session.user).filter(|user| !user.disabled && user.password == *password);
    let Some(user) = user else { return Ok(Decision::nothing(false)) };
    let mut own: Vec<&Session> =
        state.sessions_of(&user.id).filter(|own| Some(own.id.as_str()) != replaced).collect();
    own.sort_by_key(|own| own.started_at);
    let surplus = (own.len() + 1).saturating_sub(SESSIONS_OF_ONE_MAX);
    let oldest = own.into_iter().take(surplus).map(|own| Change::SessionEnded(own.id.clone()));
    let replaced = replaced.map(|id| Change::SessionEnded(id.to_owned()));
    let mut changes: Vec<Change> = oldest.chain(replaced).collect();
    let mut entry = Entry::of(caller, "sign-in").whom(&user.name).detail(session.agent.clone());
    (entry.who, entry.name) = (format!("account:{}", user.id), Some(user.name.clone()));
    changes.push(Change::Session(session));
    decided(&changes, &entry, true)
}

pub(crate) fn sign_out(state: &Everybody, caller: &Caller, id: &str) -> Ruling {
    if state.session(id).is_none() {
        return Ok(Decision::nothing(()));
    }
    decided(&[Change::SessionEnded(id.to_owned())], &Entry::of(caller, "sign-out"), ())
}

pub(crate) fn sign_out_everywhere(state: &Everybody, caller: &Caller, user: &str) -> Ruling {
    let changes: Vec<Change> = end_sessions(state, user).collect();
    match changes.is_empty() {
        true => Ok(Decision::nothing(())),
        false => decided(&changes, &Entry::of(caller, "sign-out-everywhere"), ()),
    }
}

/// What is to be written down by now: sessions that go on or are over, keys that were used.
pub(crate) fn to_keep_up(state: &Everybody, now: Timestamp) -> Vec<Change> {
    let sessions = state.sessions().filter_map(|live| {
        let session = &live.record;
        if session.expires_at <= now {
            return Some(Change::SessionEnded(session.id.clone()));
        }
        let used_at = live.used_at();
        let end = used_at.plus_millis(SESSION_MS).min(session.started_at.plus_millis(SESSION_MAX_MS));
        let is_due = session.expires_at.millis_since(used_at) < RENEW_BELOW_MS;
        (is_due && end > session.expires_at)
            .then(|| Change::Session(Session { expires_at: end, ..session.clone() }))
    });
    let keys = state.keys().filter_map(|live| {
        let used_ms = live.used_at().as_millis();
        let is_due = used_ms - live.record.used_ms.unwrap_or(0) >= USED_EVERY_MS;
        is_due.then(|| Change::Key(Key { used_ms: Some(used_ms), ..live.record.clone() }))
    });
    sessions.chain(keys).take(KEPT_UP_MAX).collect()
}

/// Writes that down.
pub(crate) fn keep_up(state: &Everybody, now: Timestamp) -> Ruling {
    let changes = to_keep_up(state, now);
    let publications: Result<Vec<Publication>, WriteError> =
        changes.iter().map(Change::publication).collect();
    Ok(Decision::append(publications?, ()))
}

pub(crate) fn add_key(state: &Everybody, caller: &Caller, key: Key) -> Ruling<Key> {
    check_name(&key.name)?;
    check_roles(state, &key.roles)?;
    if key.grants.len() > RIGHTS_MAX {
        return Err(Refusal::TooMany { what: "grants of one key", max: RIGHTS_MAX });
    }
    if key.roles.is_empty() && key.grants.is_empty() {
        return Err(Refusal::Rights("the key may do nothing; give it \"roles\" or \"grants\"".to_owned()));
    }
    let ends = key.ends_ms.map(Timestamp::from_millis);
    let principal = Principal::of_made_key(&key.id, &key.name, &key.roles, &key.grants, ends, state.roles())
        .map_err(|error| Refusal::Rights(error.to_string()))?;
    if principal.may_everything() && !caller.principal.may_everything() {
        let (what, who) = (principal.to_string(), caller.principal.to_string());
        return Err(Refusal::Above { what, who });
    }
    if state.keys().any(|known| known.record.name == key.name) {
        return Err(Refusal::NameTaken { what: "a key", name: key.name });
    }
    if state.keys().len() >= KEYS_MAX {
        return Err(Refusal::TooMany { what: "keys", max: KEYS_MAX });
    }
    let rights: Vec<String> = key.roles.iter().chain(&key.grants).cloned().collect();
    let entry = Entry::of(caller, "key-added").whom(&key.name).detail(rights.join(", "));
    decided(&[Change::Key(key.clone())], &entry, key)
}

pub(crate) fn revoke_key(state: &Everybody, caller: &Caller, id: &str) -> Ruling {
    let key = state.key(id).ok_or_else(|| Refusal::NotFound { what: "key", id: id.to_owned() })?;
    if key.principal.may_everything() && !caller.principal.may_everything() {
        let (what, who) = (key.principal.to_string(), caller.principal.to_string());
        return Err(Refusal::Above { what, who });
    }
    let entry = Entry::of(caller, "key-revoked").whom(&key.record.name);
    decided(&[Change::KeyRevoked(id.to_owned())], &entry, ())
}

/// What is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// All sessions of an account and all tokens of a user, by name.
    User(String),
    /// One session, by its id.
    Session(String),
    /// One token, by its `jti`.
    Token(String),
}

pub(crate) fn revoke(state: &Everybody, caller: &Caller, what: &Revocation, now: Timestamp) -> Ruling {
    let (changes, whom) = match what {
        Revocation::User(name) => {
            let own = state.user_named(name);
            if let Some(own) = own {
                check_above(state, &caller.principal, &own.name, &own.roles)?;
            }
            let mut changes = vec![Change::Revoked { what: Revoked::User(name.clone()), at: now }];
            changes.extend(own.into_iter().flat_map(|own| end_sessions(state, &own.id)));
            (changes, name)
        }
        Revocation::Session(id) => {
            let found = state.session(id);
            let found = found.ok_or_else(|| Refusal::NotFound { what: "session", id: id.clone() })?;
            if let Some(own) = state.user(&found.record.user) {
                check_above(state, &caller.principal, &own.name, &own.roles)?;
            }
            (vec![Change::SessionEnded(id.clone())], id)
        }
        Revocation::Token(id) => (vec![Change::Revoked { what: Revoked::Token(id.clone()), at: now }], id),
    };
    decided(&changes, &Entry::of(caller, "revoked").whom(whom), ())
}
