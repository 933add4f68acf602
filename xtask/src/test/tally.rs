//! Counts of tests, read from what the runners print.

/// Tests that passed and tests that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl std::ops::Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl Tally {
    /// Sums the closing lines in what a runner printed. Zero when there is none.
    pub(super) fn read(output: &str) -> Self {
        plain(output).lines().filter_map(closing_line).fold(Self::default(), |sum, one| sum + one)
    }
}

/// One runner's closing line.
fn closing_line(line: &str) -> Option<Tally> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("test result: ") {
        let (_, counts) = rest.split_once(". ")?;
        return Some(Tally { passed: before(counts, "passed")?, failed: before(counts, "failed")? });
    }
    // vitest: `Tests  1 failed | 24 passed (25)`
    if let Some(counts) = line.strip_prefix("Tests ") {
        let counts = counts.split('(').next()?;
        let (passed, failed) = (before(counts, "passed"), before(counts, "failed"));
        passed.or(failed)?;
        return Some(Tally { passed: passed.unwrap_or(0), failed: failed.unwrap_or(0) });
    }
    // node:test: `# pass 12` in TAP, `ℹ pass 12` in the other reporter
    let bare = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "));
    if let Some((word, count)) = bare.and_then(|bare| bare.split_once(' ')) {
        let count = count.trim().parse().ok()?;
        return match word {
            "pass" => Some(Tally { passed: count, failed: 0 }),
            "fail" => Some(Tally { passed: 0, failed: count }),
            _ => None,
        };
    }
    // ours: `12 passed, 0 failed`
    let (passed, failed) = line.split_once(", ")?;
    let passed = passed.strip_suffix(" passed")?.parse().ok()?;
    Some(Tally { passed, failed: failed.strip_suffix(" failed")?.parse().ok()? })
}

/// The number that stands before a word.
fn before(text: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> =
        text.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok())
}

/// The text without the colours.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        if sign == '\u{1b}' {
            let _sequence = signs.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(sign);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, passed: u64, failed: u64) {
        assert_eq!(Tally::read(output), Tally { passed, failed }, "{output:?}");
    }

    #[test]
    fn each_runner_is_understood() {
        check("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", 12, 0);
        check("test result: FAILED. 3 passed; 2 failed; 0 ignored", 3, 2);
        check("      Tests  24 passed (24)", 24, 0);
        check(
            "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[31m1 failed\u{1b}[39m | \u{1b}[32m24 passed\u{1b}[39m (25)",
            24,
            1,
        );
        check("# pass 5\n# fail 1\n# cancelled 0", 5, 1);
        check("ℹ pass 5\nℹ fail 0", 5, 0);
        check("61 passed, 2 failed", 61, 2);
    }

    #[test]
    fn several_closing_lines_are_summed() {
        check("test result: ok. 1 passed; 0 failed\nnoise\ntest result: ok. 2 passed; 1 failed", 3, 1);
    }

    #[test]
    fn other_lines_count_nothing() {
        check("Tests are fun\n# of things 3\nTest Files  2 passed (2)\nit passed, it failed", 0, 0);
    }
}
