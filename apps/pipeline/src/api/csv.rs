//! A CSV file that is whole: checked first, so that nothing of a file is sent that cannot be kept, then given
//! in batches of rows.
//!
//! It is read as the report of a file reads it. What a report would count as a fault is refused here.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use anywire_csv_report::{
    Dialect, FaultKind, Limits, Place, Reading, Row, Shape, Source, StepError, Ticker, Undivided, Uneven,
    Unnamed, detect, parse,
};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    domain::{DATA_TYPE_HEADER, DataType, ROW_COUNT_HEADER},
    topics::NewRecord,
};

const LIMITS: Limits = Limits {
    columns_max: 5000,
    // A quote that is never closed must not take the whole file into memory.
    row_bytes_max: 1 << 20,
};

/// Rows of a file, ready to be produced.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    pub(crate) rows: u64,
    pub(crate) record: NewRecord,
}

/// How large batches may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    /// The most rows.
    pub(crate) rows_max: usize,
    /// The most bytes of several rows.
    pub(crate) bytes_max: usize,
    /// The most bytes of one row.
    pub(crate) row_bytes_max: usize,
}

/// A file of which every row can be kept.
#[derive(Debug)]
pub(crate) struct Checked {
    source: Arc<Source>,
    names: Vec<String>,
}

/// Why a file cannot be kept whole: what is wrong, with line and column where it has a place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(String);

impl Unfit {
    fn at(place: Place, message: &str) -> Self {
        Self(format!("line {}, column {}: {message}", place.line, place.column))
    }
}

impl From<StepError> for Unfit {
    fn from(error: StepError) -> Self {
        Self(error.to_string())
    }
}

/// Reads a whole file and refuses what cannot be kept. Blocks: it is for a thread that may wait.
///
/// # Errors
/// [`Unfit`] names the first thing that cannot be kept.
pub(crate) fn check(
    path: &Path,
    reading: &Reading,
    limits: BatchLimits,
    ticker: &Ticker,
) -> Result<Checked, Unfit> {
    let dialect = detect(path, reading, ticker)?;
    if dialect.is_encoding_guessed() {
        return Err(no_utf8(path, reading, &dialect, ticker));
    }
    let source = Source::new(path.to_owned(), dialect, LIMITS.row_bytes_max);
    let shape = parse(&source, LIMITS, ticker)?;
    whole(&source.dialect, &shape)?;
    let checked = Checked { source, names: shape.names };
    checked.rows_fit(limits.row_bytes_max, ticker)?;
    Ok(checked)
}

/// What is kept is kept for good: an encoding is not guessed.
fn no_utf8(path: &Path, reading: &Reading, guess: &Dialect, ticker: &Ticker) -> Unfit {
    let mut utf8 = reading.clone();
    let place = match utf8.choose("encoding", "utf-8") {
        Ok(_) => first_broken(path, &utf8, ticker),
        Err(_) => None,
    };
    let message = match guess.encoding() {
        // A few bytes are broken, and the rest is UTF-8 for certain.
        "UTF-8" => "bytes that are no UTF-8, as all others of the file are; mend or take them out".to_owned(),
        name => format!("bytes that are no UTF-8; if the file is {name}, say encoding={name}"),
    };
    match place {
        Some(place) => Unfit::at(place, &message),
        None => Unfit(message),
    }
}

fn first_broken(path: &Path, reading: &Reading, ticker: &Ticker) -> Option<Place> {
    let dialect = detect(path, reading, ticker).ok()?;
    let source = Source::new(path.to_owned(), dialect, LIMITS.row_bytes_max);
    let shape = parse(&source, LIMITS, ticker).ok()?;
    let found = shape.faults.iter().find(|(kind, _)| *kind == FaultKind::Bytes);
    found.and_then(|(_, faults)| faults.places.first().copied())
}

