//! The parameters of a request. Unknown ones are left alone, since a token may come this way; a value that
//! does not fit is refused with its name, itself and what is expected, and so is one that stands there twice.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use anywire_codes::{Code, query::Members, sse};
use anywire_log::{Cursor, CursorError, Position, Timestamp};
use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};

use super::{ApiError, invalid};
use crate::time::{in_calendar, parse_time};

/// The parameters of a request, as an extractor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Members);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Self::of(&parts.uri)
    }
}

impl Query {
    /// The parameters of an address.
    ///
    /// # Errors
    /// `invalid_request`: bytes that are no UTF-8, with the parameter.
    pub fn of(uri: &Uri) -> Result<Self, ApiError> {
        Ok(Self(Members::parse(uri.query().unwrap_or_default())?))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter()
    }

    /// The value of a parameter that stands there once.
    ///
    /// # Errors
    /// `invalid_request` if it stands there more than once.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        Ok(self.0.text(name)?)
    }

    /// Where a stream goes on, also by the header `Last-Event-ID`.
    ///
    /// # Errors
    /// `invalid_cursor`; `invalid_request` if a parameter stands there more than once.
    pub fn start(&self, last_event_id: Option<&str>) -> Result<Option<Position>, ApiError> {
        Ok(sse::start(last_event_id, self.0.last_event_id()?, self.0.text("after")?)?)
    }

    /// A value that its type parses, with words for what is expected.
    ///
    /// # Errors
    /// `invalid_request`, with name, value and what is expected.
    pub fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, ApiError> {
        self.fitting(name, expected, |text| text.parse().ok())
    }

    /// A whole number within a range.
    ///
    /// # Errors
    /// `invalid_request`, with name, value and range.
    pub fn number<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, ApiError> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.fitting(name, &expected, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    /// One of a few words; an empty value counts as none.
    ///
    /// # Errors
    /// `invalid_request`, with name, value and the words.
    pub fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, ApiError> {
        if self.text(name)?.is_none_or(str::is_empty) {
            return Ok(None);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.fitting(name, &format!("one of {}", known.join(", ")), |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
        })
    }

    /// A time that has a date.
    ///
    /// # Errors
    /// `invalid_request`, with name, value and what is expected.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let expected = "an ISO-8601 time such as 2026-01-23T10:00:00Z, or milliseconds since 1970";
        self.fitting(name, expected, |text| parse_time(text).filter(|time| in_calendar(*time)))
    }

    /// A cursor; `0` is the oldest place and no cursor of any log.
    ///
    /// # Errors
    /// `invalid_cursor`.
    pub fn cursor(&self, name: &str) -> Result<Option<After>, ApiError> {
        match self.text(name)? {
            None => Ok(None),
            Some("0") => Ok(Some(After::Oldest)),
            Some(text) => match text.parse() {
                Ok(cursor) => Ok(Some(After::Cursor(cursor))),
                Err(error @ CursorError { .. }) => Err(ApiError::new(Code::InvalidCursor, error.to_string())),
            },
        }
    }

    /// A value that `read` makes of its text.
    ///
    /// # Errors
    /// `invalid_request`, with name, value and what is expected.
    pub fn fitting<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let shown: String = text.chars().take(80).collect();
        let wrong = || invalid(format!("{name:?} is {shown:?}; expected {expected}"));
        read(text).map(Some).ok_or_else(wrong)
    }
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// With the oldest that is kept.
    Oldest,
    /// After a cursor.
    Cursor(Cursor),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/?{text}").parse().expect("an address")).expect("a query")
    }

    #[track_caller]
    fn refused<T: std::fmt::Debug>(found: Result<T, ApiError>, message: &str) {
        assert_eq!(found.expect_err("it does not fit").message(), message);
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_with_what_is_expected() {
        let asked = query("limit=0&token=x&state=gone&from=yesterday&after=7");
        refused(asked.number("limit", 1..=500), r#""limit" is "0"; expected a whole number from 1 to 500"#);
        refused(
            asked.one_of("state", &[("open", 1), ("done", 2)]),
            r#""state" is "gone"; expected one of open, done"#,
        );
        refused(
            asked.time("from"),
            "\"from\" is \"yesterday\"; expected an ISO-8601 time such as 2026-01-23T10:00:00Z, or milliseconds since 1970",
        );
        assert_eq!(asked.cursor("after").expect_err("no cursor").code(), Code::InvalidCursor);
        assert_eq!(asked.number::<u32>("before", 0..=1).map(|found| found.is_none()), Ok(true));
    }

    #[test]
    fn a_parameter_that_stands_there_twice_or_is_no_text_is_refused() {
        let asked = query("limit=5&limit=7&state=&x=1&x=2");
        refused(
            asked.number("limit", 1..=10),
            r#""limit" stands in the address more than once; give it once"#,
        );
        assert_eq!(asked.one_of("state", &[("open", 1)]), Ok(None));
        let broken = Query::of(&"/?state=%ff".parse().expect("an address"));
        refused(broken, r#""state" is "%ff", which is no UTF-8; escape the bytes of UTF-8"#);
    }
}
