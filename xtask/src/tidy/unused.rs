//! Every dependency of a package is named in its code; one for builds or tests, anywhere in its folder.

use serde_json::Value;

use super::{
    lexer::is_word,
    ratchet::Count,
    source::{Language, Source},
};

/// Dependencies that no code of their package names, by package.
pub(super) fn dependencies(sources: &[Source], metadata: &Value) -> Count {
    let mut count = Count::new("dependencies that are used nowhere");
    let empty = Vec::new();
    for package in metadata["packages"].as_array().unwrap_or(&empty) {
        let group = package["name"].as_str().unwrap_or_default();
        unused(sources, package).into_iter().for_each(|name| count.add(group, name));
    }
    count
}

fn unused(sources: &[Source], package: &Value) -> Vec<String> {
    let manifest = relative(package["manifest_path"].as_str().unwrap_or_default(), sources);
    let Some(folder) = manifest.and_then(|manifest| manifest.strip_suffix("Cargo.toml")) else {
        return Vec::new();
    };
    let empty = Vec::new();
    let dependencies = package["dependencies"].as_array().unwrap_or(&empty);
    let names =
        dependencies.iter().filter(|dependency| dependency["name"] != package["name"]).filter_map(|one| {
            one["rename"].as_str().or_else(|| one["name"].as_str()).map(|name| (name, &one["kind"]))
        });
    names
        .filter(|(name, kind)| {
            let code = sources.iter().filter(|source| {
                source.language == Language::Rust
                    && source
                        .path
                        .strip_prefix(folder)
                        .is_some_and(|path| kind.is_string() || path.starts_with("src/"))
            });
            !code.into_iter().any(|source| names_word(&source.lexed.code, &name.replace('-', "_")))
        })
        .map(|(name, _)| format!("`{name}` of {folder}Cargo.toml"))
        .collect()
}

/// The path of a manifest from the root: the longest one of ours that it ends with.
fn relative<'a>(manifest: &str, sources: &'a [Source]) -> Option<&'a str> {
    let ours = sources.iter().map(|source| source.path.as_str()).filter(|path| path.ends_with("/Cargo.toml"));
    ours.filter(|path| manifest.ends_with(&format!("/{path}"))).max_by_key(|path| path.len())
}

fn names_word(code: &str, word: &str) -> bool {
    let bytes = code.as_bytes();
    code.match_indices(word).any(|(place, _)| {
        let before = place.checked_sub(1).is_some_and(|place| is_word(bytes[place]));
        let after = bytes.get(place + word.len()).is_some_and(|byte| is_word(*byte));
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_package(code: &str, test: &str, kind: &str, expected: usize) {
        let sources = [
            Source::new("crates/a/Cargo.toml", String::new()),
            Source::new("crates/a/src/lib.rs", code.to_owned()),
            Source::new("crates/a/tests/b.rs", test.to_owned()),
        ];
        let text = format!(
            r#"{{"packages":[{{"name":"a","manifest_path":"/x/crates/a/Cargo.toml",
                "dependencies":[{{"name":"b-c","rename":null,"kind":{kind}}},{{"name":"a","kind":"dev"}}]}}]}}"#
        );
        let metadata = serde_json::from_str(&text).expect("JSON");
        assert_eq!(dependencies(&sources, &metadata).total(), expected, "{code} {test}");
    }

    #[test]
    fn a_dependency_that_code_names_is_good() {
        check_package("use b_c::d;", "", "null", 0);
        check_package("", "fn a() { b_c::d() }", "\"dev\"", 0);
    }

    #[test]
    fn a_dependency_that_no_code_of_its_kind_names_is_found() {
        check_package("// b_c\nuse b_cd::b;", "", "null", 1);
        check_package("", "use b_c::d;", "null", 1);
        check_package("", "", "\"dev\"", 1);
    }
}
