//! Whether the head of a request (RFC 9112) may go to an HTTP library, and where the body behind it ends:
//! what a library refuses by itself, it refuses without a word.

use std::mem::MaybeUninit;

use crate::head::HEADERS_MAX;

/// The longest target, and the longest name of a header, that HTTP libraries take.
const TEXT_BYTES_MAX: usize = u16::MAX as usize - 1;
/// What a TLS handshake begins with.
const TLS_HANDSHAKE: u8 = 0x16;
/// How much of a value a refusal shows, in characters.
const SHOWN_MAX: usize = 80;

/// What is to be said of a head.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Not enough bytes yet.
    Partial,
    /// Nothing: somebody may answer it.
    Sound(Sound),
    /// More bytes or headers than a head may have.
    TooLarge,
    /// What is wrong.
    Faulty(String),
}

/// A head that may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// How many bytes it has.
    pub bytes: usize,
    /// The body behind it.
    pub body: Body,
    /// Whether what follows may be no HTTP any more.
    pub upgrades: bool,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Bytes(u64),
    /// As many as its chunks have.
    Chunked,
}

/// Judges the head at the start of the bytes, which may have at most `bytes_max`. `is_target` knows a target.
#[must_use]
pub fn judge(bytes: &[u8], bytes_max: usize, is_target: impl Fn(&str) -> bool) -> Judgement {
    if bytes.first() == Some(&TLS_HANDSHAKE) {
        let way_out = "it begins a TLS handshake, and this listener speaks without TLS; use http:// and ws://, \
                       or give it tls.certificate and tls.key";
        return Judgement::Faulty(way_out.to_owned());
    }
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(end)) if end <= bytes_max => whole(&request, end, is_target),
        Ok(httparse::Status::Partial) if bytes.len() < bytes_max => Judgement::Partial,
        Ok(_) => Judgement::TooLarge,
        // To its end, since who sends it stands anywhere in it.
        Err(httparse::Error::TooManyHeaders) if !ends(bytes, 0) && bytes.len() < bytes_max => {
            Judgement::Partial
        }
        Err(httparse::Error::TooManyHeaders) => Judgement::TooLarge,
        Err(error) => Judgement::Faulty(error.to_string()),
    }
}

/// Whether a head that begins before may end in the bytes from `from` on.
#[must_use]
pub fn ends(bytes: &[u8], from: usize) -> bool {
    let mut rest = &bytes[from.saturating_sub(3)..];
    while let Some(end) = memchr::memchr(b'\n', rest) {
        rest = &rest[end + 1..];
        if rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            return true;
        }
    }
    false
}

/// The lines of a head that is refused, as far as they are whole: enough to know who sends it.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let lines = whole.map(<[u8]>::trim_ascii).skip_while(|line| line.is_empty()).skip(1);
    lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        Some((std::str::from_utf8(name).ok()?, value[1..].trim_ascii()))
    })
}

/// Method, target and version of a head that is refused, each empty where there is none.
#[must_use]
pub fn request_line(bytes: &[u8]) -> [&str; 3] {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty()).and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.unwrap_or_default().split(' ');
    std::array::from_fn(|_| words.next().unwrap_or_default())
}

fn whole(request: &httparse::Request<'_, '_>, bytes: usize, is_target: impl Fn(&str) -> bool) -> Judgement {
    let target = request.path.unwrap_or_default();
    let too_long = |text: &str| text.len() > TEXT_BYTES_MAX;
    if too_long(target) || request.headers.iter().any(|header| too_long(header.name)) {
        return Judgement::TooLarge;
    }
    if !is_target(target) {
        let shown: String = target.chars().take(SHOWN_MAX).collect();
        let why = format!("the target {shown:?} is no address; send a path that begins with /");
        return Judgement::Faulty(why);
    }
    let lines = || request.headers.iter().map(|header| (header.name, header.value));
    let upgrades = request.method == Some("CONNECT")
        || lines().any(|(name, _)| name.eq_ignore_ascii_case("upgrade")) && request.version == Some(1);
    match body(lines(), request.version) {
        Ok(body) => Judgement::Sound(Sound { bytes, body, upgrades }),
        Err(why) => Judgement::Faulty(why),
    }
}

/// Where the body ends; it has to be clear (RFC 9112, section 6.3).
fn body<'a>(lines: impl Iterator<Item = (&'a str, &'a [u8])>, version: Option<u8>) -> Result<Body, String> {
    let (mut length, mut coding) = (None, None);
    for (name, value) in lines {
        let shown = || String::from_utf8_lossy(value).chars().take(SHOWN_MAX).collect::<String>();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            coding = Some(value);
        } else if name.eq_ignore_ascii_case("content-length") {
            let number = whole_number(value)
                .ok_or_else(|| format!("Content-Length is {:?}; send one whole number of bytes", shown()))?;
            if length.replace(number).is_some() {
                return Err("it has several Content-Length; send one".to_owned());
            }
        }
    }
    let Some(coding) = coding else { return Ok(Body::Bytes(length.unwrap_or(0))) };
    if version != Some(1) {
        return Err("Transfer-Encoding is not of HTTP/1.0; send Content-Length".to_owned());
    }
    if length.is_some() {
        // Of two who read it, each may go by another (RFC 9112, section 6.1).
        return Err("it has Content-Length and Transfer-Encoding; send one of them".to_owned());
    }
    let last = coding.rsplit(|byte| *byte == b',').next().unwrap_or_default();
    if !last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
        let shown: String = String::from_utf8_lossy(coding).chars().take(SHOWN_MAX).collect();
        return Err(format!("Transfer-Encoding is {shown:?}; send chunked, or Content-Length"));
    }
    Ok(Body::Chunked)
}

