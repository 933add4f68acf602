//! Connections over a limit: each is told so in the words of what it asks for, if only a few come at once, so
//! that a page may read why and an `EventSource` comes again.

use std::{sync::Arc, time::Duration};

use anywire_protocol::{
    Refusal,
    head::{self, Head},
};
use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

use crate::{
    Gateway,
    http1::{
        connection::linger,
        reply::whole,
        server::{credentials, refuse},
        socket::{Flow, read_ready, write_all},
    },
};

/// How long one may take for the head of its request.
const HEAD_TIME: Duration = Duration::from_secs(2);

/// Answers a connection that is refused, and ends it.
pub(super) fn turn_away(gateway: &Arc<Gateway>, stream: TcpStream, refusal: Refusal) {
    let Some(place) = gateway.admission.connections.hear() else {
        // Without waiting: who comes with so many others costs nothing more.
        let _gone = stream.try_write(&unheard(gateway, &refusal));
        return;
    };
    let gateway = Arc::clone(gateway);
    gateway.tasks.clone().spawn(async move {
        let answered = async {
            let mut bytes = BytesMut::new();
            let _late = tokio::time::timeout(HEAD_TIME, read_head(&stream, &mut bytes)).await;
            let _gone = write_all(&stream, &answer(&gateway, &bytes, &refusal)).await;
            linger(&stream).await;
        };
        tokio::select! {
            () = answered => {}
            () = gateway.admission.closing.cancelled() => {}
        }
        drop(place);
    });
}

/// Reads until a head is whole, or is none that the gateway reads itself, or the peer ends.
async fn read_head(stream: &TcpStream, bytes: &mut BytesMut) {
    while bytes.is_empty() || head::parse(bytes) == Head::Partial {
        let take = |fresh: &mut [u8]| {
            bytes.extend_from_slice(fresh);
            Flow::Go
        };
        if stream.readable().await.is_err() || read_ready(stream, take) == Some(Flow::End) {
            return;
        }
    }
}

fn answer(gateway: &Gateway, bytes: &[u8], refusal: &Refusal) -> Bytes {
    let Head::Complete(request) = head::parse(bytes) else { return unheard(gateway, refusal) };
    let origin = gateway.admission.gate.check_place(&credentials(&request)).ok().flatten();
    whole(&refuse(gateway, &request, refusal), gateway.admission.recipient(origin).last())
}

fn unheard(gateway: &Gateway, refusal: &Refusal) -> Bytes {
    whole(&refusal.into(), gateway.admission.recipient(None).last())
}
