//! In which encoding a file is: a mark says it, or the zeros of UTF-16, or that its bytes are UTF-8; else it
//! is guessed.

use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, MACINTOSH, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, WINDOWS_1258};

use crate::{
    bytes::chunks,
    step::{StepError, Ticker},
};

/// How many bytes beyond ASCII, with what stands around them, a guess is made from.
const GUESS_BYTES: usize = 64 << 10;
/// As many bytes that continue a good sequence of UTF-8 make a bad one a fault of the file, not of the
/// guess: three sequences of two bytes, two of three, or one of four. In another encoding they hardly come by
/// chance, the longer the less.
const GOOD_FOR_ONE_BAD: u64 = 3;

/// An encoding and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) encoding: &'static Encoding,
    /// The file begins with a byte order mark.
    pub(crate) bom: bool,
    /// Nothing in the file says it for certain.
    pub(crate) guessed: bool,
}

/// Finds the encoding of a file of which `sample` is the beginning.
pub(crate) fn find(path: &Path, sample: &[u8], ticker: &Ticker) -> Result<Found, StepError> {
    if let Some(found) = by_mark(sample).or_else(|| by_zeros(sample)) {
        return Ok(found);
    }
    let mut bytes = Bytes::default();
    chunks(path, ticker, |chunk| {
        bytes.feed(chunk);
        Ok(())
    })?;
    Ok(bytes.decide())
}

/// What the first bytes say for certain.
pub(crate) fn by_mark(sample: &[u8]) -> Option<Found> {
    Encoding::for_bom(sample).map(|(encoding, _)| Found { encoding, bom: true, guessed: false })
}

/// UTF-16 without a mark: in most texts every other byte is zero.
pub(crate) fn by_zeros(sample: &[u8]) -> Option<Found> {
    let pairs = sample.len() / 2;
    let zeros = |side: usize| sample.chunks_exact(2).filter(|pair| pair[side] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let most = |count: usize| pairs > 2 && count * 10 > pairs * 4;
    let encoding = match (most(first), most(second)) {
        (true, false) if second * 20 < first => UTF_16BE,
        (false, true) if first * 20 < second => UTF_16LE,
        _ => return None,
    };
    Some(Found { encoding, bom: false, guessed: false })
}

/// What the bytes of a file are like, chunk by chunk.
#[derive(Debug, Default)]
struct Bytes {
    /// The beginning of a character whose end is in the next chunk.
    carried: Vec<u8>,
    /// Bytes that continue sequences of UTF-8.
    good: u64,
    /// Sequences that are none.
    bad: u64,
    /// Bytes beyond ASCII with what stands around them.
    odd: Vec<u8>,
}

impl Bytes {
    fn feed(&mut self, chunk: &[u8]) {
        if self.carried.is_empty() && chunk.is_ascii() {
            return;
        }
        self.collect(chunk);
        let joined;
        let mut rest = if self.carried.is_empty() {
            chunk
        } else {
            joined = [&self.carried, chunk].concat();
            self.carried.clear();
            &joined
        };
        while !rest.is_empty() {
            let (valid, after) = match std::str::from_utf8(rest) {
                Ok(text) => (text, &[][..]),
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    let Some(len) = error.error_len() else {
                        self.carried = after.to_vec();
                        self.count(valid);
                        return;
                    };
                    self.bad += 1;
                    (std::str::from_utf8(valid).unwrap_or_default(), &after[len..])
                }
            };
            self.count(valid.as_bytes());
            rest = after;
        }
    }

    fn count(&mut self, valid: &[u8]) {
        self.good += valid.iter().filter(|byte| matches!(byte, 0x80..0xc0)).count() as u64;
    }

    /// Keeps what a guess can be made from: what is not ASCII, with a few bytes around it.
    fn collect(&mut self, chunk: &[u8]) {
        const AROUND: usize = 12;
        let mut kept = 0;
        for at in chunk.iter().enumerate().filter(|(_, byte)| **byte >= 0x80).map(|(at, _)| at) {
            if self.odd.len() >= GUESS_BYTES {
                return;
            }
            let from = at.saturating_sub(AROUND).max(kept);
            let to = (at + AROUND).min(chunk.len());
            if from < to {
                self.odd.extend_from_slice(&chunk[from..to]);
                kept = to;
            }
        }
    }

    fn decide(mut self) -> Found {
        // A character that was cut off at the very end.
        self.bad += u64::from(!self.carried.is_empty());
        if self.bad == 0 || self.good >= self.bad * GOOD_FOR_ONE_BAD {
            return Found { encoding: UTF_8, bom: false, guessed: self.bad > 0 };
        }
        Found { encoding: guess(&self.odd), bom: false, guessed: true }
    }
}

