//! The same routes by the HTTP library: TLS, HTTP/2, other people's servers.

pub(crate) mod connection;
pub(crate) mod routes;
