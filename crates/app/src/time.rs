//! Times as the APIs write and read them: ISO-8601 in UTC with milliseconds, `2025-01-23T10:00:03.000Z`.

use anywire_log::Timestamp;

/// A time as it is answered.
#[must_use]
pub fn iso(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.as_millis()) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        // Outside the years −9999 to 9999 there is no calendar; the number is better than nothing.
        Err(_) => time.as_millis().to_string(),
    }
}

/// The time of an ISO-8601 text with a zone, or of a number of milliseconds since 1970.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let millis =
        text.parse().ok().or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()))?;
    Some(Timestamp::from_millis(millis))
}

/// Whether there is a date for it: within the years −9999 to 9999. Spans between such times do not overflow.
#[must_use]
pub fn in_calendar(time: Timestamp) -> bool {
    jiff::Timestamp::from_millisecond(time.as_millis()).is_ok()
}

/// A time as HTTP headers write it: `Thu, 23 Jan 2025 10:00:03 GMT`.
#[must_use]
pub fn http_date(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.as_millis())
        .map(|time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}

/// `#[serde(with = "anywire_app::time::iso_text")]`: a [`Timestamp`] as [`iso`] writes it.
pub mod iso_text {
    use anywire_log::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes a time.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::iso(*time))
    }

    /// Reads a time.
    ///
    /// # Errors
    /// A text that is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        super::parse_time(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no ISO-8601 time")))
    }
}

/// The same for a time that may be missing; it is only written.
pub mod iso_text_or_null {
    use anywire_log::Timestamp;
    use serde::Serializer;

    /// Writes a time or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::iso_text::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// `#[serde(with = "anywire_app::time::iso_millis")]`: milliseconds since 1970 in memory, as [`iso`] writes
/// them.
pub mod iso_millis {
    use anywire_log::Timestamp;
    use serde::{Deserializer, Serializer};

    /// Writes a time.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        super::iso_text::serialize(&Timestamp::from_millis(*millis), serializer)
    }

    /// Reads a time.
    ///
    /// # Errors
    /// A text that is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        super::iso_text::deserialize(deserializer).map(Timestamp::as_millis)
    }
}

/// `#[serde(with = "anywire_app::time::millis")]`: a [`Timestamp`] as a number, as stored events have it.
pub mod millis {
    use anywire_log::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a time.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_millis())
    }

    /// Reads a time.
    ///
    /// # Errors
    /// What is no number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_and_read_from_any_zone() {
        let time = Timestamp::from_millis(1_737_626_403_000);
        assert_eq!(iso(time), "2025-01-23T10:00:03.000Z");
        assert_eq!(http_date(time), "Thu, 23 Jan 2025 10:00:03 GMT");
        assert_eq!(parse_time("2025-01-23T17:00:03+07:00"), Some(time));
        assert_eq!(parse_time("1737626403000"), Some(time));
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn a_time_without_a_date_is_shown_as_its_number() {
        let time = Timestamp::from_millis(i64::MAX);
        assert_eq!((iso(time), in_calendar(time)), (i64::MAX.to_string(), false));
    }
}
