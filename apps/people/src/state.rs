//! All accounts, keys and sessions as they stand: a projection of the channel `$access`.
//!
//! Invariant: a principal is made when its account, key or session changes, and never for a request; so those
//! of one state are one value, and those of another state are others.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
};

use anywire_access::{ACCESS_CHANNEL, Hash, Principal, Roles};
use anywire_app::{Projection, Snapshot};
use anywire_log::{Channel, Event, Gap, Offset, Timestamp};
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::{
    hex,
    records::{Change, Key, Revoked, Session, User},
};

/// How many tokens and users are remembered whose tokens were taken back; of more the oldest are forgotten.
pub(crate) const REVOKED_MAX: usize = 10_000;
/// How many records one part of a snapshot holds.
const PART_RECORDS: usize = 1_000;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What others learn of a state without looking into it.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    /// There is an account or a key.
    pub(crate) anybody: Arc<AtomicBool>,
    /// Counts what ended: a session, a key, or rights that somebody had.
    pub(crate) ends: watch::Sender<u64>,
}

/// A session that goes on.
#[derive(Debug)]
pub(crate) struct Live<T> {
    pub(crate) record: T,
    pub(crate) principal: Principal,
    /// When it was last used, in milliseconds since 1970: known to this process alone.
    used_ms: AtomicI64,
}

impl<T> Live<T> {
    fn new(record: T, principal: Principal, used_ms: i64) -> Self {
        Self { record, principal, used_ms: AtomicI64::new(used_ms) }
    }

    /// When it was used last.
    pub(crate) fn used_at(&self) -> Timestamp {
        Timestamp::from_millis(self.used_ms.load(Relaxed))
    }

    /// Notes that it is used.
    pub(crate) fn touch(&self, now: Timestamp) {
        self.used_ms.fetch_max(now.as_millis(), Relaxed);
    }
}

/// Everybody.
#[derive(Debug)]
pub(crate) struct Everybody {
    roles: Roles,
    signals: Signals,
    /// By id.
    users: BTreeMap<String, User>,
    ids: Map<String, String>,
    keys: BTreeMap<String, Live<Key>>,
    key_ids: Map<Hash, String>,
    sessions: BTreeMap<String, Live<Session>>,
    session_ids: Map<Hash, String>,
    revoked: Map<Revoked, Timestamp>,
    ended: bool,
}

impl Everybody {
    pub(crate) fn new(roles: Roles, signals: Signals) -> Self {
        Self {
            roles,
            signals,
            users: BTreeMap::new(),
            ids: Map::default(),
            keys: BTreeMap::new(),
            key_ids: Map::default(),
            sessions: BTreeMap::new(),
            session_ids: Map::default(),
            revoked: Map::default(),
            ended: false,
        }
    }

    pub(crate) fn roles(&self) -> &Roles {
        &self.roles
    }

    pub(crate) fn user(&self, id: &str) -> Option<&User> {
        self.users.get(id)
    }

    pub(crate) fn user_named(&self, name: &str) -> Option<&User> {
        self.users.get(self.ids.get(name)?)
    }

    /// In the order of their ids.
    pub(crate) fn users(&self) -> impl ExactSizeIterator<Item = &User> {
        self.users.values()
    }

    /// In the order of their ids.
    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = &Live<Key>> {
        self.keys.values()
    }

    pub(crate) fn key(&self, id: &str) -> Option<&Live<Key>> {
        self.keys.get(id)
    }

    pub(crate) fn key_by(&self, hash: &Hash) -> Option<&Live<Key>> {
        self.keys.get(self.key_ids.get(hash)?)
    }

    /// In the order of their ids.
    pub(crate) fn sessions(&self) -> impl ExactSizeIterator<Item = &Live<Session>> {
        self.sessions.values()
    }

    pub(crate) fn session(&self, id: &str) -> Option<&Live<Session>> {
        self.sessions.get(id)
    }

    pub(crate) fn session_by(&self, hash: &Hash) -> Option<&Live<Session>> {
        self.sessions.get(self.session_ids.get(hash)?)
    }

    /// The sessions of an account, by its id.
    pub(crate) fn sessions_of<'s>(&'s self, user: &'s str) -> impl Iterator<Item = &'s Session> {
        self.sessions.values().map(|live| &live.record).filter(move |session| session.user == user)
    }

    /// Whether a token that was made then is taken back.
    pub(crate) fn is_revoked(&self, principal: &Principal) -> bool {
        if self.revoked.is_empty() {
            return false;
        }
        let until = |what| self.revoked.get(&what);
        let by_id = principal.token_id().and_then(|id| until(Revoked::Token(id.to_owned())));
        // A token that does not say when it was made may be as old as any.
        let by_user = principal.user().and_then(|user| until(Revoked::User(user.to_owned())));
        let is_old = |until: &Timestamp| principal.issued_at().is_none_or(|made| made <= *until);
        by_id.is_some() || by_user.is_some_and(is_old)
    }

