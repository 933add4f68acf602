//! People as routes, commands and background work know them: what is decided, and when.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anywire_access::{Caller, Hash, Kind, People as Directory, Principal, Roles, hash};
use anywire_app::{ApiError, AppContext, Decision, Projected, Service, Sources};
use anywire_codes::Code;
use anywire_log::{Clock, Log, ReadError, Timestamp};
use parking_lot::MappedRwLockReadGuard;
use tokio::sync::watch;

use crate::{
    audit::{Entry, Refusals},
    decisions::{self, Refusal, Revocation, SESSION_MS, UserChange},
    guesses::Guesses,
    hex,
    passwords::{self, Hasher, PasswordError},
    records::{Key, Session, User},
    state::{Everybody, Signals},
};

/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Records are replaced by a snapshot when there are this many.
const RECORDS_MAX: u64 = 10_000;
/// What decisions are locked by: they are few, and about one another.
const PEOPLE: &str = "people";

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sign_ins: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) limited: AtomicU64,
}

/// People. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct PeopleService {
    state: Service<Everybody>,
    clock: Arc<dyn Clock>,
    pub(crate) signals: Signals,
    pub(crate) hasher: Hasher,
    guesses: Arc<Guesses>,
    refusals: Arc<Refusals>,
    pub(crate) counters: Arc<Counters>,
}

/// A session that has begun.
pub(crate) struct SignedIn {
    /// What the cookie is to hold.
    pub(crate) cookie: String,
    pub(crate) principal: Principal,
    pub(crate) expires_at: Timestamp,
}

