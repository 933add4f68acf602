//! The journal of a run: every line of its output, in files, bounded.
//!
//! ```text
//! log/1        the first lines stay
//! log/48213    the last two parts stay
//! log/60007    ◀── the next line goes here
//! ```
//! A part is named by the number of its first line, so whoever reads sees by the numbers what was cut. A line
//! is `<o|e> <ms since 1970> <text>`.
//!
//! Invariant: at most four parts of a quarter of the limit each.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use anywire_log::Timestamp;

use crate::domain::{Line, Pipe};

/// The greatest number of a line: 2^53 − 1, so that every JSON reader holds it exactly.
pub(crate) const LINE_NUMBER_MAX: u64 = (1 << 53) - 1;

/// A part of the journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Lines, in order; where numbers jump, lines were cut.
    pub(crate) lines: Vec<Line>,
    /// The number of the newest line there is; 0 when there is none.
    pub(crate) newest: u64,
    /// How many lines between those that were asked for are not there any more.
    pub(crate) cut: u64,
}

/// Writes a journal.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    part_bytes_max: u64,
    /// The number of the next line.
    next: u64,
    /// The part that is written to, and how long it is.
    part: Option<(File, u64)>,
}

impl Journal {
    /// A journal that goes on where the files end.
    pub(crate) fn open(folder: PathBuf, bytes_max: u64) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let mut journal = Self { part_bytes_max: bytes_max / 4, next: 1, part: None, folder };
        if let Some(first) = parts(&journal.folder)?.last().copied() {
            let path = journal.folder.join(first.to_string());
            let count = BufReader::new(File::open(&path)?).split(b'\n').count();
            journal.next = first.saturating_add(count as u64);
            let file = File::options().append(true).open(&path)?;
            let length = file.metadata()?.len();
            journal.part = Some((file, length));
        }
        Ok(journal)
    }

    /// Gives the next line its number.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The number the next line gets.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// The lines before this number will never come. Numbers follow each other in a part, so a new one
    /// begins.
    pub(crate) fn skip_to(&mut self, number: u64) {
        if number > self.next {
            self.next = number;
            self.part = None;
        }
    }

    /// Writes lines that have their numbers, in one go where they fit into a part.
    pub(crate) fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = String::new();
        for line in lines {
            let full = self
                .part
                .as_ref()
                .is_none_or(|(_, length)| length + text.len() as u64 >= self.part_bytes_max);
            if full {
                self.flush(&mut text)?;
                self.turn(line.number)?;
            }
            let mark = if line.pipe == Pipe::Out { 'o' } else { 'e' };
            text.push_str(&format!("{mark} {} {}\n", line.at.as_millis(), line.text.replace('\n', " ")));
        }
        self.flush(&mut text)
    }

    fn flush(&mut self, text: &mut String) -> io::Result<()> {
        if let Some((file, length)) = &mut self.part {
            file.write_all(text.as_bytes())?;
            *length += text.len() as u64;
        }
        text.clear();
        Ok(())
    }

    /// Begins a new part. The first and the last two stay, with the new one.
    fn turn(&mut self, first: u64) -> io::Result<()> {
        let parts = parts(&self.folder)?;
        for old in parts.iter().skip(1).rev().skip(1) {
            std::fs::remove_file(self.folder.join(old.to_string()))?;
        }
        let file = File::options().create(true).append(true).open(self.folder.join(first.to_string()))?;
        self.part = Some((file, 0));
        Ok(())
    }
}

/// Reads the lines after a number, at most `lines_max`.
pub(crate) fn read(folder: &Path, after: u64, lines_max: usize) -> io::Result<Page> {
    let mut page = Page { newest: 0, ..Page::default() };
    let mut expected = after.saturating_add(1);
    for first in parts(folder)? {
        let file = BufReader::new(File::open(folder.join(first.to_string()))?);
        for (number, text) in (first..).zip(file.split(b'\n')) {
            page.newest = number;
            let line = parse(number, &text?);
            if let Some(line) = line.filter(|_| number > after && page.lines.len() < lines_max) {
                page.cut += number.saturating_sub(expected);
                expected = number + 1;
                page.lines.push(line);
            }
        }
    }
    Ok(page)
}

