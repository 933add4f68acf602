//! Whether the first row names the columns or is data.

use crate::{
    dialect::trial::{Cell, Cells},
    value::{self, Missing, NumberStyle},
};

/// What the first row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) header: bool,
    /// It could be the other as well.
    pub(super) unsure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Nothing,
    Number,
    Date,
    Text,
}

fn is(cell: &Cell) -> Is {
    let text = cell.text.as_str();
    let number = |style| value::number(text, style).is_some();
    match text {
        _ if value::missing(text) != Missing::No => Is::Nothing,
        _ if number(NumberStyle::Point) || number(NumberStyle::Comma) => Is::Number,
        _ if value::any_date(text) => Is::Date,
        _ => Is::Text,
    }
}

/// Compares the first row with those below it.
pub(super) fn judge(first: &Cells, body: &[Cells]) -> Verdict {
    const SURE_YES: Verdict = Verdict { header: true, unsure: false };
    const SURE_NO: Verdict = Verdict { header: false, unsure: false };
    if first.filled() == 0 {
        return SURE_NO;
    }
    let kinds: Vec<Is> = first.cells.iter().map(is).collect();
    let values = kinds.iter().filter(|kind| matches!(kind, Is::Number | Is::Date)).count();
    if body.is_empty() {
        return if values == 0 { SURE_YES } else { SURE_NO };
    }
    let below: Vec<Is> = (0..first.cells.len()).map(|column| of_column(column, body)).collect();
    let pairs = || kinds.iter().zip(&below);
    if names_values(first, body) {
        return SURE_YES;
    }
    if values == 0 {
        // Texts above texts: names by custom.
        let repeated = first.cells.iter().enumerate().any(|(column, cell)| is_repeated(column, cell, body));
        return Verdict { header: true, unsure: repeated };
    }
    if is_quoted_alone(first, body) {
        return SURE_YES;
    }
    // Dates above numbers, and numbers that count what is measured below them.
    let dates = pairs().any(|(kind, below)| *kind == Is::Date && *below == Is::Number);
    if dates && !pairs().any(|(kind, below)| *kind == Is::Date && *below == Is::Date) {
        return SURE_YES;
    }
    if is_count(first, &kinds) && first.cells.len() > 2 {
        return SURE_YES;
    }
    match are_years(first, &kinds, body) {
        Some(several) => Verdict { header: true, unsure: !several },
        None => SURE_NO,
    }
}

/// Whether text stands above numbers or dates, as a name does.
pub(super) fn names_values(first: &Cells, body: &[Cells]) -> bool {
    let values = |column| matches!(of_column(column, body), Is::Number | Is::Date);
    first.cells.iter().enumerate().any(|(column, cell)| is(cell) == Is::Text && values(column))
}

/// What nine in ten of a column's filled cells are.
fn of_column(column: usize, body: &[Cells]) -> Is {
    let kinds: Vec<Is> = body.iter().filter_map(|row| row.cells.get(column)).map(is).collect();
    let filled = kinds.iter().filter(|kind| **kind != Is::Nothing).count();
    if filled == 0 {
        return Is::Nothing;
    }
    let most = |wanted: Is| kinds.iter().filter(|kind| **kind == wanted).count() * 10 >= filled * 9;
    [Is::Number, Is::Date].into_iter().find(|kind| most(*kind)).unwrap_or(Is::Text)
}

/// Whether a cell of the first row comes again in its column, as names do not.
fn is_repeated(column: usize, cell: &Cell, body: &[Cells]) -> bool {
    let same = |row: &Cells| row.cells.get(column).is_some_and(|other| other.text == cell.text);
    !cell.text.is_empty() && body.iter().any(same)
}

/// The first row alone is in quotes, numbers too.
fn is_quoted_alone(first: &Cells, body: &[Cells]) -> bool {
    first.cells.iter().all(|cell| cell.quoted)
        && !body.iter().flat_map(|row| &row.cells).any(|cell| cell.quoted)
}

/// Nothing above the names of rows, then 0, 1, 2: names by number.
fn is_count(first: &Cells, kinds: &[Is]) -> bool {
    let counts = |from: usize| {
        let mut cells = first.cells.iter().skip(1).enumerate();
        cells.all(|(place, cell)| cell.text.parse() == Ok(place + from))
    };
    kinds.first() == Some(&Is::Nothing) && (counts(0) || counts(1))
}

/// Years above what was measured in them, none of which is a year; whether there are several, one after the
/// other.
fn are_years(first: &Cells, kinds: &[Is], body: &[Cells]) -> Option<bool> {
    let year = |text: &str| text.parse::<u32>().ok().filter(|year| (1500..=2200).contains(year));
    let columns: Vec<usize> = (0..kinds.len()).filter(|column| kinds[*column] == Is::Number).collect();
    let years = columns.iter().map(|column| year(&first.cells[*column].text)).collect::<Option<Vec<_>>>()?;
    let rising =
        years.windows(2).all(|pair| pair[0] < pair[1]) || years.windows(2).all(|pair| pair[0] > pair[1]);
    let cells = || columns.iter().flat_map(|column| body.iter().filter_map(|row| row.cells.get(*column)));
    let filled = cells().filter(|cell| !cell.text.is_empty()).count();
    let like_years = cells().filter(|cell| year(&cell.text).is_some()).count();
    let others_named = kinds.iter().all(|kind| *kind != Is::Date);
    let several = years.len() > 1;
    (rising && others_named && !years.is_empty() && (like_years * 4 < filled) && (several || kinds.len() > 1))
        .then_some(several)
}