/// Refuses a table that has no names, or rows that are not whole.
fn whole(dialect: &Dialect, shape: &Shape) -> Result<(), Unfit> {
    if dialect.header_line().is_none() {
        if dialect.is_header_chosen() {
            let wrong =
                "header=none, and a row needs names for its values; put a line of names above the rows";
            return Err(Unfit(wrong.to_owned()));
        }
        return Err(Unfit::at(
            Place { line: dialect.first_line(), column: 1 },
            "the table begins here with data, and no line names its columns; put one above it, or say header=1, or \
             the number of another line that does",
        ));
    }
    let wrong =
        [fault(dialect, shape), shape.uneven.as_ref().map(uneven), shape.unnamed.as_ref().map(unnamed)];
    if let Some((place, message)) =
        wrong.into_iter().flatten().min_by_key(|(place, _)| (place.line, place.column))
    {
        return Err(Unfit::at(place, &message));
    }
    let header = shape.above.zip(dialect.header_line()).filter(|_| !dialect.is_header_chosen());
    if let Some((place, header)) = header {
        let message = format!(
            "the line is above the one that names the columns, {header}, and would be left out; take it out, or \
             say header={header} to have it left out"
        );
        return Err(Unfit::at(place, &message));
    }
    if let Some(Undivided { sign, place }) = shape.undivided {
        let option = if sign == '\t' { "tab".to_owned() } else { sign.to_string() };
        let message = format!(
            "{sign:?} stands in a table of one column; if it divides fields, say delimiter={option}, else put the \
             field in quotes, or say which other sign divides, such as delimiter=^"
        );
        return Err(Unfit::at(place, &message));
    }
    let inside = [
        (
            shape.comment_inside,
            "a line amid the rows reads as a comment; put its first field in quotes, or take it out",
        ),
        (
            shape.blank_inside.filter(|_| shape.names.len() == 1),
            "a blank line amid the rows of one column; write \"\" for a row without a value, or take it out",
        ),
    ];
    match inside.into_iter().find_map(|(line, message)| Some((line?, message))) {
        Some((line, message)) => Err(Unfit::at(Place { line, column: 1 }, message)),
        None => Ok(()),
    }
}

/// The first wrong quote or byte. Rows of another length are told by what the header names.
fn fault(dialect: &Dialect, shape: &Shape) -> Option<(Place, String)> {
    let message = |kind| match kind {
        FaultKind::ShortRow | FaultKind::LongRow => None,
        FaultKind::Bytes => Some(format!(
            "bytes that mean nothing in {}; mend them, or say which other encoding the file has, such as \
             encoding=windows-1252",
            dialect.encoding()
        )),
        FaultKind::Nul => Some("a NUL byte, as damaged files have them; take it out".to_owned()),
        FaultKind::Quote => Some(kind.message().to_owned()),
    };
    let places =
        shape.faults.iter().filter_map(|(kind, found)| Some((*found.places.first()?, message(kind)?)));
    places.min_by_key(|(place, _)| (place.line, place.column))
}

fn uneven(Uneven { fields, names, place }: &Uneven) -> (Place, String) {
    let [fields, names] = [(fields, "value"), (names, "column")].map(|(count, thing)| match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    });
    let message = format!(
        "the row has {fields} and the header names {names}; give every row a value for each name, empty ones too"
    );
    (*place, message)
}

fn unnamed(Unnamed { number, name, same_as, place }: &Unnamed) -> (Place, String) {
    let message = match same_as {
        Some(other) => format!(
            "column {number} is named {name:?} as column {other} is; give it another name, since a row keeps \
             one value of a name"
        ),
        None => format!("column {number} has no name; give it one"),
    };
    (*place, message)
}

impl Checked {
    /// How the file is written.
    pub(crate) fn dialect(&self) -> &Dialect {
        &self.source.dialect
    }

    /// Refuses a row that no record can hold.
    fn rows_fit(&self, row_bytes_max: usize, ticker: &Ticker) -> Result<(), Unfit> {
        let names: usize = self.names.iter().map(String::len).sum();
        let mut unfit = None;
        self.source.records(ticker, |row| {
            // Escaped, a byte has six at most; short rows need no closer look.
            let most = 6 * (names + row.raw.len()) + 8 * self.names.len();
            if most <= row_bytes_max {
                return ControlFlow::Continue(());
            }
            let bytes = object(&self.names, row).len() + 2;
            if bytes <= row_bytes_max {
                return ControlFlow::Continue(());
            }
            let line = row.line;
            unfit = Some(Unfit(format!(
                "line {line}: the row is {bytes} bytes of JSON and a record holds {row_bytes_max}, \
                 pipeline.record_bytes_max"
            )));
            ControlFlow::Break(())
        })?;
        unfit.map_or(Ok(()), Err)
    }

