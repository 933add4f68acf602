//! CORS: which headers pages of other origins may send and read, and whether with credentials.

use http::HeaderName;

use super::origin::{Access, Origins};

/// The headers a page may send to the gateway's own routes.
const ALLOWED: [&str; 6] = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "If-None-Match",
    "X-Requested-With",
];
/// The headers a page may read of their answers.
const EXPOSED: [&str; 3] = ["Anywire-Cursor", "ETag", "Retry-After"];
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// How long a browser may keep what it was told, in seconds.
const MAX_AGE_S: &str = "600";

/// Headers that pages of allowed origins may send and read, beside those of the gateway's own routes: each
/// application names its own. Those that may be sent stand in a request once.
#[derive(Debug, Clone, Default)]
pub struct PageHeaders {
    /// Of requests.
    pub allowed: Vec<&'static str>,
    /// Of answers.
    pub exposed: Vec<&'static str>,
}

/// What every answer to a page of another origin says.
#[derive(Debug)]
pub(crate) struct Cors {
    allowed: String,
    exposed: String,
    origins: Origins,
}

impl Default for Cors {
    fn default() -> Self {
        Self::new(&PageHeaders::default(), Origins::default())
    }
}

impl Cors {
    pub(crate) fn new(others: &PageHeaders, origins: Origins) -> Self {
        let allowed = union(ALLOWED.into_iter().chain(others.allowed.iter().copied()));
        let exposed = union(EXPOSED.into_iter().chain(others.exposed.iter().copied()));
        Self { allowed, exposed, origins }
    }

    /// The headers of an answer that a page of this origin, which was let in, may read.
    pub(crate) fn answer<'a>(&'a self, origin: &'a str) -> impl Iterator<Item = (&'static str, &'a str)> {
        let Access { anybody, credentials } = self.origins.access_of_listed(origin);
        let headers = [
            Some(("Access-Control-Allow-Origin", if anybody && !credentials { "*" } else { origin })),
            credentials.then_some(("Access-Control-Allow-Credentials", "true")),
            Some(("Access-Control-Expose-Headers", self.exposed.as_str())),
        ];
        headers.into_iter().flatten()
    }

    /// The further headers where a page asks first. It may send what it asks for: libraries and scripts that
    /// watch a page add headers of their own, which mean nothing here.
    pub(crate) fn preflight(&self, asked: Option<&str>) -> [(&'static str, String); 3] {
        let names = asked.unwrap_or_default().split(',').map(str::trim);
        let asked = names.filter(|name| HeaderName::from_bytes(name.as_bytes()).is_ok());
        [
            ("Access-Control-Allow-Methods", METHODS.to_owned()),
            ("Access-Control-Allow-Headers", union(self.allowed.split(", ").chain(asked))),
            ("Access-Control-Max-Age", MAX_AGE_S.to_owned()),
        ]
    }
}

/// All names as one list, each once.
fn union<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in all {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_add_their_headers_and_each_is_named_once() {
        let others = PageHeaders { allowed: vec!["Upload-Length"], exposed: vec!["etag", "Location"] };
        let cors = Cors::new(&others, Origins::default());
        let exposed = cors.answer("https://a.example").last().map(|(_, names)| names);
        assert_eq!(exposed, Some("Anywire-Cursor, ETag, Retry-After, Location"));
        assert!(cors.preflight(None)[1].1.ends_with("X-Requested-With, Upload-Length"));
    }

    #[test]
    fn a_page_may_send_what_it_asks_for() {
        let cors = Cors::default();
        let allowed = |asked| cors.preflight(Some(asked))[1].1.clone();
        assert!(
            allowed("cache-control,x-my-header, traceparent")
                .ends_with("cache-control, x-my-header, traceparent")
        );
        assert_eq!(allowed("authorization, content-type"), cors.preflight(None)[1].1, "each once");
        assert_eq!(allowed("b c, \u{e9}, ,:"), cors.preflight(None)[1].1, "what is no name is left out");
    }

    #[test]
    fn a_wildcard_lets_pages_in_without_credentials() {
        let origins = ["https://app.example.com", "https://*.example.com", "*"].map(str::to_owned);
        let cors = Cors::new(&PageHeaders::default(), Origins::parse(&origins, false).expect("origins"));
        let answer = |origin| cors.answer(origin).take(2).collect::<Vec<_>>();
        let (allow, credentials) = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials");
        let app = "https://app.example.com";
        assert_eq!(answer(app), [(allow, app), (credentials, "true")]);
        assert_eq!(answer("https://b.example.com")[0], (allow, "https://b.example.com"));
        assert_ne!(answer("https://b.example.com")[1].0, credentials);
        assert_eq!(answer("https://elsewhere.example")[0], (allow, "*"));
        assert_ne!(answer("https://elsewhere.example")[1].0, credentials);
    }
}
