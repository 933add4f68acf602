//! Comment lines are no wider than code: rustfmt cuts code at 110 columns and leaves comments alone.

use super::{
    ratchet::Count,
    source::{Language, Source},
};

/// `max_width` of rustfmt.toml.
const COLUMNS_MAX: usize = 110;

/// Comment lines that are too wide, by folder.
pub(super) fn wide(sources: &[Source]) -> Count {
    let mut count = Count::new("comment lines over 110 columns");
    for source in sources {
        for line in wide_lines(source) {
            count.add(group(&source.path), format!("{}:{line}", source.path));
        }
    }
    count
}

/// The folder at the top. Those among which files move count as one: what the server is built of, and what
/// tests it.
fn group(path: &str) -> &str {
    match path.split_once('/').map_or("files of the root", |(folder, _)| folder) {
        "apps" | "libs" => "crates",
        "conformance" | "testing" => "e2e",
        folder => folder,
    }
}

/// Numbers, from 1, of the lines that are too wide and hold a comment.
fn wide_lines(source: &Source) -> Vec<usize> {
    let mut place = 0;
    let mut found = Vec::new();
    for (index, line) in source.text.split('\n').enumerate() {
        let range = place..place + line.len();
        place = range.end + 1;
        if line.chars().count() > COLUMNS_MAX {
            let comments = &source.lexed.comments;
            let inside = comments.iter().any(|one| one.start < range.end && range.start < one.end);
            if inside || is_marked(source, line.trim_start()) {
                found.push(index + 1);
            }
        }
    }
    found
}

/// Whether a line of what has no lexer here is a comment: a component's template and style, and files with
/// `#`.
fn is_marked(source: &Source, line: &str) -> bool {
    let extension = source.path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match (source.language, extension) {
        (Language::Vue, _) | (_, "css" | "html") => {
            ["<!--", "/*", "* "].iter().any(|mark| line.starts_with(mark))
        }
        (_, "toml" | "sh" | "py" | "yml" | "yaml") => line.starts_with('#'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[usize]) {
        assert_eq!(wide_lines(&Source::new(path, text.to_owned())), expected, "{path}: {text}");
    }

    #[test]
    fn wide_comment_lines_are_found_in_every_language() {
        let long = "word ".repeat(22) + "end";
        check("a.rs", &format!("a\n/// {long}\n/* b\n{long}\n*/ let c = \"{long}\";\n"), &[2, 4, 5]);
        check("a.rs", &format!("let c = \"{long}\";\n// {}\n", &long[..107]), &[]);
        check("a.ts", &format!("/**\n * {long}\n */\nb(); // {long}\n"), &[2, 4]);
        check("a.vue", &format!("<p>{long}</p>\n<!-- {long} -->\n<script>\n// {long}\n</script>\n"), &[2, 4]);
        check("a.toml", &format!("# {long}\na = \"# {long}\"\n"), &[1]);
        check("a.md", &format!("# {long}\n"), &[]);
    }

    #[test]
    fn columns_are_characters() {
        check("a.rs", &format!("// {}\n", "ä".repeat(107)), &[]);
        check("a.rs", &format!("// {}\n", "ä".repeat(108)), &[1]);
    }

    #[test]
    fn folders_among_which_files_move_are_one_group() {
        assert_eq!([group("crates/a/b.rs"), group("apps/a.rs"), group("libs/a.rs")], ["crates"; 3]);
        assert_eq!([group("e2e/a.ts"), group("testing/a.ts")], ["e2e"; 2]);
        assert_eq!([group("console/src/a.ts"), group("Cargo.toml")], ["console", "files of the root"]);
    }
}
