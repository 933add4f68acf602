//! A row that was read: its fields, and where they stand.

/// A field of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Where it begins in the row.
    pub(super) begins: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Its text is in `scratch`, since it differs from what the file says.
    pub(super) unescaped: bool,
    pub(super) quoted: bool,
}

/// A row, until the next one is read.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The line it begins in, from 1.
    pub line: u64,
    /// As it stands in the file.
    pub raw: &'a str,
    pub(super) scratch: &'a str,
    pub(super) fields: &'a [Field],
    /// Where in `raw` its quotes are wrong.
    pub(crate) faults: &'a [usize],
    /// Where in `raw` bytes could not be decoded, as far as places are known.
    pub(crate) broken: &'a [usize],
}

impl<'a> Row<'a> {
    /// How many fields it has.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field; `None` past the last.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&'a str> {
        let field = self.fields.get(place)?;
        let text = if field.unescaped { self.scratch } else { self.raw };
        text.get(field.from..field.to)
    }

    /// Whether a field stands in quotes.
    pub(crate) fn is_quoted(&self, place: usize) -> bool {
        self.fields.get(place).is_some_and(|field| field.quoted)
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let row = *self;
        (0..row.len()).map(move |place| row.get(place).unwrap_or_default())
    }

    /// How many fields it has without empty ones at its end, but at least `least`.
    pub(crate) fn len_filled(&self, least: usize) -> usize {
        let filled = self.iter().enumerate().filter(|(_, field)| !field.trim().is_empty()).last();
        filled.map_or(0, |(place, _)| place + 1).max(least).min(self.len())
    }

    /// The line and the character in it, both from 1, of a field.
    pub(crate) fn place_of(&self, field: usize) -> (u64, u64) {
        self.place(self.fields.get(field).map_or(self.raw.len(), |field| field.begins))
    }

    /// The line and the character in it, both from 1, of an offset in `raw`.
    pub(crate) fn place(&self, at: usize) -> (u64, u64) {
        place(self.raw.as_bytes(), at, self.line)
    }
}

pub(super) fn place(raw: &[u8], at: usize, line: u64) -> (u64, u64) {
    let before = &raw[..at.min(raw.len())];
    let begins = before.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |place| place + 1);
    // The bytes of one character after its first do not move the column.
    let characters = before[begins..].iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    (line + line_ends(before), characters as u64 + 1)
}

/// How many lines end in a text: CRLF is one end.
pub(super) fn line_ends(text: &[u8]) -> u64 {
    let ends = |(place, byte): (usize, &u8)| match byte {
        b'\n' => true,
        b'\r' => text.get(place + 1) != Some(&b'\n'),
        _ => false,
    };
    text.iter().enumerate().filter(|one| ends(*one)).count() as u64
}
