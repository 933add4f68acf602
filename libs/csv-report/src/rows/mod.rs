//! Text as rows of fields, with what is wrong in each: the one reader of CSV for the report and for whoever
//! else takes CSV files.
//!
//! ```text
//!            quote, blanks before it        quote, and then a field's end
//! FieldStart ──────────────────▶ Quoted ──────────────────────────────┐
//!   │  ▲                           │ a quote amid text, or none at all │
//!   │  │ delimiter                 ▼ (a fault)                         │
//!   │  └────────── Plain ◀── as plain text                            │
//!   ▼                │ line end                                        ▼
//!  the row is whole ◀┴───────────────────────────────────────── FieldStart
//! ```
//!
//! Invariants:
//! - A fault costs a row its exact reading, never the rows after it: a quote that is not closed is text.
//! - No row longer than the limit is held in memory.

mod blanks;
mod row;

use std::io::{self, Read};

use memchr::{memchr, memchr2};

use crate::decode::Decoded;
use blanks::Blanks;
use row::{Field, line_ends, place};

pub use row::Row;

const READ_BYTES: usize = 256 << 10;
/// What ends a row after the last byte that it may have.
const LOOK_AHEAD: usize = "\r\n".len();
/// How many faults of one row are told.
const ROW_FAULTS_MAX: usize = 16;

/// What stands between fields, around them and before comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    /// What stands between fields; a blank is any run of spaces and tabs.
    pub(crate) delimiter: u8,
    /// What stands around fields that hold a delimiter.
    pub(crate) quote: Option<u8>,
    /// What stands before a quote that is text, where it is not doubled.
    pub(crate) escape: Option<u8>,
    /// What lines that are no rows begin with.
    pub(crate) comment: Option<u8>,
}

/// The sign that DOS programs put after the last line.
const END_OF_FILE: u8 = 0x1a;

/// The delimiter that stands for any run of spaces and tabs.
pub(crate) const BLANKS: u8 = b' ';

impl Format {
    /// Fields with `delimiter` between them.
    pub(crate) const fn new(delimiter: u8) -> Self {
        Self { delimiter, quote: Some(b'"'), escape: None, comment: None }
    }

    fn is_delimiter(&self, byte: u8) -> bool {
        byte == self.delimiter || (self.delimiter == BLANKS && byte == b'\t')
    }

    /// What stands for nothing beside a quote.
    fn is_blank(&self, byte: u8) -> bool {
        matches!(byte, b' ' | b'\t') && byte != self.delimiter
    }
}

/// Why there is no next row.
#[derive(Debug)]
pub(crate) enum RowError {
    /// The row is longer than allowed: where the limit is reached.
    TooLong { line: u64, column: u64 },
    /// The file.
    Io(io::Error),
}

/// Reads rows.
pub(crate) struct RowReader<R> {
    text: Decoded<R>,
    format: Format,
    row_bytes_max: usize,
    buffer: Vec<u8>,
    /// What of the buffer is not read yet.
    start: usize,
    end: usize,
    ended: bool,
    /// The line at `start`.
    line: u64,
    /// The text before `start`, in bytes.
    offset: u64,
    parsed: Parsed,
    /// Lines that were left out because they are comments.
    comments: u64,
    /// The line of the first of them since the table began.
    comment_inside: Option<u64>,
    /// Blank lines between rows of the table.
    blanks: Blanks,
}

impl<R: Read> RowReader<R> {
    /// Reads rows of at most `row_bytes_max` from a text.
    pub(crate) fn new(text: Decoded<R>, format: Format, row_bytes_max: usize) -> Self {
        Self {
            text,
            format,
            row_bytes_max,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            ended: false,
            line: 1,
            offset: 0,
            parsed: Parsed::default(),
            comments: 0,
            comment_inside: None,
            blanks: Blanks::default(),
        }
    }

    /// What could not be decoded so far.
    pub(crate) fn text(&mut self) -> &mut Decoded<R> {
        &mut self.text
    }

    /// Lines that were left out because they are comments.
    pub(crate) fn comments(&self) -> u64 {
        self.comments
    }

    /// The table begins here; returns the line of the first comment above it.
    pub(crate) fn begin_table(&mut self) -> Option<u64> {
        self.blanks = Blanks::default();
        self.comment_inside.take()
    }