fn guess(odd: &[u8]) -> &'static Encoding {
    if is_macintosh(odd) {
        return MACINTOSH;
    }
    if is_vietnamese(odd) {
        return WINDOWS_1258;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(odd, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    // The most common of those that read these bytes alike.
    let text = |encoding: &'static Encoding| encoding.decode_without_bom_handling(odd).0;
    if text(guess) == text(WINDOWS_1252) || (guess.is_single_byte() && are_few_vowels(odd)) {
        return WINDOWS_1252;
    }
    guess
}

/// A handful of vowels with the accents that Western languages and Vietnamese share is too little for a guess
/// beyond the most common encoding.
fn are_few_vowels(odd: &[u8]) -> bool {
    const FEW: usize = 6;
    let vowel = |byte: &u8| matches!(byte | 0x20, 0xe0..=0xe3 | 0xe8..=0xea | 0xec | 0xed | 0xf2..=0xf5 | 0xf9 | 0xfa | 0xfd);
    let mut high = odd.iter().filter(|byte| **byte >= 0x80);
    high.clone().count() < FEW && high.all(|byte| *byte >= 0xc0 && vowel(byte))
}

/// The accented small letters of the old Macintosh are capitals and signs of other encodings, which do not
/// stand right after a small letter.
fn is_macintosh(odd: &[u8]) -> bool {
    let capital_or_sign = |byte: u8| matches!(byte, 0x81..=0x84 | 0x86..=0x91 | 0x98 | 0x9d | 0x9f);
    let inside =
        odd.windows(2).filter(|pair| pair[0].is_ascii_lowercase() && capital_or_sign(pair[1])).count();
    let high = odd.iter().filter(|byte| **byte >= 0x80).count();
    inside * 2 > high
}

/// Windows-1258 writes tones as bytes of their own after vowels, and has đ, ơ, ư. The same bytes are letters
/// of other languages, so only with tones or with đ beside ơ and ư is it Vietnamese.
fn is_vietnamese(odd: &[u8]) -> bool {
    let tone = |c: u8| matches!(c, 0xcc | 0xd2 | 0xde | 0xec | 0xf2);
    let vowel = |c: u8| b"aeiouyAEIOUY\xe2\xe3\xea\xf4\xf5\xfd\xc2\xc3\xca\xd4\xd5\xdd".contains(&c);
    let tones = odd.windows(2).filter(|pair| vowel(pair[0]) && tone(pair[1])).count();
    let letters = odd.iter().filter(|c| matches!(c, 0xf0 | 0xf5 | 0xfd | 0xd0)).count();
    let high = odd.iter().filter(|c| **c >= 0x80).count();
    tones > 0 && (tones * 2 + letters) * 3 > high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(chunks: &[&[u8]]) -> (String, bool, &'static str) {
        let mut bytes = Bytes::default();
        chunks.iter().for_each(|chunk| bytes.feed(chunk));
        let found = bytes.decide();
        let whole = chunks.concat();
        let text = found.encoding.decode_without_bom_handling(&whole).0.into_owned();
        (text, found.guessed, found.encoding.name())
    }

    fn check(bytes: &[u8], text: &str, guessed: bool, name: &str) {
        assert_eq!(decide(&[bytes]), (text.to_owned(), guessed, name));
        for cut in 0..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(decide(&[first, second]).2, name, "cut at {cut}");
        }
    }

    #[test]
    fn utf8_with_a_bad_byte_is_still_utf8() {
        check("tên,giá\nvàng\n".as_bytes(), "tên,giá\nvàng\n", false, "UTF-8");
        let one = [&b"x\xff\n"[..], "tên,giá\nvàng\n".as_bytes()].concat();
        check(&one, "x\u{fffd}\ntên,giá\nvàng\n", true, "UTF-8");
        check(b"plain", "plain", false, "UTF-8");
    }

    #[test]
    fn long_sequences_weigh_more_than_short_ones() {
        let vietnamese = ["id,n\n1,Nguyễn\n2,caf", "\n3,Trần\n"].map(str::as_bytes).join(&0xe9);
        check(&vietnamese, "id,n\n1,Nguyễn\n2,caf\u{fffd}\n3,Trần\n", true, "UTF-8");
        let emoji = ["😀\ncaf", "\n"].map(str::as_bytes).join(&0xe9);
        check(&emoji, "😀\ncaf\u{fffd}\n", true, "UTF-8");
        // Two letters that happen to be a sequence of two bytes are no proof, nor is one of three.
        for text in [&b"\xc3\xa9,caf\xe9,pr\xe9nom,\xfcber\n"[..], b"\xe2\x80\x9cx\xe9, pr\xe9nom\n"] {
            assert_ne!(decide(&[text]).2, "UTF-8");
        }
    }

    #[test]
    fn other_encodings_are_guessed() {
        let cyrillic = b"\xe8\xec\xff;\xe3\xee\xf0\xee\xe4\n\xc8\xe2\xe0\xed;\xcc\xee\xf1\xea\xe2\xe0\n";
        check(cyrillic, "имя;город\nИван;Москва\n", true, "windows-1251");
        let japanese = encoding_rs::SHIFT_JIS.encode("名前,都市\n太郎,東京\n花子,大阪\n").0;
        assert_eq!(decide(&[&japanese]).0, "名前,都市\n太郎,東京\n花子,大阪\n");
        let estonian = b"P\xf5lva,1\nV\xf5ru,2\nK\xf5rgessaare,3\n\xd5ism\xe4e,4\n";
        check(estonian, "Põlva,1\nVõru,2\nKõrgessaare,3\nÕismäe,4\n", true, "windows-1252");
        check(b"t\xean;gi\xe1\nv\xe0ng\nb\xe1c\n", "tên;giá\nvàng\nbác\n", true, "windows-1252");
        check(b"pr\x8enom\nZo\x8e\nOrl\x8eans\n", "prénom\nZoé\nOrléans\n", true, "macintosh");
        check(b"caf\xe9,pr\xe9nom\nna\xefve,\xfcber\n", "café,prénom\nnaïve,über\n", true, "windows-1252");
        assert_eq!(decide(&[b"it\x92s \x96 a test\x85 \x80 5\n"]).2, "windows-1252");
        // "tên,Đường\nviệt,ước" as windows-1258 writes it.
        assert_eq!(decide(&[b"t\xean,\xd0\xfd\xf5\xccng\nvi\xea\xf2t,\xfd\xf5\xecc\n"]).2, "windows-1258");
    }

    #[test]
    fn utf16_is_known_by_its_mark_or_by_its_zeros() {
        let text: Vec<u8> = "name,price\ngold,1\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(by_zeros(&text).map(|found| found.encoding), Some(UTF_16BE));
        assert_eq!(by_mark(b"\xff\xfea\0").map(|found| found.bom), Some(true));
        assert_eq!(by_zeros(b"name,price\n"), None);
    }
}
