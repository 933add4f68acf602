//! Bytes of a pipe become lines.
//!
//! A carriage return ends a line too: that is how programs redraw a progress bar. A line that is too long is
//! cut, and says so.
//!
//! Invariant: never more than [`LINE_BYTES_MAX`] bytes are held, whatever comes.

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    task::JoinHandle,
};

/// How many bytes are read at once from a pipe.
const CHUNK_BYTES: usize = 16 << 10;

/// The longest line that is kept, in bytes.
pub(crate) const LINE_BYTES_MAX: usize = 8 << 10;

/// One pipe's unfinished line.
#[derive(Debug, Default)]
pub struct Lines {
    held: Vec<u8>,
    /// Bytes of this line that were dropped.
    dropped: usize,
}

impl Lines {
    /// Takes the next bytes in and hands out every line they finish. Empty lines are left out.
    pub fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(String)) {
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.hold(&bytes[..end]);
            self.finish(&mut take);
            bytes = &bytes[end + 1..];
        }
        self.hold(bytes);
    }

    /// The pipe has ended: what is held is the last line.
    pub fn finish(&mut self, mut take: impl FnMut(String)) {
        let (held, dropped) = (std::mem::take(&mut self.held), std::mem::take(&mut self.dropped));
        if held.is_empty() {
            return;
        }
        let mut line = readable(&String::from_utf8_lossy(&held));
        if dropped > 0 {
            line.push_str(&format!(" … {dropped} bytes cut"));
        }
        if !line.trim().is_empty() {
            take(line);
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.held.len();
        let fitting = bytes.len().min(room);
        self.held.extend_from_slice(&bytes[..fitting]);
        self.dropped += bytes.len() - fitting;
    }
}

/// Reads a pipe to its end; each line goes to the channel with the pipe's name.
pub fn read_lines<Name: Copy + Send + 'static>(
    mut pipe: impl AsyncRead + Unpin + Send + 'static,
    name: Name,
    sender: mpsc::Sender<(Name, String)>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = Lines::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = pipe.read(&mut chunk).await.unwrap_or(0);
            let mut found = Vec::new();
            match count {
                0 => lines.finish(|line| found.push(line)),
                _ => lines.push(&chunk[..count], |line| found.push(line)),
            }
            for line in found {
                if sender.send((name, line)).await.is_err() {
                    return;
                }
            }
            if count == 0 {
                return;
            }
        }
    })
}

/// Without what a terminal would not show: colours, cursor moves, bells.
fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        if sign == '\u{1b}' {
            skip_sequence(&mut signs);
        } else if sign == '\t' || !sign.is_control() {
            out.push(sign);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// ECMA-48: `ESC [` and parameters up to a letter; `ESC ]` and a text up to BEL or `ESC \`; else one
/// character.
fn skip_sequence(signs: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match signs.next() {
        Some('[') => {
            signs.find(|sign| ('@'..='~').contains(sign));
        }
        Some(']') => {
            let mut before = ' ';
            signs.find(|sign| {
                let ended = *sign == '\u{7}' || (before == '\u{1b}' && *sign == '\\');
                before = *sign;
                ended
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        chunks.iter().for_each(|chunk| lines.push(chunk, |line| found.push(line)));
        lines.finish(|line| found.push(line));
        found
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_are_split() {
        let bytes = "một\r\nhai 50%\rba 51%\n\n\u{1b}[31mđỏ\u{1b}[0m\nlast".as_bytes();
        let expected = ["một", "hai 50%", "ba 51%", "đỏ", "last"];
        for place in 0..=bytes.len() {
            assert_eq!(lines(&[&bytes[..place], &bytes[place..]]), expected, "split at {place}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_says_by_how_much() {
        let long = vec![b'x'; LINE_BYTES_MAX + 5];
        let found = lines(&[&long, b"\nnext\n"]);
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("x … 5 bytes cut"), "{}", &found[0][LINE_BYTES_MAX - 5..]);
        assert_eq!(found[1], "next");
    }

    #[test]
    fn what_a_terminal_would_not_show_is_left_out() {
        assert_eq!(lines(&[b"\x1b]0;title\x07a\x08b\x1b[2K\tc\n"]), ["ab\tc"]);
        assert_eq!(lines(&[b"\x1b]0;title\x1b\\x\n"]), ["x"]);
    }
}
