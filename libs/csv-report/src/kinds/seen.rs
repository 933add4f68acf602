//! What was seen in a column: how many of its cells fit each kind, and what tells two readings apart.

use crate::{
    kinds::column::{Column, Doubt, File, Kind, Times, Words},
    reading::Chosen,
    value::{self, Code, DateOrder, Missing, NumberStyle, Short, WordCounts, WordSet},
};

/// Nine in ten.
const SHARE_MIN: (u64, u64) = (9, 10);
/// Names of columns whose digits are no measure.
const CODE_NAMES: [&str; 22] = [
    "phone",
    "phone number",
    "phone no",
    "tel",
    "telephone",
    "mobile",
    "mobile phone",
    "fax",
    "zip",
    "zip code",
    "zipcode",
    "postal code",
    "postcode",
    "post code",
    "plz",
    "sđt",
    "số điện thoại",
    "điện thoại",
    "mã bưu chính",
    "iban",
    "isbn",
    "barcode",
];

/// Last words of names whose numbers name something.
const ID_WORDS: [&str; 11] = ["id", "ids", "code", "no", "nr", "num", "number", "key", "ref", "mã", "số"];

/// What was seen in a column.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    filled: u64,
    empty: u64,
    /// Texts that stand alone in a row of a table of several columns, such as footnotes.
    notes: u64,
    /// The first filled cell is a text, such as a unit or a second name below the header.
    begins_with_text: bool,
    /// Words that say nothing, unless the column holds texts.
    words: u64,
    /// Words that say nothing, even among most texts.
    said: WordCounts,
    /// Texts of the form of a code.
    codes_of_letters: u64,
    point: Numbers,
    comma: Numbers,
    /// Numbers that only one style allows.
    only_point: u64,
    only_comma: u64,
    /// Numbers that mean something else in the other style: all, those with a comma, those that end with a
    /// zero.
    both_ways: u64,
    commas: u64,
    round: u64,
    codes: [Codes; 3],
    /// The first sign of money or percent, and whether another came.
    unit: Option<Box<str>>,
    units: bool,
    booleans: u64,
    dates: [Dates; 3],
    /// Days as eight digits, which are numbers too.
    compact: Dates,
    /// Times of day alone.
    hours: Dates,
    parts: DateParts,
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

#[derive(Debug, Clone, Copy, Default)]
struct Codes {
    count: u64,
    /// The line of the first.
    line: u64,
}

#[derive(Debug, Clone, Copy)]
struct Dates {
    fit: u64,
    clock: bool,
    from: i64,
    to: i64,
    last: i64,
    /// How often a date was later, or earlier, than the one before.
    later: u64,
    earlier: u64,
    /// Years of two digits, and months of such years.
    short: u64,
    months: u64,
}

impl Default for Dates {
    fn default() -> Self {
        Self {
            fit: 0,
            clock: false,
            from: i64::MAX,
            to: i64::MIN,
            last: i64::MIN,
            later: 0,
            earlier: 0,
            short: 0,
            months: 0,
        }
    }
}

impl Dates {
    fn take(&mut self, time: value::Time) {
        self.later += u64::from(self.fit > 0 && time.millis > self.last);
        self.earlier += u64::from(self.fit > 0 && time.millis < self.last);
        self.last = time.millis;
        self.fit += 1;
        self.clock |= time.clock;
        self.short += u64::from(time.short == Short::Year);
        self.months += u64::from(time.short == Short::Month);
        self.from = self.from.min(time.millis);
        self.to = self.to.max(time.millis);
    }

    /// How far the dates are from going one way.
    fn disorder(&self) -> u64 {
        self.later.min(self.earlier)
    }

    fn times(&self, order: DateOrder) -> Times {
        if self.fit == 0 {
            return Times { order, ..Times::NONE };
        }
        Times { order, clock: self.clock, hours: false, from: self.from, to: self.to }
    }

    /// With others of the same column.
    fn and(self, others: Self) -> Self {
        let (from, to) = (self.from.min(others.from), self.to.max(others.to));
        Self { fit: self.fit + others.fit, clock: self.clock | others.clock, from, to, ..self }
    }

    fn span(&self) -> i64 {
        self.to.saturating_sub(self.from)
    }
}

/// Which values the two first parts of dates such as `3/14/2024` have, one bit each.
#[derive(Debug, Clone, Copy, Default)]
struct DateParts {
    first: u32,
    second: u32,
}

impl DateParts {
    const ONE: u32 = 1 << 1;

