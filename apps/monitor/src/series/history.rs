//! The history of one host: what is in memory, and where in the log the rest is.
//!
//! ```text
//! blocks of minutes (a month) ──────────────────────────┐ minutes, open hour
//!                    blocks of samples (a day) ─────────┴──────┐ samples, open ten minutes
//!                                                               ▲ push
//! ```
//!
//! Times need not rise: a clock that went back begins a new run, whose rows follow those of before and count
//! over them where both tell of one time (`Picked::in_order`).
//!
//! Invariants:
//! - A row is in exactly one place: open, waiting to be written, or in a block of the log.
//! - What is new is known by its offset, never by its time.
//! - Memory is bounded: ten minutes of samples, an hour of minutes, a few blocks that wait for a full disk,
//!   and 24 bytes a block in the log.

use std::collections::{BTreeSet, VecDeque};

use anywire_log::Offset;

use super::time_series::TimeSeries;

/// How much time one block of samples covers.
const SAMPLES_MS: i64 = 600_000;
/// How much time one block of minutes covers.
const MINUTES_MS: i64 = 3_600_000;
pub(crate) const MINUTE_MS: i64 = 60_000;
/// The most rows of an open block: twice as many as the shortest interval fills ten minutes with. A clock
/// that keeps going back could else fill memory.
const OPEN_ROWS_MAX: usize = 4800;
/// Blocks that could not be written yet; past it the oldest is dropped, and its time is a hole.
const WAITING_MAX: usize = 12;

/// What a block covers, without its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHead {
    /// The newest sample in it.
    pub(crate) through: Offset,
    /// Its earliest time.
    pub(crate) first: i64,
    /// Its latest time.
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
    /// The newest sample in it.
    through: Offset,
    /// The time of the newest row.
    newest: Option<i64>,
}

impl Resolution {
    fn push<N: AsRef<str>>(
        &mut self,
        time: i64,
        metrics: impl IntoIterator<Item = (N, f64)>,
        place: (Offset, i64, usize),
    ) {
        let (through, block_ms, columns_max) = place;
        let other = |first: i64| first.div_euclid(block_ms) != time.div_euclid(block_ms);
        if self.open.first().is_some_and(other) || self.open.times().len() >= OPEN_ROWS_MAX {
            self.close();
        }
        self.through = through;
        self.newest = Some(time);
        self.open.push(time, metrics, columns_max);
    }

    /// Whether `now` is beyond what the open block covers.
    fn is_over(&self, now: i64, block_ms: i64) -> bool {
        self.open.first().is_some_and(|first| first.div_euclid(block_ms) < now.div_euclid(block_ms))
    }

    fn close(&mut self) {
        self.waiting.push_back(Waiting { rows: std::mem::take(&mut self.open), through: self.through });
        if self.waiting.len() > WAITING_MAX {
            tracing::warn!("history could not be written for too long: a block is dropped");
            self.waiting.pop_front();
        }
    }

    /// The time of the newest row.
    pub(crate) fn last(&self) -> Option<i64> {
        self.newest
    }

