//! Which code of the one table each failure has.

use anywire_app::ApiError;
use anywire_codes::Code;

use crate::{
    consumers::ConsumerError,
    journal::Closed,
    topics::{ProduceError, TopicsError},
};

/// A task that panicked, or plain data that cannot be written: a bug of ours. What it is, the server's log
/// says, and no answer.
pub(super) fn internal(error: impl std::fmt::Display) -> ApiError {
    tracing::error!(%error, "a request met a bug of the server");
    ApiError::new(Code::Internal, "this is a bug of the server; its log says more")
}

impl From<ProduceError> for ApiError {
    fn from(error: ProduceError) -> Self {
        let code = match &error {
            ProduceError::UnknownTopic { .. } => Code::UnknownTopic,
            ProduceError::TooLarge { .. } | ProduceError::BrokerTooLarge { .. } => Code::TooLarge,
            ProduceError::Away { .. } => Code::BrokerAway,
            ProduceError::Busy { .. } => Code::Busy,
            ProduceError::Failed { .. } => Code::BrokerFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<TopicsError> for ApiError {
    fn from(error: TopicsError) -> Self {
        let code = match &error {
            TopicsError::Away { .. } => Code::BrokerAway,
            TopicsError::NameTaken { .. } => Code::ConsumerRuns,
            TopicsError::Failed { .. } => Code::BrokerFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ConsumerError> for ApiError {
    fn from(error: ConsumerError) -> Self {
        let code = match &error {
            ConsumerError::TooMany { .. } => Code::TooManyConsumers,
            ConsumerError::Runs { .. } => Code::ConsumerRuns,
            ConsumerError::Unknown { .. } => Code::NotFound,
            ConsumerError::Stopping => Code::ShuttingDown,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Closed> for ApiError {
    fn from(error: Closed) -> Self {
        Self::new(Code::ShuttingDown, error.to_string())
    }
}
