//! Metrics by time: rows in columns, in memory and packed into bytes.
//!
//! ```text
//! 01                    version
//! varint                rows n
//! zigzag                time of the first row, ms since 1970
//! n − 1 × zigzag        times: each step minus the step before it
//! varint                columns
//!   varint, bytes       its name
//!   f32 LE              its step: a stored 7 at step 0.1 is 0.7
//!   varint …            runs: known, unknown, known, … until n rows are named
//!   zigzag …            each known value in steps, minus the known value before it
//! ```
//! A second of thirty quiet metrics takes some forty bytes.
//!
//! Invariants:
//! - rows stand in the order in which they came: a clock that went back tells earlier times later;
//! - what is not known is NaN in memory, a run of unknown in bytes, never a number.

use std::{collections::HashMap, sync::Arc};

const VERSION: u8 = 1;
/// No block has more rows; the limit keeps broken bytes from asking for all memory.
const ROWS_MAX: u64 = 100_000;
const COLUMNS_MAX: u64 = 10_000;

/// Metrics by time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TimeSeries {
    times: Vec<i64>,
    columns: Vec<Column>,
    by_name: HashMap<Arc<str>, usize>,
}

#[derive(Debug, Clone, PartialEq)]
struct Column {
    name: Arc<str>,
    values: Vec<f32>,
}

/// Why bytes are no rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a block of history is damaged at byte {at}")]
pub(crate) struct Damaged {
    at: usize,
}

/// A value as it comes back from a block. What is in memory is rounded like that, too: minutes that are made
/// of it are the same before and after a restart.
pub(crate) fn rounded(value: f64, step: f64) -> f64 {
    let step = step as f32;
    f64::from(of_steps(in_steps(value as f32, step), step))
}

fn in_steps(value: f32, step: f32) -> i64 {
    (f64::from(value) / f64::from(step)).round() as i64
}

fn of_steps(steps: i64, step: f32) -> f32 {
    (steps as f64 * f64::from(step)) as f32
}

impl TimeSeries {
    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    pub(crate) fn first(&self) -> Option<i64> {
        self.times.first().copied()
    }

    /// The earliest and the latest time.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        self.times.iter().min().copied().zip(self.times.iter().max().copied())
    }

    /// The values of a metric, one a row; `None` if no row has it.
    pub(crate) fn values(&self, name: &str) -> Option<&[f32]> {
        self.by_name.get(name).map(|at| self.columns[*at].values.as_slice())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.columns.iter().map(|column| &column.name)
    }

    /// Adds a row. A new metric beyond `columns_max` is left out.
    pub(crate) fn push<N: AsRef<str>>(
        &mut self,
        time: i64,
        metrics: impl IntoIterator<Item = (N, f64)>,
        columns_max: usize,
    ) {
        let row = self.times.len();
        self.times.push(time);
        for (name, value) in metrics {
            if let Some(column) = self.column(name.as_ref(), columns_max) {
                column.values.resize(row, f32::NAN);
                column.values.push(value as f32);
            }
        }
        for column in &mut self.columns {
            column.values.resize(row + 1, f32::NAN);
        }
    }

    fn column(&mut self, name: &str, columns_max: usize) -> Option<&mut Column> {
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None if self.columns.len() < columns_max => {
                let name: Arc<str> = Arc::from(name);
                self.by_name.insert(Arc::clone(&name), self.columns.len());
                self.columns.push(Column { name, values: Vec::new() });
                self.columns.len() - 1
            }
            None => return None,
        };
        self.columns.get_mut(at)
    }

    /// Packs the rows; `step` says in which steps a metric is kept.
    pub(crate) fn encode(&self, step: impl Fn(&str) -> f64) -> Vec<u8> {
        let mut out = vec![VERSION];
        put(&mut out, self.times.len() as u64);
        put_signed(&mut out, self.first().unwrap_or_default());
        let mut before = 0;
        for pair in self.times.windows(2) {
            let distance = pair[1] - pair[0];
            put_signed(&mut out, distance - before);
            before = distance;
        }
        put(&mut out, self.columns.len() as u64);
        for column in &self.columns {
            put(&mut out, column.name.len() as u64);
            out.extend_from_slice(column.name.as_bytes());
            let step = step(&column.name) as f32;
            out.extend_from_slice(&step.to_le_bytes());
            column.encode(step, &mut out);
        }
        out
    }

    /// Unpacks rows.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut input = Input { bytes, at: 0 };
        if input.byte()? != VERSION {
            return Err(input.damaged());
        }
        let count = input.count(ROWS_MAX)?;
        let mut rows = Self { times: Vec::with_capacity(count), ..Self::default() };
        let (mut time, mut distance) = (input.signed()?, 0_i64);
        for row in 0..count {
            if row > 0 {
                distance = distance.wrapping_add(input.signed()?);
                time = time.wrapping_add(distance);
            }
            rows.times.push(time);
        }
        for _ in 0..input.count(COLUMNS_MAX)? {
            let column = Column::decode(&mut input, count)?;
            rows.by_name.insert(Arc::clone(&column.name), rows.columns.len());
            rows.columns.push(column);
        }
        Ok(rows)
    }
}

impl Column {
    fn encode(&self, step: f32, out: &mut Vec<u8>) {
        let mut known = true;
        let mut run = 0;
        for value in &self.values {
            if value.is_nan() == known {
                put(out, run);
                known = !known;
                run = 0;
            }
            run += 1;
        }
        put(out, run);
        let mut before = 0;
        for value in self.values.iter().filter(|value| !value.is_nan()) {
            let steps = in_steps(*value, step);
            put_signed(out, steps.wrapping_sub(before));
            before = steps;
        }
    }