    /// The line of the first comment within the table.
    pub(crate) fn comment_inside(&self) -> Option<u64> {
        self.comment_inside
    }

    /// Blank lines between rows of the table.
    pub(crate) fn blanks(&self) -> Blanks {
        self.blanks
    }

    /// The next row; blank lines and comments are left out. `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, RowError> {
        loop {
            let bytes = &self.buffer[self.start..self.end];
            // What lies beyond the limit has no say, whether it was read already or not.
            let most = self.row_bytes_max.saturating_add(LOOK_AHEAD);
            let full = bytes.len() >= most;
            let input = Input { bytes: &bytes[..bytes.len().min(most)], last: self.ended && !full, full };
            match self.parsed.scan(&self.format, input) {
                Scan::End => return Ok(None),
                Scan::More if full => return Err(self.too_long()),
                Scan::More => self.fill().map_err(RowError::Io)?,
                Scan::Skipped { next, comment } => {
                    if comment {
                        self.comments += 1;
                        self.comment_inside.get_or_insert(self.line);
                    } else {
                        self.blanks.take(self.line);
                    }
                    self.advance(next, 1);
                }
                Scan::Row { len, .. } if len > self.row_bytes_max => return Err(self.too_long()),
                Scan::Row { len, next } => {
                    self.blanks.close();
                    return Ok(Some(self.row(len, next)));
                }
            }
        }
    }

    fn row(&mut self, len: usize, next: usize) -> Row<'_> {
        let (start, line, offset) = (self.start, self.line, self.offset);
        let inner = if self.parsed.multiline { line_ends(&self.buffer[start..start + len]) } else { 0 };
        self.advance(next, inner + 1);
        self.find_broken(offset, len);
        // The decoder gives valid UTF-8, and rows are cut at ASCII.
        let raw = std::str::from_utf8(&self.buffer[start..start + len]).unwrap_or_default();
        let Parsed { fields, scratch, faults, broken, .. } = &self.parsed;
        Row { line, raw, scratch, fields, faults, broken }
    }

    /// The places of bytes that could not be decoded in a row.
    fn find_broken(&mut self, offset: u64, len: usize) {
        self.parsed.broken.clear();
        let places = &mut self.text.broken().places;
        while let Some(place) = places.front().copied().filter(|place| *place < self.offset) {
            places.pop_front();
            let inside = place.checked_sub(offset).and_then(|place| usize::try_from(place).ok());
            self.parsed.broken.extend(inside.filter(|inside| *inside < len));
        }
    }

    fn advance(&mut self, bytes: usize, lines: u64) {
        self.start += bytes;
        self.offset += bytes as u64;
        self.line += lines;
    }

    fn too_long(&self) -> RowError {
        let bytes = &self.buffer[self.start..self.end];
        let (line, column) = place(bytes, self.row_bytes_max, self.line);
        RowError::TooLong { line, column }
    }

    /// Reads on. What waits moves to the front, and the buffer grows with a long row.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = self.end + READ_BYTES.max(self.end);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let count = self.text.read(&mut self.buffer[self.end..])?;
        self.end += count;
        self.ended = count == 0;
        Ok(())
    }
}

/// What is there to be parsed.
#[derive(Clone, Copy)]
struct Input<'a> {
    bytes: &'a [u8],
    /// Nothing comes after it.
    last: bool,
    /// A row that does not end in it is too long.
    full: bool,
}

enum Scan {
    /// Nothing is left.
    End,
    /// The row does not end in what is there.
    More,
    /// A blank line or a comment; what is next begins there.
    Skipped { next: usize, comment: bool },
    /// A row and where it ends; what is next begins there.
    Row { len: usize, next: usize },
}

/// The fields of one row.
#[derive(Debug, Default)]
struct Parsed {
    fields: Vec<Field>,
    scratch: String,
    faults: Vec<usize>,
    broken: Vec<usize>,
    /// A line ends within a field.
    multiline: bool,
}

/// A field's end: where its text ends, and where it is ended by a delimiter, a line end, or the end of all.
struct FieldEnd {
    field: Field,
    at: usize,
}

