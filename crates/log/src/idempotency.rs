//! The idempotency window: which publications were seen lately, and which offsets they got.

use std::hash::{BuildHasher, Hasher};

use crate::{
    IdempotencyKey, Offset, Payload, Publication, Timestamp,
    keys::{ByKey, KeyLimits},
};

/// What the window knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing: append.
    New,
    /// The same batch was appended; it got `count` consecutive offsets from `first` on.
    Duplicate {
        /// The first offset it got.
        first: Offset,
        /// How many events it had.
        count: u32,
    },
    /// The key was used for another batch.
    Conflict,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    fingerprint: u64,
    first: Offset,
    count: u32,
}

/// Remembers keys for a time, at most a number of them; see [`ByKey`].
#[derive(Debug)]
pub struct IdempotencyWindow(ByKey<Entry>);

impl IdempotencyWindow {
    /// A window of ten minutes, with 100 000 keys of back ends and as many of clients, of one client 10 000.
    #[must_use]
    pub fn standard() -> Self {
        Self::new(10 * 60 * 1000, 100_000, 10_000)
    }

    /// A window that forgets a key after `age_max_ms`, and the oldest of back ends or of clients when there
    /// are more than `keys_max` of them, or of one client more than `client_keys_max`.
    #[must_use]
    pub fn new(age_max_ms: u64, keys_max: usize, client_keys_max: usize) -> Self {
        Self(ByKey::new(KeyLimits { age_max_ms, keys_max, client_keys_max }))
    }

    /// How long a key is remembered, in milliseconds.
    #[must_use]
    pub fn age_max_ms(&self) -> u64 {
        self.0.limits().age_max_ms
    }

    /// Looks a key up. Cost: O(1) plus what has expired since.
    pub fn lookup(&mut self, key: &IdempotencyKey, fingerprint: u64, now: Timestamp) -> Lookup {
        self.0.expire(now);
        match self.0.get(key.as_str()) {
            None => Lookup::New,
            Some(entry) if entry.fingerprint == fingerprint => {
                Lookup::Duplicate { first: entry.first, count: entry.count }
            }
            Some(_) => Lookup::Conflict,
        }
    }

    /// Whether a key is remembered, by its text as it is stored.
    #[must_use]
    pub fn remembers(&self, stored: &str) -> bool {
        self.0.get(stored).is_some()
    }

    /// Remembers a key whose batch got `count` consecutive offsets from `first` on at `time`. Times must not
    /// go back.
    pub fn remember(
        &mut self,
        key: IdempotencyKey,
        fingerprint: u64,
        first: Offset,
        count: u32,
        time: Timestamp,
    ) {
        self.0.insert(key, Entry { fingerprint, first, count }, time);
    }
}

/// A hash of a batch's content, by which a key used for another batch is noticed. Stable across restarts.
#[must_use]
pub fn fingerprint(publications: &[Publication]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::with_seed(0x616e_7977).build_hasher();
    for publication in publications {
        let (kind, bytes) = match &publication.payload {
            Payload::Json(bytes) => (0u8, bytes),
            Payload::Binary(bytes) => (1u8, bytes),
        };
        for part in [publication.channel.as_str().as_bytes(), publication.name.as_str().as_bytes(), bytes] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.write_u8(kind);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::new(text).expect("a key")
    }

    #[test]
    fn a_key_is_known_within_the_window_and_forgotten_after_it() {
        let mut window = IdempotencyWindow::new(1000, 10, 10);
        let at = Timestamp::from_millis;
        window.remember(key("k"), 7, Offset::new(3), 2, at(0));
        assert_eq!(
            window.lookup(&key("k"), 7, at(1000)),
            Lookup::Duplicate { first: Offset::new(3), count: 2 }
        );
        assert_eq!(window.lookup(&key("k"), 8, at(1000)), Lookup::Conflict);
        assert_eq!(window.lookup(&key("k"), 7, at(1001)), Lookup::New);
    }

    #[test]
    fn the_window_never_holds_more_keys_than_its_limit() {
        let mut window = IdempotencyWindow::new(1000, 2, 2);
        for (number, text) in ["a", "b", "c"].into_iter().enumerate() {
            window.remember(key(text), 0, Offset::new(number as u64), 1, Timestamp::from_millis(0));
        }
        assert_eq!(window.lookup(&key("a"), 0, Timestamp::from_millis(0)), Lookup::New);
        assert_ne!(window.lookup(&key("c"), 0, Timestamp::from_millis(0)), Lookup::New);
    }

    #[test]
    fn the_same_key_of_another_client_is_another_key() {
        let mut window = IdempotencyWindow::new(1000, 10, 10);
        let at = Timestamp::from_millis(0);
        window.remember(key("k").within("ann"), 0, Offset::new(1), 1, at);
        assert_ne!(window.lookup(&key("k").within("ann"), 0, at), Lookup::New);
        assert_eq!(window.lookup(&key("k").within("ann"), 1, at), Lookup::Conflict);
        for other in [key("k").within("bob"), key("k")] {
            assert_eq!(window.lookup(&other, 0, at), Lookup::New);
        }
    }
}
