//! The history of one host: what is in memory, and where in the log the rest is.
//!
//! ```text
//! blocks of minutes (a month) ──────────────────────────┐ minutes, open hour
//!                    blocks of samples (a day) ─────────┴──────┐ samples, open ten minutes
//!                                                               ▲ push
//! ```
//!
//! Invariants:
//! - A row is in exactly one place: open, waiting to be written, or in a block of the log.
//! - Memory is bounded: ten minutes of samples, an hour of minutes, a few blocks that wait for a full disk,
//!   and 24 bytes a block in the log.

use std::collections::VecDeque;

use anywire_log::Offset;

use super::time_series::TimeSeries;

/// How much time one block of samples covers.
const SAMPLES_MS: i64 = 600_000;
/// How much time one block of minutes covers.
const MINUTES_MS: i64 = 3_600_000;
pub(crate) const MINUTE_MS: i64 = 60_000;
/// Blocks that could not be written yet; past it the oldest is dropped, and its time is a hole.
const WAITING_MAX: usize = 12;

/// What a block covers, without its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHead {
    /// The newest sample in it.
    pub(crate) through: Offset,
    /// The time of its first row.
    pub(crate) first: i64,
    /// The time of its last row.
    pub(crate) last: i64,
}

/// Where a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockPlace {
    pub(crate) offset: Offset,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// A full block that is not in the log yet.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) rows: TimeSeries,
    pub(crate) through: Offset,
}

/// One resolution of one host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resolution {
    blocks: VecDeque<BlockPlace>,
    waiting: VecDeque<Waiting>,
    open: TimeSeries,
    through: Offset,
}

impl Resolution {
    fn push<N: AsRef<str>>(
        &mut self,
        time: i64,
        metrics: impl IntoIterator<Item = (N, f64)>,
        place: (Offset, i64, usize),
    ) -> bool {
        let (through, block_ms, columns_max) = place;
        if self.last().is_some_and(|last| time <= last) {
            return false;
        }
        self.close_before(time, block_ms);
        self.through = through;
        self.open.push(time, metrics, columns_max)
    }

    /// Whether `time` is beyond what the open block covers.
    fn is_over(&self, time: i64, block_ms: i64) -> bool {
        self.open.first().is_some_and(|first| first.div_euclid(block_ms) < time.div_euclid(block_ms))
    }

    /// Closes the open block if `time` is beyond what it covers.
    fn close_before(&mut self, time: i64, block_ms: i64) {
        if self.is_over(time, block_ms) {
            self.waiting.push_back(Waiting { rows: std::mem::take(&mut self.open), through: self.through });
            if self.waiting.len() > WAITING_MAX {
                tracing::warn!("history could not be written for too long: a block is dropped");
                self.waiting.pop_front();
            }
        }
    }

    /// The time of the newest row.
    pub(crate) fn last(&self) -> Option<i64> {
        let waiting = self.waiting.back().and_then(|waiting| waiting.rows.last());
        self.open.last().or(waiting).or_else(|| self.blocks.back().map(|block| block.last))
    }

    /// The oldest block that waits to be written.
    pub(crate) fn waiting(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    /// A block is in the log: its rows are in memory no more.
    pub(crate) fn written(&mut self, offset: Offset, head: BlockHead) {
        let contains = |rows: &TimeSeries| rows.last().is_none_or(|last| last <= head.last);
        while self.waiting.front().is_some_and(|waiting| contains(&waiting.rows)) {
            self.waiting.pop_front();
        }
        if contains(&self.open) {
            self.open = TimeSeries::default();
        }
        self.through = self.through.max(head.through);
        self.blocks.push_back(BlockPlace { offset, first: head.first, last: head.last });
    }

    /// The newest sample that a block holds.
    pub(crate) fn through(&self) -> Offset {
        self.through
    }

    /// Forgets blocks that retention removed: those whose newest row is before `time`.
    pub(crate) fn forget_before(&mut self, time: i64) {
        while self.blocks.front().is_some_and(|block| block.last < time) {
            self.blocks.pop_front();
        }
    }

    /// Blocks of the log with rows from `from` to before `to`.
    pub(crate) fn blocks(&self, from: i64, to: i64) -> Vec<BlockPlace> {
        self.blocks.iter().filter(|block| block.last >= from && block.first < to).copied().collect()
    }

    /// What is in memory, oldest first.
    pub(crate) fn in_memory(&self) -> impl Iterator<Item = &TimeSeries> {
        self.waiting.iter().map(|waiting| &waiting.rows).chain([&self.open])
    }

    /// The time of the oldest row; blocks that end before `kept_from` are gone, or about to go.
    pub(crate) fn oldest(&self, kept_from: i64) -> Option<i64> {
        let kept = self.blocks.iter().find(|block| block.last >= kept_from);
        kept.map(|block| block.first).or_else(|| self.in_memory().find_map(TimeSeries::first))
    }

    /// Whether it has anything from `from` to before `to`.
    fn tells(&self, from: i64, to: i64) -> bool {
        let inside = |rows: &TimeSeries| rows.times().iter().any(|time| (from..to).contains(time));
        // A block may begin before an empty span and end after it.
        from < to
            && (self.blocks.iter().any(|block| block.last >= from && block.first < to)
                || self.in_memory().any(inside))
    }
}

/// Both resolutions of one host.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) samples: Resolution,
    pub(crate) minutes: Resolution,
    metrics_max: usize,
}