impl Parsed {
    fn scan(&mut self, format: &Format, input: Input<'_>) -> Scan {
        let Input { bytes, last, .. } = input;
        self.fields.clear();
        self.scratch.clear();
        self.faults.clear();
        self.multiline = false;
        match bytes.first() {
            None if last => return Scan::End,
            None => return Scan::More,
            Some(first) if format.comment == Some(*first) => return skipped(bytes, last, true),
            Some(&(b'\n' | b'\r' | b' ' | b'\t' | END_OF_FILE)) => match blank_line(format, bytes, last) {
                Blank::Line => return skipped(bytes, last, false),
                Blank::Unknown => return Scan::More,
                Blank::Not => {}
            },
            _ => {}
        }
        self.row(format, input).unwrap_or(Scan::More)
    }

    /// `None` when more is needed.
    fn row(&mut self, format: &Format, input: Input<'_>) -> Option<Scan> {
        let bytes = input.bytes;
        let mut at = if format.delimiter == BLANKS { blanks_end(bytes, 0) } else { 0 };
        loop {
            let end = self.field(format, input, at)?;
            self.fields.push(end.field);
            match bytes.get(end.at) {
                None if input.last => return Some(Scan::Row { len: end.at, next: end.at }),
                None => return None,
                Some(b'\n') => return Some(Scan::Row { len: end.at, next: end.at + 1 }),
                Some(b'\r') => {
                    let next = line_end(bytes, end.at, input.last)?;
                    return Some(Scan::Row { len: end.at, next });
                }
                Some(_) if format.delimiter == BLANKS => {
                    at = blanks_end(bytes, end.at);
                    // Blanks at the end of a line are no field.
                    match bytes.get(at) {
                        None if input.last => return Some(Scan::Row { len: at, next: at }),
                        None => return None,
                        Some(b'\n') => return Some(Scan::Row { len: at, next: at + 1 }),
                        Some(b'\r') => {
                            let next = line_end(bytes, at, input.last)?;
                            return Some(Scan::Row { len: at, next });
                        }
                        Some(_) => {}
                    }
                }
                Some(_) => at = end.at + 1,
            }
        }
    }

    fn field(&mut self, format: &Format, input: Input<'_>, from: usize) -> Option<FieldEnd> {
        if let Some(quote) = format.quote {
            let bytes = input.bytes;
            let blanks = bytes[from..].iter().take_while(|byte| format.is_blank(**byte)).count();
            if bytes.get(from + blanks) == Some(&quote) {
                return self.quoted(format, input, from, from + blanks);
            }
        }
        plain(format, input, from)
    }

    /// A field whose quote opens at `open`.
    fn quoted(&mut self, format: &Format, input: Input<'_>, from: usize, open: usize) -> Option<FieldEnd> {
        let bytes = input.bytes;
        let quote = format.quote.unwrap_or(b'"');
        let escape = format.escape.unwrap_or(quote);
        let (mut at, mut dirty) = (open + 1, false);
        loop {
            let Some(found) = memchr2(quote, escape, &bytes[at.min(bytes.len())..]).map(|found| at + found)
            else {
                return if input.last || input.full {
                    self.unclosed(format, input, from, open)
                } else {
                    None
                };
            };
            let next = bytes.get(found + 1).copied();
            if next.is_none() && !input.last {
                return None;
            }
            if bytes[found] != quote || (escape == quote && next == Some(quote)) {
                // An escape, which counts only before a quote or another escape.
                let escapes = next == Some(quote) || next == Some(escape);
                dirty |= escapes;
                at = found + 1 + usize::from(escapes);
                continue;
            }
            if let Some(end) = closed(format, input, found + 1)? {
                return Some(self.close(format, input, (open + 1, found), dirty, end));
            }
            if self.is_opening(format, bytes, open, found) {
                return self.unclosed(format, input, from, open);
            }
            self.fault(found + 1);
            let Some(closing) = closes_later(format, bytes, found + 1) else {
                return self.continued(format, input, (open + 1, found));
            };
            // The quotes before that one are text.
            dirty = true;
            at = closing;
        }
    }

    /// Whether the quote at `found` opens a field of a later line: then the one at `open` was never closed.
    fn is_opening(&self, format: &Format, bytes: &[u8], open: usize, found: usize) -> bool {
        let inside = &bytes[open + 1..found];
        let begins =
            inside.last().is_some_and(|byte| format.is_delimiter(*byte) || matches!(byte, b'\n' | b'\r'));
        begins && memchr2(b'\n', b'\r', inside).is_some()
    }

