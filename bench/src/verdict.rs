//! What a benchmark came to.

/// Whether what was delivered is what was published. Speed is never a verdict: machines differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Sound,
    Unsound,
}

impl Verdict {
    pub(crate) fn of(sound: bool) -> Self {
        if sound { Self::Sound } else { Self::Unsound }
    }
}
