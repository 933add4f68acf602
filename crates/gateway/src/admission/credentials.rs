//! What the head of a request says about who sends it, whom it addresses, and what passed it on.

use std::net::IpAddr;

use anywire_access::SESSION_COOKIES;
use anywire_protocol::{Code, Refusal};

use super::{
    origin::{Authority, is_own},
    proxies::{Proxies, Told},
};

/// Whom a request addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Addressed<'a> {
    /// Nothing was said, and nothing has to be: in HTTP/1.0, and where there is no request.
    #[default]
    Nobody,
    /// Nothing was said where something must be (RFC 9112, section 3.2).
    Missing,
    /// By one name: of `Host`, or of the target.
    By(&'a str),
    /// By several.
    Several,
}

/// What a request says about who sends it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// By `Host`, or `:authority`.
    pub host: Addressed<'a>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `token` query parameter.
    pub token: Option<&'a str>,
    /// What shows that a proxy passed it on: the first header that only proxies write, or `HTTP/1.0`.
    pub proxy: Option<&'a str>,
    /// What the cookie of a session holds.
    pub session: Option<&'a str>,
    /// What a browser says of the page that asks (`Sec-Fetch-Site`), and how (`Sec-Fetch-Mode`).
    pub fetch: (Option<&'a str>, Option<&'a str>),
    /// Whether the body is one that a form could have sent from any page.
    pub form: bool,
    /// Whether nothing is changed by the request, and no connection begins that could.
    pub reads: bool,
}

/// Which page a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page<'a> {
    /// One of this server.
    Own,
    /// Another one, with what showed it.
    Other(&'static str, &'a str),
    /// Nobody said: a program, or a browser that asks without TLS.
    Unknown,
}

impl<'a> Credentials<'a> {
    /// Reads the lines of a head. `authority` is the one that the target names, if it names one.
    pub(crate) fn of(
        lines: impl Iterator<Item = (&'a str, &'a [u8])>,
        version: http::Version,
        authority: Option<&'a str>,
    ) -> Self {
        let mut said = Self { host: authority.map_or(Addressed::Nobody, Addressed::By), ..Self::default() };
        // Nobody but proxies still speaks it: nginx does, where nothing else is configured.
        said.proxy = (version < http::Version::HTTP_11).then_some("HTTP/1.0");
        let mut own_host = false;
        let mut session_rank = None;
        for (name, value) in lines {
            // Any text, on every carrier.
            let value = std::str::from_utf8(value).ok();
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            if is("host") {
                let same = match said.host {
                    Addressed::By(known) => value == Some(known) && !std::mem::replace(&mut own_host, true),
                    other => other == Addressed::Nobody,
                };
                own_host = true;
                said.host =
                    if same { value.map_or(Addressed::Missing, Addressed::By) } else { Addressed::Several };
            } else if is("origin") {
                // One that cannot be read is no page's.
                said.origin = said.origin.or(Some(value.unwrap_or("\u{fffd}")));
            } else if is("authorization") {
                said.authorization = said.authorization.or(value);
            } else if is("cookie") {
                // HTTP/2 may send one line a cookie (RFC 9113, section 8.2.3).
                let found = value.and_then(session);
                session_rank = session_rank.max(found);
            } else if is("sec-fetch-site") {
                said.fetch.0 = said.fetch.0.or(value);
            } else if is("sec-fetch-mode") {
                said.fetch.1 = said.fetch.1.or(value);
            } else if is("content-type") {
                said.form |= value.is_none_or(is_of_forms);
            } else if said.proxy.is_none() && is_of_proxies(name) {
                said.proxy = Some(name);
            }
        }
        said.session = session_rank.map(|(_, value)| value);
        if said.host == Addressed::Nobody && version >= http::Version::HTTP_11 {
            said.host = Addressed::Missing;
        }
        said
    }

