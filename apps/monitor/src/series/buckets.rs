//! History as somebody asks for it: which rows, how coarse, and where nothing is known. Pure.
//!
//! Invariant: a span of which nothing is known is one row of nulls at its beginning; no value is carried
//! over, none is zero.

use std::fmt::Write as _;

use super::time_series::TimeSeries;

/// The most rows an answer holds.
pub(crate) const ROWS_MAX: i64 = 10_000;
/// How many rows an answer has about, if the caller does not say.
const ROWS_WANTED: i64 = 1500;
/// The steps that are chosen from, in milliseconds.
const STEPS_MS: [i64; 14] = [
    1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000,
    10_800_000, 21_600_000,
];
/// Samples further apart than this many intervals have a hole between them, in halves.
const PATIENCE_HALVES: i64 = 5;

/// Columns cut out of rows; NaN is unknown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picked {
    pub(crate) times: Vec<i64>,
    pub(crate) columns: Vec<Vec<f32>>,
}

impl Picked {
    pub(crate) fn new(columns: usize) -> Self {
        Self { times: Vec::new(), columns: vec![Vec::new(); columns] }
    }

    /// Adds the rows from `from` to before `to`.
    pub(crate) fn take(&mut self, rows: &TimeSeries, names: &[String], from: i64, to: i64) {
        let inside = |time: &i64| (from..to).contains(time);
        self.times.extend(rows.times().iter().copied().filter(inside));
        for (name, column) in names.iter().zip(&mut self.columns) {
            if let Some(values) = rows.values(name) {
                let kept = rows.times().iter().zip(values).filter(|(time, _)| inside(time));
                column.extend(kept.map(|(_, value)| *value));
            }
            column.resize(self.times.len(), f32::NAN);
        }
    }

    /// Adds all rows of another cut.
    pub(crate) fn append(&mut self, other: &Self) {
        self.times.extend_from_slice(&other.times);
        for (column, added) in self.columns.iter_mut().zip(&other.columns) {
            column.extend_from_slice(added);
        }
    }

    /// The rows in the order of their times. Of several of one time the one that came last counts: a clock
    /// that went back tells a time twice.
    pub(crate) fn in_order(self) -> Self {
        if self.times.is_sorted_by(|before, after| before < after) {
            return self;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|row| self.times[*row]);
        let same = |one: &usize, other: &usize| self.times[*one] == self.times[*other];
        let mut rows = Self::new(self.columns.len());
        for last in order.chunk_by(same).filter_map(<[_]>::last) {
            rows.push(self.times[*last], |column| self.columns[column][*last]);
        }
        rows
    }

    /// Adds one row.
    pub(crate) fn push(&mut self, time: i64, values: impl Fn(usize) -> f32) {
        self.times.push(time);
        for (at, column) in self.columns.iter_mut().enumerate() {
            column.push(values(at));
        }
    }
}

/// The step for a span, if the caller does not say: the finest that gives no more rows than a screen has
/// points.
pub(crate) fn step_for(span_ms: i64, interval_ms: i64) -> i64 {
    let fits = |step: &&i64| **step >= interval_ms && span_ms / **step <= ROWS_WANTED;
    STEPS_MS.iter().find(fits).copied().unwrap_or(86_400_000)
}

/// Whether a step is so fine that samples are given as they are.
pub(crate) fn is_raw(step_ms: i64, interval_ms: i64) -> bool {
    step_ms < 3 * interval_ms
}

/// TimeSeries with their own times. Where samples are missing stands a row of nulls.
pub(crate) fn raw(picked: &Picked, interval_ms: i64) -> Picked {
    let mut rows = Picked::new(picked.columns.len());
    let mut before: Option<i64> = None;
    for (at, time) in picked.times.iter().enumerate() {
        if let Some(last) = before.filter(|last| (time - last) * 2 > interval_ms * PATIENCE_HALVES) {
            rows.push(last + interval_ms, |_| f32::NAN);
        }
        rows.push(*time, |column| picked.columns[column][at]);
        before = Some(*time);
    }
    rows
}

/// How three columns of the source become mean, least and greatest of a bucket.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    sum: f64,
    count: u32,
    least: f32,
    greatest: f32,
}

const EMPTY: Bucket = Bucket { sum: 0.0, count: 0, least: f32::INFINITY, greatest: f32::NEG_INFINITY };

/// TimeSeries at a step: mean, least and greatest of each figure. `picked` has one column a figure (samples)
/// or three (minutes: mean, least, greatest); the answer has three.
pub(crate) fn buckets(picked: &Picked, from: i64, to: i64, step_ms: i64, per_figure: usize) -> Picked {
    let start = from.div_euclid(step_ms);
    let count = usize::try_from((to - 1).div_euclid(step_ms) - start + 1).unwrap_or(0);
    let figures = picked.columns.len() / per_figure;
    let mut rows = Picked::new(figures * 3);
    rows.times = (0..count).map(|at| (start + at as i64) * step_ms).collect();
    for figure in 0..figures {
        let column =
            |part: usize| &picked.columns[figure * per_figure + if per_figure == 3 { part } else { 0 }];
        let mut all = vec![EMPTY; count];
        for (row, time) in picked.times.iter().enumerate() {
            let at = usize::try_from(time.div_euclid(step_ms) - start).unwrap_or(usize::MAX);
            let mean = column(0)[row];
            if let Some(bucket) = all.get_mut(at).filter(|_| !mean.is_nan()) {
                bucket.sum += f64::from(mean);
                bucket.count += 1;
                bucket.least = bucket.least.min(column(1)[row]);
                bucket.greatest = bucket.greatest.max(column(2)[row]);
            }
        }
        let known = |value: f32, bucket: &Bucket| if bucket.count > 0 { value } else { f32::NAN };
        let mean = |bucket: &Bucket| (bucket.sum / f64::from(bucket.count)) as f32;
        rows.columns[figure * 3] = all.iter().map(|bucket| known(mean(bucket), bucket)).collect();
        rows.columns[figure * 3 + 1] = all.iter().map(|bucket| known(bucket.least, bucket)).collect();
        rows.columns[figure * 3 + 2] = all.iter().map(|bucket| known(bucket.greatest, bucket)).collect();
    }
    without_repeated_holes(&rows)
}