    /// The whole of a quoted field is there.
    fn close(
        &mut self,
        format: &Format,
        input: Input<'_>,
        (from, to): (usize, usize),
        dirty: bool,
        at: usize,
    ) -> FieldEnd {
        let inside = &input.bytes[from..to];
        self.multiline |= memchr2(b'\n', b'\r', inside).is_some();
        if !dirty {
            return FieldEnd { field: Field { begins: from, from, to, unescaped: false, quoted: true }, at };
        }
        let unescaped = self.scratch.len();
        self.unescape(format, inside);
        let to = self.scratch.len();
        FieldEnd { field: Field { begins: from, from: unescaped, to, unescaped: true, quoted: true }, at }
    }

    fn unescape(&mut self, format: &Format, inside: &[u8]) {
        let text = std::str::from_utf8(inside).unwrap_or_default();
        let quote = char::from(format.quote.unwrap_or(b'"'));
        let escape = format.escape.map_or(quote, char::from);
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            if character == escape {
                let mut ahead = rest.clone();
                if let Some(next) = ahead.next().filter(|next| *next == quote || *next == escape) {
                    self.scratch.push(next);
                    rest = ahead;
                    continue;
                }
            }
            self.scratch.push(character);
        }
    }

    /// Text after a closing quote belongs to the field, up to its end.
    fn continued(
        &mut self,
        format: &Format,
        input: Input<'_>,
        (from, to): (usize, usize),
    ) -> Option<FieldEnd> {
        let rest = plain(format, input, to + 1)?;
        let unescaped = self.scratch.len();
        self.multiline |= memchr2(b'\n', b'\r', &input.bytes[from..to]).is_some();
        self.unescape(format, &input.bytes[from..to]);
        let tail = &input.bytes[rest.field.from..rest.field.to];
        self.scratch.push_str(std::str::from_utf8(tail).unwrap_or_default());
        let to = self.scratch.len();
        let field = Field { begins: from, from: unescaped, to, unescaped: true, quoted: true };
        Some(FieldEnd { field, at: rest.at })
    }

    /// A quote that is never closed is text.
    fn unclosed(&mut self, format: &Format, input: Input<'_>, from: usize, open: usize) -> Option<FieldEnd> {
        self.fault(open);
        plain(format, input, from)
    }

    fn fault(&mut self, at: usize) {
        if self.faults.len() < ROW_FAULTS_MAX {
            self.faults.push(at);
        }
    }
}

/// A field without quotes.
fn plain(format: &Format, input: Input<'_>, from: usize) -> Option<FieldEnd> {
    let ends = |byte: &u8| matches!(byte, b'\n' | b'\r') || format.is_delimiter(*byte);
    let found = input.bytes.get(from..)?.iter().position(ends);
    let at = match found {
        Some(found) => from + found,
        None if input.last => input.bytes.len(),
        None => return None,
    };
    Some(FieldEnd { field: Field { begins: from, from, to: at, unescaped: false, quoted: false }, at })
}

/// After a quote at the end of a field: where the field ends. `Some(None)` if other text follows.
fn closed(format: &Format, input: Input<'_>, from: usize) -> Option<Option<usize>> {
    let blanks = input.bytes[from..].iter().take_while(|byte| format.is_blank(**byte)).count();
    let at = from + blanks;
    match input.bytes.get(at) {
        None if input.last => Some(Some(at)),
        None => None,
        Some(byte) if matches!(byte, b'\n' | b'\r') || format.is_delimiter(*byte) => Some(Some(at)),
        Some(_) => Some(None),
    }
}

/// The quote later in the line that ends the field, so that the ones before it are text within.
fn closes_later(format: &Format, bytes: &[u8], from: usize) -> Option<usize> {
    let quote = format.quote.unwrap_or(b'"');
    let rest = &bytes[from..];
    let line = &rest[..memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())];
    let mut at = 0;
    while let Some(found) = memchr(quote, &line[at..]).map(|found| at + found) {
        if line[..found].last().is_some_and(|byte| format.is_delimiter(*byte)) {
            return None;
        }
        if line.get(found + 1).is_none_or(|byte| format.is_delimiter(*byte)) {
            return Some(from + found);
        }
        at = found + 1;
    }
    None
}

