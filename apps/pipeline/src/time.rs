//! Times as the API writes them.

use anywire_log::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// ISO-8601 in UTC with milliseconds: `2025-01-23T10:00:03.000Z`.
pub(crate) fn iso(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.as_millis()) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        // Outside the years −9999 to 9999 there is no calendar; the number is better than nothing.
        Err(_) => time.as_millis().to_string(),
    }
}

pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso(*time))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
    Ok(Timestamp::from_millis(time.as_millisecond()))
}

/// The same for a time that may be missing.
pub(crate) mod maybe {
    use anywire_log::Timestamp;
    use serde::Serializer;

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_in_utc() {
        assert_eq!(iso(Timestamp::from_millis(1_737_626_403_000)), "2025-01-23T10:00:03.000Z");
    }
}
