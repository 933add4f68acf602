//! Numbers and times as programs write them.

use std::sync::LazyLock;

use regex::Regex;

/// Thousands as English writes them: `1,234` is none of a share's numbers.
const THOUSANDS: &str = r"^[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$";

pub(super) fn literal(pattern: &str) -> Regex {
    Regex::new(pattern).expect("our own pattern, held by a test")
}

/// `00:01:02.50` in microseconds.
pub(super) fn clock_us(text: &str) -> Option<u64> {
    let mut seconds = 0.0;
    for part in text.trim().split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok().filter(|part| *part >= 0.0)?;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be positive; `as` saturates"
    )]
    Some((seconds * 1e6) as u64)
}

pub(super) fn share(text: &str) -> Option<f64> {
    figure(text).filter(|percent| (0.0..=100.0).contains(percent))
}

/// A number as people write it: `1,234` is a thousand and more, `12,5` twelve and a half.
pub(super) fn figure(text: &str) -> Option<f64> {
    static THOUSANDS_RE: LazyLock<Regex> = LazyLock::new(|| literal(THOUSANDS));
    let plain = if THOUSANDS_RE.is_match(text) { text.replace(',', "") } else { text.replace(',', ".") };
    plain.parse().ok()
}
