//! How a file is written: encoding, delimiter, quote, header, line ends.
//!
//! All of it is found in a sample of the beginning, except that a file counts as UTF-8 only if every byte of
//! it is.

use std::{io::Read, path::Path};

use csv::{ByteRecord, Reader, ReaderBuilder};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, WINDOWS_1258};

use crate::{
    bytes::chunks,
    step::{StepError, Ticker},
    value,
};

/// How much of a file is looked at.
const SAMPLE_BYTES: usize = 256 << 10;
/// How many rows of the sample decide about the delimiter.
const SAMPLE_ROWS: usize = 200;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The encoding.
    pub(crate) encoding: &'static Encoding,
    /// Whether it begins with a byte order mark.
    pub(crate) bom: bool,
    /// What stands between fields.
    pub(crate) delimiter: u8,
    /// What stands around fields that hold a delimiter.
    pub(crate) quote: u8,
    /// Whether the first row names the columns.
    pub(crate) header: bool,
    /// `LF`, `CRLF` or `CR`.
    pub(crate) line_end: &'static str,
}

impl Dialect {
    /// A reader of rows of any length: their lengths were checked by the parse step.
    pub(crate) fn reader<R: Read>(&self, text: R) -> Reader<R> {
        ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quote(self.quote)
            .buffer_capacity(256 << 10)
            .from_reader(text)
    }
}

/// Finds out how a file is written.
pub fn detect(path: &Path, ticker: &Ticker) -> Result<Dialect, StepError> {
    let mut sample = Vec::new();
    std::fs::File::open(path)?.take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
    if sample.is_empty() {
        return Err(StepError::File("the file is empty; upload a file with at least one row".to_owned()));
    }
    if let Some(what) = foreign(&sample) {
        return Err(StepError::File(format!("the file is {what}, not CSV; save it as CSV and upload that")));
    }
    let (encoding, bom) = match by_mark(&sample).or_else(|| by_zeros(&sample)) {
        Some(found) => found,
        None => (without_mark(path, &sample, ticker)?, false),
    };
    let (text, _, _) = encoding.decode(&sample);
    let text = whole_lines(&text, sample.len() == SAMPLE_BYTES);
    if text.trim().is_empty() {
        return Err(StepError::File(
            "the file holds nothing but white space; upload a file with at least one row".to_owned(),
        ));
    }
    Ok(of_text(text, encoding, bom))
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
    ];
    let found = begins.iter().find(|(magic, _)| sample.starts_with(magic)).map(|(_, what)| *what);
    found.or_else(|| is_binary(sample).then_some("binary data"))
}

/// More than one control character in a hundred, other than the zeros of UTF-16.
fn is_binary(sample: &[u8]) -> bool {
    if by_mark(sample).or_else(|| by_zeros(sample)).is_some() {
        return false;
    }
    let odd = |c: &&u8| c.is_ascii_control() && !matches!(c, b'\t' | b'\n' | b'\r' | 0x0c | 0x1a | 0x1b);
    sample.iter().filter(odd).count() * 100 > sample.len()
}

fn by_mark(sample: &[u8]) -> Option<(&'static Encoding, bool)> {
    Encoding::for_bom(sample).map(|(encoding, _)| (encoding, true))
}

/// UTF-16 without a mark: in most texts every other byte is zero.
fn by_zeros(sample: &[u8]) -> Option<(&'static Encoding, bool)> {
    let pairs = sample.len() / 2;
    let zeros = |side: usize| sample.chunks_exact(2).filter(|pair| pair[side] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let most = |count: usize| pairs > 2 && count * 10 > pairs * 4;
    match (most(first), most(second)) {
        (true, false) if second * 20 < first => Some((UTF_16BE, false)),
        (false, true) if first * 20 < second => Some((UTF_16LE, false)),
        _ => None,
    }
}

fn without_mark(path: &Path, sample: &[u8], ticker: &Ticker) -> Result<&'static Encoding, StepError> {
    let mut check = Utf8Check::default();
    chunks(path, ticker, |bytes| {
        check.feed(bytes);
        Ok(())
    })?;
    Ok(if check.is_valid() { UTF_8 } else { windows(sample) })
}

/// Whether bytes that come in chunks are UTF-8.
#[derive(Debug, Default)]
struct Utf8Check {
    carried: Vec<u8>,
    wrong: bool,
}

impl Utf8Check {
    fn feed(&mut self, bytes: &[u8]) {
        if self.wrong {
            return;
        }
        if self.carried.is_empty() {
            self.carried = Self::rest(bytes, &mut self.wrong).to_vec();
        } else {
            // At most three bytes are carried: joining them with a chunk is a copy of the chunk.
            let joined = [&self.carried, bytes].concat();
            self.carried = Self::rest(&joined, &mut self.wrong).to_vec();
        }
    }

    /// What is left of the last character.
    fn rest<'a>(bytes: &'a [u8], wrong: &mut bool) -> &'a [u8] {
        match std::str::from_utf8(bytes) {
            Ok(_) => &[],
            Err(error) => {
                *wrong |= error.error_len().is_some();
                &bytes[error.valid_up_to()..]
            }
        }
    }

    fn is_valid(&self) -> bool {
        !self.wrong && self.carried.is_empty()
    }
}

