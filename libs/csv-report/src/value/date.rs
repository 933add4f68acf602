//! Dates and times of day, in the order of their parts and with months by name.

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

    /// As the option has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ymd => "ymd",
            Self::Dmy => "dmy",
            Self::Mdy => "mdy",
        }
    }
}

/// A time in milliseconds since 1970, and whether it has a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) millis: i64,
    pub(crate) clock: bool,
    pub(crate) short: Short,
}

/// What of a date has two digits, and leaves it open what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Short {
    No,
    /// `15/03/24`: each part may be the year.
    Year,
    /// `Jan-24`: a month of 2024, or the 24th of January.
    Month,
}

/// Whether a cell is a date in any order.
pub(crate) fn any_date(cell: &str) -> bool {
    in_all_orders(cell).iter().any(Option::is_some)
}

/// A date, with or without a time of day: `2024-12-31`, `31/12/2024 08:30`, `3/14/2024 1:05 PM`,
/// `2024-12-31T08:30:00.5Z`, `15-Mar-2024`, `Thu, 15 March 2024`. Without an offset it is UTC.
pub(crate) fn date(cell: &str, order: DateOrder) -> Option<Time> {
    let cell = as_date(cell)?;
    numeric(cell.as_bytes(), order).or_else(|| in_words(cell)).and_then(time).or_else(|| compact(cell))
}

/// As [`date`], in each of [`DateOrder::ALL`].
pub(crate) fn in_all_orders(cell: &str) -> [Option<Time>; 3] {
    let Some(cell) = as_date(cell) else { return [None; 3] };
    let found = DateOrder::ALL.map(|order| numeric(cell.as_bytes(), order));
    if found.iter().any(Option::is_some) {
        return found.map(|day| day.and_then(time));
    }
    // Where the month has a name the order does not matter.
    [in_words(cell).and_then(time); 3]
}

/// `20240315`: eight digits that are a day of these centuries. They may as well be a number.
pub(crate) fn compact(cell: &str) -> Option<Time> {
    let cell = cell.as_bytes();
    if cell.len() != 8 || !cell.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let (year, month, day) = (number(&cell[..4]), number(&cell[4..6]), number(&cell[6..]));
    let days = days(year, month, day).filter(|_| (1900..2100).contains(&year))?;
    Some(Time { millis: days * 86_400_000, clock: false, short: Short::No })
}

/// A time of day alone, `14:05`, `14:05:30` or `2:05 PM`, on the first day of 1970.
pub(crate) fn hours(cell: &str) -> Option<Time> {
    let cell = cell.trim().as_bytes();
    let colon = cell.iter().take(3).position(|byte| *byte == b':')?;
    let minutes = cell.get(colon + 1..colon + 3)?;
    if colon == 0 || cell.len() > 20 || !minutes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (millis, rest) = clock(cell)?;
    let fits = rest.trim_ascii().is_empty() && millis < 86_400_000;
    fits.then_some(Time { millis, clock: true, short: Short::No })
}

/// A cell that may be a date: not too short or long, and begun by a digit or a word.
fn as_date(cell: &str) -> Option<&str> {
    let cell = cell.trim();
    let first = cell.as_bytes().first()?;
    let begins = first.is_ascii_alphanumeric() || *first >= 0x80;
    ((6..=48).contains(&cell.len()) && begins).then_some(cell)
}

fn time(((year, month, day), rest, short): Day<'_>) -> Option<Time> {
    let days = days(year, month, day)?;
    let clock = !rest.is_empty();
    let millis = if clock { time_of_day(rest)? } else { 0 };
    Some(Time { millis: days * 86_400_000 + millis, clock, short })
}

/// The two first parts of a date such as `3/14/2024`: one is the day, the other the month.
pub(crate) fn day_and_month(cell: &str) -> Option<(u32, u32)> {
    let mut rest = cell.trim().as_bytes();
    let (first, len) = take_number(&mut rest)?;
    rest = rest.get(1..)?;
    let (second, _) = take_number(&mut rest)?;
    (len <= 2).then_some((first, second))
}

