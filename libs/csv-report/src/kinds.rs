//! The validate step: what each column holds, and how many cells disagree.
//!
//! A column is of a kind when nine in ten of its filled cells are; the others are counted as invalid, not
//! hidden.

use crate::{
    inspect::Shape,
    source::Source,
    step::{StepError, Ticker},
    value::{self, DateOrder, NumberStyle},
};

/// Nine in ten.
const SHARE_MIN: (u64, u64) = (9, 10);

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
    /// The earliest, in milliseconds since 1970.
    pub(crate) from: i64,
    /// The latest.
    pub(crate) to: i64,
}

impl Times {
    /// Of a column without any.
    pub(crate) const NONE: Self = Self { order: DateOrder::Ymd, clock: false, from: 0, to: 0 };
}

/// A column after the validate step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub(crate) kind: Kind,
    /// Cells that say nothing.
    pub(crate) missing: u64,
    /// Cells that are not of the column's kind.
    pub(crate) invalid: u64,
}

/// Looks at every cell; returns what each column holds.
pub fn validate(source: &Source, shape: &Shape, ticker: &Ticker) -> Result<Vec<Column>, StepError> {
    let mut seen = vec![Seen::default(); shape.names.len()];
    source.rows(ticker, |row| {
        for (cell, seen) in row.iter().zip(&mut seen) {
            seen.take(std::str::from_utf8(cell).unwrap_or_default().trim());
        }
    })?;
    let style = file_style(&seen, source.dialect.delimiter);
    Ok(seen.iter().map(|seen| seen.decide(style)).collect())
}

/// How the file as a whole writes numbers, for columns that can be read both ways (`40.500`): as the columns
/// do that can be read one way only. A semicolon between fields is the custom of places where the comma is
/// the decimal sign.
fn file_style(seen: &[Seen], delimiter: u8) -> NumberStyle {
    let point: u64 = seen.iter().map(|seen| seen.only_point).sum();
    let comma: u64 = seen.iter().map(|seen| seen.only_comma).sum();
    let comma = comma > point || (comma == point && delimiter == b';');
    if comma { NumberStyle::Comma } else { NumberStyle::Point }
}

/// What was seen in a column: how many cells fit each kind.
#[derive(Debug, Clone, Default)]
struct Seen {
    filled: u64,
    missing: u64,
    point: Numbers,
    comma: Numbers,
    /// Numbers that only one style allows.
    only_point: u64,
    only_comma: u64,
    codes: u64,
    booleans: u64,
    dates: [Dates; 3],
}

#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    fit: u64,
    whole: u64,
}

