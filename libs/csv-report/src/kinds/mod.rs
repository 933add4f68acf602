//! The validate step: what each column holds, and how many cells disagree.
//!
//! A column is of a kind when nine in ten of its filled cells are; the others are counted as invalid, not
//! hidden. Where its cells can be read in two ways, the one that was taken is told.

mod column;
mod seen;

use crate::{
    inspect::Shape,
    reading::Reading,
    source::Source,
    step::{StepError, Ticker},
    value::{DateOrder, NumberStyle},
};
use column::File;
use seen::Seen;

pub use column::Column;
pub(crate) use column::{Doubt, Kind, Times};

/// Looks at every cell; returns what each column holds.
///
/// # Errors
/// [`StepError::Stopped`], or [`StepError::Io`] when the file cannot be read.
pub fn validate(source: &Source, shape: &Shape, ticker: &Ticker) -> Result<Vec<Column>, StepError> {
    let mut seen = vec![Seen::default(); shape.names.len()];
    source.rows(ticker, |row| {
        let alone = row.len() == 1 && seen.len() > 1;
        for (place, seen) in seen.iter_mut().enumerate() {
            if alone && place == 0 {
                seen.take_alone(row.get(0).unwrap_or_default().trim(), row.line);
                continue;
            }
            seen.take(row.get(place).unwrap_or_default().trim(), row.line);
        }
    })?;
    Ok(decide(&seen, &shape.names, &source.dialect.reading, source.dialect.format.delimiter))
}

fn decide(seen: &[Seen], names: &[String], reading: &Reading, delimiter: u8) -> Vec<Column> {
    let file = File {
        style: reading.decimal.or_else(|| file_style(seen)),
        semicolons: delimiter == b';',
        order: reading.dates.or_else(|| file_order(seen)),
        styled: reading.decimal.is_some(),
        ordered: reading.dates.is_some(),
    };
    let column = |(place, seen): (usize, &Seen)| {
        let name = names.get(place).map_or("", String::as_str);
        seen.decide(name, file, reading.columns.get(&(place + 1)).copied())
    };
    seen.iter().enumerate().map(column).collect()
}

/// How the file as a whole writes numbers, for columns that can be read both ways (`40.500`): as the columns
/// do that can be read one way only.
fn file_style(seen: &[Seen]) -> Option<NumberStyle> {
    let point: u64 = seen.iter().map(Seen::only_point).sum();
    let comma: u64 = seen.iter().map(Seen::only_comma).sum();
    match point.cmp(&comma) {
        std::cmp::Ordering::Greater => Some(NumberStyle::Point),
        std::cmp::Ordering::Less => Some(NumberStyle::Comma),
        std::cmp::Ordering::Equal => None,
    }
}

