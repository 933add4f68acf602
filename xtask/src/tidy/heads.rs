//! Every module of crates and applications says what it knows and what it does not.
//!
//! Knows: the two phrases of a module head. Does not know: whether they are true.

use super::{
    Finding,
    source::{Language, Source},
};

/// Shorter modules explain themselves.
const LINES_MIN: usize = 40;
const PHRASES: [&str; 2] = ["Knows:", "Does not know:"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let long = source.text.lines().count() > LINES_MIN && !source.is_all_test();
    if source.language != Language::Rust || !guarded(&source.path) || !long {
        return Vec::new();
    }
    let head = head(&source.text);
    if head.is_empty() {
        return vec![Finding::new(&source.path, 1, "has no module head (`//!`); STYLE.md shows one")];
    }
    let missing = PHRASES.iter().filter(|phrase| !says(&head, phrase));
    missing
        .map(|phrase| Finding::new(&source.path, 1, format!("the module head does not say \"{phrase}\"")))
        .collect()
}

/// Whether a phrase is there, with words behind it.
fn says(head: &str, phrase: &str) -> bool {
    let rest = head.split_once(phrase).map_or("", |(_, rest)| rest.trim_start());
    rest.starts_with(|sign: char| sign.is_alphanumeric() || sign == '`')
        && !PHRASES.iter().any(|other| rest.starts_with(other))
}

fn guarded(path: &str) -> bool {
    let shipped = (path.starts_with("crates/") || path.starts_with("apps/")) && path.contains("/src/");
    shipped && !path.ends_with("/main.rs") && !path.ends_with("/tests.rs") && !path.contains("/tests/")
}

/// The module's own documentation as one line.
fn head(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, head: &str) -> usize {
        check(&Source::new(path, format!("{head}{}", "fn a() {}\n".repeat(50)))).len()
    }

    #[test]
    fn a_head_with_both_phrases_is_good() {
        assert_eq!(findings("crates/a/src/b.rs", "//! A.\n//!\n//! Knows: b. Does not\n//! know: c.\n\n"), 0);
    }

    #[test]
    fn a_missing_head_or_phrase_is_found() {
        assert_eq!(findings("crates/a/src/b.rs", ""), 1);
        assert_eq!(findings("crates/a/src/b.rs", "// Knows: b. Does not know: c.\n"), 1);
        assert_eq!(findings("apps/a/src/b.rs", "//! Knows: b.\n"), 1);
        assert_eq!(findings("apps/a/src/b.rs", "//! A.\n"), 2);
        assert_eq!(findings("apps/a/src/b.rs", "//! Knows: Does not know: .\n"), 2);
    }

    #[test]
    fn main_tests_and_other_folders_are_exempt() {
        for path in ["crates/a/src/main.rs", "crates/a/tests/b.rs", "crates/a/benches/b.rs", "xtask/src/a.rs"]
        {
            assert_eq!(findings(path, ""), 0, "{path}");
        }
    }
}
