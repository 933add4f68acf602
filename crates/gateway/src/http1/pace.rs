//! How slowly a body may come: some bytes every few seconds, and over half a minute not fewer than a modem
//! sends. A large upload may take as long as it goes on; who sends a byte now and then holds nothing for
//! long.

use std::time::Duration;

use anywire_protocol::{Code, Refusal};

/// How long nothing at all may come.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// How long fewer bytes may come than have to.
const GRACE: Duration = Duration::from_secs(30);
/// How many bytes a second have to come.
const BYTES_PER_SECOND_MIN: u64 = 500;

/// The pace of one body. Only the time counts in which the client was waited for.
#[derive(Debug)]
pub(crate) struct Pace {
    credit: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { credit: GRACE }
    }
}

impl Pace {
    /// How long the next bytes may take.
    pub(crate) fn patience(&self) -> Duration {
        self.credit.min(SILENCE_MAX)
    }

    /// So many bytes came after so long.
    pub(crate) fn came(&mut self, bytes: usize, waited: Duration) {
        let earned = Duration::from_micros(bytes as u64 * 1_000_000 / BYTES_PER_SECOND_MIN);
        self.credit = (self.credit.saturating_sub(waited) + earned).min(GRACE);
    }
}

/// What is said of a body that comes too slowly.
pub(crate) fn too_slow() -> Refusal {
    let message = format!(
        "the body came too slowly: nothing for {} s, or fewer than {BYTES_PER_SECOND_MIN} bytes a second; send it again",
        SILENCE_MAX.as_secs()
    );
    Refusal::new(Code::RequestTimeout, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_lives_while_it_makes_progress_and_no_longer() {
        let second = Duration::from_secs(1);
        let lasts = |bytes: usize, every: Duration| {
            let mut pace = Pace::default();
            (0..10_000)
                .take_while(|_| {
                    let in_time = every < pace.patience();
                    pace.came(bytes, every);
                    in_time
                })
                .count()
        };
        assert_eq!(lasts(600, second), 10_000, "slow, but steady");
        assert_eq!(lasts(64 << 10, 19 * second), 10_000, "in large pieces");
        assert_eq!(lasts(1, second), 30, "a byte a second");
        assert_eq!(lasts(64 << 10, 20 * second), 0, "silence");
        let mut pace = Pace::default();
        pace.came(1 << 30, second);
        assert_eq!(pace.patience(), SILENCE_MAX, "what came before is no reason to wait for ever");
        pace.came(1, 19 * second);
        assert!(pace.patience() < SILENCE_MAX);
    }
}
