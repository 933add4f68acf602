//! Bytes of any supported encoding come out as UTF-8, a chunk at a time.
//!
//! Invariant: what comes out is valid UTF-8 (a sequence that means nothing becomes U+FFFD).

use std::io::{self, Read};

use encoding_rs::{CoderResult, Decoder, Encoding};

const CHUNK_BYTES: usize = 128 << 10;

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
}

impl<R: Read> Decoded<R> {
    /// Decodes what `inner` gives. A byte order mark is left out.
    pub(crate) fn new(inner: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        let raw = vec![0; CHUNK_BYTES].into_boxed_slice();
        Self { inner, decoder, raw, from: 0, to: 0, ended: false, done: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.from == self.to && !self.ended {
            self.from = 0;
            self.to = self.inner.read(&mut self.raw)?;
            self.ended = self.to == 0;
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    /// `out` must hold at least a few characters; CSV readers give large buffers.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.done {
            self.fill()?;
            let input = &self.raw[self.from..self.to];
            let (result, read, written, _replaced) = self.decoder.decode_to_utf8(input, out, self.ended);
            self.from += read;
            self.done = self.ended && result == CoderResult::InputEmpty;
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

    fn decoded(bytes: &[u8], encoding: &'static Encoding) -> String {
        let mut reader = Decoded::new(Drip(bytes), encoding);
        let (mut text, mut buffer) = (Vec::new(), [0; 16]);
        loop {
            match reader.read(&mut buffer).expect("reads") {
                0 => return String::from_utf8(text).expect("UTF-8"),
                count => text.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn every_encoding_comes_out_as_utf8_however_the_bytes_are_split() {
        let utf16: Vec<u8> = "\u{feff}Giá,Đơn\n😀".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(&utf16, encoding_rs::UTF_16LE), "Giá,Đơn\n😀");
        assert_eq!(decoded("\u{feff}Giá".as_bytes(), encoding_rs::UTF_8), "Giá");
        assert_eq!(decoded(b"caf\xe9", encoding_rs::WINDOWS_1252), "café");
        assert_eq!(decoded(b"\xf0\xf5n", encoding_rs::WINDOWS_1258), "đơn");
        assert_eq!(decoded(b"a\xffb", encoding_rs::UTF_8), "a\u{fffd}b");
    }
}
