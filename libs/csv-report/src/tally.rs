//! How often which values come, and how many there are, in bounded memory.
//!
//! Frequent values: Misra and Gries (1982). While all distinct values fit, counts are exact; after that a
//! value's count is too low by at most [`Tally::error`], and every value more frequent than that is found.
//! Distinct values: exact while they fit, then HyperLogLog (Flajolet and others, 2007) with 4096 registers, a
//! standard error of 1.6 %.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
};

use foldhash::quality::FixedState;

/// How much of a value is kept, in bytes. Longer values are told apart by a hash of the whole, which follows
/// what is kept of them.
const VALUE_BYTES_MAX: usize = 120;
/// The hash of a long value, in hexadecimal digits.
const HASH_DIGITS: usize = 16;

/// Counts values.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    counts: HashMap<Box<str>, u64, foldhash::fast::RandomState>,
    capacity: usize,
    /// How much too low a count may be.
    error: u64,
    registers: Registers,
    /// Frequent values are of no interest once there are too many.
    distinct_only: bool,
}

/// A number of distinct values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Distinct {
    pub(crate) count: u64,
    pub(crate) estimated: bool,
}

impl Tally {
    /// Counts with room for `capacity` values. With `distinct_only`, frequent values are given up when there
    /// are more.
    pub(crate) fn new(capacity: usize, distinct_only: bool) -> Self {
        let counts = HashMap::default();
        Self { counts, capacity: capacity.max(8), error: 0, registers: Registers::default(), distinct_only }
    }

    /// Takes a value in.
    pub(crate) fn take(&mut self, value: &str) {
        self.registers.take(value);
        if self.error > 0 && self.distinct_only {
            return;
        }
        let long;
        let key = if value.len() <= VALUE_BYTES_MAX {
            value
        } else {
            long = long_key(value);
            &long
        };
        if let Some(count) = self.counts.get_mut(key) {
            *count += 1;
            return;
        }
        if self.counts.len() >= self.capacity {
            self.shrink();
            if self.distinct_only {
                return;
            }
        }
        self.counts.insert(key.into(), 1);
    }

    /// Lowers all counts so that a quarter of the values stays.
    fn shrink(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let lower = counts[self.capacity / 4].max(1);
        self.error += lower;
        if self.distinct_only {
            self.counts = HashMap::default();
            return;
        }
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(lower);
            *count > 0
        });
    }

    /// How many distinct values there are among `filled`.
    pub(crate) fn distinct(&self, filled: u64) -> Distinct {
        if self.error == 0 {
            return Distinct { count: self.counts.len() as u64, estimated: false };
        }
        Distinct { count: self.registers.estimate().min(filled), estimated: true }
    }

    /// Two values that differ in capitals only, such as a name written in two ways; the more frequent one
    /// first.
    pub(crate) fn variants(&self) -> Option<(String, String)> {
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut values: Vec<_> = self.counts.iter().collect();
        values.sort_unstable_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        for (value, _) in values {
            if value.len() > VALUE_BYTES_MAX {
                continue;
            }
            if let Some(first) = seen.insert(value.to_lowercase(), value) {
                return Some((first.to_owned(), value.to_string()));
            }
        }
        None
    }

    /// How much too low the counts of [`Tally::top`] may be; zero when they are exact.
    pub(crate) fn error(&self) -> u64 {
        self.error
    }

    /// The most frequent values, most frequent first.
    pub(crate) fn top(&self, count: usize) -> Vec<(String, u64)> {
        let mut values: Vec<_> = self.counts.iter().collect();
        values.sort_unstable_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        values.into_iter().take(count).map(|(value, count)| (shown(value), *count)).collect()
    }
}

/// What is kept of a long value: its beginning and a hash of the whole.
fn long_key(value: &str) -> String {
    let kept = VALUE_BYTES_MAX + 1 - HASH_DIGITS;
    // Padded where the cut is before a character: only long values have keys of more than the limit.
    let cut = &value[..value.floor_char_boundary(kept)];
    format!("{cut:\u{0}<kept$}{:016x}", hash(value))
}

