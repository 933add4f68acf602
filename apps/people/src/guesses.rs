//! How often passwords may be guessed: ten times a minute for an account and for an address, then after a
//! wait that doubles with each further try.
//!
//! Invariant: a guess is counted before it is looked at, so that many at once are no more than one after
//! another; a right one is taken back.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
};

use anywire_log::Timestamp;
use parking_lot::Mutex;

/// How many guesses are let through in a row.
const FREE: u32 = 10;
/// How long it takes until they are forgotten.
const WINDOW_MS: u64 = 60_000;
/// The longest wait: a quarter of an hour.
const WAIT_MAX_MS: u64 = 15 * 60_000;
/// How many accounts, and addresses, are remembered. With more, those are forgotten that were tried least of
/// late.
const KNOWN_MAX: usize = 20_000;

/// Who guessed what of late.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    accounts: HashMap<Box<str>, Count, foldhash::fast::RandomState>,
    addresses: HashMap<IpAddr, Count, foldhash::fast::RandomState>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    guesses: u32,
    /// When the last one was let through.
    at: Timestamp,
}

impl Count {
    /// How long nobody may guess after the last one.
    fn wait_ms(&self) -> u64 {
        match self.guesses.checked_sub(FREE) {
            None => 0,
            Some(more) => (WINDOW_MS << more.min(4)).min(WAIT_MAX_MS),
        }
    }

    /// How much of it is left.
    fn left_ms(&self, now: Timestamp) -> u64 {
        self.wait_ms().saturating_sub(now.millis_since(self.at))
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        now.millis_since(self.at) >= WINDOW_MS.max(2 * self.wait_ms())
    }
}

impl Guesses {
    /// Counts a guess, or says how long to wait. `known` is whether this address is one from which this
    /// account is in use: then what others guess does not keep its owner out.
    pub(crate) fn begin(
        &self,
        account: &str,
        address: IpAddr,
        known: bool,
        now: Timestamp,
    ) -> Result<(), u64> {
        let mut counts = self.0.lock();
        let Counts { accounts, addresses } = &mut *counts;
        let network = network(address);
        let by_account = if known { 0 } else { left(accounts, account, now) };
        let wait_ms = by_account.max(left(addresses, &network, now));
        if wait_ms > 0 {
            return Err(wait_ms);
        }
        count(accounts, account.into(), now);
        count(addresses, network, now);
        Ok(())
    }

    /// The guess was right.
    pub(crate) fn was_right(&self, account: &str, address: IpAddr) {
        let mut counts = self.0.lock();
        counts.accounts.remove(account);
        // The address has one guess less, not none: whoever has one account must not guess at others for it.
        if let Some(count) = counts.addresses.get_mut(&network(address)) {
            count.guesses = count.guesses.saturating_sub(1);
        }
    }
}

fn left<K: Hash + Eq + std::borrow::Borrow<Q>, Q: Hash + Eq + ?Sized>(
    counts: &HashMap<K, Count, foldhash::fast::RandomState>,
    key: &Q,
    now: Timestamp,
) -> u64 {
    counts.get(key).map_or(0, |count| count.left_ms(now))
}

fn count<K: Hash + Eq + Clone>(
    counts: &mut HashMap<K, Count, foldhash::fast::RandomState>,
    key: K,
    now: Timestamp,
) {
    if counts.len() >= KNOWN_MAX && !counts.contains_key(&key) {
        counts.retain(|_, count| !count.is_forgotten(now));
        // All of them guess now: those who did so least go.
        let mut least = 1;
        while counts.len() >= KNOWN_MAX {
            counts.retain(|_, count| count.guesses > least);
            least *= 2;
        }
    }
    let fresh = Count { guesses: 0, at: now };
    let known = counts.entry(key).or_insert(fresh);
    if known.is_forgotten(now) {
        *known = fresh;
    }
    known.guesses = known.guesses.saturating_add(1);
    known.at = now;
}

/// An address as what one subscriber has: of IPv6 the network in which it may choose any.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(i64::try_from(ms).expect("fits"))
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn ten_guesses_are_free_and_each_further_one_waits_twice_as_long() {
        let guesses = Guesses::default();
        let mut now = 0;
        for _ in 0..10 {
            assert_eq!(guesses.begin("anna", address(1), false, at(now)), Ok(()));
        }
        for wait_ms in [60_000, 120_000, 240_000, 480_000, 900_000, 900_000] {
            assert_eq!(guesses.begin("anna", address(1), false, at(now)), Err(wait_ms));
            now += wait_ms - 1;
            assert_eq!(guesses.begin("anna", address(1), false, at(now)), Err(1));
            now += 1;
            assert_eq!(guesses.begin("anna", address(1), false, at(now)), Ok(()), "after {wait_ms}");
        }
        now += 2 * 900_000;
        for _ in 0..10 {
            assert_eq!(guesses.begin("anna", address(1), false, at(now)), Ok(()), "it is forgotten");
        }
    }

    #[test]
    fn an_account_is_guarded_from_many_addresses_and_many_accounts_from_one() {
        let guesses = Guesses::default();
        for last in 0..10 {
            assert_eq!(guesses.begin("anna", address(last), false, at(0)), Ok(()));
        }
        assert_eq!(guesses.begin("anna", address(99), false, at(0)), Err(60_000));
        assert_eq!(guesses.begin("anna", address(99), true, at(0)), Ok(()), "from where she is signed in");
        for number in 0..10 {
            assert_eq!(guesses.begin(&format!("u{number}"), address(200), false, at(0)), Ok(()));
        }
        assert_eq!(guesses.begin("u99", address(200), false, at(0)), Err(60_000));
        assert_eq!(guesses.begin("u99", address(200), true, at(0)), Err(60_000));
    }

    #[test]
    fn one_account_of_ones_own_gives_no_guesses_at_others() {
        let guesses = Guesses::default();
        for number in 0..10 {
            let other = format!("u{number}");
            assert_eq!(guesses.begin(&other, address(1), false, at(0)), Ok(()));
            let own = guesses.begin("own", address(1), false, at(0));
            assert_eq!(own.is_ok(), number < 9);
            if own.is_ok() {
                guesses.was_right("own", address(1));
            }
        }
        assert_eq!(guesses.begin("u99", address(1), false, at(0)), Err(60_000));
    }

    #[test]
    fn addresses_of_one_network_guess_together_and_a_crowd_takes_no_memory() {
        let guesses = Guesses::default();
        let v6 = |text: &str| text.parse::<IpAddr>().expect("an address");
        for number in 0..10 {
            let account = format!("u{number}");
            assert!(guesses.begin(&account, v6(&format!("2001:db8::{number:x}")), false, at(0)).is_ok());
        }
        assert_eq!(guesses.begin("u99", v6("2001:db8::ffff"), false, at(0)), Err(60_000));
        assert!(guesses.begin("u99", v6("2001:db8:0:1::1"), false, at(0)).is_ok());
        for number in 0..3 * KNOWN_MAX {
            let address = IpAddr::from(u32::try_from(number).expect("fits").to_be_bytes());
            let _counted = guesses.begin(&number.to_string(), address, false, at(0));
        }
        let counts = guesses.0.lock();
        assert!(counts.accounts.len() <= KNOWN_MAX && counts.addresses.len() <= KNOWN_MAX);
    }
}
