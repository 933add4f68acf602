//! Numbers as people write them: with groups of digits, either decimal sign, money, percent, and minus in
//! every form.

use super::money;
use crate::decimal::Decimal;

/// How a column writes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberStyle {
    /// `1,234.5`
    Point,
    /// `1.234,5`
    Comma,
}

impl NumberStyle {
    /// As the option has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Comma => "comma",
        }
    }

    const fn signs(self) -> (u8, u8) {
        match self {
            Self::Point => (b'.', b','),
            Self::Comma => (b',', b'.'),
        }
    }
}

/// A number, and whether it was written as a whole one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: f64,
    pub(crate) whole: bool,
    /// Exactly, unless it has an exponent or too many digits.
    pub(crate) decimal: Option<Decimal>,
}

/// A number as `style` writes it; signs of money and percent around it do not matter.
pub(crate) fn number(cell: &str, style: NumberStyle) -> Option<Number> {
    let cell = cell.trim();
    let bytes = cell.as_bytes();
    let signs = Signs::of(bytes)?;
    if signs.simple {
        return match style {
            NumberStyle::Point => plain(cell),
            NumberStyle::Comma if !bytes.contains(&b'.') => plain(cell),
            // Groups have three digits.
            NumberStyle::Comma if bytes.len() > 4 && bytes[bytes.len() - 4] == b'.' => rare(cell, style),
            NumberStyle::Comma => None,
        };
    }
    rare(cell, style)
}

/// What a cell is made of: most cells are no numbers, and most numbers are digits and points.
struct Signs {
    /// Nothing but digits and points, after a minus or none.
    simple: bool,
}

impl Signs {
    /// `None` for what is no number in any style.
    fn of(bytes: &[u8]) -> Option<Self> {
        const BYTES_MAX: usize = 64;
        const LETTERS_MAX: usize = 8;
        if bytes.len() > BYTES_MAX {
            return None;
        }
        let (mut digits, mut letters, mut others) = (0, 0, 0);
        for (place, byte) in bytes.iter().enumerate() {
            match byte {
                b'0'..=b'9' => digits += 1,
                b'.' => {}
                b'-' if place == 0 => {}
                b'a'..=b'z' | b'A'..=b'Z' => letters += 1,
                b':' | b'/' | b'_' | b'@' | b'&' | b'=' | b'?' | b';' | b'"' => return None,
                _ => others += 1,
            }
        }
        (digits > 0 && letters <= LETTERS_MAX).then_some(Self { simple: letters + others == 0 })
    }
}

/// A number with groups, money or a sign of another form.
fn rare(cell: &str, style: NumberStyle) -> Option<Number> {
    let (negative, body) = signed(cell)?;
    if !body.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',')) {
        return None;
    }
    let found = unsigned(body, style)?;
    let minus =
        |found: Number| Number { value: -found.value, decimal: found.decimal.map(Decimal::negated), ..found };
    Some(if negative { minus(found) } else { found })
}

/// What is left without sign, money and percent, and whether it is negative: `-$5`, `$-5`, `(5)`, `5-`, `−5`.
fn signed(cell: &str) -> Option<(bool, &str)> {
    let text = money::bare(cell);
    let (in_brackets, text) = match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) => (true, inner.trim()),
        None => (false, text),
    };
    let (before, text) = sign(text);
    let text = money::bare(text);
    let (between, text) = if before.is_none() { sign(text) } else { (None, text) };
    let (after, text) = match text.strip_suffix(['-', '−']) {
        Some(text) => (Some(true), text.trim_end()),
        None => (None, text),
    };
    let signs = [in_brackets.then_some(true), before, between, after];
    let mut signs = signs.into_iter().flatten();
    let negative = signs.next().unwrap_or(false);
    // Two signs are no number.
    signs.next().is_none().then_some((negative, text))
}

fn sign(text: &str) -> (Option<bool>, &str) {
    let mut rest = text.chars();
    match rest.next() {
        Some('-' | '−' | '–' | '\u{2010}' | '\u{2011}' | '\u{2012}' | '﹣' | '－') => {
            (Some(true), rest.as_str().trim_start())
        }
        Some('+') => (Some(false), rest.as_str().trim_start()),
        _ => (None, text),
    }
}

fn unsigned(body: &str, style: NumberStyle) -> Option<Number> {
    let (point, _) = style.signs();
    let grouped =
        body.bytes().any(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')));
    if !grouped && (point == b'.' || !body.contains('.')) {
        return plain(body);
    }
    let mut text = String::with_capacity(body.len());
    ungroup(body, style, &mut text)?;
    plain(&text)
}

/// Digits with at most one point and one exponent.
fn plain(text: &str) -> Option<Number> {
    let allowed = |c: u8| c.is_ascii_digit() || matches!(c, b'.' | b'-' | b'+' | b'e' | b'E');
    if !text.bytes().all(allowed) || !text.bytes().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let whole = text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'-' | b'+'));
    value.is_finite().then(|| Number { value, whole, decimal: Decimal::parse(text) })
}