type Day<'a> = ((u32, u32, u32), &'a [u8], Short);

/// The year that two digits mean.
const fn of_two_digits(year: u32) -> u32 {
    if year < 69 { 2000 + year } else { 1900 + year }
}

/// Three numbers with the same sign between them, and what comes after. A year of two digits stands where all
/// parts have two, or between strokes: `1.2.34` is a version, and `12-3-45` names a thing.
fn numeric(cell: &[u8], order: DateOrder) -> Option<Day<'_>> {
    let mut rest = cell;
    let (first, len) = take_number(&mut rest)?;
    let separator = *rest.first()?;
    if !matches!(separator, b'-' | b'/' | b'.') {
        return None;
    }
    rest = &rest[1..];
    let (second, second_len) = take_number(&mut rest)?;
    rest = rest.strip_prefix(&[separator])?;
    let (third, third_len) = take_number(&mut rest)?;
    let (year_len, other_len) = if order == DateOrder::Ymd { (len, third_len) } else { (third_len, len) };
    let all_two = [len, second_len, third_len] == [2; 3];
    let short = match year_len {
        // A year is at one end only.
        4 if other_len <= 2 || order == DateOrder::Ymd => false,
        2 if all_two || order != DateOrder::Ymd && separator == b'/' && len <= 2 && second_len <= 2 => true,
        _ => return None,
    };
    let year = |year: u32| if short { of_two_digits(year) } else { year };
    let date = match order {
        DateOrder::Ymd => (year(first), second, third),
        DateOrder::Dmy => (year(third), second, first),
        DateOrder::Mdy => (year(third), first, second),
    };
    Some((date, rest, if short { Short::Year } else { Short::No }))
}

/// The months in English, German, French and Spanish; three letters of a name are enough.
const MONTHS: [&[&str]; 12] = [
    &["january", "januar", "janvier", "enero"],
    &["february", "februar", "février", "febrero"],
    &["march", "märz", "mrz", "mars", "marzo"],
    &["april", "avril", "abril"],
    &["may", "mai", "mayo"],
    &["june", "juni", "juin", "junio"],
    &["july", "juli", "juillet", "julio"],
    &["august", "août", "agosto"],
    &["september", "septembre", "septiembre"],
    &["october", "oktober", "octobre", "octubre"],
    &["november", "novembre", "noviembre"],
    &["december", "dezember", "décembre", "diciembre"],
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A date whose month has a name.
fn in_words(cell: &str) -> Option<Day<'_>> {
    month_of_year(cell).or_else(|| named(cell))
}

/// `Jan-24` or `Jan '24`, as spreadsheets write months.
fn month_of_year(cell: &str) -> Option<Day<'_>> {
    let (word, rest) = cell.split_at(cell.find(|c: char| !c.is_alphabetic())?);
    let digits = rest.strip_prefix('-').or_else(|| rest.trim_start().strip_prefix(['\'', '’']))?;
    let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let year = digits.parse().ok().filter(|_| two)?;
    Some(((of_two_digits(year), month(word)?, 1), b"", Short::Month))
}

/// `Jan 1 2000`, `15-Mar-2024`, `15-Mar-24`, `2024 March 15`, `Jan 2000`, `15 tháng 3 năm 2024`.
fn named(cell: &str) -> Option<Day<'_>> {
    let mut parts = Parts(cell);
    let mut first = parts.next()?;
    if first.is_weekday() {
        first = parts.next()?;
    }
    let second = parts.next()?;
    let date = match (first, second) {
        (Part::Word(word), Part::Number(year, 4)) => (year, month(word)?, 1),
        (Part::Word(word), Part::Number(day, _)) => {
            let month = month(word)?;
            (parts.year(false)?, month, day)
        }
        (Part::Number(year, 4), Part::Word("年" | "년")) => parts.month_and_day(year)?,
        (Part::Number(year, 4), Part::Word(word)) => (year, parts.month(word)?, parts.number()?),
        (Part::Number(day, _), Part::Word(word)) => {
            let month = parts.month(word)?;
            (parts.year(true)?, month, day)
        }
        _ => return None,
    };
    Some((date, parts.0.as_bytes(), Short::No))
}

