//! Tells code from comments and literals, in Rust and in TypeScript.
//!
//! Invariant: [`Lexed::code`] is as long as the text and has its line breaks, so a place in one is the same
//! place in the other.

use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    /// TypeScript and JavaScript.
    Script,
    Vue,
    /// Anything else that is text.
    Other,
}

#[derive(Debug, Default)]
pub(super) struct Lexed {
    /// The text with comments and the insides of literals blanked.
    pub(super) code: String,
    /// Where the insides of string literals are.
    pub(super) strings: Vec<Range<usize>>,
    /// Where comments are, with their marks.
    pub(super) comments: Vec<Range<usize>>,
}

/// Lexes a text. Of a language without rules here everything is code.
pub(super) fn lex(text: &str, language: Language) -> Lexed {
    let bytes = text.as_bytes();
    let mut lexer =
        Lexer { bytes, code: bytes.to_vec(), strings: Vec::new(), comments: Vec::new(), place: 0 };
    match language {
        Language::Rust => lexer.rust(),
        Language::Script => lexer.script(false),
        Language::Vue => lexer.vue(text),
        Language::Other => {}
    }
    let code = String::from_utf8(lexer.code).expect("whole characters are blanked, byte for byte");
    Lexed { code, strings: lexer.strings, comments: lexer.comments }
}

struct Lexer<'a> {
    bytes: &'a [u8],
    code: Vec<u8>,
    strings: Vec<Range<usize>>,
    comments: Vec<Range<usize>>,
    place: usize,
}