impl History {
    pub(crate) fn new(metrics_max: usize) -> Self {
        Self { samples: Resolution::default(), minutes: Resolution::default(), metrics_max }
    }

    /// Takes a sample in; `false` if it is not newer than the last one.
    pub(crate) fn push<N: AsRef<str>>(
        &mut self,
        time: i64,
        metrics: impl IntoIterator<Item = (N, f64)>,
        offset: Offset,
    ) -> bool {
        let last = self.samples.last();
        if last.is_some_and(|last| time <= last) {
            return false;
        }
        if let Some(last) = last.filter(|last| last.div_euclid(MINUTE_MS) < time.div_euclid(MINUTE_MS)) {
            // Before the push: the open rows still hold the whole of the minute that is over.
            self.end_minute(last.div_euclid(MINUTE_MS) * MINUTE_MS);
        }
        self.samples.push(time, metrics, (offset, SAMPLES_MS, self.metrics_max))
    }

    /// Time has passed without a sample: what is over is closed, so that it gets into the log.
    pub(crate) fn pass(&mut self, now: i64) {
        if let Some(last) =
            self.samples.last().filter(|last| now.div_euclid(MINUTE_MS) > last.div_euclid(MINUTE_MS))
        {
            self.end_minute(last.div_euclid(MINUTE_MS) * MINUTE_MS);
        }
        self.samples.close_before(now, SAMPLES_MS);
        self.minutes.close_before(now, MINUTES_MS);
    }

    /// Whether a block is to be written: full, or over by `now`.
    pub(crate) fn is_due(&self, now: Option<i64>) -> bool {
        let over = |now| self.samples.is_over(now, SAMPLES_MS) || self.minutes.is_over(now, MINUTES_MS);
        self.samples.waiting().is_some() || self.minutes.waiting().is_some() || now.is_some_and(over)
    }

    /// A block of samples is in the log. With its rows its last minute ends here, unless a sample ended it.
    pub(crate) fn samples_written(&mut self, offset: Offset, head: BlockHead) {
        let minute = head.last.div_euclid(MINUTE_MS) * MINUTE_MS;
        if self.minutes.last().is_none_or(|done| done < minute) {
            self.end_minute(minute);
        }
        self.samples.written(offset, head);
    }

    fn end_minute(&mut self, minute: i64) {
        let metrics = self.minute_of(minute);
        self.push_minute(minute, &metrics);
    }

    fn push_minute(&mut self, minute: i64, metrics: &[(String, f64)]) {
        if !metrics.is_empty() {
            let metrics = metrics.iter().map(|(name, value)| (name, *value));
            self.minutes.push(minute, metrics, (Offset::ZERO, MINUTES_MS, self.metrics_max * 3));
        }
    }

    /// Whether there are minutes of a part of this span of which samples are kept no longer. Asked finer it
    /// would look like a hole.
    pub(crate) fn only_minutes_tell(&self, from: i64, to: i64, samples_kept_from: i64) -> bool {
        let oldest = self.samples.oldest(samples_kept_from).unwrap_or(i64::MAX);
        // The minute in which the oldest sample lies begins before it, but says nothing more.
        self.minutes.tells(from, to.min(oldest.saturating_sub(MINUTE_MS - 1)))
    }

    /// Least, mean and greatest of each metric in a minute, of the rows in memory: the current minute, or one
    /// that just ended.
    pub(crate) fn minute_of(&self, minute: i64) -> Vec<(String, f64)> {
        let Some(rows) = self.samples.in_memory().find(|rows| spans(rows, minute)) else { return Vec::new() };
        minute_metrics(rows, minute)
    }

