//! A sample read with one delimiter after the other: which divides it best.

use crate::{
    decode::Decoded,
    reading::Quote,
    rows::{BLANKS, Format, RowReader},
    value::{self, NumberStyle},
};

/// How many rows of the sample decide.
const SAMPLE_ROWS: usize = 300;
/// The delimiters that are tried, the most common first: it wins where nothing speaks for another.
const DELIMITERS: [u8; 8] = [b',', b';', b'\t', b'|', 0x1f, 0x01, b'^', b'~'];
/// What a text of one column is worth: a delimiter must divide better than that.
const ONE_COLUMN: f64 = 0.15;
/// What a delimiter is worth that divides some lines of a text that is read as one column: it is told.
const ONE_COLUMN_DOUBT: f64 = 0.04;
/// What a table is worth below lines that are none of it: a delimiter that divides those too is better.
const BELOW_OTHERS: f64 = 0.6;
/// The most lines above a table.
pub(super) const PREAMBLE_MAX: usize = 40;
/// What comments begin with.
const COMMENTS: [u8; 3] = [b'#', b'%', b'!'];

/// A sample, read in one format.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) format: Format,
    pub(super) rows: Vec<Cells>,
    faults: usize,
}

/// A row of the sample.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    pub(super) line: u64,
    pub(super) cells: Vec<Cell>,
}

#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) quoted: bool,
    /// A blank stands before it, as after a comma in a sentence.
    spaced: bool,
}

impl Cells {
    /// How many cells say something.
    pub(super) fn filled(&self) -> usize {
        self.cells.iter().filter(|cell| !cell.text.trim().is_empty()).count()
    }

    /// Whether it has so many cells; empty ones at its end that are too many do not count.
    fn is_wide(&self, width: usize) -> bool {
        self.cells.len() == width || (self.cells.len() > width && self.trimmed() == width)
    }

    /// Its width without empty cells at its end.
    pub(super) fn trimmed(&self) -> usize {
        let filled = self.cells.iter().rposition(|cell| !cell.text.trim().is_empty());
        filled.map_or(0, |place| place + 1)
    }
}

impl Trial {
    fn read(text: &str, first_line: u64, format: Format) -> Self {
        // A sample is as long as its longest row may be, so no row is too long.
        let decoded = Decoded::new(text.as_bytes(), encoding_rs::UTF_8);
        let mut reader = RowReader::new(decoded, format, text.len());
        let mut trial = Self { format, rows: Vec::new(), faults: 0 };
        while let Ok(Some(row)) = reader.next() {
            if row.line < first_line {
                continue;
            }
            trial.faults += row.faults.len();
            let cell = |place| {
                let (text, quoted) = (row.get(place).unwrap_or_default(), row.is_quoted(place));
                Cell { text: text.trim().to_owned(), quoted, spaced: !quoted && text.starts_with(' ') }
            };
            trial.rows.push(Cells { line: row.line, cells: (0..row.len()).map(cell).collect() });
            if trial.rows.len() >= SAMPLE_ROWS {
                break;
            }
        }
        trial
    }

    /// How many cells most rows have; the wider of two.
    pub(super) fn width(&self) -> usize {
        most_common(self.rows[self.above()..].iter().map(|row| row.cells.len())).unwrap_or(1)
    }

    /// How many rows stand above the table, where the rows below are certainly one: they agree, and there are
    /// many of them or names above values. Else none, whatever stands there.
    pub(super) fn above(&self) -> usize {
        let widths = self.rows.iter().map(|row| row.cells.len());
        let Some(width) = most_common(widths.filter(|width| *width > 1)) else { return 0 };
        let both = |pair: &[Cells]| pair.iter().all(|row| row.is_wide(width));
        let Some(above) = self.rows.windows(2).take(PREAMBLE_MAX + 1).position(both) else { return 0 };
        let table = &self.rows[above..];
        let agreeing: Vec<&Cells> = table.iter().filter(|row| row.is_wide(width)).collect();
        let agree = agreeing.len();
        let certain = match names_values(&agreeing) {
            true => agree * 5 >= table.len() * 4,
            false => agree == table.len() && table.len() > 2 * above && !self.is_prose(&agreeing),
        };
        if certain && table.len() > 2 { above } else { 0 }
    }

    /// How well the delimiter divides the text, 0 to 1: do rows agree, and does no cell look as if it were to
    /// be divided itself?
    fn score(&self) -> f64 {
        if self.is_decimals() {
            return 0.0;
        }
        let whole = self.score_of(&self.rows);
        match self.above() {
            0 => whole,
            above => whole.max(BELOW_OTHERS * self.score_of(&self.rows[above..])),
        }
    }

