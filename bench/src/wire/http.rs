//! HTTP/1.1 from the client's side: heads, and bodies by length, in chunks, or up to the end of the
//! connection.

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) body: Body,
    /// Bytes of the head with its empty line.
    pub(crate) length: usize,
    fields: String,
}

/// How the body's end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Length(usize),
    Chunked,
    UntilClose,
}

/// An answer's bytes are not HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotHttp;

impl Head {
    /// Reads a head. `None`: its end has not come yet.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, NotHttp> {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes[..end]).map_err(|_| NotHttp)?;
        let (first, fields) = text.split_once("\r\n").unwrap_or((text, ""));
        let status =
            first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok()).ok_or(NotHttp)?;
        let mut head = Self { status, body: Body::UntilClose, length: end + 4, fields: fields.to_owned() };
        head.body = head.body_of()?;
        Ok(Some(head))
    }

    fn body_of(&self) -> Result<Body, NotHttp> {
        if matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Body::Length(0));
        }
        if self.field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Body::Chunked);
        }
        match self.field("content-length") {
            Some(value) => Ok(Body::Length(value.parse().map_err(|_| NotHttp)?)),
            None => Ok(Body::UntilClose),
        }
    }

    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Takes one whole answer from the front of `bytes` and says how long it was. `None`: not all of it has
    /// come.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, NotHttp> {
        let Some(head) = Head::parse(bytes)? else { return Ok(None) };
        let rest = &bytes[head.length..];
        let (body, used) = match head.body {
            Body::Length(length) if rest.len() < length => return Ok(None),
            Body::Length(length) => (rest[..length].to_vec(), length),
            Body::UntilClose => return Err(NotHttp),
            Body::Chunked => {
                let mut chunks = Chunks::default();
                let mut body = Vec::new();
                let used = chunks.take(rest, &mut body)?;
                if !chunks.ended() {
                    return Ok(None);
                }
                (body, used)
            }
        };
        let length = head.length + used;
        Ok(Some((Self { head, body }, length)))
    }
}

/// The chunked coding, taken apart as it comes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunks {
    /// Bytes of the present chunk that are still to come, with its line end.
    pending: usize,
    ended: bool,
}

impl Chunks {
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Appends what is payload to `body`; says how many bytes were dealt with.
    pub(crate) fn take(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, NotHttp> {
        let mut at = 0;
        while !self.ended && at < bytes.len() {
            if self.pending > 0 {
                at += self.take_payload(&bytes[at..], body);
                continue;
            }
            let Some(end) = memchr::memmem::find(&bytes[at..], b"\r\n") else { break };
            let size = chunk_size(&bytes[at..at + end]).ok_or(NotHttp)?;
            if size == 0 {
                // No trailers are expected: the last chunk is `0`, an empty line.
                if bytes.len() < at + end + 4 {
                    break;
                }
                self.ended = true;
                return Ok(at + end + 4);
            }
            self.pending = size + 2;
            at += end + 2;
        }
        Ok(at)
    }

    fn take_payload(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> usize {
        let taken = self.pending.min(bytes.len());
        // The last two bytes of `pending` are the line end.
        let payload = taken.min(self.pending.saturating_sub(2));
        body.extend_from_slice(&bytes[..payload]);
        self.pending -= taken;
        taken
    }
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    usize::from_str_radix(text.split(';').next()?.trim(), 16).ok()
}

/// A GET request.
pub(crate) fn get(host: &str, target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").into_bytes()
}

/// A POST request.
pub(crate) fn post(host: &str, target: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {target} HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_LENGTH: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";

    #[test]
    fn every_split_waits_for_the_whole_answer() {
        for whole in [BY_LENGTH, CHUNKED] {
            for split in 0..whole.len() {
                assert_eq!(Answer::parse(&whole[..split]), Ok(None), "split at {split}");
            }
            let (answer, used) = Answer::parse(whole).expect("it is HTTP").expect("it is whole");
            assert_eq!((answer.body.as_slice(), used), (b"hello".as_slice(), whole.len()));
        }
    }

    #[test]
    fn chunks_come_out_the_same_at_every_split() {
        let whole = b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
        for split in 0..=whole.len() {
            let (mut chunks, mut body) = (Chunks::default(), Vec::new());
            let used = chunks.take(&whole[..split], &mut body).expect("it is chunked");
            chunks.take(&whole[used..], &mut body).expect("it is chunked");
            assert_eq!((body.as_slice(), chunks.ended()), (b"hello".as_slice(), true), "split at {split}");
        }
    }

    #[test]
    fn fields_are_found_whatever_their_case() {
        let head = Head::parse(BY_LENGTH).expect("it is HTTP").expect("it is whole");
        assert_eq!((head.status, head.field("x-a")), (200, Some("b")));
        assert_eq!(head.field("missing"), None);
    }

    #[test]
    fn no_content_has_no_body() {
        let head = Head::parse(b"HTTP/1.1 204 No Content\r\n\r\n").expect("it is HTTP").expect("it is whole");
        assert_eq!(head.body, Body::Length(0));
    }

    #[test]
    fn other_bytes_are_refused() {
        assert_eq!(Head::parse(b"SSH-2.0-x\r\n\r\n"), Err(NotHttp));
    }
}
