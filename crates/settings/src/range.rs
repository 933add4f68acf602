//! From where to where a setting may go.

use std::{fmt, ops::RangeInclusive};

use crate::number::written;

/// What of a value has a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// The number itself.
    Number,
    /// How many entries a list has.
    Entries,
}

/// From where to where a setting may go, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// What is measured.
    pub amount: Amount,
    /// The least it may be.
    pub min: u64,
    /// The most it may be.
    pub max: u64,
}

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}{amount} is {value}; set it between {min} and {max}")]
pub struct OutOfRange {
    /// The whole key.
    pub key: String,
    /// What of the setting is out of its range.
    pub amount: Amount,
    /// What it was.
    pub value: u64,
    /// The least it may be.
    pub min: u64,
    /// The most it may be.
    pub max: u64,
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Number => "",
            Self::Entries => " (number of entries)",
        })
    }
}

impl Range {
    /// The range of a setting.
    #[must_use]
    pub fn new(amount: Amount, range: RangeInclusive<u64>) -> Self {
        Self { amount, min: *range.start(), max: *range.end() }
    }

    /// Refuses what is outside.
    ///
    /// # Errors
    /// [`OutOfRange`] names the setting, its value and the range.
    pub fn check(&self, key: &str, value: u64) -> Result<(), OutOfRange> {
        let Self { amount, min, max } = *self;
        if (min..=max).contains(&value) {
            return Ok(());
        }
        Err(OutOfRange { key: key.to_owned(), amount, value, min, max })
    }

    /// The range as people read it.
    #[must_use]
    pub fn written(&self, key: &str) -> String {
        match self.amount {
            Amount::Number => format!("{} to {}", written(key, self.min), written(key, self.max)),
            Amount::Entries => format!("{} to {} entries", self.min, self.max),
        }
    }
}
