//! Cleartext HTTP/1.1 on sockets that the gateway owns.

pub(crate) mod body;
pub(crate) mod connection;
mod date;
pub(crate) mod pace;
mod polling;
pub(crate) mod reply;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod unanswered;
pub(crate) mod waiting;
