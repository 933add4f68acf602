//! Times as the API writes and reads them.
//!
//! Knows: ISO-8601. Does not know: what the time is.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// ISO-8601 in UTC with milliseconds: `2025-01-23T10:00:03.000Z`.
pub(crate) fn iso(millis: i64) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        // Outside the years −9999 to 9999 there is no calendar; the number is better than nothing.
        Err(_) => millis.to_string(),
    }
}

/// Milliseconds since 1970 of an ISO-8601 time with a zone, or of a number that is already that.
pub(crate) fn parse(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}

/// Whether there is a date for it: within the years −9999 to 9999. Spans between such times do not overflow.
pub(crate) fn in_calendar(millis: i64) -> bool {
    jiff::Timestamp::from_millisecond(millis).is_ok()
}

/// How times stand in samples.
pub(crate) mod iso_text {
    use super::{Deserialize, Deserializer, Error, Serializer, iso, parse};

    pub(crate) fn serialize<S: Serializer>(millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&iso(*millis))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no ISO-8601 time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_and_read_from_any_zone() {
        assert_eq!(iso(1_737_626_403_000), "2025-01-23T10:00:03.000Z");
        assert_eq!(parse("2025-01-23T17:00:03+07:00"), Some(1_737_626_403_000));
        assert_eq!(parse("1737626403000"), Some(1_737_626_403_000));
        assert_eq!(parse("yesterday"), None);
    }
}
