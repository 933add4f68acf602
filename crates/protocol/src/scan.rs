//! One pass over a JSON text (RFC 8259): checks its grammar and hands out its pieces as they stand.
//!
//! Invariant: a text passes exactly if serde_json takes it. Nothing recurses; a level of nesting costs one
//! bit.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use smallvec::SmallVec;

/// Why a text does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// It is no JSON, or not the kind of JSON that was asked for.
    Syntax,
    /// It is nested deeper than it may be.
    Nesting,
}

/// Reads a text from the front.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    depth_max: usize,
}

impl<'a> Scan<'a> {
    /// At the beginning of a text. More levels of objects and lists than `depth_max` do not pass.
    pub(crate) fn new(text: &'a str, depth_max: usize) -> Self {
        Self { text, at: 0, depth: 0, depth_max }
    }

    /// The first byte of what comes next.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Takes one value, whatever it is.
    pub(crate) fn value(&mut self) -> Result<&'a str, ScanError> {
        self.peek();
        let start = self.at;
        let mut levels = Levels::default();
        loop {
            match self.token()? {
                b'{' => self.open(&mut levels, true)?,
                b'[' => self.open(&mut levels, false)?,
                first => {
                    self.scalar(first)?;
                    self.close(&mut levels)?;
                }
            }
            if levels.depth == 0 {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    /// Takes a value that `read` takes apart: what it returns, and the value's text.
    pub(crate) fn value_with<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ScanError>,
    ) -> Result<(T, &'a str), ScanError> {
        self.peek();
        let start = self.at;
        let result = read(self)?;
        Ok((result, &self.text[start..self.at]))
    }

    /// Takes an object. `take` gets each member's name and must take its value. A name that is no Unicode
    /// text is given as it stands.
    pub(crate) fn members(
        &mut self,
        mut take: impl FnMut(&mut Self, &str) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.expect(b'{')?;
        self.descend()?;
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let name = self.name()?;
                take(self, &unescaped(name).unwrap_or(Cow::Borrowed(name)))?;
                if !self.goes_on(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Takes a list. `take` must take each element.
    pub(crate) fn elements(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.expect(b'[')?;
        self.descend()?;
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                take(self)?;
                if !self.goes_on(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Nothing but white space may be left.
    pub(crate) fn end(&mut self) -> Result<(), ScanError> {
        if self.peek().is_none() { Ok(()) } else { Err(ScanError::Syntax) }
    }

    fn token(&mut self) -> Result<u8, ScanError> {
        let byte = self.peek().ok_or(ScanError::Syntax)?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, expected: u8) -> Result<(), ScanError> {
        if self.token()? == expected { Ok(()) } else { Err(ScanError::Syntax) }
    }

    /// Behind a member or an element: true before another one, false behind the end.
    fn goes_on(&mut self, end: u8) -> Result<bool, ScanError> {
        match self.token()? {
            b',' => Ok(true),
            byte if byte == end => Ok(false),
            _ => Err(ScanError::Syntax),
        }
    }

    fn descend(&mut self) -> Result<(), ScanError> {
        self.depth += 1;
        if self.depth > self.depth_max { Err(ScanError::Nesting) } else { Ok(()) }
    }

    /// Behind the bracket that opens an object or a list: goes to its first value, or behind its end if it
    /// has none.
    fn open(&mut self, levels: &mut Levels, object: bool) -> Result<(), ScanError> {
        self.descend()?;
        levels.push(object);
        if self.peek() == Some(if object { b'}' } else { b']' }) {
            return self.close(levels);
        }
        if object { self.name().map(drop) } else { Ok(()) }
    }

    /// Behind a value, or before an end: goes to the next value, or behind all levels that end here.
    fn close(&mut self, levels: &mut Levels) -> Result<(), ScanError> {
        while levels.depth > 0 {
            let object = levels.in_object();
            if self.goes_on(if object { b'}' } else { b']' })? {
                return if object { self.name().map(drop) } else { Ok(()) };
            }
            levels.depth -= 1;
            self.depth -= 1;
        }
        Ok(())
    }

    /// A member's name, as it stands between its quotes, with its colon.
    fn name(&mut self) -> Result<&'a str, ScanError> {
        self.expect(b'"')?;
        let start = self.at;
        self.string()?;
        let name = &self.text[start..self.at - 1];
        self.expect(b':')?;
        Ok(name)
    }

    fn scalar(&mut self, first: u8) -> Result<(), ScanError> {
        match first {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(first),
            b't' => self.literal("rue"),
            b'f' => self.literal("alse"),
            b'n' => self.literal("ull"),
            _ => Err(ScanError::Syntax),
        }
    }

    fn literal(&mut self, rest: &str) -> Result<(), ScanError> {
        let found = self.text.as_bytes()[self.at..].starts_with(rest.as_bytes());
        self.at += rest.len();
        if found { Ok(()) } else { Err(ScanError::Syntax) }
    }

    /// Behind the quote that opens a string: goes behind the one that closes it.
    fn string(&mut self) -> Result<(), ScanError> {
        let bytes = self.text.as_bytes();
        loop {
            self.at += plain_bytes(&bytes[self.at..]);
            let special = bytes.get(self.at);
            self.at += 1;
            match special {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape()?,
                _ => return Err(ScanError::Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 1,
            Some(b'u') if rest.get(1..5).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => 5,
            _ => return Err(ScanError::Syntax),
        };
        self.at += length;
        Ok(())
    }

    /// Behind the first byte of a number.
    fn number(&mut self, first: u8) -> Result<(), ScanError> {
        let first = if first == b'-' { self.token_here() } else { Some(first) };
        match first {
            Some(b'0') => {}
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(ScanError::Syntax),
        }
        if self.here() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.here(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.here(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn here(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn token_here(&mut self) -> Option<u8> {
        let byte = self.here();
        self.at += 1;
        byte
    }

    fn digits(&mut self) {
        while matches!(self.here(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        self.digits();
        if self.at > start { Ok(()) } else { Err(ScanError::Syntax) }
    }
}

/// Which of the open levels are objects; the others are lists.
#[derive(Debug, Default)]
struct Levels {
    depth: usize,
    objects: SmallVec<[u64; 2]>,
}

impl Levels {
    fn push(&mut self, object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.objects.len() {
            self.objects.push(0);
        }
        self.objects[word] = self.objects[word] & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
    }

    /// Whether the innermost level is an object. There must be one.
    fn in_object(&self) -> bool {
        let (word, bit) = ((self.depth - 1) / 64, (self.depth - 1) % 64);
        self.objects[word] >> bit & 1 == 1
    }
}

/// How many bytes at the front stand for themselves inside a string: no quote, no backslash, no control
/// character.
fn plain_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..at + 8) {
        let special = special_bytes(word);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
        // A string that is longer than its first eight bytes is often long: many at once.
        while bytes
            .get(at..at + 32)
            .is_some_and(|many| many.iter().fold(true, |all, byte| all & is_plain(*byte)))
        {
            at += 32;
        }
    }
    at + bytes[at..].iter().take_while(|byte| is_plain(**byte)).count()
}

fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// The highest bit of each of eight bytes that is not plain. Above the first of them, a plain byte may be
/// marked too.
fn special_bytes(eight: &[u8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut bytes = [0; 8];
    bytes.copy_from_slice(eight);
    let word = u64::from_le_bytes(bytes);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')))) & (ONES * 0x80)
}

/// What stands between the quotes of a string that passed; `None` if half of a surrogate pair stands alone in
/// it.
fn unescaped(inside: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(&format!("\"{inside}\"")).ok().map(Cow::Owned)
}

/// The text that a value which passed means; `None` if it is no string of Unicode characters.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    unescaped(value.strip_prefix('"')?.strip_suffix('"')?)
}

/// Says what is wrong with a text that did not pass as an object, and where.
pub(crate) fn explain(text: &str) -> String {
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => error.to_string(),
        Ok(_) => "it is no JSON object".into(),
    }
}

#[cfg(test)]
mod tests;
