//! Server-sent events: how a stream begins, and how it is served on a socket that the gateway owns.

use std::{net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use anywire_protocol::{Refusal, sse};
use smallvec::smallvec;
use tokio::{net::TcpStream, time::Sleep};

use crate::{
    Gateway,
    admission::entry::Admitted,
    delivery::{Reader, Wire},
    http1::{
        connection::{Input, drive},
        reply::whole,
        socket::{Flow, write_all},
    },
    metrics::Transport,
    reply::Reply,
};

/// Starts the stream of a request that was let in: the first block, and a gap if its position makes one.
pub(crate) fn begin(gateway: &Gateway, reader: &Arc<Reader>, admitted: &Admitted) {
    let channels = &admitted.query.channels;
    let position = admitted.query.after.unwrap_or_default();
    let mut gap = false;
    reader.change(|subscription| {
        let started = gateway.log.subscribe(subscription, channels, position);
        let mut blocks = smallvec![sse::first_block(gateway.log.cursor(started.after))];
        if let Some(found) = &started.gap {
            blocks.push(sse::gap_block(found));
            gap = true;
        }
        blocks
    });
    if admitted.query.resumes {
        reader.set_returned();
    }
    gateway.readers.record_start(reader, position, gap);
    gateway.readers.watch(reader, channels);
    if admitted.query.presence {
        gateway.readers.presence.join(reader, channels);
    }
}

/// The answer to a stream that is refused. `EventSource` never comes back after a status that is none of
/// success: what will pass is told by an event, with when to come again.
pub(crate) fn refuse(refusal: &Refusal, accept: Option<&str>) -> Reply {
    match refusal.retry_ms.filter(|_| sse::accepts(accept)) {
        Some(retry_ms) => Reply::refused_stream(refusal, retry_ms),
        None => refusal.into(),
    }
}

/// SSE has nothing to say after its request; it ends with its token.
struct Silent(TokenEnd);

/// When a token runs out; none where it does not.
type TokenEnd = Option<Pin<Box<Sleep>>>;

pub(crate) fn token_end(left_ms: Option<u64>) -> TokenEnd {
    left_ms.map(|left_ms| Box::pin(tokio::time::sleep(Duration::from_millis(left_ms))))
}

/// Resolves when the token has run out.
pub(crate) async fn token_over(end: &mut TokenEnd) {
    match end {
        Some(sleep) => sleep.as_mut().await,
        None => std::future::pending().await,
    }
}

impl Input for Silent {
    async fn timer(&mut self) -> Flow {
        token_over(&mut self.0).await;
        Flow::End
    }

    fn receive(&mut self, _bytes: &mut [u8]) -> Flow {
        Flow::Go
    }

    async fn act(&mut self) -> Flow {
        Flow::Go
    }
}

/// Serves a stream on a socket that the gateway owns.
pub(crate) async fn serve_direct(
    gateway: &Arc<Gateway>,
    stream: &Arc<TcpStream>,
    admitted: Box<Admitted>,
    address: IpAddr,
) {
    let recipient = gateway.admission.recipient(admitted.origin.as_deref()).last();
    let head = whole(&Reply::stream(), recipient);
    if write_all(stream, &head).await.is_err() {
        return;
    }
    let reader = gateway.readers.open(Transport::Sse, &admitted, address, Wire::Direct(Arc::clone(stream)));
    begin(gateway, &reader, &admitted);
    let end = token_end(gateway.admission.token_left_ms(&admitted.principal));
    drop(admitted);
    drive(gateway, &reader, stream, &mut Silent(end)).await;
}
