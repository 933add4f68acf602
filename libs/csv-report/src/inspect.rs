//! The parse step: every row is whole, and where it is not the place is named.
//!
//! A small machine walks over the text beside the CSV reader, because only it knows the exact character, and
//! because it must refuse an endless row before anybody holds it in memory.
//!
//! ```text
//!            quote                      quote
//! FieldStart ─────▶ Quoted ◀─────────────────┐
//!   │  ▲              │ quote                │
//!   │  │ delimiter    ▼                      │
//!   │  ├────────── AfterQuote ───────────────┘
//!   ▼  │
//!  Plain ── line end ──▶ the row is checked, FieldStart
//! ```

use std::io::Read;

use crate::{
    dialect::Dialect,
    source::Source,
    step::{StepError, Ticker},
};

/// How large a file's parts may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most columns.
    pub columns_max: usize,
    /// The longest row, in bytes.
    pub row_bytes_max: usize,
}

/// What the parse step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Rows without the header.
    pub rows: u64,
    /// The columns' names.
    pub names: Vec<String>,
}

/// Checks every row; returns how many there are and the columns' names.
pub fn parse(source: &Source, limits: Limits, ticker: &Ticker) -> Result<Shape, StepError> {
    let names = Names::default();
    let mut inspector = Inspector::new(&source.dialect, limits, names);
    let mut text = source.text(ticker)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        ticker.check()?;
        match text.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => inspector.feed(&buffer[..count])?,
            Err(_) if ticker.is_stopped() => return Err(StepError::Stopped),
            Err(error) => return Err(error.into()),
        }
    }
    inspector.finish(source.dialect.header)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    FieldStart,
    Plain,
    Quoted,
    AfterQuote,
}

/// The first row's fields.
#[derive(Debug, Default)]
struct Names {
    fields: Vec<Vec<u8>>,
    done: bool,
}

impl Names {
    fn push(&mut self, byte: u8) {
        if !self.done
            && let Some(field) = self.fields.last_mut()
        {
            field.push(byte);
        }
    }
}

struct Inspector {
    delimiter: u8,
    quote: u8,
    limits: Limits,
    at: At,
    line: u64,
    column: u64,
    /// Fields before the current one in this row.
    fields: usize,
    row_bytes: usize,
    /// Rows seen, with the first.
    rows: u64,
    /// What every row must have: the fields of the first.
    width: Option<usize>,
    /// Where the last quote opened.
    opened: (u64, u64),
    after_cr: bool,
    names: Names,
}

