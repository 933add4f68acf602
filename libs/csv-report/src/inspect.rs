//! The parse step: how many rows there are, what the columns are called, and what is wrong with which rows.
//!
//! A fault in some rows is counted and named; only what makes a report of the whole file impossible ends it.

use std::collections::HashMap;

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
    /// Blank lines between rows: in a table of one column each could be a row with nothing in it.
    pub blank_lines: u64,
    /// The first of them.
    pub blank_inside: Option<u64>,
    /// The first row with another number of fields than the header has names.
    pub uneven: Option<Uneven>,
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

/// A row with another number of fields than the header has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uneven {
    /// How many fields it has, without empty ones at its end that are too many.
    pub fields: usize,
    /// How many names the header has; without one, how many columns the table has.
    pub names: usize,
    /// Where the first field that is too much stands, or the row ends.
    pub place: Place,
}

/// A column that its name does not tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// Which it is, from 1.
    pub number: usize,
    /// Its name in the header: empty, or that of an earlier column.
    pub name: String,
    /// The number of that earlier column.
    pub same_as: Option<usize>,
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
        if !std::mem::replace(&mut begun, true)
            && let Some(line) = reader.begin_table()
        {
            inspector.leave_out(Place { line, column: 1 });
        }
    }
    inspector.faults.set_count(FaultKind::Bytes, reader.text().broken().count);
    let (shape, blanks) = (inspector.finish(), reader.blanks());
    Ok(Shape {
        comments: reader.comments(),
        comment_inside: reader.comment_inside(),
        blank_lines: blanks.count,
        blank_inside: blanks.line,
        ..shape
    })
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
    uneven: Option<Uneven>,
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
            uneven: None,
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
            self.leave_out(row.place(0).into());
        }
    }

    /// What is above the table says something: the first of all is told.
    fn leave_out(&mut self, place: Place) {
        self.above = Some(self.above.filter(|known| known.line < place.line).unwrap_or(place));
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
        if self.uneven.is_none() {
            self.uneven = self.uneven(row);
        }
        Ok(())
    }

    /// Whether a row has another number of fields than the header has names.
    fn uneven(&self, row: &Row<'_>) -> Option<Uneven> {
        let names = self.header.as_ref().map_or(self.width, Vec::len);
        if row.len() == names {
            return None;
        }
        let fields = row.len_filled(names);
        let place = if fields < names { row.place(row.raw.len()) } else { row.place_of(names) };
        (fields != names).then(|| Uneven { fields, names, place: place.into() })
    }

    fn take_header(&mut self, row: &Row<'_>) {
        let mut names: Vec<String> = row.iter().map(|name| name.trim().to_owned()).collect();
        // The table is not so wide: they name nothing.
        let named = names.iter().rposition(|name| !name.is_empty()).map_or(0, |place| place + 1);
        names.truncate(named.max(self.width));
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (name, number) in names.iter().zip(1..) {
            let same_as = seen.insert(name, number);
            if name.is_empty() || same_as.is_some() {
                let place = row.place_of(number - 1).into();
                self.unnamed = Some(Unnamed { number, name: name.clone(), same_as, place });
                break;
            }
        }
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
        let count = self.width.max(row.len());
        let message = format!("{count} columns, and at most {limit} are read; leave some of them out");
        Err(StepError::Place { line, column, message })
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
            blank_lines: 0,
            blank_inside: None,
            uneven: self.uneven,
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
