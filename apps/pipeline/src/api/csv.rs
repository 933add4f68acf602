//! A CSV file as it arrives, in batches of rows.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use serde_json::{Map, Number, Value};
use tokio::sync::mpsc;

use crate::{
    domain::{DATA_TYPE_HEADER, DataType, ROW_COUNT_HEADER},
    topics::NewRecord,
};

/// The longest row, in bytes. A quote that is never closed must not take the whole file into memory.
const ROW_BYTES_MAX: usize = 1 << 20;
/// The most columns.
const COLUMNS_MAX: usize = 5000;

/// Rows of a file, ready to be produced.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    pub(crate) rows: u64,
    pub(crate) record: NewRecord,
}

/// Reads chunks of a file until they end and gives batches of rows. Blocks: it is for a thread that may wait.
///
/// # Errors
/// What is wrong with the file, with the line.
pub(crate) fn read(
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    rows_max: usize,
    record_bytes_max: usize,
    out: &mpsc::Sender<Batch>,
) -> Result<(), String> {
    let source = Chunks { chunks, current: Bytes::new(), since_row: 0, begun: false };
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(source);
    let columns = columns(&mut reader)?;
    let mut batch = Rows::default();
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(|error| error.to_string())? {
        reader.get_mut().since_row = 0;
        let text = object(&columns, &row);
        let full = batch.rows as usize >= rows_max || batch.text.len() + text.len() + 2 > record_bytes_max;
        if full && batch.rows > 0 && !send(out, &mut batch) {
            return Ok(());
        }
        batch.push(&text);
    }
    if batch.rows > 0 {
        send(out, &mut batch);
    }
    Ok(())
}

fn columns(reader: &mut csv::Reader<Chunks>) -> Result<Vec<String>, String> {
    let header = reader.headers().map_err(|error| error.to_string())?;
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    reader.get_mut().since_row = 0;
    match columns.len() {
        0 => Err("the file is empty; its first line names the columns".to_owned()),
        count if count > COLUMNS_MAX => {
            Err(format!("the file has {count} columns; at most {COLUMNS_MAX} are taken"))
        }
        _ if columns.iter().all(String::is_empty) => {
            Err("the first line is empty; it names the columns".to_owned())
        }
        _ => Ok(columns),
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

fn object(columns: &[String], row: &csv::StringRecord) -> String {
    let cells = columns.iter().cloned().zip(row.iter().map(cell));
    Value::Object(cells.collect::<Map<_, _>>()).to_string()
}

/// A cell is a number where a number written back is the same text, so that `007` and `1e3` stay what they
/// are; else a text.
fn cell(text: &str) -> Value {
    let number = text.parse::<i64>().map(Number::from).ok();
    let number = number.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
    match number {
        Some(number) if number.to_string() == text => Value::Number(number),
        _ => Value::String(text.to_owned()),
    }
}

/// A reader over chunks that arrive.
struct Chunks {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    since_row: usize,
    /// Whether the file's first bytes were looked at.
    begun: bool,
}

impl Chunks {
    /// Takes the mark away that some programs put before UTF-8, however small the first chunks are.
    fn skip_mark(&mut self) -> io::Result<()> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        self.begun = true;
        let mut first = Vec::new();
        while first.len() < MARK.len() {
            match self.chunks.blocking_recv() {
                Some(chunk) => first.extend_from_slice(&chunk?),
                None => break,
            }
        }
        self.current = first.into();
        if self.current.starts_with(MARK) {
            self.current.advance(MARK.len());
        }
        Ok(())
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.begun {
            self.skip_mark()?;
        }
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        self.since_row += count;
        if self.since_row > ROW_BYTES_MAX {
            return Err(io::Error::other(format!(
                "a row is longer than {ROW_BYTES_MAX} bytes; is a quote not closed?"
            )));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&str], rows_max: usize) -> Result<Vec<(u64, String)>, String> {
        let (send, receive) = mpsc::channel(chunks.len() + 1);
        for chunk in chunks {
            send.try_send(Ok(Bytes::copy_from_slice(chunk.as_bytes()))).expect("room");
        }
        drop(send);
        let (out, mut batches) = mpsc::channel(100);
        read(receive, rows_max, 1000, &out)?;
        drop(out);
        let mut found = Vec::new();
        while let Ok(batch) = batches.try_recv() {
            let value = batch.record.value.expect("a value");
            found.push((batch.rows, String::from_utf8(value.to_vec()).expect("JSON")));
        }
        Ok(found)
    }

    #[test]
    fn rows_become_batches_wherever_the_file_is_cut() {
        let whole = "\u{feff}name,value\nA,1\n\"B,\nb\",007\nC,1.5\n";
        let expected = vec![
            (2, "[{\"name\":\"A\",\"value\":1},{\"name\":\"B,\\nb\",\"value\":\"007\"}]".to_owned()),
            (1, "[{\"name\":\"C\",\"value\":1.5}]".to_owned()),
        ];
        assert_eq!(check(&[whole], 2), Ok(expected.clone()));
        for cut in whole.char_indices().map(|(at, _)| at) {
            assert_eq!(check(&[&whole[..cut], &whole[cut..]], 2), Ok(expected.clone()), "cut at {cut}");
        }
    }

    #[test]
    fn a_row_that_does_not_fit_is_named_by_its_line() {
        let error = check(&["a,b\n1,2\n3\n"], 2).expect_err("a cell is missing");
        assert!(error.contains("line: 3"), "{error}");
        assert!(check(&[""], 2).expect_err("empty").contains("first line"));
    }

    #[test]
    fn a_quote_that_is_never_closed_is_an_error_before_it_takes_the_memory() {
        let long = "x".repeat(300_000);
        let error = check(&["a\n\"", &long, &long, &long, &long], 2).expect_err("never closed");
        assert!(error.contains("is a quote not closed?"), "{error}");
    }
}
