//! The HTTP API of jobs (docs/http-api.md, section Jobs); uploads are in [`crate::uploads`], commands in
//! [`crate::commands`].

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod call;
mod download;
pub(crate) mod errors;
pub(crate) mod jobs;
pub(crate) mod request;

use std::sync::Arc;

use axum::Router;

use crate::service::JobService;

/// The routes, with absolute paths.
pub(crate) fn routes(service: Arc<JobService>) -> Router {
    jobs::routes(Arc::clone(&service)).merge(download::routes(service))
}
