//! How a job stands, and how much of it is done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for its turn.
    Queued,
    /// Somebody works on it.
    Running,
    /// Done.
    Succeeded,
    /// Ended by an error.
    Failed,
    /// Ended by somebody's command.
    Cancelled,
    /// The server stopped in the middle of it.
    Interrupted,
}

impl Status {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Interrupted];

    /// The status as the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether nobody works on it or will by itself.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A share of the whole in tenths of a percent: 0 to 100.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, JsonSchema)]
pub struct Percent(#[schemars(with = "f64", range(min = 0, max = 100))] u16);

impl Percent {
    /// Everything.
    pub const WHOLE: Self = Self(1000);

    /// `done` of `total`, rounded down; everything when `total` is zero.
    #[must_use]
    pub fn of(done: u64, total: u64) -> Self {
        if total == 0 {
            return Self::WHOLE;
        }
        let tenths = u128::from(done.min(total)) * 1000 / u128::from(total);
        Self(u16::try_from(tenths).unwrap_or(1000))
    }

    /// Rounded to tenths; `None` outside 0 to 100.
    #[must_use]
    pub fn new(percent: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000 fits")]
        (0.0..=100.0).contains(&percent).then(|| Self((percent * 10.0).round() as u16))
    }

    /// Half as much, rounded down to tenths.
    #[must_use]
    pub fn halved(self) -> Self {
        Self(self.0 / 2)
    }

    /// The point `part` of the way (0 to 1) from this to `end`.
    #[must_use]
    pub fn toward(self, end: Self, part: f64) -> Self {
        let (from, to) = (f64::from(self.0), f64::from(end.0));
        Self::new((from + (to - from) * part.clamp(0.0, 1.0)) / 10.0).unwrap_or(end)
    }
}

impl Serialize for Percent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole percents are written without a fraction, as everybody expects them.
        if self.0.is_multiple_of(10) {
            serializer.serialize_u16(self.0 / 10)
        } else {
            serializer.serialize_f64(f64::from(self.0) / 10.0)
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value)
            .ok_or_else(|| serde::de::Error::custom(format!("percent {value} is outside 0 to 100")))
    }
}
