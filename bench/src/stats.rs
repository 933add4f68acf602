//! Histograms, medians and a small random generator.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Sub-buckets an octave: a quantile is off by at most 1/32, about 3 %.
const SUB_BITS: u32 = 5;
const SUB_COUNT: u64 = 1 << SUB_BITS;

/// Durations in log-linear buckets. A record is two shifts and an add, so millions of deliveries cost little.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn record(&mut self, value: Duration) {
        let index = bucket_of(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
    }

    /// Adds everything `other` counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// How many durations were counted.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The smallest duration that `share` (0 to 1) of all are not above, in milliseconds. `None` when nothing
    /// was counted.
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<f64> {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(bucket_top(found) as f64 / 1e6)
    }
}

fn bucket_of(value: u64) -> usize {
    if value < SUB_COUNT {
        return value as usize;
    }
    let octave = value.ilog2() - SUB_BITS;
    (u64::from(octave) * SUB_COUNT + (value >> octave)) as usize
}

/// The greatest value that falls into a bucket.
fn bucket_top(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * SUB_COUNT {
        return index;
    }
    let octave = index / SUB_COUNT - 1;
    let mantissa = index % SUB_COUNT + SUB_COUNT;
    ((mantissa + 1) << octave) - 1
}

/// The middle value; of an even number, the mean of the two in the middle. `None` for no values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[half]),
        _ => Some(f64::midpoint(sorted[half - 1], sorted[half])),
    }
}

/// A median, how sure it is, and how far the values lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    /// The median of ever more such values lies between these with 95 % confidence.
    pub(crate) sure: [f64; 2],
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// `None` for no values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (least, greatest) = (*sorted.first()?, *sorted.last()?);
        let outside = outside(sorted.len());
        let sure = [sorted[outside], sorted[sorted.len() - 1 - outside]];
        Some(Self { median: median(&sorted)?, sure, least, greatest })
    }
}

/// How many values at each end the 95 % confidence interval of the median leaves out: how many lie below the
/// true median is binomial, whatever their distribution. With fewer than six the outermost two are less sure
/// than that, and the most that can be said.
fn outside(count: usize) -> usize {
    let mut probability = 0.5_f64.powf(count as f64);
    let (mut below, mut outside) = (probability, 0);
    while below <= 0.025 && outside < count / 2 {
        outside += 1;
        probability *= (count + 1 - outside) as f64 / outside as f64;
        below += probability;
    }
    outside.saturating_sub(1)
}

/// Splitmix64: good enough to spread disconnections, and the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A duration between the two, uniformly.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let share = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        low + high.saturating_sub(low).mul_f64(share)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_every_value_without_a_seam() {
        let mut last = 0;
        for value in 0..100_000u64 {
            let bucket = bucket_of(value);
            assert!(bucket == last || bucket == last + 1, "{value} jumped from {last} to {bucket}");
            assert!(bucket_top(bucket) >= value);
            assert!(bucket == 0 || bucket_top(bucket - 1) < value);
            last = bucket;
        }
    }

    #[test]
    fn quantiles_are_within_three_percent() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|ms| histogram.record(Duration::from_millis(ms)));
        for (share, expected) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let got = histogram.quantile_ms(share).expect("values were recorded");
            assert!((got / expected - 1.0).abs() < 0.035, "{share}: {got} for {expected}");
        }
    }

    #[test]
    fn merged_histograms_count_both() {
        let (mut a, mut b) = (Histogram::default(), Histogram::default());
        a.record(Duration::from_nanos(10));
        b.record(Duration::from_secs(1));
        a.merge(&b);
        assert_eq!(a.count(), 2);
        assert!(a.quantile_ms(1.0).expect("two values") > 900.0);
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
    }

    #[test]
    fn a_median_is_the_surer_the_more_values_there_are() {
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[2.0]).expect("a value");
        assert_eq!((one.median, one.sure, one.least, one.greatest), (2.0, [2.0, 2.0], 2.0, 2.0));
        let few: Vec<f64> = (1..=5).map(f64::from).collect();
        assert_eq!(Spread::of(&few).expect("values").sure, [1.0, 5.0]);
        // The table of the sign test: the 10th and the 21st of 30, the 40th and the 61st of 100.
        let thirty: Vec<f64> = (1..=30).rev().map(f64::from).collect();
        assert_eq!(Spread::of(&thirty).expect("values").sure, [10.0, 21.0]);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let spread = Spread::of(&hundred).expect("values");
        assert_eq!((spread.median, spread.sure), (50.5, [40.0, 61.0]));
        assert_eq!((spread.least, spread.greatest), (1.0, 100.0));
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[f64::NAN, 5.0]), Some(5.0));
    }
}
