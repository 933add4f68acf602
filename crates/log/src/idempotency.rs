//! The idempotency window: which publications were seen lately, and which offsets they got.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, Hasher},
};

use crate::{IdempotencyKey, Offset, Payload, Publication, Timestamp};

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

/// Remembers keys for a time, at most a number of them. Each client's keys are a name space of their own
/// ([`IdempotencyKey::within`]), with a limit of its own; those without one, which back ends give, are never
/// forgotten for clients' sake.
///
/// Memory: at most twice `keys_max` × (2 keys + 120 bytes).
#[derive(Debug)]
pub struct IdempotencyWindow {
    entries: HashMap<IdempotencyKey, Entry>,
    of_back_ends: Order,
    of_clients: Order,
    age_max_ms: u64,
}

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
        let (of_back_ends, of_clients) =
            (Order::new(keys_max, keys_max), Order::new(keys_max, client_keys_max));
        Self { entries: HashMap::new(), of_back_ends, of_clients, age_max_ms }
    }

    /// How long a key is remembered, in milliseconds.
    #[must_use]
    pub fn age_max_ms(&self) -> u64 {
        self.age_max_ms
    }

    /// Looks a key up. Cost: O(1) plus what has expired since.
    pub fn lookup(&mut self, key: &IdempotencyKey, fingerprint: u64, now: Timestamp) -> Lookup {
        self.expire(now);
        match self.entries.get(key) {
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
        self.entries.contains_key(stored)
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
        let fresh = self.entries.insert(key.clone(), Entry { fingerprint, first, count }).is_none();
        if fresh {
            let order = if key.scope().is_empty() { &mut self.of_back_ends } else { &mut self.of_clients };
            order.add(time, key, &mut self.entries);
        }
    }

    fn expire(&mut self, now: Timestamp) {
        for order in [&mut self.of_back_ends, &mut self.of_clients] {
            order.expire(now, self.age_max_ms, &mut self.entries);
        }
    }
}

/// How many of the oldest keys are looked at, when there are too many, for one of somebody who has many.
const LOOKS_MAX: usize = 16;

/// The keys of back ends, or those of clients, as they came.
#[derive(Debug)]
struct Order {
    keys: BTreeMap<u64, (Timestamp, IdempotencyKey)>,
    /// For each scope the numbers of its keys, the oldest first.
    scopes: HashMap<Box<str>, VecDeque<u64>>,
    next: u64,
    keys_max: usize,
    scope_keys_max: usize,
}

impl Order {
    fn new(keys_max: usize, scope_keys_max: usize) -> Self {
        Self { keys: BTreeMap::new(), scopes: HashMap::new(), next: 0, keys_max, scope_keys_max }
    }

    /// Adds the newest key, and makes room for it.
    fn add(&mut self, time: Timestamp, key: IdempotencyKey, entries: &mut HashMap<IdempotencyKey, Entry>) {
        let number = self.next;
        self.next += 1;
        let own = self.scopes.entry(key.scope().into()).or_default();
        own.push_back(number);
        let surplus = if own.len() > self.scope_keys_max { own.front().copied() } else { None };
        self.keys.insert(number, (time, key));
        let surplus = surplus.or_else(|| self.crowded().filter(|_| self.keys.len() > self.keys_max));
        if let Some(surplus) = surplus {
            self.forget(surplus, entries);
        }
    }

    /// Among the oldest keys, the first of somebody who has more than others have; or else the oldest.
    fn crowded(&self) -> Option<u64> {
        let share = self.keys.len() / self.scopes.len().max(1);
        let has_many =
            |key: &IdempotencyKey| self.scopes.get(key.scope()).is_some_and(|own| own.len() > share);
        let mut oldest = self.keys.iter().take(LOOKS_MAX);
        let of_many = oldest.find(|(_, (_, key))| has_many(key));
        of_many.or_else(|| self.keys.first_key_value()).map(|(number, _)| *number)
    }

    fn expire(&mut self, now: Timestamp, age_max_ms: u64, entries: &mut HashMap<IdempotencyKey, Entry>) {
        while let Some((number, (time, _))) = self.keys.first_key_value()
            && now.millis_since(*time) > age_max_ms
        {
            self.forget(*number, entries);
        }
    }

    /// Forgets a key: the oldest of its scope.
    fn forget(&mut self, number: u64, entries: &mut HashMap<IdempotencyKey, Entry>) {
        let Some((_, key)) = self.keys.remove(&number) else { return };
        entries.remove(&key);
        if let Some(own) = self.scopes.get_mut(key.scope()) {
            debug_assert_eq!(own.front(), Some(&number));
            own.pop_front();
            if own.is_empty() {
                self.scopes.remove(key.scope());
            }
        }
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
    fn remember(window: &mut IdempotencyWindow, scope: &str, text: &str) {
        let key = if scope.is_empty() { key(text) } else { key(text).within(scope) };
        let first = Offset::new(window.of_clients.next + window.of_back_ends.next + 1);
        window.remember(key, 0, first, 1, Timestamp::from_millis(0));
    }

    fn knows(window: &mut IdempotencyWindow, scope: &str, text: &str) -> bool {
        let key = if scope.is_empty() { key(text) } else { key(text).within(scope) };
        window.lookup(&key, 0, Timestamp::from_millis(0)) != Lookup::New
    }

    #[test]
    fn the_same_key_of_another_client_is_another_key() {
        let mut window = IdempotencyWindow::new(1000, 10, 10);
        remember(&mut window, "ann", "k");
        assert!(knows(&mut window, "ann", "k"));
        assert!(!knows(&mut window, "bob", "k") && !knows(&mut window, "", "k"));
        assert_eq!(window.lookup(&key("k").within("ann"), 1, Timestamp::from_millis(0)), Lookup::Conflict);
    }

    #[test]
    fn one_client_pushes_out_its_own_keys_only() {
        let mut window = IdempotencyWindow::new(1000, 100, 10);
        remember(&mut window, "", "k");
        remember(&mut window, "bob", "k");
        for number in 0..1000 {
            remember(&mut window, "ann", &number.to_string());
        }
        assert!(knows(&mut window, "", "k") && knows(&mut window, "bob", "k"));
        assert!(!knows(&mut window, "ann", "989") && knows(&mut window, "ann", "990"));
        assert_eq!((window.entries.len(), window.of_clients.keys.len()), (12, 11));
    }

    #[test]
    fn many_clients_push_out_those_who_have_many_before_those_who_have_few() {
        let mut window = IdempotencyWindow::new(1000, 100, 50);
        remember(&mut window, "", "k");
        remember(&mut window, "bob", "k");
        for number in 0..1000 {
            remember(&mut window, ["ann", "eve", "mal"][number % 3], &number.to_string());
        }
        assert_eq!(window.of_clients.keys.len(), 100);
        assert!(knows(&mut window, "", "k") && knows(&mut window, "bob", "k"));
        for number in 0..1000 {
            remember(&mut window, "", &number.to_string());
        }
        assert!(knows(&mut window, "bob", "k") && !knows(&mut window, "", "k"));
        assert_eq!((window.entries.len(), window.of_back_ends.keys.len()), (200, 100));
        window.expire(Timestamp::from_millis(1001));
        assert!(window.entries.is_empty() && window.of_clients.scopes.is_empty());
    }
}
