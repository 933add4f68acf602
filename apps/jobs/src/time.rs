//! Times as the API writes them.

use anywire_log::Timestamp;

/// ISO-8601 in UTC with milliseconds: `2025-01-23T10:00:03.000Z`.
pub(crate) fn iso(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.as_millis()) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        // Outside the years −9999 to 9999 there is no calendar; the number is better than nothing.
        Err(_) => time.as_millis().to_string(),
    }
}

/// A time as HTTP headers write it: `Thu, 23 Jan 2025 10:00:03 GMT`.
pub(crate) fn http_date(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.as_millis())
        .map(|time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}

/// How times stand in stored events: milliseconds since 1970.
pub(crate) mod millis {
    use anywire_log::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_millis())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_in_utc() {
        assert_eq!(iso(Timestamp::from_millis(1_737_626_403_000)), "2025-01-23T10:00:03.000Z");
        assert_eq!(http_date(Timestamp::from_millis(1_737_626_403_000)), "Thu, 23 Jan 2025 10:00:03 GMT");
    }
}