/// A value as it is shown, from its key.
fn shown(key: &str) -> String {
    if key.len() <= VALUE_BYTES_MAX {
        return key.to_owned();
    }
    let cut = key[..key.len() - HASH_DIGITS].trim_end_matches('\0');
    format!("{cut}…")
}

/// With a fixed seed: the same file gives the same report.
fn hash(value: impl Hash) -> u64 {
    FixedState::with_seed(0x0074_616c_6c79).hash_one(value)
}

const REGISTERS: usize = 4096;
const INDEX_BITS: u32 = 12;

#[derive(Debug, Clone)]
struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    fn take(&mut self, value: impl Hash) {
        let hash = hash(value);
        let index = usize::try_from(hash >> (64 - INDEX_BITS)).unwrap_or(0);
        let rank = (hash << INDEX_BITS).leading_zeros().min(64 - INDEX_BITS) + 1;
        let rank = u8::try_from(rank).unwrap_or(u8::MAX);
        self.0[index] = self.0[index].max(rank);
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate"
    )]
    fn estimate(&self) -> u64 {
        let count = REGISTERS as f64;
        let sum: f64 = self.0.iter().map(|rank| 2f64.powi(-i32::from(*rank))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let zeros = self.0.iter().filter(|rank| **rank == 0).count();
        // Few values leave registers empty, and counting those is more exact.
        let estimate =
            if raw <= 2.5 * count && zeros > 0 { count * (count / zeros as f64).ln() } else { raw };
        estimate.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_while_all_values_fit() {
        let mut tally = Tally::new(100, false);
        for (value, times) in [("a", 3), ("b", 5), ("c", 1)] {
            (0..times).for_each(|_| tally.take(value));
        }
        assert_eq!(tally.distinct(9), Distinct { count: 3, estimated: false });
        assert_eq!(tally.top(2), [("b".to_owned(), 5), ("a".to_owned(), 3)]);
        assert_eq!(tally.error(), 0);
    }

    #[test]
    fn frequent_values_are_found_among_many_and_memory_stays_bounded() {
        let mut tally = Tally::new(64, false);
        for number in 0..20_000 {
            tally.take(&number.to_string());
            if number % 4 == 0 {
                tally.take("often");
            }
        }
        assert!(tally.counts.len() <= 64);
        let (value, count) = tally.top(1).remove(0);
        assert_eq!(value, "often");
        assert!(count <= 5000 && count + tally.error() >= 5000, "{count} + {}", tally.error());
    }

    #[test]
    fn many_distinct_values_are_estimated_within_five_percent() {
        let mut tally = Tally::new(64, true);
        (0..200_000).for_each(|number: u32| tally.take(&number.to_string()));
        let distinct = tally.distinct(200_000);
        assert!(distinct.estimated && (190_000..=210_000).contains(&distinct.count), "{distinct:?}");
    }

    #[test]
    fn a_value_written_in_two_ways_is_found() {
        let mut tally = Tally::new(100, false);
        ["HÀ NỘI", "Hà Nội", "Hà Nội", "Huế"].into_iter().for_each(|value| tally.take(value));
        assert_eq!(tally.variants(), Some(("Hà Nội".to_owned(), "HÀ NỘI".to_owned())));
    }

    #[test]
    fn long_values_are_cut_where_they_are_shown_but_not_where_they_are_told_apart() {
        let mut tally = Tally::new(64, false);
        let url = |number: u32| format!("https://example.org/{}/{number}", "đ".repeat(100));
        (0..30).for_each(|number| tally.take(&url(number)));
        tally.take(&url(7));
        assert_eq!(tally.distinct(31), Distinct { count: 30, estimated: false });
        let (value, count) = tally.top(1).remove(0);
        assert_eq!(
            (value.starts_with("https://example.org/đđđ"), value.ends_with("đ…"), count),
            (true, true, 2)
        );
        assert_eq!(tally.variants(), None);
    }
}
