//! What the head of a request says about who sends it, whom it addresses, and what passed it on.

use std::net::IpAddr;

use anywire_protocol::{Code, Refusal};

use super::{
    origin::Authority,
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
                said.origin = said.origin.or(value);
            } else if is("authorization") {
                said.authorization = said.authorization.or(value);
            } else if said.proxy.is_none() && is_of_proxies(name) {
                said.proxy = Some(name);
            }
        }
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

    /// Whether the answer is for this client alone: a proxy's password is no reason to let others have it.
    #[must_use]
    pub fn are_personal(&self) -> bool {
        self.authorization.is_some() || self.token.is_some()
    }
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
