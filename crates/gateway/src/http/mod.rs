//! The same routes by the HTTP library: TLS, HTTP/2, other people's servers.

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod streams;
pub(crate) mod upgrade;
