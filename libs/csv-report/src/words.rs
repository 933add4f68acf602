//! How texts and numbers stand on the page: in two languages, escaped, with the same signs everywhere.
//!
//! Invariant: nothing from the file reaches the page except through [`Escaped`].

use std::fmt;

/// A text from the file, as HTML: markup signs are escaped, and signs that change the direction or order of
/// other text are shown as U+FFFD.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\r' | '\t' => f.write_char(' ')?,
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_char('\u{fffd}')?,
                other if other.is_control() => f.write_char('\u{fffd}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A text of ours in English and Vietnamese; the page shows one of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words(pub(crate) &'static str, pub(crate) &'static str);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<span lang=\"en\">{}</span><span lang=\"vi\">{}</span>", self.0, self.1)
    }
}

/// A sentence of ours around parts that are HTML already; `{}` stands for each part.
pub(crate) fn sentence(words: Words, parts: &[&str]) -> String {
    let fill = |text: &str| {
        let mut out = String::new();
        let mut parts = parts.iter();
        for (place, piece) in text.split("{}").enumerate() {
            if place > 0 {
                out.push_str(parts.next().copied().unwrap_or_default());
            }
            out.push_str(piece);
        }
        out
    };
    format!("<span lang=\"en\">{}</span><span lang=\"vi\">{}</span>", fill(words.0), fill(words.1))
}

/// What stands between groups of digits where only one form can stand: neither of the languages' signs, so
/// that no number means something else in the other.
const GROUP: char = '\u{202f}';

/// A plain number as both languages write it, `1,234.5` and `1.234,5`; the page shows one of them.
pub(crate) fn both(plain: &str) -> String {
    in_both(plain, "span")
}

/// The same within a drawing.
pub(crate) fn drawn(plain: &str) -> String {
    in_both(plain, "tspan")
}

fn in_both(plain: &str, tag: &str) -> String {
    if !plain.contains([GROUP, '.']) {
        return plain.to_owned();
    }
    let english = plain.replace(GROUP, ",");
    let vietnamese = plain.replace('.', ",").replace(GROUP, ".");
    format!("<{tag} lang=\"en\">{english}</{tag}><{tag} lang=\"vi\">{vietnamese}</{tag}>")
}

/// A whole number with its digits in groups.
pub(crate) fn count(value: u64) -> String {
    both(&group(&value.to_string()))
}

fn group(digits: &str) -> String {
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(GROUP);
        }
        out.push(digit);
    }
    out
}

/// The digits of a decimal number, `-1234.50`, all of them.
pub(crate) fn digits(text: &str) -> String {
    both(&in_groups(text))
}

/// A number with at least and at most so many decimals, where no markup can stand.
pub(crate) fn plain_decimals(value: f64, least: usize, most: usize) -> String {
    to_places(value, least, most)
}

/// What stands before a figure that is not exact.
pub(crate) const APPROXIMATELY: &str = "≈ ";

/// A plain number, marked where it is not the whole of `value`, or where that is an estimate itself.
pub(crate) fn marked(plain: &str, value: f64, estimated: bool) -> String {
    let shown = plain.replace(GROUP, "").replace('−', "-").parse::<f64>();
    let whole = shown.is_ok_and(|shown| (shown - value).abs() <= value.abs() * 1e-12);
    both(&if estimated || !whole { format!("{APPROXIMATELY}{plain}") } else { plain.to_owned() })
}

/// A number with about five digits that count.
pub(crate) fn exact(value: f64) -> String {
    both(&plain(value))
}

/// A number as it was written, up to twelve digits that count.
pub(crate) fn as_written(value: f64) -> String {
    both(&plain_as_written(value))
}

/// A number among others that differ by `spread` and are written with so many decimals: as exact as tells
/// them apart, where no markup can stand.
pub(crate) fn plain_among(value: f64, spread: f64, least: usize, most: usize) -> String {
    let places = usual_places(value.abs()).max(places_of(spread / 1000.0));
    to_places(value, least, places.max(most))
}

/// As [`exact`], where no markup can stand, such as in a tooltip.
pub(crate) fn plain(value: f64) -> String {
    to_places(value, 0, usual_places(value.abs()))
}

