//! What the process keeps of requests that have not come whole: bodies on their way, halves of messages,
//! attachments whose packet is not complete. Each has a limit of its own; this is the one of all together, so
//! that many who begin and never end fill no memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use anywire_protocol::{Code, Refusal};

use crate::{config::LimitsConfig, metrics::Metrics};

/// How much is kept.
#[derive(Debug)]
pub(crate) struct Unfinished {
    bytes_max: usize,
    metrics: Arc<Metrics>,
}

/// What one request or connection keeps; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Kept {
    unfinished: Arc<Unfinished>,
    bytes: usize,
}

impl Unfinished {
    /// One request alone always fits, if its own limit lets it.
    pub(crate) fn new(limits: &LimitsConfig, metrics: Arc<Metrics>) -> Arc<Self> {
        let bytes_max = limits.unfinished_bytes_max.max(limits.request_bytes_max);
        Arc::new(Self { bytes_max, metrics })
    }

    /// Nothing yet, of somebody who may come to keep something.
    pub(crate) fn keep_nothing(self: &Arc<Self>) -> Kept {
        Kept { unfinished: Arc::clone(self), bytes: 0 }
    }

    fn bytes(&self) -> &AtomicUsize {
        &self.metrics.unfinished_bytes
    }
}

impl Kept {
    /// From now on so many bytes are kept; or they are too many with those of all others. Then what is kept
    /// has to be given up.
    ///
    /// # Errors
    /// `busy`, with the setting.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), Refusal> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            if bytes < before {
                self.unfinished.bytes().fetch_sub(before - bytes, Relaxed);
            }
            return Ok(());
        }
        let added = bytes - before;
        let all = self.unfinished.bytes().fetch_add(added, Relaxed) + added;
        if all <= self.unfinished.bytes_max {
            return Ok(());
        }
        self.give_back();
        self.unfinished.metrics.unfinished_refused.fetch_add(1, Relaxed);
        let message = format!(
            "{all} bytes of requests that have not come whole are kept, the limit is {} \
             (limits.unfinished_bytes_max); send it again later",
            self.unfinished.bytes_max
        );
        Err(Refusal::new(Code::Busy, message))
    }

    fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes > 0 {
            self.unfinished.bytes().fetch_sub(bytes, Relaxed);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_counted_until_it_is_given_back() {
        let limits =
            LimitsConfig { unfinished_bytes_max: 100, request_bytes_max: 10, ..LimitsConfig::default() };
        let unfinished = Unfinished::new(&limits, Arc::default());
        let all = || unfinished.bytes().load(Relaxed);
        let (mut one, mut other) = (unfinished.keep_nothing(), unfinished.keep_nothing());
        assert!(one.set(60).is_ok() && other.set(40).is_ok());
        assert_eq!(all(), 100);
        let refusal = other.set(41).expect_err("too many");
        assert_eq!((refusal.code, all()), (Code::Busy, 60), "what it kept is given up");
        assert!(refusal.message.contains("limits.unfinished_bytes_max"), "{refusal}");
        assert!(other.set(0).is_ok() && one.set(10).is_ok());
        assert_eq!(all(), 10);
        drop(one);
        assert_eq!(all(), 0);
        assert_eq!(unfinished.metrics.unfinished_refused.load(Relaxed), 1);
    }

    #[test]
    fn one_request_alone_always_fits() {
        let limits =
            LimitsConfig { unfinished_bytes_max: 100, request_bytes_max: 1000, ..LimitsConfig::default() };
        assert!(Unfinished::new(&limits, Arc::default()).keep_nothing().set(1000).is_ok());
    }
}
