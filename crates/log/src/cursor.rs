//! Offsets, epochs and cursors: where one reader stands in the log. A cursor is a plain value: a million idle
//! readers cost a million small values. Their text form is that of PROTOCOL.md, section 2.

use std::{fmt, str::FromStr};

/// The place of an event in the log; 0 is the place before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(u64);

impl Offset {
    /// Before the first event.
    pub const ZERO: Self = Self(0);
    /// The greatest offset: 2^53 − 1, so that every JSON reader holds it exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Makes an offset; values above [`Offset::MAX`] are clamped to it.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        if value > Self::MAX.0 { Self::MAX } else { Self(value) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The offset after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0 + 1)
    }

    /// The offset `count` places on.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self::new(self.0.saturating_add(count))
    }

    /// The offset before this one; zero stays zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of one incarnation of the log. It changes only when history was lost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(u32);

impl Epoch {
    /// Makes an epoch of its number.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// A new epoch, drawn from the system's random source.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> std::io::Result<Self> {
        Ok(Self(getrandom::u32().map_err(std::io::Error::other)?))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

/// "I have seen everything up to here", for any set of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The incarnation of the log that the offset belongs to.
    pub epoch: Epoch,
    /// The last offset seen.
    pub offset: Offset,
}

/// Why a text is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no cursor; expected 8 hexadecimal digits, '-' and an offset (such as 1f0c93ab-42), or 0 for the oldest kept event"
)]
pub struct CursorError {
    /// The text, cut to 64 characters.
    pub text: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        parse_cursor(text).ok_or_else(|| CursorError { text: text.chars().take(64).collect() })
    }
}

fn parse_cursor(text: &str) -> Option<Cursor> {
    let (epoch, offset) = text.split_once('-')?;
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if epoch.len() != 8 || !epoch.bytes().all(hex) {
        return None;
    }
    let leading_zero = offset.len() > 1 && offset.starts_with('0');
    if offset.is_empty() || leading_zero || !offset.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let offset = offset.parse::<u64>().ok().filter(|value| *value <= Offset::MAX.0)?;
    Some(Cursor { epoch: Epoch(u32::from_str_radix(epoch, 16).ok()?), offset: Offset(offset) })
}

/// Where a new subscription starts: the meaning of `after` (PROTOCOL.md, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Position {
    /// At the tail: only what comes from now on.
    #[default]
    Tail,
    /// At the oldest kept event of each channel.
    Oldest,
    /// After a cursor.
    After(Cursor),
}

impl FromStr for Position {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text == "0" { Ok(Self::Oldest) } else { text.parse().map(Self::After) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        for text in ["00000000-0", "1f0c93ab-42", "ffffffff-9007199254740991"] {
            let cursor: Cursor = text.parse().expect(text);
            assert_eq!(cursor.to_string(), text);
        }
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused_by_name() {
        let texts = [
            "",
            "-",
            "1f0c93ab",
            "1f0c93ab-",
            "1f0c93ab-01",
            "1F0C93AB-1",
            "1f0c93a-1",
            "1f0c93ab-9007199254740992",
            "1f0c93ab--1",
            "1f0c93ab-1 ",
            "+f0c93ab-1",
            "1f0c93ab-+1",
            "00",
        ];
        for text in texts {
            let error = text.parse::<Position>().expect_err(text);
            assert_eq!(error.text, text);
        }
    }

    #[test]
    fn zero_means_the_oldest_kept_event() {
        assert_eq!("0".parse::<Position>(), Ok(Position::Oldest));
    }
}
