//! Every configuration key is documented: in its own comment, and in the reference.

use syn::{Attribute, ItemStruct, Meta, visit::Visit};

use super::{
    finding::Finding,
    lexer::is_word,
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
/// Requests are described by the API, not by the reference.
#[derive(Default)]
struct Fields(Vec<Field>);

impl<'ast> Visit<'ast> for Fields {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        let structure = item.ident.to_string();
        let is_configuration = ["Config", "Section"].iter().any(|ending| structure.ends_with(ending));
        if is_configuration && item.attrs.iter().any(refuses_unknown) {
            self.0.extend(item.fields.iter().filter_map(|field| {
                let name = field.ident.as_ref()?;
                Some(Field {
                    name: name.to_string(),
                    structure: structure.clone(),
                    line: name.span().start().line,
                    documented: field.attrs.iter().any(|attribute| attribute.path().is_ident("doc")),
                })
            }));
        }
    }
}

fn refuses_unknown(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("serde") && list.tokens.to_string().contains("deny_unknown_fields")
}

fn fields(source: &Source) -> Vec<Field> {
    let mut fields = Fields::default();
    source.syntax.iter().for_each(|file| fields.visit_file(file));
    fields.0
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

    const GOOD: &str =
        "#[derive(Deserialize)]\n#[serde(deny_unknown_fields, default)]\npub struct AConfig {\n    \
        /// One.\n    pub one: Option<HashMap<String, u8>>,\n    /// Two.\n    #[serde(rename = \"x\")]\n
        /// pub two: u8,\n}\n";

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
