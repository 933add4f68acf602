//! Cleartext HTTP/1.1 on sockets that the gateway owns.

mod date;
pub(crate) mod reply;
pub(crate) mod socket;
pub(crate) mod waiting;
