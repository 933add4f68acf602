//! The parse step: how many rows there are, what the columns are called, and what is wrong with which rows.
//!
//! A fault in some rows is counted and named; only what makes a report of the whole file impossible ends it.

use crate::{
    dialect::{Dialect, separator_hint},
    faults::{FaultKind, Faults, Place},
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
    /// The first column that its name does not tell apart.
    pub unnamed: Option<Unnamed>,
    /// Where the first line stands that is left out because it is above the table; blank ones and `sep=` say
    /// nothing.
    pub above: Option<Place>,
    /// Where the text of a table that was found to have one column could be divided.
    pub undivided: Option<Undivided>,
}

/// A sign that usually divides, in a table of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undivided {
    /// The sign.
    pub sign: char,
    /// Where it stands first.
    pub place: Place,
}

/// A column that its name does not tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// Its name in the header: empty, or that of an earlier column.
    pub name: String,
    /// Where the header has it.
    pub place: Place,
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
            inspector.skip(&row);
            continue;
        }
        inspector.take(&row)?;
        if !std::mem::replace(&mut begun, true) {
            reader.begin_table();
        }
    }
    inspector.faults.set_count(FaultKind::Bytes, reader.text().broken().count);
    let shape = inspector.finish();
    Ok(Shape { comments: reader.comments(), comment_inside: reader.comment_inside(), ..shape })
}

struct Inspector {
    row_names: bool,
    limits: Limits,
    /// How many fields a row is to have.
    width: usize,
    /// The first row is the header.
    header: Option<Vec<String>>,
    wanted: bool,
    rows: u64,
    faults: Faults,
    unnamed: Option<Unnamed>,
    above: Option<Place>,
    /// Where there is one column and nobody said so.
    one_column: Option<OneColumn>,
}

/// What could divide the text of one column: a sign in the header, which names of several columns have; a
/// comma in any row, which whoever writes commas between fields puts in quotes; another sign in every row.
#[derive(Default)]
struct OneColumn {
    /// The first of a header or a comma.
    certain: Option<Undivided>,
    rows: usize,
    /// In how many rows each sign is, and where first.
    signs: [(usize, Option<Place>); SIGNS.len()],
}

/// What usually divides.
const SIGNS: [u8; 4] = [b',', b';', b'\t', b'|'];

impl OneColumn {
    fn take(&mut self, row: &Row<'_>, is_header: bool) {
        self.rows += usize::from(!is_header);
        let fields = (0..row.len()).filter(|place| !row.is_quoted(*place));
        let text: Vec<&str> = fields.filter_map(|place| row.get(place)).collect();
        for (sign, (count, first)) in SIGNS.into_iter().zip(&mut self.signs) {
            if !text.iter().any(|text| memchr::memchr(sign, text.as_bytes()).is_some()) {
                continue;
            }
            let place = || row.place(memchr::memchr(sign, row.raw.as_bytes()).unwrap_or_default()).into();
            if (is_header || sign == b',') && self.certain.is_none() {
                self.certain = Some(Undivided { sign: char::from(sign), place: place() });
            }
            *count += usize::from(!is_header);
            first.get_or_insert_with(place);
        }
    }

    fn finish(self) -> Option<Undivided> {
        let rows = self.rows;
        let in_all = SIGNS.into_iter().zip(self.signs).find(|(_, (count, _))| *count == rows && rows > 0);
        let in_all =
            in_all.and_then(|(sign, (_, place))| Some(Undivided { sign: char::from(sign), place: place? }));
        self.certain.or(in_all)
    }
}

impl Inspector {
    fn new(dialect: &Dialect, limits: Limits) -> Self {
        Self {
            row_names: dialect.row_names,
            limits,
            width: dialect.width,
            header: None,
            wanted: dialect.header,
            rows: 0,
            faults: Faults::default(),
            unnamed: None,
            above: None,
            one_column: (dialect.width == 1 && !dialect.is_delimiter_said()).then(OneColumn::default),
        }
    }

    /// A row above the table.
    fn skip(&mut self, row: &Row<'_>) {
        self.bytes(row);
        let is_hint = row.line == 1 && separator_hint(row.raw).is_some();
        if !is_hint && row.iter().any(|field| !field.trim().is_empty()) {
            self.above.get_or_insert(row.place(0).into());
        }
    }

    fn take(&mut self, row: &Row<'_>) -> Result<(), StepError> {
        self.bytes(row);
        for fault in row.faults {
            self.faults.add(FaultKind::Quote, || row.place(*fault));
        }
        if let Some(one_column) = &mut self.one_column {
            one_column.take(row, self.wanted);
        }
        if std::mem::take(&mut self.wanted) {
            self.take_header(row);
            return self.check_columns(row);
        }
        if self.rows == 0 {
            self.check_columns(row)?;
        }
        self.rows += 1;
        match row.len() {
            len if len < self.width => self.faults.add(FaultKind::ShortRow, || row.place(row.raw.len())),
            len if len > self.width && row.len_filled(self.width) > self.width => {
                self.faults.add(FaultKind::LongRow, || row.place_of(self.width));
            }
            _ => {}
        }
        Ok(())
    }

    fn take_header(&mut self, row: &Row<'_>) {
        let names: Vec<String> = row.iter().map(|name| name.trim().to_owned()).collect();
        let wrong = |place: &usize| match names.get(*place) {
            Some(name) => name.is_empty() || names[..*place].contains(name),
            None => true,
        };
        let first = if self.row_names { Some(0) } else { (0..self.width).find(wrong) };
        self.unnamed = first.map(|place| Unnamed {
            name: names.get(place).filter(|_| !self.row_names).cloned().unwrap_or_default(),
            place: row.place_of(place).into(),
        });
        self.header = Some(names);
    }

    /// Bytes that are no text.
    fn bytes(&mut self, row: &Row<'_>) {
        for broken in row.broken {
            self.faults.add(FaultKind::Bytes, || row.place(*broken));
        }
        for nul in memchr::memchr_iter(0, row.raw.as_bytes()) {
            self.faults.add(FaultKind::Nul, || row.place(nul));
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

    fn finish(self) -> Shape {
        let mut header = self.header.unwrap_or_default();
        if self.row_names {
            header.insert(0, String::new());
        }
        let names = named(&header, self.width);
        Shape {
            rows: self.rows,
            names,
            faults: self.faults,
            comments: 0,
            comment_inside: None,
            unnamed: self.unnamed,
            above: self.above,
            undivided: self.one_column.and_then(OneColumn::finish),
        }
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