fn month(word: &str) -> Option<u32> {
    if word.len() < 3 || word.len() > 12 {
        return None;
    }
    let found = MONTHS.iter().position(|names| names.iter().any(|name| begins(name, word)))?;
    u32::try_from(found + 1).ok()
}

/// Whether a name begins with a word of at least three letters, in capitals or not.
fn begins(name: &str, word: &str) -> bool {
    if word.is_ascii() {
        return word.len() >= 3
            && name
                .as_bytes()
                .get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()));
    }
    word.chars().count() >= 3 && name.starts_with(&word.to_lowercase())
}

#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Word(&'a str),
    /// With the number of its digits.
    Number(u32, usize),
}

impl Part<'_> {
    fn is_weekday(&self) -> bool {
        let Self::Word(word) = self else { return false };
        WEEKDAYS.iter().any(|day| begins(day, word))
    }
}

/// Words and numbers, with the signs of dates between them.
struct Parts<'a>(&'a str);

impl<'a> Parts<'a> {
    fn next(&mut self) -> Option<Part<'a>> {
        let text = self.0.trim_start_matches([' ', '-', '/', '.', ',']);
        let first = text.chars().next()?;
        if first.is_ascii_digit() {
            let mut rest = text.as_bytes();
            let (number, len) = take_number(&mut rest)?;
            self.0 = &text[len..];
            for ordinal in ["st", "nd", "rd", "th"] {
                self.0 = self.0.strip_prefix(ordinal).unwrap_or(self.0);
            }
            return Some(Part::Number(number, len));
        }
        let len = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
        let (word, rest) = text.split_at(len);
        self.0 = rest;
        (len > 0).then_some(Part::Word(word))
    }

    /// `3月15日`
    fn month_and_day(&mut self, year: u32) -> Option<(u32, u32, u32)> {
        let month = self.number()?;
        let day = matches!(self.next()?, Part::Word("月" | "월")).then(|| self.number())??;
        matches!(self.next()?, Part::Word("日" | "일")).then_some((year, month, day))
    }

    fn number(&mut self) -> Option<u32> {
        match self.next()? {
            Part::Number(number, _) => Some(number),
            Part::Word(_) => None,
        }
    }

    /// A year of four digits; of two where nothing else can stand.
    fn year(&mut self, short: bool) -> Option<u32> {
        match self.next()? {
            Part::Number(year, 4) => Some(year),
            Part::Number(year, 2) if short => Some(of_two_digits(year)),
            Part::Word("năm") => self.year(false),
            _ => None,
        }
    }

    /// The month of a name, or the number after `tháng`.
    fn month(&mut self, word: &str) -> Option<u32> {
        if matches!(word.to_lowercase().as_str(), "tháng" | "thg") { self.number() } else { month(word) }
    }
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

/// `T08:30`, ` 08:30:15.250`, `, 1:05 PM`, with `Z` or an offset: milliseconds of the day in UTC.
fn time_of_day(rest: &[u8]) -> Option<i64> {
    let rest = match rest.split_first()? {
        (b'T' | b't' | b' ' | b',' | b':', rest) => rest.trim_ascii_start(),
        _ => return None,
    };
    let (millis, rest) = clock(rest)?;
    offset(rest.trim_ascii()).map(|offset| millis - offset)
}

