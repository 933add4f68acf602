//! What a line shows on a terminal: control sequences (ECMA-48) are carried out as far as they matter in one
//! line, and left out else.

use vte::{Params, Parser, Perform};

/// No cursor goes further to the right.
const COLUMNS_MAX: usize = 8192;
const ESC: u8 = 0x1b;
const BACKSPACE: u8 = 0x08;

/// One line of a terminal.
#[derive(Debug, Default)]
pub(super) struct ScreenLine {
    signs: Vec<char>,
    /// Where the next sign goes.
    at: usize,
}

impl ScreenLine {
    /// The line that these bytes draw.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut line = Self::default();
        Parser::new().advance(&mut line, &seven_bit(bytes));
        line
    }

    /// What it says, without white space at its end.
    pub(super) fn text(&self) -> String {
        let mut text: String = self.signs.iter().collect();
        text.truncate(text.trim_end().len());
        text
    }

    /// Bytes that draw the same line and leave the cursor where it is.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.signs.iter().collect::<String>().into();
        bytes.resize(bytes.len() + self.signs.len().saturating_sub(self.at), BACKSPACE);
        bytes
    }
}

impl Perform for ScreenLine {
    fn print(&mut self, sign: char) {
        if self.at > COLUMNS_MAX || (sign.is_control() && sign != '\t') {
            return;
        }
        if self.at >= self.signs.len() {
            self.signs.resize(self.at + 1, ' ');
        }
        self.signs[self.at] = sign;
        self.at += 1;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            BACKSPACE => self.at = self.at.saturating_sub(1),
            b'\t' => self.print('\t'),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, _intermediates: &[u8], _ignore: bool, action: char) {
        let given = params.iter().next().and_then(|param| param.first()).copied().unwrap_or(0);
        let count = usize::from(given.max(1));
        match (action, given) {
            ('D', _) => self.at = self.at.saturating_sub(count),
            ('C', _) => self.at = (self.at + count).min(COLUMNS_MAX),
            ('G', _) => self.at = (count - 1).min(COLUMNS_MAX),
            ('K', 0) => self.signs.truncate(self.at),
            // What was there is gone, and what follows is drawn anew.
            ('K', 2) => *self = Self::default(),
            _ => {}
        }
    }
}

/// The same with the control characters of eight bits, as UTF-8 or as one byte, written with ESC: both ways
/// mean the same (ECMA-48, 5.3).
fn seven_bit(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    for chunk in bytes.utf8_chunks() {
        for sign in chunk.valid().chars() {
            match u32::from(sign) {
                code @ 0x80..=0x9f => out.extend([ESC, control(code)]),
                _ => out.extend(sign.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        rest = &rest[chunk.valid().len()..];
        match chunk.invalid() {
            [] => {}
            [byte] if is_control(*byte, &rest[1..]) => out.extend([ESC, control(u32::from(*byte))]),
            _ => out.extend("\u{fffd}".as_bytes()),
        }
        rest = &rest[chunk.invalid().len()..];
    }
    out
}

fn control(code: u32) -> u8 {
    u8::try_from(code - 0x40).unwrap_or(b'?')
}

/// Whether a byte that is no UTF-8 is a control character and not a letter of another encoding: a sequence
/// follows it, or a text with its end.
fn is_control(byte: u8, behind: &[u8]) -> bool {
    const END: u8 = 0x9c;
    match byte {
        0x9b => {
            let parameters = behind.iter().take_while(|byte| matches!(byte, b' '..=b'?')).count();
            parameters > 0 && behind.get(parameters).is_some_and(|byte| matches!(byte, b'@'..=b'~'))
        }
        0x90 | 0x98 | 0x9d..=0x9f => behind.contains(&END),
        END => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], text: &str) {
        assert_eq!(ScreenLine::of(bytes).text(), text, "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn what_a_terminal_does_not_show_is_left_out() {
        check(b"\x1b]0;title\x07a\tb", "a\tb");
        check(b"\x1b]0;title\x1b\\x", "x");
        check(b"\x1b(Bplain\x1b[m\x1b)0", "plain");
        check(b"\x1b[1;31mred\x1b[0m \x1b#8\x1b7x\x1b8", "red x");
        check(b"\x1bPq#0;2;0;0;0#0~~\x1b\\after", "after");
        check(b"\x1b_apc\x1b\\a\x1b^pm\x1b\\b\x1bXsos\x1b\\c", "abc");
        check("\u{9b}31mred\u{9b}0m\u{90}dcs\u{9c}!".as_bytes(), "red!");
        check(b"\x9b31mred\x9b0m\x9ftext\x9c!", "red!");
        check(b"bell\x07 and \x00nul\x7f", "bell and nul");
        check(b"\x1b]8;;https://x.example\x1b\\link\x1b]8;;\x1b\\", "link");
    }

    #[test]
    fn letters_of_other_encodings_stay_to_be_seen_as_none() {
        check(b"\x93quoted\x94 \x9f", "\u{fffd}quoted\u{fffd} \u{fffd}");
        check("đỏ \u{1f3ac} 字".as_bytes(), "đỏ \u{1f3ac} 字");
    }

    #[test]
    fn what_is_written_over_is_gone() {
        check(b"10%\x08\x08\x0811%", "11%");
        check(b"N\x08NA\x08A", "NA");
        check(b"100%\x08\x08\x08\x085%", "5%0%");
        check(b"100%\x1b[4D\x1b[K5%", "5%");
        check(b"loading\x1b[2K\x1b[1Gdone", "done");
        check(b"\x08\x08a\x1b[3Cb", "a   b");
    }

    #[test]
    fn a_line_is_the_same_when_it_is_drawn_from_its_bytes() {
        let line = ScreenLine::of(b"ab\x1b[31mc\x08\x08");
        let again = ScreenLine::of(&line.bytes());
        assert_eq!((again.text(), again.at), ("abc".to_owned(), 1));
        assert!(ScreenLine::of(b"x\x1b[99999C\x1b[99999Gy").signs.len() <= COLUMNS_MAX + 1);
    }
}
