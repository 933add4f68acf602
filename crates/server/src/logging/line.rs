//! Whole lines on their way out: each is told what was left out before it.

use std::{
    cell::Cell,
    io::{self, Write},
};

use tracing_subscriber::fmt::MakeWriter;

use crate::logging::escape::is_active;

thread_local! {
    /// How many lines of its kind were left out before the line that this thread writes next.
    static LEFT_OUT: Cell<u64> = const { Cell::new(0) };
}

/// The next line of this thread comes after so many that were left out.
pub(super) fn after(left_out: u64) {
    LEFT_OUT.set(left_out);
}

/// Makes writers of lines.
#[derive(Clone, Copy)]
pub(super) struct Lines<M> {
    make: M,
    is_json: bool,
}

impl<M> Lines<M> {
    pub(super) fn text(make: M) -> Self {
        Self { make, is_json: false }
    }

    pub(super) fn json(make: M) -> Self {
        Self { make, is_json: true }
    }
}

impl<'a, W: Write, M: Fn() -> W + 'a> MakeWriter<'a> for Lines<M> {
    type Writer = Line<W>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { out: (self.make)(), is_json: self.is_json }
    }
}

/// Takes one whole line at a time: so the formatter writes it.
pub(super) struct Line<W> {
    out: W,
    is_json: bool,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let left_out = LEFT_OUT.take();
        let finished = match (self.is_json, left_out) {
            (true, left_out) => finish_json(line, left_out),
            (false, 0) => None,
            (false, left_out) => {
                let text = line.trim_ascii_end();
                Some([text, format!(" left_out={left_out}\n").as_bytes()].concat())
            }
        };
        self.out.write_all(finished.as_deref().unwrap_or(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// JSON allows characters within a line that end one elsewhere, or move the cursor of a terminal.
fn finish_json(line: &[u8], left_out: u64) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?.trim_end();
    if left_out == 0 && !text.chars().any(is_active) {
        return None;
    }
    let text = text.strip_suffix('}')?;
    let mut out = String::with_capacity(text.len() + 32);
    for character in text.chars() {
        if is_active(character) {
            // They are all in the first plane.
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            out.push(character);
        }
    }
    if left_out > 0 {
        out.push_str(&format!(",\"left_out\":{left_out}"));
    }
    out.push_str("}\n");
    Some(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(is_json: bool, left_out: u64, line: &str) -> String {
        let mut out = Vec::new();
        after(left_out);
        Line { out: &mut out, is_json }.write_all(line.as_bytes()).expect("a Vec takes everything");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_line_says_how_many_were_left_out_before_it() {
        assert_eq!(written(false, 0, "refused\n"), "refused\n");
        assert_eq!(written(false, 7, "refused\n"), "refused left_out=7\n");
        assert_eq!(written(true, 0, "{\"a\":1}\n"), "{\"a\":1}\n");
        assert_eq!(written(true, 7, "{\"a\":1}\n"), "{\"a\":1,\"left_out\":7}\n");
        assert_eq!(written(false, 0, "the next\n"), "the next\n");
    }

    #[test]
    fn a_line_of_json_is_one_line_for_every_reader() {
        let line = written(true, 0, "{\"name\":\"a\u{2028}b\u{9b}c\"}\n");
        assert_eq!(line, "{\"name\":\"a\\u2028b\\u009bc\"}\n");
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["name"], "a\u{2028}b\u{9b}c");
    }
}
