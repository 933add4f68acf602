//! Publishing over HTTP: what a request's body becomes, and the posts on a socket that the gateway owns.
//!
//! Knows: bodies and their answers. Does not know: who reads what is published.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use anywire_log::Offset;
use anywire_protocol::{Code, Refusal, native::write_published, publish::parse_publish};
use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::{
    Gateway,
    auth::{Credentials, Principal},
    body::{skip_body, take_body, throw_away_body},
    direct::{cors_headers, refusal_answer, refusal_kept},
    drive::write_all,
};

impl Gateway {
    /// Appends what a request's body holds; returns the body of the answer.
    pub(crate) async fn publish(
        &self,
        principal: &Principal,
        address: IpAddr,
        key: Option<&str>,
        body: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let batch = parse_publish(body, key, &self.publish_limits())?;
        self.check_publish(principal, &batch)?;
        self.check_rate(principal, address, batch.publications.len())?;
        let appended = self.append(batch).await?;
        let offsets: Vec<u64> = appended.offsets().map(Offset::get).collect();
        let mut out = Vec::with_capacity(64 + offsets.len() * 12);
        out.push(b'{');
        write_published(&mut out, self.log.cursor(appended.last()), &offsets, appended.duplicate);
        out.push(b'}');
        Ok(out)
    }

    /// The refusal of a request whose body has `bytes`.
    pub(crate) fn body_too_large(&self, bytes: &dyn std::fmt::Display) -> Refusal {
        let limit = self.config.limits.request_bytes_max;
        let message =
            format!("the request has {bytes} bytes, the limit is {limit} (limits.request_bytes_max)");
        Refusal::new(Code::TooLarge, message)
    }
}

/// A post whose head was read.
pub(crate) struct Posting {
    /// Whose it is, or why it is refused.
    principal: Result<Principal, Refusal>,
    key: Option<Box<str>>,
    /// The page that may read the answer.
    origin: Option<Box<str>>,
    body_bytes: usize,
}

impl Posting {
    /// Judges a head. `key` is its `Idempotency-Key`.
    pub(crate) fn new(
        gateway: &Gateway,
        credentials: &Credentials<'_>,
        key: Option<&str>,
        body_bytes: usize,
    ) -> Self {
        let placed = gateway.gate.check_place(credentials);
        let origin = placed.as_ref().ok().copied().flatten().map(Into::into);
        let principal = placed.and_then(|_| gateway.gate.principal(credentials)).and_then(|principal| {
            match body_bytes > gateway.config.limits.request_bytes_max {
                true => Err(gateway.body_too_large(&body_bytes)),
                false => Ok(principal),
            }
        });
        Self { principal, key: key.map(Into::into), origin, body_bytes }
    }

    /// Takes the body and answers; true if the connection may bring another request.
    pub(crate) async fn serve(
        self,
        gateway: &Arc<Gateway>,
        stream: &TcpStream,
        address: IpAddr,
        bytes: &mut BytesMut,
    ) -> bool {
        let headers = cors_headers(self.origin.as_deref());
        let published = match self.principal {
            Err(refusal) if !skip_body(bytes, self.body_bytes) => {
                gateway.metrics.refusals.fetch_add(1, Relaxed);
                let _gone = write_all(stream, &refusal_answer(&refusal, &headers)).await;
                throw_away_body(stream, bytes, self.body_bytes).await;
                return false;
            }
            Err(refusal) => Err(refusal),
            Ok(principal) => match take_body(stream, bytes, self.body_bytes).await {
                None => return false,
                Some(body) => gateway.publish(&principal, address, self.key.as_deref(), &body).await,
            },
        };
        let answer = match published {
            Ok(body) => answer(&body, &headers),
            Err(refusal) => {
                gateway.metrics.refusals.fetch_add(1, Relaxed);
                refusal_kept(&refusal, &headers).to_vec()
            }
        };
        write_all(stream, &answer).await.is_ok()
    }
}

fn answer(body: &[u8], headers: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nVary: Origin\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
