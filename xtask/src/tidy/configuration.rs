//! Every configuration key is documented: in its own comment, and in the reference.

use super::{
    finding::Finding,
    lexer::{closing_brace, is_word},
    source::{Language, Source, find},
};

const REFERENCE: &str = "docs/configuration.md";
const FOLDERS: [&str; 3] = ["crates/", "apps/", "libs/"];

/// One field of a struct that is read from a file or a request.
struct Field {
    name: String,
    structure: String,
    line: usize,
    documented: bool,
}

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let reference = find(sources, REFERENCE).map(|source| source.text.as_str());
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| is_guarded(source)) {
        for field in fields(source).into_iter().filter(|field| !source.is_test(field.line)) {
            let Field { name, structure, line, documented } = field;
            if !documented {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    format!("`{structure}::{name}` has no doc comment"),
                ));
            }
            if reference.is_some_and(|text| !mentions(text, &name)) {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    format!("{REFERENCE} does not name the key `{name}`"),
                ));
            }
        }
    }
    findings
}

fn is_guarded(source: &Source) -> bool {
    source.language == Language::Rust && FOLDERS.iter().any(|folder| source.path.starts_with(folder))
}

/// The fields of every configuration struct: one called `…Config` or `…Section` that refuses unknown ones.
fn fields(source: &Source) -> Vec<Field> {
    let code = &source.lexed.code;
    let mut found = Vec::new();
    for (place, _) in code.match_indices("deny_unknown_fields") {
        let Some(start) = code[place..].find("struct ").map(|index| place + index + 7) else { continue };
        // Another item in between means that the attribute is an enum's.
        if code[place..start].contains("enum ") {
            continue;
        }
        let structure: String =
            code[start..].chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect();
        // Requests are described by the API, not by the reference.
        if !["Config", "Section"].iter().any(|ending| structure.ends_with(ending)) {
            continue;
        }
        let Some(open) = code[start..].find(['{', ';']).map(|index| start + index) else { continue };
        let Some(close) = closing_brace(code, open) else { continue };
        for (name, at) in names(&code[open + 1..close]) {
            let line = source.line(open + 1 + at);
            let documented = has_doc(&source.text, line);
            found.push(Field { name, structure: structure.clone(), line, documented });
        }
    }
    found
}

/// Field names with their places in a struct's body: words before a single colon, outside of brackets.
fn names(body: &str) -> Vec<(String, usize)> {
    let bytes = body.as_bytes();
    let mut found = Vec::new();
    let (mut depth, mut start) = (0_i32, None);
    let mut in_type = false;
    for (index, &byte) in bytes.iter().enumerate() {
        match byte {
            b'(' | b'[' | b'{' | b'<' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'>' if index > 0 && bytes[index - 1] != b'-' => depth -= 1,
            b',' if depth == 0 => (in_type, start) = (false, None),
            b':' if depth == 0 && !in_type => {
                if let Some(from) = start {
                    found.push((body[from..index].trim().to_owned(), from));
                }
                in_type = true;
            }
            _ if depth == 0 && !in_type && is_word(byte) && (index == 0 || !is_word(bytes[index - 1])) => {
                start = Some(index)
            }
            _ => {}
        }
    }
    found
}

/// Whether a doc comment stands above a line, with attributes in between at most.
fn has_doc(text: &str, line: usize) -> bool {
    let lines: Vec<&str> = text.lines().take(line - 1).collect();
    let above = lines
        .iter()
        .rev()
        .map(|line| line.trim())
        .find(|line| !line.starts_with('#') && !line.ends_with(")]"));
    above.is_some_and(|line| line.starts_with("///"))
}

/// Whether a text names a key as a word of its own.
fn mentions(text: &str, key: &str) -> bool {
    text.match_indices(key).any(|(start, _)| {
        let end = start + key.len();
        let bytes = text.as_bytes();
        (start == 0 || !is_word(bytes[start - 1])) && bytes.get(end).is_none_or(|byte| !is_word(*byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "#[derive(Deserialize)]\n#[serde(deny_unknown_fields, default)]\npub struct AConfig {\n    \
        /// One.\n    pub one: Option<HashMap<String, u8>>,\n    /// Two.\n    #[serde(rename = \"x\")]\n    pub two: u8,\n}\n";

    fn findings(text: &str, reference: Option<&str>) -> Vec<String> {
        let mut sources = vec![Source::new("crates/server/src/config.rs", text.to_owned())];
        sources.extend(reference.map(|text| Source::new(REFERENCE, text.to_owned())));
        check(&sources).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn documented_keys_are_good() {
        assert_eq!(findings(GOOD, None), Vec::<String>::new());
        assert_eq!(findings(GOOD, Some("`one` and `a.two`")), Vec::<String>::new());
    }

    #[test]
    fn a_key_without_comment_is_found() {
        assert_eq!(
            findings(&GOOD.replace("/// Two.", "// Two."), None),
            ["`AConfig::two` has no doc comment"]
        );
    }

    #[test]
    fn a_key_that_the_reference_does_not_name_is_found() {
        assert_eq!(findings(GOOD, Some("`one` and `two_max`")).len(), 1);
    }

    #[test]
    fn structs_that_take_anything_are_not_configuration() {
        assert_eq!(
            findings("#[derive(Deserialize)]\nstruct A {\n    b: u8,\n}\n", None),
            Vec::<String>::new()
        );
    }
}