    fn score_of(&self, rows: &[Cells]) -> f64 {
        let width = self.width();
        let [above, body @ ..] = rows else { return 0.0 };
        if width < 2 {
            return 0.0;
        }
        // An empty cell at the end of rows is none.
        let padded = rows.iter().all(|row| row.trimmed() < width);
        let agrees = |row: &&Cells| match row.cells.len() {
            len if len > width => row.trimmed() <= width,
            len => len == width || (padded && len + 1 == width),
        };
        let agree = real(rows.iter().filter(agrees).count()) / real(rows.len());
        let divided: Vec<&Cells> = rows.iter().filter(|row| row.cells.len() == width).take(100).collect();
        let (mut cells, mut clean) = (0, 0);
        for cell in divided.iter().flat_map(|row| &row.cells) {
            cells += 1;
            clean += usize::from(is_clean(cell, self.format.delimiter));
        }
        let clean = real(clean) / real(cells.max(1));
        // Text in which a comma is common: the first line has none, and not every other has one.
        let alone = above.cells.len() == 1 && width == 2 && !body.is_empty();
        let first = match alone {
            true if self.is_prose(&divided) => 0.25,
            true => 0.5,
            false => 1.0,
        };
        agree * agree * (0.25 + 0.75 * clean) * (real(width - 1) / real(width)) * first
    }

    /// Two texts with a comma and a blank between them, as in sentences and in `Doe, John`.
    fn is_prose(&self, rows: &[&Cells]) -> bool {
        let sentence = |row: &&Cells| matches!(&row.cells[..], [_, rest] if rest.spaced);
        self.format.delimiter == b',' && rows.iter().all(sentence) && !names_values(rows)
    }

    /// One column of numbers whose decimal sign is the comma.
    fn is_decimals(&self) -> bool {
        let digits =
            |cell: &Cell| !cell.text.is_empty() && cell.text.bytes().all(|byte| byte.is_ascii_digit());
        let whole = |cell: &Cell| digits(&Cell { text: cell.text.replacen('-', "", 1), ..cell.clone() });
        let [first, body @ ..] = &self.rows[..] else { return false };
        let number = |row: &Cells| match &row.cells[..] {
            [one] => whole(one),
            [one, fraction] => whole(one) && digits(fraction) && !fraction.quoted,
            _ => false,
        };
        self.format.delimiter == b',' && first.cells.len() == 1 && !body.is_empty() && body.iter().all(number)
    }

    /// Whether every line has the same number of colons, and not because each is a time of day.
    fn is_divided_by_colons(&self) -> bool {
        let width = self.width();
        let digits =
            |cell: &Cell| cell.text.len() == 2 && cell.text.bytes().all(|byte| byte.is_ascii_digit());
        let clock = |row: &&Cells| row.cells.iter().skip(1).any(digits);
        let agree = self.rows.iter().all(|row| row.cells.len() == width);
        let times = self.rows.iter().filter(clock).count();
        width > 2 && self.rows.len() > 1 && agree && times * 2 < self.rows.len()
    }

    /// Whether every line is divided alike by blanks, into columns of which some hold numbers or dates.
    fn is_divided_by_blanks(&self) -> bool {
        let width = self.width();
        let [_, body @ ..] = &self.rows[..] else { return false };
        if width < 2 || body.is_empty() || self.faults > 0 {
            return false;
        }
        let agree = self.rows.iter().filter(|row| row.cells.len() == width).count();
        // Titles above the table may differ.
        if agree * 20 < self.rows.len() * 19 && agree + 2 < self.rows.len() || agree < 2 {
            return false;
        }
        let whole = |row: &&Cells| {
            let texts: Vec<&str> = row.cells.iter().map(|cell| cell.text.as_str()).collect();
            is_value(&texts.join(" "))
        };
        let values = |column: usize| {
            let typed =
                body.iter().filter(|row| row.cells.get(column).is_some_and(|cell| is_value(&cell.text)));
            typed.count() * 10 >= body.len() * 9
        };
        body.iter().filter(whole).count() * 2 < body.len() && (0..width).any(values)
    }
}

/// The most common of some numbers; of equally common ones the greatest.
fn most_common(numbers: impl Iterator<Item = usize>) -> Option<usize> {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    let runs = numbers.chunk_by(|one, other| one == other);
    runs.max_by_key(|run| run.len()).and_then(|run| run.first().copied())
}

/// Whether a text of the first row stands above numbers or dates in most others.
fn names_values(rows: &[&Cells]) -> bool {
    let [first, body @ ..] = rows else { return false };
    let values = |column: usize| {
        let value = |row: &&&Cells| row.cells.get(column).is_some_and(|cell| is_value(&cell.text));
        body.iter().filter(value).count() * 5 >= body.len() * 4
    };
    let name = |cell: &Cell| !cell.text.is_empty() && !is_value(&cell.text);
    !body.is_empty() && first.cells.iter().enumerate().any(|(column, cell)| name(cell) && values(column))
}

fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Whether a cell is a number, a date, or text without anything that could divide it.
fn is_clean(cell: &Cell, delimiter: u8) -> bool {
    let divides = |byte: u8| DELIMITERS[..4].contains(&byte) && byte != delimiter;
    cell.quoted || !cell.text.bytes().any(divides) || is_value(&cell.text)
}

