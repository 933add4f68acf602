//! How a file is written: encoding, delimiter, quote, comments, header, line ends.
//!
//! All of it is found in a sample of the beginning, except the encoding, which every byte decides. What was
//! chosen is taken as it is, and what can be read in two ways is told.

mod header;
mod layout;
mod trial;

use std::{io::Read, path::Path};

use encoding_rs::Encoding;

use crate::{
    encoding::{self, Found},
    reading::{Header, Quote, Reading, delimiter_name},
    rows::Format,
    step::{StepError, Ticker},
};

/// How much of a file is looked at.
const SAMPLE_BYTES: usize = 256 << 10;

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// The encoding.
    pub(crate) encoding: &'static Encoding,
    /// Whether it begins with a byte order mark.
    pub(crate) bom: bool,
    pub(crate) format: Format,
    /// The line in which the table begins, from 1: what is above it is left out.
    pub(crate) first_line: u64,
    /// Whether the first row names the columns.
    pub(crate) header: bool,
    /// Rows have one field more than the header has names: their own name comes first.
    pub(crate) row_names: bool,
    /// How many columns there are.
    pub(crate) width: usize,
    /// `LF`, `CRLF` or `CR`.
    pub(crate) line_end: &'static str,
    /// What can be read in another way.
    pub(crate) doubts: Vec<Doubt>,
    /// What was chosen rather than found.
    pub(crate) reading: Reading,
    /// The file says in its first line what stands between fields.
    pub(crate) hinted: bool,
}

/// What of a file can be read in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Nothing in the file says its encoding for certain.
    Encoding,
    /// Another delimiter divides it nearly as well, or some of its lines where it was read as one column.
    Delimiter(u8),
    /// The first row could be names as well as data.
    Header,
}

impl Dialect {
    /// What stands between fields, as the option `delimiter` has it.
    #[must_use]
    pub fn delimiter(&self) -> String {
        delimiter_name(self.format.delimiter)
    }

    /// The name of the encoding.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        self.encoding.name()
    }

    /// Whether the encoding is a guess.
    #[must_use]
    pub fn is_encoding_guessed(&self) -> bool {
        self.doubts.contains(&Doubt::Encoding)
    }

    /// Whether its reader said which line names the columns.
    #[must_use]
    pub const fn is_header_chosen(&self) -> bool {
        self.reading.header.is_some()
    }

    /// Whether somebody said what stands between fields: its reader, or the file itself.
    pub(crate) const fn is_delimiter_said(&self) -> bool {
        self.hinted || self.reading.delimiter.is_some()
    }

    /// The line in which the table begins, from 1: that of the header, or of the first row.
    #[must_use]
    pub const fn first_line(&self) -> u64 {
        self.first_line
    }

    /// The line that names the columns, from 1; none if there is none.
    #[must_use]
    pub fn header_line(&self) -> Option<u64> {
        self.header.then_some(self.first_line)
    }
}

/// Finds out how a file is written, but for what was chosen.
///
/// # Errors
/// [`StepError::File`] for what is no CSV at all and for choices that exclude each other.
pub fn detect(path: &Path, reading: &Reading, ticker: &Ticker) -> Result<Dialect, StepError> {
    let mut sample = Vec::new();
    std::fs::File::open(path)?.take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
    if sample.is_empty() {
        return Err(StepError::File("the file is empty; upload a file with at least one row".to_owned()));
    }
    if sample.starts_with(b"\xff\xfe\0\0") || sample.starts_with(b"\0\0\xfe\xff") {
        return Err(StepError::File("the file is in UTF-32; save it in UTF-8 and upload that".to_owned()));
    }
    if let Some(what) = foreign(&sample) {
        return Err(StepError::File(format!("the file is {what}, not CSV; save it as CSV and upload that")));
    }
    let found = match reading.encoding {
        Some(encoding) => Found { encoding, bom: Encoding::for_bom(&sample).is_some(), guessed: false },
        None => encoding::find(path, &sample, ticker)?,
    };
    let (text, _) = found.encoding.decode_with_bom_removal(&sample);
    let text = whole_lines(&text, sample.len() == SAMPLE_BYTES);
    if text.trim().is_empty() {
        return Err(StepError::File(
            "the file holds nothing but white space; upload a file with at least one row".to_owned(),
        ));
    }
    of_text(text, found, reading)
}

