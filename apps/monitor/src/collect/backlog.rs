//! What a reporting host keeps while the server cannot be reached.
//!
//! Invariant: samples leave in the order in which they came, and only when the server has said that it has
//! them.

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
    waiting: VecDeque<Sample>,
    dropped: u64,
}

impl Backlog {
    /// Takes a sample in.
    pub fn push(&mut self, sample: Sample) {
        if self.waiting.len() >= REPORT_MAX {
            self.waiting.pop_front();
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

    /// The next report, and the time of the newest sample in it; `None` if nothing waits.
    #[must_use]
    pub fn next(&self, now_ms: i64) -> Option<(Value, i64)> {
        let samples: Vec<&Sample> = self.waiting.iter().take(REPORT_SAMPLES_MAX).collect();
        let newest = samples.last()?.time;
        Some((json!({ "sent_at": iso(Timestamp::from_millis(now_ms)), "samples": samples }), newest))
    }

    /// The server has everything up to that time.
    pub fn sent(&mut self, newest: i64) {
        while self.waiting.front().is_some_and(|sample| sample.time <= newest) {
            self.waiting.pop_front();
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
        let (report, newest) = backlog.next(5000).expect("three wait");
        assert_eq!((report["samples"].as_array().map(Vec::len), newest), (Some(3), 3000));
        backlog.push(sample(4000, 1.0));
        backlog.sent(newest);
        assert_eq!(backlog.next(5000).map(|(_, newest)| newest), Some(4000));
        backlog.sent(4000);
        assert!(backlog.is_empty() && backlog.next(5000).is_none());
    }

    #[test]
    fn memory_is_bounded_while_the_server_is_away() {
        let mut backlog = Backlog::default();
        (0..REPORT_MAX as i64 + 5).for_each(|second| backlog.push(sample(second * 1000, 1.0)));
        assert_eq!((backlog.len(), backlog.take_dropped(), backlog.take_dropped()), (REPORT_MAX, 5, 0));
    }
}
