//! Who makes a request, as it is handed to those who answer it.

use std::net::IpAddr;

use crate::principal::Principal;

/// The names of the cookie that holds a session. The first is for pages under TLS: browsers take it only from
/// the host itself, and send it only under TLS. Without TLS they take no such name.
pub const SESSION_COOKIES: [&str; 2] = ["__Host-anywire", "anywire"];

/// Who makes a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is; nobody where nothing was said.
    pub principal: Principal,
    /// From where.
    pub address: IpAddr,
    /// What the cookie of a session holds, be there such a session or not.
    pub session: Option<Box<str>>,
    /// Whether the request came to a page that TLS protects, as far as that can be seen.
    pub secure: bool,
    /// Why the request may not begin or end a session, if it may not: it comes from another page.
    pub foreign: Option<Box<str>>,
}
