//! Origins of pages (RFC 6454), compared as URLs: which may connect, and which of them with credentials.

use std::{net::Ipv6Addr, str::FromStr};

use url::{Host, Url};

/// Marks an entry whose wildcard also allows credentials of the browser.
const WITH_CREDENTIALS: &str = "credentials";

/// Where a page came from: as browsers name it in `Origin`, or as a server is addressed in `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    /// None where it is the one of the scheme.
    port: Option<u16>,
}

impl Origin {
    /// Reads an `Origin` header; `null` and what is none have no origin. Strictly, since URLs are read with
    /// more patience than browsers need.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.bytes().all(known) {
            return None;
        }
        if !authority.is_empty() {
            Authority::parse(authority)?;
        }
        Self::from_url(&Url::parse(text).ok()?)
    }

    fn from_url(url: &Url) -> Option<Self> {
        let bare = url.username().is_empty() && url.password().is_none();
        let whole = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        (bare && whole).then(|| Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase(),
            port: url.port(),
        })
    }

    /// Whether the page is one of the server that is addressed by this `Host`. The server does not know by
    /// which scheme it is reached through a proxy, so the ports of both schemes are the default one.
    fn is_of(&self, host: &str) -> bool {
        let of_the_web = matches!(self.scheme.as_str(), "http" | "https");
        let addressed = Self::parse(&format!("http://{host}")).filter(|_| of_the_web);
        addressed.is_some_and(|addressed| {
            self.host == addressed.host && self.port == addressed.port.filter(|port| *port != 443)
        })
    }

    /// Whether the page is on this machine.
    fn is_loopback(&self) -> bool {
        is_loopback_name(&self.host)
    }
}

/// Whether an origin is that of the server which is addressed by this `Host`.
pub(super) fn is_own(origin: &str, host: &str) -> bool {
    Origin::parse(origin).is_some_and(|origin| origin.is_of(host))
}

/// A host and maybe a port, as `Host` and an origin name them (RFC 3986, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// A name, or an address; one of IPv6 is in brackets.
    pub(super) name: &'a str,
}

impl<'a> Authority<'a> {
    /// Reads one; none where anything else stands in it or behind it.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let name = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => {
                address.parse::<Ipv6Addr>().ok()?;
                &text[..address.len() + "[]".len()]
            }
            None => text.split(':').next().filter(|name| is_name(name))?,
        };
        let port = &text[name.len()..];
        let sound = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        sound.then_some(Self { name })
    }

    /// Whether it is this machine's own.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback_name(self.name)
    }
}

/// Letters, digits and what else a registered name may hold, but no escapes: nobody needs them.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// It may be empty.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Whether a name or address, without port and brackets or with them, is this machine's own.
pub(super) fn is_loopback_name(name: &str) -> bool {
    match Host::parse(name.trim_end_matches('.')) {
        Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Err(_) => false,
    }
}

/// An entry of `auth.origins`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    allows: Allowed,
    credentials: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    /// `*`
    Every,
    /// `null`: pages without an origin, which files and sandboxed frames are.
    Null,
    /// `https://app.example.com`
    One(Origin),
    /// `https://*.example.com`: with this host, and what comes in front of it at any depth.
    Below(Origin),
}

/// Why an entry of `auth.origins` cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("auth.origins: {value:?} {why}")]
pub struct OriginError {
    /// The entry.
    pub value: String,
    /// What is wrong with it, and the right form.
    pub why: String,
}

impl FromStr for Rule {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (name, more) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let wrong = |why: String| OriginError { value: text.to_owned(), why };
        if text.contains(',') {
            return Err(wrong("holds several; write each as an entry of its own".to_owned()));
        }
        let asked = match more.trim() {
            "" => false,
            WITH_CREDENTIALS => true,
            _ => {
                return Err(wrong(format!(
                    "has more than an origin; only {WITH_CREDENTIALS:?} may follow it"
                )));
            }
        };
        let allows = Allowed::parse(name).map_err(wrong)?;
        // Who names an origin trusts it; a wildcard may match pages that nobody thought of.
        let credentials = asked || matches!(allows, Allowed::One(_));
        Ok(Self { allows, credentials })
    }
}

