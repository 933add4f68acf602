//! What is remembered by keys that clients choose: each client's keys are a name space of their own, with a
//! limit of its own. Those without a scope, which back ends give, are never forgotten for clients' sake.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::{IdempotencyKey, Timestamp};

/// Whose keys those of a request are: one of these goes with every request of a client, none with a back
/// end's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyScope(String);

impl KeyScope {
    /// The scope of a name that no other client has; see [`IdempotencyKey::within`].
    #[must_use]
    pub fn new(scope: String) -> Self {
        Self(scope)
    }

    /// A key as one of this client's own.
    #[must_use]
    pub fn own(&self, key: &IdempotencyKey) -> IdempotencyKey {
        key.within(&self.0)
    }
}

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
pub struct KeyLimits {
    /// For how long, in milliseconds.
    pub age_max_ms: u64,
    /// The most keys of back ends, and the most of clients.
    pub keys_max: usize,
    /// The most keys of one client.
    pub client_keys_max: usize,
}

/// Values by keys. What is too old is forgotten when something new is remembered; of what is too much, the
/// oldest of a client that has more than others have.
///
/// Memory: at most twice `keys_max` × (2 keys, 100 bytes and a value).
#[derive(Debug, Clone)]
pub struct ByKey<T> {
    limits: KeyLimits,
    values: HashMap<IdempotencyKey, (u64, T)>,
    of_back_ends: Order,
    of_clients: Order,
    next: u64,
}

impl<T> ByKey<T> {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(limits: KeyLimits) -> Self {
        let order = |scope_keys_max| Order { scope_keys_max, ..Order::default() };
        Self {
            limits,
            values: HashMap::new(),
            of_back_ends: order(limits.keys_max),
            of_clients: order(limits.client_keys_max),
            next: 0,
        }
    }

    /// How much is remembered.
    #[must_use]
    pub fn limits(&self) -> KeyLimits {
        self.limits
    }

    /// What is remembered by a key, by its text as it is stored. Cost: O(1).
    #[must_use]
    pub fn get(&self, stored: &str) -> Option<&T> {
        self.values.get(stored).map(|(_, value)| value)
    }

    /// Remembers a value from `time` on, in the place of what was there. Times must not go back.
    pub fn insert(&mut self, key: IdempotencyKey, value: T, time: Timestamp) {
        self.remove(key.as_str());
        self.expire(time);
        let number = self.next;
        self.next += 1;
        self.values.insert(key.clone(), (number, value));
        let keys_max = self.limits.keys_max;
        if let Some(surplus) = self.order(&key).add(number, time, key, keys_max) {
            self.remove(surplus.as_str());
        }
    }

    /// Forgets what is too old.
    pub fn expire(&mut self, now: Timestamp) {
        for of_clients in [false, true] {
            let order = if of_clients { &self.of_clients } else { &self.of_back_ends };
            let is_old = |time: Timestamp| now.millis_since(time) > self.limits.age_max_ms;
            let old = order.keys.values().take_while(|(time, _)| is_old(*time));
            for key in old.map(|(_, key)| key.clone()).collect::<Vec<_>>() {
                self.remove(key.as_str());
            }
        }
    }

    /// Forgets everything that does not satisfy `keep`.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let gone = self.values.iter().filter(|(_, (_, value))| !keep(value));
        for key in gone.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.remove(key.as_str());
        }
    }

    /// Everything, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, &IdempotencyKey, &T)> {
        let orders = self.of_back_ends.keys.iter().chain(&self.of_clients.keys);
        let mut all: Vec<_> = orders.collect();
        all.sort_unstable_by_key(|(number, _)| **number);
        all.into_iter().filter_map(|(_, (time, key))| Some((*time, key, self.get(key.as_str())?)))
    }

    fn order(&mut self, key: &IdempotencyKey) -> &mut Order {
        if key.scope().is_empty() { &mut self.of_back_ends } else { &mut self.of_clients }
    }

    fn remove(&mut self, stored: &str) {
        if let Some((key, (number, _))) = self.values.remove_entry(stored) {
            self.order(&key).remove(number);
        }
    }
}

/// How many of the oldest keys are looked at, when there are too many, for one of somebody who has many.
const LOOKS_MAX: usize = 16;

