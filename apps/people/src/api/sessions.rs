//! Signing in and out, and who is signed in.

use anywire_access::Caller;
use anywire_app::http::{ApiError, Query, invalid};
use anywire_codes::Code;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    request::{Anybody, MayManage, Sent},
    wire::{Me, NewPassword, Revoke, SessionShown, Sessions, SignIn},
};
use crate::{cookie, decisions::Revocation, service::PeopleService};

/// The longest list.
const LIST_MAX: usize = 1_000;
/// What a list has where nothing is said.
const LIST_DEFAULT: usize = 200;

pub(super) const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// Refuses to begin or end a session for another page.
fn check_own(caller: &Caller) -> Result<(), ApiError> {
    match &caller.foreign {
        None => Ok(()),
        Some(why) => Err(ApiError::new(Code::OriginForbidden, &**why)),
    }
}

pub(super) async fn sign_in(
    State(service): State<PeopleService>,
    Anybody(caller): Anybody,
    headers: HeaderMap,
    Sent(wish): Sent<SignIn>,
) -> Result<Response, ApiError> {
    check_own(&caller)?;
    let agent = headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let signed_in = service.sign_in(&caller, &wish.name, wish.password, &agent.unwrap_or_default()).await?;
    let me = Me { expires_at: Some(signed_in.expires_at), ..Me::of(&service.read(), &signed_in.principal) };
    let cookie = cookie::set(caller.secure, &signed_in.cookie);
    Ok((NO_STORE, [(header::SET_COOKIE, cookie)], Json(me)).into_response())
}

fn gone(caller: &Caller) -> Response {
    let cookie = cookie::clear(caller.secure);
    (StatusCode::NO_CONTENT, NO_STORE, [(header::SET_COOKIE, cookie)]).into_response()
}

pub(super) async fn sign_out(
    State(service): State<PeopleService>,
    Anybody(caller): Anybody,
) -> Result<Response, ApiError> {
    check_own(&caller)?;
    if let Some(session) = caller.principal.session() {
        service.sign_out(&caller, session).await?;
    }
    Ok(gone(&caller))
}

pub(super) async fn sign_out_everywhere(
    State(service): State<PeopleService>,
    Anybody(caller): Anybody,
) -> Result<Response, ApiError> {
    check_own(&caller)?;
    service.sign_out_everywhere(&caller).await?;
    Ok(gone(&caller))
}

pub(super) async fn set_password(
    State(service): State<PeopleService>,
    Anybody(caller): Anybody,
    Sent(wish): Sent<NewPassword>,
) -> Result<Response, ApiError> {
    check_own(&caller)?;
    service.set_password(&caller, wish.old, wish.new).await?;
    Ok((StatusCode::NO_CONTENT, NO_STORE).into_response())
}

pub(super) async fn me(State(service): State<PeopleService>, Anybody(caller): Anybody) -> Response {
    (NO_STORE, Json(Me::of(&service.read(), &caller.principal))).into_response()
}

/// Everybody's sessions for who manages access, one's own for everybody else.
pub(super) async fn list(
    State(service): State<PeopleService>,
    Anybody(caller): Anybody,
    query: Query,
) -> Result<Response, ApiError> {
    let all = caller.principal.may_do("access", "manage", None);
    let own = if all { None } else { Some(service.account_of(&caller)?.id) };
    let limit = query.number("limit", 1..=LIST_MAX)?.unwrap_or(LIST_DEFAULT);
    let after = query.text("after")?;
    let state = service.read();
    let mut shown: Vec<_> = state
        .sessions()
        .filter(|live| own.as_ref().is_none_or(|own| *own == live.record.user))
        .filter(|live| after.is_none_or(|after| live.record.id.as_str() > after))
        .take(limit + 1)
        .collect();
    let more = shown.len() > limit;
    shown.truncate(limit);
    let next = shown.last().filter(|_| more).map(|live| live.record.id.clone());
    shown.sort_by_key(|live| std::cmp::Reverse(live.record.started_at));
    let sessions = shown.into_iter().map(|live| SessionShown::of(live, &caller)).collect();
    Ok((NO_STORE, Json(Sessions { sessions, next })).into_response())
}

pub(super) async fn revoke(
    State(service): State<PeopleService>,
    MayManage(caller): MayManage,
    Sent(wish): Sent<Revoke>,
) -> Result<Response, ApiError> {
    let what = match (wish.user, wish.session, wish.token_id) {
        (Some(user), None, None) => Revocation::User(user),
        (None, Some(session), None) => Revocation::Session(session),
        (None, None, Some(token)) => Revocation::Token(token),
        _ => return Err(invalid("name one of \"user\", \"session\" and \"token_id\", and only one")),
    };
    service.revoke(&caller, what).await?;
    Ok((StatusCode::NO_CONTENT, NO_STORE).into_response())
}

/// The part of a list by name that a query asks for, and where the rest begins.
pub(super) fn page<T>(
    mut all: Vec<T>,
    name: fn(&T) -> &str,
    query: &Query,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let limit = query.number("limit", 1..=LIST_MAX)?.unwrap_or(LIST_DEFAULT);
    let after = query.text("after")?;
    all.retain(|one| after.is_none_or(|after| name(one) > after));
    all.sort_by(|one, other| name(one).cmp(name(other)));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|last| name(last).to_owned());
    Ok((all, next))
}