    fn take(&mut self, cell: &str) {
        if let Some((first, second)) = value::day_and_month(cell) {
            self.first |= 1 << first.min(31);
            self.second |= 1 << second.min(31);
        }
    }

    /// The first of every month, or of every day: the part that is always 1 is the day.
    fn of_months(self) -> Option<DateOrder> {
        match (self.first == Self::ONE, self.second == Self::ONE) {
            (true, false) => Some(DateOrder::Dmy),
            (false, true) => Some(DateOrder::Mdy),
            _ => None,
        }
    }
}

impl Seen {
    /// A cell that stands alone in its row: what is no value says nothing of the column.
    pub(super) fn take_alone(&mut self, cell: &str, line: u64) {
        let text = value::missing(cell) == Missing::No
            && value::number(cell, NumberStyle::Point).is_none()
            && value::number(cell, NumberStyle::Comma).is_none()
            && !value::any_date(cell)
            && value::hours(cell).is_none();
        if text { self.notes += 1 } else { self.take(cell, line) }
    }

    pub(super) fn take(&mut self, cell: &str, line: u64) {
        match value::missing(cell) {
            Missing::Empty => return self.empty += 1,
            Missing::Word(word) => return self.said.take(word),
            Missing::Perhaps => return self.words += 1,
            Missing::No => {}
        }
        self.filled += 1;
        if !cell.bytes().any(|c| c.is_ascii_digit()) {
            self.booleans += u64::from(value::boolean(cell).is_some());
            self.codes_of_letters += u64::from(value::is_code(cell));
            self.begins_with_text |= self.filled == 1 && self.booleans == 0;
            return;
        }
        if let Some(day) = value::compact(cell) {
            self.compact.take(day);
        }
        if self.take_number(cell, line) {
            return;
        }
        let mut is_date = false;
        for (time, dates) in value::in_all_orders(cell).into_iter().zip(&mut self.dates) {
            if let Some(time) = time {
                dates.take(time);
                is_date = true;
            }
        }
        if is_date {
            self.parts.take(cell);
        } else if let Some(time) = value::hours(cell) {
            self.hours.take(time);
        } else {
            self.begins_with_text |= self.filled == 1 && self.compact.fit == 0;
        }
    }

    /// Whether the cell is a number in any style.
    fn take_number(&mut self, cell: &str, line: u64) -> bool {
        let point = value::number(cell, NumberStyle::Point);
        let digits = point.is_some() && cell.bytes().all(|c| c.is_ascii_digit());
        let comma = if digits { point } else { value::number(cell, NumberStyle::Comma) };
        self.point.take(point);
        self.comma.take(comma);
        self.only_point += u64::from(point.is_some() && comma.is_none());
        self.only_comma += u64::from(comma.is_some() && point.is_none());
        let is_number = point.is_some() || comma.is_some();
        if !is_number {
            return false;
        }
        if !digits && point.is_some() && comma.is_some() {
            let both_ways = value::both_ways(cell);
            self.both_ways += u64::from(both_ways.is_some());
            self.commas += u64::from(both_ways.is_some_and(|number| number.comma));
            self.round += u64::from(both_ways.is_some_and(|number| number.round));
        }
        if !digits {
            self.take_unit(cell);
        }
        if let Some(code) = value::code(cell) {
            let codes = &mut self.codes[code as usize];
            codes.line = if codes.count == 0 { line } else { codes.line };
            codes.count += 1;
        }
        true
    }

