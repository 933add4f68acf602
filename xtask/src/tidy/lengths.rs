//! Files and functions stay short, each by itself and the lot of them.

use super::{
    finding::Finding,
    functions::{Function, functions},
    source::{Language, Source},
};

/// Lines of a file without its tests.
const FILE_MAX: usize = 600;
const VUE_MAX: usize = 300;
const FUNCTION_MAX: usize = 70;
/// Nine in ten are no longer than this.
const FILE_NINTH: usize = 450;
const FUNCTION_NINTH: usize = 25;
/// How many of the longest `--verbose` names.
const NAMED: usize = 12;

pub(super) fn check(sources: &[Source], verbose: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut files = Vec::new();
    let mut lengths = Vec::new();
    for source in sources.iter().filter(|source| source.language != Language::Other) {
        let lines = source.shipped_lines();
        let limit = if source.language == Language::Vue { VUE_MAX } else { FILE_MAX };
        if lines > limit {
            findings.push(Finding::new(
                &source.path,
                0,
                format!("{lines} lines without tests, at most {limit}"),
            ));
        }
        if lines > 0 {
            files.push((lines, source.path.clone()));
        }
        for function in functions(source).into_iter().filter(|function| counts(source, function)) {
            if function.lines > FUNCTION_MAX {
                let message =
                    format!("`{}` has {} lines, at most {FUNCTION_MAX}", function.name, function.lines);
                findings.push(Finding::new(&source.path, function.line, message));
            }
            if !source.is_test(function.line) {
                lengths
                    .push((function.lines, format!("{}:{} {}", source.path, function.line, function.name)));
            }
        }
    }
    findings.extend(report("file", &mut files, FILE_NINTH, verbose));
    findings.extend(report("function", &mut lengths, FUNCTION_NINTH, verbose));
    findings
}

/// In scripts `describe(…, () => {` holds a whole suite: what counts there is the file.
fn counts(source: &Source, function: &Function) -> bool {
    !(source.language == Language::Script && source.is_test(function.line))
}

/// Prints median and ninth decile, and finds a decile that is over its limit.
fn report(what: &str, lengths: &mut [(usize, String)], limit: usize, verbose: bool) -> Option<Finding> {
    lengths.sort_unstable_by(|one, other| other.cmp(one));
    let decile = |share: usize| lengths.get(lengths.len() * share / 100).map_or(0, |(lines, _)| *lines);
    // Sorted from the longest: a tenth in, nine in ten are shorter.
    let (median, ninth) = (decile(50), decile(10));
    println!(
        "tidy: {} {what}s, median {median} lines, ninth decile {ninth} (at most {limit})",
        lengths.len()
    );
    if verbose {
        for (lines, name) in lengths.iter().take(NAMED) {
            println!("  {lines:>5}  {name}");
        }
    }
    (ninth > limit).then(|| {
        Finding::new(
            "workspace",
            0,
            format!("the ninth decile of {what} lengths is {ninth}, at most {limit}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: String) -> Vec<String> {
        let findings = check(&[Source::new(path, text)], false);
        findings.into_iter().map(|finding| finding.message).collect()
    }

    fn long_function(lines: usize) -> String {
        format!("fn a() {{\n{}}}\n", "    b();\n".repeat(lines - 2))
    }

    #[test]
    fn short_code_is_good() {
        assert_eq!(messages("a.rs", long_function(20)), Vec::<String>::new());
    }

    #[test]
    fn a_long_function_is_found_at_its_line_count() {
        let found = messages("a.rs", long_function(71));
        assert!(found.iter().any(|message| message.contains("`a` has 71 lines")), "{found:?}");
        assert!(!messages("a.rs", long_function(70)).iter().any(|message| message.contains("`a` has")));
    }

    #[test]
    fn tests_do_not_count_in_a_files_length() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // x\n".repeat(900));
        assert_eq!(messages("a.rs", tests), Vec::<String>::new());
        assert_eq!(messages("a.rs", "// x\n".repeat(601)).len(), 2);
        assert_eq!(messages("a.vue", "<p/>\n".repeat(301)).len(), 1);
    }

    #[test]
    fn a_suite_is_not_a_long_function() {
        let suite = format!("describe(\"a\", () => {{\n{}}});\n", "  b();\n".repeat(100));
        assert_eq!(messages("client/test/a.test.ts", suite), Vec::<String>::new());
    }
}
