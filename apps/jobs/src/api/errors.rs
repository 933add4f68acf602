//! Which code of the table an error is.

use anywire_app::http::{ApiError, invalid};
use anywire_codes::Code;

use crate::{decisions::Refusal, service::ChangeError};

/// A field or header that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Invalid(pub(crate) String);

impl From<Invalid> for ApiError {
    fn from(error: Invalid) -> Self {
        invalid(error.0)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::NotFound { .. } => Code::NotFound,
            Refusal::Exists { .. } => Code::JobExists,
            Refusal::Illegal { .. } | Refusal::Superseded { .. } | Refusal::StepBehind { .. } => {
                Code::IllegalTransition
            }
            Refusal::TooManySteps { .. } => Code::TooManySteps,
            Refusal::DrivenByUpload { .. } => Code::DrivenByUpload,
            Refusal::DrivenByCommand { .. } => Code::DrivenByCommand,
            Refusal::UploadRemoved { .. } => Code::UploadRemoved,
            Refusal::TooManyOpen { .. } | Refusal::TooMuchMemory { .. } => Code::TooManyJobs,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(refusal) => refusal.into(),
            ChangeError::KeyReused(error) => Self::new(Code::IdempotencyConflict, error.to_string()),
            ChangeError::AnswerGone { .. } => Self::new(Code::AnswerGone, error.to_string()),
            ChangeError::Append(error) => error.into(),
            ChangeError::Read(error) => error.into(),
            ChangeError::Stopped => Self::new(Code::ShuttingDown, error.to_string()),
        }
    }
}

/// A file could not be read or written. What a panic said is for the server's log, where its hook put it.
pub(crate) fn file_error(doing: &str, error: &std::io::Error) -> ApiError {
    if error.get_ref().is_some_and(|inner| inner.is::<tokio::task::JoinError>()) {
        let message = format!("{doing} failed: this is a bug of the server; its log says more");
        return ApiError::new(Code::Internal, message);
    }
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::StorageFull,
        _ => Code::StorageFailed,
    };
    ApiError::new(code, format!("{doing} failed: {error}; see the server's disk"))
}
