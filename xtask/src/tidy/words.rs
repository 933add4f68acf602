//! Words that do not belong in the sources: panics in waiting, empty names, notes to oneself.

use super::{
    finding::Finding,
    lexer::is_word,
    source::{Language, Source},
};

/// Notes to oneself. Written in two parts, so that this file is no finding of its own.
const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
/// Panics in waiting, however they are called: on a value, or by the name of the function.
const UNWRAPS: [&str; 3] = ["unwrap", "unwrap_err", "unwrap_unchecked"];
const MACROS: [&str; 3] = ["dbg!", "todo!", "unimplemented!"];
/// Extractors of axum whose types have other uses too, so that clippy cannot forbid them.
const EXTRACTORS: [&str; 3] = [": Bytes", ": axum::body::Bytes", ": Json<"];
const EMPTY_TYPES: [&str; 4] = ["Manager", "Helper", "Util", "Utils"];
const EMPTY_MODULES: [&str; 7] = ["common", "utils", "util", "helpers", "helper", "types", "core"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = module_name(source);
    if source.language == Language::Other {
        return findings;
    }
    for note in NOTES {
        let places = source.text.match_indices(note).map(|(place, _)| place);
        findings
            .extend(at_words(source, places, note.len(), || format!("`{note}`: do it or write an issue")));
    }
    if source.language == Language::Rust {
        findings.extend(rust(source));
    }
    findings.extend(type_names(source));
    findings
}

fn rust(source: &Source) -> Vec<Finding> {
    let code = &source.lexed.code;
    let mut findings = Vec::new();
    for name in UNWRAPS {
        let shipped = code.match_indices(name).map(|(place, _)| place);
        let shipped = shipped.filter(|place| is_called(code, *place) && !source.is_test(source.line(*place)));
        findings.extend(at_words(source, shipped, name.len(), || {
            format!("`{name}` in shipped code: handle it, or `expect(\"why this cannot fail\")`")
        }));
    }
    for name in MACROS {
        let places = code.match_indices(name).map(|(place, _)| place);
        findings.extend(at_words(source, places, name.len(), || format!("`{name}` does not ship")));
    }
    for (place, _) in code.match_indices("async fn ") {
        let signature = code[place..].split('{').next().unwrap_or_default();
        let extracts = |found: &&&str| signature.contains("State") && signature.contains(**found);
        if let Some(found) = EXTRACTORS.iter().find(extracts).filter(|_| !source.is_test(source.line(place)))
        {
            let message = format!("`{found}` of axum refuses without a code: take `anywire_app::http::Body`");
            findings.push(Finding::new(&source.path, source.line(place), message));
        }
    }
    for (place, _) in code.match_indices("#[ignore") {
        findings.push(Finding::new(&source.path, source.line(place), "a test that is ignored is no test"));
    }
    findings
}

/// Whether a name stands after a dot or two colons, and so is a method's and not one of ours.
fn is_called(code: &str, place: usize) -> bool {
    code[..place].trim_end().ends_with(['.', ':'])
}

/// Findings at those places that are words of their own.
fn at_words(
    source: &Source,
    places: impl Iterator<Item = usize>,
    length: usize,
    message: impl Fn() -> String,
) -> Vec<Finding> {
    let bytes = source.text.as_bytes();
    let whole = places.filter(|&place| {
        let joined = (place > 0 && is_word(bytes[place - 1]))
            || bytes.get(place + length).is_some_and(|byte| is_word(*byte));
        // A macro's name ends with its exclamation mark: what follows is its argument.
        !joined || bytes[place + length - 1] == b'!'
    });
    whole.map(|place| Finding::new(&source.path, source.line(place), message())).collect()
}

fn type_names(source: &Source) -> Vec<Finding> {
    let keywords: &[&str] = match source.language {
        Language::Rust => &["struct ", "enum ", "trait ", "type "],
        _ => &["class ", "interface ", "type ", "enum "],
    };
    let code = &source.lexed.code;
    let mut findings = Vec::new();
    for (place, keyword) in keywords.iter().flat_map(|keyword| code.match_indices(keyword)) {
        if place > 0 && is_word(code.as_bytes()[place - 1]) {
            continue;
        }
        let name: String = code[place + keyword.len()..]
            .chars()
            .take_while(|sign| sign.is_alphanumeric() || *sign == '_')
            .collect();
        if let Some(ending) = EMPTY_TYPES.iter().find(|ending| name.ends_with(**ending)) {
            let message = format!("`{name}`: `{ending}` says nothing; name what it does");
            findings.push(Finding::new(&source.path, source.line(place), message));
        }
    }
    findings
}

fn module_name(source: &Source) -> Vec<Finding> {
    if matches!(source.language, Language::Other | Language::Vue) || !source.path.contains("src/") {
        return Vec::new();
    }
    let parts = source.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let empty = parts.filter(|part| EMPTY_MODULES.contains(part));
    empty
        .map(|part| Finding::new(&source.path, 0, format!("a module named `{part}` could hold anything")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str, expected: usize) {
        let found = check(&Source::new(path, text.to_owned()));
        assert_eq!(found.len(), expected, "{text}: {found:?}");
    }

    #[test]
    fn unwrap_is_found_in_shipped_code_only() {
        check_text("crates/a/src/a.rs", "fn a() { b().unwrap() }", 1);
        check_text("crates/a/src/a.rs", "// .unwrap()\nfn a() { \".unwrap()\"; b().unwrap_or(1) }", 0);
        check_text("crates/a/src/a.rs", "#[cfg(test)]\nmod tests {\n fn a() { b().unwrap() }\n}", 0);
        check_text("crates/a/tests/a.rs", "fn a() { b().unwrap() }", 0);
        check_text("crates/a/src/a.rs", "fn a() { b()\n    .unwrap ().c.unwrap_err() }", 2);
        check_text("crates/a/src/a.rs", "fn a() { b.map(Option::unwrap) }\nfn unwrap() {}", 1);
    }

    #[test]
    fn notes_and_debugging_are_found() {
        check_text("a/src/a.ts", &format!("// {}: later", NOTES[0]), 1);
        check_text("a/src/a.rs", &format!("// {} later", NOTES[1]), 1);
        check_text("a/src/a.ts", "// the TODOS table", 0);
        check_text("a/src/a.rs", "fn a() { dbg!(1); todo!() }", 2);
        check_text("a/src/a.rs", "fn a() { my_dbg!(1) }", 1);
    }

    #[test]
    fn bodies_are_extracted_by_what_refuses_with_a_code() {
        check_text("a/src/a.rs", "async fn a(State(b): State<B>, body: Bytes) -> C {}", 1);
        check_text("a/src/a.rs", "async fn a(State(b): State<B>, Json(c): Json<C>) {}", 1);
        check_text("a/src/a.rs", "async fn a(State(b): State<B>, body: Body) -> Json<C> { d(e: Bytes) }", 0);
    }

    #[test]
    fn ignored_tests_are_found() {
        check_text("a/tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}", 1);
        check_text("a/tests/a.rs", "// #[ignore]\nfn a() {}", 0);
    }

    #[test]
    fn empty_names_are_found() {
        check_text("a/src/a.rs", "struct ConnectionManager;", 1);
        check_text("a/src/a.ts", "export class SocketHelper {}", 1);
        check_text("a/src/a.rs", "struct Managers; fn manager() {}", 0);
        check_text("crates/common/src/lib.rs", "", 1);
        check_text("crates/a/src/utils.rs", "", 1);
        check_text("crates/log/src/log.rs", "", 0);
    }
}
