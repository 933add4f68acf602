//! How fast one may act. Every way in asks the same limiter, and it charges whoever acts: the user that a
//! token names, or else the address.
//!
//! Invariants:
//! - A debt is its user's, not a connection's: many connections, or a new one, change nothing.
//! - What has to wait is told for how long, and what can never pass is told so.
//! - Nobody is kept out because many others are known: the smallest debts are forgotten first.
//!
//! Each account has, for each kind of act, the time at which all that was let through is paid for (the
//! generic cell rate algorithm): one number, changed without a lock. The library `governor` has the same, but
//! its keyed limiter grows without end and is searched at each act, and its single one cannot be asked
//! whether it still owes anything, so that nobody could tell whom to forget.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use anywire_protocol::{Code, Refusal};
use parking_lot::Mutex;

use super::act::Act;
use crate::{config::LimitsConfig, metrics::Metrics};

/// How many accounts without a connection are kept. An account takes about 200 bytes.
const ACCOUNTS_MAX: usize = 20_000;
const NANOS_PER_MS: u64 = 1_000_000;

/// Whom an act is charged to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Payer<'a> {
    /// The user that a token names.
    User(&'a str),
    /// Whoever comes from this address.
    Address(IpAddr),
}

/// Why an act is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Enough will be paid for in so many milliseconds.
    Wait(u32),
    /// It is more than may ever be done at once.
    Never,
}

/// So many a second, and so many at once.
#[derive(Debug, Clone, Copy)]
struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// How long one takes, in nanoseconds.
    fn interval_ns(self) -> u64 {
        1_000_000_000 / u64::from(self.per_second)
    }
}

/// What somebody owes. Whoever acts keeps it for as long as the connection lasts.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// For each act, when all that was let through is paid for, in nanoseconds since the start.
    paid_at_ns: [AtomicU64; Act::ALL.len()],
}

impl Account {
    /// Charges `count`, or nothing at all.
    fn take(&self, act: Act, count: usize, rate: Rate, now_ms: u64) -> Result<(), Refused> {
        if count > rate.burst as usize {
            return Err(Refused::Never);
        }
        let (now_ns, interval_ns) = (now_ms * NANOS_PER_MS, rate.interval_ns());
        let most_ns = now_ns + interval_ns * u64::from(rate.burst);
        let mut wait_ns = 0;
        let taken = self.paid_at_ns[act as usize].fetch_update(Relaxed, Relaxed, |paid_at_ns| {
            let then_ns = paid_at_ns.max(now_ns) + interval_ns * count as u64;
            wait_ns = then_ns.saturating_sub(most_ns);
            (wait_ns == 0).then_some(then_ns)
        });
        let wait_ms = u32::try_from(wait_ns.div_ceil(NANOS_PER_MS)).unwrap_or(u32::MAX);
        taken.map(drop).map_err(|_| Refused::Wait(wait_ms))
    }

    /// How long it takes until everything is paid for, in nanoseconds.
    fn debt_ns(&self, now_ms: u64) -> u64 {
        let latest = self.paid_at_ns.iter().map(|paid_at_ns| paid_at_ns.load(Relaxed)).max();
        latest.unwrap_or_default().saturating_sub(now_ms * NANOS_PER_MS)
    }
}

/// The accounts of one kind of payer.
#[derive(Debug)]
struct Accounts<K> {
    known: HashMap<K, Arc<Account>, foldhash::fast::RandomState>,
    /// At how many the next look is due for those that may go.
    look_at: usize,
}

impl<K> Default for Accounts<K> {
    fn default() -> Self {
        Self { known: HashMap::default(), look_at: ACCOUNTS_MAX }
    }
}

