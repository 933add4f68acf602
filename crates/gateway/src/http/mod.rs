//! The same routes by the HTTP library: TLS, HTTP/2, other people's servers.

pub(crate) mod body;
mod caller;
pub(crate) mod connection;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod streams;
mod tickets;
pub(crate) mod upgrade;
