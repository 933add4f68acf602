//! Bytes of a pipe become lines.
//!
//! A carriage return ends a line too, and several backspaces show what was there before them: that is how
//! programs redraw a progress bar. A line that is too long is cut, and says so.
//!
//! Invariant: never more than [`LINE_BYTES_MAX`] bytes are held, whatever comes.

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    task::JoinHandle,
};

use super::screen::ScreenLine;

const BACKSPACE: u8 = 0x08;
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
    /// How many backspaces stand at its end.
    backspaces: usize,
}

impl Lines {
    /// Takes the next bytes in and hands out every line they finish. Empty lines are left out.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(String)) {
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
        for piece in bytes.split_inclusive(ends) {
            let ended = piece.last().is_some_and(ends);
            self.hold(&piece[..piece.len() - usize::from(ended)], &mut take);
            if ended {
                self.finish(&mut take);
            }
        }
    }

    /// The pipe has ended: what is held is the last line.
    pub fn finish(&mut self, mut take: impl FnMut(String)) {
        let Self { held, dropped, .. } = std::mem::take(self);
        if held.is_empty() {
            return;
        }
        let mut line = ScreenLine::of(&held).text();
        if dropped > 0 {
            line.push_str(&format!(" … {dropped} bytes cut"));
        }
        if !line.trim().is_empty() {
            take(line);
        }
    }

    fn hold(&mut self, bytes: &[u8], take: &mut impl FnMut(String)) {
        for run in bytes.chunk_by(|one, next| (*one == BACKSPACE) == (*next == BACKSPACE)) {
            if run[0] == BACKSPACE {
                self.backspaces += run.len();
            } else {
                self.redraw(take);
            }
            let room = LINE_BYTES_MAX.saturating_sub(self.held.len());
            let fitting = run.len().min(room);
            self.held.extend_from_slice(&run[..fitting]);
            self.dropped += run.len() - fitting;
        }
    }

    /// Several backspaces: what stood there is shown before something else is written over it. A single
    /// one is how bold letters and turning bars are drawn.
    fn redraw(&mut self, take: &mut impl FnMut(String)) {
        if std::mem::take(&mut self.backspaces) < 2 {
            return;
        }
        let line = ScreenLine::of(&self.held);
        let text = line.text();
        if !text.trim().is_empty() {
            take(text);
        }
        self.held = line.bytes();
    }
}

/// Reads a pipe to its end; each line goes to the channel with the pipe's name.
pub(super) fn read_lines<Name: Copy + Send + 'static>(
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
    fn a_share_that_is_written_over_by_backspaces_is_seen_each_time() {
        let bytes = b"Copying: 9%\x08\x0810%\x08\x08\x0811%\nN\x08Nx\x08x\n";
        for place in 0..=bytes.len() {
            let found = lines(&[&bytes[..place], &bytes[place..]]);
            assert_eq!(found, ["Copying: 9%", "Copying: 10%", "Copying: 11%", "Nx"], "split at {place}");
        }
    }

    #[test]
    fn what_redraws_itself_for_ever_is_held_once() {
        let (mut held, mut shown) = (Lines::default(), 0);
        for _ in 0..10_000 {
            held.push(b"12%\x08\x08\x08", |_| shown += 1);
        }
        assert!(held.held.len() < 100 && shown >= 9_999, "{} {shown}", held.held.len());
    }
}
