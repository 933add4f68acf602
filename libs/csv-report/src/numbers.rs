//! What a run of numbers is like, in bounded memory.
//!
//! Count, least, greatest and the sum of decimals are exact, mean and deviation nearly so (Welford).
//! Quantiles and histograms come from a uniform sample (Vitter's reservoir): they are exact while all numbers
//! fit in it, and labelled as estimated after that.

use crate::{decimal::Sum, value::Number};

/// Takes numbers in.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    count: u64,
    mean: f64,
    squares: f64,
    min: f64,
    max: f64,
    sum: Sum,
    zeros: u64,
    negatives: u64,
    sample: Vec<f64>,
    capacity: usize,
    random: SplitMix,
}

/// What they are like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    /// Of numbers that were written as such.
    pub(crate) sum: Sum,
    pub(crate) zeros: u64,
    pub(crate) negatives: u64,
    /// At 5, 25, 50, 75 and 95 percent.
    pub(crate) quantiles: [f64; 5],
    /// How many numbers the quantiles and the histogram come from, when not from all.
    pub(crate) sampled: Option<usize>,
    pub(crate) histogram: Histogram,
}

/// Shares by range.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Histogram {
    /// Where the first bin begins.
    pub(crate) from: f64,
    /// How wide each is.
    pub(crate) width: f64,
    /// How many of the sample are in each.
    pub(crate) counts: Vec<u64>,
    /// A long tail was cut off: only the middle 98 percent are in it.
    pub(crate) cut: bool,
}

impl Numbers {
    /// Keeps a sample of at most `capacity`; `seed` makes the choice reproducible.
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            count: 0,
            mean: 0.0,
            squares: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: Sum::default(),
            zeros: 0,
            negatives: 0,
            sample: Vec::new(),
            capacity: capacity.max(16),
            random: SplitMix(seed),
        }
    }

    /// Takes a number in, as it was written.
    pub(crate) fn take_written(&mut self, number: &Number) {
        self.take(number.value);
        self.sum.take(number.decimal, number.value);
    }

    /// Takes a number in that was not written, such as a length.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(crate) fn take(&mut self, value: f64) {
        self.count += 1;
        let (delta, count) = (value - self.mean, self.count as f64);
        // Two of the greatest doubles are further apart than a double can say.
        self.mean = if delta.is_finite() {
            self.mean + delta / count
        } else {
            between(self.mean, value, 1.0 / count)
        };
        self.squares += delta * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.zeros += u64::from(value == 0.0);
        self.negatives += u64::from(value < 0.0);
        if self.sample.len() < self.capacity {
            self.sample.push(value);
        } else if let Some(place) = self.sample.get_mut(self.random.below(self.count)) {
            *place = value;
        }
    }

    /// What they are like; `None` without any.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(crate) fn summary(mut self, whole: bool) -> Option<Summary> {
        if self.count == 0 {
            return None;
        }
        self.sample.sort_unstable_by(f64::total_cmp);
        let at = |share| quantile(&self.sample, share);
        let deviation = if self.count > 1 { (self.squares / (self.count - 1) as f64).sqrt() } else { 0.0 };
        let sampled = (self.count > self.sample.len() as u64).then_some(self.sample.len());
        Some(Summary {
            count: self.count,
            min: self.min,
            max: self.max,
            mean: self.mean,
            deviation,
            sum: self.sum,
            zeros: self.zeros,
            negatives: self.negatives,
            quantiles: [0.05, 0.25, 0.5, 0.75, 0.95].map(at),
            sampled,
            histogram: histogram(&self.sample, whole),
        })
    }
}

/// Between the two nearest of sorted numbers.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    between(sorted[low], sorted[high], place - place.floor())
}

/// A share of the way from one number to another, however far they are apart.
fn between(low: f64, high: f64, share: f64) -> f64 {
    let distance = high - low;
    if distance.is_finite() { low + distance * share } else { low * (1.0 - share) + high * share }
}

/// How many steps it is from one number to another, however far they are apart.
fn steps(low: f64, high: f64, step: f64) -> f64 {
    let distance = high - low;
    if distance.is_finite() { distance / step } else { high / step - low / step }
}

/// How many bins a histogram has, about.
const BINS: f64 = 24.0;

