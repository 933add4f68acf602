//! What a column holds, and why it can be read in another way.

use crate::{
    value::{self, Code, DateOrder, NumberStyle, Time, WordCounts, WordSet},
    words,
};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole numbers.
    Integer(NumberStyle),
    /// Numbers.
    Decimal(NumberStyle),
    /// Dates, or times.
    Time(Times),
    /// Truths.
    Boolean,
    /// Anything.
    Text,
    /// Nothing.
    Empty,
}

/// The times of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) order: DateOrder,
    /// Whether any has a time of day.
    pub(crate) clock: bool,
    /// Times of day alone.
    pub(crate) hours: bool,
    /// The earliest, in milliseconds since 1970.
    pub(crate) from: i64,
    /// The latest.
    pub(crate) to: i64,
}

impl Times {
    /// Of a column without any.
    pub(crate) const NONE: Self = Self { order: DateOrder::Ymd, clock: false, hours: false, from: 0, to: 0 };

    /// What a cell says.
    pub(crate) fn read(&self, cell: &str) -> Option<Time> {
        if self.hours { value::hours(cell) } else { value::date(cell, self.order) }
    }

    /// The earliest and the latest, as they are shown.
    pub(crate) fn ends(&self) -> (String, String) {
        let shown =
            |millis| if self.hours { words::hours(millis) } else { words::moment(millis, self.clock) };
        (shown(self.from), shown(self.to))
    }
}

/// A column after the validate step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub(crate) kind: Kind,
    /// Cells that say nothing.
    pub(crate) missing: u64,
    /// Cells that are not of the column's kind.
    pub(crate) invalid: u64,
    /// What its cells could be as well.
    pub(crate) doubt: Option<Doubt>,
    /// Words that say nothing elsewhere.
    pub(crate) words: Words,
    /// Somebody said what it holds.
    pub(crate) chosen: bool,
}

/// The words of a column that say nothing elsewhere, such as `NA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Words {
    pub(crate) counts: WordCounts,
    /// Those that are texts here; the others are missing.
    pub(crate) texts: WordSet,
}

impl Words {
    pub(crate) fn as_texts(&self) -> WordCounts {
        self.counts.only(self.texts, true)
    }

    pub(crate) fn as_missing(&self) -> WordCounts {
        self.counts.only(self.texts, false)
    }
}

impl Column {
    /// Whether words were read as one thing that could be the other: among numbers, dates and truths they are
    /// missing for certain.
    pub(crate) fn has_doubtful_words(&self) -> bool {
        !self.chosen && self.words.counts.count() > 0 && matches!(self.kind, Kind::Text | Kind::Empty)
    }
}

/// Why a column can be read in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// `1.250`: a point or a comma that is a decimal sign in one style and divides groups in the other.
    DecimalMark,
    /// Every day is also a month.
    DayAndMonth,
    /// `15/03/24`: it is open which part is the year.
    ShortYear,
    /// `Jan-24`: a month of a year, or a day of a month.
    MonthOfYear,
    /// `20240315`: a day, or a number.
    Compact,
    /// `14:05`: a time of day, or so long.
    TimeOfDay,
    /// Digits that were left as text, how many of them have the reason, and the line of the first.
    Codes { reason: Code, count: u64, line: u64 },
    /// Digits that were left as text because of the column's name.
    Named,
    /// Amounts of several currencies, or percent beside others.
    Units,
}

/// What the file as a whole says about columns that can be read in two ways.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    /// The style of the columns that can be read one way only.
    pub(super) style: Option<NumberStyle>,
    /// A semicolon between fields is the custom of places where the comma is the decimal sign.
    pub(super) semicolons: bool,
    /// The order of the dates that can be read one way only.
    pub(super) order: Option<DateOrder>,
    /// The style was chosen.
    pub(super) styled: bool,
    /// The order was chosen.
    pub(super) ordered: bool,
}
