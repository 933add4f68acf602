//! A lock for each name, made when it is needed: decisions on one job wait for each other, never for those on
//! another.
//!
//! Invariant: a lock that nobody holds or waits for takes no memory.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// Locks by name.
#[derive(Debug, Default)]
pub struct NamedLocks {
    locks: Mutex<HashMap<Box<str>, Weak<tokio::sync::Mutex<()>>>>,
}

/// When the map has this many entries, those nobody uses are swept with the next lock.
const SWEEP_AT: usize = 256;

impl NamedLocks {
    /// Waits for the lock of that name.
    pub async fn lock(&self, name: &str) -> OwnedMutexGuard<()> {
        self.of(name).lock_owned().await
    }

    fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock();
        if let Some(found) = locks.get(name).and_then(Weak::upgrade) {
            return found;
        }
        if locks.len() >= SWEEP_AT {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let fresh = Arc::new(tokio::sync::Mutex::new(()));
        locks.insert(name.into(), Arc::downgrade(&fresh));
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_names_do_not_wait_for_each_other_and_one_name_does() {
        let locks = NamedLocks::default();
        let held = locks.lock("a").await;
        let _other = locks.lock("b").await;
        assert!(locks.of("a").try_lock_owned().is_err());
        drop(held);
        assert!(locks.of("a").try_lock_owned().is_ok());
    }

    #[tokio::test]
    async fn locks_that_nobody_uses_are_swept() {
        let locks = NamedLocks::default();
        for number in 0..10 * SWEEP_AT {
            drop(locks.lock(&number.to_string()).await);
        }
        assert!(locks.locks.lock().len() <= SWEEP_AT);
    }
}