impl<K: Eq + Hash> Accounts<K> {
    /// The account of somebody, made at the first time. Cost: O(1), on average also where some have to go.
    fn of<Q>(&mut self, payer: &Q, now_ms: u64) -> Arc<Account>
    where
        K: Borrow<Q> + for<'q> From<&'q Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(account) = self.known.get(payer) {
            return Arc::clone(account);
        }
        if self.known.len() >= self.look_at {
            self.forget(now_ms);
        }
        let account = Arc::<Account>::default();
        self.known.insert(K::from(payer), Arc::clone(&account));
        account
    }

    /// Forgets who has no connection and owes nothing; and if too many are left, those who owe least. Who has
    /// a connection stays: else the next one would begin without a debt. There are as many of them as may be
    /// connected.
    fn forget(&mut self, now_ms: u64) {
        let is_held = |account: &Arc<Account>| Arc::strong_count(account) > 1;
        self.known.retain(|_, account| is_held(account) || account.debt_ns(now_ms) > 0);
        let debts = self.known.values().filter(|account| !is_held(account));
        let mut debts: Vec<u64> = debts.map(|account| account.debt_ns(now_ms)).collect();
        let kept = ACCOUNTS_MAX / 2;
        if debts.len() > kept {
            let surplus = debts.len() - kept;
            let (_, least, _) = debts.select_nth_unstable(surplus - 1);
            let least = *least;
            self.known.retain(|_, account| is_held(account) || account.debt_ns(now_ms) > least);
        }
        // So that looks are seldom, however many are connected.
        self.look_at = self.known.len() + ACCOUNTS_MAX / 2;
    }
}

/// An address as a key: of IPv6 the network that one subscriber gets, in which it may choose any address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Network(IpAddr);

impl Network {
    fn of(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        })
    }
}

impl From<&Self> for Network {
    fn from(network: &Self) -> Self {
        *network
    }
}

/// The rates of all acts, and who owes how much.
#[derive(Debug)]
pub(crate) struct Rates {
    rates: [Rate; Act::ALL.len()],
    users: Mutex<Accounts<Box<str>>>,
    networks: Mutex<Accounts<Network>>,
    metrics: Arc<Metrics>,
}

impl Rates {
    pub(crate) fn new(limits: &LimitsConfig, metrics: Arc<Metrics>) -> Self {
        let rate = |act| {
            let (per_second, burst) = match act {
                Act::Publish => (limits.publish_per_second, limits.publish_burst),
                Act::Subscribe => (limits.subscribe_per_second, limits.subscribe_burst),
                Act::Presence => (limits.presence_per_second, limits.presence_burst),
                Act::Ack => (limits.ack_per_second, limits.ack_burst),
                Act::Handshake => (limits.handshake_per_second, limits.handshake_burst),
                Act::Recovery => (limits.recovery_bytes_per_second, limits.recovery_burst_bytes),
            };
            Rate { per_second, burst }
        };
        Self { rates: Act::ALL.map(rate), users: Mutex::default(), networks: Mutex::default(), metrics }
    }

    /// The account of somebody. To be asked once a connection or request.
    pub(crate) fn account(&self, payer: Payer<'_>, now_ms: u64) -> Arc<Account> {
        match payer {
            Payer::User(user) => self.users.lock().of(user, now_ms),
            Payer::Address(address) => self.networks.lock().of(&Network::of(address), now_ms),
        }
    }