impl Allowed {
    /// Reads an entry without its mark; says what is wrong with it.
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "*" => return Ok(Self::Every),
            "null" => return Ok(Self::Null),
            "" => return Err(format!("is no origin; {FORMS}")),
            _ => {}
        }
        let Some((scheme, _)) = name.split_once("://") else {
            let bare = name.trim_start_matches("//").split('/').next().unwrap_or_default();
            let local = Authority::parse(bare).is_some_and(|bare| bare.is_loopback());
            let scheme = if local { "http" } else { "https" };
            return Err(format!("has no scheme; write \"{scheme}://{bare}\""));
        };
        if let Some(page) = match scheme {
            "ws" => Some("http"),
            "wss" => Some("https"),
            _ => None,
        } {
            return Err(format!("names the scheme of a connection, not of the page; write {page:?}"));
        }
        let url = Url::parse(name).map_err(|error| format!("is no URL: {error}; {FORMS}"))?;
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() && scheme != "file" {
            return Err(format!("names no host; {FORMS}"));
        }
        let Some(mut origin) = Origin::from_url(&url) else {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            return Err(format!("is more than an origin; write \"{scheme}://{host}{port}\""));
        };
        match origin.host.strip_prefix("*.") {
            Some(domain) if !domain.is_empty() && !domain.contains('*') => {
                origin.host = domain.to_owned();
                Ok(Self::Below(origin))
            }
            None if !origin.host.contains('*') => Ok(Self::One(origin)),
            _ => Err(format!("has a star where none may be; {FORMS}")),
        }
    }
}

/// The forms of an entry.
const FORMS: &str = "write \"https://app.example.com\", \"https://*.example.com\" for what lies below a name, or \"*\" for every page";

/// Whether pages of an origin may connect, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// Only because every page may.
    pub(crate) anybody: bool,
    /// Also with credentials of the browser: cookies, or a proxy's password.
    pub(crate) credentials: bool,
}

impl Access {
    const FULL: Self = Self { anybody: false, credentials: true };
}

/// The origins whose pages may connect.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    rules: Vec<Rule>,
    /// Pages of this machine may, too.
    loopback: bool,
}

impl Origins {
    /// Reads `auth.origins`; `loopback` lets pages of this machine in.
    pub(crate) fn parse(entries: &[String], loopback: bool) -> Result<Self, OriginError> {
        let rules = entries.iter().map(|entry| entry.parse()).collect::<Result<_, _>>()?;
        Ok(Self { rules, loopback })
    }

    /// Whether every page may connect.
    pub(crate) fn allow_every_page(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.allows, Allowed::Every | Allowed::Null))
    }

    /// How a page that was let in may connect: one that is not listed is the server's own.
    pub(crate) fn access_of_listed(&self, text: &str) -> Access {
        // Only wildcards keep credentials out.
        if self.rules.iter().all(|rule| rule.credentials) {
            return Access::FULL;
        }
        self.access(text, None).unwrap_or(Access::FULL)
    }

    /// Whether a page of this origin may connect to the server that it addresses by `host`.
    pub(crate) fn access(&self, text: &str, host: Option<&str>) -> Option<Access> {
        let origin = Origin::parse(text);
        let own = |origin: &Origin| {
            host.is_some_and(|host| origin.is_of(host)) || self.loopback && origin.is_loopback()
        };
        if origin.as_ref().is_some_and(own) {
            return Some(Access::FULL);
        }
        let matching = self.rules.iter().filter(|rule| rule.allows.matches(text, origin.as_ref()));
        matching.fold(None, |best: Option<Access>, rule| {
            let anybody = rule.allows == Allowed::Every && best.is_none_or(|best| best.anybody);
            let credentials = rule.credentials || best.is_some_and(|best| best.credentials);
            Some(Access { anybody, credentials })
        })
    }
}

