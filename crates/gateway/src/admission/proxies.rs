//! The proxies in front that are trusted, and what they tell of the client (RFC 7239; `X-Forwarded-For`).
//!
//! Invariant: no client chooses the address that counts for it. Each proxy adds the peer that it saw at the
//! end of the list, so the list is read from its end, as long as what it names is a trusted proxy.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// How many addresses at the end of a list are looked at.
const HOPS_MAX: usize = 32;

/// An entry of `limits.trusted_proxies` that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "limits.trusted_proxies: {value:?} is no address and no network; write one such as \"10.0.0.7\" or \"10.0.0.0/8\""
)]
pub struct ProxyError {
    /// The entry.
    pub value: String,
}

/// The networks whose word about their clients is taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Reads `limits.trusted_proxies`.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, ProxyError> {
        let network = |entry: &String| {
            let text = entry.trim();
            let parsed = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            parsed.map_err(|_| ProxyError { value: entry.clone() })
        };
        entries.iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is the one of a trusted proxy.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whom a trusted peer names as its client; itself where it names nobody that can be told.
    pub(super) fn client(&self, peer: IpAddr, told: &Told) -> IpAddr {
        let of = |list: &[Option<IpAddr>]| self.last_foreign(peer, list);
        match (told.list.as_slice(), told.forwarded.as_slice()) {
            (list, []) => of(list),
            ([], forwarded) => of(forwarded),
            // A proxy that writes one of them passes on what the client wrote into the other.
            (list, forwarded) => Some(of(list)).filter(|one| *one == of(forwarded)).unwrap_or(peer),
        }
    }

    /// The last address of a list that is no trusted proxy, or the last that can be told.
    fn last_foreign(&self, peer: IpAddr, list: &[Option<IpAddr>]) -> IpAddr {
        let mut nearest = peer;
        for named in list.iter().rev().take(HOPS_MAX) {
            let Some(address) = named else { break };
            nearest = *address;
            if !self.trust(nearest) {
                break;
            }
        }
        nearest
    }
}

/// The addresses that a request names, in the order of the way it took; none where one cannot be told.
#[derive(Debug, Default)]
pub(super) struct Told {
    list: Vec<Option<IpAddr>>,
    forwarded: Vec<Option<IpAddr>>,
}

impl Told {
    /// A line of `X-Forwarded-For`.
    pub(super) fn add_list(&mut self, value: &str) {
        self.list.extend(value.split(',').map(|one| address(one.trim())));
    }

    /// A line of `Forwarded` (RFC 7239, section 4).
    pub(super) fn add_forwarded(&mut self, value: &str) {
        for element in outside_quotes(value, b',') {
            let named = outside_quotes(element, b';').find_map(|pair| {
                let (name, node) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then(|| node.trim().trim_matches('"'))
            });
            self.forwarded.push(named.and_then(address));
        }
    }
}

/// The parts of a text between separators that are in no quotes.
fn outside_quotes(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let part = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = part.bytes().position(|byte| {
            let ends = byte == separator && !quoted;
            quoted ^= byte == b'"' && !escaped;
            escaped = byte == b'\\' && quoted && !escaped;
            ends
        });
        rest = end.map(|end| &part[end + 1..]);
        Some(&part[..end.unwrap_or(part.len())])
    })
}

/// An address, with a port or without, in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|known| known.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[track_caller]
    fn check(headers: &[(&str, &str)], client: &str) {
        let entries = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(str::to_owned);
        let proxies = Proxies::parse(&entries).expect("networks");
        let lines = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let found = crate::admission::credentials::client_address(&proxies, ip("127.0.0.1"), lines);
        assert_eq!(found, ip(client), "{headers:?}");
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_is_the_client() {
        let list = |value, client| check(&[("X-Forwarded-For", value)], client);
        list("192.0.2.7", "192.0.2.7");
        list("198.51.100.1, 192.0.2.7", "192.0.2.7");
        list("198.51.100.1, 192.0.2.7, 10.1.2.3", "192.0.2.7");
        list("10.9.9.9,10.1.2.3", "10.9.9.9");
        list("192.0.2.7:4711", "192.0.2.7");
        list("2001:db8::1", "2001:db8::1");
        list("[2001:db8::1]:80, fd00::1", "2001:db8::1");
        list("::ffff:192.0.2.7", "192.0.2.7");
        check(&[("X-Forwarded-For", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2")], "192.0.2.2");
        let forwarded = |value, client| check(&[("Forwarded", value)], client);
        forwarded("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60");
        forwarded("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17");
        forwarded("for=192.0.2.43, proto=https;for=198.51.100.17", "198.51.100.17");
        forwarded("host=\"a,for=192.0.2.1;\\\",b\";for=192.0.2.9", "192.0.2.9");
    }

    #[test]
    fn what_cannot_be_told_is_the_proxy_and_nobody_else_s_word_counts() {
        check(&[], "127.0.0.1");
        for value in ["", "unknown", "_hidden", "192.0.2.7 x", "192.0.2.7, unknown", "1", "192.0.2.7,"] {
            check(&[("X-Forwarded-For", value)], "127.0.0.1");
        }
        check(&[("X-Forwarded-For", "192.0.2.7, unknown, 10.0.0.1")], "10.0.0.1");
        check(&[("Forwarded", "for=unknown")], "127.0.0.1");
        check(&[("Forwarded", "proto=https")], "127.0.0.1");
        check(&[("X-Real-IP", "192.0.2.7")], "127.0.0.1");
        let both = |other| [("X-Forwarded-For", "192.0.2.7"), ("Forwarded", other)];
        check(&both("for=192.0.2.7"), "192.0.2.7");
        check(&both("for=198.51.100.1"), "127.0.0.1");
        let none = Proxies::default();
        let lines = [("X-Forwarded-For", "192.0.2.7".as_bytes())];
        let found = crate::admission::credentials::client_address(&none, ip("127.0.0.1"), lines.into_iter());
        assert_eq!(found, ip("127.0.0.1"));
    }

    #[test]
    fn an_entry_that_is_no_network_is_refused_by_name() {
        for entry in ["proxy.example", "10.0.0.0/33", "", "10.0.0"] {
            let error = Proxies::parse(&[entry.to_owned()]).expect_err(entry).to_string();
            assert!(
                error.starts_with(&format!("limits.trusted_proxies: {entry:?} is no address")),
                "{error}"
            );
        }
    }
}
