//! The `Date` of answers (RFC 9110, section 6.6.1): made once a second and thread.

use std::{
    cell::Cell,
    io::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
const BYTES: usize = 29;

thread_local! {
    static LAST: Cell<(u64, [u8; BYTES])> = const { Cell::new((u64::MAX, [0; BYTES])) };
}

/// The time of now as HTTP writes it.
pub(super) fn now() -> [u8; BYTES] {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    LAST.with(|last| {
        let (known, text) = last.get();
        if known == second {
            return text;
        }
        let fresh = text_of(second);
        last.set((second, fresh));
        fresh
    })
}

fn text_of(second: u64) -> [u8; BYTES] {
    let mut text = [b' '; BYTES];
    let time = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
    // Its length is always the same; what does not fit would be left out.
    let _fits = write!(&mut text[..], "{time}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_written_as_the_rfc_has_it() {
        assert_eq!(&text_of(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(now().len(), BYTES);
    }
}
