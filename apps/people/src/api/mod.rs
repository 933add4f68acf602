//! The routes of people (docs/http-api.md).

mod audit;
mod keys;
mod request;
mod sessions;
mod users;
mod wire;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, patch, post, put},
};

use crate::service::PeopleService;

pub(crate) use wire::{
    KeyMade, Keys, Me, NewKey, NewPassword, NewUser, Revoke, Sessions, SignIn, UserAdded, UserChanges,
    UserShown, Users,
};

pub(crate) fn routes(service: PeopleService) -> Router {
    Router::new()
        .route("/api/access/sign-in", post(sessions::sign_in))
        .route("/api/access/sign-out", post(sessions::sign_out))
        .route("/api/access/sign-out-everywhere", post(sessions::sign_out_everywhere))
        .route("/api/access/password", put(sessions::set_password))
        .route("/api/access/me", get(sessions::me))
        .route("/api/access/sessions", get(sessions::list))
        .route("/api/access/users", get(users::list).post(users::add))
        .route("/api/access/users/{id}", patch(users::change).delete(users::remove))
        .route("/api/access/keys", get(keys::list).post(keys::add))
        .route("/api/access/keys/{id}", delete(keys::revoke))
        .route("/api/access/revoke", post(sessions::revoke))
        .route("/api/access/audit", get(audit::list))
        .layer(DefaultBodyLimit::max(request::BODY_BYTES_MAX))
        .with_state(service)
}
