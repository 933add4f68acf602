//! Accounts.

use anywire_app::http::{ApiError, Path, Query};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    request::{MayManage, Sent},
    sessions::{NO_STORE, page},
    wire::{NewUser, UserAdded, UserChanges, UserShown, Users},
};
use crate::{passwords, service::PeopleService};

pub(super) async fn list(
    State(service): State<PeopleService>,
    MayManage(_): MayManage,
    query: Query,
) -> Result<Response, ApiError> {
    let state = service.read();
    let all = state.users().map(|user| UserShown::of(user, 0)).collect();
    let (mut users, next) = page(all, UserShown::name, &query)?;
    users.iter_mut().for_each(|user| user.count(&state));
    let roles = state.roles().names().map(str::to_owned).collect();
    Ok((NO_STORE, Json(Users { users, roles, next })).into_response())
}

pub(super) async fn add(
    State(service): State<PeopleService>,
    MayManage(caller): MayManage,
    Sent(wish): Sent<NewUser>,
) -> Result<Response, ApiError> {
    let made = match &wish.password {
        Some(_) => None,
        None => Some(passwords::make()?),
    };
    let password = wish.password.or_else(|| made.clone()).unwrap_or_default();
    let user = service.add_user(&caller, wish.name, password, wish.roles).await?;
    let added = UserAdded { user: UserShown::of(&user, 0), password: made };
    Ok((StatusCode::CREATED, NO_STORE, Json(added)).into_response())
}

pub(super) async fn change(
    State(service): State<PeopleService>,
    MayManage(caller): MayManage,
    Path(id): Path<String>,
    Sent(wish): Sent<UserChanges>,
) -> Result<Response, ApiError> {
    let user = service.change_user(&caller, &id, wish.roles, wish.disabled, wish.password).await?;
    let mut shown = UserShown::of(&user, 0);
    shown.count(&service.read());
    Ok((NO_STORE, Json(shown)).into_response())
}

pub(super) async fn remove(
    State(service): State<PeopleService>,
    MayManage(caller): MayManage,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    service.remove_user(&caller, &id).await?;
    Ok((StatusCode::NO_CONTENT, NO_STORE).into_response())
}