    /// Gives the rows in batches, until nobody takes them any more. Blocks.
    ///
    /// # Errors
    /// [`Unfit`] if the file cannot be read any more.
    pub(crate) fn send(&self, limits: BatchLimits, out: &mpsc::Sender<Batch>) -> Result<(), Unfit> {
        let mut batch = Rows::default();
        self.source.records(&Ticker::default(), |row| {
            let text = object(&self.names, row);
            let full = batch.rows as usize >= limits.rows_max
                || batch.text.len() + text.len() + 2 > limits.bytes_max;
            if full && batch.rows > 0 && !send(out, &mut batch) {
                return ControlFlow::Break(());
            }
            batch.push(&text);
            ControlFlow::Continue(())
        })?;
        if batch.rows > 0 {
            send(out, &mut batch);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Rows {
    rows: u64,
    text: String,
}

impl Rows {
    fn push(&mut self, row: &str) {
        self.text.push(if self.rows == 0 { '[' } else { ',' });
        self.text.push_str(row);
        self.rows += 1;
    }
}

/// False when nobody takes batches any more.
fn send(out: &mpsc::Sender<Batch>, rows: &mut Rows) -> bool {
    let Rows { rows, mut text } = std::mem::take(rows);
    text.push(']');
    let headers = vec![
        (DATA_TYPE_HEADER.to_owned(), Some(Bytes::from_static(DataType::Csv.as_str().as_bytes()))),
        (ROW_COUNT_HEADER.to_owned(), Some(Bytes::from(rows.to_string()))),
    ];
    let record = NewRecord { key: None, headers, value: Some(Bytes::from(text)) };
    out.blocking_send(Batch { rows, record }).is_ok()
}

/// A row as an object; its members stand as its columns do.
fn object(names: &[String], row: &Row<'_>) -> String {
    let mut text = String::from("{");
    for (place, name) in names.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(name.as_str()).to_string());
        text.push(':');
        push_cell(&mut text, row.get(place).unwrap_or_default());
    }
    text.push('}');
    text
}

/// How many digits a number has at most: one of more is a name of something, such as a card's.
const DIGITS_MAX: usize = 18;

/// A cell is a number, written as it is, where it is digits with or without a fraction; else a text. So all
/// of a column of prices are numbers, `1.10` too, and `007`, `1e3` and `+1` stay what they are.
fn push_cell(out: &mut String, cell: &str) {
    match is_plain_number(cell) {
        true => out.push_str(cell),
        false => out.push_str(&Value::from(cell).to_string()),
    }
}

fn is_plain_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole)
        && fraction.is_none_or(is_digits)
        && (whole == "0" || !whole.starts_with('0'))
        && whole.len() + fraction.map_or(0, str::len) <= DIGITS_MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        /// A file is refused with a reason, or every line of it that says something is a row or the header.
        #[test]
        fn no_row_is_lost_in_silence(pieces in prop::collection::vec(
            prop::sample::select(vec![
                "a,b\n", "1,2\n", "x,y\r\n", "3;4\n", "5\n", "\n", "# note\n", "Title\n", ",", ";", "\"", "\"q\"", "z",
                "sep=;\n", "\t", "1,2,3\n", "a,b,c\n", "\r", "' '", "é", "=", "x y\n",
            ]),
            0..14,
        )) {
            let content = pieces.concat();
            match batches(content.as_bytes(), &[]) {
                Err(reason) => prop_assert!(reason.len() > 20, "{}", reason),
                Ok(batches) => {
                    let mut rows = 0;
                    for (count, text) in batches {
                        let objects: Vec<serde_json::Map<String, Value>> = serde_json::from_str(&text).expect("rows");
                        prop_assert_eq!(objects.len() as u64, count);
                        rows += objects.len();
                    }
                    let text = content.replace("\r\n", "\n").replace('\r', "\n");
                    let said = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("sep="));
                    // Quotes may put blank lines and more than one line into a field.
                    if !content.contains(['"', '\'']) {
                        prop_assert!(said.count() <= rows + 1, "{:?}", content);
                    }
                }
            }
        }
    }

    const BATCHES: BatchLimits = BatchLimits { rows_max: 2, bytes_max: 1000, row_bytes_max: 2000 };

    fn batches(content: &[u8], choices: &[(&str, &str)]) -> Result<Vec<(u64, String)>, String> {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("x.csv");
        std::fs::write(&path, content).expect("written");
        let mut reading = Reading::default();
        for (name, value) in choices {
            assert_eq!(reading.choose(name, value), Ok(true));
        }
        let checked =
            check(&path, &reading, BATCHES, &Ticker::default()).map_err(|error| error.to_string())?;
        let (out, mut batches) = mpsc::channel(100);
        checked.send(BATCHES, &out).map_err(|error| error.to_string())?;
        drop(out);
        let mut found = Vec::new();
        while let Ok(batch) = batches.try_recv() {
            let value = batch.record.value.expect("a value");
            found.push((batch.rows, String::from_utf8(value.to_vec()).expect("JSON")));
        }
        Ok(found)
    }

    #[test]
    fn the_numbers_of_a_column_are_numbers_as_they_are_written() {
        sent(
            "p\n1.5\n1.10\n2.00\n-3\n0.05\n",
            &["[{\"p\":1.5},{\"p\":1.10}]", "[{\"p\":2.00},{\"p\":-3}]", "[{\"p\":0.05}]"],
        );
        for text in ["007", "1e3", "+1", "1.", ".5", "-", "1234567890123456789", "0x1", "1.2.3", "٣"] {
            assert!(!is_plain_number(text), "{text}");
        }
        for number in ["0", "-0", "0.0", "9007199254740993", "123456789012345678"] {
            assert!(is_plain_number(number), "{number}");
        }
    }

    fn sent(content: &str, expected: &[&str]) {
        let found = batches(content.as_bytes(), &[]).expect(content);
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, expected, "{content:?}");
    }

    fn refused(content: &[u8], words: &str) {
        let error = batches(content, &[]).expect_err("refused");
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn rows_become_batches() {
        sent(
            "\u{feff}name,value\nA,1\n\"B,\nb\",007\nC,1.5\n",
            &[
                "[{\"name\":\"A\",\"value\":1},{\"name\":\"B,\\nb\",\"value\":\"007\"}]",
                "[{\"name\":\"C\",\"value\":1.5}]",
            ],
        );
    }

    #[test]
    fn files_are_read_as_the_report_reads_them() {
        sent("a;b\n1;2,5\n", &["[{\"a\":1,\"b\":\"2,5\"}]"]);
        sent("sep=|\r\na|b\r\n1|2\r\n", &["[{\"a\":1,\"b\":2}]"]);
        sent("a\tb\n1\t\"x\ty\"\n", &["[{\"a\":1,\"b\":\"x\\ty\"}]"]);
        sent("a,b,\n1,2\n", &["[{\"a\":1,\"b\":2}]"]);
        sent("a,b\n1,2,\n", &["[{\"a\":1,\"b\":2}]"]);
        let utf16: Vec<u8> = "\u{feff}tên,b\nx,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(batches(&utf16, &[]).expect("UTF-16")[0].1, "[{\"tên\":\"x\",\"b\":2}]");
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_its_place_its_cause_and_the_way_out() {
        const EVERY: &str = "; give every row a value for each name, empty ones too";
        const QUOTE: &str = "a quote that is not closed, or text after a closing quote; put the whole field in quotes, \
                             and double quotes inside it";
        const DATA: &str = "the table begins here with data, and no line names its columns; put one above it, or say \
                            header=1, or the number of another line that does";
        let table: &[(&[u8], &str)] = &[
            (b"a,b\n1,2\n3\n", "line 3, column 2: the row has 1 value and the header names 2 columns{EVERY}"),
            (
                b"a,b\n1,2\n3,4,5\n",
                "line 3, column 5: the row has 3 values and the header names 2 columns{EVERY}",
            ),
            // Not a name that lacks: the row says more than the header names.
            (b"a,b\n1,2,3\n", "line 2, column 5: the row has 3 values and the header names 2 columns{EVERY}"),
            (
                b"a,b\n1,2,3\n4,5,6\n",
                "line 2, column 5: the row has 3 values and the header names 2 columns{EVERY}",
            ),
            (b"a,b\n1,2\n1,2,3,4\n1,2,3,4\n", "line 3, column 1: {DATA}"),
            (b"1,2\n3,4\n", "line 1, column 1: {DATA}"),
            (b"1,2\n3\n", "line 1, column 1: {DATA}"),
            (b"a,b\n1,\"2\n3,4\n", "line 2, column 3: {QUOTE}"),
            (b"a,b\n1,\"2\"x\n", "line 2, column 6: {QUOTE}"),
            (
                b"a,b,a\n1,2,3\n",
                "line 1, column 5: column 3 is named \"a\" as column 1 is; give it another name, since a row keeps one \
                 value of a name",
            ),
            (b"a,,c\n1,2,3\n", "line 1, column 3: column 2 has no name; give it one"),
            (b"a,b,\n1,2,3\n", "line 1, column 5: column 3 has no name; give it one"),
            (
                b"a,b\n1,caf\xe9\n",
                "line 2, column 6: bytes that are no UTF-8; if the file is windows-1252, say encoding=windows-1252",
            ),
            (
                b"t\xc3\xaan,b\n\xe1\xbb\x87\xe1\xbb\x87,1\nx\xff,2\n",
                "line 3, column 2: bytes that are no UTF-8, as all others of the file are; mend or take them out",
            ),
            (b"a,b\n1,x\0y\n", "line 2, column 4: a NUL byte, as damaged files have them; take it out"),
            (
                b"a,b\n1,2\n#3\n4,5\n",
                "line 3, column 1: a line amid the rows reads as a comment; put its first field in quotes, or take it out",
            ),
            (b"", "the file is empty; upload a file with at least one row"),
            (b" \n\n", "the file holds nothing but white space; upload a file with at least one row"),
            (b"{\"a\":1}\n{\"a\":2}\n", "the file is JSON, not CSV; save it as CSV and upload that"),
        ];
        for (file, words) in table {
            let words = words.replace("{EVERY}", EVERY).replace("{QUOTE}", QUOTE).replace("{DATA}", DATA);
            let error = batches(file, &[]).expect_err("refused");
            assert_eq!(error, words, "{}", String::from_utf8_lossy(file));
        }
        let long = format!("a\n{}\n", "x".repeat(3000));
        refused(
            long.as_bytes(),
            "line 2: the row is 3010 bytes of JSON and a record holds 2000, pipeline.record_bytes_max",
        );
        let wide = format!("{}\n", vec!["a"; 5001].join(","));
        refused(
            wide.as_bytes(),
            "line 1, column 10001: 5001 columns, and at most 5000 are read; leave some of them out",
        );
    }

    #[test]
    fn a_choice_that_does_not_fit_the_file_is_refused_as_one() {
        for (file, choice, words) in [
            (
                &b"a,b\n1,2\n"[..],
                ("header", "9"),
                "no row begins in line 9 or after it; choose another header",
            ),
            (
                b"a,b\n1,2\n",
                ("header", "none"),
                "header=none, and a row needs names for its values; put a line of names above the rows",
            ),
            (
                b"a,b\n1,caf\xe9\n",
                ("encoding", "utf-8"),
                "line 2, column 6: bytes that mean nothing in UTF-8; mend them, or say which other encoding the file \
                 has, such as encoding=windows-1252",
            ),
        ] {
            assert_eq!(batches(file, &[choice]).expect_err("refused"), words);
        }
    }

    #[test]
    fn a_line_that_would_be_left_out_is_refused_unless_somebody_says_that_it_is_to_be() {
        for (file, place, header) in [
            ("a,b\nx,y,z\n1,2,3\n4,5,6\n", "line 1", "2"),
            ("Title,x\n\na,b,c\n1,2,3\n4,5,6\n", "line 1", "3"),
            ("total: 5\na,b\n1,2\n3,4\n", "line 1", "2"),
            ("Report 2020\n\na,b\n1,2\n3,4\n", "line 1", "3"),
            ("# made today\nReport 2020\n\na,b\n1,2\n3,4\n", "line 1", "4"),
            ("\n# made today\n# and sent\na,b\n1,2\n", "line 2", "4"),
            ("# made today\na,b\n1,2\n", "line 1", "2"),
            ("sep=,\n# made today\na,b\n1,2\n", "line 2", "3"),
        ] {
            let words = format!(
                "{place}, column 1: the line is above the one that names the columns, {header}, and would be left out; \
                 take it out, or say header={header} to have it left out"
            );
            assert_eq!(batches(file.as_bytes(), &[]).expect_err("refused"), words, "{file:?}");
            batches(file.as_bytes(), &[("header", header)]).expect(file);
        }
        let inside = "line 3, column 1: a line amid the rows reads as a comment; put its first field in quotes, or \
                      take it out";
        for choices in [&[][..], &[("header", "1")]] {
            assert_eq!(batches(b"a,b\n1,2\n# 3\n4,5\n", choices).expect_err("a comment"), inside);
        }
        let blank = "line 3, column 1: a blank line amid the rows of one column; write \"\" for a row without a value, \
                     or take it out";
        assert_eq!(batches(b"a\n1\n\n2\n", &[]).expect_err("blank"), blank);
        sent("\na\n1\n\n", &["[{\"a\":1}]"]);
        sent("a\n1\n\"\"\n", &["[{\"a\":1},{\"a\":\"\"}]"]);
        sent("a,b\n1,2\n\n3,4\n", &["[{\"a\":1,\"b\":2},{\"a\":3,\"b\":4}]"]);
    }

    #[test]
    fn one_column_that_could_be_several_is_refused_until_somebody_says_what_it_is() {
        for (file, place, option) in [
            ("id,name\n1\n2\n", "line 1, column 3: ','", "delimiter=,"),
            ("a,b\n1\n", "line 1, column 2: ','", "delimiter=,"),
            ("name,city\nAnn\nBob\n", "line 1, column 5: ','", "delimiter=,"),
            ("a,b,c\nfoo\nbar\nbaz\n", "line 1, column 2: ','", "delimiter=,"),
            ("id;name\n1\n2\n", "line 1, column 3: ';'", "delimiter=;"),
            ("id\tname\n1\n", "line 1, column 3: '\\t'", "delimiter=tab"),
            ("id|name\n1\n", "line 1, column 3: '|'", "delimiter=|"),
            ("id\nfoo,bar\nbaz,qux\n", "line 2, column 4: ','", "delimiter=,"),
            ("id\nfoo\nbaz,qux\n", "line 3, column 4: ','", "delimiter=,"),
            ("id\nfoo;bar\nbaz;qux\n", "line 2, column 4: ';'", "delimiter=;"),
        ] {
            refused(file.as_bytes(), place);
            refused(file.as_bytes(), option);
        }
        sent("note\n\"foo, bar\"\nbaz\n", &["[{\"note\":\"foo, bar\"},{\"note\":\"baz\"}]"]);
        sent("note\nfoo; bar\nbaz\n", &["[{\"note\":\"foo; bar\"},{\"note\":\"baz\"}]"]);
        let said = batches(b"id,name\n1\n", &[("delimiter", "tab")]).expect("one column");
        assert_eq!(said[0].1, "[{\"id,name\":1}]");
        let refused = batches(b"id,name\n1\n", &[("delimiter", ",")]).expect_err("a short row");
        assert!(
            refused.contains("line 2, column 2: the row has 1 value and the header names 2"),
            "{refused}"
        );
        let above = batches(b"Report\na,b\n1,2\n", &[("header", "2")]).expect("a header that is chosen");
        assert_eq!(above[0].1, "[{\"a\":1,\"b\":2}]");
    }

    #[test]
    fn what_is_chosen_is_taken() {
        let latin = batches(b"a,b\n1,caf\xe9\n", &[("encoding", "windows-1252")]).expect("Latin");
        assert_eq!(latin[0].1, "[{\"a\":1,\"b\":\"café\"}]");
        let named = batches(b"1,2\n3,4\n", &[("header", "1")]).expect("a header");
        assert_eq!(named[0].1, "[{\"1\":3,\"2\":4}]");
    }

    #[test]
    fn a_quote_that_is_never_closed_is_an_error_before_it_takes_the_memory() {
        let long = format!("a\n\"{}", "x".repeat(3 << 20));
        refused(long.as_bytes(), "the row is longer than 1048576 bytes");
    }
}
