//! The audit trail, as lines of JSON.

use anywire_access::AUDIT_CHANNEL;
use anywire_app::http::{After, ApiError, Query, invalid};
use anywire_log::{Channel, Position};
use axum::{
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};

use super::request::MayManage;
use crate::{audit, service::PeopleService};

/// The most entries of one answer.
const PAGE_MAX: usize = 10_000;
/// And where nothing is said.
const PAGE_DEFAULT: usize = 1_000;

const KIND: [(HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];

pub(super) async fn list(
    State(service): State<PeopleService>,
    MayManage(_): MayManage,
    query: Query,
) -> Result<Response, ApiError> {
    let limit = query.number("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_DEFAULT);
    let position = match query.cursor("after")? {
        None | Some(After::Oldest) => Position::Oldest,
        Some(After::Cursor(cursor)) => Position::After(cursor),
    };
    let channel = Channel::new(AUDIT_CHANNEL).map_err(|error| invalid(error.to_string()))?;
    let entries = audit::read(service.log(), &channel, position, limit).await?;
    let mut lines = String::new();
    for entry in &entries {
        let line = serde_json::to_string(entry);
        lines.push_str(
            &line.map_err(|error| ApiError::new(anywire_codes::Code::Internal, error.to_string()))?,
        );
        lines.push('\n');
    }
    Ok((KIND, lines).into_response())
}
