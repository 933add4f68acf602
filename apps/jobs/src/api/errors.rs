//! How errors look over HTTP: the one table of status and code.

use anywire_app::{ApiError, api_error};
use anywire_log::AppendError;
use axum::http::StatusCode;

use crate::{decisions::Refusal, service::ChangeError};

/// A field or header that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Invalid(pub(crate) String);

impl From<Invalid> for ApiError {
    fn from(error: Invalid) -> Self {
        api_error(StatusCode::BAD_REQUEST, "invalid_request", error.0)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match &refusal {
            Refusal::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Refusal::Exists { .. } => (StatusCode::CONFLICT, "job_exists"),
            Refusal::Illegal { .. } | Refusal::Superseded { .. } => {
                (StatusCode::CONFLICT, "illegal_transition")
            }
            Refusal::TooManySteps { .. } => (StatusCode::CONFLICT, "too_many_steps"),
            Refusal::DrivenByUpload { .. } => (StatusCode::CONFLICT, "driven_by_upload"),
            Refusal::DrivenByCommand { .. } => (StatusCode::CONFLICT, "driven_by_command"),
            Refusal::UploadRemoved { .. } => (StatusCode::CONFLICT, "upload_removed"),
            Refusal::TooManyOpen { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_jobs"),
        };
        api_error(status, code, refusal.to_string())
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let message = error.to_string();
        let (status, code) = match error {
            ChangeError::Refused(refusal) => return refusal.into(),
            ChangeError::KeyReused(_) => (StatusCode::CONFLICT, "idempotency_conflict"),
            ChangeError::Append(error) => append_code(&error),
            ChangeError::Read(_) => (StatusCode::SERVICE_UNAVAILABLE, "storage_failed"),
            ChangeError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        };
        api_error(status, code, message)
    }
}

fn append_code(error: &AppendError) -> (StatusCode, &'static str) {
    match error {
        AppendError::Unexpected { .. } | AppendError::Busy { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "busy")
        }
        AppendError::Full { .. } => (StatusCode::INSUFFICIENT_STORAGE, "storage_full"),
        AppendError::Failed { .. } => (StatusCode::SERVICE_UNAVAILABLE, "storage_failed"),
        AppendError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        AppendError::Empty | AppendError::Conflict { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// A file could not be read or written.
pub(crate) fn file_error(doing: &str, error: &std::io::Error) -> ApiError {
    let (status, code) = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            (StatusCode::INSUFFICIENT_STORAGE, "storage_full")
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "storage_failed"),
    };
    api_error(status, code, format!("{doing} failed: {error}; see the server's disk"))
}
