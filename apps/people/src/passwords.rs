//! Passwords: hashed by Argon2id as OWASP has it (19 MiB, two passes), a few at a time, and as slowly for
//! names that there are not.

use std::sync::{Arc, LazyLock};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use tokio::sync::Semaphore;

use crate::records::PasswordHash;

/// The least length of a password, in characters.
pub(crate) const CHARACTERS_MIN: usize = 10;
/// The greatest, in bytes: longer ones are no safer, and take time.
const BYTES_MAX: usize = 512;
/// How many are hashed at once. Each takes 19 MiB and a core.
const AT_ONCE: usize = 2;
/// How many wait for that.
const WAITING_MAX: usize = 64;

/// Why a text cannot be a password, or is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// It is easily guessed.
    #[error("the password has {characters} characters; at least {CHARACTERS_MIN} are needed")]
    Short {
        /// How long it is.
        characters: usize,
    },
    /// It is longer than any.
    #[error("the password has {bytes} bytes; the limit is {BYTES_MAX}")]
    Long {
        /// How long it is.
        bytes: usize,
    },
    /// So many wait already.
    #[error("{WAITING_MAX} passwords wait to be looked at, the limit; try again in a second")]
    Busy,
    /// It could not be hashed.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// Checks what is to be a password.
pub(crate) fn check(password: &str) -> Result<(), PasswordError> {
    let (characters, bytes) = (password.chars().count(), password.len());
    match bytes > BYTES_MAX {
        true => Err(PasswordError::Long { bytes }),
        false if characters < CHARACTERS_MIN => Err(PasswordError::Short { characters }),
        false => Ok(()),
    }
}

/// A password that nobody guesses: about 120 bits.
pub(crate) fn make() -> Result<String, PasswordError> {
    let secret = crate::hex::secret().map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(secret.chars().filter(char::is_ascii_alphanumeric).take(20).collect())
}

/// Hashes passwords, a few at a time.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        let (turns, places) = (Semaphore::new(AT_ONCE), Semaphore::new(AT_ONCE + WAITING_MAX));
        Self { turns: Arc::new(turns), places: Arc::new(places) }
    }
}

impl Hasher {
    /// Hashes a new password.
    ///
    /// Cost: some tens of milliseconds of a core, off the async threads.
    pub(crate) async fn hash(&self, password: String) -> Result<PasswordHash, PasswordError> {
        check(&password)?;
        self.work(move || hash_now(&password)).await?
    }

    /// Whether a password is the one of an account; of none, it takes as long to say no.
    pub(crate) async fn is(&self, password: String, of: Option<PasswordHash>) -> Result<bool, PasswordError> {
        if password.len() > BYTES_MAX {
            return Ok(false);
        }
        self.work(move || {
            let there_is_one = of.is_some();
            let hash = of.unwrap_or_else(|| NOBODYS.clone());
            verify(&password, &hash) && there_is_one
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = self.places.try_acquire().map_err(|_| PasswordError::Busy)?;
        // The turn goes with the work, however long its caller waits for it.
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| PasswordError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| PasswordError::Hash(error.to_string()))
    }
}

/// The hash of a password that nobody has.
static NOBODYS: LazyLock<PasswordHash> = LazyLock::new(|| {
    hash_now(&format!("nobody's-{:?}", getrandom::u64())).unwrap_or(PasswordHash(String::new()))
});

fn hash_now(password: &str) -> Result<PasswordHash, PasswordError> {
    let failed = |error: String| PasswordError::Hash(error);
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| failed(error.to_string()))?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    Ok(PasswordHash(hash.map_err(|error| failed(error.to_string()))?.to_string()))
}

fn verify(password: &str, hash: &PasswordHash) -> bool {
    Argon2::default().verify_password(password.as_bytes(), hash.0.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_is_the_password() {
        let hasher = Hasher::default();
        let hash = hasher.hash("correct horse".into()).await.expect("sound");
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert_eq!(hasher.is("correct horse".into(), Some(hash.clone())).await, Ok(true));
        for wrong in ["correct horsE", "", "correct horse "] {
            assert_eq!(hasher.is(wrong.into(), Some(hash.clone())).await, Ok(false), "{wrong}");
        }
        assert_eq!(hasher.is("correct horse".into(), None).await, Ok(false));
        let again = hasher.hash("correct horse".into()).await.expect("sound");
        assert_ne!(again.0, hash.0, "each has a salt of its own");
    }

    #[test]
    fn a_name_that_there_is_not_is_compared_at_the_same_cost() {
        let parameters = |hash: &PasswordHash| hash.0.rsplitn(3, '$').last().map(str::to_owned);
        let real = hash_now("correct horse").expect("hashed");
        assert_eq!(parameters(&NOBODYS), parameters(&real));
        assert_eq!(NOBODYS.0.len(), real.0.len());
    }

    #[test]
    fn short_and_endless_passwords_are_refused_with_the_limit() {
        assert_eq!(check("123456789"), Err(PasswordError::Short { characters: 9 }));
        assert_eq!(check("ééééééééé"), Err(PasswordError::Short { characters: 9 }));
        assert_eq!(check("1234567890"), Ok(()));
        assert_eq!(check(&"a".repeat(513)), Err(PasswordError::Long { bytes: 513 }));
    }

    #[tokio::test]
    async fn only_so_many_wait_to_be_looked_at() {
        let hasher = Hasher::default();
        let held: Vec<_> =
            (0..AT_ONCE + WAITING_MAX).map(|_| hasher.places.try_acquire().expect("room")).collect();
        assert_eq!(hasher.is("x".into(), None).await, Err(PasswordError::Busy));
        drop(held);
        assert_eq!(hasher.is("x".into(), None).await, Ok(false));
    }
}