/// Whether a cell is a number or a date.
pub(super) fn is_value(text: &str) -> bool {
    value::number(text, NumberStyle::Point).is_some()
        || value::number(text, NumberStyle::Comma).is_some()
        || value::any_date(text)
}

/// The sample in the format that fits it best, and another delimiter that fits nearly as well.
pub(super) fn best(
    text: &str,
    first_line: u64,
    delimiter: Option<u8>,
    quote: Option<Quote>,
) -> (Trial, Option<u8>) {
    let read = |delimiter| with_quote(text, first_line, delimiter, quote);
    if let Some(delimiter) = delimiter {
        return (read(delimiter), None);
    }
    let mut trials: Vec<(f64, Trial)> = Vec::new();
    for delimiter in DELIMITERS.into_iter().filter(|delimiter| text.as_bytes().contains(delimiter)) {
        let trial = read(delimiter);
        trials.push((trial.score(), trial));
    }
    // Stable: of equals the first wins.
    trials.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let nearly = trials.first().filter(|(score, _)| *score > ONE_COLUMN_DOUBT);
    let nearly = nearly.map(|(_, trial)| trial.format.delimiter);
    let mut found = trials.into_iter().filter(|(score, _)| *score > ONE_COLUMN);
    if let Some((score, trial)) = found.next() {
        let other = found.next().filter(|(other, _)| *other > 0.8 * score);
        return (trial, other.map(|(_, trial)| trial.format.delimiter));
    }
    let blanks = read(BLANKS);
    if blanks.is_divided_by_blanks() {
        return (blanks, None);
    }
    let colons = read(b':');
    if colons.is_divided_by_colons() { (colons, None) } else { (read(one_column(text)), nearly) }
}

/// What to read a text of one column with: a delimiter that does not divide it.
fn one_column(text: &str) -> u8 {
    let absent = |delimiter: &u8| !text.as_bytes().contains(delimiter);
    let never = [b',', b'\t', b'|', b';', 0x1f];
    never.into_iter().find(absent).unwrap_or(0x1f)
}

/// The sample with the quote and the comments that fit it best.
fn with_quote(text: &str, first_line: u64, delimiter: u8, quote: Option<Quote>) -> Trial {
    let read = |format| Trial::read(text, first_line, format);
    let format = Format::new(delimiter);
    let trial = match quote {
        Some(Quote::None) => read(Format { quote: None, ..format }),
        Some(Quote::Sign(sign)) => escaped(read(Format { quote: Some(sign), ..format }), read),
        None => {
            let double = read(format);
            let single = Format { quote: Some(b'\''), ..format };
            // Apostrophes are quotes only where they always come in pairs around a field.
            let may_be = text.contains('\'') && double.quoted() == 0;
            let other =
                may_be.then(|| read(single)).filter(|single| single.faults == 0 && single.is_one_line());
            escaped(other.unwrap_or(double), read)
        }
    };
    let sign = COMMENTS.into_iter().find(|sign| has_comments(&trial, *sign));
    if sign.is_some() { read(Format { comment: sign, ..trial.format }) } else { trial }
}

/// With backslashes before quotes, if that leaves fewer faults.
fn escaped(trial: Trial, read: impl Fn(Format) -> Trial) -> Trial {
    if trial.faults == 0 {
        return trial;
    }
    let other = read(Format { escape: Some(b'\\'), ..trial.format });
    if other.faults < trial.faults { other } else { trial }
}

impl Trial {
    fn quoted(&self) -> usize {
        self.rows.iter().flat_map(|row| &row.cells).filter(|cell| cell.quoted).count()
    }

    fn is_one_line(&self) -> bool {
        let quoted = self.rows.iter().flat_map(|row| &row.cells).filter(|cell| cell.quoted);
        quoted.clone().count() > 1 && quoted.clone().all(|cell| !cell.text.contains(['\n', '\r']))
    }
}

/// Lines that begin with a sign are comments where they are no rows of the table: of another width, or before
/// it.
fn has_comments(trial: &Trial, sign: u8) -> bool {
    let begins = |cell: &Cell| !cell.quoted && cell.text.as_bytes().first() == Some(&sign);
    let is_comment = |row: &&Cells| row.cells.first().is_some_and(begins);
    let comments: Vec<&Cells> = trial.rows.iter().filter(is_comment).collect();
    if comments.is_empty() || comments.len() == trial.rows.len() {
        return false;
    }
    let others = trial.rows.iter().filter(|row| !is_comment(row)).cloned().collect();
    let width = Trial { rows: others, ..*trial }.width();
    let differ = comments.iter().any(|row| row.cells.len() != width);
    // In one column every line has the same width: there they are a block at the beginning.
    let block = trial.rows.iter().take_while(is_comment).count() == comments.len();
    let spoken = comments.iter().all(|row| row.cells[0].text.as_bytes().get(1) == Some(&b' '));
    differ || (width == 1 && block && spoken)
}
