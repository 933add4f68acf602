//! The modules of a crate and what their names stand for, read from its files.
//!
//! Only paths are understood: what a method call reaches is known to the compiler alone.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, UseTree, Visibility};

use super::{
    rust::{is_test, name_of},
    source::Source,
};

/// Aliases are followed so far: a circle of re-exports ends.
const STEPS_MAX: usize = 32;

pub(super) type Segments = Vec<String>;

/// One module: a file, or a block in one.
pub(super) struct Module<'a> {
    /// The file that it stands in.
    pub(super) path: &'a str,
    pub(super) items: &'a [Item],
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    defined: BTreeSet<String>,
    /// What `use` brings under which name.
    aliases: BTreeMap<String, Segments>,
    /// What `use …::*` brings.
    globs: Vec<Segments>,
}

/// The modules of one crate. The first is its root.
pub(super) struct Modules<'a>(pub(super) Vec<Module<'a>>);

/// What one leaf of a `use` declaration brings.
pub(super) struct Import {
    /// None for `*` and `_`.
    pub(super) name: Option<String>,
    pub(super) path: Segments,
    pub(super) line: usize,
}

impl<'a> Modules<'a> {
    /// Reads a crate from its root file; tests are left out.
    pub(super) fn read(root: &'a Source, sources: &BTreeMap<&str, &'a Source>) -> Self {
        let mut modules = Self(Vec::new());
        modules.file(root, None, sources);
        modules
    }

    fn file(
        &mut self,
        source: &'a Source,
        parent: Option<usize>,
        sources: &BTreeMap<&str, &'a Source>,
    ) -> usize {
        let items = source.syntax.as_ref().map_or(&[][..], |file| &file.items);
        self.module(&source.path, &folder(&source.path), items, parent, sources)
    }

    fn module(
        &mut self,
        path: &'a str,
        folder: &str,
        items: &'a [Item],
        parent: Option<usize>,
        sources: &BTreeMap<&str, &'a Source>,
    ) -> usize {
        let here = self.0.len();
        let mut module = Module {
            path,
            items,
            parent,
            children: BTreeMap::new(),
            defined: BTreeSet::new(),
            aliases: BTreeMap::new(),
            globs: Vec::new(),
        };
        for item in items.iter().filter(|item| !is_test(item)) {
            module.defined.extend(name_of(item).map(|ident| ident.to_string()));
            for import in imports_of(item) {
                match import.name {
                    Some(name) => drop(module.aliases.insert(name, import.path)),
                    None => module.globs.push(import.path),
                }
            }
        }
        self.0.push(module);
        for item in items.iter().filter(|item| !is_test(item)) {
            if let Item::Mod(child) = item {
                let name = child.ident.to_string();
                let inside = format!("{folder}/{name}");
                let index = match &child.content {
                    Some((_, items)) => Some(self.module(path, &inside, items, Some(here), sources)),
                    None => [format!("{inside}.rs"), format!("{inside}/mod.rs")]
                        .iter()
                        .find_map(|file| sources.get(file.as_str()))
                        .map(|source| self.file(source, Some(here), sources)),
                };
                if let Some(index) = index {
                    self.0[here].children.insert(name, index);
                }
            }
        }
        here
    }

