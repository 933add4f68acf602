//! An aligned table on the terminal, and the JSON file beside it.

use crate::failure::{Context, Outcome};
use crate::machine;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Rows under headings; the first column is aligned left, the others right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row. A row with fewer cells ends early: its last cell may be a note of any width.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as text, each line ended.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows[0].len();
        let widths: Vec<usize> = (0..columns).map(|column| self.width(column)).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            text.push_str(render_row(row, &widths).trim_end());
            text.push('\n');
            if number == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
                text.push_str(&rule.join("  "));
                text.push('\n');
            }
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let full = self.rows.iter().filter(|row| row.len() == self.rows[0].len() || column == 0);
        full.map(|row| row[column].chars().count()).max().unwrap_or(0)
    }
}

fn render_row(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    let note = row.len() < widths.len();
    for (column, cell) in row.iter().enumerate() {
        let width = widths[column];
        let written = match (column, note) {
            (0, _) => write!(line, "{cell:<width$}"),
            (_, true) => write!(line, "  {cell}"),
            (_, false) => write!(line, "  {cell:>width$}"),
        };
        written.expect("writing to a String cannot fail");
    }
    line
}

/// A number for a cell: three significant digits or so, or a dash.
pub(crate) fn number(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if !value.is_finite() => "–".into(),
        Some(value) if value.abs() >= 100.0 => thousands(value.round() as i64),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// A whole number with a thin gap between thousands.
pub(crate) fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::from(if value < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Writes the result of one benchmark, with what is known about the machine, and says where.
pub(crate) fn write_json(bench: &str, wanted: Option<&Path>, result: &Value) -> Outcome<()> {
    let path = wanted.map_or_else(|| default_path(bench), Path::to_path_buf);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).context(format_args!("cannot create {}", folder.display()))?;
    }
    let document = json!({ "bench": bench, "machine": machine::describe(), "result": result });
    let text = serde_json::to_string_pretty(&document).context("cannot write the result as JSON")?;
    std::fs::write(&path, text + "\n").context(format_args!("cannot write {}", path.display()))?;
    println!("JSON: {}", path.display());
    Ok(())
}

fn default_path(bench: &str) -> PathBuf {
    machine::bench_folder().join(format!("{bench}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_a_note_may_be_wide() {
        let mut table = Table::new(&["server", "µs"]);
        table.row(vec!["floor".into(), "4.10".into()]);
        table.row(vec!["x".into(), "12.00".into()]);
        assert_eq!(table.render(), "server     µs\n──────  ─────\nfloor    4.10\nx       12.00\n");
        let mut table = Table::new(&["server", "µs", "n"]);
        table.row(vec!["nchan".into(), "not installed: apt install nginx".into()]);
        assert!(table.render().ends_with("nchan   not installed: apt install nginx\n"));
    }

    #[test]
    fn numbers_keep_what_matters() {
        assert_eq!(number(Some(4.126)), "4.13");
        assert_eq!(number(Some(41.26)), "41.3");
        assert_eq!(number(Some(1_234_567.0)), "1 234 567");
        assert_eq!(number(None), "–");
        assert_eq!(thousands(-1000), "-1 000");
        assert_eq!(thousands(999), "999");
    }
}