/// `08:30`, `08:30:15.250` or `1:05 PM` in milliseconds of the day, and what comes after.
fn clock(mut rest: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, _) = take_number(&mut rest)?;
    rest = rest.strip_prefix(b":")?;
    let (minute, _) = take_number(&mut rest)?;
    if hour > 24 || minute > 59 {
        return None;
    }
    let mut millis = i64::from(minute) * 60_000;
    if let Some(seconds) = rest.strip_prefix(b":") {
        rest = seconds;
        let (second, _) = take_number(&mut rest)?;
        millis += i64::from(second.min(60)) * 1000 + fraction(&mut rest);
    }
    let hour = half_of_day(hour, &mut rest)?;
    millis += i64::from(hour) * 3_600_000;
    Some((millis, rest))
}

/// The hour of 24, when `AM` or `PM` follows (`SA` or `CH` in Vietnamese).
fn half_of_day(hour: u32, rest: &mut &[u8]) -> Option<u32> {
    let text = rest.trim_ascii_start();
    let half = |words: [&str; 3]| {
        words.iter().find_map(|word| {
            let (head, tail) = text.split_at_checked(word.len())?;
            head.eq_ignore_ascii_case(word.as_bytes()).then_some(tail)
        })
    };
    let (after, afternoon) = match (half(["am", "a.m.", "sa"]), half(["pm", "p.m.", "ch"])) {
        (Some(after), _) => (after, false),
        (_, Some(after)) => (after, true),
        _ => return Some(hour),
    };
    *rest = after;
    (1..=12).contains(&hour).then(|| hour % 12 + if afternoon { 12 } else { 0 })
}

/// `.250`: what counts is the first three digits.
fn fraction(rest: &mut &[u8]) -> i64 {
    let Some(digits) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) else { return 0 };
    let len = digits.iter().take_while(|c| c.is_ascii_digit()).count();
    let digit = |place: usize| digits[..len].get(place).map_or(0, |c| i64::from(c - b'0'));
    *rest = &digits[len..];
    digit(0) * 100 + digit(1) * 10 + digit(2)
}

