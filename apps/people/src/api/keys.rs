//! API keys.

use anywire_app::{
    http::{ApiError, Path, Query, invalid},
    time::{in_calendar, parse_time},
};
use anywire_log::Timestamp;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    request::{MayManage, Sent},
    sessions::{NO_STORE, page},
    wire::{KeyMade, KeyShown, Keys, NewKey},
};
use crate::service::PeopleService;

pub(super) async fn list(
    State(service): State<PeopleService>,
    MayManage(_): MayManage,
    query: Query,
) -> Result<Response, ApiError> {
    let shown = |live: &crate::state::Live<crate::records::Key>| {
        let used_at = Some(live.used_at()).filter(|at| at.as_millis() > 0);
        KeyShown::of(&live.record, used_at)
    };
    let all = service.read().keys().map(shown).collect();
    let (keys, next) = page(all, KeyShown::name, &query)?;
    Ok((NO_STORE, Json(Keys { keys, next })).into_response())
}

fn end(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let end = parse_time(text).filter(|time| in_calendar(*time));
    let end = end.ok_or_else(|| {
        invalid(format!("\"ends_at\" is {text:?}, which is no time; write it as 2027-01-31T00:00:00Z"))
    })?;
    match end > now {
        true => Ok(end),
        false => Err(invalid(format!("\"ends_at\" is {text:?}, which is past; name a time to come"))),
    }
}

pub(super) async fn add(
    State(service): State<PeopleService>,
    MayManage(caller): MayManage,
    Sent(wish): Sent<NewKey>,
) -> Result<Response, ApiError> {
    let ends = wish.ends_at.as_deref().map(|text| end(text, service.now())).transpose()?;
    let (made, key) = service.add_key(&caller, wish.name, wish.roles, wish.grants, ends).await?;
    let answer = KeyMade { made: KeyShown::of(&made, None), key };
    Ok((StatusCode::CREATED, NO_STORE, Json(answer)).into_response())
}

pub(super) async fn revoke(
    State(service): State<PeopleService>,
    MayManage(caller): MayManage,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    service.revoke_key(&caller, &id).await?;
    Ok((StatusCode::NO_CONTENT, NO_STORE).into_response())
}