    /// Applies what happened.
    pub(crate) fn change(&mut self, change: Change) {
        match change {
            Change::User(user) => self.put_user(user),
            Change::UserRemoved(id) => {
                if let Some(user) = self.users.remove(&id) {
                    self.ids.remove(&user.name);
                }
            }
            Change::Key(key) => self.put_key(key),
            Change::KeyRevoked(id) => {
                if let Some(key) = self.keys.remove(&id) {
                    self.key_ids.retain(|_, known| *known != key.record.id);
                    self.ended = true;
                }
            }
            Change::Session(session) => self.put_session(session),
            Change::SessionEnded(id) => {
                if let Some(session) = self.sessions.remove(&id) {
                    if let Some(hash) = hex::read(&session.record.sha256) {
                        self.session_ids.remove(&hash);
                    }
                    self.ended = true;
                }
            }
            Change::Revoked { what, at } => {
                if self.revoked.len() >= REVOKED_MAX
                    && let Some(oldest) =
                        self.revoked.iter().min_by_key(|(_, at)| **at).map(|(what, _)| what.clone())
                {
                    self.revoked.remove(&oldest);
                }
                self.revoked.insert(what, at);
                self.ended = true;
            }
        }
    }

    fn put_user(&mut self, user: User) {
        self.ids.insert(user.name.clone(), user.id.clone());
        let before = self.users.insert(user.id.clone(), user.clone());
        if before.is_none_or(|before| before.roles == user.roles) {
            return;
        }
        for live in self.sessions.values_mut().filter(|live| live.record.user == user.id) {
            live.principal =
                Principal::of_account(&user.id, &user.name, &live.record.id, &user.roles, &self.roles);
            self.ended = true;
        }
    }

    fn put_key(&mut self, key: Key) {
        let Some(hash) = hex::read(&key.sha256) else { return };
        if let Some(live) = self.keys.get_mut(&key.id) {
            // Only its last use is another.
            live.record = key;
            return;
        }
        let ends = key.ends_ms.map(Timestamp::from_millis);
        let principal =
            Principal::of_made_key(&key.id, &key.name, &key.roles, &key.grants, ends, &self.roles);
        // What is no grant any more, in another release, gives nothing.
        let Ok(principal) = principal
            .or_else(|_| Principal::of_made_key(&key.id, &key.name, &key.roles, &[], ends, &self.roles))
        else {
            return;
        };
        self.key_ids.insert(hash, key.id.clone());
        let used_ms = key.used_ms.unwrap_or(0);
        self.keys.insert(key.id.clone(), Live::new(key, principal, used_ms));
    }

    fn put_session(&mut self, session: Session) {
        let Some(hash) = hex::read(&session.sha256) else { return };
        if let Some(live) = self.sessions.get_mut(&session.id) {
            // It was renewed; whoever it is, it is the same one.
            live.record = session;
            return;
        }
        let Some(user) = self.users.get(&session.user) else { return };
        let principal = Principal::of_account(&user.id, &user.name, &session.id, &user.roles, &self.roles);
        self.session_ids.insert(hash, session.id.clone());
        let used_ms = session.started_at.as_millis();
        self.sessions.insert(session.id.clone(), Live::new(session, principal, used_ms));
    }

    fn tell(&mut self) {
        if !self.users.is_empty() || !self.keys.is_empty() {
            let was_anybody = self.signals.anybody.swap(true, Relaxed);
            // Who got in because there was nobody, did so for the last time.
            self.ended |= !was_anybody;
        }
        if std::mem::take(&mut self.ended) {
            self.signals.ends.send_modify(|ends| *ends += 1);
        }
    }
}

impl Projection for Everybody {
    fn apply(&mut self, event: &Event) {
        match serde_json::from_slice::<Change>(event.payload.as_bytes()) {
            Ok(change) => self.change(change),
            Err(error) => {
                tracing::error!(offset = %event.offset, %error, "an event of $access is passed over")
            }
        }
    }

    fn lost(&mut self, gap: &Gap) {
        tracing::error!(?gap, "accounts, keys or sessions are lost; look at them on the page Access");
    }

    fn settled(&mut self, _through: Offset) {
        self.tell();
    }
}

impl Snapshot for Everybody {
    type Image = Vec<Change>;

    #[expect(clippy::expect_used, reason = "the name is one")]
    fn channel() -> Channel {
        Channel::new(ACCESS_CHANNEL).expect("the name is a constant that is one")
    }

    fn image(&self) -> Vec<Change> {
        let users = self.users.values().cloned().map(Change::User);
        let keys = self.keys.values().map(|live| Change::Key(live.record.clone()));
        let sessions = self.sessions.values().map(|live| Change::Session(live.record.clone()));
        let revoked = self.revoked.iter().map(|(what, at)| Change::Revoked { what: what.clone(), at: *at });
        users.chain(keys).chain(sessions).chain(revoked).collect()
    }

    fn parts(image: Vec<Change>) -> Result<Vec<String>, serde_json::Error> {
        let none: &[Change] = &[];
        let parts = if image.is_empty() { vec![none] } else { image.chunks(PART_RECORDS).collect() };
        parts.into_iter().map(serde_json::to_string).collect()
    }

    fn restore(&mut self, parts: &[&RawValue], _through: Offset) -> Result<(), serde_json::Error> {
        for part in parts {
            serde_json::from_str::<Vec<Change>>(part.get())?.into_iter().for_each(|one| self.change(one));
        }
        self.tell();
        Ok(())
    }
}
