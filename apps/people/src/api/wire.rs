//! What the routes take and answer.

use anywire_access::{Caller, Principal};
use anywire_app::{description::schemas::Time, http::list_of, time};
use anywire_log::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    records::{Key, Session, User},
    state::{Everybody, Live},
};

/// How many roles or grants a request may name.
const LIST_MAX: usize = 100;

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    list_of(deserializer, "a list of texts", LIST_MAX)
}

fn texts_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    texts(deserializer).map(Some)
}

/// A name and a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// The old password and a new one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    pub(crate) old: String,
    /// At least 10 characters.
    pub(crate) new: String,
}

/// Who somebody is, and what they may do.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Me {
    /// The id by which things name their owner; `null` for whoever has not said who they are.
    pub(crate) user: Option<String>,
    /// What people call it.
    pub(crate) name: Option<String>,
    pub(crate) roles: Vec<String>,
    /// What it may do: `*`, `subscribe:PATTERN`, `publish:PATTERN`, `APP:ACTION` or `APP:ACTION:own`.
    pub(crate) grants: Vec<String>,
    /// When the session, the token or the key ends; `null` if it does not.
    #[serde(with = "time::iso_text_or_null")]
    #[schemars(with = "Option<Time>")]
    pub(crate) expires_at: Option<Timestamp>,
    /// The id of the session at the console, if it is one.
    pub(crate) session: Option<String>,
    /// Whether everybody may do everything, because there are neither accounts nor keys.
    pub(crate) open: bool,
    /// How to sign in: `password`, `key`.
    pub(crate) ways: Vec<&'static str>,
    /// Others at whom one can sign in.
    pub(crate) providers: Vec<String>,
}

impl Me {
    pub(crate) fn of(state: &Everybody, principal: &Principal) -> Self {
        let session = principal.session().and_then(|id| state.session(id)).map(|live| &live.record);
        let open = principal.may_everything() && principal.kind() == anywire_access::Kind::Anonymous;
        let known = principal.kind() != anywire_access::Kind::Anonymous;
        let mut ways = Vec::new();
        if !open {
            ways.extend((state.users().len() > 0).then_some("password"));
            ways.push("key");
        }
        Self {
            user: known.then(|| principal.id().to_owned()),
            name: principal.name().map(str::to_owned),
            roles: principal.roles().map(str::to_owned).collect(),
            grants: principal.grants().collect(),
            expires_at: session.map_or_else(|| principal.expires_at(), |session| Some(session.expires_at)),
            session: session.map(|session| session.id.clone()),
            open,
            ways,
            providers: Vec::new(),
        }
    }
}

/// An account to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// 1 to 64 letters, digits and `. _ - @ +`.
    pub(crate) name: String,
    /// At least 10 characters. Without it one is made, and told this once.
    #[serde(default)]
    pub(crate) password: Option<String>,
    #[serde(deserialize_with = "texts")]
    #[schemars(length(max = 100))]
    pub(crate) roles: Vec<String>,
}

/// What is to be different about an account; what is absent stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChanges {
    #[serde(default, deserialize_with = "texts_or_none")]
    #[schemars(with = "Vec<String>", length(max = 100))]
    pub(crate) roles: Option<Vec<String>>,
    #[serde(default)]
    #[schemars(with = "bool")]
    pub(crate) disabled: Option<bool>,
    /// At least 10 characters.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) password: Option<String>,
}

/// One account.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UserShown {
    id: String,
    name: String,
    roles: Vec<String>,
    disabled: bool,
    #[serde(with = "time::iso_text")]
    #[schemars(with = "Time")]
    created_at: Timestamp,
    /// How many sessions it has at the console.
    sessions: usize,
}

impl UserShown {
    pub(crate) fn of(user: &User, sessions: usize) -> Self {
        Self {
            id: user.id.clone(),
            name: user.name.clone(),
            roles: user.roles.clone(),
            disabled: user.disabled,
            created_at: user.created_at,
            sessions,
        }
    }

