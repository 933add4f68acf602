//! Blank lines, which say nothing but in a table of one column.

/// Blank lines between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Blanks {
    /// How many there are.
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) line: Option<u64>,
    /// Those since the last row, and the first of these.
    open: (u64, u64),
}

impl Blanks {
    pub(super) fn take(&mut self, line: u64) {
        let (count, first) = self.open;
        self.open = (count + 1, if count == 0 { line } else { first });
    }

    /// A row follows.
    pub(super) fn close(&mut self) {
        let (count, first) = std::mem::take(&mut self.open);
        if count > 0 {
            self.count += count;
            self.line.get_or_insert(first);
        }
    }
}
