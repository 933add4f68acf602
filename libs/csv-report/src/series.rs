//! Numbers over time, in buckets: means for any column, candles for prices.

/// The most buckets of a line.
const LINE_BUCKETS: i64 = 160;
/// The most candles: more would touch each other.
const CANDLES: i64 = 200;
const DAY_MS: i64 = 86_400_000;

/// Widths of buckets, in milliseconds, that people think in.
const WIDTHS_MS: [i64; 17] = [
    1,
    1000,
    10_000,
    60_000,
    5 * 60_000,
    15 * 60_000,
    3_600_000,
    4 * 3_600_000,
    DAY_MS,
    2 * DAY_MS,
    7 * DAY_MS,
    14 * DAY_MS,
    30 * DAY_MS,
    91 * DAY_MS,
    182 * DAY_MS,
    365 * DAY_MS,
    3650 * DAY_MS,
];

/// The least width by which a range has at most `count` buckets.
fn width(from: i64, to: i64, count: i64) -> i64 {
    let range = to.saturating_sub(from);
    let fits = |width: &&i64| range / **width < count;
    WIDTHS_MS.iter().find(fits).copied().unwrap_or(range / count + 1)
}

/// Times in buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buckets {
    pub(crate) from: i64,
    pub(crate) width: i64,
    pub(crate) count: usize,
}

impl Buckets {
    fn new(from: i64, to: i64, most: i64) -> Self {
        let width = width(from, to, most);
        // Whole days begin at midnight.
        let from =
            if width >= DAY_MS { from.div_euclid(DAY_MS) * DAY_MS } else { from.div_euclid(width) * width };
        let count = usize::try_from((to - from) / width + 1).unwrap_or(1);
        Self { from, width, count }
    }

    fn of(&self, time: i64) -> Option<usize> {
        let bucket = usize::try_from(time.checked_sub(self.from)? / self.width).ok()?;
        (bucket < self.count).then_some(bucket)
    }

    /// When a bucket begins.
    pub(crate) fn time(&self, bucket: usize) -> i64 {
        self.from.saturating_add(self.width.saturating_mul(i64::try_from(bucket).unwrap_or(i64::MAX)))
    }
}

/// How many rows fall into which bucket.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    pub(crate) buckets: Buckets,
    pub(crate) counts: Vec<u64>,
}

impl Timeline {
    /// Rows from a time to another, in at most `most` buckets.
    pub(crate) fn new(from: i64, to: i64, most: i64) -> Self {
        let buckets = Buckets::new(from, to, most);
        Self { counts: vec![0; buckets.count], buckets }
    }

    /// A row at a time.
    pub(crate) fn take(&mut self, time: i64) {
        if let Some(count) = self.buckets.of(time).and_then(|bucket| self.counts.get_mut(bucket)) {
            *count += 1;
        }
    }
}

/// The mean of a column in each bucket.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The column.
    pub(crate) column: usize,
    pub(crate) buckets: Buckets,
    sums: Vec<(f64, u64)>,
}

impl Line {
    /// A column over a range of times.
    pub(crate) fn new(column: usize, from: i64, to: i64) -> Self {
        let buckets = Buckets::new(from, to, LINE_BUCKETS);
        Self { column, sums: vec![(0.0, 0); buckets.count], buckets }
    }

    /// A value at a time.
    pub(crate) fn take(&mut self, time: i64, value: f64) {
        if let Some((sum, count)) = self.buckets.of(time).and_then(|bucket| self.sums.get_mut(bucket)) {
            *sum += value;
            *count += 1;
        }
    }

    /// The means, with their buckets; buckets without a value are left out.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(crate) fn means(&self) -> Vec<(usize, f64)> {
        let mean = |(bucket, (sum, count)): (usize, &(f64, u64))| {
            (*count > 0).then(|| (bucket, sum / *count as f64))
        };
        self.sums.iter().enumerate().filter_map(mean).collect()
    }
}

/// Which columns hold prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prices {
    pub(crate) time: usize,
    pub(crate) open: usize,
    pub(crate) high: usize,
    pub(crate) low: usize,
    pub(crate) close: usize,
    pub(crate) volume: Option<usize>,
}

const OPEN: &[&str] = &["open", "mở cửa", "giá mở cửa", "o"];
const HIGH: &[&str] = &["high", "cao nhất", "giá cao nhất", "h"];
const LOW: &[&str] = &["low", "thấp nhất", "giá thấp nhất", "l"];
const CLOSE: &[&str] = &["close", "đóng cửa", "giá đóng cửa", "c", "adj close", "last"];
const VOLUME: &[&str] = &["volume", "vol", "khối lượng", "kl", "v"];

