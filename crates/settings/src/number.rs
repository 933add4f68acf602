//! Numbers as people read them, with the unit that their key names.

const TIMES: [(u64, &str); 4] =
    [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
const SIZES: [(u64, &str); 5] =
    [(1 << 50, "PiB"), (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

/// The value of a setting in the unit of its key, and what that is in a larger one: `60 000 ms (1 minute)`.
#[must_use]
pub fn written(key: &str, value: u64) -> String {
    let number = grouped(value);
    let plural = if value == 1 { "" } else { "s" };
    let name = key.rsplit('.').next().unwrap_or(key);
    if name.split('_').any(|word| word == "ms") {
        return match larger(value, &TIMES) {
            Some((1, unit)) => format!("{number} ms (1 {unit})"),
            Some((count, unit)) => format!("{number} ms ({} {unit}s)", grouped(count)),
            None => format!("{number} ms"),
        };
    }
    if name.split('_').any(|word| word == "bytes") {
        return match larger(value, &SIZES) {
            Some((count, unit)) => format!("{number} bytes ({} {unit})", grouped(count)),
            None => format!("{number} byte{plural}"),
        };
    }
    number
}

/// The largest unit that a value is a multiple of, and how often it holds that.
fn larger(value: u64, units: &[(u64, &'static str)]) -> Option<(u64, &'static str)> {
    let fits = |(size, _): &&(u64, &'static str)| value > 0 && value.is_multiple_of(*size);
    units.iter().find(fits).map(|(size, unit)| (value / size, *unit))
}

/// Digits in groups of three.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_the_unit_that_its_key_names() {
        for (key, value, expected) in [
            ("limits.channels_max", 0, "0"),
            ("limits.channels_max", 19_000, "19 000"),
            ("heartbeat_ms", 250, "250 ms"),
            ("heartbeat_ms", 25_000, "25 000 ms (25 seconds)"),
            ("retry_ms_max", 60_000, "60 000 ms (1 minute)"),
            ("stop_ms", 0, "0 ms"),
            ("keep_ms", 365 * 86_400_000, "31 536 000 000 ms (365 days)"),
            ("tail.bytes_max", 1, "1 byte"),
            ("tail.bytes_max", 1_000_000, "1 000 000 bytes"),
            ("tail.bytes_max", 64 << 20, "67 108 864 bytes (64 MiB)"),
            ("forms_max", 1_000, "1 000"),
        ] {
            assert_eq!(written(key, value), expected, "{key}");
        }
    }
}