fn no_randomness(error: getrandom::Error) -> ApiError {
    ApiError::new(Code::Internal, format!("the system has no randomness: {error}"))
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        let code = match &error {
            PasswordError::Short { .. } | PasswordError::Long { .. } => Code::InvalidRequest,
            PasswordError::Busy => Code::Busy,
            PasswordError::Hash(_) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl PeopleService {
    pub(crate) async fn open(log: &Arc<Log>, clock: Arc<dyn Clock>, roles: Roles) -> Result<Self, ReadError> {
        let signals = Signals { anybody: Arc::new(AtomicBool::new(false)), ends: watch::Sender::new(0) };
        let sources = Sources::channels([<Everybody as anywire_app::Snapshot>::channel()]);
        let told = signals.clone();
        let empty = move || Everybody::new(roles.clone(), told.clone());
        let projected = Projected::open_from_snapshot(log, sources, empty).await?;
        Ok(Self {
            state: Service::new(projected),
            clock,
            signals,
            hasher: Hasher::default(),
            guesses: Arc::default(),
            refusals: Arc::default(),
            counters: Arc::default(),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The state. Hold it briefly: commits wait for it.
    pub(crate) fn read(&self) -> MappedRwLockReadGuard<'_, Everybody> {
        self.state.read()
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        self.state.log()
    }

    async fn decide<A: Send + 'static>(
        &self,
        decide: impl FnMut(&Everybody) -> Result<Decision<A>, Refusal> + Send + 'static,
    ) -> Result<A, ApiError> {
        Ok(self.state.decide([PEOPLE.to_owned()], decide).await?.answer)
    }

    /// Adds an account.
    pub(crate) async fn add_user(
        &self,
        caller: &Caller,
        name: String,
        password: String,
        roles: Vec<String>,
    ) -> Result<User, ApiError> {
        let id = hex::id().map_err(no_randomness)?;
        let password = self.hasher.hash(password).await?;
        let user = User { id, name, password, roles, disabled: false, created_at: self.now() };
        let caller = caller.clone();
        self.decide(move |state| decisions::add_user(state, &caller, user.clone())).await
    }

    pub(crate) async fn change_user(
        &self,
        caller: &Caller,
        id: &str,
        roles: Option<Vec<String>>,
        disabled: Option<bool>,
        password: Option<String>,
    ) -> Result<User, ApiError> {
        let password = match password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let (caller, id) = (caller.clone(), id.to_owned());
        let change = UserChange { roles, disabled, password };
        self.decide(move |state| decisions::change_user(state, &caller, &id, change.clone())).await
    }

    pub(crate) async fn remove_user(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.decide(move |state| decisions::remove_user(state, &caller, &id)).await
    }

    /// Makes a key; what it is, is told this once.
    pub(crate) async fn add_key(
        &self,
        caller: &Caller,
        name: String,
        roles: Vec<String>,
        grants: Vec<String>,
        ends: Option<Timestamp>,
    ) -> Result<(Key, String), ApiError> {
        let id = hex::id().map_err(no_randomness)?;
        let secret = format!("anywire_{}", hex::secret().map_err(no_randomness)?);
        let key = Key {
            id,
            name,
            sha256: hex::write(&hash(&secret)),
            roles,
            grants,
            ends_ms: ends.map(Timestamp::as_millis),
            created_at: self.now(),
            used_ms: None,
        };
        let caller = caller.clone();
        let key = self.decide(move |state| decisions::add_key(state, &caller, key.clone())).await?;
        Ok((key, secret))
    }

    pub(crate) async fn revoke_key(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.decide(move |state| decisions::revoke_key(state, &caller, &id)).await
    }

    pub(crate) async fn revoke(&self, caller: &Caller, what: Revocation) -> Result<(), ApiError> {
        let (caller, now) = (caller.clone(), self.now());
        self.decide(move |state| decisions::revoke(state, &caller, &what, now)).await
    }

    /// Looks at a password as often as may be guessed; whether it was the right one of the account, and as
    /// slowly where there is none.
    async fn check_password(
        &self,
        caller: &Caller,
        name: &str,
        password: String,
    ) -> Result<Option<User>, ApiError> {
        let (user, known) = {
            let state = self.read();
            let user = state.user_named(name).cloned();
            let address = caller.address.to_string();
            let known = user
                .as_ref()
                .is_some_and(|user| state.sessions_of(&user.id).any(|session| session.address == address));
            (user, known)
        };
        if let Err(wait_ms) = self.guesses.begin(name, caller.address, known, self.now()) {
            self.counters.limited.fetch_add(1, Relaxed);
            let retry_ms = u32::try_from(wait_ms).unwrap_or(u32::MAX);
            let message = format!(
                "too many passwords were tried for this name or from this address; wait {} s",
                wait_ms.div_ceil(1000)
            );
            let refusal = anywire_codes::Refusal::new(Code::RateLimited, message);
            return Err(refusal.retry_after_ms(retry_ms).into());
        }
        let of = user.as_ref().map(|user| user.password.clone());
        let is_right = self.hasher.is(password, of).await?;
        // Only now: a disabled account answers as slowly as any.
        let user = user.filter(|user| is_right && !user.disabled);
        if user.is_some() {
            self.guesses.was_right(name, caller.address);
        }
        Ok(user)
    }

    /// Writes a refusal down, one of a kind a minute. That it cannot be written is no reason to answer
    /// another way.
    async fn note_refusal(&self, caller: &Caller, what: &'static str, name: &str) {
        self.counters.refused.fetch_add(1, Relaxed);
        let name: String = name.chars().take(64).collect();
        let kind = format!("{what} {} {name}", caller.address);
        let Some(count) = self.refusals.count(&kind, self.now()) else { return };
        let entry = Entry::of(caller, what).whom(name).detail(format!("{count} times since the last entry"));
        let noted = self.decide(move |_| Ok(Decision::append(vec![entry.publication()?], ()))).await;
        if let Err(error) = noted {
            tracing::warn!(error = error.message(), "a refusal is missing in the audit trail");
        }
    }

    /// Begins a session; `agent` is what the browser says it is.
    ///
    /// A session is always a new one: whatever the cookie held before is over, so that nobody can lay a
    /// cookie of theirs under a page and wait.
    pub(crate) async fn sign_in(
        &self,
        caller: &Caller,
        name: &str,
        password: String,
        agent: &str,
    ) -> Result<SignedIn, ApiError> {
        let wrong = || ApiError::new(Code::Unauthorized, "the name or the password is wrong");
        let Some(user) = self.check_password(caller, name, password).await? else {
            self.note_refusal(caller, "sign-in-refused", name).await;
            return Err(wrong());
        };
        let cookie = hex::secret().map_err(no_randomness)?;
        let now = self.now();
        let session = Session {
            id: hex::id().map_err(no_randomness)?,
            sha256: hex::write(&hash(&cookie)),
            user: user.id.clone(),
            address: caller.address.to_string(),
            agent: agent.chars().take(200).collect(),
            started_at: now,
            expires_at: now.plus_millis(SESSION_MS),
        };
        let replaced = caller.session.as_deref().and_then(|cookie| self.session_id(cookie));
        let (id, expires_at, caller) = (session.id.clone(), session.expires_at, caller.clone());
        let begun = self.decide(move |state| {
            decisions::sign_in(state, &caller, session.clone(), &user.password, replaced.as_deref())
        });
        if !begun.await? {
            return Err(wrong());
        }
        self.counters.sign_ins.fetch_add(1, Relaxed);
        let principal = self.read().session(&id).map(|live| live.principal.clone());
        Ok(SignedIn { cookie, principal: principal.ok_or_else(wrong)?, expires_at })
    }

    fn session_id(&self, cookie: &str) -> Option<String> {
        self.read().session_by(&hash(cookie)).map(|live| live.record.id.clone())
    }

    pub(crate) async fn sign_out(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.decide(move |state| decisions::sign_out(state, &caller, &id)).await
    }

    /// The account that a caller has signed in to, by its id.
    pub(crate) fn account_of(&self, caller: &Caller) -> Result<User, ApiError> {
        let state = self.read();
        let session = caller.principal.session().and_then(|id| state.session(id));
        let user = session.and_then(|live| state.user(&live.record.user)).cloned();
        let nobody = "nobody is signed in here; sign in with a name and a password first";
        user.ok_or_else(|| ApiError::new(Code::Unauthorized, nobody))
    }

    pub(crate) async fn sign_out_everywhere(&self, caller: &Caller) -> Result<(), ApiError> {
        let (user, caller) = (self.account_of(caller)?.id, caller.clone());
        self.decide(move |state| decisions::sign_out_everywhere(state, &caller, &user)).await
    }

    pub(crate) async fn set_password(
        &self,
        caller: &Caller,
        old: String,
        new: String,
    ) -> Result<(), ApiError> {
        let user = self.account_of(caller)?;
        passwords::check(&new)?;
        if self.check_password(caller, &user.name, old).await?.is_none() {
            self.note_refusal(caller, "password-refused", &user.name).await;
            return Err(ApiError::new(Code::Forbidden, "the old password is wrong"));
        }
        let new = self.hasher.hash(new).await?;
        let caller = caller.clone();
        self.decide(move |state| decisions::set_password(state, &caller, &user.id, new.clone())).await
    }

    /// Goes on with sessions that are used, ends those that are over, notes which keys were used.
    pub(crate) async fn keep_up(&self) -> Result<(), ApiError> {
        let now = self.now();
        if decisions::to_keep_up(&self.read(), now).is_empty() {
            return Ok(());
        }
        self.decide(move |state| decisions::keep_up(state, now)).await
    }

    /// Keeps sessions and the log up, until the server stops.
    pub(crate) async fn run(self, context: AppContext) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = context.shutdown.cancelled() => return,
            }
            if let Err(error) = self.keep_up().await {
                tracing::warn!(error = error.message(), "sessions cannot be kept up; it is tried again");
            }
            if self.state.projected().since_snapshot() > RECORDS_MAX
                && let Err(error) = self.state.projected().snapshot().await
            {
                tracing::warn!(%error, "accounts cannot be written as a snapshot; it is tried again");
            }
        }
    }
}