/// As [`as_written`], where no markup can stand.
pub(crate) fn plain_as_written(value: f64) -> String {
    const DIGITS: usize = 12;
    let whole = value.abs().trunc().to_string().len();
    // Places that the digits before the point leave, of a number that has a few zeros after it.
    let places = if value.abs() >= 1.0 { DIGITS.saturating_sub(whole) } else { DIGITS };
    to_places(value, 0, places)
}

/// As [`plain`], with digits down to `step`.
pub(crate) fn plain_fine(value: f64, step: f64) -> String {
    to_places(value, 0, usual_places(value.abs()).max(places_of(step)))
}

/// How many decimals a number of this size has, so that about five digits count.
fn usual_places(size: f64) -> usize {
    match size {
        _ if size.fract() == 0.0 => 0,
        _ if size >= 10_000.0 => 0,
        _ if size >= 1000.0 => 1,
        _ if size >= 1.0 => 2,
        _ => 4,
    }
}

/// How many decimals tell apart what differs by `step`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10")]
fn places_of(step: f64) -> usize {
    const PLACES_MAX: f64 = 10.0;
    if step.is_finite() && step > 0.0 { (-step.log10()).ceil().clamp(0.0, PLACES_MAX) as usize } else { 0 }
}

/// With `most` decimals, but for zeros at the end of more than `least`.
fn to_places(value: f64, least: usize, most: usize) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_owned();
    }
    if size >= 1e15 || (size > 0.0 && size < 1e-4) {
        return format!("{value:.3e}").replace('-', "−");
    }
    let text = format!("{value:.most$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let needed = fraction.trim_end_matches('0').len().max(least.min(most));
    let point = if needed > 0 { "." } else { "" };
    in_groups(&format!("{whole}{point}{}", &fraction[..needed]))
}

/// Digits with a point or none, in groups; zero has no sign.
fn in_groups(text: &str) -> String {
    let (minus, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("−", digits));
    let zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if zero { "" } else { minus };
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    format!("{sign}{}{fraction}", group(whole))
}

/// A number for an axis, plain: `1.2k`, `3.4M`; with digits down to `step`.
pub(crate) fn compact(value: f64, step: f64) -> String {
    let size = value.abs();
    let (scale, unit) = match size {
        _ if size >= 1e15 => return plain(value),
        _ if size >= 1e12 => (1e12, "T"),
        _ if size >= 1e9 => (1e9, "B"),
        _ if size >= 1e6 => (1e6, "M"),
        _ if size >= 1e4 => (1e3, "k"),
        _ => return plain_fine(value, step),
    };
    let scaled = value / scale;
    // Three digits that count are enough beside a grid, if they tell its lines apart.
    let usual = if scaled.abs() >= 100.0 { 0 } else { 2 };
    format!("{}{unit}", to_places(scaled, 0, places_of(step / scale).max(usual)))
}

/// A share of a whole.
#[expect(clippy::cast_precision_loss, reason = "a share")]
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let share = part as f64 / whole.max(1) as f64 * 100.0;
    match part {
        0 => "0 %".to_owned(),
        _ if share < 0.1 => both("&lt; 0.1 %"),
        _ if share > 99.9 && part < whole => both("&gt; 99.9 %"),
        _ => both(&format!("{} %", plain((share * 10.0).round() / 10.0))),
    }
}

