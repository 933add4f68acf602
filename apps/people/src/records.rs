//! What is kept of people: accounts, keys, sessions, and what was taken back; and the events that say so.
//!
//! Invariant: no password and no key is kept, only hashes of them.

use std::fmt;

use anywire_access::ACCESS_CHANNEL;
use anywire_app::time;
use anywire_log::{Channel, ChannelError, EventName, EventNameError, Payload, Publication, Timestamp};
use serde::{Deserialize, Serialize};

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Argon2id, as a PHC string.
    pub(crate) password: PasswordHash,
    pub(crate) roles: Vec<String>,
    pub(crate) disabled: bool,
    #[serde(with = "time::millis")]
    pub(crate) created_at: Timestamp,
}

/// A password's hash, which no message shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PasswordHash(pub(crate) String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PasswordHash")
    }
}

/// One API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) name: String,
    /// In hexadecimal.
    pub(crate) sha256: String,
    pub(crate) roles: Vec<String>,
    pub(crate) grants: Vec<String>,
    pub(crate) ends_ms: Option<i64>,
    #[serde(with = "time::millis")]
    pub(crate) created_at: Timestamp,
    pub(crate) used_ms: Option<i64>,
}

/// Somebody at the console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: String,
    /// Of what the cookie holds, in hexadecimal.
    pub(crate) sha256: String,
    /// The id of the account.
    pub(crate) user: String,
    pub(crate) address: String,
    /// What the browser says it is.
    pub(crate) agent: String,
    #[serde(with = "time::millis")]
    pub(crate) started_at: Timestamp,
    #[serde(with = "time::millis")]
    pub(crate) expires_at: Timestamp,
}

/// What was taken back of those whom others sign tokens for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Revoked {
    /// Every token of a user (`sub`) that was made until then.
    User(String),
    /// One token (`jti`).
    Token(String),
}

/// What happened. Each says what is now, not what is different: the same ones, read again, change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// An account is so.
    User(User),
    /// An account is gone, by its id.
    UserRemoved(String),
    /// A key is so.
    Key(Key),
    /// A key is gone, by its id.
    KeyRevoked(String),
    /// A session is so.
    Session(Session),
    /// A session is over, by its id.
    SessionEnded(String),
    /// Tokens are not taken any more.
    Revoked {
        /// Which.
        what: Revoked,
        /// Those that were made until then.
        #[serde(with = "time::millis")]
        at: Timestamp,
    },
}

/// Why something cannot be said on a channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error(transparent)]
    Name(#[from] EventNameError),
    #[error("it cannot be written as JSON: {0}")]
    Json(String),
}

impl Change {
    fn event(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::UserRemoved(_) => "user_removed",
            Self::Key(_) => "key",
            Self::KeyRevoked(_) => "key_revoked",
            Self::Session(_) => "session",
            Self::SessionEnded(_) => "session_ended",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// The event that says it.
    pub(crate) fn publication(&self) -> Result<Publication, WriteError> {
        publication(ACCESS_CHANNEL, self.event(), self)
    }
}

/// An event of ours.
pub(crate) fn publication(
    channel: &str,
    event: &str,
    payload: &impl Serialize,
) -> Result<Publication, WriteError> {
    let json = serde_json::to_vec(payload).map_err(|error| WriteError::Json(error.to_string()))?;
    let (channel, name) = (Channel::new(channel)?, EventName::new(event)?);
    Ok(Publication { channel, name, payload: Payload::Json(json.into()) })
}
