//! Every module of crates, applications and libraries that is longer than a screen begins with a head.

use super::{
    finding::Finding,
    ratchet::Count,
    source::{Language, Source},
};

/// Shorter modules explain themselves.
const LINES_MIN: usize = 40;
const FOLDERS: [&str; 3] = ["crates/", "apps/", "libs/"];
/// What milestone 1 asked for in every file. What a crate must not know stands in ARCHITECTURE.md.
const PHRASES: [&str; 2] = ["Knows:", "Does not know:"];

/// A long module without a head.
pub(super) fn check(source: &Source) -> Option<Finding> {
    let long = source.text.lines().count() > LINES_MIN && !source.is_all_test();
    let bare = source.language == Language::Rust
        && guarded(&source.path)
        && long
        && head(source.text.lines()).is_empty();
    bare.then(|| Finding::new(&source.path, 1, "has no module head (`//!`); STYLE.md shows one"))
}

/// Files whose head still has the two phrases.
pub(super) fn phrases(sources: &[Source]) -> Count {
    let mut count = Count::new("heads that say \"Knows:\" or \"Does not know:\"");
    for source in sources.iter().filter(|source| !matches!(source.language, Language::Other)) {
        let head = head(source.text.lines().take(LINES_MIN));
        if PHRASES.iter().any(|phrase| head.contains(phrase)) {
            count.add("all", source.path.as_str());
        }
    }
    count
}

fn guarded(path: &str) -> bool {
    let shipped = FOLDERS.iter().any(|folder| path.starts_with(folder)) && path.contains("/src/");
    shipped && !path.ends_with("/main.rs") && !path.ends_with("/tests.rs") && !path.contains("/tests/")
}

/// The module's own documentation as one line: `//!` in Rust, the lines of a leading block in scripts.
fn head<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let marked = lines.map_while(|line| {
        let line = line.trim_start();
        ["//!", "/**", " *", "*"].iter().find_map(|mark| line.strip_prefix(mark))
    });
    marked.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, head: &str) -> Source {
        Source::new(path, format!("{head}{}", "fn a() {}\n".repeat(50)))
    }

    fn is_found(path: &str, head: &str) -> bool {
        check(&source(path, head)).is_some()
    }

    #[test]
    fn a_long_module_has_a_head() {
        for folder in ["crates", "apps", "libs"] {
            assert!(!is_found(&format!("{folder}/a/src/b.rs"), "//! What it is for.\n\n"));
            assert!(is_found(&format!("{folder}/a/src/b.rs"), ""));
            assert!(is_found(&format!("{folder}/a/src/b.rs"), "// What it is for.\n"));
        }
        assert!(check(&Source::new("crates/a/src/b.rs", "fn a() {}\n".repeat(40))).is_none());
    }

    #[test]
    fn main_tests_and_other_folders_are_exempt() {
        for path in ["crates/a/src/main.rs", "crates/a/tests/b.rs", "crates/a/benches/b.rs", "xtask/src/a.rs"]
        {
            assert!(!is_found(path, ""), "{path}");
        }
    }

    #[test]
    fn a_head_with_the_old_phrases_is_counted_once() {
        let check_count = |path: &str, head: &str, expected: usize| {
            assert_eq!(phrases(&[source(path, head)]).total(), expected, "{head}");
        };
        check_count("crates/a/src/b.rs", "//! A.\n//!\n//! Knows: b. Does not\n//! know: c.\n\n", 1);
        check_count("apps/a/src/b.rs", "//! A.\n//! Does not know: c.\n", 1);
        check_count("client/src/b.ts", "/**\n * A.\n * Knows: b.\n */\n", 1);
        check_count("crates/a/src/b.rs", "//! Knows nothing.\n// Knows: b.\n", 0);
    }
}