/// A size of a file.
#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
pub(crate) fn bytes(value: u64) -> String {
    let (scale, unit) = match value {
        0..1000 => return format!("{value} B"),
        1000..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    both(&format!("{:.1} {unit}", value as f64 / scale))
}

/// A day: `2024-12-31`.
pub(crate) fn day(millis: i64) -> String {
    form(millis, "%Y-%m-%d")
}

/// A day, or a day with its time.
pub(crate) fn moment(millis: i64, clock: bool) -> String {
    form(millis, if clock { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d" })
}

/// A time of day as `14:05`.
pub(crate) fn hours(millis: i64) -> String {
    form(millis, "%H:%M")
}

fn form(millis: i64, format: &str) -> String {
    // Without a zone, since a point in time ends a day before the year 9999 does.
    let since = jiff::SignedDuration::from_millis(millis);
    let time = jiff::civil::date(1970, 1, 1).to_datetime(jiff::civil::Time::midnight()).checked_add(since);
    time.map(|time| time.strftime(format).to_string()).unwrap_or_else(|_| "–".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_whatever_it_says() {
        let cell = Escaped("<script>alert('x')</script> \"&\" \u{202e}abc\u{7}").to_string();
        assert_eq!(
            cell,
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &quot;&amp;&quot; \u{fffd}abc\u{fffd}"
        );
    }

    #[test]
    fn numbers_show_about_five_digits() {
        let spaced = |text: String| text.replace(GROUP, " ");
        assert_eq!(spaced(plain(1_234_567.0)), "1 234 567");
        assert_eq!(spaced(plain(1234.567)), "1 234.6");
        assert_eq!(spaced(plain(-0.123_456)), "−0.1235");
        assert_eq!(spaced(plain(-0.000_000_1)), "−1.000e−7");
        assert_eq!(spaced(plain(2.50)), "2.5");
        assert_eq!(spaced(compact(1_234_567.0, 1e5)), "1.23M");
        assert_eq!(spaced(compact(25_000.0, 5000.0)), "25k");
        assert_eq!(percent(1, 3), both("33.3 %"));
        assert_eq!(percent(1, 1_000_000), both("&lt; 0.1 %"));
        assert_eq!(bytes(52_428_800), both("52.4 MB"));
        assert_eq!(moment(1_737_626_403_000, true), "2025-01-23 10:00");
    }

    #[test]
    fn numbers_have_the_decimals_they_are_written_with() {
        assert_eq!(digits("-1234.50"), both("−1\u{202f}234.50"));
        assert_eq!([digits("0.00"), digits("-0.0"), digits("12")], ["0.00", "0.0", "12"].map(both));
        assert_eq!(plain_decimals(100_000.1, 2, 2), "100\u{202f}000.10");
        assert_eq!(plain_decimals(2.5, 0, 3), "2.5");
        assert_eq!(plain_among(66_666.666, 1e6, 2, 2), "66\u{202f}666.67");
        assert_eq!(plain_among(-0.001, 1e6, 2, 2), "−0.001");
    }

    #[test]
    fn numbers_that_differ_look_different() {
        assert_eq!(
            ["1.0921", "0.0000031", "123456.789", "-0.1"]
                .map(|text| plain_as_written(text.parse().expect("a number"))),
            ["1.0921", "3.100e−6", "123\u{202f}456.789", "−0.1"]
        );
        assert_eq!(
            (plain_among(1.093_654_3, 0.0025, 0, 0), plain_among(523_456.789, 1e6, 0, 0)),
            ("1.093654".to_owned(), "523\u{202f}457".to_owned())
        );
        assert_eq!([1.0920, 1.0925].map(|tick| compact(tick, 0.0005)), ["1.092", "1.0925"]);
        assert_eq!([60_010.0, 60_020.0].map(|tick| compact(tick, 10.0)), ["60.01k", "60.02k"]);
    }

    #[test]
    fn what_is_shown_is_marked_where_it_is_not_all() {
        let shown = |value, estimated| marked(&plain(value), value, estimated);
        assert_eq!([shown(0.5, false), shown(-1234.5, false)], ["0.5", "−1\u{202f}234.5"].map(both));
        assert_eq!([shown(2.0 / 3.0, false), shown(0.5, true)], ["≈ 0.6667", "≈ 0.5"].map(both));
        assert_eq!(marked("0.2", 0.1 + 0.2 - 0.1, false), both("0.2"));
    }

    #[test]
    fn the_first_and_the_last_day_have_names() {
        assert_eq!(day(-62_135_596_800_000), "0001-01-01");
        assert_eq!(day(253_402_214_400_000), "9999-12-31");
    }

    #[test]
    fn numbers_are_written_as_each_language_does() {
        assert_eq!(count(795_155), "<span lang=\"en\">795,155</span><span lang=\"vi\">795.155</span>");
        assert_eq!(exact(1234.5), "<span lang=\"en\">1,234.5</span><span lang=\"vi\">1.234,5</span>");
        assert_eq!(drawn("0.4"), "<tspan lang=\"en\">0.4</tspan><tspan lang=\"vi\">0,4</tspan>");
        assert_eq!((count(7), drawn("2024-12-31")), ("7".to_owned(), "2024-12-31".to_owned()));
    }

    #[test]
    fn a_sentence_has_its_parts_in_both_languages() {
        let both = sentence(Words("{} of {}", "{} trong {}"), &["<b>1</b>", "2"]);
        assert_eq!(both, "<span lang=\"en\"><b>1</b> of 2</span><span lang=\"vi\"><b>1</b> trong 2</span>");
    }
}