impl Lexer<'_> {
    fn at(&self, ahead: usize) -> u8 {
        self.bytes.get(self.place + ahead).copied().unwrap_or(0)
    }

    fn starts(&self, text: &[u8]) -> bool {
        self.bytes[self.place..].starts_with(text)
    }

    /// Blanks a range, except its line breaks.
    fn blank(&mut self, range: Range<usize>) {
        let end = range.end.min(self.code.len());
        for byte in &mut self.code[range.start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }

    fn rust(&mut self) {
        while self.place < self.bytes.len() {
            match self.at(0) {
                b'/' if self.at(1) == b'/' => self.line_comment(),
                b'/' if self.at(1) == b'*' => self.block_comment(true),
                b'"' => self.quoted(b'"'),
                b'\'' => self.quote_or_lifetime(),
                b'r' | b'b' | b'c' if !self.after_word() => self.prefixed(),
                _ => self.place += 1,
            }
        }
    }

    /// Code of a script; inside a template's `${…}` it ends at the closing brace.
    fn script(&mut self, inside: bool) {
        let mut depth = 0_usize;
        while self.place < self.bytes.len() {
            match self.at(0) {
                b'/' if self.at(1) == b'/' => self.line_comment(),
                b'/' if self.at(1) == b'*' => self.block_comment(false),
                b'/' if self.regex_may_start() => self.regex(),
                quote @ (b'"' | b'\'') => self.quoted(quote),
                b'`' => self.template(),
                b'{' => {
                    depth += 1;
                    self.place += 1;
                }
                b'}' if inside && depth == 0 => return,
                b'}' => {
                    depth = depth.saturating_sub(1);
                    self.place += 1;
                }
                _ => self.place += 1,
            }
        }
    }

    /// What stands in `<script>` is code, the template and the style are not.
    fn vue(&mut self, text: &str) {
        let opened = text.find("<script").and_then(|start| Some(start + text[start..].find('>')? + 1));
        let start = opened.unwrap_or(text.len());
        let end = text[start..].find("</script>").map_or(text.len(), |length| start + length);
        self.blank(0..start);
        self.blank(end..text.len());
        self.bytes = &self.bytes[..end];
        self.place = start;
        self.script(false);
    }

    fn after_word(&self) -> bool {
        self.place > 0 && is_word(self.bytes[self.place - 1])
    }

    fn line_comment(&mut self) {
        let start = self.place;
        while self.place < self.bytes.len() && self.at(0) != b'\n' {
            self.place += 1;
        }
        self.comment(start);
    }

    fn block_comment(&mut self, nested: bool) {
        let start = self.place;
        let mut depth = 0;
        while self.place < self.bytes.len() {
            if self.starts(b"/*") && (nested || depth == 0) {
                depth += 1;
                self.place += 2;
            } else if self.starts(b"*/") {
                depth -= 1;
                self.place += 2;
                if depth == 0 {
                    break;
                }
            } else {
                self.place += 1;
            }
        }
        self.comment(start);
    }

    /// A comment that began there has ended here.
    fn comment(&mut self, start: usize) {
        self.blank(start..self.place);
        self.comments.push(start..self.place);
    }

    /// A literal with escapes, from its opening quote; the quotes stay.
    fn quoted(&mut self, quote: u8) {
        self.place += 1;
        let start = self.place;
        while self.place < self.bytes.len() && self.at(0) != quote {
            self.place += if self.at(0) == b'\\' { 2 } else { 1 };
        }
        let end = self.place.min(self.bytes.len());
        self.literal(start..end);
        self.place = end + 1;
    }

    fn literal(&mut self, inside: Range<usize>) {
        self.blank(inside.clone());
        self.strings.push(inside);
    }

    /// `'a'` is a character, `'a` a lifetime.
    fn quote_or_lifetime(&mut self) {
        let start = self.place;
        if self.at(1) == b'\\' {
            self.quoted(b'\'');
            self.strings.pop();
            return;
        }
        let width = width(self.at(1));
        if self.at(1 + width) == b'\'' && self.at(1) != b'\'' {
            self.place += 2 + width;
            self.blank(start + 1..self.place - 1);
        } else {
            self.place += 1;
        }
    }

    /// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"`, `b'…'`, or just a word.
    fn prefixed(&mut self) {
        let mut ahead = 1;
        let raw = self.at(0) == b'r' || self.at(1) == b'r';
        if self.at(0) != b'r' && self.at(1) == b'r' {
            ahead = 2;
        }
        let hashes = (ahead..).take_while(|&index| self.at(index) == b'#').count();
        if raw && self.at(ahead + hashes) == b'"' {
            self.raw(ahead, hashes);
        } else if !raw && self.at(1) == b'"' {
            self.place += 1;
            self.quoted(b'"');
        } else if self.at(0) == b'b' && self.at(1) == b'\'' {
            self.place += 1;
            self.quoted(b'\'');
            self.strings.pop();
        } else {
            self.place += 1;
        }
    }

    fn raw(&mut self, ahead: usize, hashes: usize) {
        let mut close = vec![b'"'];
        close.resize(1 + hashes, b'#');
        self.place += ahead + hashes + 1;
        let start = self.place;
        while self.place < self.bytes.len() && !self.starts(&close) {
            self.place += 1;
        }
        self.literal(start..self.place);
        self.place = (self.place + close.len()).min(self.bytes.len());
    }

    /// A template from its opening back-quote; what stands in `${…}` is code.
    fn template(&mut self) {
        self.place += 1;
        let mut start = self.place;
        while self.place < self.bytes.len() && self.at(0) != b'`' {
            if self.at(0) == b'\\' {
                self.place = (self.place + 2).min(self.bytes.len());
            } else if self.starts(b"${") {
                self.literal(start..self.place);
                self.place += 2;
                self.script(true);
                start = (self.place + 1).min(self.bytes.len());
                self.place = start;
            } else {
                self.place += 1;
            }
        }
        self.literal(start..self.place.min(self.bytes.len()));
        self.place += 1;
    }

    /// A slash divides after a value and opens a regular expression elsewhere.
    fn regex_may_start(&self) -> bool {
        const WORDS: [&str; 8] = ["return", "typeof", "case", "in", "of", "await", "yield", "void"];
        let before = self.code[..self.place].trim_ascii_end();
        let Some(&last) = before.last() else { return true };
        if is_word(last) {
            let start = before.iter().rposition(|byte| !is_word(*byte)).map_or(0, |index| index + 1);
            return WORDS.iter().any(|word| word.as_bytes() == &before[start..]);
        }
        !matches!(last, b')' | b']' | b'}' | b'"' | b'\'' | b'`')
    }

    fn regex(&mut self) {
        let start = self.place;
        let mut class = false;
        self.place += 1;
        while self.place < self.bytes.len() && self.at(0) != b'\n' {
            match self.at(0) {
                b'\\' => self.place += 1,
                b'[' => class = true,
                b']' => class = false,
                b'/' if !class => break,
                _ => {}
            }
            self.place += 1;
        }
        self.place = (self.place + 1).min(self.bytes.len());
        self.blank(start..self.place);
        // What follows a regular expression divides: leave a value in its place.
        self.code[start] = b'"';
    }
}

