//! What one cell says: a number, a time, a truth, or nothing.

mod date;
mod money;
mod number;

pub(crate) use date::{DateOrder, Short, Time, any_date, compact, date, day_and_month, hours, in_all_orders};
pub(crate) use money::unit;
pub(crate) use number::{Code, Number, NumberStyle, both_ways, code, number};

/// Whether a cell says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    No,
    /// Among numbers, dates and truths it says nothing; among texts it is one, such as `Na` for sodium.
    Perhaps,
    Yes,
}

/// Whether a cell says nothing: empty, or a word that programs write for that.
pub(crate) fn missing(cell: &str) -> Missing {
    const WORDS: [&str; 17] = [
        "NA", "na", "N/A", "n/a", "NaN", "nan", "NAN", "NULL", "null", "Null", "None", "nil", "#N/A", "#n/a",
        "<NA>", "-", "?",
    ];
    const PERHAPS: [&str; 6] = ["none", "na", "nan", "nil", "n/a", "."];
    match cell.len() {
        0 => Missing::Yes,
        1..=4 if WORDS.contains(&cell) => Missing::Yes,
        1..=4 if PERHAPS.iter().any(|word| cell.eq_ignore_ascii_case(word)) => Missing::Perhaps,
        _ => Missing::No,
    }
}

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
    fn what_says_nothing_among_numbers_may_be_a_text_among_texts() {
        use Missing::{No, Perhaps, Yes};
        assert_eq!(["", "NA", "n/a", "NULL", "-", "?"].map(missing), [Yes; 6]);
        assert_eq!(["Na", "none", "NONE", "."].map(missing), [Perhaps; 4]);
        assert_eq!(["0", "no", "Nana", "--"].map(missing), [No; 4]);
    }

    #[test]
    fn truths_are_read_in_both_languages() {
        assert_eq!(
            ["Yes", "FALSE", "Có", "không", "maybe"].map(boolean),
            [Some(true), Some(false), Some(true), Some(false), None]
        );
    }
}
