//! What is wrong with a file's rows: how often, and where first.

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Fewer fields than the table has columns; those that lack are missing.
    ShortRow,
    /// More fields than the table has columns; those are left out.
    LongRow,
    /// A quote that is never closed, or text after a closing one.
    Quote,
    /// Bytes that mean nothing in the file's encoding.
    Bytes,
    /// A NUL.
    Nul,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::ShortRow, Self::LongRow, Self::Quote, Self::Bytes, Self::Nul];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ShortRow => "short_rows",
            Self::LongRow => "long_rows",
            Self::Quote => "quotes",
            Self::Bytes => "bytes",
            Self::Nul => "nuls",
        }
    }

    /// What it is, as a sentence goes on after "line 3, column 4: ".
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::ShortRow => "the row has fewer fields than the header",
            Self::LongRow => "the row has more fields than the header",
            Self::Quote => {
                "a quote that is not closed, or text after a closing quote; put the whole field in quotes, and double \
                 quotes inside it"
            }
            Self::Bytes => "bytes that mean nothing in this encoding",
            Self::Nul => "a NUL byte; the file is damaged",
        }
    }
}

/// A place in a file: a line and a character in it, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The character in the line.
    pub column: u64,
}

impl From<(u64, u64)> for Place {
    fn from((line, column): (u64, u64)) -> Self {
        Self { line, column }
    }
}

/// How many places of each kind are named.
const PLACES_MAX: usize = 5;

/// The faults of a file, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults([OfKind; FaultKind::ALL.len()]);

/// The faults of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfKind {
    /// How many there are.
    pub count: u64,
    /// Where the first of them are.
    pub places: Vec<Place>,
}

impl Faults {
    /// Counts one. Its place is looked for only if it is to be named.
    pub(crate) fn add<P: Into<Place>>(&mut self, kind: FaultKind, place: impl FnOnce() -> P) {
        let found = &mut self.0[kind as usize];
        found.count += 1;
        if found.places.len() < PLACES_MAX {
            found.places.push(place().into());
        }
    }

    /// How many there are of a kind, when some have no known place.
    pub(crate) fn set_count(&mut self, kind: FaultKind, count: u64) {
        let found = &mut self.0[kind as usize];
        found.count = found.count.max(count);
    }

    /// The kinds that there are, with their faults.
    pub fn iter(&self) -> impl Iterator<Item = (FaultKind, &OfKind)> {
        FaultKind::ALL.into_iter().zip(&self.0).filter(|(_, found)| found.count > 0)
    }

    /// The first fault of all with a place.
    #[must_use]
    pub fn first(&self) -> Option<(FaultKind, Place)> {
        let places = self.iter().filter_map(|(kind, found)| Some((kind, *found.places.first()?)));
        places.min_by_key(|(_, place)| (place.line, place.column))
    }
}
