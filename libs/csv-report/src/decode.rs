//! Bytes of any supported encoding come out as UTF-8, a chunk at a time.
//!
//! Invariant: what comes out is valid UTF-8. A sequence that means nothing becomes U+FFFD, and its place in
//! the text is remembered.

use std::{
    collections::VecDeque,
    io::{self, Read},
};

use encoding_rs::{Decoder, DecoderResult, Encoding};

const CHUNK_BYTES: usize = 128 << 10;
/// How many places of broken bytes are remembered at once; the others are counted.
const PLACES_MAX: usize = 64;
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// A reader that decodes.
pub(crate) struct Decoded<R> {
    inner: R,
    decoder: Decoder,
    raw: Box<[u8]>,
    /// What of `raw` is not decoded yet.
    from: usize,
    to: usize,
    ended: bool,
    done: bool,
    /// A replacement that did not fit into the last buffer.
    owed: bool,
    /// Bytes of text that came out.
    written: u64,
    broken: Broken,
}

/// The sequences that mean nothing in the encoding.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    /// How many there are so far.
    pub(crate) count: u64,
    /// Where their replacements stand in the text, the earliest that nobody took yet first.
    pub(crate) places: VecDeque<u64>,
}

impl<R: Read> Decoded<R> {
    /// Decodes what `inner` gives. A byte order mark is left out.
    pub(crate) fn new(inner: R, encoding: &'static Encoding) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_with_bom_removal(),
            raw: vec![0; CHUNK_BYTES].into_boxed_slice(),
            from: 0,
            to: 0,
            ended: false,
            done: false,
            owed: false,
            written: 0,
            broken: Broken::default(),
        }
    }

    /// What could not be decoded so far.
    pub(crate) fn broken(&mut self) -> &mut Broken {
        &mut self.broken
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.from == self.to && !self.ended {
            self.from = 0;
            self.to = self.inner.read(&mut self.raw)?;
            self.ended = self.to == 0;
        }
        Ok(())
    }

    /// Decodes into `out` until it is full or the next bytes are needed.
    fn decode(&mut self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        loop {
            if self.owed && !self.replace(out, &mut filled) {
                return filled;
            }
            let input = &self.raw[self.from..self.to];
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(input, &mut out[filled..], self.ended);
            self.from += read;
            filled += written;
            self.written += written as u64;
            match result {
                DecoderResult::InputEmpty => {
                    self.done = self.ended;
                    return filled;
                }
                DecoderResult::OutputFull => return filled,
                DecoderResult::Malformed(..) => self.owed = true,
            }
        }
    }

    /// False when there is no room for it.
    fn replace(&mut self, out: &mut [u8], filled: &mut usize) -> bool {
        let Some(room) = out.get_mut(*filled..*filled + REPLACEMENT.len()) else { return false };
        room.copy_from_slice(REPLACEMENT);
        self.broken.count += 1;
        if self.broken.places.len() < PLACES_MAX {
            self.broken.places.push_back(self.written);
        }
        *filled += REPLACEMENT.len();
        self.written += REPLACEMENT.len() as u64;
        self.owed = false;
        true
    }
}

impl<R: Read> Read for Decoded<R> {
    /// `out` must hold at least a few characters; the reader of rows gives large buffers.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.done {
            self.fill()?;
            let written = self.decode(out);
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            out[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn decoded(bytes: &[u8], encoding: &'static Encoding) -> (String, u64, Vec<u64>) {
        let mut reader = Decoded::new(Drip(bytes), encoding);
        let (mut text, mut buffer) = (Vec::new(), [0; 16]);
        loop {
            match reader.read(&mut buffer).expect("reads") {
                0 => break,
                count => text.extend_from_slice(&buffer[..count]),
            }
        }
        let broken = reader.broken();
        let places = broken.places.iter().copied().collect();
        (String::from_utf8(text).expect("UTF-8"), broken.count, places)
    }

    #[test]
    fn every_encoding_comes_out_as_utf8_however_the_bytes_are_split() {
        let whole = |text: &str| (text.to_owned(), 0, Vec::new());
        let utf16: Vec<u8> = "\u{feff}Giá,Đơn\n😀".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(&utf16, encoding_rs::UTF_16LE), whole("Giá,Đơn\n😀"));
        assert_eq!(decoded("\u{feff}Giá".as_bytes(), encoding_rs::UTF_8), whole("Giá"));
        assert_eq!(decoded(b"caf\xe9", encoding_rs::WINDOWS_1252), whole("café"));
        assert_eq!(decoded(b"\xf0\xf5n", encoding_rs::WINDOWS_1258), whole("đơn"));
    }

    #[test]
    fn bytes_that_mean_nothing_are_replaced_and_their_places_are_known() {
        let broken = decoded("đ\u{fffd}".as_bytes(), encoding_rs::UTF_8);
        assert_eq!(broken, ("đ\u{fffd}".to_owned(), 0, Vec::new()));
        let broken = decoded(b"a\xffb\xe1\xba", encoding_rs::UTF_8);
        assert_eq!(broken, ("a\u{fffd}b\u{fffd}".to_owned(), 2, vec![1, 5]));
    }
}