impl Inspector {
    fn new(dialect: &Dialect, limits: Limits, mut names: Names) -> Self {
        names.fields.push(Vec::new());
        Self {
            delimiter: dialect.delimiter,
            quote: dialect.quote,
            limits,
            at: At::FieldStart,
            line: 1,
            column: 1,
            fields: 0,
            row_bytes: 0,
            rows: 0,
            width: None,
            opened: (1, 1),
            after_cr: false,
            names,
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), StepError> {
        for byte in bytes {
            self.byte(*byte)?;
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> Result<(), StepError> {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        if byte == b'\n' && after_cr {
            return Ok(());
        }
        if byte == 0 {
            return Err(self.wrong("a NUL byte; the file is damaged or not CSV"));
        }
        match self.at {
            At::Quoted if byte == self.quote => self.at = At::AfterQuote,
            At::Quoted => self.names.push(byte),
            At::FieldStart if byte == self.quote => {
                self.at = At::Quoted;
                self.opened = (self.line, self.column);
            }
            At::AfterQuote if byte == self.quote => {
                self.at = At::Quoted;
                self.names.push(byte);
            }
            _ if byte == self.delimiter => return self.next_field(),
            _ if matches!(byte, b'\n' | b'\r') => return self.end_row(),
            At::AfterQuote => {
                return Err(self.wrong(
                    "text after a closing quote; put the whole field in quotes, and double quotes inside it",
                ));
            }
            At::FieldStart | At::Plain => {
                self.at = At::Plain;
                self.names.push(byte);
            }
        }
        self.advance(byte)
    }

    /// One byte further in the row; a line break inside quotes begins a new line of the same row.
    fn advance(&mut self, byte: u8) -> Result<(), StepError> {
        self.row_bytes += 1;
        if self.row_bytes > self.limits.row_bytes_max {
            let limit = self.limits.row_bytes_max;
            return Err(self.wrong(&format!(
                "the row is longer than {limit} bytes, the limit; is a quote or a line end missing?"
            )));
        }
        if matches!(byte, b'\n' | b'\r') {
            self.line += 1;
            self.column = 1;
        } else if byte & 0xc0 != 0x80 {
            // The bytes of one character after its first do not move the column.
            self.column += 1;
        }
        Ok(())
    }

    fn next_field(&mut self) -> Result<(), StepError> {
        self.fields += 1;
        self.at = At::FieldStart;
        if let Some(width) = self.width
            && self.fields >= width
        {
            return Err(self.wrong(&format!("the row has more fields than the {width} of the first row")));
        }
        if self.fields >= self.limits.columns_max {
            let limit = self.limits.columns_max;
            return Err(self.wrong(&format!("more than {limit} columns, the limit")));
        }
        if !self.names.done {
            self.names.fields.push(Vec::new());
        }
        self.advance(self.delimiter)
    }

    fn end_row(&mut self) -> Result<(), StepError> {
        if self.row_bytes > 0 {
            let width = self.fields + 1;
            let expected = *self.width.get_or_insert(width);
            if width != expected {
                let fields = if width == 1 { "field" } else { "fields" };
                return Err(
                    self.wrong(&format!("the row has {width} {fields}, the first row has {expected}"))
                );
            }
            self.names.done = true;
            self.rows += 1;
        }
        self.at = At::FieldStart;
        self.fields = 0;
        self.row_bytes = 0;
        self.line += 1;
        self.column = 1;
        Ok(())
    }

    fn finish(mut self, header: bool) -> Result<Shape, StepError> {
        if self.at == At::Quoted {
            let (line, column) = self.opened;
            let message = "the quote that opens here is never closed".to_owned();
            return Err(StepError::Place { line, column, message });
        }
        self.end_row()?;
        let width = self.width.unwrap_or(0);
        let rows = if header { self.rows.saturating_sub(1) } else { self.rows };
        let fields = std::mem::take(&mut self.names.fields);
        let names =
            if header { named(fields) } else { (1..=width).map(|number| format!("#{number}")).collect() };
        Ok(Shape { rows, names })
    }

    fn wrong(&self, message: &str) -> StepError {
        StepError::Place { line: self.line, column: self.column, message: message.to_owned() }
    }
}

/// Columns without a name get their number, and a name that comes again gets a number too.
fn named(fields: Vec<Vec<u8>>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(fields.len());
    for (number, field) in (1..).zip(fields) {
        let name = String::from_utf8_lossy(&field).trim().to_owned();
        let name = if name.is_empty() { format!("#{number}") } else { name };
        let taken = names.contains(&name);
        names.push(if taken { format!("{name} (#{number})") } else { name });
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { columns_max: 5, row_bytes_max: 50 };

    fn run(text: &str) -> Result<Shape, StepError> {
        let dialect = Dialect {
            encoding: encoding_rs::UTF_8,
            bom: false,
            delimiter: b',',
            quote: b'"',
            header: true,
            line_end: "LF",
        };
        let mut inspector = Inspector::new(&dialect, LIMITS, Names::default());
        inspector.feed(text.as_bytes())?;
        inspector.finish(true)
    }

    fn fault(text: &str, line: u64, column: u64, message: &str) {
        let error = run(text).expect_err(text);
        assert_eq!(error.place(), Some((line, column)), "{text:?}: {error}");
        assert!(error.to_string().contains(message), "{text:?}: {error}");
    }

    #[test]
    fn rows_are_counted_without_header_and_blank_lines() {
        let shape = run("a,b\n1,2\r\n\r\n3,\"4\n5\"\n").expect("whole rows");
        assert_eq!((shape.rows, shape.names), (2, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(run("a,b").expect("only a header").rows, 0);
        assert_eq!(run("a\r1\r2").expect("old line ends").rows, 2);
    }

    #[test]
    fn a_fault_is_named_with_its_line_and_character() {
        fault("a,b\n1\n", 2, 2, "has 1 field, the first row has 2");
        fault("a,b\nđơn,1,2\n", 2, 6, "more fields than the 2");
        fault("a,b\n1,\"x\ny", 2, 3, "never closed");
        fault("a,b\n1,\"x\"y\n", 2, 6, "after a closing quote");
        fault("a,b\n1,\0\n", 2, 3, "NUL");
        fault("a,b\n\"x\ny\",\0\n", 3, 4, "NUL");
        fault("a,b,c,d,e,f\n", 1, 10, "more than 5 columns");
        fault(&"x".repeat(60), 1, 51, "longer than 50 bytes");
    }

    #[test]
    fn doubled_quotes_belong_to_the_field() {
        let shape = run("\"a \"\"b\"\"\",c\n1,2\n").expect("whole rows");
        assert_eq!(shape.names[0], "a \"b\"");
    }

    #[test]
    fn columns_without_a_name_and_names_that_repeat_get_a_number() {
        assert_eq!(run("a,,a\n").expect("a header").names, ["a", "#2", "a (#3)"]);
    }
}
