//! Which code each error of the monitor has.

use anywire_app::http::ApiError;
use anywire_codes::Code;

use crate::{decisions::Refusal, reading::ReadHistoryError, service::MonitorError};

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::TooManyHosts { .. } => Code::TooManyHosts,
            Refusal::OwnName { .. } => Code::HostTaken,
            Refusal::Unknown { .. } => Code::NotFound,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<MonitorError> for ApiError {
    fn from(error: MonitorError) -> Self {
        match error {
            MonitorError::Refused(refusal) => refusal.into(),
            MonitorError::Append(error) => error.into(),
            MonitorError::Trim(error) => error.into(),
            MonitorError::Stopped => Self::new(Code::ShuttingDown, error.to_string()),
        }
    }
}

impl From<ReadHistoryError> for ApiError {
    fn from(error: ReadHistoryError) -> Self {
        match error {
            ReadHistoryError::Read(error) => error.into(),
            ReadHistoryError::Refused(refusal) => refusal.into(),
            ReadHistoryError::Damaged(_) => Self::new(Code::StorageFailed, error.to_string()),
        }
    }
}
