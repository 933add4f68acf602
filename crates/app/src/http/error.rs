//! The one shape of an HTTP error (PROTOCOL.md, section 11): a code of the table, which has the status and
//! when to try again, and words for people.

use anywire_codes::{Code, Refusal};
use anywire_log::{AppendError, ReadError, TrimError};
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::DecideError;

/// An HTTP error with a code that clients act on and a message that people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    refusal: Refusal,
    status: Option<StatusCode>,
}

impl ApiError {
    /// An error. The message names the thing, its value and the way out.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Refusal::new(code, message).into()
    }

    /// The same with another status than its code has: where another protocol asks for one, as tus does for
    /// what is gone.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The same with more words at the end of its message.
    #[must_use]
    pub fn adding(mut self, words: &str) -> Self {
        self.refusal.message.push_str(words);
        self
    }

    /// The permanent code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.refusal.code
    }

    /// What people read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.refusal.message
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        let of_code = || StatusCode::from_u16(self.refusal.code.http_status());
        self.status.or_else(|| of_code().ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// When to try again, in milliseconds, where that is known.
    #[must_use]
    pub fn retry_ms(&self) -> Option<u32> {
        self.refusal.retry_ms
    }

    /// `{"code","message"}`.
    #[must_use]
    pub fn body(&self) -> String {
        self.refusal.body()
    }
}

/// An error in the form of a request.
#[must_use]
pub fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::InvalidRequest, message)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        // Caches may keep a 404 or 405 unasked (RFC 9111, section 4.2.2).
        let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        let mut response = (self.status(), headers, self.body()).into_response();
        if let Some(retry_ms) = self.refusal.retry_ms {
            response.headers_mut().insert(header::RETRY_AFTER, u64::from(retry_ms.div_ceil(1000)).into());
        }
        response
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        error.refusal
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, status: None }
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        Refusal::from(&error).into()
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Refusal::from(&error).into()
    }
}

impl From<TrimError> for ApiError {
    fn from(error: TrimError) -> Self {
        Refusal::from(&error).into()
    }
}

impl<R: Into<Self>> From<DecideError<R>> for ApiError {
    fn from(error: DecideError<R>) -> Self {
        match error {
            DecideError::Refused(refusal) => refusal.into(),
            DecideError::Append(error) => error.into(),
            DecideError::Stopped => Self::new(
                Code::ShuttingDown,
                "the server stopped before the change was decided; ask again after the restart",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: impl Into<ApiError>, status: u16, code: &str, retry_after: Option<&str>) {
        let error = error.into();
        assert_eq!(error.code().as_str(), code);
        let response = error.into_response();
        let header = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().expect("ASCII"));
        assert_eq!((response.status().as_u16(), header), (status, retry_after), "{code}");
    }

    #[test]
    fn what_the_log_says_has_one_status_and_one_code_whoever_asked() {
        let channel = anywire_log::Channel::new("a").expect("a name");
        let (seen, last) = (anywire_log::Offset::ZERO, anywire_log::Offset::new(1));
        let (place, detail) = ("/data".to_owned(), "why".to_owned());
        check(AppendError::Conflict { key: "k".into() }, 409, "idempotency_conflict", None);
        check(AppendError::Unexpected { channel, seen, last }, 503, "busy", Some("1"));
        check(AppendError::Busy { waiting_bytes: 1 }, 503, "busy", Some("1"));
        check(AppendError::Closed, 503, "shutting_down", Some("1"));
        let full = AppendError::Full { place: place.clone(), detail: detail.clone() };
        check(DecideError::<ApiError>::Append(full), 507, "storage_full", Some("5"));
        check(ReadError::Failed { place, detail }, 503, "storage_failed", Some("5"));
        check(DecideError::Refused(invalid("no")), 400, "invalid_request", None);
    }

    #[test]
    fn another_protocol_may_ask_for_another_status() {
        let gone = ApiError::new(Code::UploadRemoved, "gone").with_status(StatusCode::GONE);
        check(gone, 410, "upload_removed", None);
    }
}
