//! The head of an HTTP/1.1 request (RFC 9112), read far enough to know whether the gateway serves it itself.
//!
//! Only GETs and posts of a given length over cleartext HTTP/1.1 are answered on the socket directly;
//! everything else goes to the HTTP library with the bytes already read, which then judges it.

/// The most bytes a request head may have, with its target. As many as proxies let through.
pub const HEAD_BYTES_MAX: usize = 32 << 10;
/// The most headers a request may have.
pub const HEADERS_MAX: usize = 100;
/// How many headers are looked at here.
const HEADERS_READ_MAX: usize = 64;

/// What stands at the start of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Head<'a> {
    /// Not enough bytes yet.
    Partial,
    /// A head that this module understands.
    Complete(Request<'a>),
    /// Something for the HTTP library: another version, another method, a body, an HTTP/2 preface, more than
    /// a head may have, or no head at all.
    Other,
}

/// A `GET` without a body, or a `POST` with one of a given length.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The path.
    pub path: &'a str,
    /// The query string without `?`, empty if there is none.
    pub query: &'a str,
    /// The headers as they came.
    pub headers: Vec<(&'a str, &'a str)>,
    /// How many bytes the head has.
    pub bytes: usize,
    /// How many bytes of body follow it; `None` for a `GET`.
    pub body_bytes: Option<usize>,
}

impl<'a> Request<'a> {
    /// The first header of a name (case-insensitive).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// Reads a head.
#[must_use]
pub fn parse(bytes: &[u8]) -> Head<'_> {
    if bytes == b"PR" {
        // It may become the preface of HTTP/2, or a method.
        return Head::Partial;
    }
    if !could_be_known(bytes) {
        return Head::Other;
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_READ_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(end)) if end <= HEAD_BYTES_MAX => {
            complete(&request, end).map_or(Head::Other, Head::Complete)
        }
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Head::Partial,
        Ok(_) | Err(_) => Head::Other,
    }
}

/// How many bytes a head counts, by the lengths of what stands in it: as many as it has where it is written
/// without needless blanks. It is the same however a head comes.
pub fn counted_bytes(method: &str, target: &str, headers: impl Iterator<Item = (usize, usize)>) -> usize {
    let line = method.len() + target.len() + "  HTTP/1.1\r\n\r\n".len();
    line + headers.map(|(name, value)| name + value + ": \r\n".len()).sum::<usize>()
}

fn could_be_known(bytes: &[u8]) -> bool {
    let begins = |method: &[u8]| {
        let known = bytes.len().min(method.len());
        bytes[..known] == method[..known]
    };
    begins(b"GET ") || begins(b"POST ")
}

fn complete<'a>(request: &httparse::Request<'_, 'a>, end: usize) -> Option<Request<'a>> {
    let target = request.path.filter(|_| request.version == Some(1))?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let post = request.method == Some("POST");
    let mut body_bytes = None;
    let mut headers = Vec::with_capacity(request.headers.len());
    for header in request.headers.iter() {
        let value = std::str::from_utf8(header.value).ok()?;
        if ["transfer-encoding", "expect", "content-encoding"]
            .iter()
            .any(|name| header.name.eq_ignore_ascii_case(name))
        {
            return None;
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            if !post || !digits || body_bytes.is_some() {
                return None;
            }
            body_bytes = Some(value.parse().ok()?);
        }
        headers.push((header.name, value));
    }
    let lengths = headers.iter().map(|(name, value)| (name.len(), value.len()));
    let fits = counted_bytes(request.method?, target, lengths) <= HEAD_BYTES_MAX;
    (fits && body_bytes.is_some() == post).then_some(Request { path, query, headers, bytes: end, body_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] =
        b"GET /anywire/sse?channels=a HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1f0c93ab-5\r\n\r\n";

    #[test]
    fn a_head_is_partial_at_every_cut_and_complete_at_its_end() {
        for cut in 0..GET.len() {
            assert_eq!(parse(&GET[..cut]), Head::Partial, "{cut}");
        }
        let Head::Complete(request) = parse(GET) else { panic!("complete") };
        assert_eq!((request.path, request.query, request.bytes), ("/anywire/sse", "channels=a", GET.len()));
        assert_eq!(request.header("last-event-id"), Some("1f0c93ab-5"));
    }

    #[test]
    fn a_post_says_how_long_its_body_is() {
        let Head::Complete(request) = parse(b"POST /a?b HTTP/1.1\r\nContent-Length: 12\r\n\r\n4x") else {
            panic!("complete")
        };
        assert_eq!((request.path, request.body_bytes, request.bytes), ("/a", Some(12), 42));
        for length in ["", "+1", "1, 1", "0x1", "99999999999999999999", "1\r\nContent-Length: 1"] {
            let head = format!("POST /a HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(parse(head.as_bytes()), Head::Other, "{length}");
        }
        assert_eq!(parse(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), Head::Other);
    }

    #[test]
    fn whatever_is_unusual_goes_to_the_library() {
        let others: [&[u8]; 5] = [
            b"POST /anywire/publish HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
            b"\x16\x03\x01",
        ];
        for bytes in others {
            assert_eq!(parse(bytes), Head::Other, "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(parse(b"PR"), Head::Partial);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_READ_MAX + 1));
        assert_eq!(parse(many.as_bytes()), Head::Other);
    }

    #[test]
    fn what_is_no_head_or_too_large_for_one_goes_there_too() {
        assert_eq!(parse(b"GET / HTTP/1.1\r\nbroken\r\n\r\n"), Head::Other);
        for start in [b"GET /".as_slice(), b"GET / HTTP/1.1\r\nX: "] {
            let long = [start, &[b'a'; HEAD_BYTES_MAX]].concat();
            assert_eq!(parse(&long), Head::Other);
            let whole = [start, &[b'a'; HEAD_BYTES_MAX], b" HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(parse(&whole), Head::Other);
        }
    }

    #[test]
    fn a_head_counts_the_same_with_and_without_blanks() {
        let counted = counted_bytes("GET", "/a?b", [(4, 9), (1, 0)].into_iter());
        assert_eq!(counted, b"GET /a?b HTTP/1.1\r\nHost: localhost\r\nX: \r\n\r\n".len());
        let names: String = (0..30).map(|n| format!("X{n}:{}\r\n", "y".repeat(1_080))).collect();
        let dense = format!("GET / HTTP/1.1\r\n{names}\r\n");
        let spare = HEAD_BYTES_MAX - dense.len();
        assert!(spare > 30 && matches!(parse(dense.as_bytes()), Head::Complete(_)));
        let full = dense.replace("GET /", &format!("GET /{}", "a".repeat(spare)));
        assert_eq!((full.len(), parse(full.as_bytes())), (HEAD_BYTES_MAX, Head::Other));
    }
}
