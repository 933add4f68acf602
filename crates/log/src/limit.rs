//! How much one read returns.

use std::sync::Arc;

use crate::{Event, Offset};

/// How much one read returns at most. It always returns at least one event where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// Events.
    pub events_max: usize,
    /// Payload bytes.
    pub bytes_max: usize,
}

impl Default for ReadLimit {
    fn default() -> Self {
        Self { events_max: 256, bytes_max: 256 << 10 }
    }
}

impl ReadLimit {
    /// Cuts what stands in `events` from `start` on, and returns the offset up to which it is complete.
    pub(crate) fn cut(self, events: &mut Vec<Arc<Event>>, start: usize, upto: Offset) -> Offset {
        let events_max = self.events_max.max(1);
        let mut bytes = 0;
        let mut kept = 0;
        for event in events[start..].iter().take(events_max) {
            bytes += event.payload.as_bytes().len();
            if kept > 0 && bytes > self.bytes_max {
                break;
            }
            kept += 1;
        }
        if start + kept == events.len() && kept < events_max {
            return upto;
        }
        events.truncate(start + kept);
        events.last().map_or(upto, |event| event.offset)
    }
}