    fn take_unit(&mut self, cell: &str) {
        const UNIT_BYTES_MAX: usize = 16;
        // Most numbers begin and end with a digit.
        let ends = [cell.as_bytes().first(), cell.as_bytes().last()];
        if ends.into_iter().flatten().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
            return;
        }
        let unit = value::unit(cell);
        if unit.is_empty() || unit.len() > UNIT_BYTES_MAX {
            return;
        }
        let first = self.unit.get_or_insert_with(|| unit.into());
        self.units |= **first != *unit;
    }

    pub(super) fn only_point(&self) -> u64 {
        self.only_point
    }

    pub(super) fn only_comma(&self) -> u64 {
        self.only_comma
    }

    /// The order of days and months, if only one fits.
    pub(super) fn only_order(&self) -> Option<DateOrder> {
        let [_, day, month] = &self.dates;
        match day.fit.cmp(&month.fit) {
            std::cmp::Ordering::Greater => Some(DateOrder::Dmy),
            std::cmp::Ordering::Less => Some(DateOrder::Mdy),
            std::cmp::Ordering::Equal => None,
        }
    }

    pub(super) fn decide(&self, name: &str, file: File, chosen: Option<Chosen>) -> Column {
        let (kind, fit, doubt) = match chosen {
            Some(chosen) => self.as_chosen(chosen, file),
            None => self.found(name, file),
        };
        let words = Words { counts: self.said, texts: self.words_of(kind, chosen) };
        // Where texts are, words are texts.
        let others = if kind == Kind::Text { 0 } else { self.words };
        let missing = self.empty + words.as_missing().count() + others;
        let notes = if kind == Kind::Text { 0 } else { self.notes };
        let invalid = self.filled.saturating_sub(fit) + notes;
        // Whoever said what the column holds has no doubt about that.
        let answered = matches!(doubt, Some(Doubt::Compact | Doubt::MonthOfYear | Doubt::TimeOfDay));
        let doubt = doubt.filter(|_| chosen.is_none() || !answered);
        Column { kind, missing, invalid, doubt, words, chosen: chosen.is_some() }
    }

    /// The words that say nothing elsewhere and are texts here: `NA` is a code where all others are codes.
    fn words_of(&self, kind: Kind, chosen: Option<Chosen>) -> WordSet {
        let codes = self.filled > 0 && self.codes_of_letters == self.filled;
        match (kind, chosen) {
            (Kind::Text, Some(Chosen::Verbatim)) => WordSet::ALL,
            (Kind::Text, None) if codes => WordSet::codes(),
            _ => WordSet::NONE,
        }
    }

    fn as_chosen(&self, chosen: Chosen, file: File) -> (Kind, u64, Option<Doubt>) {
        match chosen {
            Chosen::Text | Chosen::Verbatim => (Kind::Text, self.filled, None),
            Chosen::Boolean => (Kind::Boolean, self.booleans, None),
            Chosen::Number => self.numbers(file),
            Chosen::Date => self.times(file),
        }
    }

    fn found(&self, name: &str, file: File) -> (Kind, u64, Option<Doubt>) {
        if self.filled == 0 {
            return (if self.words + self.notes > 0 { Kind::Text } else { Kind::Empty }, 0, None);
        }
        let (numbers, times) = (self.numbers(file), self.times(file));
        // Eight digits are days where all of them can be, unless the column's name says that they name
        // something.
        let days = self.compact.fit > 0 && times.1 >= numbers.1 && !is_id_name(name);
        let [first, second] = if days { [times, numbers] } else { [numbers, times] };
        let offers = [(Kind::Boolean, self.booleans, None), first, second];
        // The first of equals wins.
        let best = offers.into_iter().reduce(|best, offer| if offer.1 > best.1 { offer } else { best });
        let (kind, fit, doubt) = best.unwrap_or((Kind::Text, 0, None));
        if fit * SHARE_MIN.1 < self.filled * SHARE_MIN.0 && !self.is_all_but_the_first(fit) {
            return (Kind::Text, self.filled, None);
        }
        let name_of_something = match kind {
            Kind::Integer(_) => self.code().or_else(|| is_code_name(name).then_some(Doubt::Named)),
            Kind::Time(_) if is_code_name(name) && self.compact.fit > 0 => Some(Doubt::Named),
            // Zeros before a few decimals are a way to write them.
            Kind::Decimal(style) if self.is_mostly_whole(style) => self.code(),
            _ => None,
        };
        match name_of_something {
            Some(code) => (Kind::Text, self.filled, Some(code)),
            None => (kind, fit, doubt),
        }
    }

    /// Whether a text stands above values: a unit, or a second name.
    fn is_all_but_the_first(&self, fit: u64) -> bool {
        const ENOUGH: u64 = 3;
        self.begins_with_text && fit >= ENOUGH && fit + 1 == self.filled
    }

    fn numbers(&self, file: File) -> (Kind, u64, Option<Doubt>) {
        let (style, doubt) = self.style(file);
        let numbers = self.in_style(style);
        let whole = numbers.whole == numbers.fit;
        let kind = if whole { Kind::Integer(style) } else { Kind::Decimal(style) };
        let days = numbers.fit > 0 && self.compact.fit == numbers.fit;
        let doubt = doubt.or(self.units.then_some(Doubt::Units)).or(days.then_some(Doubt::Compact));
        (kind, numbers.fit, doubt)
    }

    fn in_style(&self, style: NumberStyle) -> Numbers {
        match style {
            NumberStyle::Point => self.point,
            NumberStyle::Comma => self.comma,
        }
    }

    fn is_mostly_whole(&self, style: NumberStyle) -> bool {
        let Numbers { fit, whole } = self.in_style(style);
        whole * SHARE_MIN.1 >= fit * SHARE_MIN.0
    }

    /// How the column writes numbers: as its own cells allow, else as the others of the file, else as customs
    /// are.
    fn style(&self, file: File) -> (NumberStyle, Option<Doubt>) {
        use NumberStyle::{Comma, Point};
        if let (true, Some(style)) = (file.styled, file.style) {
            return (style, None);
        }
        match (self.point.fit, self.comma.fit) {
            (point, comma) if point > comma => return (Point, None),
            (point, comma) if comma > point => return (Comma, None),
            _ => {}
        }
        let doubt = (self.both_ways > 0).then_some(Doubt::DecimalMark);
        // Between semicolons a comma is a decimal sign, and so points divide thousands if they look like
        // those.
        let comma = file.semicolons && (self.commas > 0 || self.round == self.both_ways);
        let custom = if doubt.is_some() && comma { Comma } else { Point };
        (file.style.unwrap_or(custom), doubt)
    }

    fn times(&self, file: File) -> (Kind, u64, Option<Doubt>) {
        let (order, dates, doubt) = self.days(file);
        if self.hours.fit > dates.fit + self.compact.fit {
            let times = Times { hours: true, ..self.hours.times(order) };
            return (Kind::Time(times), self.hours.fit, Some(Doubt::TimeOfDay));
        }
        let open = [
            (dates.short > 0).then_some(Doubt::ShortYear),
            (dates.months > 0).then_some(Doubt::MonthOfYear),
            doubt,
            (self.compact.fit > 0).then_some(Doubt::Compact),
        ];
        let chosen = file.ordered && dates.months == 0 && self.compact.fit == 0;
        let doubt = open.into_iter().flatten().next().filter(|_| !chosen);
        let all = dates.and(self.compact);
        (Kind::Time(all.times(order)), all.fit, doubt)
    }

    /// The order of dates, those that can be read so, and whether it could be another.
    fn days(&self, file: File) -> (DateOrder, Dates, Option<Doubt>) {
        let [year, day, month] = &self.dates;
        let numeric = day.fit.max(month.fit);
        // Where each part may be the year, the dates lie closest together when they are read as they were
        // meant.
        let others = [day, month].into_iter().filter(|dates| dates.fit == numeric).map(Dates::span).min();
        let year_first = year.fit > numeric
            || year.fit == numeric && (year.short == 0 || others.is_none_or(|span| year.span() < span));
        if !file.ordered && year_first {
            return (DateOrder::Ymd, *year, None);
        }
        let (order, doubt) = self.order(file);
        let dates = match order {
            DateOrder::Ymd => year,
            DateOrder::Dmy => day,
            DateOrder::Mdy => month,
        };
        // A column whose dates begin with the year has them in no other order.
        if dates.fit == 0 && year.fit > 0 {
            return (DateOrder::Ymd, *year, None);
        }
        (order, *dates, doubt)
    }

    fn order(&self, file: File) -> (DateOrder, Option<Doubt>) {
        if let (true, Some(order)) = (file.ordered, file.order) {
            return (order, None);
        }
        if let Some(order) = self.only_order() {
            return (order, None);
        }
        let [_, day, month] = &self.dates;
        let by_disorder = match day.disorder().cmp(&month.disorder()) {
            std::cmp::Ordering::Less => Some(DateOrder::Dmy),
            std::cmp::Ordering::Greater => Some(DateOrder::Mdy),
            std::cmp::Ordering::Equal => None,
        };
        // Hours of twelve are the custom of places where the month comes first, but of others too.
        let order = file.order.or_else(|| self.parts.of_months()).or(by_disorder).unwrap_or(DateOrder::Dmy);
        // The same day in both orders, such as 5/5/2024, is no doubt.
        let same = (day.from, day.to) == (month.from, month.to) && day.from == day.to;
        (order, (!same).then_some(Doubt::DayAndMonth))
    }

    /// Why its digits are names: one is enough, since a number would lose a zero or digits of it.
    fn code(&self) -> Option<Doubt> {
        let reasons = [Code::LeadingZero, Code::Long, Code::Phone];
        let found = reasons.into_iter().find(|reason| self.codes[*reason as usize].count > 0)?;
        let Codes { count, line } = self.codes[found as usize];
        Some(Doubt::Codes { reason: found, count, line })
    }
}

fn is_id_name(name: &str) -> bool {
    words_of(name).last().is_some_and(|word| ID_WORDS.contains(&word.as_str()))
}

fn is_code_name(name: &str) -> bool {
    CODE_NAMES.contains(&words_of(name).join(" ").as_str())
}

fn words_of(name: &str) -> Vec<String> {
    name.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