/// What comes after the carriage return at `at`. `None` when more is needed to know.
fn line_end(bytes: &[u8], at: usize, last: bool) -> Option<usize> {
    match bytes.get(at + 1) {
        Some(b'\n') => Some(at + 2),
        Some(_) => Some(at + 1),
        None if last => Some(at + 1),
        None => None,
    }
}

fn blanks_end(bytes: &[u8], from: usize) -> usize {
    from + bytes[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

enum Blank {
    Line,
    Not,
    Unknown,
}

/// Whether the line holds nothing but blanks that are no delimiter.
fn blank_line(format: &Format, bytes: &[u8], last: bool) -> Blank {
    let blank = |byte: &&u8| match byte {
        b'\t' => format.delimiter != b'\t',
        byte => matches!(**byte, b' ' | END_OF_FILE),
    };
    match bytes.get(bytes.iter().take_while(blank).count()) {
        Some(b'\n' | b'\r') => Blank::Line,
        Some(_) => Blank::Not,
        None if last => Blank::Line,
        None => Blank::Unknown,
    }
}

fn skipped(bytes: &[u8], last: bool, comment: bool) -> Scan {
    let Some(end) = memchr2(b'\n', b'\r', bytes) else {
        return if last { Scan::Skipped { next: bytes.len(), comment } } else { Scan::More };
    };
    let next = if bytes[end] == b'\n' { Some(end + 1) } else { line_end(bytes, end, last) };
    next.map_or(Scan::More, |next| Scan::Skipped { next, comment })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(text: &str, format: Format) -> RowReader<&[u8]> {
        RowReader::new(Decoded::new(text.as_bytes(), encoding_rs::UTF_8), format, 60)
    }

    /// The rows with the lines they begin in.
    type Rows = Vec<(u64, Vec<String>)>;

    /// The rows, and the places of the faults.
    fn rows(text: &str, format: Format) -> (Rows, Vec<(u64, u64)>) {
        let mut reader = reader(text, format);
        let (mut rows, mut faults) = (Vec::new(), Vec::new());
        while let Some(row) = reader.next().expect("a row") {
            rows.push((row.line, row.iter().map(str::to_owned).collect()));
            faults.extend(row.faults.iter().map(|fault| row.place(*fault)));
        }
        (rows, faults)
    }

    fn check(text: &str, format: Format, expected: &[(u64, &[&str])]) {
        let (found, faults) = rows(text, format);
        let found: Vec<(u64, Vec<&str>)> =
            found.iter().map(|(line, row)| (*line, row.iter().map(String::as_str).collect())).collect();
        let expected: Vec<(u64, Vec<&str>)> =
            expected.iter().map(|(line, row)| (*line, row.to_vec())).collect();
        assert_eq!((found, faults), (expected, Vec::new()), "{text:?}");
    }

    fn faulty(text: &str, expected: &[&[&str]], places: &[(u64, u64)]) {
        let (found, faults) = rows(text, Format::new(b','));
        let found: Vec<Vec<&str>> =
            found.iter().map(|(_, row)| row.iter().map(String::as_str).collect()).collect();
        assert_eq!(
            (found, &faults[..]),
            (expected.iter().map(|row| row.to_vec()).collect(), places),
            "{text:?}"
        );
    }

    #[test]
    fn rows_know_their_lines_whatever_ends_them() {
        let comma = Format::new(b',');
        check("a,b\n1,2\n", comma, &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check("a,b\r\n\r\n\r\n1,2", comma, &[(1, &["a", "b"]), (4, &["1", "2"])]);
        check("a\r1\r\r2\r", comma, &[(1, &["a"]), (2, &["1"]), (4, &["2"])]);
        check("\"x\r\ny\",1\r\n  \nz,\r\n", comma, &[(1, &["x\r\ny", "1"]), (4, &["z", ""])]);
        check("a\n\x1a", comma, &[(1, &["a"])]);
        check("", comma, &[]);
    }

    #[test]
    fn quotes_are_taken_away_and_blanks_around_them_too() {
        let comma = Format::new(b',');
        check("\"a,b\",\"c \"\"d\"\"\"\n", comma, &[(1, &["a,b", "c \"d\""])]);
        check("1, \"Doe, John\" ,5\n", comma, &[(1, &["1", "Doe, John", "5"])]);
        check("\"\",\"\"\"\"\n", comma, &[(1, &["", "\""])]);
        let escaped = Format { escape: Some(b'\\'), ..comma };
        check("1,\"say \\\"hi\\\" \\n\"\n", escaped, &[(1, &["1", "say \"hi\" \\n"])]);
        let single = Format { quote: Some(b'\''), ..comma };
        check("'a,b',\"c\n", single, &[(1, &["a,b", "\"c"])]);
        let none = Format { quote: None, ..comma };
        check("\"a,b\n", none, &[(1, &["\"a", "b"])]);
    }

    #[test]
    fn runs_of_blanks_divide_fields_and_comments_are_left_out() {
        check("  a \t b  \n1 2\n", Format::new(BLANKS), &[(1, &["a", "b"]), (2, &["1", "2"])]);
        let comment = Format { comment: Some(b'#'), ..Format::new(b',') };
        check("# it's \"so\n1,#2\n#3,4", comment, &[(2, &["1", "#2"])]);
        check("\t1\n\t\n", Format::new(b'\t'), &[(1, &["", "1"]), (2, &["", ""])]);
    }

    #[test]
    fn a_wrong_quote_costs_no_other_row() {
        faulty("1,\"x\"y\n2,\"z\"\n", &[&["1", "xy"], &["2", "z"]], &[(1, 6)]);
        faulty("1,\"a \"b\" c\",2\n", &[&["1", "a \"b\" c", "2"]], &[(1, 7)]);
        faulty("1,\"x\n2,y\n", &[&["1", "\"x"], &["2", "y"]], &[(1, 3)]);
        faulty("1,\"x\n2,\"y\"\n3,z\n", &[&["1", "\"x"], &["2", "y"], &["3", "z"]], &[(1, 3)]);
        let long = format!("1,\"x\n{}", "2,yyyyyyyy\n".repeat(20));
        let (found, faults) = rows(&long, Format::new(b','));
        assert_eq!((found.len(), faults), (21, vec![(1, 3)]));
    }

    #[test]
    fn many_wrong_quotes_in_a_long_field_are_looked_at_once() {
        // Looked at again from each of them, they would take a day.
        let text = format!("\"{}\",1\n", "a\"b".repeat(1 << 20));
        let decoded = Decoded::new(text.as_bytes(), encoding_rs::UTF_8);
        let mut reader = RowReader::new(decoded, Format::new(b','), 8 << 20);
        let row = reader.next().expect("a row").expect("one");
        assert_eq!((row.len(), row.faults.len(), row.get(0).map(str::len)), (2, 1, Some(3 << 20)));
    }

    #[test]
    fn an_endless_row_is_refused_at_the_limit() {
        let text = format!("a\n{}", "x".repeat(100));
        let mut reader = reader(&text, Format::new(b','));
        assert!(reader.next().expect("the first").is_some());
        assert!(matches!(reader.next(), Err(RowError::TooLong { line: 2, column: 61 })));
    }

    /// Gives as many bytes at a time as the next number says, round and round.
    struct Pieces<'a>(&'a [u8], std::iter::Cycle<std::slice::Iter<'a, usize>>);

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let most = self.1.next().copied().unwrap_or(1).min(out.len());
            self.0.read(&mut out[..most])
        }
    }

    /// What a reader makes of a text: its rows and their faults, comments and blank lines; where it ended.
    #[derive(Debug, PartialEq, Default)]
    struct Made {
        rows: Vec<(u64, String, Vec<String>, Vec<usize>)>,
        left_out: (u64, Blanks),
        too_long: Option<(u64, u64)>,
    }

    fn made(text: impl Read, format: Format, row_bytes_max: usize) -> Made {
        let mut reader = RowReader::new(Decoded::new(text, encoding_rs::UTF_8), format, row_bytes_max);
        let mut made = Made::default();
        loop {
            match reader.next() {
                Ok(Some(row)) => {
                    let cells = row.iter().map(str::to_owned).collect();
                    made.rows.push((row.line, row.raw.to_owned(), cells, row.faults.to_vec()));
                }
                Ok(None) => break,
                Err(RowError::TooLong { line, column }) => {
                    made.too_long = Some((line, column));
                    break;
                }
                Err(RowError::Io(error)) => panic!("{error}"),
            }
        }
        made.left_out = (reader.comments(), reader.blanks());
        made
    }

    /// Texts of what a reader looks at, and of what it does not.
    fn texts() -> impl Strategy<Value = String> {
        let sign = prop::sample::select(vec![
            "a", "1", "đ", "\"", "\"", "\"\"", "'", "\\", ",", ",", ";", "\t", " ", "\n", "\n", "\r\n", "\r",
            "#", "\0", "\x1a", "x,y\n", "\"q\"",
        ]);
        prop::collection::vec(sign, 0..60).prop_map(|signs| signs.concat())
    }

    fn formats() -> impl Strategy<Value = Format> {
        let delimiter = prop::sample::select(vec![b',', b';', b'\t', BLANKS]);
        let quote = prop::sample::select(vec![Some(b'"'), Some(b'\''), None]);
        let (escape, comment) = (prop::bool::ANY, prop::bool::ANY);
        (delimiter, quote, escape, comment).prop_map(|(delimiter, quote, escape, comment)| Format {
            delimiter,
            quote,
            escape: escape.then_some(b'\\'),
            comment: comment.then_some(b'#'),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rows_are_the_same_whatever_the_pieces(
            text in texts(),
            format in formats(),
            row_bytes_max in prop::sample::select(vec![8_usize, 20, 1000]),
            pieces in prop::collection::vec(1_usize..9, 1..6),
        ) {
            let whole = made(text.as_bytes(), format, row_bytes_max);
            let some = made(Pieces(text.as_bytes(), pieces.iter().cycle()), format, row_bytes_max);
            prop_assert_eq!(whole, some, "{:?}", text);
        }

        /// Every line is in a row, or is blank or a comment, and every letter of a row is in a field.
        #[test]
        fn no_line_is_lost(text in texts(), format in formats()) {
            let found = made(text.as_bytes(), format, 1000);
            let lines: Vec<&str> = lines(&text);
            let mut next = 0;
            let mut skipped = 0;
            for (line, raw, cells, _) in &found.rows {
                let first = usize::try_from(*line).expect("a line") - 1;
                skipped += first - next;
                prop_assert!(lines[next..first].iter().all(|line| is_left_out(line, &format)), "{:?}", text);
                next = first + usize::try_from(line_ends(raw.as_bytes())).expect("lines") + 1;
                let kept: usize = cells.iter().map(|cell| cell.matches(char::is_alphanumeric).count()).sum();
                prop_assert_eq!(kept, raw.matches(char::is_alphanumeric).count(), "{:?}", raw);
            }
            prop_assert!(lines.get(next..).unwrap_or_default().iter().all(|line| is_left_out(line, &format)));
            prop_assert!(skipped as u64 >= found.left_out.1.count);
        }
    }

    fn lines(text: &str) -> Vec<&str> {
        let mut rest = text;
        let mut lines = Vec::new();
        while let Some(end) = rest.find(['\n', '\r']) {
            lines.push(&rest[..end]);
            let ends = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
            rest = &rest[end + ends..];
        }
        lines.push(rest);
        lines
    }

    fn is_left_out(line: &str, format: &Format) -> bool {
        let comment = format.comment.is_some_and(|sign| line.as_bytes().first() == Some(&sign));
        comment || line.trim_matches([' ', '\t', '\x1a']).is_empty()
    }

    #[test]
    fn rows_are_the_same_however_the_bytes_come() {
        struct Drip<'a>(&'a [u8]);
        impl Read for Drip<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let count = self.0.len().min(1);
                out[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let text = "a,\"b\r\nc\"\r\n\r\n\"d\" ,e\"\"f\r\"g\"\"h\",i\n1,\"2";
        let whole = rows(text, Format::new(b','));
        let mut reader =
            RowReader::new(Decoded::new(Drip(text.as_bytes()), encoding_rs::UTF_8), Format::new(b','), 60);
        let mut found = Vec::new();
        while let Some(row) = reader.next().expect("a row") {
            found.push((row.line, row.iter().map(str::to_owned).collect::<Vec<_>>()));
        }
        assert_eq!(found, whole.0);
    }
}