    /// Whom the request addresses, if it says so.
    ///
    /// # Errors
    /// `invalid_request` where it does not say so as it must.
    pub(super) fn authority(&self) -> Result<Option<Authority<'a>>, Refusal> {
        let invalid = |message: String| Err(Refusal::new(Code::InvalidRequest, message));
        match self.host {
            Addressed::Nobody => Ok(None),
            Addressed::Missing => {
                invalid("the header Host is missing; send one, such as Host: 127.0.0.1".into())
            }
            Addressed::Several => invalid("the request names several hosts; send one Host".into()),
            Addressed::By(host) => match Authority::parse(host) {
                Some(authority) => Ok(Some(authority)),
                None => {
                    invalid(format!("host {host:?} is no host; send a name or an address, and maybe a port"))
                }
            },
        }
    }

    /// The key or token. Only `Bearer` is ours: another scheme belongs to a proxy in between, and says
    /// nothing here.
    #[must_use]
    pub fn given(&self) -> Option<&'a str> {
        self.bearer().or(self.token)
    }

    /// What `Authorization` holds.
    pub(super) fn bearer(&self) -> Option<&'a str> {
        let (scheme, value) = self.authorization?.trim().split_once([' ', '\t'])?;
        let value = value.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !value.is_empty()).then_some(value)
    }

    /// Which page the request comes from.
    pub(crate) fn page(&self) -> Page<'a> {
        let host = match self.host {
            Addressed::By(host) => Some(host),
            _ => None,
        };
        match (self.fetch.0, self.origin) {
            (Some("same-origin"), _) => Page::Own,
            // The address bar: nobody's page.
            (Some("none"), None) => Page::Unknown,
            (Some(site), _) => Page::Other("Sec-Fetch-Site", site),
            (None, Some(origin)) if host.is_some_and(|host| is_own(origin, host)) => Page::Own,
            (None, Some(origin)) => Page::Other("Origin", origin),
            (None, None) => Page::Unknown,
        }
    }

    /// Refuses to let a session count for a request that another page may have made: browsers send cookies
    /// with those too.
    pub(super) fn check_session(&self) -> Result<(), Refusal> {
        const WAY_OUT: &str = "sessions count on this server's own pages; send a token instead";
        let refused = |message: String| Err(Refusal::new(Code::OriginForbidden, message));
        match self.page() {
            Page::Other(header, value) if !(self.reads && self.fetch.1 == Some("navigate")) => {
                refused(format!("the request comes from another page ({header}: {value}); {WAY_OUT}"))
            }
            Page::Unknown if !self.reads => refused(format!(
                "the request does not say which page it comes from (Sec-Fetch-Site, Origin); {WAY_OUT}"
            )),
            _ if self.form && !self.reads => {
                let message = "a form could have sent this body from any page; send it as application/json, or what it is";
                Err(Refusal::new(Code::MediaType, message))
            }
            _ => Ok(()),
        }
    }

    /// Whether the answer is for this client alone: a proxy's password is no reason to let others have it.
    #[must_use]
    pub fn are_personal(&self) -> bool {
        self.authorization.is_some() || self.token.is_some() || self.session.is_some()
    }
}

/// The session in a line of cookies, by the better of its names: the more that name promises, the greater.
fn session(cookies: &str) -> Option<(usize, &str)> {
    let found = cookies.split(';').filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        let rank = SESSION_COOKIES.iter().rev().position(|known| *known == name)?;
        Some((rank, value)).filter(|(_, value)| !value.is_empty())
    });
    found.max_by_key(|(rank, _)| *rank)
}

/// Whether a form of any page may send this type (Fetch standard, "CORS-safelisted request-header").
fn is_of_forms(kind: &str) -> bool {
    const KINDS: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
    let kind = kind.split(';').next().unwrap_or_default().trim();
    KINDS.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// Whether only proxies write a header.
fn is_of_proxies(name: &str) -> bool {
    const NAMES: [&str; 5] = ["forwarded", "via", "x-real-ip", "true-client-ip", "x-client-ip"];
    const BEGINNINGS: [&str; 2] = ["x-forwarded-", "cf-"];
    let begins = |with: &&str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)) || BEGINNINGS.iter().any(begins)
}

/// The client that a request came from: its peer, or whom the proxies in between name, as far as they are
/// trusted.
pub(crate) fn client_address<'a>(
    proxies: &Proxies,
    peer: IpAddr,
    lines: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> IpAddr {
    if !proxies.trust(peer) {
        return peer;
    }
    let mut told = Told::default();
    for (name, value) in lines {
        let Ok(value) = std::str::from_utf8(value) else { continue };
        if name.eq_ignore_ascii_case("x-forwarded-for") {
            told.add_list(value);
        } else if name.eq_ignore_ascii_case("forwarded") {
            told.add_forwarded(value);
        }
    }
    proxies.client(peer, &told)
}

#[cfg(test)]
mod tests {
    use http::Version;

    use super::*;

