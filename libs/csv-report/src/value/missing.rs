//! Cells that say nothing: empty ones, and words that programs and people write for that.

/// Whether a cell says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    No,
    /// Among numbers, dates and truths it says nothing; among texts it is one, such as `Na` for sodium.
    Perhaps,
    /// It says nothing, unless the column says that it is a text, such as `NA` for Namibia.
    Word(Word),
    Empty,
}

/// A word that says nothing: its place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(usize);

const WORDS: [&str; WORDS_LEN] = [
    "NA", "na", "N/A", "n/a", "NaN", "nan", "NAN", "NULL", "null", "Null", "None", "nil", "#N/A", "#n/a",
    "<NA>", "-", "?",
];
const WORDS_LEN: usize = 17;
/// Words that are codes as well: of a country or a region, of an airport, the first letters of a name.
const CODES: [&str; 2] = ["NA", "NAN"];

/// Whether a cell says nothing.
pub(crate) fn missing(cell: &str) -> Missing {
    const PERHAPS: [&str; 14] =
        ["none", "na", "nan", "nil", "n/a", "n.a.", "n.d.", ".", "..", "...", "…", ":", "--", "---"];
    if cell.is_empty() {
        return Missing::Empty;
    }
    if cell.len() > 4 {
        return Missing::No;
    }
    if let Some(place) = WORDS.iter().position(|word| *word == cell) {
        return Missing::Word(Word(place));
    }
    match PERHAPS.iter().any(|word| cell.eq_ignore_ascii_case(word)) {
        true => Missing::Perhaps,
        false => Missing::No,
    }
}

/// Whether a text is of the form of a code: a few capital letters.
pub(crate) fn is_code(cell: &str) -> bool {
    (2..=5).contains(&cell.len()) && cell.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Some of the words that say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WordSet(u32);

impl WordSet {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(u32::MAX);

    /// Those that are codes among codes.
    pub(crate) fn codes() -> Self {
        let of = |(place, word): (usize, &&str)| if CODES.contains(word) { 1 << place } else { 0 };
        Self(WORDS.iter().enumerate().map(of).sum())
    }

    pub(crate) const fn contains(self, word: Word) -> bool {
        self.0 & (1 << word.0) != 0
    }
}

/// How often which word came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WordCounts {
    counts: [u64; WORDS_LEN],
}

impl WordCounts {
    pub(crate) fn take(&mut self, word: Word) {
        self.counts[word.0] += 1;
    }

    /// Those that are in a set, or those that are not.
    pub(crate) fn only(self, set: WordSet, inside: bool) -> Self {
        let kept = |place: usize| if set.contains(Word(place)) == inside { self.counts[place] } else { 0 };
        Self { counts: std::array::from_fn(kept) }
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The words that came.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'static str> {
        WORDS.iter().zip(self.counts).filter(|(_, count)| *count > 0).map(|(word, _)| *word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_among_numbers_may_be_a_text_among_texts() {
        use Missing::{Empty, No, Perhaps, Word};
        assert_eq!(missing(""), Empty);
        assert!(["NA", "n/a", "NULL", "-", "?"].into_iter().all(|word| matches!(missing(word), Word(_))));
        assert_eq!(["Na", "none", "NONE", ".", "--", "…", "N.A.", ":"].map(missing), [Perhaps; 8]);
        assert_eq!(["0", "no", "Nana", "-1", "x", ".5"].map(missing), [No; 6]);
    }

    #[test]
    fn words_are_counted_and_told_apart() {
        let mut counts = WordCounts::default();
        for cell in ["NA", "-", "NA", "null"] {
            let Missing::Word(word) = missing(cell) else { panic!("{cell} is a word") };
            counts.take(word);
        }
        let of = |inside| {
            let counts = counts.only(WordSet::codes(), inside);
            (counts.count(), counts.words().collect::<Vec<_>>())
        };
        assert_eq!((of(true), of(false)), ((2, vec!["NA"]), (2, vec!["null", "-"])));
        assert_eq!(counts.only(WordSet::ALL, false).count(), 0);
        assert_eq!(
            ["NA", "EMEA", "na", "N/A", "A", "ABCDEF"].map(is_code),
            [true, true, false, false, false, false]
        );
    }
}
