//! What a reporting host keeps while the server cannot be reached.
//!
//! Invariant: samples leave in the order in which they came, and only when the server has said that it has
//! them: by their number, since a clock that went back tells their times twice.

use std::collections::VecDeque;

use anywire_app::time::iso;
use anywire_log::Timestamp;
use serde_json::{Value, json};

use crate::domain::{REPORT_SAMPLES_MAX, Sample};

/// How many samples wait at most: an hour at one a second. Past it the oldest go; their time is a hole.
pub const REPORT_MAX: usize = 3600;

/// Samples that wait to be sent.
#[derive(Debug, Default)]
pub struct Backlog {
    instance: String,
    waiting: VecDeque<Sample>,
    /// How many are gone: the number of the first that waits.
    gone: u64,
    dropped: u64,
}

/// The next report.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// What is sent.
    pub report: Value,
    /// How many samples it holds.
    pub count: usize,
    /// How many are gone when the server has it.
    through: u64,
}

impl Backlog {
    /// Nothing waits yet; `instance` tells this reporter from others that use its name by mistake.
    #[must_use]
    pub fn of(instance: String) -> Self {
        Self { instance, ..Self::default() }
    }

    /// Takes a sample in.
    pub fn push(&mut self, sample: Sample) {
        if self.waiting.len() >= REPORT_MAX {
            self.waiting.pop_front();
            self.gone += 1;
            self.dropped += 1;
        }
        self.waiting.push_back(sample);
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many were given up since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The next report; `None` if nothing waits.
    #[must_use]
    pub fn next(&self, now_ms: i64) -> Option<Waiting> {
        let samples: Vec<&Sample> = self.waiting.iter().take(REPORT_SAMPLES_MAX).collect();
        let count = samples.len();
        let sent_at = iso(Timestamp::from_millis(now_ms));
        let report = json!({ "sent_at": sent_at, "instance": self.instance, "samples": samples });
        (count > 0).then_some(Waiting { report, count, through: self.gone + count as u64 })
    }

    /// The server has a report. What was dropped meanwhile may be some of it.
    pub fn sent(&mut self, report: &Waiting) {
        while self.gone < report.through && self.waiting.pop_front().is_some() {
            self.gone += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sample::tests::sample;

    #[test]
    fn what_was_not_sent_is_sent_again_in_order() {
        let mut backlog = Backlog::default();
        (1..=3).for_each(|second| backlog.push(sample(second * 1000, 1.0)));
        let first = backlog.next(5000).expect("three wait");
        assert_eq!((first.report["samples"].as_array().map(Vec::len), first.count), (Some(3), 3));
        backlog.push(sample(4000, 1.0));
        backlog.sent(&first);
        let second = backlog.next(5000).expect("one waits");
        assert_eq!(second.report["samples"][0]["time"], "1970-01-01T00:00:04.000Z");
        backlog.sent(&second);
        backlog.sent(&first);
        assert!(backlog.is_empty() && backlog.next(5000).is_none());
    }

    #[test]
    fn what_was_sent_is_gone_whatever_the_clock_did() {
        let mut backlog = Backlog::default();
        [9000, 3_600_000, 1000, 2000].iter().for_each(|time| backlog.push(sample(*time, 1.0)));
        let first = backlog.next(2000).expect("four wait");
        backlog.push(sample(500, 1.0));
        backlog.sent(&first);
        assert_eq!(backlog.len(), 1, "only what came after the report");
    }

    #[test]
    fn a_report_that_arrives_after_its_samples_were_dropped_takes_no_others_with_it() {
        let mut backlog = Backlog::default();
        (0..REPORT_MAX as i64).for_each(|second| backlog.push(sample(second * 1000, 1.0)));
        let first = backlog.next(0).expect("a report");
        (0..REPORT_MAX as i64).for_each(|second| backlog.push(sample(second * 1000, 1.0)));
        backlog.sent(&first);
        assert_eq!(backlog.len(), REPORT_MAX);
    }

    #[test]
    fn memory_is_bounded_while_the_server_is_away() {
        let mut backlog = Backlog::default();
        (0..REPORT_MAX as i64 + 5).for_each(|second| backlog.push(sample(second * 1000, 1.0)));
        assert_eq!((backlog.len(), backlog.take_dropped(), backlog.take_dropped()), (REPORT_MAX, 5, 0));
    }
}