impl Numbers {
    fn take(&mut self, number: Option<value::Number>) {
        if let Some(number) = number {
            self.fit += 1;
            self.whole += u64::from(number.whole);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Dates {
    fit: u64,
    clock: bool,
    from: i64,
    to: i64,
}

impl Default for Dates {
    fn default() -> Self {
        Self { fit: 0, clock: false, from: i64::MAX, to: i64::MIN }
    }
}

impl Seen {
    fn take(&mut self, cell: &str) {
        if value::is_missing(cell) {
            self.missing += 1;
            return;
        }
        self.filled += 1;
        if self.take_number(cell) {
            return;
        }
        if value::boolean(cell).is_some() {
            self.booleans += 1;
            return;
        }
        if !cell.bytes().any(|c| c.is_ascii_digit()) {
            return;
        }
        for (order, dates) in DateOrder::ALL.into_iter().zip(&mut self.dates) {
            if let Some(time) = value::date(cell, order) {
                dates.fit += 1;
                dates.clock |= time.clock;
                dates.from = dates.from.min(time.millis);
                dates.to = dates.to.max(time.millis);
            }
        }
    }

    /// Whether the cell is a number in any style.
    fn take_number(&mut self, cell: &str) -> bool {
        let point = value::number(cell, NumberStyle::Point);
        let digits = point.is_some() && cell.bytes().all(|c| c.is_ascii_digit());
        let comma = if digits { point } else { value::number(cell, NumberStyle::Comma) };
        self.point.take(point);
        self.comma.take(comma);
        self.only_point += u64::from(point.is_some() && comma.is_none());
        self.only_comma += u64::from(comma.is_some() && point.is_none());
        self.codes += u64::from(digits && value::is_code(cell));
        point.is_some() || comma.is_some()
    }

    fn decide(&self, style: NumberStyle) -> Column {
        let (kind, fit) = self.best(style);
        let enough = fit * SHARE_MIN.1 >= self.filled * SHARE_MIN.0;
        let (kind, fit) = match kind {
            _ if self.filled == 0 => (Kind::Empty, 0),
            Kind::Integer(_) if self.codes * 10 > self.filled => (Kind::Text, self.filled),
            kind if enough => (kind, fit),
            _ => (Kind::Text, self.filled),
        };
        Column { kind, missing: self.missing, invalid: self.filled - fit }
    }

    /// The kind that most cells fit.
    fn best(&self, style: NumberStyle) -> (Kind, u64) {
        let mut best = (Kind::Boolean, self.booleans);
        let mut offer = |kind: Kind, fit: u64| {
            if fit > best.1 {
                best = (kind, fit);
            }
        };
        let mut numbers = [(self.point, NumberStyle::Point), (self.comma, NumberStyle::Comma)];
        // The first of equals wins.
        numbers.sort_by_key(|(_, own)| *own != style);
        for (numbers, style) in numbers {
            let whole = numbers.whole == numbers.fit;
            offer(if whole { Kind::Integer(style) } else { Kind::Decimal(style) }, numbers.fit);
        }
        for (order, dates) in DateOrder::ALL.into_iter().zip(self.dates) {
            let Dates { fit, clock, from, to } = dates;
            offer(Kind::Time(Times { order, clock, from, to }), fit);
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &[&str]) -> Column {
        let mut seen = Seen::default();
        cells.iter().for_each(|cell| seen.take(cell));
        seen.decide(NumberStyle::Point)
    }

    #[test]
    fn a_column_that_can_be_read_both_ways_follows_the_others() {
        let file = |columns: &[&[&str]], delimiter| {
            let take = |cells: &&[&str]| {
                let mut seen = Seen::default();
                cells.iter().for_each(|cell| seen.take(cell));
                seen
            };
            let seen: Vec<Seen> = columns.iter().map(take).collect();
            let style = file_style(&seen, delimiter);
            seen[0].decide(style).kind
        };
        let price: &[&str] = &["40.500", "18.000"];
        assert_eq!(file(&[price, &["1.215.000"]], b','), Kind::Integer(NumberStyle::Comma));
        assert_eq!(file(&[price, &["1.25"]], b';'), Kind::Decimal(NumberStyle::Point));
        assert_eq!(file(&[price], b';'), Kind::Integer(NumberStyle::Comma));
        assert_eq!(file(&[price], b','), Kind::Decimal(NumberStyle::Point));
    }

    #[test]
    fn a_column_is_what_nine_in_ten_of_its_filled_cells_are() {
        use NumberStyle::{Comma, Point};
        let kind = |cells: &[&str]| column(cells).kind;
        assert_eq!(kind(&["1", "2", "", "-3"]), Kind::Integer(Point));
        assert_eq!(kind(&["1", "2.5"]), Kind::Decimal(Point));
        assert_eq!(kind(&["1,5", "2"]), Kind::Decimal(Comma));
        assert_eq!(kind(&["yes", "No"]), Kind::Boolean);
        assert_eq!(kind(&["Hà Nội", "1"]), Kind::Text);
        assert_eq!(kind(&["", "n/a"]), Kind::Empty);
        assert_eq!(kind(&["0912345678", "0987654321"]), Kind::Text);
        assert!(matches!(
            kind(&["13/02/2024", "01/02/2024"]),
            Kind::Time(Times { order: DateOrder::Dmy, .. })
        ));
        assert!(matches!(
            kind(&["02/13/2024", "01/02/2024"]),
            Kind::Time(Times { order: DateOrder::Mdy, .. })
        ));
    }

    #[test]
    fn cells_that_disagree_are_counted() {
        let mut cells = vec!["7"; 19];
        cells.push("abc");
        cells.push("");
        let column = column(&cells);
        assert_eq!((column.kind, column.invalid, column.missing), (Kind::Integer(NumberStyle::Point), 1, 1));
    }
}