    /// The oldest block that waits to be written.
    pub(crate) fn waiting(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    /// A block is in the log: its rows are in memory no more.
    pub(crate) fn written(&mut self, offset: Offset, head: BlockHead) {
        while self.waiting.front().is_some_and(|waiting| waiting.through <= head.through) {
            self.waiting.pop_front();
        }
        if self.through <= head.through {
            self.open = TimeSeries::default();
        }
        if self.newest.is_none() || self.through < head.through {
            self.newest = Some(head.last);
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
        self.blocks.retain(|block| block.last >= time);
    }

    /// Blocks of the log with rows from `from` to before `to`.
    pub(crate) fn blocks(&self, from: i64, to: i64) -> Vec<BlockPlace> {
        self.blocks.iter().filter(|block| block.last >= from && block.first < to).copied().collect()
    }

    /// What is in memory, in the order in which it came.
    pub(crate) fn in_memory(&self) -> impl Iterator<Item = &TimeSeries> {
        self.waiting.iter().map(|waiting| &waiting.rows).chain([&self.open])
    }

    /// The time of the oldest row; blocks that end before `kept_from` are gone, or about to go.
    pub(crate) fn oldest(&self, kept_from: i64) -> Option<i64> {
        let written = self.blocks.iter().map(|block| (block.first, block.last));
        let all = written.chain(self.in_memory().filter_map(TimeSeries::span));
        all.filter(|(_, last)| *last >= kept_from).map(|(first, _)| first).min()
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

    /// Takes a sample in; `false` if it is in already.
    pub(crate) fn push<N: AsRef<str>>(
        &mut self,
        time: i64,
        metrics: impl IntoIterator<Item = (N, f64)>,
        offset: Offset,
    ) -> bool {
        if offset <= self.samples.through {
            // At a start the newest sample of a block is read once more: it says where the clock stood.
            self.samples.newest =
                Some(time).filter(|_| offset == self.samples.through).or(self.samples.newest);
            return false;
        }
        let other = |last: &i64| last.div_euclid(MINUTE_MS) != time.div_euclid(MINUTE_MS);
        if let Some(last) = self.samples.last().filter(other) {
            // Before the push: the open rows still hold the whole of the minute that is over.
            self.end_minute(last.div_euclid(MINUTE_MS) * MINUTE_MS);
        }
        self.samples.push(time, metrics, (offset, SAMPLES_MS, self.metrics_max));
        true
    }

    /// Time has passed without a sample: what is over is closed, so that it gets into the log.
    pub(crate) fn pass(&mut self, now: i64) {
        if let Some(last) =
            self.samples.last().filter(|last| now.div_euclid(MINUTE_MS) > last.div_euclid(MINUTE_MS))
        {
            self.end_minute(last.div_euclid(MINUTE_MS) * MINUTE_MS);
        }
        if self.samples.is_over(now, SAMPLES_MS) {
            self.samples.close();
        }
        if self.minutes.is_over(now, MINUTES_MS) {
            self.minutes.close();
        }
    }

    /// Whether a block is to be written: full, or over by `now`.
    pub(crate) fn is_due(&self, now: Option<i64>) -> bool {
        let over = |now| self.samples.is_over(now, SAMPLES_MS) || self.minutes.is_over(now, MINUTES_MS);
        self.samples.waiting().is_some() || self.minutes.waiting().is_some() || now.is_some_and(over)
    }

    /// A block of samples is in the log. With its rows its last minute ends here, unless a sample ended it.
    pub(crate) fn samples_written(&mut self, offset: Offset, head: BlockHead) {
        if self.minutes.through < head.through {
            self.end_minute(head.last.div_euclid(MINUTE_MS) * MINUTE_MS);
        }
        self.samples.written(offset, head);
    }

    fn end_minute(&mut self, minute: i64) {
        let metrics = self.minute_of(minute);
        self.push_minute(minute, &metrics, self.samples.through);
    }

    fn push_minute(&mut self, minute: i64, metrics: &[(String, f64)], through: Offset) {
        if !metrics.is_empty() {
            let metrics = metrics.iter().map(|(name, value)| (name, *value));
            self.minutes.push(minute, metrics, (through, MINUTES_MS, self.metrics_max * 3));
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
        let mut newest_first: Vec<&TimeSeries> = self.samples.in_memory().collect();
        newest_first.reverse();
        let rows =
            newest_first.into_iter().find(|rows| rows.times().iter().rev().any(|time| is_in(*time, minute)));
        rows.map(|rows| minute_metrics(rows, minute)).unwrap_or_default()
    }

    /// Whether the minutes of a block of samples are known.
    pub(crate) fn has_minutes(&self, head: BlockHead) -> bool {
        match self.minutes.through {
            // Blocks of minutes of older releases do not say through which sample they are.
            Offset::ZERO => self.minutes.last().is_some_and(|last| head.last < last + MINUTE_MS),
            through => head.through <= through,
        }
    }

    /// At the start: the minutes of a block of samples.
    pub(crate) fn minutes_from(&mut self, rows: &TimeSeries, head: BlockHead) {
        let minutes: BTreeSet<i64> = rows.times().iter().map(|time| time.div_euclid(MINUTE_MS)).collect();
        for minute in minutes.into_iter().map(|minute| minute * MINUTE_MS) {
            let metrics = minute_metrics(rows, minute);
            self.push_minute(minute, &metrics, head.through);
        }
    }
}

fn is_in(time: i64, minute: i64) -> bool {
    time.div_euclid(MINUTE_MS) * MINUTE_MS == minute
}

fn minute_metrics(rows: &TimeSeries, minute: i64) -> Vec<(String, f64)> {
    let inside: Vec<bool> = rows.times().iter().map(|time| is_in(*time, minute)).collect();
    let mut metrics = Vec::new();
    for name in rows.names() {
        let values = || rows.values(name).unwrap_or_default().iter().zip(&inside);
        let known = || {
            values().filter(|(value, inside)| **inside && !value.is_nan()).map(|(value, _)| f64::from(*value))
        };
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
        assert!(!series.push(7_201_500, [("cpu", 1.0)], Offset::new(99)), "it is in already");
    }

    #[test]
    fn a_clock_that_went_back_begins_a_block_of_its_own_and_the_minutes_go_on() {
        let mut series = filled(3600..3661);
        for second in 0..61 {
            assert!(series.push(second * 1000, [("cpu", 7.0)], Offset::new(4000 + second as u64)));
        }
        let ahead = series.samples.waiting().expect("the run before is over");
        assert_eq!((ahead.rows.times().len(), ahead.through), (61, Offset::new(3661)));
        assert_eq!(series.samples.last(), Some(60_000));
        let minutes: Vec<i64> = series.minutes.in_memory().flat_map(|rows| rows.times().to_vec()).collect();
        assert_eq!(minutes, [3_600_000, 3_660_000, 0]);
        series.samples.written(
            Offset::new(5000),
            BlockHead { through: ahead.through, first: 3_600_000, last: 3_660_000 },
        );
        assert_eq!((series.samples.waiting().is_none(), series.samples.last()), (true, Some(60_000)));
        assert_eq!(series.samples.in_memory().map(|rows| rows.times().len()).sum::<usize>(), 61);
        assert_eq!(series.samples.oldest(0), Some(0));
    }

    #[test]
    fn a_clock_that_keeps_going_back_fills_no_memory() {
        let mut series = History::new(40);
        for offset in 1..=20_000_u64 {
            series.push(
                500_000 - i64::try_from(offset % 7).expect("small"),
                [("cpu", 1.0)],
                Offset::new(offset),
            );
        }
        assert!(series.samples.in_memory().all(|rows| rows.times().len() <= OPEN_ROWS_MAX));
    }

    #[test]
    fn minutes_are_the_same_whether_they_come_from_samples_or_from_a_block_of_them() {
        let live = filled(0..300);
        let mut again = History::new(40);
        let rows = live.samples.in_memory().next().expect("open").clone();
        again.minutes_from(&rows, BlockHead { through: Offset::new(300), first: 0, last: 299_000 });
        let of = |series: &History| {
            series.minutes.in_memory().next().expect("open").values("cpu").map(<[f32]>::to_vec)
        };
        assert_eq!(of(&live).expect("minutes")[..4], of(&again).expect("minutes")[..4]);
    }
}