impl std::fmt::Debug for PeopleService {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("PeopleService")
    }
}

impl Directory for PeopleService {
    fn is_anybody(&self) -> bool {
        self.signals.anybody.load(Relaxed)
    }

    fn session(&self, hash: &Hash, now: Timestamp) -> Option<Principal> {
        let state = self.read();
        let live = state.session_by(hash).filter(|live| now < live.record.expires_at)?;
        live.touch(now);
        Some(live.principal.clone())
    }

    fn key(&self, hash: &Hash, now: Timestamp) -> Option<Principal> {
        if !self.is_anybody() {
            return None;
        }
        let state = self.read();
        let ends = |key: &Key| key.ends_ms.map(Timestamp::from_millis);
        let live = state.key_by(hash).filter(|live| ends(&live.record).is_none_or(|end| now < end))?;
        live.touch(now);
        Some(live.principal.clone())
    }

    fn stands(&self, principal: &Principal) -> bool {
        let still = |found: Option<&Principal>| found.is_some_and(|found| found.is(principal));
        if let Some(session) = principal.session() {
            return still(self.read().session(session).map(|live| &live.principal));
        }
        match principal.kind() {
            Kind::Key => match principal.id().strip_prefix("made-key:") {
                Some(id) => still(self.read().key(id).map(|live| &live.principal)),
                None => true,
            },
            Kind::User => !self.read().is_revoked(principal),
            // Everybody, while there was nobody.
            Kind::Anonymous => !(principal.may_everything() && self.is_anybody()),
        }
    }
}