/// A hole is one row however long it is: a night without samples is not a thousand times "nothing".
fn without_repeated_holes(rows: &Picked) -> Picked {
    let mut kept = Picked::new(rows.columns.len());
    let mut hole = false;
    for (at, time) in rows.times.iter().enumerate() {
        let empty = rows.columns.iter().all(|column| column[at].is_nan());
        if !(empty && hole) {
            kept.push(*time, |column| rows.columns[column][at]);
        }
        hole = empty;
    }
    kept
}

/// Writes rows as JSON arrays: `[[time, …], …]`.
pub(crate) fn write_rows(out: &mut String, rows: &Picked, steps: &[f64]) {
    out.push('[');
    for (at, time) in rows.times.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ok = write!(out, "{}[{time}", if at > 0 { "," } else { "" });
        for (column, step) in rows.columns.iter().zip(steps) {
            out.push(',');
            write_value(out, column[at], *step);
        }
        out.push(']');
    }
    out.push(']');
}

fn write_value(out: &mut String, value: f32, step: f64) {
    if value.is_nan() {
        out.push_str("null");
        return;
    }
    // To the step it is kept in, as a decimal number and not as the nearest binary one.
    let digits: usize = if step >= 1.0 {
        0
    } else if step >= 0.1 {
        1
    } else if step >= 0.01 {
        2
    } else {
        3
    };
    let start = out.len();
    let _ok = write!(out, "{value:.digits$}");
    if digits > 0 {
        let kept = out[start..].trim_end_matches('0').trim_end_matches('.').len();
        out.truncate(start + kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(times: &[i64], values: &[f32]) -> Picked {
        Picked { times: times.to_vec(), columns: vec![values.to_vec()] }
    }

    #[test]
    fn a_missing_sample_is_a_row_of_nulls_and_never_a_zero() {
        let rows = raw(&picked(&[0, 1000, 5000, 6100], &[1.0, 2.0, 3.0, 4.0]), 1000);
        let mut text = String::new();
        write_rows(&mut text, &rows, &[0.1]);
        assert_eq!(text, "[[0,1],[1000,2],[2000,null],[5000,3],[6100,4]]");
    }

    #[test]
    fn rows_of_a_clock_that_went_back_stand_in_order_and_the_last_of_one_time_counts() {
        let rows = picked(&[4000, 5000, 2000, 4000], &[1.0, 2.0, 3.0, 4.0]).in_order();
        assert_eq!((rows.times, rows.columns), (vec![2000, 4000, 5000], vec![vec![3.0, 4.0, 2.0]]));
    }

    #[test]
    fn a_bucket_has_mean_least_and_greatest_and_an_empty_one_nothing() {
        let source = picked(&[0, 1000, 12_000], &[1.0, 4.0, f32::NAN]);
        let rows = buckets(&source, 0, 20_000, 5000, 1);
        let mut text = String::new();
        write_rows(&mut text, &rows, &[0.1; 3]);
        assert_eq!(text, "[[0,2.5,1,4],[5000,null,null,null]]");
    }

    #[test]
    fn minutes_keep_their_extremes_in_coarser_steps() {
        let source =
            Picked { times: vec![0, 60_000], columns: vec![vec![2.0, 4.0], vec![0.0, 3.0], vec![9.0, 5.0]] };
        let rows = buckets(&source, 0, 120_000, 120_000, 3);
        assert_eq!(rows.columns, [vec![3.0], vec![0.0], vec![9.0]]);
    }

    #[test]
    fn the_step_follows_the_span() {
        assert_eq!(step_for(600_000, 1000), 1000);
        assert_eq!(step_for(3_600_000, 1000), 5000);
        assert_eq!(step_for(24 * 3_600_000, 1000), 60_000);
        assert_eq!(step_for(31 * 24 * 3_600_000, 1000), 1_800_000);
    }

    #[test]
    fn rows_are_cut_to_the_span_and_a_figure_that_is_not_there_is_unknown() {
        let mut rows = TimeSeries::default();
        for second in 0..10_i64 {
            rows.push(second * 1000, [("a", second as f64)], 9);
        }
        let mut cut = Picked::new(2);
        cut.take(&rows, &["a".to_owned(), "b".to_owned()], 3000, 5000);
        assert_eq!(cut.times, [3000, 4000]);
        assert_eq!(cut.columns[0], [3.0, 4.0]);
        assert!(cut.columns[1].iter().all(|value| value.is_nan()));
    }
}
