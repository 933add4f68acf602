//! Every error code is in PROTOCOL.md, and every code there exists; those of one application are in the
//! description of its API.

use std::collections::BTreeMap;

use super::{
    finding::Finding,
    source::{Language, Source, find},
};

const DOCUMENT: &str = "PROTOCOL.md";
const TABLE: &str = "crates/codes/src/lib.rs";
/// Where an application's own codes are described.
const API: &str = "docs/http-api.md";
/// Whose codes clients see.
const SHIPPED: [&str; 3] = ["crates/", "apps/", "libs/"];

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
    let api = find(sources, API);
    let described = |code: &str| api.is_some_and(|api| api.text.contains(&format!("`{code}`")));
    let unwritten = coded.iter().filter(|(code, _)| !written.contains_key(*code) && !described(code));
    let uncoded = written.iter().filter(|(code, _)| !coded.contains_key(*code));
    unwritten
        .map(|(code, line)| {
            let message = format!("`{code}` is neither in {DOCUMENT}, section 11, nor in {API}");
            Finding::new(TABLE, *line, message)
        })
        .chain(
            uncoded.map(|(code, line)| Finding::new(DOCUMENT, *line, format!("`{code}` is not in {TABLE}"))),
        )
        .chain(sources.iter().flat_map(|source| unknown(source, &written, api)))
        .collect()
}

/// Codes that an answer's making names and that no document has.
fn unknown(source: &Source, written: &BTreeMap<String, usize>, api: Option<&Source>) -> Vec<Finding> {
    let shipped = SHIPPED.iter().any(|folder| source.path.starts_with(folder));
    if source.language != Language::Rust || !shipped || source.path == TABLE {
        return Vec::new();
    }
    let described = |code: &str| api.is_some_and(|api| api.text.contains(&format!("`{code}`")));
    named(source)
        .into_iter()
        .filter(|(code, _)| !written.contains_key(code) && !described(code))
        .map(|(code, line)| {
            let message = format!("`{code}` is neither in {DOCUMENT}, section 11, nor in {API}");
            Finding::new(&source.path, line, message)
        })
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

/// The codes of the table: `row(Code::Busy, "busy", …)`.
fn coded(table: &Source) -> BTreeMap<String, usize> {
    named(table).into_iter().collect()
}

/// String literals that are named as codes, with their lines: behind `Code::Busy,` or
/// `StatusCode::CONFLICT,`, or as the `"code"` of a JSON object.
fn named(source: &Source) -> Vec<(String, usize)> {
    let (code, strings) = (&source.lexed.code, &source.lexed.strings);
    let mut found = Vec::new();
    for (index, range) in strings.iter().enumerate() {
        let (text, line) = (&source.text[range.clone()], source.line(range.start));
        let before = code[..range.start].trim_end_matches('"').trim_end();
        let is_member = || {
            let key = index.checked_sub(1).map(|index| &strings[index]);
            key.is_some_and(|key| &source.text[key.clone()] == "code" && code[key.end..].starts_with("\":"))
                && before.ends_with("\":")
        };
        if is_code(text) && !source.is_test(line) && (follows_a_code(before) || is_member()) {
            found.push((text.to_owned(), line));
        }
    }
    found
}

/// Whether code ends with `Code::Name,` or the name of an HTTP status.
fn follows_a_code(code: &str) -> bool {
    let name = code
        .strip_suffix(',')
        .map(|code| code.trim_end_matches(|sign: char| sign.is_alphanumeric() || sign == '_'));
    name.is_some_and(|rest| rest.ends_with("Code::"))
}

/// Lower-case words and numbers joined by underscores.
fn is_code(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.starts_with(|sign: char| sign.is_ascii_lowercase()) && text.split('_').all(is_word)
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
    fn a_row_that_is_broken_over_lines_counts() {
        assert_eq!(
            findings("| `busy` | 503 |", "row(\n    Code::Busy,\n    \"busy\",\n)"),
            Vec::<String>::new()
        );
        assert_eq!(
            findings("| `busy` | 503 |", "(Code::Busy, \"busy\"), (Code::Utf8,\n \"utf_8\")").len(),
            1
        );
    }

    #[test]
    fn a_code_of_an_application_must_be_described() {
        let check_text = |text: &str, expected: usize| {
            let document = "## 11. Errors\n\n| `busy` | 503 |\n".to_owned();
            let sources = [
                Source::new(DOCUMENT, document),
                Source::new(TABLE, "row(Code::Busy, \"busy\")".to_owned()),
                Source::new(API, "409 `job_exists`".to_owned()),
                Source::new("apps/a/src/api.rs", text.to_owned()),
            ];
            assert_eq!(check(&sources).len(), expected, "{text}");
        };
        check_text("api_error(StatusCode::CONFLICT, \"job_exists\", \"words\")", 0);
        check_text("Full => (StatusCode::SERVICE_UNAVAILABLE, \"busy\"),", 0);
        check_text("api_error(\n    StatusCode::CONFLICT,\n    \"job_taken\",\n)", 1);
        check_text("json!({ \"code\": \"job_taken\", \"message\": \"words\" })", 1);
        check_text("json!({ \"state\": \"running\", \"code\": code })", 0);
        check_text("#[cfg(test)]\nmod tests {\n    fn a() { b(StatusCode::OK, \"c\") }\n}", 0);
    }

    #[test]
    fn a_missing_table_is_found() {
        assert_eq!(findings("", "(Code::Busy, \"busy\")").len(), 1);
        assert_eq!(check(&[Source::new(DOCUMENT, String::new())]).len(), 1);
    }
}
