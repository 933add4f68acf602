//! Tickets: what somebody may do, for one request within half a minute, where no header can be sent. They are
//! made to stand in addresses, so that keys and tokens need not.
//!
//! Invariant: a ticket is found once; only its hash is kept.

use std::collections::{HashMap, VecDeque};

use anywire_log::Timestamp;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use parking_lot::Mutex;

use crate::{
    keys::{Hash, hash},
    principal::Principal,
};

/// How a ticket begins, so that it is not taken for a token.
const PREFIX: &str = "ticket_";
/// How long one is good.
pub(crate) const AGE_MAX_MS: u64 = 30_000;
/// How many there may be at once.
const TICKETS_MAX: usize = 100_000;

/// Why there is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// So many wait to be used.
    #[error("{TICKETS_MAX} tickets wait to be used, the limit; ask again in a second")]
    TooMany,
    /// The system has no randomness.
    #[error("the system has no randomness")]
    Randomness,
}

/// Whether a text is meant to be a ticket.
#[must_use]
pub fn is_ticket(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The tickets that wait to be used.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    by_hash: HashMap<Hash, (Principal, Timestamp), foldhash::fast::RandomState>,
    /// Oldest first; of those that were used the place stays until it is their turn.
    by_age: VecDeque<(Timestamp, Hash)>,
}

impl Tickets {
    /// Makes one; until when it is good.
    pub(crate) fn issue(
        &self,
        principal: Principal,
        now: Timestamp,
    ) -> Result<(String, Timestamp), TicketError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| TicketError::Randomness)?;
        let ticket = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let ends = now.plus_millis(AGE_MAX_MS);
        let mut waiting = self.0.lock();
        waiting.forget(now);
        if waiting.by_age.len() >= TICKETS_MAX {
            return Err(TicketError::TooMany);
        }
        let hash = hash(&ticket);
        waiting.by_hash.insert(hash, (principal, ends));
        waiting.by_age.push_back((ends, hash));
        Ok((ticket, ends))
    }

    /// Uses one.
    pub(crate) fn redeem(&self, hash: &Hash, now: Timestamp) -> Option<Principal> {
        let (principal, ends) = self.0.lock().by_hash.remove(hash)?;
        (now < ends).then_some(principal)
    }
}

impl Waiting {
    fn forget(&mut self, now: Timestamp) {
        while let Some((ends, hash)) = self.by_age.front().copied() {
            if ends > now && self.by_hash.contains_key(&hash) {
                return;
            }
            self.by_age.pop_front();
            self.by_hash.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_ticket_is_good_once_and_for_half_a_minute() {
        let tickets = Tickets::default();
        let issue = || tickets.issue(Principal::everybody(), at(0)).expect("room");
        let (ticket, ends) = issue();
        assert!(is_ticket(&ticket) && ticket.len() == PREFIX.len() + 43, "{ticket}");
        assert_eq!(ends, at(30_000));
        assert!(tickets.redeem(&hash(&ticket), at(29_999)).is_some());
        assert!(tickets.redeem(&hash(&ticket), at(0)).is_none(), "twice");
        let (late, _) = issue();
        assert!(tickets.redeem(&hash(&late), at(30_000)).is_none(), "late");
        assert!(tickets.redeem(&hash(&late), at(0)).is_none(), "and then it is gone");
        assert!(tickets.redeem(&hash("ticket_guessed"), at(0)).is_none());
    }

    #[test]
    fn only_so_many_wait_and_those_that_are_over_make_room() {
        let tickets = Tickets::default();
        let issue = |ms| tickets.issue(Principal::everybody(), at(ms));
        for _ in 0..TICKETS_MAX {
            assert!(issue(0).is_ok());
        }
        assert_eq!(issue(29_999).err(), Some(TicketError::TooMany));
        assert!(issue(30_000).is_ok());
        let waiting = tickets.0.lock();
        assert_eq!((waiting.by_hash.len(), waiting.by_age.len()), (1, 1));
    }
}
