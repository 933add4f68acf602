//! Files of one crate use each other in one direction.
//!
//! File A uses file B if A, outside of tests, names by a path something that B defines: in a private `use`,
//! or in a path of several words (`super::b::C`, `b::C`), also inside a macro. Names are followed through
//! re-exports to the file that defines them; a re-export (`pub use`) and a declaration (`mod b;`) are no uses
//! by themselves. So a parent that declares its children and re-exports their items is used by them freely;
//! one that calls its child's functions is not.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::{
    finding::Finding,
    modules::{Modules, Segments, imports, is_reexport},
    ratchet::Count,
    rust::{attributes, is_test, is_test_attribute},
    source::{Language, Source},
};

/// Where crates begin: their folder, and the file that is their root.
const ROOTS: [&str; 2] = ["src/lib.rs", "src/main.rs"];

/// Who uses whom, each with one place that shows it.
type Uses<'a> = BTreeMap<&'a str, BTreeMap<&'a str, String>>;

/// The files of every crate that stand in a circle, by crate.
pub(super) fn files(sources: &[Source]) -> Count {
    let mut count = Count::new("files in circles (drawn by `cargo xtask tidy --circles`)");
    for (crate_name, uses) in crates(sources) {
        for file in circles(&uses).into_iter().flatten() {
            count.add(&crate_name, file);
        }
    }
    count
}

/// A file that cannot be read would be left out in silence.
pub(super) fn check(source: &Source) -> Option<Finding> {
    let lost = source.language == Language::Rust && source.syntax.is_none();
    lost.then(|| Finding::new(&source.path, 0, "is no Rust that tidy understands: the compiler says more"))
}

/// Draws the circles: their files, and what each of them uses of the others.
pub(super) fn print(sources: &[Source]) {
    for (crate_name, uses) in crates(sources) {
        for circle in circles(&uses) {
            println!("{crate_name}: a circle of {} files", circle.len());
            for file in &circle {
                println!("  {file}");
                let inside = uses[file].iter().filter(|(to, _)| circle.contains(*to));
                inside.for_each(|(to, place)| println!("    -> {to}, by {place}"));
            }
        }
    }
}

fn crates(sources: &[Source]) -> Vec<(String, Uses<'_>)> {
    let shipped: BTreeMap<&str, &Source> = sources
        .iter()
        .filter(|source| source.syntax.is_some() && !source.is_all_test())
        .map(|source| (source.path.as_str(), source))
        .collect();
    let mut found = Vec::new();
    for (path, source) in &shipped {
        if let Some(folder) = ROOTS.iter().find_map(|root| path.strip_suffix(root)) {
            found.push((folder.trim_end_matches('/').to_owned(), uses(&Modules::read(source, &shipped))));
        }
    }
    found
}

fn uses<'a>(modules: &Modules<'a>) -> Uses<'a> {
    let mut uses = Uses::new();
    for (index, module) in modules.0.iter().enumerate() {
        let mut paths = Paths { found: Vec::new() };
        module.items.iter().filter(|item| !is_test(item)).for_each(|item| paths.visit_item(item));
        let of = uses.entry(module.path).or_default();
        for (path, line) in paths.found.iter().filter(|(path, _)| module.begins(&path[0])) {
            if let Some(to) = modules.file_of(index, path).filter(|to| *to != module.path) {
                of.entry(to).or_insert_with(|| format!("`{}` in line {line}", path.join("::")));
            }
        }
    }
    uses
}

/// Collects the paths that a module's own code names; modules inside it are modules of their own.
struct Paths {
    found: Vec<(Segments, usize)>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !attributes(item).iter().any(is_test_attribute) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, _item: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_reexport(&item.vis) {
            self.found.extend(imports(&item.tree).into_iter().map(|import| (import.path, import.line)));
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !item.attrs.iter().any(is_test_attribute) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            let line = path.segments[0].ident.span().start().line;
            self.found.push((path.segments.iter().map(|segment| segment.ident.to_string()).collect(), line));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }
}

impl Paths {
    /// What a macro is called with is no syntax yet: words joined by `::` are paths.
    fn tokens(&mut self, stream: TokenStream) {
        let mut path = Segments::new();
        let (mut colons, mut line) = (0, 0);
        for token in stream {
            match token {
                TokenTree::Ident(word) if path.is_empty() || colons != 2 => {
                    self.end(&mut path, line);
                    line = word.span().start().line;
                    path.push(word.to_string());
                    colons = 0;
                }
                TokenTree::Ident(word) => {
                    path.push(word.to_string());
                    colons = 0;
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path, line);
                    self.tokens(group.stream());
                }
                _ => self.end(&mut path, line),
            }
        }
        self.end(&mut path, line);
    }

    fn end(&mut self, path: &mut Segments, line: usize) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.found.push((path, line));
        }
    }
}