/// Whether days come before months in the columns that can be read one way only.
fn file_order(seen: &[Seen]) -> Option<DateOrder> {
    let only = |order| seen.iter().filter(|seen| seen.only_order() == Some(order)).count();
    match (only(DateOrder::Dmy), only(DateOrder::Mdy)) {
        (day, month) if day > month => Some(DateOrder::Dmy),
        (day, month) if month > day => Some(DateOrder::Mdy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{reading::Chosen, value::Code};

    fn seen(cells: &[&str]) -> Seen {
        let mut seen = Seen::default();
        (2..).zip(cells).for_each(|(line, cell)| seen.take(cell, line));
        seen
    }

    fn columns(columns: &[&[&str]], delimiter: u8, reading: &Reading) -> Vec<Column> {
        let seen: Vec<Seen> = columns.iter().map(|cells| seen(cells)).collect();
        let names: Vec<String> = (0..columns.len()).map(|place| format!("c{place}")).collect();
        decide(&seen, &names, reading, delimiter)
    }

    fn column(cells: &[&str]) -> Column {
        columns(&[cells], b',', &Reading::default())[0]
    }

    fn named(name: &str, cells: &[&str]) -> Column {
        decide(&[seen(cells)], &[name.to_owned()], &Reading::default(), b',')[0]
    }

    #[test]
    fn a_column_that_can_be_read_both_ways_follows_the_others_and_says_so() {
        let first = |all: &[&[&str]], delimiter| {
            let column = columns(all, delimiter, &Reading::default())[0];
            (column.kind, column.doubt)
        };
        let price: &[&str] = &["40.500", "18.000"];
        let doubt = Some(Doubt::DecimalMark);
        assert_eq!(first(&[price, &["1.215.000"]], b','), (Kind::Integer(NumberStyle::Comma), doubt));
        assert_eq!(first(&[price, &["1.25"]], b';'), (Kind::Decimal(NumberStyle::Point), doubt));
        assert_eq!(first(&[price], b';'), (Kind::Integer(NumberStyle::Comma), doubt));
        assert_eq!(first(&[price], b','), (Kind::Decimal(NumberStyle::Point), doubt));
        // Thousands mostly end with a zero, coordinates and rates do not.
        assert_eq!(first(&[&["21.028", "16.463"]], b';'), (Kind::Decimal(NumberStyle::Point), doubt));
        assert_eq!(first(&[&["1,250", "12,751"]], b','), (Kind::Integer(NumberStyle::Point), doubt));
        assert_eq!(first(&[&["1,250", "12,751"]], b';'), (Kind::Decimal(NumberStyle::Comma), doubt));
        // A group never begins with zero.
        assert_eq!(first(&[&["1.250", "0.500"]], b';'), (Kind::Decimal(NumberStyle::Point), None));
        assert_eq!(first(&[&["1,250", "0,500"]], b'\t'), (Kind::Decimal(NumberStyle::Comma), None));
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
        // A unit or a second name below the header.
        assert_eq!(kind(&["m/s", "1.5", "2", "3"]), Kind::Decimal(Point));
        assert_eq!(kind(&["Q1", "1", "2", "3"]), Kind::Integer(Point));
        assert_eq!([kind(&["m/s", "1.5", "2"]), kind(&["1", "x", "2", "3"])], [Kind::Text; 2]);
        let order = |cells: &[&str]| match column(cells) {
            Column { kind: Kind::Time(times), doubt, .. } => (times.order, doubt),
            other => panic!("{other:?}"),
        };
        assert_eq!(order(&["13/02/2024", "01/02/2024"]), (DateOrder::Dmy, None));
        assert_eq!(order(&["02/13/2024", "01/02/2024"]), (DateOrder::Mdy, None));
    }

    #[test]
    fn days_and_months_are_told_apart_by_what_they_do_over_the_column() {
        let order = |cells: &[&str]| match column(cells) {
            Column { kind: Kind::Time(times), doubt, .. } => (times.order, doubt),
            other => panic!("{other:?}"),
        };
        let doubt = Some(Doubt::DayAndMonth);
        assert_eq!(order(&["1/1/2000", "2/1/2000", "3/1/2000"]), (DateOrder::Mdy, doubt));
        assert_eq!(order(&["1/1/2000", "1/2/2000", "1/3/2000"]), (DateOrder::Dmy, doubt));
        assert_eq!(order(&["1/1/2000", "1/8/2000", "2/5/2000", "2/12/2000"]), (DateOrder::Mdy, doubt));
        assert_eq!(order(&["5/4/2000", "3/2/2001"]), (DateOrder::Dmy, doubt));
        let all: [&[&str]; 2] = [&["5/4/2000"], &["12/31/2000"]];
        let kind = columns(&all, b',', &Reading::default())[0].kind;
        assert!(matches!(kind, Kind::Time(Times { order: DateOrder::Mdy, .. })), "as the other column");
    }

    #[test]
    fn digits_that_name_something_stay_text() {
        let doubt = |cells: &[&str]| (column(cells).kind, column(cells).doubt);
        let mut zips = vec!["90001"; 40];
        zips.push("02134");
        let code = |reason, count, line| (Kind::Text, Some(Doubt::Codes { reason, count, line }));
        assert_eq!(doubt(&zips), code(Code::LeadingZero, 1, 42));
        assert_eq!(doubt(&["-7210194211959421178", "5"]), code(Code::Long, 1, 2));
        assert_eq!(doubt(&["+84912345678", "+84 987 654 321"]), code(Code::Phone, 2, 2));
        assert_eq!(named("Phone", &["84912345678", "84912345679"]).doubt, Some(Doubt::Named));
        assert_eq!(named("zip code", &["90001", "90002"]).kind, Kind::Text);
        assert_eq!(named("telephones sold", &["90001", "90002"]).kind, Kind::Integer(NumberStyle::Point));
    }

    #[test]
    fn what_was_chosen_is_taken_and_what_does_not_fit_is_counted() {
        let mut reading = Reading::default();
        reading.columns.insert(1, Chosen::Number);
        reading.columns.insert(2, Chosen::Text);
        reading.columns.insert(3, Chosen::Date);
        reading.dates = Some(DateOrder::Mdy);
        reading.decimal = Some(NumberStyle::Comma);
        let all: [&[&str]; 4] = [&["007", "x"], &["1", "2"], &["1/2/2000", "x"], &["1.250", "2.000"]];
        let found = columns(&all, b',', &reading);
        assert_eq!((found[0].kind, found[0].invalid), (Kind::Integer(NumberStyle::Comma), 1));
        assert_eq!((found[1].kind, found[1].chosen), (Kind::Text, true));
        assert!(matches!(
            found[2].kind,
            Kind::Time(Times { order: DateOrder::Mdy, from: 946_771_200_000, .. })
        ));
        assert_eq!((found[3].kind, found[3].doubt), (Kind::Integer(NumberStyle::Comma), None));
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
