//! A file as the rules see it: its text, its code without comments and literals, and which lines are tests.

pub(super) use super::lexer::Language;
use super::lexer::{self, Lexed, line};
use crate::{Failure, workspace};

pub(super) struct Source {
    pub(super) path: String,
    pub(super) language: Language,
    pub(super) text: String,
    /// Code, of the same length as the text, where comments and literals are blank.
    pub(super) lexed: Lexed,
    /// The items of a file in Rust; nothing if it does not parse, which the compiler tells better.
    pub(super) syntax: Option<syn::File>,
    /// For each line whether it belongs to a test.
    test_lines: Vec<bool>,
}

/// Reads the files that are text. Lock files, pictures and fonts are left to their own rules.
pub(super) fn load(paths: &[String]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for path in paths {
        let bytes =
            std::fs::read(workspace::root().join(path)).map_err(|error| format!("{path}: {error}"))?;
        if let Ok(text) = String::from_utf8(bytes)
            && !text.contains('\0')
        {
            sources.push(Source::new(path, text));
        }
    }
    let tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in sources.iter_mut().filter(|source| tests.contains(&source.path)) {
        source.test_lines.fill(true);
    }
    Ok(sources)
}

/// The files of modules that are declared under `#[cfg(test)]`: both places where each may lie.
fn test_modules(source: &Source) -> Vec<String> {
    if source.language != Language::Rust {
        return Vec::new();
    }
    let (folder, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let stem = name.trim_end_matches(".rs");
    let inside =
        if ["lib", "main", "mod"].contains(&stem) { folder.to_owned() } else { format!("{folder}/{stem}") };
    let mut files = Vec::new();
    for (first, last) in lexer::test_items(&source.lexed.code) {
        let lines = source.lexed.code.lines().take(last).skip(first - 1);
        let declared = lines.filter_map(|line| line.trim().strip_suffix(';')?.rsplit_once("mod "));
        for (_, module) in declared {
            files.extend([format!("{inside}/{module}.rs"), format!("{inside}/{module}/mod.rs")]);
        }
    }
    files
}

/// One file of the workspace by its path.
pub(super) fn find<'a>(sources: &'a [Source], path: &str) -> Option<&'a Source> {
    sources.iter().find(|source| source.path == path)
}

impl Source {
    pub(super) fn new(path: &str, text: String) -> Self {
        let language = if is_generated(&text) { Language::Other } else { language(path) };
        let lexed = lexer::lex(&text, language);
        let whole = is_test_path(path);
        let mut test_lines = vec![whole; text.lines().count()];
        if language == Language::Rust && !whole {
            for (first, last) in lexer::test_items(&lexed.code) {
                test_lines.iter_mut().take(last).skip(first - 1).for_each(|line| *line = true);
            }
        }
        let syntax = (language == Language::Rust).then(|| syn::parse_file(&text).ok()).flatten();
        Self { path: path.to_owned(), language, text, lexed, syntax, test_lines }
    }

    /// Lines of code and comments that are not tests.
    pub(super) fn shipped_lines(&self) -> usize {
        self.test_lines.iter().filter(|test| !**test).count()
    }

    /// Whether nothing of it is shipped.
    pub(super) fn is_all_test(&self) -> bool {
        self.test_lines.iter().all(|test| *test)
    }

    /// Whether a line, from 1, belongs to a test.
    pub(super) fn is_test(&self, line: usize) -> bool {
        self.test_lines.get(line.saturating_sub(1)).copied().unwrap_or(false)
    }

    /// The line, from 1, of a place in the text.
    pub(super) fn line(&self, place: usize) -> usize {
        line(&self.text, place)
    }
}

/// Whether a program wrote it: its head says from what. What it was made from is held to the rules instead.
fn is_generated(text: &str) -> bool {
    text.lines().take(3).any(|line| line.contains("Generated from "))
}

fn language(path: &str) -> Language {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "rs" => Language::Rust,
        "ts" | "mts" | "cts" | "js" | "mjs" | "cjs" | "tsx" => Language::Script,
        "vue" => Language::Vue,
        _ => Language::Other,
    }
}

/// Tests, benchmarks and examples: code that is not shipped.
fn is_test_path(path: &str) -> bool {
    const FOLDERS: [&str; 8] =
        ["tests", "test", "benches", "examples", "e2e", "fuzz", "conformance", "testing"];
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    parts.iter().any(|part| FOLDERS.contains(part)) || name.contains(".test.") || name.contains(".spec.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tests_are_told_from_shipped_ones() {
        let source = Source::new(
            "crates/a/src/a.rs",
            "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n".to_owned(),
        );
        let tests: Vec<bool> = (1..=7).map(|line| source.is_test(line)).collect();
        assert_eq!(tests, [false, false, true, true, true, true, false]);
        assert_eq!(source.shipped_lines(), 3);
    }

    #[test]
    fn modules_of_tests_are_found_in_their_declaration() {
        let check = |path: &str, file: &str| {
            let source = Source::new(path, "mod a;\n#[cfg(test)]\nmod b;\n".to_owned());
            assert_eq!(test_modules(&source)[0], file);
        };
        check("crates/x/src/lib.rs", "crates/x/src/b.rs");
        check("crates/x/src/y.rs", "crates/x/src/y/b.rs");
    }

    #[test]
    fn test_paths_are_known() {
        for path in
            ["crates/log/tests/memory.rs", "client/src/a.test.ts", "e2e/a.mjs", "examples/axum/src/main.rs"]
        {
            assert!(is_test_path(path), "{path}");
        }
        for path in ["crates/log/src/log.rs", "console/src/latest.ts"] {
            assert!(!is_test_path(path), "{path}");
        }
    }
}