/// Removes the signs between groups of digits and writes the point as `.`.
fn ungroup(body: &str, style: NumberStyle, out: &mut String) -> Option<()> {
    let (point, group) = style.signs();
    let (whole, fraction) = match body.split_once(char::from(point)) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (body, None),
    };
    let is_group = |c: char| {
        c == char::from(group)
            || matches!(c, ' ' | '\'' | '’' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\u{2007}')
    };
    let separator = whole.chars().find(|c| is_group(*c));
    match separator {
        None => out.push_str(whole),
        Some(separator) => join_groups(whole, separator, out)?,
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    Some(())
}

/// `1,234,567`, and `12,34,567` as India writes it. A first group of zero is none: `0,500` is a decimal.
fn join_groups(whole: &str, separator: char, out: &mut String) -> Option<()> {
    let groups = whole.split(separator).count();
    for (place, part) in whole.split(separator).enumerate() {
        let len = part.len();
        let fits = match place {
            0 => (1..=3).contains(&len) && !part.starts_with('0'),
            _ if place + 1 == groups => len == 3,
            _ => len == 3 || (len == 2 && separator == ','),
        };
        if !fits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        out.push_str(part);
    }
    Some(())
}

/// A number that means something else in the other style: one sign, before exactly three digits (`1.250`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BothWays {
    /// The sign is a comma.
    pub(crate) comma: bool,
    /// The digits end with a zero, as those of thousands mostly do.
    pub(crate) round: bool,
}

/// Whether a number means something else in the other style.
pub(crate) fn both_ways(cell: &str) -> Option<BothWays> {
    let digits = cell.trim_matches(|c: char| !c.is_ascii_digit());
    let (whole, rest) = digits.split_once(['.', ','])?;
    let whole_fits = (1..=3).contains(&whole.len()) && !whole.starts_with('0');
    let fits = whole_fits
        && rest.len() == 3
        && [whole, rest].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    fits.then(|| BothWays { comma: digits.contains(','), round: rest.ends_with('0') })
}

/// Why digits are a name rather than a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    /// `0123`: a number would lose the zero.
    LeadingZero,
    /// More digits than a number keeps.
    Long,
    /// `+84912345678`
    Phone,
}

/// Whether a cell that can be read as a number is a name of something.
pub(crate) fn code(cell: &str) -> Option<Code> {
    const DIGITS_KEPT: usize = 15;
    const PHONE_DIGITS_MIN: usize = 8;
    let unsigned = cell.trim_start_matches(['-', '+', '−']);
    if cell.starts_with('+') && unsigned.bytes().filter(u8::is_ascii_digit).count() >= PHONE_DIGITS_MIN {
        return (!unsigned.contains(['.', ',', 'e', 'E'])).then_some(Code::Phone);
    }
    if unsigned.len() < 2 || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match unsigned.len() {
        _ if unsigned.starts_with('0') => Some(Code::LeadingZero),
        len if len > DIGITS_KEPT => Some(Code::Long),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NumberStyle::{Comma, Point};

    fn check(cell: &str, style: NumberStyle, expected: Option<f64>) {
        assert_eq!(number(cell, style).map(|number| number.value), expected, "{cell:?}");
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        check("12", Point, Some(12.0));
        check(" -1.5 ", Point, Some(-1.5));
        check("-.19", Point, Some(-0.19));
        check("1e3", Point, Some(1000.0));
        check("1,5e3", Comma, Some(1500.0));
        check("1,234,567.5", Point, Some(1_234_567.5));
        check("12,34,567", Point, Some(1_234_567.0));
        check("$1,200", Point, Some(1200.0));
        check("12.5%", Point, Some(12.5));
        check("1 200", Point, Some(1200.0));
        check("1'234.50", Point, Some(1234.5));
        check("1’234", Point, Some(1234.0));
        check("1.200.000 ₫", Comma, Some(1_200_000.0));
        check("1.200.000 VNĐ", Comma, Some(1_200_000.0));
        check("1.234,5", Comma, Some(1234.5));
        check("12,5", Comma, Some(12.5));
        check("12,5", Point, None);
        check("1.2.3", Point, None);
        for text in
            ["", "-", "nan", "inf", "1e", "abc", "1-2", "e5", "12abc", "1e999", "1,2e3", "1,23", "--1"]
        {
            check(text, Point, None);
        }
    }

    #[test]
    fn a_minus_has_many_forms() {
        for text in ["-5", "−5", "–5", "(5)", "($5)", "$(5)", "-$5", "$-5", "5-", "(5) €", "- 5", "kr -5"]
        {
            check(text, Point, Some(-5.0));
        }
        check("+5", Point, Some(5.0));
        for text in ["-(5)", "(-5)", "(5", "5)", "+-5", "-5-"] {
            check(text, Point, None);
        }
    }

    #[test]
    fn a_group_never_begins_with_zero() {
        check("0.125", Comma, None);
        check("0,125", Comma, Some(0.125));
        check("0,500", Point, None);
        check("1.250", Comma, Some(1250.0));
        let way = |comma, round| Some(BothWays { comma, round });
        assert_eq!([both_ways("1.250"), both_ways("-21,028")], [way(false, true), way(true, false)]);
        assert_eq!(both_ways("0.250"), None);
        assert_eq!([both_ways("1.25"), both_ways("1.250.000"), both_ways("1.250,5")], [None; 3]);
    }

    #[test]
    fn codes_are_no_numbers() {
        assert_eq!(["0912345678", "-02", "00"].map(code), [Some(Code::LeadingZero); 3]);
        assert_eq!(["1234567890123456", "-7210194211959421178"].map(code), [Some(Code::Long); 2]);
        assert_eq!(["+84912345678", "+84 912 345 678"].map(code), [Some(Code::Phone); 2]);
        assert_eq!(["0", "120", "-5", "+5", "0.5", "+1,234,567.5"].map(code), [None; 6]);
    }
}
