//! Rules that hold for what is new before they hold for everything: a checked-in number for each, which may
//! only shrink.

use std::collections::BTreeMap;

use super::{
    finding::Finding,
    source::{Source, find},
};
use crate::{Failure, workspace};

/// Where the numbers stand.
const LIST: &str = "xtask/ratchet.txt";
const HEAD: &str = "\
# How often a rule of `cargo xtask tidy` may still be broken. The numbers only shrink; what is not listed is 0.
# `cargo xtask tidy --ratchet` writes what is true now, if that is less.
";
/// Stands below the head where nothing is allowed any more.
const NOTHING_KEPT: &str = "# Nothing is allowed any more: every rule holds everywhere.\n";
/// The group of a rule that nothing breaks.
const NOWHERE: &str = "all";
/// How many places a finding names.
const NAMED: usize = 5;

/// How often, and where, one rule is broken, by group.
pub(super) struct Count {
    rule: &'static str,
    places: BTreeMap<String, Vec<String>>,
}

impl Count {
    pub(super) fn new(rule: &'static str) -> Self {
        Self { rule, places: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, group: &str, place: impl Into<String>) {
        self.places.entry(group.to_owned()).or_default().push(place.into());
    }

    /// All groups together.
    pub(super) fn total(&self) -> usize {
        self.places.values().map(Vec::len).sum()
    }
}

type Numbers = BTreeMap<String, usize>;

/// What is more than its number allows.
pub(super) fn check(counts: &[Count], sources: &[Source]) -> Vec<Finding> {
    let allowed = find(sources, LIST).map(|list| read(&list.text)).unwrap_or_default();
    let mut findings = Vec::new();
    for count in counts {
        for (group, places) in &count.places {
            let most = allowed.get(&name(count, group)).copied().unwrap_or(0);
            if places.len() > most {
                findings.push(Finding::new(LIST, 0, too_many(count.rule, group, places, most)));
            }
        }
    }
    findings
}

/// Where only a few places are found all are named; of many, the last by path.
fn too_many(rule: &str, group: &str, places: &[String], most: usize) -> String {
    let named = places[places.len().saturating_sub(NAMED)..].join(", ");
    let hint = if places.len() > NAMED { "; `cargo xtask tidy --wide` names all" } else { "" };
    format!("{group}: {} {rule}, at most {most}: {named}{hint}", places.len())
}

/// Names every place that the numbers still allow.
pub(super) fn print(counts: &[Count]) {
    for count in counts {
        println!("{} {}:", count.total(), count.rule);
        count.places.values().flatten().for_each(|place| println!("  {place}"));
    }
}

/// Writes the numbers that hold now, none of them higher than before.
pub(super) fn lower(counts: &[Count], sources: &[Source]) -> Result<(), Failure> {
    let old = find(sources, LIST).map(|list| read(&list.text));
    let text = lowered(counts, old.as_ref());
    let path = workspace::root().join(LIST);
    std::fs::write(&path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{LIST}: {} numbers, {} before", read(&text).len(), old.map_or(0, |old| old.len()));
    Ok(())
}

/// A rule that nothing breaks stands with a 0, so that it stays known: only a rule that is new brings numbers
/// of its own.
fn lowered(counts: &[Count], old: Option<&Numbers>) -> String {
    let mut lines = String::new();
    for count in counts {
        let is_new = !old.is_some_and(|old| old.keys().any(|name| name.ends_with(count.rule)));
        for (group, places) in &count.places {
            let name = name(count, group);
            let old = old.and_then(|old| old.get(&name).copied());
            let most = old.unwrap_or(if is_new { places.len() } else { 0 });
            lines.push_str(&format!("{:>4} {name}\n", most.min(places.len())));
        }
        if count.places.is_empty() {
            lines.push_str(&format!("{:>4} {}\n", 0, name(count, NOWHERE)));
        }
    }
    let kept = read(&lines).values().any(|most| *most > 0);
    format!("{HEAD}{}{lines}", if kept { "" } else { NOTHING_KEPT })
}

fn name(count: &Count, group: &str) -> String {
    format!("{group}: {}", count.rule)
}

/// Lines of a number and the name behind it.
fn read(text: &str) -> Numbers {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (number, name) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(list: &str, broken: &[&str]) -> Vec<String> {
        let mut count = Count::new("dots");
        broken.iter().for_each(|group| count.add(group, "a/b.rs:7"));
        let found = check(&[count], &[Source::new(LIST, list.to_owned())]);
        found.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn what_the_list_allows_is_good() {
        assert_eq!(findings("# x\n   2 a: dots\n", &["a", "a"]), Vec::<String>::new());
        assert_eq!(findings("   2 a: dots\n", &["a"]), Vec::<String>::new());
    }

    #[test]
    fn one_more_than_allowed_and_what_is_not_listed_are_found() {
        assert_eq!(findings("   1 a: dots\n", &["a", "a"]), ["a: 2 dots, at most 1: a/b.rs:7, a/b.rs:7"]);
        assert_eq!(findings("   1 a: dots\n", &["a", "b"]), ["b: 1 dots, at most 0: a/b.rs:7"]);
        assert_eq!(check(&[], &[]).len(), 0);
    }

    #[test]
    fn a_number_only_shrinks_also_after_it_was_zero() {
        let count = |places: usize| {
            let mut count = Count::new("dots");
            (0..places).for_each(|_| count.add("a", "a/b.rs:7"));
            [count]
        };
        let number = |list: &str| read(list).values().sum::<usize>();
        let first = lowered(&count(2), None);
        assert_eq!((number(&first), first.contains(NOTHING_KEPT)), (2, false));
        let none = lowered(&count(0), Some(&read(&first)));
        assert_eq!((number(&none), none.contains(NOTHING_KEPT)), (0, true));
        assert_eq!(number(&lowered(&count(1), Some(&read(&none)))), 0);
    }
}
