//! The names that clients gave themselves lately: who comes again under one is back.

use std::{
    collections::{HashSet, VecDeque},
    hash::BuildHasher,
};

use parking_lot::Mutex;

/// How many names are known. The oldest goes first.
const NAMES_MAX: usize = 20_000;

/// The names, as their hashes: that two are one is a count that is off by one.
#[derive(Default)]
pub(crate) struct Names {
    hasher: foldhash::fast::RandomState,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    hashes: HashSet<u64, foldhash::fast::RandomState>,
    order: VecDeque<u64>,
}

impl Names {
    /// Notes a name; returns whether it was known.
    pub(crate) fn was_here(&self, name: &str) -> bool {
        let hash = self.hasher.hash_one(name);
        let mut known = self.known.lock();
        if !known.hashes.insert(hash) {
            return true;
        }
        known.order.push_back(hash);
        if known.order.len() > NAMES_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.hashes.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_until_very_many_others_have_come() {
        let names = Names::default();
        assert!(!names.was_here("page"));
        assert!(names.was_here("page"));
        for number in 0..NAMES_MAX {
            names.was_here(&format!("c{number}"));
        }
        assert!(!names.was_here("page"));
        assert_eq!(names.known.lock().hashes.len(), NAMES_MAX);
    }
}
