//! Calls that change something, known again by their idempotency keys, so that a repeated call is answered as
//! the first time. The key stands in the event that the call made: what is remembered is part of a
//! projection.

use std::collections::{HashMap, VecDeque};

use anywire_log::{IdempotencyKey, Timestamp};
use axum::http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How many calls are remembered.
const CALLS_MAX: usize = 10_000;
/// How long a call is remembered.
const AGE_MAX_MS: u64 = 24 * 3600 * 1000;

/// The caller's key and what it was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallKey {
    /// The key as the caller gave it.
    pub key: String,
    /// A hash of the call: method, path and body. The same over restarts and releases: it is written to the
    /// log.
    pub call: u64,
}

impl CallKey {
    /// The key of a call by its header `Idempotency-Key`; none where there is no such header.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub fn of(headers: &HeaderMap, method: &Method, path: &str, body: &[u8]) -> Result<Option<Self>, String> {
        let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
        let text = String::from_utf8_lossy(value.as_bytes());
        let key = IdempotencyKey::new(&text).map_err(|error| format!("Idempotency-Key: {error}"))?;
        let call = fingerprint(&[method.as_str().as_bytes(), path.as_bytes(), body]);
        Ok(Some(Self { key: key.as_str().to_owned(), call }))
    }
}

fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    // JSON readers hold 53 bits exactly.
    u64::from_le_bytes(first) >> 11
}

/// A key that was used for another call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key {key:?} was used for another call within a day; use a new key for a new call")]
pub struct KeyReused {
    /// The key.
    pub key: String,
}

/// The calls of the last day, at most 10 000 of them, with what each left.
#[derive(Debug, Clone)]
pub struct PastCalls<T> {
    by_key: HashMap<Box<str>, PastCall<T>>,
    /// Oldest first. A key whose call was recorded again stands here twice; the older place means nothing.
    by_age: VecDeque<(Timestamp, Box<str>)>,
}

#[derive(Debug, Clone)]
struct PastCall<T> {
    at: Timestamp,
    call: u64,
    left: T,
}

impl<T> Default for PastCalls<T> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), by_age: VecDeque::new() }
    }
}

impl<T> PastCalls<T> {
    /// What an earlier call under this key left; none if there was none.
    ///
    /// # Errors
    /// [`KeyReused`] when the earlier call was another one.
    pub fn find(&self, key: &CallKey) -> Result<Option<&T>, KeyReused> {
        match self.by_key.get(key.key.as_str()) {
            Some(past) if past.call != key.call => Err(KeyReused { key: key.key.clone() }),
            past => Ok(past.map(|past| &past.left)),
        }
    }

    /// Remembers a call that was made at `at`, and forgets those that are too old by then, or too many.
    pub fn record(&mut self, at: Timestamp, key: &CallKey, left: T) {
        self.by_key.insert(key.key.as_str().into(), PastCall { at, call: key.call, left });
        self.by_age.push_back((at, key.key.as_str().into()));
        while let Some((oldest, _)) = self.by_age.front() {
            if at.millis_since(*oldest) <= AGE_MAX_MS && self.by_age.len() <= CALLS_MAX {
                break;
            }
            if let Some((oldest, key)) = self.by_age.pop_front()
                && self.by_key.get(&key).is_some_and(|past| past.at == oldest)
            {
                self.by_key.remove(&key);
            }
        }
    }

    /// Forgets the calls that left something of a kind: their keys may be used anew.
    pub fn forget(&mut self, of: impl Fn(&T) -> bool) {
        self.by_key.retain(|_, past| !of(&past.left));
    }

    /// Every call, oldest first: when it was made, its key, and what it left.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, CallKey, &T)> {
        self.by_age.iter().filter_map(|(at, key)| {
            let past = self.by_key.get(key).filter(|past| past.at == *at)?;
            Some((*at, CallKey { key: key.to_string(), call: past.call }, &past.left))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str, call: u64) -> CallKey {
        CallKey { key: key.to_owned(), call }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(i64::try_from(millis).expect("fits"))
    }

    #[test]
    fn a_repeated_call_is_known_and_another_one_under_its_key_refused() {
        let mut calls = PastCalls::default();
        calls.record(at(1), &key("a", 7), "left");
        assert_eq!(calls.find(&key("a", 7)), Ok(Some(&"left")));
        assert_eq!(calls.find(&key("b", 7)), Ok(None));
        assert_eq!(calls.find(&key("a", 8)), Err(KeyReused { key: "a".to_owned() }));
    }

    #[test]
    fn a_call_is_forgotten_after_a_day_and_its_key_may_be_used_anew() {
        let mut calls = PastCalls::default();
        calls.record(at(0), &key("old", 1), 1);
        calls.record(at(5), &key("again", 1), 1);
        calls.record(at(AGE_MAX_MS), &key("again", 2), 2);
        assert_eq!(calls.find(&key("old", 1)), Ok(Some(&1)));
        calls.record(at(AGE_MAX_MS + 6), &key("new", 1), 3);
        assert_eq!(calls.find(&key("old", 1)), Ok(None));
        assert_eq!(calls.find(&key("again", 2)), Ok(Some(&2)), "the newer call stays");
        let left: Vec<i32> = calls.iter().map(|(_, _, left)| *left).collect();
        assert_eq!(left, [2, 3]);
    }

    #[test]
    fn what_is_forgotten_may_be_called_anew() {
        let mut calls = PastCalls::default();
        calls.record(at(1), &key("a", 1), 1);
        calls.record(at(2), &key("b", 1), 2);
        calls.forget(|left| *left == 1);
        assert_eq!(calls.find(&key("a", 9)), Ok(None));
        calls.record(at(3), &key("a", 9), 3);
        let left: Vec<i32> = calls.iter().map(|(_, _, left)| *left).collect();
        assert_eq!(left, [2, 3]);
    }

    #[test]
    fn no_more_calls_are_remembered_than_allowed() {
        let mut calls = PastCalls::default();
        for number in 0..CALLS_MAX + 10 {
            calls.record(at(1), &key(&number.to_string(), 1), number);
        }
        assert_eq!((calls.iter().count(), calls.find(&key("9", 1))), (CALLS_MAX, Ok(None)));
        assert_eq!(calls.find(&key("10", 1)), Ok(Some(&10)));
    }

    #[test]
    fn the_hash_of_a_call_is_the_one_that_earlier_releases_wrote() {
        assert_eq!(fingerprint(&[b"POST", b"/api/progress", b"{}"]), 7_149_009_844_047_765);
    }
}
