//! The parse step: how many rows there are, what the columns are called, and what is wrong with which rows.
//!
//! A fault in some rows is counted and named; only what makes a report of the whole file impossible ends it.

use crate::{
    dialect::Dialect,
    faults::{FaultKind, Faults},
    rows::Row,
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
    /// The columns' names, each another.
    pub names: Vec<String>,
    /// What is wrong with rows.
    pub faults: Faults,
    /// Lines that were left out because they are comments.
    pub comments: u64,
    /// The line of the first of them within the table.
    pub comment_inside: Option<u64>,
    /// The names as the header has them; empty without one.
    header: Vec<String>,
}

impl Shape {
    /// The first column that no name of its own leads to, from 1, and the name it has: an empty one, or one
    /// that an earlier column has already.
    #[must_use]
    pub fn unnamed(&self) -> Option<(usize, &str)> {
        let wrong =
            |(place, name): &(usize, &String)| name.is_empty() || self.header[..*place].contains(name);
        let found = self.header.iter().enumerate().find(wrong);
        found.map(|(place, name)| (place + 1, name.as_str()))
    }
}

/// Looks at every row.
///
/// # Errors
/// [`StepError::Place`] where a limit is reached.
pub fn parse(source: &Source, limits: Limits, ticker: &Ticker) -> Result<Shape, StepError> {
    let dialect = &source.dialect;
    let mut inspector = Inspector::new(dialect, limits);
    let mut reader = source.reader(ticker)?;
    let mut begun = false;
    while let Some(row) = reader.next().map_err(|error| source.error(error, ticker))? {
        if row.line < dialect.first_line {
            inspector.bytes(&row);
            continue;
        }
        inspector.take(&row)?;
        if !std::mem::replace(&mut begun, true) {
            reader.begin_table();
        }
    }
    inspector.faults.set_count(FaultKind::Bytes, reader.text().broken().count);
    let shape = inspector.finish(dialect);
    Ok(Shape { comments: reader.comments(), comment_inside: reader.comment_inside(), ..shape })
}

struct Inspector {
    limits: Limits,
    /// How many fields a row is to have.
    width: usize,
    /// The first row is the header.
    header: Option<Vec<String>>,
    wanted: bool,
    rows: u64,
    faults: Faults,
}

impl Inspector {
    fn new(dialect: &Dialect, limits: Limits) -> Self {
        let (width, wanted) = (dialect.width, dialect.header);
        Self { limits, width, header: None, wanted, rows: 0, faults: Faults::default() }
    }

    fn take(&mut self, row: &Row<'_>) -> Result<(), StepError> {
        self.bytes(row);
        for fault in row.faults {
            self.faults.add(FaultKind::Quote, row.place(*fault));
        }
        if std::mem::take(&mut self.wanted) {
            self.header = Some(row.iter().map(|name| name.trim().to_owned()).collect());
            return self.check_columns(row);
        }
        if self.rows == 0 {
            self.check_columns(row)?;
        }
        self.rows += 1;
        match row.len() {
            len if len < self.width => self.faults.add(FaultKind::ShortRow, row.place(row.raw.len())),
            len if len > self.width && row.len_filled(self.width) > self.width => {
                self.faults.add(FaultKind::LongRow, row.place_of(self.width));
            }
            _ => {}
        }
        Ok(())
    }

    /// Bytes that are no text.
    fn bytes(&mut self, row: &Row<'_>) {
        for broken in row.broken {
            self.faults.add(FaultKind::Bytes, row.place(*broken));
        }
        for nul in memchr::memchr_iter(0, row.raw.as_bytes()) {
            self.faults.add(FaultKind::Nul, row.place(nul));
        }
    }

    fn check_columns(&self, row: &Row<'_>) -> Result<(), StepError> {
        let limit = self.limits.columns_max;
        if self.width <= limit && row.len() <= limit {
            return Ok(());
        }
        let (line, column) = row.place_of(limit);
        Err(StepError::Place { line, column, message: format!("more than {limit} columns, the limit") })
    }

    fn finish(self, dialect: &Dialect) -> Shape {
        let mut header = self.header.unwrap_or_default();
        if dialect.row_names {
            header.insert(0, String::new());
        }
        let names = named(&header, self.width);
        Shape { rows: self.rows, names, faults: self.faults, comments: 0, comment_inside: None, header }
    }
}

/// Columns without a name get their number, and a name that comes again gets a number too.
fn named(header: &[String], width: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(width);
    for place in 0..width.max(header.len()) {
        let number = place + 1;
        let name = header.get(place).filter(|name| !name.is_empty());
        let name = name.map_or_else(|| format!("#{number}"), |name| name.clone());
        let taken = names.contains(&name);
        names.push(if taken { format!("{name} (#{number})") } else { name });
    }
    names
}
