//! Who is let in, and what is said to those who are not.

pub(crate) mod act;
pub(crate) mod auth;
pub(crate) mod channels;
pub(crate) mod cors;
pub(crate) mod credentials;
pub(crate) mod entry;
pub(crate) mod kept;
pub(crate) mod limits;
pub(crate) mod origin;
pub(crate) mod place;
pub(crate) mod proxies;
pub(crate) mod rates;
pub(crate) mod rights;
pub(crate) mod single;
pub(crate) mod unfinished;