    /// By what the list is in order.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says how many sessions it has.
    pub(crate) fn count(&mut self, state: &Everybody) {
        self.sessions = state.sessions_of(&self.id).count();
    }
}

/// An account that was made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UserAdded {
    #[serde(flatten)]
    pub(crate) user: UserShown,
    /// The password that was made; `null` where one was given.
    pub(crate) password: Option<String>,
}

/// Accounts, by name.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Users {
    pub(crate) users: Vec<UserShown>,
    /// The roles there are to give.
    pub(crate) roles: Vec<String>,
    /// Ask with this as `after` for the rest; `null` where that is all.
    pub(crate) next: Option<String>,
}

/// A key to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// 1 to 64 letters, digits and `. _ - @ +`.
    pub(crate) name: String,
    #[serde(default, deserialize_with = "texts")]
    #[schemars(length(max = 100))]
    pub(crate) roles: Vec<String>,
    /// What it may do beside its roles.
    #[serde(default, deserialize_with = "texts")]
    #[schemars(length(max = 100))]
    pub(crate) grants: Vec<String>,
    /// When it ends, as `2099-01-31T00:00:00Z`; never without it.
    #[serde(default)]
    pub(crate) ends_at: Option<String>,
}

/// One key.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeyShown {
    id: String,
    name: String,
    roles: Vec<String>,
    grants: Vec<String>,
    #[serde(with = "time::iso_text")]
    #[schemars(with = "Time")]
    created_at: Timestamp,
    /// `null` if it does not end.
    #[serde(with = "time::iso_text_or_null")]
    #[schemars(with = "Option<Time>")]
    ends_at: Option<Timestamp>,
    /// `null` if it was not used yet; after a restart, as it was known within the hour.
    #[serde(with = "time::iso_text_or_null")]
    #[schemars(with = "Option<Time>")]
    used_at: Option<Timestamp>,
}

impl KeyShown {
    pub(crate) fn of(key: &Key, used_at: Option<Timestamp>) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            roles: key.roles.clone(),
            grants: key.grants.clone(),
            created_at: key.created_at,
            ends_at: key.ends_ms.map(Timestamp::from_millis),
            used_at,
        }
    }

    /// By what the list is in order.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// A key that was made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeyMade {
    #[serde(flatten)]
    pub(crate) made: KeyShown,
    /// The key itself, told this once: only its SHA-256 is kept.
    pub(crate) key: String,
}

/// Keys that were made while the server ran, by name.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Keys {
    pub(crate) keys: Vec<KeyShown>,
    /// Ask with this as `after` for the rest; `null` where that is all.
    pub(crate) next: Option<String>,
}

/// One session at the console.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SessionShown {
    id: String,
    /// The id of the account.
    user: String,
    name: String,
    address: String,
    /// What the browser says it is.
    agent: String,
    #[serde(with = "time::iso_text")]
    #[schemars(with = "Time")]
    started_at: Timestamp,
    #[serde(with = "time::iso_text")]
    #[schemars(with = "Time")]
    used_at: Timestamp,
    #[serde(with = "time::iso_text")]
    #[schemars(with = "Time")]
    expires_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

impl SessionShown {
    pub(crate) fn of(live: &Live<Session>, caller: &Caller) -> Self {
        let session = &live.record;
        Self {
            id: session.id.clone(),
            user: session.user.clone(),
            name: live.principal.name().unwrap_or_default().to_owned(),
            address: session.address.clone(),
            agent: session.agent.clone(),
            started_at: session.started_at,
            used_at: live.used_at(),
            expires_at: session.expires_at,
            current: caller.principal.session() == Some(&session.id),
        }
    }
}

/// Sessions, the newest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Sessions {
    pub(crate) sessions: Vec<SessionShown>,
    /// Ask with this as `after` for the rest; `null` where that is all.
    pub(crate) next: Option<String>,
}

/// What is to be taken back: one of the three.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoke {
    /// Every session of the account of this name, and every token with this `sub` that was made until now.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) user: Option<String>,
    /// One session, by its id.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) session: Option<String>,
    /// One token, by its `jti`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) token_id: Option<String>,
}
