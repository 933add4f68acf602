//! How errors look over HTTP: the one table of status and code.

use anywire_app::{ApiError, api_error};
use axum::http::StatusCode;

use crate::{
    consumers::ConsumerError,
    journal::Closed,
    topics::{ProduceError, TopicsError},
};

/// A parameter or body that is not as it must be.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    api_error(StatusCode::BAD_REQUEST, "invalid_request", message)
}

pub(crate) fn produce_error(error: &ProduceError) -> ApiError {
    let (status, code) = match error {
        ProduceError::UnknownTopic { .. } => (StatusCode::NOT_FOUND, "unknown_topic"),
        ProduceError::TooLarge { .. } | ProduceError::BrokerTooLarge { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, "too_large")
        }
        ProduceError::Away { .. } => (StatusCode::SERVICE_UNAVAILABLE, "broker_away"),
        ProduceError::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        ProduceError::Failed { .. } => (StatusCode::BAD_GATEWAY, "broker_failed"),
    };
    api_error(status, code, error.to_string())
}

pub(crate) fn topics_error(error: &TopicsError) -> ApiError {
    let (status, code) = match error {
        TopicsError::Away { .. } => (StatusCode::SERVICE_UNAVAILABLE, "broker_away"),
        TopicsError::NameTaken { .. } => (StatusCode::CONFLICT, "consumer_runs"),
        TopicsError::Failed { .. } => (StatusCode::BAD_GATEWAY, "broker_failed"),
    };
    api_error(status, code, error.to_string())
}

pub(crate) fn consumer_error(error: &ConsumerError) -> ApiError {
    let (status, code) = match error {
        ConsumerError::TooMany { .. } => (StatusCode::CONFLICT, "too_many_consumers"),
        ConsumerError::Runs { .. } => (StatusCode::CONFLICT, "consumer_runs"),
        ConsumerError::Unknown { .. } => (StatusCode::NOT_FOUND, "not_found"),
        ConsumerError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
    };
    api_error(status, code, error.to_string())
}

pub(crate) fn closed(error: Closed) -> ApiError {
    api_error(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", error.to_string())
}
