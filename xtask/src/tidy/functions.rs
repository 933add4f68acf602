//! Finds functions and counts their lines.

use syn::{
    Block, ImplItemFn, ItemFn, Signature, TraitItemFn,
    visit::{self, Visit},
};

use super::{
    lexer::{closing_brace, is_word},
    source::{Language, Source},
};

/// What an arrow function without a name is called.
const ANONYMOUS: &str = "=>";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// From 1.
    pub(super) line: usize,
    /// From the line of its name to its closing brace, without the named functions inside: those are counted
    /// themselves.
    pub(super) lines: usize,
}

/// The functions of a file that have a body.
pub(super) fn functions(source: &Source) -> Vec<Function> {
    let whole = match source.language {
        Language::Rust => rust(source),
        Language::Script | Language::Vue => script(source),
        Language::Other => Vec::new(),
    };
    whole
        .iter()
        .map(|function| Function {
            lines: function.lines - nested_lines(function, &whole),
            ..function.clone()
        })
        .collect()
}

/// Lines of the outermost named functions inside of one.
fn nested_lines(outer: &Function, all: &[Function]) -> usize {
    let end = outer.line + outer.lines;
    let mut from = outer.line + 1;
    let mut lines = 0;
    for inner in all.iter().filter(|inner| inner.name != ANONYMOUS) {
        if inner.line >= from && inner.line + inner.lines < end {
            lines += inner.lines;
            from = inner.line + inner.lines;
        }
    }
    lines
}

fn function(source: &Source, name: &str, start: usize, open: usize) -> Option<Function> {
    let end = closing_brace(&source.lexed.code, open)?;
    let line = source.line(start);
    Some(Function { name: name.to_owned(), line, lines: source.line(end) - line + 1 })
}

/// Functions of a file in Rust, an outer one before those inside it.
#[derive(Default)]
struct Functions(Vec<Function>);

impl Functions {
    /// From the line of `fn` to that of the closing brace.
    fn add(&mut self, signature: &Signature, body: &Block) {
        let line = signature.fn_token.span.start().line;
        let end = body.brace_token.span.close().end().line;
        self.0.push(Function { name: signature.ident.to_string(), line, lines: end - line + 1 });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        item.default.iter().for_each(|body| self.add(&item.sig, body));
        visit::visit_trait_item_fn(self, item);
    }
}

fn rust(source: &Source) -> Vec<Function> {
    let mut functions = Functions::default();
    source.syntax.iter().for_each(|file| functions.visit_file(file));
    functions.0
}

fn script(source: &Source) -> Vec<Function> {
    let code = &source.lexed.code;
    let mut found = Vec::new();
    for (open, _) in code.match_indices('{') {
        if let Some((name, start)) = head(code, open) {
            found.extend(function(source, name, start, open));
        }
    }
    found
}

/// The name and start of the function whose body opens here, if it is one.
fn head(code: &str, open: usize) -> Option<(&str, usize)> {
    const STATEMENTS: [&str; 6] = ["if", "for", "while", "switch", "catch", "with"];
    let before = code[..open].trim_end();
    if before.ends_with("=>") {
        let line = before.rfind('\n').map_or(0, |index| index + 1);
        return Some((arrow_name(&code[line..before.len()]), line + indent(&code[line..])));
    }
    let close = parameters_end(before)?;
    let start = opening_parenthesis(code, close)?;
    let head = code[..start].trim_end();
    let head = if head.ends_with('>') { &head[..head.rfind('<')?] } else { head };
    let word = head.bytes().rev().take_while(|byte| is_word(*byte) || *byte == b'#').count();
    let name = &head[head.len() - word..];
    if STATEMENTS.contains(&name) || (name.is_empty() && !head.ends_with("function")) {
        return None;
    }
    Some((name, head.len() - word))
}

/// `const a = async (b) =>` is called `a`.
fn arrow_name(line: &str) -> &str {
    let left = line.split('=').next().unwrap_or_default();
    let name = left.split(':').next().unwrap_or_default().trim();
    name.rsplit(char::is_whitespace).next().filter(|name| name.bytes().all(is_word)).unwrap_or(ANONYMOUS)
}

fn indent(line: &str) -> usize {
    line.bytes().take_while(|byte| *byte == b' ' || *byte == b'\t').count()
}

/// The closing parenthesis of the parameters: right before, or before a return type.
fn parameters_end(before: &str) -> Option<usize> {
    if before.ends_with(')') {
        return Some(before.len() - 1);
    }
    let colon = before.rfind("):")?;
    let kind = &before[colon + 2..];
    let plain = kind.chars().all(|sign| sign.is_alphanumeric() || " _.<>[]|&,?'\"$#".contains(sign));
    (plain && !kind.trim().is_empty()).then_some(colon)
}

fn opening_parenthesis(code: &str, close: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in code[..=close].bytes().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => {
                depth -= 1;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[(&str, usize, usize)]) {
        let found = functions(&Source::new(path, text.to_owned()));
        let found: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.line, one.lines)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn rust_functions_are_counted() {
        check("a.rs", "pub fn a(x: [u8; 2]) -> u8 {\n    1\n}\nfn b();\n", &[("a", 1, 3)]);
        check(
            "a.rs",
            "type F = fn (u8) -> u8;\n// fn c() {\nfn d<'a>(s: &'a str)\nwhere\n{\n \"}\";\n}",
            &[("d", 3, 5)],
        );
        check("a.rs", "fn a() {\n    fn b() {\n    }\n}", &[("a", 1, 2), ("b", 2, 2)]);
    }

    #[test]
    fn functions_of_a_component_are_counted() {
        check("a.vue", "<script setup>\nfunction a() {\n}\n</script>\n<p>{{ b() }}</p>\n", &[("a", 2, 2)]);
    }

    #[test]
    fn script_functions_are_counted() {
        check("a.ts", "function a(b: string): void {\n  if (b) {\n  }\n}\n", &[("a", 1, 4)]);
        check("a.ts", "const a = async (b: number) => {\n  b;\n};", &[("a", 1, 3)]);
        check("a.ts", "class A {\n  #b<T>(c: T): Promise<T[]> {\n    return c;\n  }\n}", &[("#b", 2, 3)]);
        check(
            "a.ts",
            "const use = () => {\n  function b() {\n  }\n  c(() => {\n  });\n};",
            &[("use", 1, 4), ("b", 2, 2), ("=>", 4, 2)],
        );
        check("a.ts", "interface A {\n  b: { c: string };\n}\nconst d = { e: 1 };", &[]);
    }
}
