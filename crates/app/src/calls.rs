//! Calls that change something, known again by their idempotency keys, so that a repeated call is answered as
//! the first time. The key stands in the event that the call made: what is remembered is part of a
//! projection.

use anywire_log::{ByKey, IdempotencyKey, KeyLimits, KeyScope, Timestamp};
use axum::http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is remembered: for a day, of back ends and of clients so much each.
const LIMITS: KeyLimits = KeyLimits { age_max_ms: 24 * 3600 * 1000, keys_max: 10_000, client_keys_max: 1000 };

/// The caller's key and what it was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallKey {
    /// The key as the caller gave it, with a client's scope in front ([`IdempotencyKey::as_str`]).
    pub key: String,
    /// A hash of the call: method, path and body. The same over restarts and releases: it is written to the
    /// log.
    pub call: u64,
}

impl CallKey {
    /// The key of a call by its header `Idempotency-Key`; none where there is no such header. `scope` is the
    /// caller's, which goes with the request (its extensions) where it is a client's.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub fn of(
        headers: &HeaderMap,
        scope: Option<&KeyScope>,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<Option<Self>, String> {
        let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
        let text = String::from_utf8_lossy(value.as_bytes());
        let key = IdempotencyKey::new(&text).map_err(|error| format!("Idempotency-Key: {error}"))?;
        let key = scope.map_or_else(|| key.clone(), |scope| scope.own(&key));
        let call = fingerprint(&[method.as_str().as_bytes(), path.as_bytes(), body]);
        Ok(Some(Self { key: key.as_str().to_owned(), call }))
    }

    /// The key as the caller gave it.
    #[must_use]
    pub fn given(&self) -> &str {
        self.key.rsplit_once(' ').map_or(&self.key, |(_, given)| given)
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

/// The calls of the last day with what each left: at most 10 000 of back ends and as many of clients, of one
/// client 1000.
#[derive(Debug, Clone)]
pub struct PastCalls<T>(ByKey<PastCall<T>>);

#[derive(Debug, Clone)]
struct PastCall<T> {
    call: u64,
    left: T,
}

impl<T> Default for PastCalls<T> {
    fn default() -> Self {
        Self(ByKey::new(LIMITS))
    }
}

impl<T> PastCalls<T> {
    /// What an earlier call under this key left; none if there was none.
    ///
    /// # Errors
    /// [`KeyReused`] when the earlier call was another one.
    pub fn find(&self, key: &CallKey) -> Result<Option<&T>, KeyReused> {
        match self.0.get(&key.key) {
            Some(past) if past.call != key.call => Err(KeyReused { key: key.given().to_owned() }),
            past => Ok(past.map(|past| &past.left)),
        }
    }

    /// Remembers a call that was made at `at`, and forgets those that are too old by then, or too many.
    pub fn record(&mut self, at: Timestamp, key: &CallKey, left: T) {
        // What is no key was never given as one.
        if let Ok(stored) = IdempotencyKey::stored(&key.key) {
            self.0.insert(stored, PastCall { call: key.call, left }, at);
        }
    }

    /// Forgets the calls that left something of a kind: their keys may be used anew.
    pub fn forget(&mut self, of: impl Fn(&T) -> bool) {
        self.0.retain(|past| !of(&past.left));
    }

    /// Every call, oldest first: when it was made, its key, and what it left.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, CallKey, &T)> {
        self.0.iter().map(|(at, key, past)| {
            (at, CallKey { key: key.as_str().to_owned(), call: past.call }, &past.left)
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
        calls.record(at(LIMITS.age_max_ms), &key("again", 2), 2);
        assert_eq!(calls.find(&key("old", 1)), Ok(Some(&1)));
        calls.record(at(LIMITS.age_max_ms + 6), &key("new", 1), 3);
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
        for number in 0..LIMITS.keys_max + 10 {
            calls.record(at(1), &key(&number.to_string(), 1), number);
        }
        assert_eq!((calls.iter().count(), calls.find(&key("9", 1))), (LIMITS.keys_max, Ok(None)));
        assert_eq!(calls.find(&key("10", 1)), Ok(Some(&10)));
    }

    #[test]
    fn a_clients_keys_are_its_own_and_push_out_its_own_only() {
        let of = |scope: Option<&KeyScope>, key: &str| {
            let headers = HeaderMap::from_iter([("idempotency-key".parse().unwrap(), key.parse().unwrap())]);
            CallKey::of(&headers, scope, &Method::POST, "/", key.as_bytes())
                .expect("a key")
                .expect("a header")
        };
        let [ann, bob] = ["ann", "bob"].map(|name| KeyScope::new(name.to_owned()));
        let mut calls = PastCalls::default();
        calls.record(at(1), &of(None, "k"), 0);
        calls.record(at(1), &of(Some(&bob), "k"), 1);
        for number in 0..3 * LIMITS.keys_max {
            calls.record(at(2), &of(Some(&ann), &format!("k{number}")), 2);
        }
        assert_eq!(calls.find(&of(None, "k")), Ok(Some(&0)));
        assert_eq!(calls.find(&of(Some(&bob), "k")), Ok(Some(&1)));
        assert_eq!(calls.find(&of(Some(&ann), "k")), Ok(None));
        assert_eq!(calls.iter().count(), 2 + LIMITS.client_keys_max);
        let reused = calls.find(&CallKey { call: 9, ..of(Some(&bob), "k") });
        assert_eq!(reused, Err(KeyReused { key: "k".to_owned() }), "named as it was given");
    }

    #[test]
    fn the_hash_of_a_call_is_the_one_that_earlier_releases_wrote() {
        assert_eq!(fingerprint(&[b"POST", b"/api/progress", b"{}"]), 7_149_009_844_047_765);
    }
}
