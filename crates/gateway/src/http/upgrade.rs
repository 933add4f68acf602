//! WebSockets that begin as requests of the HTTP library.

use std::sync::Arc;

use anywire_protocol::websocket::Accepted;
use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use hyper::upgrade::Upgraded;

use crate::{Gateway, reply::Reply, timed::Timed};

/// Answers that the connection of a request becomes a WebSocket, and serves it then.
pub(crate) fn switch<Served: Future<Output = ()> + Send>(
    gateway: &Arc<Gateway>,
    request: &mut Request,
    accepted: &Accepted,
    serve: impl FnOnce(Arc<Gateway>, Upgraded) -> Served + Send + 'static,
) -> Response {
    let upgrade = hyper::upgrade::on(request);
    let (own, lab) = (Arc::clone(gateway), Arc::clone(&gateway.lab));
    let task = async move {
        let serve = async {
            match upgrade.await {
                Ok(upgraded) => serve(own, upgraded).await,
                Err(error) => tracing::debug!(%error, "an upgrade broke off"),
            }
        };
        tokio::select! {
            () = serve => {}
            () = lab.next_cut() => {}
        }
    };
    gateway.tasks.spawn(Timed::new(&gateway.metrics, task));
    Reply::switching(accepted).into_response()
}
