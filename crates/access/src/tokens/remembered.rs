//! Tokens that were checked, by their hash: checking a signature costs more than all the rest of a request.
//!
//! Invariant: what is found here has not ended, and was signed by a key that is still in use.

use std::collections::HashMap;

use anywire_log::Timestamp;
use parking_lot::Mutex;

use crate::{keys::Hash, principal::Principal};

/// How many tokens are remembered at least as long as no more come; at most twice as many are held.
const GENERATION_MAX: usize = 5_000;
/// Longer tokens are checked each time: they would take the memory of many.
pub(super) const BYTES_MAX: usize = 4 << 10;

type Generation = HashMap<Hash, Principal, foldhash::fast::RandomState>;

/// The tokens of late: those asked for since the younger generation began, and those of the one before.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: Generation,
    old: Generation,
}

impl Remembered {
    /// Whose token it is, if that is known and it has not ended.
    ///
    /// Cost: one look-up, two for a token that was not asked for of late.
    pub(super) fn find(&self, hash: &Hash, now: Timestamp) -> Option<Principal> {
        let mut generations = self.0.lock();
        let principal = match generations.young.get(hash) {
            Some(principal) => principal.clone(),
            None => {
                let principal = generations.old.remove(hash)?;
                generations.keep(*hash, principal.clone());
                principal
            }
        };
        principal.expires_at().is_some_and(|end| now < end).then_some(principal)
    }

    pub(super) fn keep(&self, hash: Hash, principal: Principal) {
        self.0.lock().keep(hash, principal);
    }
}

impl Generations {
    fn keep(&mut self, hash: Hash, principal: Principal) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, principal);
    }
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let generations = self.0.lock();
        f.debug_struct("Remembered")
            .field("young", &generations.young.len())
            .field("old", &generations.old.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keys::hash,
        principal::{Identity, Kind},
    };

    fn principal(end_ms: i64) -> Principal {
        let expires_at = Some(Timestamp::from_millis(end_ms));
        let identity = Identity { expires_at, ..Identity::of(Kind::User, "user", Some("u1")) };
        Principal::new(identity, [])
    }

    #[test]
    fn a_token_is_remembered_until_it_ends() {
        let remembered = Remembered::default();
        remembered.keep(hash("a"), principal(1_000));
        let find = |text: &str, now_ms: i64| {
            remembered.find(&hash(text), Timestamp::from_millis(now_ms)).map(|found| found.id().to_owned())
        };
        assert_eq!(find("a", 999).as_deref(), Some("user:u1"));
        assert_eq!(find("a", 1_000), None);
        assert_eq!(find("b", 0), None);
    }

    #[test]
    fn many_tokens_push_out_those_that_nobody_brings_and_no_others() {
        let remembered = Remembered::default();
        let (now, principal) = (Timestamp::from_millis(0), principal(1_000));
        remembered.keep(hash("brought"), principal.clone());
        remembered.keep(hash("left"), principal.clone());
        for number in 0..3 * GENERATION_MAX {
            remembered.keep(hash(&number.to_string()), principal.clone());
            assert!(remembered.find(&hash("brought"), now).is_some(), "after {number}");
        }
        assert!(remembered.find(&hash("left"), now).is_none());
        let generations = remembered.0.lock();
        assert!(generations.young.len() <= GENERATION_MAX && generations.old.len() <= GENERATION_MAX);
    }
}
