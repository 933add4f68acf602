//! CORS: which headers pages of other origins may send and read.

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
/// application names its own.
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
}

impl Default for Cors {
    fn default() -> Self {
        Self::new(&PageHeaders::default())
    }
}

impl Cors {
    pub(crate) fn new(others: &PageHeaders) -> Self {
        Self { allowed: union(&ALLOWED, &others.allowed), exposed: union(&EXPOSED, &others.exposed) }
    }

    /// The headers of an answer that a page of this origin may read.
    pub(crate) fn answer<'a>(&'a self, origin: &'a str) -> [(&'static str, &'a str); 3] {
        [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", &self.exposed),
        ]
    }

    /// The further headers where a page asks first.
    pub(crate) fn preflight(&self) -> [(&'static str, &str); 3] {
        [
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Allow-Headers", &self.allowed),
            ("Access-Control-Max-Age", MAX_AGE_S),
        ]
    }
}

/// Both lists as one, each name once.
fn union(own: &[&'static str], others: &[&'static str]) -> String {
    let mut names: Vec<&str> = Vec::with_capacity(own.len() + others.len());
    for name in own.iter().chain(others) {
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
        let cors = Cors::new(&others);
        assert_eq!(cors.answer("https://a.example")[2].1, "Anywire-Cursor, ETag, Retry-After, Location");
        assert!(cors.preflight()[1].1.ends_with("X-Requested-With, Upload-Length"));
    }
}