fn parse(number: u64, bytes: &[u8]) -> Option<Line> {
    let text = String::from_utf8_lossy(bytes);
    let mut words = text.splitn(3, ' ');
    let pipe = if words.next()? == "e" { Pipe::Err } else { Pipe::Out };
    let at = Timestamp::from_millis(words.next()?.parse().ok()?);
    Some(Line { number, at, pipe, text: words.next().unwrap_or_default().to_owned() })
}

/// The numbers of the first lines of all parts, in order; none where there is no folder. Parts that no line
/// can have begun are passed over: an earlier version took any number a client sent, and could not read on.
fn parts(folder: &Path) -> io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let first = entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        parts.extend(first.filter(|first| *first <= LINE_NUMBER_MAX));
    }
    parts.sort_unstable();
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(journal: &mut Journal, texts: &[String]) -> Vec<Line> {
        let at = Timestamp::from_millis(7);
        texts
            .iter()
            .map(|text| Line { number: journal.number(), at, pipe: Pipe::Out, text: text.clone() })
            .collect()
    }

    #[test]
    fn a_journal_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().expect("a directory");
        for round in 0..3 {
            let mut journal = Journal::open(folder.path().to_owned(), 1 << 20).expect("opened");
            let new = lines(&mut journal, &[format!("a {round}"), "b ă".to_owned()]);
            assert_eq!(new[0].number, 2 * round + 1);
            journal.write(&new).expect("written");
        }
        let page = read(folder.path(), 3, 100).expect("read");
        assert_eq!(
            page.lines.iter().map(|line| (line.number, line.text.as_str())).collect::<Vec<_>>(),
            [(4, "b ă"), (5, "a 2"), (6, "b ă")]
        );
        assert_eq!((page.newest, page.cut), (6, 0));
    }

    #[test]
    fn the_first_and_the_last_lines_stay_and_what_was_cut_is_counted() {
        let folder = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(folder.path().to_owned(), 4000).expect("opened");
        for number in 0..1000 {
            let new = lines(&mut journal, &[format!("line {number}")]);
            journal.write(&new).expect("written");
        }
        let page = read(folder.path(), 0, usize::MAX).expect("read");
        let bytes: u64 = std::fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("a file").metadata().expect("known").len())
            .sum();
        assert!(bytes <= 4100, "{bytes}");
        assert_eq!((page.lines[0].number, page.newest), (1, 1000));
        assert_eq!(page.lines.last().map(|line| line.number), Some(1000));
        assert_eq!(page.cut + page.lines.len() as u64, 1000);
        assert!(page.cut > 0);
    }

    #[test]
    fn lines_that_never_came_are_a_hole_that_is_counted() {
        let folder = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(folder.path().to_owned(), 1 << 20).expect("opened");
        let before = lines(&mut journal, &["a".to_owned()]);
        journal.write(&before).expect("written");
        journal.skip_to(5);
        let after = lines(&mut journal, &["b".to_owned(), "c".to_owned()]);
        journal.write(&after).expect("written");
        journal.skip_to(3);
        assert_eq!(journal.next(), 7);
        let page = read(folder.path(), 0, 10).expect("read");
        let numbers: Vec<u64> = page.lines.iter().map(|line| line.number).collect();
        assert_eq!((numbers.as_slice(), page.newest, page.cut), ([1, 5, 6].as_slice(), 6, 3));
        assert_eq!(Journal::open(folder.path().to_owned(), 1 << 20).expect("opened").next(), 7);
    }

    #[test]
    fn numbers_at_the_end_of_what_is_counted_break_nothing() {
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::write(folder.path().join("1"), "o 7 a\n").expect("written");
        for (part, next) in [(u64::MAX - 1, 2), (u64::MAX, 2), (LINE_NUMBER_MAX, LINE_NUMBER_MAX + 2)] {
            std::fs::write(folder.path().join(part.to_string()), "o 7 x\no 7 y\n").expect("written");
            let journal = Journal::open(folder.path().to_owned(), 1 << 20).expect("opened");
            assert_eq!(journal.next(), next, "{part}");
        }
        let newest = |after| read(folder.path(), after, 10).expect("read").newest;
        for after in [0, LINE_NUMBER_MAX, u64::MAX - 1, u64::MAX] {
            assert_eq!(newest(after), LINE_NUMBER_MAX + 1, "{after}");
        }
    }

    #[test]
    fn a_run_without_a_journal_has_no_lines() {
        let folder = tempfile::tempdir().expect("a directory");
        assert_eq!(read(&folder.path().join("none"), 0, 10).expect("read"), Page::default());
    }
}
