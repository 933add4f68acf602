//! What one cell says: a number, a time, a truth, or nothing.

/// How a column writes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberStyle {
    /// `1,234.5`
    Point,
    /// `1.234,5`
    Comma,
}

/// The order of the parts of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateOrder {
    /// `2024-12-31`
    Ymd,
    /// `31/12/2024`
    Dmy,
    /// `12/31/2024`
    Mdy,
}

impl DateOrder {
    /// In the order of trust where several fit.
    pub(crate) const ALL: [Self; 3] = [Self::Ymd, Self::Dmy, Self::Mdy];
}

/// A number and whether it was written as a whole one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: f64,
    pub(crate) whole: bool,
}

/// Whether a cell says nothing.
pub(crate) fn is_missing(cell: &str) -> bool {
    const WORDS: [&str; 9] = ["na", "n/a", "nan", "null", "none", "nil", "-", "#n/a", "?"];
    cell.is_empty() || (cell.len() <= 4 && WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word)))
}

/// A number as `style` writes it; signs of money and percent around it do not matter.
pub(crate) fn number(cell: &str, style: NumberStyle) -> Option<Number> {
    let cell = bare(cell);
    let first = cell.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.' | b',')) {
        return None;
    }
    let (point, group) = match style {
        NumberStyle::Point => (b'.', b','),
        NumberStyle::Comma => (b',', b'.'),
    };
    let grouped = cell.bytes().any(|c| c == group || c == b' ' || c >= 0x80);
    if !grouped && point == b'.' {
        return plain(cell);
    }
    let mut text = String::with_capacity(cell.len());
    ungroup(cell, point, group, &mut text)?;
    plain(&text)
}

/// Without white space, signs of money and percent at its ends.
fn bare(cell: &str) -> &str {
    let cell = cell.trim();
    let first = cell.as_bytes().first().copied().unwrap_or_default();
    let last = cell.as_bytes().last().copied().unwrap_or_default();
    if (first.is_ascii_digit() || first == b'-') && last.is_ascii_digit() {
        return cell;
    }
    let sign = |c: char| matches!(c, '$' | '€' | '£' | '¥' | '₫' | '%') || c.is_whitespace();
    let cell = cell.trim_matches(sign);
    let cell = cell
        .strip_suffix('đ')
        .or_else(|| cell.strip_suffix("VND"))
        .or_else(|| cell.strip_suffix("USD"))
        .unwrap_or(cell);
    cell.trim_end()
}

/// Digits with at most one point and one exponent.
fn plain(text: &str) -> Option<Number> {
    let allowed = |c: u8| c.is_ascii_digit() || matches!(c, b'.' | b'-' | b'+' | b'e' | b'E');
    if !text.bytes().all(allowed) || !text.bytes().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let whole = text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'-' | b'+'));
    value.is_finite().then_some(Number { value, whole })
}

/// Removes the signs between groups of three digits and writes the point as `.`.
fn ungroup(cell: &str, point: u8, group: u8, out: &mut String) -> Option<()> {
    let (whole, fraction) = match cell.split_once(char::from(point)) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (cell, None),
    };
    let is_group = |c: char| c == char::from(group) || matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}');
    let mut parts = whole.split(is_group);
    let first = parts.next()?;
    out.push_str(first);
    let digits = first.trim_start_matches(['-', '+']).len();
    for part in parts {
        if part.len() != 3 || digits == 0 || digits > 3 {
            return None;
        }
        out.push_str(part);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    Some(())
}

/// Whether a text of digits is a name rather than a number: `0123`, or more digits than a number keeps.
pub(crate) fn is_code(cell: &str) -> bool {
    let digits = cell.len() > 1 && cell.bytes().all(|c| c.is_ascii_digit());
    digits && (cell.starts_with('0') || cell.len() > 15)
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

/// A time in milliseconds since 1970, and whether it has a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) millis: i64,
    pub(crate) clock: bool,
}

/// Whether a cell is a date in any order.
pub(crate) fn any_date(cell: &str) -> bool {
    DateOrder::ALL.iter().any(|order| date(cell, *order).is_some())
}

/// A date, with or without a time of day: `2024-12-31`, `31/12/2024 08:30`, `2024-12-31T08:30:00.5Z`. Without
/// an offset it is UTC.
pub(crate) fn date(cell: &str, order: DateOrder) -> Option<Time> {
    let cell = cell.trim();
    if !(8..=35).contains(&cell.len()) || !cell.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    let mut rest = cell.as_bytes();
    let (first, len) = take_number(&mut rest)?;
    let separator = *rest.first()?;
    if !matches!(separator, b'-' | b'/' | b'.') || (order == DateOrder::Ymd) != (len == 4) {
        return None;
    }
    rest = &rest[1..];
    let (second, _) = take_number(&mut rest)?;
    rest = rest.strip_prefix(&[separator])?;
    let (third, third_len) = take_number(&mut rest)?;
    let (year, month, day) = match order {
        DateOrder::Ymd => (first, second, third),
        DateOrder::Dmy => (third, second, first),
        DateOrder::Mdy => (third, first, second),
    };
    if order != DateOrder::Ymd && third_len != 4 {
        return None;
    }
    let days = days(year, month, day)?;
    let clock = !rest.is_empty();
    let millis = if clock { time_of_day(rest)? } else { 0 };
    Some(Time { millis: days * 86_400_000 + millis, clock })
}