    fn decode(input: &mut Input<'_>, rows: usize) -> Result<Self, Damaged> {
        let length = input.count(1024)?;
        let name = std::str::from_utf8(input.take(length)?).map_err(|_| input.damaged())?.into();
        let step = f32::from_le_bytes(input.take(4)?.try_into().map_err(|_| input.damaged())?);
        let mut runs = Vec::new();
        let mut named = 0;
        while named < rows {
            let run = input.count(ROWS_MAX)?;
            // Only the first run may be empty: a column that begins unknown.
            if run > rows - named || (run == 0 && !runs.is_empty()) {
                return Err(input.damaged());
            }
            runs.push(run);
            named += run;
        }
        if rows == 0 {
            input.count(0)?;
        }
        let mut values = Vec::with_capacity(rows);
        let mut steps = 0_i64;
        for (index, run) in runs.into_iter().enumerate() {
            if index % 2 == 1 {
                values.resize(values.len() + run, f32::NAN);
                continue;
            }
            for _ in 0..run {
                steps = steps.wrapping_add(input.signed()?);
                values.push(of_steps(steps, step));
            }
        }
        Ok(Self { name, values })
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn damaged(&self) -> Damaged {
        Damaged { at: self.at }
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.damaged())?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let found = self.bytes.get(self.at..self.at + length).ok_or_else(|| self.damaged())?;
        self.at += length;
        Ok(found)
    }

    fn unsigned(&mut self) -> Result<u64, Damaged> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    fn signed(&mut self) -> Result<i64, Damaged> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    fn count(&mut self, max: u64) -> Result<usize, Damaged> {
        let count = self.unsigned()?;
        if count > max {
            return Err(self.damaged());
        }
        usize::try_from(count).map_err(|_| self.damaged())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(name: &str) -> f64 {
        if name == "bytes" { 4096.0 } else { 0.1 }
    }

    #[test]
    fn a_figure_that_comes_later_or_goes_is_unknown_meanwhile() {
        let mut rows = TimeSeries::default();
        rows.push(1000, [("a", 1.0)], 9);
        rows.push(2000, [("a", 2.0), ("b", 3.5)], 9);
        rows.push(3000, [("b", 4.0)], 9);
        let again = TimeSeries::decode(&rows.encode(step)).expect("whole");
        assert_eq!(again.times(), [1000, 2000, 3000]);
        assert_eq!(&again.values("a").expect("a")[..2], [1.0, 2.0]);
        assert!(again.values("a").expect("a")[2].is_nan());
        assert!(again.values("b").expect("b")[0].is_nan());
        assert_eq!(&again.values("b").expect("b")[1..], [3.5, 4.0]);
        assert_eq!(again.values("c"), None);
    }

    #[test]
    fn a_clock_that_goes_back_is_kept_as_it_went() {
        let mut rows = TimeSeries::default();
        for time in [9000, 10_000, 3000, 4000, 4000] {
            rows.push(time, [("a", time as f64 / 1000.0)], 9);
        }
        let again = TimeSeries::decode(&rows.encode(step)).expect("whole");
        assert_eq!(again.times(), [9000, 10_000, 3000, 4000, 4000]);
        assert_eq!(again.values("a"), Some(&[9.0, 10.0, 3.0, 4.0, 4.0][..]));
        assert_eq!(again.span(), Some((3000, 10_000)));
    }

    #[test]
    fn figures_beyond_the_limit_are_left_out() {
        let mut rows = TimeSeries::default();
        rows.push(1, [("a", 1.0), ("b", 2.0), ("c", 3.0)], 2);
        assert_eq!(rows.names().map(|name| name.to_string()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn ten_minutes_of_thirty_figures_take_less_than_fifty_bytes_a_second() {
        let mut rows = TimeSeries::default();
        for second in 0..600_i64 {
            let wave = |figure: i64| ((second * 7 + figure * 13) % 90) as f64 / 10.0 + 20.0;
            rows.push(second * 1000, (0..30).map(|figure| (format!("f{figure}"), wave(figure))), 99);
        }
        let bytes = rows.encode(step).len();
        assert!(bytes < 600 * 50, "{bytes}");
    }

    #[test]
    fn broken_bytes_are_an_error_and_never_a_panic() {
        let mut rows = TimeSeries::default();
        rows.push(5, [("a", 1.0)], 9);
        rows.push(9, [("b", 1.0)], 9);
        let whole = rows.encode(step);
        for length in 0..whole.len() {
            assert!(TimeSeries::decode(&whole[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _either = TimeSeries::decode(&bytes);
        }

        #[test]
        fn values_come_back_within_half_a_step(
            values in proptest::collection::vec(proptest::option::of(0.0_f64..100_000.0), 1..50)
        ) {
            let mut rows = TimeSeries::default();
            for (row, value) in values.iter().enumerate() {
                rows.push(row as i64 * 1000 + (row as i64 % 3), value.map(|value| ("x", value)), 9);
            }
            let again = TimeSeries::decode(&rows.encode(step)).expect("whole");
            prop_assert_eq!(again.times(), rows.times());
            for (row, value) in values.iter().enumerate() {
                let found = again.values("x").map_or(f32::NAN, |all| all[row]);
                match value {
                    Some(value) => prop_assert!((f64::from(found) - value).abs() <= 0.06, "{} {}", found, value),
                    None => prop_assert!(found.is_nan()),
                }
            }
        }
    }
}