    /// At the start: minutes that were over but not in a block yet, from a block of samples.
    pub(crate) fn minutes_from(&mut self, rows: &TimeSeries) {
        let Some((first, last)) = rows.first().zip(rows.last()) else { return };
        let known = self.minutes.last().unwrap_or(i64::MIN);
        for minute in first.div_euclid(MINUTE_MS)..=last.div_euclid(MINUTE_MS) {
            let minute = minute * MINUTE_MS;
            if minute > known {
                let metrics = minute_metrics(rows, minute);
                self.push_minute(minute, &metrics);
            }
        }
    }
}

fn spans(rows: &TimeSeries, minute: i64) -> bool {
    let inside = |time: &i64| (minute..minute + MINUTE_MS).contains(time);
    rows.last().as_ref().is_some_and(inside) || rows.times().iter().rev().any(inside)
}

fn minute_metrics(rows: &TimeSeries, minute: i64) -> Vec<(String, f64)> {
    let start = rows.times().partition_point(|time| *time < minute);
    let end = rows.times().partition_point(|time| *time < minute + MINUTE_MS);
    let mut metrics = Vec::new();
    for name in rows.names() {
        let values = rows.values(name).unwrap_or_default().get(start..end).unwrap_or_default();
        let known = || values.iter().filter(|value| !value.is_nan()).map(|value| f64::from(*value));
        let count = known().count();
        if count > 0 {
            metrics.push((name.to_string(), known().sum::<f64>() / count as f64));
            metrics.push((format!("{name}<"), known().fold(f64::INFINITY, f64::min)));
            metrics.push((format!("{name}>"), known().fold(f64::NEG_INFINITY, f64::max)));
        }
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(seconds: std::ops::Range<i64>) -> History {
        let mut series = History::new(40);
        for second in seconds {
            series.push(second * 1000, [("cpu", second as f64)], Offset::new(second as u64 + 1));
        }
        series
    }

    #[test]
    fn ten_minutes_are_a_block_that_knows_its_newest_sample() {
        let mut series = filled(0..601);
        let block = series.samples.waiting().expect("full");
        assert_eq!((block.rows.times().len(), block.through), (600, Offset::new(600)));
        let head = BlockHead { through: block.through, first: 0, last: 599_000 };
        series.samples.written(Offset::new(700), head);
        assert!(series.samples.waiting().is_none());
        assert_eq!(
            series.samples.blocks(0, 1000),
            [BlockPlace { offset: Offset::new(700), first: 0, last: 599_000 }]
        );
        assert_eq!(series.samples.blocks(599_001, 700_000), []);
        assert_eq!(series.samples.last(), Some(600_000));
    }

    #[test]
    fn a_minute_has_the_least_the_mean_and_the_greatest() {
        let series = filled(0..61);
        let minutes = series.minutes.in_memory().next().expect("open");
        assert_eq!(minutes.times(), [0]);
        assert_eq!(minutes.values("cpu"), Some(&[29.5_f32][..]));
        assert_eq!(
            (minutes.values("cpu<"), minutes.values("cpu>")),
            (Some(&[0.0_f32][..]), Some(&[59.0_f32][..]))
        );
    }

    #[test]
    fn a_host_that_falls_silent_has_its_blocks_closed_all_the_same() {
        let mut series = filled(0..90);
        series.pass(7_200_000);
        assert_eq!(series.samples.waiting().map(|block| block.rows.times().len()), Some(90));
        assert_eq!(series.minutes.waiting().map(|block| block.rows.times().to_vec()), Some(vec![0, 60_000]));
        assert!(series.push(7_200_500, [("cpu", 1.0)], Offset::new(99)));
        assert!(!series.push(7_200_500, [("cpu", 1.0)], Offset::new(100)), "not newer");
    }

    #[test]
    fn minutes_are_the_same_whether_they_come_from_samples_or_from_a_block_of_them() {
        let live = filled(0..300);
        let mut again = History::new(40);
        let rows = live.samples.in_memory().next().expect("open").clone();
        again.minutes_from(&rows);
        let of = |series: &History| {
            series.minutes.in_memory().next().expect("open").values("cpu").map(<[f32]>::to_vec)
        };
        assert_eq!(of(&live).expect("minutes")[..4], of(&again).expect("minutes")[..4]);
    }
}
