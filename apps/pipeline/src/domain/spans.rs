//! Which offsets of a partition were seen, so that none counts twice and none is left out.
//!
//! One number would do where one server reads a partition from its beginning. Where servers share a group,
//! partitions come and go: one that gets a partition back may get records behind those it had, and records
//! before them that it never had.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many spans are told apart. Marks of transactions are offsets that never come; each of them ends a
/// span.
const SPANS_MAX: usize = 64;

/// Offsets, as spans without a hole. What lies between the oldest spans counts as seen once there are too
/// many of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Spans {
    /// The first offset of each, with the one after its last.
    spans: BTreeMap<u64, u64>,
}

impl Spans {
    /// Whether an offset was seen.
    pub(crate) fn contains(&self, offset: u64) -> bool {
        self.spans.range(..=offset).next_back().is_some_and(|(_, end)| offset < *end)
    }

    /// Notes an offset. False when it was seen before.
    pub(crate) fn insert(&mut self, offset: u64) -> bool {
        if self.contains(offset) {
            return false;
        }
        let before = self.spans.range(..offset).next_back().filter(|(_, end)| **end == offset);
        let start = before.map_or(offset, |(start, _)| *start);
        let next = offset.saturating_add(1);
        let end = self.spans.remove(&next).unwrap_or(next);
        self.spans.insert(start, end);
        self.forget_holes();
        true
    }

    fn forget_holes(&mut self) {
        while self.spans.len() > SPANS_MAX {
            let oldest = self.spans.pop_first().zip(self.spans.pop_first());
            let Some(((start, _), (_, end))) = oldest else { return };
            self.spans.insert(start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(offsets: impl IntoIterator<Item = u64>) -> Spans {
        let mut spans = Spans::default();
        for offset in offsets {
            assert!(spans.insert(offset), "{offset} is new");
        }
        spans
    }

    #[test]
    fn what_comes_in_any_order_counts_once_and_grows_together() {
        let mut spans = seen([0, 1, 2, 7, 8, 4, 6, 5]);
        assert_eq!(spans.spans, BTreeMap::from([(0, 3), (4, 9)]));
        assert!(!spans.insert(5) && !spans.insert(0));
        assert!(!spans.contains(3) && !spans.contains(9));
        assert!(spans.insert(3));
        assert_eq!(spans.spans, BTreeMap::from([(0, 9)]));
    }

    #[test]
    fn holes_are_forgotten_from_the_oldest_on() {
        let holes = SPANS_MAX as u64 + 1;
        let spans = seen((0..holes).map(|number| number * 2));
        assert_eq!(spans.spans.len(), SPANS_MAX);
        assert!(spans.contains(1) && !spans.contains(3));
    }

    #[test]
    fn they_come_back_from_a_snapshot_as_they_were() {
        let spans = seen([0, 5]);
        let text = serde_json::to_string(&spans).expect("JSON");
        assert_eq!(serde_json::from_str::<Spans>(&text).expect("ours"), spans);
    }
}