/// The line, from 1, of a place in a text.
pub(super) fn line(text: &str, place: usize) -> usize {
    text.as_bytes()[..place].iter().filter(|byte| **byte == b'\n').count() + 1
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Bytes of a UTF-8 character that starts with this one.
fn width(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

/// The place of the brace that closes the one at `open`.
pub(super) fn closing_brace(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
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

/// First and last line of every item under `#[cfg(test)]`.
pub(super) fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(").map(|index| from + index) {
        from = found + 1;
        let Some(end) = code[found..].find(")]").map(|index| found + index) else { break };
        let condition = &code[found + 6..end];
        if condition != "test" && !condition.starts_with("all(test") {
            continue;
        }
        let Some(open) = item_end(code, end + 2) else { break };
        let last = if code.as_bytes()[open] == b'{' { closing_brace(code, open) } else { Some(open) };
        let last = last.unwrap_or(code.len());
        items.push((line(code, found), line(code, last)));
        from = last;
    }
    items
}

/// Where what stands behind an attribute ends, or where its body opens. A field or an arm ends at its comma:
/// it has no body, and what follows it is shipped.
fn item_end(code: &str, start: usize) -> Option<usize> {
    const ITEMS: [&str; 12] =
        ["const", "enum", "extern", "fn", "impl", "let", "mod", "static", "struct", "trait", "type", "use"];
    let mut start = start;
    // Further attributes come first.
    while code[start..].trim_start().starts_with("#[") {
        start += code[start..].find(']')? + 1;
    }
    let head = code[start..].split(['{', ';', ',', ':', '=']).next().unwrap_or_default();
    let is_item = head.split(|sign: char| !sign.is_alphanumeric()).any(|word| ITEMS.contains(&word));
    let ends: &[char] = if is_item { &['{', ';'] } else { &['{', ';', ','] };
    code[start..].find(ends).map(|index| start + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(text: &str) -> String {
        lex(text, Language::Rust).code
    }

    fn script(text: &str) -> String {
        lex(text, Language::Script).code
    }

    #[test]
    fn rust_comments_and_literals_are_blank() {
        assert_eq!(rust("a // b\nc"), "a     \nc");
        assert_eq!(rust("a /* /* b */ */ c"), "a               c");
        assert_eq!(rust(r#"x("{\"}")"#), r#"x("    ")"#);
        assert_eq!(rust(r###"r#"{"}"# {"###), r###"r#"   "# {"###);
        assert_eq!(rust(r#"br"{" b"{" c"{" {"#), r#"br" " b" " c" " {"#);
        assert_eq!(rust("r#type { }"), "r#type { }");
        assert_eq!(rust("bar\"{\""), "bar\" \"");
    }

    #[test]
    fn lifetimes_are_told_from_characters() {
        assert_eq!(rust("fn a<'a>(x: &'a str) { '{' }"), "fn a<'a>(x: &'a str) { ' ' }");
        assert_eq!(rust(r"'\'' { b'{' '\u{7d}'"), r"'  ' { b' ' '      '");
        assert_eq!(rust("'ä' 'a: loop {"), "'  ' 'a: loop {");
    }

    #[test]
    fn script_templates_and_expressions_are_understood() {
        assert_eq!(script("`a{${b({c})}d}` {"), "`  ${b({c})}  ` {");
        assert_eq!(script("`${`${x}`}` }"), "`${`${x}`}` }");
        assert_eq!(script("a = /[/{]\"/g; b"), "a = \"      g; b");
        assert_eq!(script("a / b / c"), "a / b / c");
        assert_eq!(script("'//' /* } */ x"), "'  '         x");
    }

    #[test]
    fn only_the_script_of_a_component_is_code() {
        let text = "<script setup lang=\"ts\">\nlet a = '}';\n</script>\n<p>'{</p>";
        let code = lex(text, Language::Vue).code;
        assert_eq!(code.trim(), "let a = ' ';");
        assert_eq!((code.len(), code.lines().count()), (text.len(), text.lines().count()));
        assert_eq!(lex("<p>{</p>", Language::Vue).code.trim(), "");
    }

    #[test]
    fn strings_are_located() {
        let text = r##"a("one", r#"two"#) // "three""##;
        let found: Vec<&str> =
            lex(text, Language::Rust).strings.into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["one", "two"]);
    }

    #[test]
    fn comments_are_located() {
        let text = "a // b\n/* c */ \"// d\" /// e";
        let found: Vec<&str> =
            lex(text, Language::Rust).comments.into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["// b", "/* c */", "/// e"]);
    }

    #[test]
    fn unfinished_text_does_not_hang() {
        for text in ["\"a", "'", "/* a", "r#\"a", "`${a", "`a\\", "/a", "b'", "\"\\"] {
            assert_eq!(rust(text).len(), text.len());
            assert_eq!(script(text).len(), text.len());
        }
    }

    #[test]
    fn what_follows_a_field_or_an_arm_of_tests_is_shipped() {
        let field = "struct A {\n    #[cfg(test)]\n    pub(crate) b: u8,\n}\nimpl A {\n}\n";
        assert_eq!(test_items(field), [(2, 3)]);
        assert_eq!(test_items("match a {\n    #[cfg(test)]\n    B => c(),\n    D => {}\n}\n"), [(2, 3)]);
    }

    #[test]
    fn items_under_cfg_test_are_found() {
        assert_eq!(test_items("a\n#[cfg(test)]\nmod t {\n{}\n}\nb"), [(2, 5)]);
        assert_eq!(test_items("#[cfg(test)]\nmod t;\n#[cfg(unix)]\nmod u {}"), [(1, 2)]);
        assert_eq!(test_items("#[cfg(all(test, unix))]\nfn a() {}"), [(1, 2)]);
        assert_eq!(test_items("#[cfg(test)]\n#[rustfmt::skip]\npub fn a<T, U>() {\n}\nb"), [(1, 4)]);
        assert_eq!(test_items("#[cfg(test)]\nuse a::{b, c};\nfn d() {}"), [(1, 2)]);
    }
}
