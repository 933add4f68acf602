//! One pass over a JSON text (RFC 8259): checks its grammar and hands out its pieces as they stand.
//!
//! Invariant: a text passes exactly if serde_json takes it. Nothing recurses; a level of nesting costs one
//! bit.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// Why a text does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// It is no JSON, or not the kind of JSON that was asked for.
    Syntax,
    /// It is nested deeper than it may be.
    Nesting,
    /// It has more elements than it may have.
    Count,
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
        self.at = space_end(bytes, self.at);
        bytes.get(self.at).copied()
    }

    /// Takes one value, whatever it is.
    pub(crate) fn value(&mut self) -> Result<&'a str, ScanError> {
        let bytes = self.text.as_bytes();
        let start = space_end(bytes, self.at);
        self.at = value_end(bytes, start, self.depth_max - self.depth)?;
        Ok(&self.text[start..self.at])
    }

    /// Takes one value of at most so many levels of its own, wherever it stands.
    pub(crate) fn value_within(&mut self, levels_max: usize) -> Result<&'a str, ScanError> {
        let bytes = self.text.as_bytes();
        let start = space_end(bytes, self.at);
        self.at = value_end(bytes, start, levels_max)?;
        Ok(&self.text[start..self.at])
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
        self.inside(b'{', b'}', |scan| {
            let name = scan.name()?;
            take(scan, &unescaped(name).unwrap_or(Cow::Borrowed(name)))
        })
    }

    /// Takes a list. `take` must take each element.
    pub(crate) fn elements(
        &mut self,
        take: impl FnMut(&mut Self) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.inside(b'[', b']', take)
    }

    /// Takes a list. `take` must take each of the first `count_max` elements; what comes after them is passed
    /// over at once, as one value is. True if nothing was.
    pub(crate) fn elements_up_to(
        &mut self,
        count_max: usize,
        mut take: impl FnMut(&mut Self) -> Result<(), ScanError>,
    ) -> Result<bool, ScanError> {
        let mut count = 0;
        self.elements(|scan| {
            count += 1;
            if count > count_max { scan.rest_of_list() } else { take(scan) }
        })?;
        Ok(count <= count_max)
    }

    /// Passes over the elements from here to the bracket that closes their list.
    fn rest_of_list(&mut self) -> Result<(), ScanError> {
        let mut levels = Levels::default();
        levels.open(false, 1)?;
        let levels_max = self.depth_max - self.depth + 1;
        self.at = values_end(self.text.as_bytes(), self.at, levels, levels_max)? - 1;
        Ok(())
    }

    /// Nothing but white space may be left.
    pub(crate) fn end(&mut self) -> Result<(), ScanError> {
        if self.peek().is_none() { Ok(()) } else { Err(ScanError::Syntax) }
    }

    /// From the bracket that opens to the one that closes; `take` takes what stands between commas.
    #[inline]
    fn inside(
        &mut self,
        open: u8,
        close: u8,
        mut take: impl FnMut(&mut Self) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        if self.token() != Some(open) {
            return Err(ScanError::Syntax);
        }
        if self.depth == self.depth_max {
            return Err(ScanError::Nesting);
        }
        self.depth += 1;
        if self.peek() == Some(close) {
            self.at += 1;
        } else {
            loop {
                #[cfg(test)]
                steps::count();
                take(self)?;
                match self.token() {
                    Some(b',') => {}
                    Some(byte) if byte == close => break,
                    _ => return Err(ScanError::Syntax),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn token(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    /// A member's name, as it stands between its quotes, with its colon.
    fn name(&mut self) -> Result<&'a str, ScanError> {
        let bytes = self.text.as_bytes();
        let start = space_end(bytes, self.at);
        let (end, value) = name_end(bytes, start)?;
        self.at = value;
        Ok(&self.text[start + 1..end - 1])
    }
}

/// The place behind something that was found sound.
type Place = Result<usize, ScanError>;

/// The place behind the value that begins at `at`, in at most so many levels.
fn value_end(bytes: &[u8], at: usize, depth_max: usize) -> Place {
    values_end(bytes, at, Levels::default(), depth_max)
}

/// The place behind all open levels, from where a value in the innermost of them begins.
#[inline]
fn values_end(bytes: &[u8], mut at: usize, mut levels: Levels, depth_max: usize) -> Place {
    loop {
        at = space_end(bytes, at);
        at = match bytes.get(at) {
            Some(b'"') => string_end(bytes, at + 1)?,
            Some(bracket @ (b'{' | b'[')) => {
                let object = *bracket == b'{';
                levels.open(object, depth_max)?;
                at = space_end(bytes, at + 1);
                if bytes.get(at) != Some(if object { &b'}' } else { &b']' }) {
                    at = if object { name_end(bytes, at)?.1 } else { at };
                    continue;
                }
                levels.close();
                at + 1
            }
            Some(first) => scalar_end(bytes, at, *first)?,
            None => return Err(ScanError::Syntax),
        };
        match levels_end(bytes, at, &mut levels)? {
            (end, false) => return Ok(end),
            (next, true) => at = next,
        }
    }
}

/// Behind a value: the place of the next one and true, or that behind all levels that end here and false.
#[inline]
fn levels_end(bytes: &[u8], mut at: usize, levels: &mut Levels) -> Result<(usize, bool), ScanError> {
    while levels.depth > 0 {
        at = space_end(bytes, at);
        match (bytes.get(at), levels.in_object()) {
            (Some(b','), true) => return Ok((name_end(bytes, space_end(bytes, at + 1))?.1, true)),
            (Some(b','), false) => return Ok((at + 1, true)),
            (Some(b'}'), true) | (Some(b']'), false) => levels.close(),
            _ => return Err(ScanError::Syntax),
        }
        at += 1;
    }
    Ok((at, false))
}

/// The open levels: which of them are objects; the others are lists.
#[derive(Debug, Default)]
struct Levels {
    depth: usize,
    /// One bit a level, the innermost lowest: of as many levels as are no multiple of 64, or of 64.
    bits: u64,
    /// The bits of the levels further out.
    outer: Vec<u64>,
}

impl Levels {
    #[inline]
    fn open(&mut self, object: bool, depth_max: usize) -> Result<(), ScanError> {
        if self.depth == depth_max {
            return Err(ScanError::Nesting);
        }
        if self.depth.is_multiple_of(64) && self.depth > 0 {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn close(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost level is an object.
    #[inline]
    fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }
}

#[inline]
fn space_end(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The places behind the name that begins at `at`, and behind its colon.
#[inline]
fn name_end(bytes: &[u8], at: usize) -> Result<(usize, usize), ScanError> {
    if bytes.get(at) != Some(&b'"') {
        return Err(ScanError::Syntax);
    }
    let end = string_end(bytes, at + 1)?;
    let colon = space_end(bytes, end);
    if bytes.get(colon) == Some(&b':') { Ok((end, colon + 1)) } else { Err(ScanError::Syntax) }
}

fn scalar_end(bytes: &[u8], at: usize, first: u8) -> Place {
    let literal = |literal: &str| {
        let end = at + literal.len();
        if bytes.get(at..end) == Some(literal.as_bytes()) { Ok(end) } else { Err(ScanError::Syntax) }
    };
    match first {
        b'-' => number_end(bytes, at + 1),
        b'0'..=b'9' => number_end(bytes, at),
        b't' => literal("true"),
        b'f' => literal("false"),
        b'n' => literal("null"),
        _ => Err(ScanError::Syntax),
    }
}

/// The place behind a number, from behind its minus sign.
fn number_end(bytes: &[u8], at: usize) -> Place {
    let mut at = match bytes.get(at) {
        Some(b'0') => at + 1,
        _ => digits_end(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let signed = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
        at = digits_end(bytes, at + 1 + usize::from(signed))?;
    }
    Ok(at)
}

/// The place behind one digit or more.
fn digits_end(bytes: &[u8], start: usize) -> Place {
    let mut at = start;
    while matches!(bytes.get(at), Some(b'0'..=b'9')) {
        at += 1;
    }
    if at > start { Ok(at) } else { Err(ScanError::Syntax) }
}

/// The place behind the quote that closes a string, from behind the one that opens it.
#[inline]
fn string_end(bytes: &[u8], at: usize) -> Place {
    // Most strings are short.
    if let Some(word) = bytes.get(at..at + 8) {
        let special = special_bytes(word);
        let end = at + special.trailing_zeros() as usize / 8;
        if special != 0 && bytes.get(end) == Some(&b'"') {
            return Ok(end + 1);
        }
    }
    long_string_end(bytes, at)
}

fn long_string_end(bytes: &[u8], mut at: usize) -> Place {
    loop {
        at += plain_bytes(&bytes[at..]);
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape_end(bytes, at + 1)?,
            _ => return Err(ScanError::Syntax),
        }
    }
}

fn escape_end(bytes: &[u8], at: usize) -> Place {
    match bytes.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => match bytes.get(at + 1..at + 5) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 5),
            _ => Err(ScanError::Syntax),
        },
        _ => Err(ScanError::Syntax),
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

/// How many elements and members were taken one by one: what a text costs beside one pass over it.
#[cfg(test)]
pub(crate) mod steps {
    use std::cell::Cell;

    thread_local!(static STEPS: Cell<usize> = const { Cell::new(0) });

    pub(super) fn count() {
        STEPS.set(STEPS.get() + 1);
    }

    /// How many steps this takes.
    pub(crate) fn of<T>(act: impl FnOnce() -> T) -> (usize, T) {
        STEPS.set(0);
        let done = act();
        (STEPS.get(), done)
    }
}

#[cfg(test)]
mod tests;