/// Nothing, `Z`, `UTC`, `GMT+7`, `+07:00`, `+0700` or `+07`: milliseconds east of Greenwich.
fn offset(text: &[u8]) -> Option<i64> {
    let named = text.strip_prefix(b"UTC").or_else(|| text.strip_prefix(b"GMT"));
    let text = named.unwrap_or(text);
    let (sign, digits) = match text.split_first() {
        None => return Some(0),
        Some((b'Z' | b'z', [])) => return Some(0),
        Some((b'+', digits)) => (1, digits),
        Some((b'-', digits)) => (-1, digits),
        Some(_) => return None,
    };
    let digits: Vec<u8> = digits.iter().copied().filter(|c| *c != b':').collect();
    let number: i64 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
    let (hours, minutes) = match digits.len() {
        1 if named.is_some() => (number, 0),
        2 => (number, 0),
        4 => (number / 100, number % 100),
        _ => return None,
    };
    Some(sign * (hours * 3_600_000 + minutes * 60_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use DateOrder::{Dmy, Mdy, Ymd};

    fn check(cell: &str, order: DateOrder, expected: Option<i64>) {
        assert_eq!(date(cell, order).map(|time| time.millis), expected, "{cell:?}");
    }

    #[test]
    fn dates_are_read_in_their_order_and_must_exist() {
        check("1970-01-01", Ymd, Some(0));
        check("2024-02-29", Ymd, Some(1_709_164_800_000));
        check("2023-02-29", Ymd, None);
        check("31/12/2024", Dmy, Some(1_735_603_200_000));
        check("12/31/2024", Mdy, Some(1_735_603_200_000));
        check("31/12/2024", Mdy, None);
        check("2025-01-23T10:00:03.250Z", Ymd, Some(1_737_626_403_250));
        check("2025-01-23 17:00:03+07:00", Ymd, Some(1_737_626_403_000));
        check("2025/01/23 5:00:03 PM GMT+7", Ymd, Some(1_737_626_403_000));
        check("2025-01-23 17:00:03 +7", Ymd, None);
        check("23.01.2025 10:00", Dmy, Some(1_737_626_400_000));
        for text in
            ["12345678", "2024-1", "2024-01-01x", "1.2.34", "2024/01-01", "10.0.0.12", "12-3-45", "20-45-67"]
        {
            check(text, Ymd, None);
            check(text, Dmy, None);
        }
        assert_eq!((day_and_month("3/14/2024"), day_and_month("2024-03-14")), (Some((3, 14)), None));
    }

    #[test]
    fn years_of_two_digits_are_read_where_nothing_else_is_likely() {
        const MARCH_15: i64 = 1_710_460_800_000;
        for (text, order) in [
            ("15/03/24", Dmy),
            ("15/3/24", Dmy),
            ("15.03.24", Dmy),
            ("15-03-24", Dmy),
            ("03/15/24", Mdy),
            ("3/15/24", Mdy),
            ("24-03-15", Ymd),
            ("24/03/15", Ymd),
        ] {
            check(text, order, Some(MARCH_15));
            assert_eq!(date(text, order).map(|time| time.short), Some(Short::Year), "{text}");
        }
        check("15/03/24 00:00", Dmy, Some(MARCH_15));
        check("15/03/1924", Ymd, None);
        assert_eq!(date("01/01/70", Dmy).map(|time| time.millis), Some(0));
    }

    #[test]
    fn eight_digits_months_of_years_and_times_of_day_are_read() {
        check("20240315", Ymd, Some(1_710_460_800_000));
        for text in ["20240399", "18990101", "21000101", "2024031", "202403150", "2024O315"] {
            assert_eq!(compact(text), None, "{text}");
        }
        for text in ["Jan-24", "Jan '24", "January-24", "jan-24"] {
            check(text, Ymd, Some(1_704_067_200_000));
            assert_eq!(date(text, Ymd).map(|time| time.short), Some(Short::Month), "{text}");
        }
        for text in ["Jan-2", "Jan-240", "Jam-24", "Jan 24", "Mar-15x"] {
            check(text, Ymd, None);
        }
        let minutes = |text: &str| hours(text).map(|time| time.millis / 60_000);
        assert_eq!(["14:05", "2:05 PM", "02:05:30 pm", "0:00"].map(minutes), [845, 845, 845, 0].map(Some));
        for text in ["90:15", "3:2", "14:5", "14:05x", "14:05Z", ":05", "24:00", "1:2:3", "14:60", "16:9"] {
            assert_eq!(minutes(text), None, "{text}");
        }
    }

    #[test]
    fn months_have_names() {
        const MARCH_15: i64 = 1_710_460_800_000;
        for text in [
            "Mar 15 2024",
            "March 15, 2024",
            "Friday, March 15th, 2024",
            "15-Mar-2024",
            "15-MAR-24",
            "15 March 2024",
            "15. März 2024",
            "15 mars 2024",
            "2024-Mar-15",
            "Fri, 15 Mar 2024",
            "15 tháng 3 năm 2024",
            "2024年3月15日",
        ] {
            for order in DateOrder::ALL {
                check(text, order, Some(MARCH_15));
            }
        }
        check("Jan 2000", Ymd, Some(946_684_800_000));
        for text in
            ["March madness 15", "Marching 2024", "Street 2024", "May be 12", "Feb 30 2024", "Mar-15 24x"]
        {
            check(text, Ymd, None);
        }
    }

    #[test]
    fn hours_of_twelve_are_read() {
        const DAY: i64 = 1_710_374_400_000;
        let minutes = |hours: i64, minutes: i64| Some(DAY + (hours * 60 + minutes) * 60_000);
        check("3/14/2024 1:05 PM", Mdy, minutes(13, 5));
        check("3/14/2024, 12:00:00 am", Mdy, minutes(0, 0));
        check("14/03/2024 12:30 CH", Dmy, minutes(12, 30));
        check("28 Feb 2023 11:42 AM +00:00", Ymd, Some(1_677_584_520_000));
        check("3/14/2024 13:05 PM", Mdy, None);
        check("Thu Mar 14 2024 08:00:00 GMT+0700", Ymd, minutes(1, 0));
    }
}
