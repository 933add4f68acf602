//! Gaps: what a reader needed and cannot get any more.

use crate::{Channel, Cursor, Offset};

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// Retention removed them.
    Trimmed,
    /// They cannot be read any more: a file was damaged, or is missing.
    Damaged,
    /// The reader's cursor is from another incarnation of the log.
    Epoch,
    /// The reader's cursor is past the tail: it belongs to a log that this one never was.
    Ahead,
}

impl GapReason {
    /// The reason as the protocol spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::Damaged => "damaged",
            Self::Epoch => "epoch",
            Self::Ahead => "ahead",
        }
    }
}

/// What a reader missed (PROTOCOL.md, section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The cursor the reader had.
    pub from: Cursor,
    /// The greatest offset that is gone.
    pub to: Cursor,
    /// Why.
    pub reason: GapReason,
    /// For each channel that lost something, the greatest offset that is gone.
    pub lost: Vec<(Channel, Offset)>,
}

impl Gap {
    /// The gap of a reader that stood at `from`, or none if retention removed nothing it needed.
    ///
    /// `trimmed` gives for each channel the greatest offset that retention removed.
    #[must_use]
    pub fn by_retention(from: Cursor, trimmed: impl IntoIterator<Item = (Channel, Offset)>) -> Option<Self> {
        Self::of(from, GapReason::Trimmed, trimmed)
    }

    /// The gap of a reader that stood at `from`, or none if no damage took anything it needed.
    ///
    /// `damaged` gives for each channel up to where it cannot be read.
    #[must_use]
    pub fn by_damage(from: Cursor, damaged: impl IntoIterator<Item = (Channel, Offset)>) -> Option<Self> {
        Self::of(from, GapReason::Damaged, damaged)
    }

    fn of(
        from: Cursor,
        reason: GapReason,
        lost: impl IntoIterator<Item = (Channel, Offset)>,
    ) -> Option<Self> {
        let lost: Vec<_> = lost.into_iter().filter(|(_, through)| *through > from.offset).collect();
        let to = lost.iter().map(|(_, through)| *through).max()?;
        Some(Self { from, to: Cursor { epoch: from.epoch, offset: to }, reason, lost })
    }
}
