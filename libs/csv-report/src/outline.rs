//! What a report says, as plain values: for programs, and for tests.

use crate::{
    dialect::{Dialect, Doubt},
    inspect::Shape,
    kinds::{self, Kind},
    statistics::{Detail, Found, Statistics},
    value::Code,
};

/// How a file was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// The encoding's name.
    pub encoding: &'static str,
    /// `,`, `;`, `tab`, `space`, …
    pub delimiter: String,
    /// The line that names the columns.
    pub header_line: Option<u64>,
    /// Rows without the header.
    pub rows: u64,
    /// What can be read in another way: `encoding`, `delimiter`, `header`.
    pub doubts: Vec<&'static str>,
    /// The columns.
    pub columns: Vec<OutlineColumn>,
}

/// What a column was read as.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlineColumn {
    /// Its name.
    pub name: String,
    /// `integer`, `decimal`, `date`, `time`, `boolean`, `text` or `empty`.
    pub kind: &'static str,
    /// Cells that say nothing.
    pub missing: u64,
    /// Cells that are not of its kind.
    pub invalid: u64,
    /// The lines of the first of these.
    pub invalid_lines: Vec<u64>,
    /// How many distinct values it has, where they are counted.
    pub distinct: Option<u64>,
    /// The least value.
    pub least: Option<String>,
    /// The greatest value.
    pub greatest: Option<String>,
    /// The mean.
    pub mean: Option<f64>,
    /// Why it can be read in another way: `decimal_mark`, `day_and_month`, `short_year`,
    /// `month_of_year`, `compact_date`, `time_of_day`, `leading_zero`, `long`, `phone`,
    /// `name`, `units`, `words`.
    pub doubt: Option<&'static str>,
}

impl Outline {
    /// Of a report.
    #[must_use]
    pub fn of(dialect: &Dialect, shape: &Shape, statistics: &Statistics) -> Self {
        let columns = shape.names.iter().zip(&statistics.columns);
        Self {
            encoding: dialect.encoding(),
            delimiter: dialect.delimiter(),
            header_line: dialect.header_line(),
            rows: shape.rows,
            doubts: dialect.doubts.iter().map(doubt).collect(),
            columns: columns.map(|(name, found)| OutlineColumn::of(name, found)).collect(),
        }
    }
}

impl OutlineColumn {
    fn of(name: &str, found: &Found) -> Self {
        let (distinct, ends, mean) = match &found.detail {
            Detail::Number { summary, distinct } => {
                let ends = (summary.min.to_string(), summary.max.to_string());
                (Some(distinct.count), Some(ends), Some(summary.mean))
            }
            Detail::Time { times, .. } => (None, Some(times.ends()), None),
            Detail::Text(values) => (Some(values.distinct.count), None, None),
            Detail::Boolean { .. } | Detail::Empty => (None, None, None),
        };
        let (least, greatest) = ends.unzip();
        let words = found.column.has_doubtful_words().then_some("words");
        Self {
            name: name.to_owned(),
            kind: kind(found.column.kind),
            missing: found.column.missing,
            invalid: found.column.invalid,
            invalid_lines: found.examples.iter().map(|(line, _)| *line).collect(),
            distinct,
            least,
            greatest,
            mean,
            doubt: found.column.doubt.map(column_doubt).or(words),
        }
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer(_) => "integer",
        Kind::Decimal(_) => "decimal",
        Kind::Time(times) if times.hours => "time",
        Kind::Time(_) => "date",
        Kind::Boolean => "boolean",
        Kind::Text => "text",
        Kind::Empty => "empty",
    }
}

const fn doubt(doubt: &Doubt) -> &'static str {
    match doubt {
        Doubt::Encoding => "encoding",
        Doubt::Delimiter(_) => "delimiter",
        Doubt::Header => "header",
    }
}

const fn column_doubt(doubt: kinds::Doubt) -> &'static str {
    match doubt {
        kinds::Doubt::DecimalMark => "decimal_mark",
        kinds::Doubt::DayAndMonth => "day_and_month",
        kinds::Doubt::ShortYear => "short_year",
        kinds::Doubt::MonthOfYear => "month_of_year",
        kinds::Doubt::Compact => "compact_date",
        kinds::Doubt::TimeOfDay => "time_of_day",
        kinds::Doubt::Codes { reason: Code::LeadingZero, .. } => "leading_zero",
        kinds::Doubt::Codes { reason: Code::Long, .. } => "long",
        kinds::Doubt::Codes { reason: Code::Phone, .. } => "phone",
        kinds::Doubt::Named => "name",
        kinds::Doubt::Units => "units",
    }
}
