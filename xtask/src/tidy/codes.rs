//! Every error code is in PROTOCOL.md, and every code there exists.
//!
//! Knows: the table of section 11 and the table of wire codes. Does not know: what a code means.

use std::collections::BTreeMap;

use super::{Finding, find, source::Source};

const DOCUMENT: &str = "PROTOCOL.md";
const TABLE: &str = "crates/protocol/src/codes.rs";

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let Some(document) = find(sources, DOCUMENT) else {
        return vec![Finding::new(DOCUMENT, 0, "is missing")];
    };
    let Some(table) = find(sources, TABLE) else {
        return vec![Finding::new(TABLE, 0, "is missing: it holds the table of wire codes")];
    };
    let (written, coded) = (written(&document.text), coded(table));
    if written.is_empty() {
        return vec![Finding::new(DOCUMENT, 0, "the table of section 11 (Errors) was not found")];
    }
    let unwritten = coded.iter().filter(|(code, _)| !written.contains_key(*code));
    let uncoded = written.iter().filter(|(code, _)| !coded.contains_key(*code));
    unwritten
        .map(|(code, line)| Finding::new(TABLE, *line, format!("`{code}` is not in {DOCUMENT}, section 11")))
        .chain(
            uncoded.map(|(code, line)| Finding::new(DOCUMENT, *line, format!("`{code}` is not in {TABLE}"))),
        )
        .collect()
}

/// The first column of the table under `## 11.`, with line numbers.
fn written(text: &str) -> BTreeMap<String, usize> {
    let section = text.lines().enumerate().skip_while(|(_, line)| !line.starts_with("## 11."));
    let section = section.skip(1).take_while(|(_, line)| !line.starts_with("## "));
    section
        .filter_map(|(index, line)| {
            Some((line.strip_prefix("| `")?.split('`').next()?.to_owned(), index + 1))
        })
        .collect()
}

/// String literals that are codes (lower-case words joined by underscores) in a row of the table: `row(Code::Busy, "busy", …)`.
fn coded(table: &Source) -> BTreeMap<String, usize> {
    let rows: Vec<bool> = table.lexed.code.lines().map(|line| line.contains("Code::")).collect();
    let strings =
        table.lexed.strings.iter().map(|range| (&table.text[range.clone()], table.line(range.start)));
    let shipped = strings.filter(|(text, line)| is_code(text) && rows[*line - 1] && !table.is_test(*line));
    shipped.map(|(text, line)| (text.to_owned(), line)).collect()
}

fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text.split('_').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(document: &str, table: &str) -> Vec<String> {
        let document = format!(
            "## 11. Errors\n\n| code | HTTP |\n|---|---|\n{document}\n\n## 12. Close\n\n| `1000` | x |\n"
        );
        let sources = [Source::new(DOCUMENT, document), Source::new(TABLE, table.to_owned())];
        check(&sources).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn two_tables_that_agree_are_good() {
        let table = "row(Code::NotFound, \"not_found\", 404),\nrow(Code::Busy, \"busy\", 503),\njson!({\"code\": 1});";
        assert_eq!(findings("| `not_found` | 404 |\n| `busy` | 503 |", table), Vec::<String>::new());
    }

    #[test]
    fn a_code_in_one_table_only_is_found() {
        assert_eq!(
            findings("| `busy` | 503 |", "(Code::Busy, \"busy\"), (Code::NotFound, \"not_found\")").len(),
            1
        );
        assert_eq!(findings("| `busy` | 503 |\n| `not_found` | 404 |", "(Code::Busy, \"busy\")").len(), 1);
    }

    #[test]
    fn a_missing_table_is_found() {
        assert_eq!(findings("", "(Code::Busy, \"busy\")").len(), 1);
        assert_eq!(check(&[Source::new(DOCUMENT, String::new())]).len(), 1);
    }
}
