//! The fields of a line of text. Nothing that a user gave begins a line or moves the cursor of a terminal.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// Writes the message as it is and every other field as `name=value`, without control characters.
pub(super) struct Escaped;

impl<'writer> FormatFields<'writer> for Escaped {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn write(&mut self, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        match field.name() {
            "message" => {}
            name if self.writer.has_ansi_escapes() => write!(self.writer, "\x1b[3m{name}\x1b[0m=")?,
            name => write!(self.writer, "{name}=")?,
        }
        write!(OneLine(&mut self.writer), "{value:?}")
    }
}

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_ok() {
            self.result = self.write(field, value);
        }
    }
}

/// Whether a character ends a line, moves the cursor, or changes the order in which others are shown.
pub(super) fn is_active(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes characters that do something as what they are called.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, active)) = rest.char_indices().find(|(_, character)| is_active(*character)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", active.escape_default())?;
            rest = &rest[at + active.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_gave_stays_within_its_line() {
        let check = |given: &str, written: &str| {
            let mut out = String::new();
            write!(OneLine(&mut out), "{given}").expect("a String takes everything");
            assert_eq!(out, written);
        };
        check("a name, tiếng Việt, 🦀", "a name, tiếng Việt, 🦀");
        check("a\nERROR forged", "a\\nERROR forged");
        check("\r\x1b[2J\x07\u{7f}", "\\r\\u{1b}[2J\\u{7}\\u{7f}");
        check("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}");
        check("a\u{2028}b\u{2029}\u{202e}c\u{2066}", "a\\u{2028}b\\u{2029}\\u{202e}c\\u{2066}");
    }
}