    fn said<'a>(
        lines: &[(&'a str, &'a str)],
        version: Version,
        authority: Option<&'a str>,
    ) -> Credentials<'a> {
        Credentials::of(lines.iter().map(|(name, value)| (*name, value.as_bytes())), version, authority)
    }

    #[test]
    fn a_request_addresses_one_host() {
        let host =
            |lines: &[(&'static str, &'static str)], version, authority| said(lines, version, authority).host;
        let one = [("Host", "a.example")];
        let two = [("Host", "a.example"), ("host", "a.example")];
        assert_eq!(host(&one, Version::HTTP_11, None), Addressed::By("a.example"));
        assert_eq!(host(&[], Version::HTTP_11, None), Addressed::Missing);
        assert_eq!(host(&[], Version::HTTP_10, None), Addressed::Nobody);
        assert_eq!(host(&two, Version::HTTP_11, None), Addressed::Several);
        assert_eq!(host(&[], Version::HTTP_2, Some("a.example")), Addressed::By("a.example"));
        assert_eq!(host(&one, Version::HTTP_2, Some("a.example")), Addressed::By("a.example"));
        assert_eq!(host(&two, Version::HTTP_2, Some("a.example")), Addressed::Several);
        assert_eq!(host(&one, Version::HTTP_2, Some("b.example")), Addressed::Several);
        assert_eq!(host(&one, Version::HTTP_11, Some("b.example")), Addressed::Several);
        assert_eq!(host(&[], Version::HTTP_2, None), Addressed::Missing);
    }

    #[test]
    fn a_session_is_found_among_cookies_and_the_protected_name_wins() {
        let session = |lines: &[(&'static str, &'static str)]| said(lines, Version::HTTP_2, None).session;
        assert_eq!(session(&[("Cookie", "a=b; anywire=plain; c=d")]), Some("plain"));
        assert_eq!(session(&[("Cookie", "__Host-anywire=good; anywire=laid")]), Some("good"));
        assert_eq!(session(&[("cookie", "anywire=laid"), ("cookie", "__Host-anywire=good")]), Some("good"));
        assert_eq!(session(&[("cookie", "__Host-anywire=good"), ("cookie", "anywire=laid")]), Some("good"));
        for none in ["", "anywire", "anywire=", "xanywire=a", "Anywire=a", "__host-anywire=a"] {
            assert_eq!(session(&[("Cookie", none)]), None, "{none:?}");
        }
    }

    #[test]
    fn a_session_counts_for_the_servers_own_pages_only() {
        let check = |reads: bool, lines: &[(&'static str, &'static str)]| {
            let host = [("Host", "live.example")];
            let lines: Vec<_> = host.iter().chain(lines).copied().collect();
            let said = Credentials { reads, ..said(&lines, Version::HTTP_11, None) };
            said.check_session().map_err(|refusal| refusal.code)
        };
        let (origin, site, mode) = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode");
        for reads in [true, false] {
            for own in [(origin, "https://live.example"), (site, "same-origin")] {
                assert_eq!(check(reads, &[own]), Ok(()), "{own:?}");
            }
            for other in [
                (origin, "https://evil.example"),
                (origin, "null"),
                (origin, "https://live.example.evil"),
                (origin, "https://live.example:8443"),
                (site, "cross-site"),
                (site, "same-site"),
            ] {
                assert_eq!(check(reads, &[other]), Err(Code::OriginForbidden), "{other:?}");
            }
            let lied = [(site, "cross-site"), (origin, "https://live.example")];
            assert_eq!(check(reads, &lied), Err(Code::OriginForbidden));
        }
        assert_eq!(check(true, &[]), Ok(()), "a program that reads");
        assert_eq!(check(false, &[]), Err(Code::OriginForbidden));
        assert_eq!(check(true, &[(site, "cross-site"), (mode, "navigate")]), Ok(()), "a link from elsewhere");
        assert_eq!(check(false, &[(site, "cross-site"), (mode, "navigate")]), Err(Code::OriginForbidden));
        assert_eq!(check(false, &[(site, "none")]), Err(Code::OriginForbidden));
        let own = (site, "same-origin");
        for form in ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"] {
            assert_eq!(check(false, &[own, ("Content-Type", form)]), Err(Code::MediaType), "{form}");
        }
        for sound in ["application/json", "application/offset+octet-stream"] {
            assert_eq!(check(false, &[own, ("Content-Type", sound)]), Ok(()), "{sound}");
        }
    }

    #[test]
    fn what_only_proxies_write_shows_one() {
        for name in [
            "Forwarded",
            "via",
            "X-Real-IP",
            "X-Forwarded-For",
            "x-forwarded-proto",
            "X-FORWARDED-HOST",
            "CF-Connecting-IP",
            "cf-ray",
            "True-Client-IP",
        ] {
            assert_eq!(said(&[(name, "x")], Version::HTTP_11, None).proxy, Some(name));
        }
        for name in ["X-Forwarded", "X-Requested-With", "Cookie", "CF", "Viable"] {
            assert_eq!(said(&[(name, "x")], Version::HTTP_11, None).proxy, None, "{name}");
        }
        assert_eq!(said(&[], Version::HTTP_10, None).proxy, Some("HTTP/1.0"));
    }
}