    /// Charges an act, or says why it is not let through: then nothing is charged.
    ///
    /// # Errors
    /// `rate_limited` with when to come again; `too_large` where it never helps to.
    pub(crate) fn charge(
        &self,
        account: &Account,
        act: Act,
        count: usize,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let rate = self.rates[act as usize];
        let Err(refused) = account.take(act, count, rate, now_ms) else { return Ok(()) };
        self.metrics.rate_limited[act as usize].fetch_add(1, Relaxed);
        let (Rate { per_second, burst }, (unit, rate_key, burst_key)) = (rate, act.words());
        Err(match refused {
            Refused::Wait(retry_ms) => {
                let message =
                    format!("more than {per_second} {unit} a second ({rate_key}); wait {retry_ms} ms");
                Refusal::new(Code::RateLimited, message).retry_after_ms(retry_ms)
            }
            Refused::Never => {
                let message =
                    format!("{count} {unit} at once, the limit is {burst} ({burst_key}); send fewer at once");
                Refusal::new(Code::TooLarge, message)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per_second: u32, burst: u32) -> Rates {
        let limits =
            LimitsConfig { publish_per_second: per_second, publish_burst: burst, ..LimitsConfig::default() };
        Rates::new(&limits, Arc::default())
    }

    #[track_caller]
    fn check(
        rates: &Rates,
        payer: Payer<'_>,
        count: usize,
        now_ms: u64,
        expected: Result<(), (Code, Option<u32>)>,
    ) {
        let account = rates.account(payer, now_ms);
        let charged = rates.charge(&account, Act::Publish, count, now_ms);
        assert_eq!(charged.map_err(|refusal| (refusal.code, refusal.retry_ms)), expected);
    }

    const ANN: Payer<'_> = Payer::User("ann");
    const BOB: Payer<'_> = Payer::User("bob");

    fn wait(ms: u32) -> Result<(), (Code, Option<u32>)> {
        Err((Code::RateLimited, Some(ms)))
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rates = rates(10, 5);
        check(&rates, ANN, 5, 0, Ok(()));
        check(&rates, ANN, 1, 0, wait(100));
        check(&rates, ANN, 1, 99, wait(1));
        check(&rates, ANN, 1, 100, Ok(()));
        check(&rates, ANN, 5, 100, wait(500));
        check(&rates, ANN, 5, 10_000, Ok(()));
    }

    #[test]
    fn a_batch_counts_whole_and_is_refused_for_good_if_it_can_never_fit() {
        let rates = rates(10, 5);
        check(&rates, ANN, 6, 0, Err((Code::TooLarge, None)));
        check(&rates, ANN, 5, 0, Ok(()));
        let account = rates.account(ANN, 0);
        let refusal = rates.charge(&account, Act::Publish, 6, 0).expect_err("too many");
        assert_eq!(
            refusal.message,
            "6 events at once, the limit is 5 (limits.publish_burst); send fewer at once"
        );
        assert_eq!(rates.metrics.rate_limited[Act::Publish as usize].load(Relaxed), 2);
    }

    #[test]
    fn acts_and_payers_are_limited_each_for_itself() {
        let rates = rates(10, 2);
        let addresses = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|bytes| Payer::Address(bytes.into()));
        for payer in [ANN, BOB, addresses[0], addresses[1]] {
            check(&rates, payer, 2, 0, Ok(()));
            check(&rates, payer, 1, 0, wait(100));
        }
        let account = rates.account(ANN, 0);
        for act in [Act::Subscribe, Act::Presence, Act::Ack, Act::Handshake, Act::Recovery] {
            assert!(rates.charge(&account, act, 1, 0).is_ok(), "{act:?}");
        }
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_pay_together() {
        let rates = rates(10, 2);
        let payer = |text: &str| Payer::Address(text.parse().expect("an address"));
        check(&rates, payer("2001:db8::1"), 2, 0, Ok(()));
        check(&rates, payer("2001:db8::ffff:2"), 1, 0, wait(100));
        check(&rates, payer("2001:db8:0:1::1"), 1, 0, Ok(()));
    }

    #[test]
    fn a_debt_outlives_its_connection_and_a_crowd_keeps_nobody_out() {
        let rates = rates(10, 100);
        check(&rates, ANN, 100, 0, Ok(()));
        let connected = rates.account(BOB, 0);
        assert!(rates.charge(&connected, Act::Publish, 1, 0).is_ok());
        for number in 0..3 * ACCOUNTS_MAX {
            check(&rates, Payer::User(&number.to_string()), 2, 0, Ok(()));
        }
        assert!(rates.users.lock().known.len() <= ACCOUNTS_MAX + 1);
        check(&rates, Payer::User("late"), 1, 0, Ok(()));
        check(&rates, ANN, 1, 0, wait(100));
        assert!(Arc::ptr_eq(&connected, &rates.account(BOB, 0)), "one with a connection is not forgotten");
    }

    #[test]
    fn who_owes_nothing_is_forgotten_first() {
        let rates = rates(1000, 2);
        check(&rates, ANN, 2, 9_999, Ok(()));
        for number in 0..ACCOUNTS_MAX {
            check(&rates, Payer::User(&number.to_string()), 1, 0, Ok(()));
        }
        let known = rates.users.lock().known.len();
        assert!(known < 10, "{known}");
    }

    #[test]
    fn many_at_once_never_take_more_than_there_is() {
        let rates = rates(1, 1000);
        let passed: usize = std::thread::scope(|scope| {
            let takes = || {
                (0..1000).filter(|_| {
                    let account = rates.account(ANN, 0);
                    rates.charge(&account, Act::Publish, 1, 0).is_ok()
                })
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(move || takes().count())).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(passed, 1000);
    }
}