fn histogram(sorted: &[f64], whole: bool) -> Histogram {
    let at = |share| quantile(sorted, share);
    let (min, max, low, high) = (at(0.0), at(1.0), at(0.25), at(0.75));
    let spread = (high - low).max((max - min) / 1000.0);
    let cut = sorted.len() >= 100 && ((max - high) > 10.0 * spread || (low - min) > 10.0 * spread);
    let (from, to) = if cut { (at(0.01), at(0.99)) } else { (min, max) };
    let mut width = nice(steps(from, to, BINS));
    if whole {
        width = width.max(1.0).round();
    }
    if width <= 0.0 || !width.is_finite() {
        width = 1.0;
    }
    // Below the least of the doubles there is no round one.
    let from = ((from / width).floor() * width).max(f64::MIN);
    let counts = count(sorted, from, to, width);
    Histogram { from, width, counts, cut }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bin's index, checked against their number"
)]
fn count(sorted: &[f64], from: f64, to: f64, width: f64) -> Vec<u64> {
    let bins = steps(from, to, width).floor().min(4.0 * BINS - 1.0) as usize + 1;
    let mut counts = vec![0; bins];
    for value in sorted.iter().filter(|value| **value >= from && **value <= to) {
        if let Some(count) = counts.get_mut(steps(from, *value, width) as usize) {
            *count += 1;
        }
    }
    counts
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
pub(crate) fn nice(step: f64) -> f64 {
    if step <= 0.0 || !step.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    let share = step / power;
    let nice = [1.0, 2.0, 2.5, 5.0].into_iter().find(|nice| share <= nice * 1.000_001);
    nice.unwrap_or(10.0) * power
}

/// Random numbers for samples (Steele, Lea and Flood 2014): fast, and the same for the same seed.
#[derive(Debug, Clone)]
struct SplitMix(u64);

impl SplitMix {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let scaled = (u128::from(z) * u128::from(limit)) >> 64;
        usize::try_from(scaled).unwrap_or(usize::MAX)
    }
}

/// How two columns move together, over the rows that have both.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Together {
    count: u64,
    shift: (f64, f64),
    sums: (f64, f64),
    squares: (f64, f64),
    product: f64,
}

impl Together {
    /// Takes a row in. The first row is subtracted from all: sums of large numbers would lose the small
    /// differences.
    pub(crate) fn take(&mut self, x: f64, y: f64) {
        if self.count == 0 {
            self.shift = (x, y);
        }
        self.count += 1;
        let (x, y) = (x - self.shift.0, y - self.shift.1);
        self.sums.0 += x;
        self.sums.1 += y;
        self.squares.0 += x * x;
        self.squares.1 += y * y;
        self.product += x * y;
    }

    /// Pearson's coefficient, −1 to 1; none when a column does not vary.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(crate) fn correlation(&self) -> Option<f64> {
        let n = self.count as f64;
        let x = self.squares.0 - self.sums.0 * self.sums.0 / n;
        let y = self.squares.1 - self.sums.1 * self.sums.1 / n;
        let both = self.product - self.sums.0 * self.sums.1 / n;
        let coefficient = both / (x * y).sqrt();
        (self.count > 2 && coefficient.is_finite()).then(|| coefficient.clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(values: impl IntoIterator<Item = f64>, capacity: usize) -> Summary {
        let mut numbers = Numbers::new(capacity, 1);
        values.into_iter().for_each(|value| numbers.take(value));
        numbers.summary(false).expect("numbers")
    }

    fn near(found: f64, expected: f64, by: f64) {
        assert!((found - expected).abs() <= by, "{found} is not near {expected}");
    }

    #[test]
    fn a_few_numbers_are_summed_up_exactly() {
        let summary = summary([1.0, 2.0, 3.0, 4.0, 10.0], 100);
        assert_eq!((summary.count, summary.min, summary.max, summary.sampled), (5, 1.0, 10.0, None));
        near(summary.mean, 4.0, 1e-12);
        near(summary.deviation, 3.535_533_905_9, 1e-9);
        near(summary.quantiles[2], 3.0, 0.0);
        assert_eq!(summary.histogram.counts.iter().sum::<u64>(), 5);
    }

    #[test]
    fn the_greatest_numbers_there_are_have_a_mean_quantiles_and_a_histogram() {
        let summary = summary([f64::MAX, f64::MIN, 0.0, f64::MAX], 100);
        near(summary.mean / f64::MAX, 0.25, 1e-12);
        near(summary.quantiles[0] / f64::MAX, -0.85, 1e-12);
        assert_eq!(summary.quantiles[4], f64::MAX);
        assert_eq!(summary.histogram.counts.iter().sum::<u64>(), 4, "{:?}", summary.histogram);
        assert!(summary.histogram.counts.len() > 4);
    }

    #[test]
    fn quantiles_of_many_numbers_are_estimated_from_a_sample_and_say_so() {
        let summary = summary((0..1_000_000).map(f64::from), 10_000);
        assert_eq!(summary.sampled, Some(10_000));
        near(summary.quantiles[2], 500_000.0, 20_000.0);
        near(summary.mean, 499_999.5, 1e-3);
    }

    #[test]
    fn a_long_tail_is_cut_from_the_histogram() {
        let tail = (0..1000).map(f64::from).chain([1e9]);
        assert!(summary(tail, 10_000).histogram.cut);
        assert!(!summary((0..1000).map(f64::from), 10_000).histogram.cut);
    }

    #[test]
    fn a_constant_column_has_one_bin() {
        let summary = summary([5.0; 10], 100);
        assert_eq!(summary.histogram.counts, [10]);
        near(summary.deviation, 0.0, 0.0);
    }

    #[test]
    fn correlation_is_one_for_a_line_and_none_for_a_constant() {
        let (mut line, mut flat) = (Together::default(), Together::default());
        for x in (0..100).map(f64::from) {
            line.take(1e9 + x, 2e9 - 3.0 * x);
            flat.take(x, 7.0);
        }
        near(line.correlation().expect("a line"), -1.0, 1e-9);
        assert_eq!(flat.correlation(), None);
    }
}