fn is_one_of(name: &str, wanted: &[&str]) -> bool {
    let name = name.trim().to_lowercase();
    wanted.iter().any(|wanted| name == *wanted)
}

impl Prices {
    /// Whether a column's name is that of a price or a volume, even when the file lacks the others.
    pub(crate) fn is_named(name: &str) -> bool {
        [OPEN, HIGH, LOW, CLOSE, VOLUME].iter().any(|wanted| is_one_of(name, wanted))
    }

    /// Finds the columns by their names; `time` is the file's time column.
    pub(crate) fn find(names: &[String], time: usize, is_number: impl Fn(usize) -> bool) -> Option<Self> {
        let named = |wanted: &[&str]| {
            names.iter().position(|name| is_one_of(name, wanted)).filter(|column| is_number(*column))
        };
        Some(Self {
            time,
            open: named(OPEN)?,
            high: named(HIGH)?,
            low: named(LOW)?,
            close: named(CLOSE)?,
            volume: named(VOLUME),
        })
    }
}

/// Prices within one bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candle {
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: f64,
    first: i64,
    last: i64,
}

/// Prices over time.
#[derive(Debug, Clone)]
pub(crate) struct Candles {
    pub(crate) buckets: Buckets,
    pub(crate) columns: Prices,
    candles: Vec<Option<Candle>>,
}

impl Candles {
    /// Prices from a time to another.
    pub(crate) fn new(columns: Prices, from: i64, to: i64) -> Self {
        let buckets = Buckets::new(from, to, CANDLES);
        Self { candles: vec![None; buckets.count], buckets, columns }
    }

    /// A row of prices at a time. Rows may come in any order.
    pub(crate) fn take(&mut self, time: i64, [open, high, low, close]: [f64; 4], volume: f64) {
        let Some(place) = self.buckets.of(time).and_then(|bucket| self.candles.get_mut(bucket)) else {
            return;
        };
        let Some(candle) = place else {
            *place = Some(Candle { open, high, low, close, volume, first: time, last: time });
            return;
        };
        candle.high = candle.high.max(high);
        candle.low = candle.low.min(low);
        candle.volume += volume;
        if time < candle.first {
            (candle.first, candle.open) = (time, open);
        }
        if time >= candle.last {
            (candle.last, candle.close) = (time, close);
        }
    }

    /// The candles with their buckets; days without trade are left out.
    pub(crate) fn candles(&self) -> Vec<(usize, Candle)> {
        self.candles.iter().enumerate().filter_map(|(bucket, candle)| Some((bucket, (*candle)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_as_wide_as_people_think() {
        assert_eq!(Buckets::new(0, 99 * DAY_MS, 120), Buckets { from: 0, width: DAY_MS, count: 100 });
        assert_eq!(width(0, 800 * DAY_MS, 120), 7 * DAY_MS);
        assert_eq!(width(0, 3_600_000, 120), 60_000);
        assert_eq!(Buckets::new(5, 5, 120).count, 1);
    }

    #[test]
    fn a_candle_opens_with_the_first_price_and_closes_with_the_last_in_any_order() {
        let columns = Prices { time: 0, open: 1, high: 2, low: 3, close: 4, volume: None };
        let mut candles = Candles::new(columns, 0, 1000 * DAY_MS);
        candles.take(2 * DAY_MS, [3.0, 9.0, 2.0, 4.0], 1.0);
        candles.take(DAY_MS, [1.0, 5.0, 0.5, 2.0], 1.0);
        let (_, candle) = candles.candles().remove(0);
        assert_eq!(
            (candle.open, candle.high, candle.low, candle.close, candle.volume),
            (1.0, 9.0, 0.5, 4.0, 2.0)
        );
    }

    #[test]
    fn price_columns_are_found_in_both_languages() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert!(Prices::find(&names("Date,Open,High,Low,Close,Volume"), 0, |_| true).is_some());
        assert!(
            Prices::find(&names("Ngày,Mở cửa,Cao nhất,Thấp nhất,Đóng cửa,Khối lượng"), 0, |_| true).is_some()
        );
        assert!(Prices::find(&names("Date,Open,High"), 0, |_| true).is_none());
    }
}