/// Windows-1252 or its Vietnamese sister 1258: the latter writes tones as bytes of their own after vowels,
/// and has đ, ơ, ư.
fn windows(sample: &[u8]) -> &'static Encoding {
    let tone = |c: u8| matches!(c, 0xcc | 0xd2 | 0xde | 0xec | 0xf2);
    let vowel = |c: u8| b"aeiouyAEIOUY\xe2\xe3\xea\xf4\xf5\xfd\xc2\xc3\xca\xd4\xd5\xdd".contains(&c);
    let tones = sample.windows(2).filter(|pair| vowel(pair[0]) && tone(pair[1])).count();
    let letters = sample.iter().filter(|c| matches!(c, 0xf0 | 0xf5 | 0xfd | 0xd0)).count();
    let high = sample.iter().filter(|c| **c >= 0x80).count();
    if (tones * 2 + letters) * 3 > high { WINDOWS_1258 } else { WINDOWS_1252 }
}

/// Without the last line if the sample ends in the middle of it.
fn whole_lines(text: &str, cut: bool) -> &str {
    match text.rfind(['\n', '\r']) {
        Some(end) if cut => &text[..=end],
        _ => text,
    }
}

fn of_text(text: &str, encoding: &'static Encoding, bom: bool) -> Dialect {
    let line_end = match (text.contains("\r\n"), text.contains('\n'), text.contains('\r')) {
        (true, ..) => "CRLF",
        (false, false, true) => "CR",
        _ => "LF",
    };
    let mut dialect = Dialect { encoding, bom, delimiter: b',', quote: quote(text), header: true, line_end };
    let candidates = [b',', b';', b'\t', b'|'];
    let score = |delimiter: u8| score(&Dialect { delimiter, ..dialect }, text);
    // The first of the best: a comma wins where nothing speaks for another.
    let best = candidates.into_iter().rev().max_by_key(|delimiter| score(*delimiter));
    dialect.delimiter = best.unwrap_or(b',');
    dialect.header = has_header(&dialect, text);
    dialect
}

fn quote(text: &str) -> u8 {
    let opens = |quote: char| {
        let after =
            [',', ';', '\t', '|', '\n'].iter().filter(|c| text.contains(&format!("{c}{quote}"))).count();
        after + usize::from(text.starts_with(quote))
    };
    let closes = [',', ';', '\t', '|', '\n', '\r'].iter().any(|c| text.contains(&format!("'{c}")));
    if opens('"') == 0 && opens('\'') > 0 && closes { b'\'' } else { b'"' }
}

/// How well a delimiter splits the text: rows that agree with the first count, then the number of fields.
fn score(dialect: &Dialect, text: &str) -> (u64, usize) {
    let widths: Vec<usize> = rows(dialect, text).map(|row| row.len()).collect();
    let Some(first) = widths.first().copied().filter(|width| *width > 1) else { return (0, 0) };
    let agree = widths.iter().filter(|width| **width == first).count();
    // In thousandths; a split on which fewer than a third agree is none.
    let share = (agree * 1000 / widths.len()) as u64;
    if share < 333 { (0, 0) } else { (share, first) }
}

fn rows<'a>(dialect: &Dialect, text: &'a str) -> impl Iterator<Item = ByteRecord> + use<'a> {
    dialect.reader(text.as_bytes()).into_byte_records().map_while(Result::ok).take(SAMPLE_ROWS)
}

/// A first row without any number or date names the columns.
fn has_header(dialect: &Dialect, text: &str) -> bool {
    let Some(first) = rows(dialect, text).next() else { return true };
    let named = |cell: &[u8]| !cell.trim_ascii().is_empty();
    let data = |cell: &[u8]| {
        let cell = String::from_utf8_lossy(cell);
        value::number(&cell, value::NumberStyle::Point).is_some() || value::any_date(&cell)
    };
    first.iter().any(named) && !first.iter().any(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], delimiter: u8, header: bool, encoding: &str) {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("x.csv");
        std::fs::write(&path, bytes).expect("written");
        let ticker = Ticker::default();
        let dialect = detect(&path, &ticker).expect("a dialect");
        let found = (char::from(dialect.delimiter), dialect.header, dialect.encoding.name());
        assert_eq!(found, (char::from(delimiter), header, encoding));
    }

    fn refused(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("x.csv");
        std::fs::write(&path, bytes).expect("written");
        let ticker = Ticker::default();
        detect(&path, &ticker).expect_err("no CSV").to_string()
    }

    #[test]
    fn the_delimiter_is_the_one_by_which_rows_agree() {
        check(b"a,b\n1,2\n", b',', true, "UTF-8");
        check(b"a;b\n1,5;2,5\n3,5;4,5\n", b';', true, "UTF-8");
        check(b"a\tb, c\n1\t2\n", b'\t', true, "UTF-8");
        check(b"a|b\n1|2\n", b'|', true, "UTF-8");
        check(b"\"a;b\",c\n\"1;2\",3\n", b',', true, "UTF-8");
        check(b"one\ntwo\n", b',', true, "UTF-8");
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
        assert!(refused(b"PK\x03\x04xlsx").contains("Excel workbook"));
        assert!(refused(&[0x07, 0x01, 0x02, 0x99, 0x00, 0x41]).contains("binary data"));
    }
}