/// Groups of files in which each reaches every other.
fn circles<'a>(uses: &Uses<'a>) -> Vec<BTreeSet<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&'a str>> =
        uses.keys().map(|from| (*from, reach(uses, from))).collect();
    let mut found: BTreeSet<BTreeSet<&'a str>> = BTreeSet::new();
    for from in uses.keys() {
        let circle: BTreeSet<&'a str> = reached[from]
            .iter()
            .copied()
            .filter(|to| reached.get(to).is_some_and(|back| back.contains(from)))
            .collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// Everything that a file uses, directly or through others.
fn reach<'a>(uses: &Uses<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for to in uses.get(next).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*to) {
                open.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of the crate `a` by their name in `src/`; answers those in circles.
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let sources: Vec<Source> = files
            .iter()
            .map(|(name, text)| Source::new(&format!("crates/a/src/{name}"), (*text).to_owned()))
            .collect();
        let crates = crates(&sources);
        let found: Vec<&str> = crates.iter().flat_map(|(_, uses)| circles(uses)).flatten().collect();
        let names: Vec<&str> = found.iter().map(|path| path.trim_start_matches("crates/a/src/")).collect();
        assert_eq!(names, expected, "{files:?}");
    }

    const ROOT: (&str, &str) = ("lib.rs", "mod b;\nmod c;\n");

    #[test]
    fn two_files_that_use_each_other_are_a_circle() {
        check(
            &[ROOT, ("b.rs", "use crate::c::C;\npub struct B;"), ("c.rs", "use super::b::B;\npub struct C;")],
            &["b.rs", "c.rs"],
        );
        check(&[ROOT, ("b.rs", "use crate::c::C;\npub struct B;"), ("c.rs", "pub struct C;")], &[]);
    }

    #[test]
    fn qualified_paths_and_macros_count() {
        check(
            &[
                ROOT,
                ("b.rs", "pub fn b() { crate::c::c() }"),
                ("c.rs", "pub fn c() { log!(\"{}\", one, crate::b::b()) }"),
            ],
            &["b.rs", "c.rs"],
        );
        check(
            &[ROOT, ("b.rs", "use super::c;\nfn b() { c::c() }"), ("c.rs", "fn c(b: crate::b::B) {}")],
            &["b.rs", "c.rs"],
        );
    }

    #[test]
    fn declaring_and_passing_on_is_no_use() {
        let root = ("lib.rs", "mod b;\npub use b::B;\npub struct A;");
        check(&[root, ("b.rs", "use crate::A;\npub struct B(A);")], &[]);
    }

    #[test]
    fn a_parent_that_uses_what_uses_it_is_a_circle() {
        let root = ("lib.rs", "mod b;\npub struct A;\nfn a() { b::b(A) }");
        check(&[root, ("b.rs", "use super::A;\npub fn b(a: A) {}")], &["b.rs", "lib.rs"]);
    }

    #[test]
    fn a_name_counts_for_the_file_that_defines_it() {
        let root = ("lib.rs", "mod b;\nmod c;\nmod d;\npub use b::B;\nuse d::*;\nfn a(x: d::D) {}");
        let c = ("c.rs", "use crate::B;\npub struct C;");
        check(
            &[root, ("b.rs", "use crate::c::C;\npub struct B;"), c, ("d.rs", "pub struct D;")],
            &["b.rs", "c.rs"],
        );
        // Through a glob, and from a folder.
        check(
            &[
                ("lib.rs", "mod b;\nmod c;\n"),
                ("b/mod.rs", "mod e;\npub use e::*;"),
                ("b/e.rs", "use crate::c::c;\npub struct E;"),
                ("c.rs", "use super::b::E;\npub fn c(e: E) {}"),
            ],
            &["b/e.rs", "c.rs"],
        );
    }

    #[test]
    fn tests_other_crates_and_strings_do_not_count() {
        check(
            &[
                ROOT,
                ("b.rs", "use crate::c::C;\npub struct B;"),
                (
                    "c.rs",
                    "pub struct C;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n// crate::b::B\nconst D: &str = \"crate::b::B\";\nuse serde::b::B;",
                ),
            ],
            &[],
        );
    }

    #[test]
    fn blocks_of_modules_belong_to_their_file() {
        check(
            &[
                ROOT,
                ("b.rs", "pub mod inner {\n    use crate::c::C;\n    pub struct B;\n}"),
                ("c.rs", "pub struct C(crate::b::inner::B);"),
            ],
            &["b.rs", "c.rs"],
        );
    }
}
