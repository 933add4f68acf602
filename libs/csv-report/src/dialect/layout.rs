//! Where the table begins in a sample, how wide it is, and whether its first row names the columns.

use crate::{
    dialect::{
        header::{self, Verdict},
        trial::{Cells, PREAMBLE_MAX, Trial},
    },
    reading::Header,
};

/// Where things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) first_line: u64,
    pub(super) header: bool,
    /// The first row could be names as well as data.
    pub(super) unsure: bool,
    pub(super) row_names: bool,
    pub(super) width: usize,
}

/// Looks at the rows of a trial, of which there is at least one.
pub(super) fn find(trial: &Trial, chosen: Option<Header>) -> Layout {
    let usual = trial.width();
    let skipped = if matches!(chosen, Some(Header::Line(_))) { 0 } else { preamble(trial, usual) };
    let rows = &trial.rows[skipped..];
    let (first, body) = (&rows[0], &rows[1..]);
    let verdict = match chosen {
        Some(Header::None) => Verdict { header: false, unsure: false },
        Some(Header::Line(_)) => Verdict { header: true, unsure: false },
        None => header::judge(first, body),
    };
    // Empty fields at the end of a header name nothing where no row has as many.
    let names = if body.is_empty() {
        first.cells.len()
    } else {
        first.trimmed().max(body.iter().map(|row| row.cells.len()).max().unwrap_or(0)).min(first.cells.len())
    };
    // An empty field after the last comma of every row is none.
    let filled = body.iter().map(Cells::trimmed).max().unwrap_or(0);
    let width = if body.is_empty() { names } else { names.max(usual.min(filled.max(names))) };
    let row_names = verdict.header && width == names + 1 && body.iter().any(|row| row.cells.len() == width);
    Layout { first_line: first.line, header: verdict.header, unsure: verdict.unsure, row_names, width }
}

/// How many rows stand above the table: a title, or facts about the file.
fn preamble(trial: &Trial, usual: usize) -> usize {
    let (rows, certain) = (&trial.rows, trial.above());
    // One row could be a header with a name less than there are columns.
    if certain > 1 {
        return certain;
    }
    let names = rows[0].cells.len();
    // Nothing below is wider than a first row of names.
    let widest = rows.iter().map(Cells::trimmed).max().unwrap_or(0);
    if usual < 2 || (names > 1 && rows[0].filled() == names && widest <= names) {
        return 0;
    }
    // A title that a spreadsheet padded with empty cells fills one.
    let above = |row: &&Cells| row.cells.len() < usual || (usual > 2 && row.filled() <= 1);
    let count = rows.iter().take(PREAMBLE_MAX).take_while(above).count();
    let Some([first, body @ ..]) = rows.get(count..) else { return 0 };
    let agree = body.iter().filter(|row| row.cells.len() == usual).count();
    if count == 0 || first.cells.len() < usual || agree * 5 < body.len() * 4 {
        return 0;
    }
    // One name less than there are columns is a header over rows that have names of their own, unless the
    // next row is a header too.
    let short_header = count == 1 && rows[0].cells.len() + 1 == usual && rows[0].filled() == usual - 1;
    let next = header::judge(first, body);
    let two = usual == 2 && next.header && !next.unsure;
    let title = !short_header || two || header::names_values(first, body);
    if title { count } else { 0 }
}