/// One to four digits.
fn take_number(rest: &mut &[u8]) -> Option<(u32, usize)> {
    let len = rest.iter().take(5).take_while(|c| c.is_ascii_digit()).count();
    if !(1..=4).contains(&len) {
        return None;
    }
    let value = rest[..len].iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    *rest = &rest[len..];
    Some((value, len))
}

/// Days since 1970 of a date that exists (after Howard Hinnant's `days_from_civil`).
fn days(year: u32, month: u32, day: u32) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_index = usize::try_from(month).ok()?.checked_sub(1)?;
    if day == 0 || day > *last.get(month_index)? {
        return None;
    }
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// `T08:30`, ` 08:30:15.250`, with `Z` or an offset: milliseconds of the day in UTC.
fn time_of_day(rest: &[u8]) -> Option<i64> {
    let rest = match rest.split_first()? {
        (b'T' | b't' | b' ', rest) => rest.trim_ascii_start(),
        _ => return None,
    };
    let mut rest = rest;
    let (hour, _) = take_number(&mut rest)?;
    rest = rest.strip_prefix(b":")?;
    let (minute, _) = take_number(&mut rest)?;
    let mut millis = i64::from(hour) * 3_600_000 + i64::from(minute) * 60_000;
    if hour > 24 || minute > 59 {
        return None;
    }
    if let Some(seconds) = rest.strip_prefix(b":") {
        rest = seconds;
        let (second, _) = take_number(&mut rest)?;
        millis += i64::from(second.min(60)) * 1000 + fraction(&mut rest);
    }
    offset(rest.trim_ascii()).map(|offset| millis - offset)
}

/// `.250`: what counts is the first three digits.
fn fraction(rest: &mut &[u8]) -> i64 {
    let Some(digits) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) else { return 0 };
    let len = digits.iter().take_while(|c| c.is_ascii_digit()).count();
    let digit = |place: usize| digits[..len].get(place).map_or(0, |c| i64::from(c - b'0'));
    *rest = &digits[len..];
    digit(0) * 100 + digit(1) * 10 + digit(2)
}

/// Nothing, `Z`, `UTC`, `+07:00`, `+0700` or `+07`: milliseconds east of Greenwich.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text.split_first() {
        None => return Some(0),
        Some((b'Z' | b'z', [])) => return Some(0),
        Some((b'+', digits)) => (1, digits),
        Some((b'-', digits)) => (-1, digits),
        Some(_) => return (text == b"UTC").then_some(0),
    };
    let digits: Vec<u8> = digits.iter().copied().filter(|c| *c != b':').collect();
    let number: i64 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
    let (hours, minutes) = match digits.len() {
        2 => (number, 0),
        4 => (number / 100, number % 100),
        _ => return None,
    };
    Some(sign * (hours * 3_600_000 + minutes * 60_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let check = |cell: &str, style, expected: Option<f64>| {
            assert_eq!(number(cell, style).map(|number| number.value), expected, "{cell:?}");
        };
        use NumberStyle::{Comma, Point};
        check("12", Point, Some(12.0));
        check(" -1.5 ", Point, Some(-1.5));
        check("1e3", Point, Some(1000.0));
        check("1,234,567.5", Point, Some(1_234_567.5));
        check("$1,200", Point, Some(1200.0));
        check("12.5%", Point, Some(12.5));
        check("1 200", Point, Some(1200.0));
        check("1.200.000 ₫", Comma, Some(1_200_000.0));
        check("1.234,5", Comma, Some(1234.5));
        check("12,5", Comma, Some(12.5));
        check("12,5", Point, None);
        check("1.2.3", Point, None);
        for text in ["", "-", "nan", "inf", "1e", "abc", "1-2", "e5", "12abc", "1e999"] {
            check(text, Point, None);
        }
    }

    #[test]
    fn codes_are_no_numbers() {
        assert!(is_code("0912345678") && is_code("1234567890123456") && !is_code("0") && !is_code("120"));
    }

    #[test]
    fn dates_are_read_in_their_order_and_must_exist() {
        let check = |cell: &str, order, expected: Option<i64>| {
            assert_eq!(date(cell, order).map(|time| time.millis), expected, "{cell:?}");
        };
        use DateOrder::{Dmy, Mdy, Ymd};
        check("1970-01-01", Ymd, Some(0));
        check("2024-02-29", Ymd, Some(1_709_164_800_000));
        check("2023-02-29", Ymd, None);
        check("31/12/2024", Dmy, Some(1_735_603_200_000));
        check("12/31/2024", Mdy, Some(1_735_603_200_000));
        check("31/12/2024", Mdy, None);
        check("2025-01-23T10:00:03.250Z", Ymd, Some(1_737_626_403_250));
        check("2025-01-23 17:00:03+07:00", Ymd, Some(1_737_626_403_000));
        check("23.01.2025 10:00", Dmy, Some(1_737_626_400_000));
        for text in ["12345678", "2024-1", "2024-01-01x", "1/2/24", "20240101", "2024/01-01"] {
            check(text, Ymd, None);
            check(text, Dmy, None);
        }
    }

    #[test]
    fn truths_are_read_in_both_languages() {
        assert_eq!(
            ["Yes", "FALSE", "Có", "không", "maybe"].map(boolean),
            [Some(true), Some(false), Some(true), Some(false), None]
        );
    }
}