impl Allowed {
    fn matches(&self, text: &str, origin: Option<&Origin>) -> bool {
        match (self, origin) {
            (Self::Every, _) => true,
            (Self::Null, _) => text.eq_ignore_ascii_case("null"),
            (Self::One(one), Some(origin)) => one == origin,
            (Self::Below(one), Some(origin)) => {
                let below = origin.host.strip_suffix(&one.host).is_some_and(|rest| rest.ends_with('.'));
                below && (&one.scheme, one.port) == (&origin.scheme, origin.port)
            }
            (Self::One(_) | Self::Below(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(entries: &[&str]) -> Origins {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Origins::parse(&entries, false).expect("origins")
    }

    #[track_caller]
    fn check(entry: &str, matching: &[&str], others: &[&str]) {
        let origins = origins(&[entry]);
        for origin in matching {
            assert!(origins.access(origin, None).is_some(), "{entry} and {origin}");
        }
        for origin in others {
            assert_eq!(origins.access(origin, None), None, "{entry} and {origin}");
        }
    }

    #[test]
    fn an_entry_matches_the_origins_that_are_the_same_url() {
        let app = ["https://app.example.com", "HTTPS://App.Example.com", "https://app.example.com:443"];
        let others = [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://b.app.example.com",
            "null",
            "",
        ];
        for entry in [
            "https://app.example.com",
            "https://app.example.com/",
            "https://APP.example.com:443",
            " https://app.example.com ",
        ] {
            check(entry, &app, &others);
        }
        check(
            "http://localhost:5173",
            &["http://localhost:5173"],
            &["http://localhost", "https://localhost:5173"],
        );
        check("http://[::1]:80", &["http://[::1]"], &["http://127.0.0.1"]);
        check("https://việt.example", &["https://xn--vit-5kz.example"], &["https://viet.example"]);
        check("file://", &["file://"], &["null", "https://file"]);
        check("null", &["null"], &["file://", "https://null"]);
        check(
            "capacitor://localhost",
            &["capacitor://localhost"],
            &["http://localhost", "ionic://localhost"],
        );
        check("chrome-extension://abcdef", &["chrome-extension://abcdef"], &["chrome-extension://abc"]);
    }

    #[test]
    fn a_star_stands_for_every_page_or_for_what_lies_below_a_name() {
        check("*", &["https://a.example", "http://localhost:3000", "null", "file://"], &[]);
        check(
            "https://*.example.com",
            &["https://a.example.com", "https://a.b.example.com", "https://a.example.com:443"],
            &[
                "https://example.com",
                "https://notexample.com",
                "http://a.example.com",
                "https://a.example.com:8443",
                "https://a.example.com.evil.example",
            ],
        );
        check("http://*.localhost:5173", &["http://app.localhost:5173"], &["http://app.localhost"]);
    }

    #[test]
    fn only_who_is_named_or_trusted_by_the_list_gets_credentials() {
        let credentials = |entries: &[&str], origin: &str| {
            origins(entries).access(origin, None).map(|access| (access.credentials, access.anybody))
        };
        let app = "https://a.example.com";
        assert_eq!(credentials(&[app], app), Some((true, false)));
        assert_eq!(credentials(&["https://*.example.com"], app), Some((false, false)));
        assert_eq!(credentials(&["https://*.example.com credentials"], app), Some((true, false)));
        assert_eq!(credentials(&["*"], app), Some((false, true)));
        assert_eq!(credentials(&["null"], "null"), Some((false, false)));
        assert_eq!(credentials(&["*", app], app), Some((true, false)));
        assert_eq!(credentials(&["* credentials"], app), Some((true, true)));
    }

    #[test]
    fn what_cannot_be_an_origin_is_refused_with_the_right_form() {
        let check = |entry: &str, way_out: &str| {
            let error = Origins::parse(&[entry.to_owned()], false).expect_err(entry).to_string();
            assert!(error.contains(&format!("auth.origins: {entry:?}")), "{error}");
            assert!(error.contains(way_out), "{entry}: {error}");
        };
        check("app.example.com", "write \"https://app.example.com\"");
        check("app.example.com/shop", "write \"https://app.example.com\"");
        check("//app.example.com", "write \"https://app.example.com\"");
        check("localhost:5173", "write \"http://localhost:5173\"");
        check("*.example.com", "write \"https://*.example.com\"");
        check("https://app.example.com/shop", "write \"https://app.example.com\"");
        check("https://app.example.com:8443/?a", "write \"https://app.example.com:8443\"");
        check("https://user:word@app.example.com", "write \"https://app.example.com\"");
        check("wss://app.example.com", "write \"https\"");
        check("https://", "https://app.example.com");
        check("https://a.*.example.com", "https://*.example.com");
        check("https://*", "https://*.example.com");
        check("http://localhost:*", "invalid port");
        check("https://a.example, https://b.example", "entry of its own");
        check("https://a.example trusted", "\"credentials\"");
        check("", "https://app.example.com");
    }

    #[test]
    fn the_server_s_own_origin_may_name_its_default_port_in_host() {
        let own = |origin: &str, host: &str| Origins::default().access(origin, Some(host)).is_some();
        for host in ["a.example", "A.example", "a.example:443", "a.example:80", "a.example."] {
            assert!(own("https://a.example", host) && own("http://a.example", host), "{host}");
        }
        assert!(own("https://a.example:8443", "a.example:8443") && own("http://[::1]:8000", "[::1]:8000"));
        for (origin, host) in [
            ("https://a.example", "a.example:8443"),
            ("https://a.example:8443", "a.example"),
            ("https://a.example", "b.example"),
            ("capacitor://a.example", "a.example"),
            ("null", "a.example"),
            ("https://a.example", "x@a.example"),
            ("https://a.example", "a.example/x"),
        ] {
            assert!(!own(origin, host), "{origin} and {host}");
        }
    }

    #[test]
    fn a_loopback_name_is_one_in_every_spelling() {
        for name in ["localhost", "LOCALHOST.", "app.localhost", "127.0.0.1", "127.8.0.1", "[::1]"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in
            ["localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]"]
        {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_maybe_a_port() {
        for (text, name) in [
            ("a:80", "a"),
            ("a:", "a"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("A_b.example.", "A_b.example."),
            ("127.0.0.1:8000", "127.0.0.1"),
        ] {
            assert_eq!(Authority::parse(text), Some(Authority { name }), "{text}");
        }
        for text in [
            "",
            ":80",
            "127.0.0.1:1.evil.com",
            "127.0.0.1:80:evil.com",
            "127.0.0.1:65536",
            "127.0.0.1:+80",
            "[::1]evil.com",
            "[::1]:80.evil.com",
            "[::1",
            "::1",
            "[127.0.0.1]",
            "[::1%lo]",
            "user@127.0.0.1",
            "127.0.0.1/evil.com",
            "127.0.0.1?",
            "127.0.0.1#a",
            "127.0.0.1, evil.com",
            "127.0.0.1\\evil.com",
            "local%68ost",
            "a b",
            " a",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
        let loopback = Origins::parse(&[], true).expect("no origins");
        for origin in [
            "http://127.0.0.1:1.evil.com",
            "http://[::1]evil.com",
            "http://127.0.0.1:80/",
            "http:\\\\127.0.0.1",
            "http://evil.com\\@127.0.0.1",
            "http://127.0.0.1#.evil.com",
            "http://127.0.0.1?.evil.com",
            "http://evil.com@127.0.0.1",
            "http://127.0.0.1\t",
            " http://127.0.0.1",
        ] {
            assert_eq!(loopback.access(origin, None), None, "{origin}");
            assert_eq!(loopback.access(origin, Some("127.0.0.1:80")), None, "{origin}");
        }
        assert!(loopback.access("http://127.0.0.1:1", None).is_some());
    }
}