/// Files that people upload by mistake, by their first bytes; and files that are no text at all.
fn foreign(sample: &[u8]) -> Option<&'static str> {
    let begins = [
        (&b"PK\x03\x04"[..], "an Excel workbook or a ZIP archive"),
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
        (b"%PDF", "a PDF"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x89PNG", "an image"),
        (b"\xff\xd8\xff", "an image"),
        (b"PAR1", "a Parquet file"),
        (b"SQLite format 3", "a SQLite database"),
        (b"\xfd7zXZ", "an xz archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"7z\xbc\xaf", "a 7z archive"),
        (b"Rar!\x1a", "a RAR archive"),
        (b"ARROW1", "an Arrow file"),
        (b"Obj\x01", "an Avro file"),
        (b"\x89HDF", "an HDF5 file"),
        (b"{\\rtf", "a text of a word processor (RTF)"),
    ];
    let found = begins.iter().find(|(magic, _)| sample.starts_with(magic)).map(|(_, what)| *what);
    let texts = [("<!doctype html", "an HTML page"), ("<html", "an HTML page"), ("<?xml", "XML")];
    let text = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample).trim_ascii_start();
    let begins =
        |word: &str| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()));
    let found = found.or_else(|| texts.iter().find(|(word, _)| begins(word)).map(|(_, what)| *what));
    let found = found.or_else(|| is_json(text).then_some("JSON"));
    found.or_else(|| is_binary(sample).then_some("binary data"))
}

/// An object, or an array of objects, whatever white space stands between.
fn is_json(text: &[u8]) -> bool {
    fn after(sign: u8, text: &[u8]) -> Option<&[u8]> {
        text.strip_prefix(&[sign]).map(<[u8]>::trim_ascii_start)
    }
    let object = |text| after(b'{', text).is_some_and(|rest| rest.starts_with(b"\""));
    object(text) || after(b'[', text).is_some_and(object)
}

/// More than one control character in a hundred, other than the zeros of UTF-16; one or two alone are a
/// fault.
fn is_binary(sample: &[u8]) -> bool {
    if encoding::by_mark(sample).or_else(|| encoding::by_zeros(sample)).is_some() {
        return false;
    }
    // Those that stand between fields or records in some databases are not odd.
    let odd = |c: &&u8| {
        c.is_ascii_control() && !matches!(c, b'\t' | b'\n' | b'\r' | 0x01 | 0x0c | 0x1a | 0x1b | 0x1e | 0x1f)
    };
    let odd = sample.iter().filter(odd).count();
    odd * 100 > sample.len() && (odd > 2 || odd * 4 > sample.len())
}

/// Without the last line if the sample ends in the middle of it.
fn whole_lines(text: &str, cut: bool) -> &str {
    match text.rfind(['\n', '\r']) {
        Some(end) if cut => &text[..=end],
        _ => text,
    }
}

fn of_text(text: &str, found: Found, reading: &Reading) -> Result<Dialect, StepError> {
    let line_end = match (text.contains("\r\n"), text.contains('\n'), text.contains('\r')) {
        (true, ..) => "CRLF",
        (false, false, true) => "CR",
        _ => "LF",
    };
    let hint = separator_hint(text);
    let delimiter = reading.delimiter.or(hint);
    if let (Some(delimiter), Some(Quote::Sign(quote))) = (delimiter, reading.quote)
        && delimiter == quote
    {
        let sign = char::from(quote);
        let message = format!("delimiter and quote are both {sign:?}; choose different signs");
        return Err(StepError::File(message));
    }
    let first_line = match reading.header {
        Some(Header::Line(line)) => line,
        _ => 1 + u64::from(hint.is_some()),
    };
    let (trial, other) = trial::best(text, first_line, delimiter, reading.quote);
    if trial.rows.is_empty() {
        let message = format!("no row begins in line {first_line} or after it; choose another header");
        return Err(StepError::File(message));
    }
    let layout = layout::find(&trial, reading.header);
    let doubts = [
        found.guessed.then_some(Doubt::Encoding),
        other.map(Doubt::Delimiter),
        (layout.unsure && reading.header.is_none()).then_some(Doubt::Header),
    ];
    Ok(Dialect {
        encoding: found.encoding,
        bom: found.bom,
        format: trial.format,
        first_line: layout.first_line,
        header: layout.header,
        row_names: layout.row_names,
        width: layout.width,
        line_end,
        doubts: doubts.into_iter().flatten().collect(),
        reading: reading.clone(),
        hinted: hint.is_some(),
    })
}