/// A number of bytes, of digits alone. The two greatest are left out: libraries keep them for other meanings.
fn whole_number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok();
    number.filter(|bytes| *bytes <= u64::MAX - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 1000;

    fn judged(head: &str) -> Judgement {
        judge(head.as_bytes(), BYTES_MAX, |target| target.starts_with('/'))
    }

    fn post(lines: &str) -> Judgement {
        judged(&format!("POST /a HTTP/1.1\r\n{lines}\r\n\r\n"))
    }

    #[track_caller]
    fn check_faulty(judgement: &Judgement, words: &str) {
        match judgement {
            Judgement::Faulty(why) => assert!(why.contains(words), "{why}"),
            other => panic!("{words}: {other:?}"),
        }
    }

    #[test]
    fn where_a_body_ends_has_to_be_clear() {
        for length in [
            "4, 4",
            "+4",
            "-1",
            "0x10",
            "",
            "18446744073709551615",
            "18446744073709551616",
            "4\r\nContent-Length: 5",
            "4\r\nContent-Length: 4",
            "4\r\nTransfer-Encoding: chunked",
        ] {
            check_faulty(&post(&format!("Content-Length: {length}")), "Content-Length");
        }
        for coding in ["xchunked", "chunked, gzip", "chunked\r\nTransfer-Encoding: gzip", ""] {
            check_faulty(&post(&format!("Transfer-Encoding: {coding}")), "send chunked");
        }
        let bodies = [
            ("Content-Length: 4", Body::Bytes(4)),
            ("X: y", Body::Bytes(0)),
            ("Transfer-Encoding: gzip, Chunked", Body::Chunked),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", Body::Chunked),
        ];
        for (lines, body) in bodies {
            let bytes = format!("POST /a HTTP/1.1\r\n{lines}\r\n\r\n").len();
            assert_eq!(post(lines), Judgement::Sound(Sound { bytes, body, upgrades: false }), "{lines}");
        }
        let old = judged("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        check_faulty(&old, "HTTP/1.0");
    }

    #[test]
    fn what_is_no_head_is_told_in_words() {
        for (head, words) in [
            ("GET api/health HTTP/1.1\r\n\r\n", "\"api/health\""),
            ("GET / HTTP/1.1\r\nno header\r\n\r\n", "header name"),
            ("GET / HTTP/2.0\r\n\r\n", "version"),
            ("\u{16}\u{3}\u{1}", "TLS"),
        ] {
            check_faulty(&judged(head), words);
        }
    }

    #[test]
    fn a_head_is_partial_whole_or_too_large() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 1..head.len() {
            assert_eq!(judged(&head[..cut]), Judgement::Partial, "{cut}");
            assert!(!ends(&head.as_bytes()[..cut], 0), "{cut}");
            assert!(ends(head.as_bytes(), cut), "{cut}");
        }
        assert!(matches!(judged(head), Judgement::Sound(_)));
        assert_eq!(judged(&format!("GET /{}", "a".repeat(BYTES_MAX))), Judgement::TooLarge);
        let crowd = |count: usize| format!("GET / HTTP/1.1\r\n{}", "X:y\r\n".repeat(count));
        assert!(matches!(judged(&format!("{}\r\n", crowd(HEADERS_MAX))), Judgement::Sound(_)));
        assert_eq!(judged(&crowd(HEADERS_MAX + 1)), Judgement::Partial);
        assert_eq!(judged(&format!("{}\r\n", crowd(HEADERS_MAX + 1))), Judgement::TooLarge);
        assert_eq!(judged(&crowd(BYTES_MAX)), Judgement::TooLarge);
        let name = "X".repeat(TEXT_BYTES_MAX + 1);
        let long = judge(format!("GET / HTTP/1.1\r\n{name}: y\r\n\r\n").as_bytes(), 100_000, |_| true);
        assert_eq!(long, Judgement::TooLarge);
    }

    #[test]
    fn a_head_that_may_end_http_says_so() {
        for (head, upgrades) in [
            ("GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", true),
            ("CONNECT /a HTTP/1.1\r\n\r\n", true),
            ("GET /a HTTP/1.0\r\nUpgrade: websocket\r\n\r\n", false),
        ] {
            assert!(matches!(judged(head), Judgement::Sound(sound) if sound.upgrades == upgrades), "{head}");
        }
    }

    #[test]
    fn whole_lines_are_read_however_wrong_the_head_is() {
        let head = b"\r\nGET  x\r\nHost: a\r\nno header\r\nOrigin:\thttps://b.example \r\nX: y";
        let found: Vec<_> = lines(head).collect();
        assert_eq!(found, [("Host", &b"a"[..]), ("Origin", b"https://b.example")]);
        assert_eq!(request_line(b"\r\nGET /x HTTP/1.0\r\nHost: a"), ["GET", "/x", "HTTP/1.0"]);
        assert_eq!(request_line(b"\xff /x"), ["", "", ""]);
        assert_eq!(lines(b"GET / HTTP/1.1\r\nA: b\r\n\r\nC: d\r\n").collect::<Vec<_>>(), [("A", &b"b"[..])]);
    }
}
