//! What one cell says: a number, a time, a truth, or nothing.

mod date;
mod missing;
mod money;
mod number;

pub(crate) use date::{DateOrder, Short, Time, any_date, compact, date, day_and_month, hours, in_all_orders};
pub(crate) use missing::{Missing, WordCounts, WordSet, is_code, missing};
pub(crate) use money::unit;
pub(crate) use number::{Code, Number, NumberStyle, both_ways, code, number};

/// A truth.
pub(crate) fn boolean(cell: &str) -> Option<bool> {
    const TRUE: [&str; 6] = ["true", "yes", "y", "t", "có", "đúng"];
    const FALSE: [&str; 6] = ["false", "no", "n", "f", "không", "sai"];
    if cell.len() > 8 || cell.bytes().next()?.is_ascii_digit() {
        return None;
    }
    let is =
        |word: &&str| cell.eq_ignore_ascii_case(word) || (!cell.is_ascii() && cell.to_lowercase() == *word);
    if TRUE.iter().any(is) {
        return Some(true);
    }
    FALSE.iter().any(is).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truths_are_read_in_both_languages() {
        assert_eq!(
            ["Yes", "FALSE", "Có", "không", "maybe"].map(boolean),
            [Some(true), Some(false), Some(true), Some(false), None]
        );
    }
}