/// `sep=;` in the first line, as Excel takes it.
pub(crate) fn separator_hint(text: &str) -> Option<u8> {
    let line = text.split(['\n', '\r']).next()?.trim_matches('"');
    let (word, sign) = line.split_at_checked(4)?;
    match sign.as_bytes() {
        [sign] if word.eq_ignore_ascii_case("sep=") && !sign.is_ascii_alphanumeric() => Some(*sign),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(bytes: &[u8], reading: &Reading) -> Result<Dialect, StepError> {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("x.csv");
        std::fs::write(&path, bytes).expect("written");
        detect(&path, reading, &Ticker::default())
    }

    fn check(bytes: &[u8], delimiter: u8, header: bool, encoding: &str) {
        let dialect = dialect(bytes, &Reading::default()).expect("a dialect");
        let found = (char::from(dialect.format.delimiter), dialect.header, dialect.encoding.name());
        assert_eq!(found, (char::from(delimiter), header, encoding));
    }

    fn refused(bytes: &[u8]) -> String {
        dialect(bytes, &Reading::default()).expect_err("no CSV").to_string()
    }

    #[test]
    fn the_delimiter_is_the_one_by_which_rows_agree() {
        check(b"a,b\n1,2\n", b',', true, "UTF-8");
        check(b"a;b\n1,5;2,5\n3,5;4,5\n", b';', true, "UTF-8");
        check(b"a\tb, c\n1\t2\n", b'\t', true, "UTF-8");
        check(b"a|b\n1|2\n", b'|', true, "UTF-8");
        check(b"\"a;b\",c\n\"1;2\",3\n", b',', true, "UTF-8");
        check(b"one\ntwo\n", b',', true, "UTF-8");
        check(b"a b\n1 2\n3 4\n", b' ', true, "UTF-8");
        check(b"a\x1fb\n1\x1f2\n", 0x1f, true, "UTF-8");
    }

    #[test]
    fn a_first_row_with_numbers_or_dates_is_no_header() {
        check(b"1,2\n3,4\n", b',', false, "UTF-8");
        check(b"2024-01-01,x\n2024-01-02,y\n", b',', false, "UTF-8");
    }

    #[test]
    fn encodings_are_told_apart() {
        let utf16: Vec<u8> = "tên,giá\nvàng,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&[&b"\xff\xfe"[..], &utf16].concat(), b',', true, "UTF-16LE");
        let bare: Vec<u8> = "name,price\ngold,1\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&bare, b',', true, "UTF-16BE");
        check("tên,giá\nvàng,1\n".as_bytes(), b',', true, "UTF-8");
        check(b"caf\xe9,pr\xe9nom\nna\xefve,\xfcber\n", b',', true, "windows-1252");
        // "tên,Đường\nviệt,ước" as windows-1258 writes it.
        check(b"t\xean,\xd0\xfd\xf5\xccng\nvi\xea\xf2t,\xfd\xf5\xecc\n", b',', true, "windows-1258");
    }

    #[test]
    fn files_that_are_no_csv_are_named() {
        assert!(refused(b"").starts_with("the file is empty"));
        assert!(refused(b" \r\n \n").contains("white space"));
        assert!(refused(b"\xff\xfe\0\0a\0\0\0").contains("UTF-32"));
        assert!(refused(b"PK\x03\x04xlsx").contains("Excel workbook"));
        assert!(refused(b"\n<!DOCTYPE html><p>").contains("an HTML page"));
        for json in [&b"[{\"a\": 1}]"[..], b"[\n  {\n \"a\": 1}]", b"{\"a\":1}\n{\"a\":2}\n"] {
            assert!(refused(json).contains("is JSON"));
        }
        assert!(refused(b"{\\rtf1\\ansi").contains("RTF"));
        assert!(refused(b"\x28\xb5\x2f\xfd\0").contains("zstd"));
        assert!(refused(&[0x07, 0x01, 0x02, 0x99, 0x00, 0x41]).contains("binary data"));
    }

    #[test]
    fn what_was_chosen_is_taken_as_it_is() {
        let mut reading = Reading::default();
        for (name, value) in [("delimiter", ";"), ("header", "none"), ("encoding", "windows-1251")] {
            assert_eq!(reading.choose(name, value), Ok(true));
        }
        let found = dialect(b"a,b\n\xe8,2\n", &reading).expect("a dialect");
        assert_eq!(
            (found.delimiter(), found.header, found.encoding()),
            (";".to_owned(), false, "windows-1251")
        );
        assert_eq!((found.width, found.doubts.len()), (1, 0));
        assert_eq!(reading.choose("quote", ";"), Ok(true));
        assert!(dialect(b"a;b\n", &reading).expect_err("both").to_string().contains("different signs"));
        let mut late = Reading::default();
        assert_eq!(late.choose("header", "9"), Ok(true));
        assert!(dialect(b"a,b\n", &late).expect_err("no such line").to_string().contains("line 9"));
    }
}
