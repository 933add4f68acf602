//! What an operation of the log that failed is to clients: the one place that says so, for transports and
//! applications.

use anywire_log::{AppendError, ReadError, TrimError};

use crate::{Code, Refusal};

impl From<&AppendError> for Refusal {
    fn from(error: &AppendError) -> Self {
        let code = match error {
            AppendError::Empty => Code::InvalidRequest,
            AppendError::Conflict { .. } => Code::IdempotencyConflict,
            // Whoever decided on what is there is to decide again.
            AppendError::Unexpected { .. } | AppendError::Busy { .. } => Code::Busy,
            AppendError::Full { .. } => Code::StorageFull,
            AppendError::Failed { .. } => Code::StorageFailed,
            AppendError::Closed => Code::ShuttingDown,
        };
        Self::new(code, error.to_string())
    }
}

impl From<&ReadError> for Refusal {
    fn from(error: &ReadError) -> Self {
        let code = match error {
            ReadError::Failed { .. } => Code::StorageFailed,
            ReadError::Closed => Code::ShuttingDown,
        };
        Self::new(code, error.to_string())
    }
}

impl From<&TrimError> for Refusal {
    fn from(error: &TrimError) -> Self {
        let code = match error {
            TrimError::Failed { .. } => Code::StorageFailed,
            TrimError::Closed => Code::ShuttingDown,
        };
        Self::new(code, error.to_string())
    }
}
