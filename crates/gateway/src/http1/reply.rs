//! The writer of answers on a socket that the gateway owns.

use std::{io::Write, sync::atomic::Ordering::Relaxed};

use bytes::Bytes;
use tokio::net::TcpStream;

use super::{date, socket::write_all};
use crate::{
    admission::cors::Cors,
    metrics::Metrics,
    reply::{Content, Reply},
};

/// About the bytes of a head.
const HEAD_BYTES: usize = 512;

/// Who reads an answer, and whether the connection goes on after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipient<'a> {
    pub(crate) cors: &'a Cors,
    /// The origin of the page that may read it.
    pub(crate) origin: Option<&'a str>,
    pub(crate) keeps: bool,
}

impl<'a> Recipient<'a> {
    pub(crate) fn new(cors: &'a Cors, origin: Option<&'a str>) -> Self {
        Self { cors, origin, keeps: true }
    }

    /// The same, where the connection ends after the answer.
    pub(crate) fn last(self) -> Self {
        Self { keeps: false, ..self }
    }
}

/// An answer on its way. Bytes are far smaller than what they were made of: a connection is no larger for the
/// answers it may have to wait for.
pub(crate) struct Rendered {
    bytes: Bytes,
    keeps: bool,
}

/// Makes an answer ready to be sent, and counts it if it is a refusal.
pub(crate) fn render(metrics: &Metrics, reply: impl Into<Reply>, recipient: Recipient<'_>) -> Rendered {
    let reply = reply.into();
    if reply.is_refusal() {
        metrics.refusals.fetch_add(1, Relaxed);
    }
    Rendered { bytes: whole(&reply, recipient), keeps: recipient.keeps }
}

/// The same for the method of a request: `HEAD` is answered without a body.
pub(crate) fn render_to(metrics: &Metrics, method: &str, reply: Reply, recipient: Recipient<'_>) -> Rendered {
    if method != "HEAD" {
        return render(metrics, reply, recipient);
    }
    let bytes = head(&reply, recipient);
    Rendered { bytes, ..render(metrics, reply, recipient) }
}

impl Rendered {
    /// What is to be written, where somebody else writes it.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Writes it; whether it left and the connection goes on.
    pub(crate) async fn send(self, stream: &TcpStream) -> bool {
        write_all(stream, &self.bytes).await.is_ok() && self.keeps
    }
}

/// The head of an answer, up to and with the empty line.
pub(crate) fn head(reply: &Reply, recipient: Recipient<'_>) -> Bytes {
    let mut out = Vec::with_capacity(HEAD_BYTES);
    write_head(&mut out, reply, recipient);
    out.into()
}

/// A whole answer: head and body.
pub(crate) fn whole(reply: &Reply, recipient: Recipient<'_>) -> Bytes {
    let body: &[u8] = if let Content::Whole(body) = &reply.content { body } else { &[] };
    let mut out = Vec::with_capacity(HEAD_BYTES + body.len());
    write_head(&mut out, reply, recipient);
    out.extend_from_slice(body);
    out.into()
}

fn write_head(out: &mut Vec<u8>, reply: &Reply, recipient: Recipient<'_>) {
    let reason = reply.status.canonical_reason().unwrap_or("Error");
    line(out, format_args!("HTTP/1.1 {} {reason}", reply.status.as_u16()));
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(&date::now());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &reply.headers {
        line(out, format_args!("{name}: {value}"));
    }
    if !reply.status.is_informational() {
        line(out, format_args!("Vary: {}", reply.vary()));
        out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
        for (name, value) in recipient.origin.iter().flat_map(|origin| recipient.cors.answer(origin)) {
            line(out, format_args!("{name}: {value}"));
        }
        if !recipient.keeps {
            out.extend_from_slice(b"Connection: close\r\n");
        }
    }
    if let Content::Whole(body) = &reply.content {
        line(out, format_args!("Content-Length: {}", body.len()));
    }
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _written = out.write_fmt(text);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use anywire_protocol::{Code, Refusal};

    use super::*;

    /// The lines of an answer, without its date.
    fn lines(reply: &Reply, recipient: Recipient<'_>) -> Vec<String> {
        let text = String::from_utf8(whole(reply, recipient).to_vec()).expect("text");
        text.split("\r\n").filter(|line| !line.starts_with("Date: ")).map(str::to_owned).collect()
    }

    #[test]
    fn an_answer_without_a_body_has_no_length_and_says_whose_it_is() {
        let cursor = "1f0c93ab-5".parse().expect("a cursor");
        let cors = Cors::default();
        assert_eq!(
            lines(&Reply::nothing_new(cursor), Recipient::new(&cors, None)),
            [
                "HTTP/1.1 204 No Content",
                "Anywire-Cursor: 1f0c93ab-5",
                "ETag: \"1f0c93ab-5\"",
                "Cache-Control: no-store",
                "Vary: Origin, Authorization",
                "X-Content-Type-Options: nosniff",
                "",
                ""
            ]
        );
    }

    #[test]
    fn a_page_may_read_a_refusal_and_the_last_answer_says_so() {
        let cors = Cors::default();
        let reply = Reply::from(Refusal::new(Code::Busy, "full").retry_after_ms(1500));
        let recipient = Recipient::new(&cors, Some("https://a.example")).last();
        assert_eq!(
            lines(&reply, recipient),
            [
                "HTTP/1.1 503 Service Unavailable",
                "Content-Type: application/json",
                "Cache-Control: no-store",
                "Retry-After: 2",
                "Vary: Origin",
                "X-Content-Type-Options: nosniff",
                "Access-Control-Allow-Origin: https://a.example",
                "Access-Control-Allow-Credentials: true",
                "Access-Control-Expose-Headers: Anywire-Cursor, ETag, Retry-After",
                "Connection: close",
                "Content-Length: 32",
                "",
                "{\"code\":\"busy\",\"message\":\"full\"}"
            ]
        );
    }
}