    /// The file that defines what a path names, seen from a module; None for what other crates define.
    pub(super) fn file_of(&self, from: usize, path: &[String]) -> Option<&'a str> {
        self.resolve(from, path, STEPS_MAX).map(|module| self.0[module].path)
    }

    fn resolve(&self, from: usize, path: &[String], steps: usize) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(0, rest, steps),
            "self" => self.walk(from, rest, steps),
            "super" => self.walk(self.0[from].parent?, rest, steps),
            name if self.0[from].has(name) => self.walk(from, path, steps),
            _ => self.through_globs(from, path, steps),
        }
    }

    /// The module that a path ends in, or that defines its item. What nobody is seen to define (a macro does)
    /// is taken for the last module's own.
    fn walk(&self, module: usize, path: &[String], steps: usize) -> Option<usize> {
        let steps = steps.checked_sub(1)?;
        let Some((name, rest)) = path.split_first() else { return Some(module) };
        let here = &self.0[module];
        if name == "super" {
            return self.walk(here.parent?, rest, steps);
        }
        if let Some(child) = here.children.get(name) {
            return self.walk(*child, rest, steps);
        }
        if here.defined.contains(name) {
            return Some(module);
        }
        if let Some(alias) = here.aliases.get(name) {
            // `use a::a;` names what stands outside.
            let outside = alias.first() == Some(name);
            return if outside { None } else { self.resolve(module, &[&alias[..], rest].concat(), steps) };
        }
        self.through_globs(module, path, steps).or(Some(module))
    }

    /// What `use …::*` brings; a glob itself is not looked for behind other globs.
    fn through_globs(&self, module: usize, path: &[String], steps: usize) -> Option<usize> {
        let name = path.first()?;
        let sources = self.0[module].globs.iter().filter_map(|glob| self.plain(module, glob));
        let mut sources = sources.filter(|source| *source != module && self.0[*source].has(name));
        sources.next().and_then(|source| self.walk(source, path, steps))
    }

    /// The module that a path of modules alone names.
    fn plain(&self, from: usize, path: &[String]) -> Option<usize> {
        path.iter().enumerate().try_fold(from, |module, (place, name)| match name.as_str() {
            "crate" if place == 0 => Some(0),
            "self" if place == 0 => Some(module),
            "super" => self.0[module].parent,
            name => self.0[module].children.get(name).copied(),
        })
    }
}

impl Module<'_> {
    /// Whether a name has a meaning here that is written down.
    fn has(&self, name: &str) -> bool {
        self.children.contains_key(name) || self.aliases.contains_key(name) || self.defined.contains(name)
    }

    /// Whether a name is a child or comes by `use`: what a path of several words may begin with.
    pub(super) fn begins(&self, name: &str) -> bool {
        matches!(name, "crate" | "self" | "super")
            || self.children.contains_key(name)
            || self.aliases.contains_key(name)
    }
}

/// Where the files of a file's child modules lie.
fn folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name.trim_end_matches(".rs") {
        "lib" | "main" | "mod" => folder.to_owned(),
        stem => format!("{folder}/{stem}"),
    }
}

fn imports_of(item: &Item) -> Vec<Import> {
    match item {
        Item::Use(item) => imports(&item.tree),
        _ => Vec::new(),
    }
}

/// The leaves of a `use` declaration.
pub(super) fn imports(tree: &UseTree) -> Vec<Import> {
    let mut found = Vec::new();
    leaves(tree, &Vec::new(), &mut found);
    found
}

fn leaves(tree: &UseTree, before: &Segments, found: &mut Vec<Import>) {
    let with = |ident: &syn::Ident| {
        let mut path = before.clone();
        // `use a::{self}` names what stands before it.
        if ident != "self" || path.is_empty() {
            path.push(ident.to_string());
        }
        path
    };
    match tree {
        UseTree::Path(tree) => leaves(&tree.tree, &with(&tree.ident), found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, before, found)),
        UseTree::Name(leaf) => {
            let path = with(&leaf.ident);
            found.push(Import { name: path.last().cloned(), path, line: leaf.ident.span().start().line });
        }
        UseTree::Rename(leaf) => {
            let name = Some(leaf.rename.to_string()).filter(|name| name != "_");
            found.push(Import { name, path: with(&leaf.ident), line: leaf.ident.span().start().line });
        }
        UseTree::Glob(leaf) => {
            let line = leaf.star_token.spans[0].start().line;
            found.push(Import { name: None, path: before.clone(), line });
        }
    }
}

/// Whether a `use` only passes names on.
pub(super) fn is_reexport(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}
