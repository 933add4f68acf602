//! Hashes as text, and texts that nobody can guess.

use anywire_access::Hash;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

/// A hash in hexadecimal.
pub(crate) fn write(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash that was written so.
pub(crate) fn read(text: &str) -> Option<Hash> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().ok()
}

/// 256 bits that nobody can guess, as text.
pub(crate) fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// A name that nothing else ever had.
pub(crate) fn id() -> Result<String, getrandom::Error> {
    Ok(format!("{:016x}", getrandom::u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_they_are_written_and_nothing_else_is() {
        let hash = anywire_access::hash("a");
        assert_eq!(read(&write(&hash)), Some(hash));
        for wrong in ["", "0", &"g".repeat(64), &"é".repeat(32), &"0".repeat(66)] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_ne!(secret().expect("randomness"), secret().expect("randomness"));
        assert_eq!(id().expect("randomness").len(), 16);
    }
}
