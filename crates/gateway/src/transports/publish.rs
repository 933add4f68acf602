//! Publishing: what is appended over any transport, and the posts on a socket that the gateway owns.

use std::{net::IpAddr, sync::Arc};

use anywire_access::Principal;
use anywire_log::{Appended, Batch, Offset};
use anywire_protocol::{Code, Refusal, native::write_published, publish::parse_publish};
use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::{
    Gateway,
    admission::{act::Act, credentials::Credentials, rights::Rights as _},
    http1::body::{NoBody, skip_body, take_body, throw_away_body},
    http1::reply::render,
    reply::Reply,
};

/// Appends what a request's body holds; returns the body of the answer.
pub(crate) async fn publish(
    gateway: &Gateway,
    principal: &Principal,
    address: IpAddr,
    key: Option<&str>,
    body: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let batch = parse_publish(body, key, &gateway.admission.publish_limits())?;
    gateway.admission.check_publish(principal, &batch)?;
    let account = gateway.admission.account(principal, address);
    gateway.admission.charge(account.as_deref(), Act::Publish, batch.publications.len())?;
    let appended = append(gateway, principal, address, batch).await?;
    let offsets: Vec<u64> = appended.offsets().map(Offset::get).collect();
    let mut out = Vec::with_capacity(64 + offsets.len() * 12);
    out.push(b'{');
    write_published(&mut out, gateway.log.cursor(appended.last()), &offsets, appended.duplicate);
    out.push(b'}');
    Ok(out)
}

/// Appends what somebody published, over whatever transport.
pub(crate) async fn append(
    gateway: &Gateway,
    principal: &Principal,
    address: IpAddr,
    batch: Batch,
) -> Result<Appended, Refusal> {
    if gateway.admission.closing.is_cancelled() {
        return Err(gateway.admission.shutting_down());
    }
    gateway.admission.check_new_channels(principal, address, &batch)?;
    let idempotency_key = batch.idempotency_key.map(|key| principal.own_key(key));
    let batch = Batch { idempotency_key, ..batch };
    gateway.log.append(batch).await.map_err(|error| Refusal::from(&error))
}

/// What is said of a body that did not come whole.
pub(crate) const BODY_BROKEN: &str = "the body broke off; send it again";

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
        let placed = gateway.admission.gate.check_place(credentials);
        let origin = placed.as_ref().ok().copied().flatten().map(Into::into);
        let principal =
            placed.and_then(|_| gateway.admission.gate.principal(credentials)).and_then(|principal| {
                match body_bytes > gateway.config.limits.request_bytes_max {
                    true => Err(gateway.admission.body_too_large(&body_bytes)),
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
        let recipient = gateway.admission.recipient(self.origin.as_deref());
        let kept = gateway.admission.unfinished.keep_nothing();
        let taken = match self.principal {
            Err(refusal) => Err(NoBody::Refused(refusal)),
            Ok(principal) => {
                take_body(stream, bytes, self.body_bytes, kept).await.map(|body| (principal, body))
            }
        };
        match taken {
            Ok((principal, body)) => {
                let published = publish(gateway, &principal, address, self.key.as_deref(), &body).await;
                let reply = published.map_or_else(Reply::from, Reply::published);
                render(&gateway.metrics, reply, recipient).send(stream).await
            }
            Err(NoBody::Broken) => {
                let broken = Refusal::new(Code::BodyBroken, BODY_BROKEN);
                render(&gateway.metrics, broken, recipient.last()).send(stream).await;
                false
            }
            Err(NoBody::Refused(refusal)) if skip_body(bytes, self.body_bytes) => {
                render(&gateway.metrics, refusal, recipient).send(stream).await
            }
            Err(NoBody::Refused(refusal)) => {
                render(&gateway.metrics, refusal, recipient.last()).send(stream).await;
                throw_away_body(stream, bytes, self.body_bytes).await;
                false
            }
        }
    }
}