/// The keys of back ends, or those of clients, as they came.
#[derive(Debug, Clone, Default)]
struct Order {
    keys: BTreeMap<u64, (Timestamp, IdempotencyKey)>,
    /// For each scope the numbers of its keys, the oldest first.
    scopes: HashMap<Box<str>, VecDeque<u64>>,
    scope_keys_max: usize,
}

impl Order {
    /// Adds the newest key; returns one that has to go for it.
    fn add(
        &mut self,
        number: u64,
        time: Timestamp,
        key: IdempotencyKey,
        keys_max: usize,
    ) -> Option<IdempotencyKey> {
        let own = self.scopes.entry(key.scope().into()).or_default();
        own.push_back(number);
        let surplus = if own.len() > self.scope_keys_max { own.front().copied() } else { None };
        self.keys.insert(number, (time, key));
        let surplus = surplus.or_else(|| self.crowded().filter(|_| self.keys.len() > keys_max))?;
        self.keys.get(&surplus).map(|(_, key)| key.clone())
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

    fn remove(&mut self, number: u64) {
        let Some((_, key)) = self.keys.remove(&number) else { return };
        if let Some(own) = self.scopes.get_mut(key.scope()) {
            // Nearly always the oldest.
            if let Some(at) = own.iter().position(|other| *other == number) {
                own.remove(at);
            }
            if own.is_empty() {
                self.scopes.remove(key.scope());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: KeyLimits = KeyLimits { age_max_ms: 1000, keys_max: 100, client_keys_max: 10 };

    fn remember(keys: &mut ByKey<usize>, scope: &str, number: usize) {
        keys.insert(key(scope, number), number, Timestamp::from_millis(0));
    }

    fn key(scope: &str, number: usize) -> IdempotencyKey {
        let key = IdempotencyKey::new(&number.to_string()).expect("a key");
        if scope.is_empty() { key } else { KeyScope::new(scope.to_owned()).own(&key) }
    }

    fn knows(keys: &ByKey<usize>, scope: &str, number: usize) -> bool {
        keys.get(key(scope, number).as_str()).is_some()
    }

    #[test]
    fn one_client_pushes_out_its_own_keys_only() {
        let mut keys = ByKey::new(LIMITS);
        remember(&mut keys, "", 1);
        remember(&mut keys, "bob", 1);
        (0..1000).for_each(|number| remember(&mut keys, "ann", number));
        assert!(knows(&keys, "", 1) && knows(&keys, "bob", 1));
        assert!(!knows(&keys, "ann", 989) && knows(&keys, "ann", 990));
        assert_eq!((keys.values.len(), keys.of_clients.keys.len()), (12, 11));
    }

    #[test]
    fn many_clients_push_out_those_who_have_many_before_those_who_have_few() {
        let mut keys = ByKey::new(KeyLimits { client_keys_max: 50, ..LIMITS });
        remember(&mut keys, "", 1);
        remember(&mut keys, "bob", 1);
        (0..1000).for_each(|number| remember(&mut keys, ["ann", "eve", "mal"][number % 3], number));
        assert_eq!(keys.of_clients.keys.len(), 100);
        assert!(knows(&keys, "", 1) && knows(&keys, "bob", 1));
        (2..1000).for_each(|number| remember(&mut keys, "", number));
        assert!(knows(&keys, "bob", 1) && !knows(&keys, "", 1));
        assert_eq!((keys.values.len(), keys.of_back_ends.keys.len()), (200, 100));
        keys.expire(Timestamp::from_millis(1001));
        assert!(keys.values.is_empty() && keys.of_clients.scopes.is_empty());
    }

    #[test]
    fn what_is_remembered_again_is_the_newest_and_what_is_let_go_is_nowhere() {
        let mut keys = ByKey::new(LIMITS);
        (0..3).for_each(|number| remember(&mut keys, "ann", number));
        remember(&mut keys, "", 3);
        remember(&mut keys, "ann", 0);
        assert_eq!(keys.iter().map(|(_, _, value)| *value).collect::<Vec<_>>(), [1, 2, 3, 0]);
        keys.retain(|value| *value == 2);
        assert_eq!(keys.iter().map(|(_, _, value)| *value).collect::<Vec<_>>(), [2]);
        assert_eq!(keys.of_clients.scopes.len(), 1);
    }
}
