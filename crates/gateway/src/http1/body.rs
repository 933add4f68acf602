//! The bodies of posts on a socket that the gateway owns: taken whole, or thrown away.

use std::{io, time::Duration};

use anywire_protocol::Refusal;
use bytes::BytesMut;
use tokio::{net::TcpStream, time::Instant};

use crate::{
    admission::unfinished::Kept,
    http1::{
        pace::{Pace, too_slow},
        socket::{Flow, read_ready},
    },
};

/// How long a body that nobody wants may go on coming.
pub(crate) const UNWANTED_TIME: Duration = Duration::from_secs(5);

/// Why there is no body.
pub(crate) enum NoBody {
    /// It did not come.
    Broken,
    /// There is no room for it at the moment, or it comes too slowly; the rest is still to come.
    Refused(Refusal),
}

/// Takes a body of so many bytes, the first of which may be in `bytes` already. The caller has looked at the
/// length.
pub(crate) async fn take_body(
    stream: &TcpStream,
    bytes: &mut BytesMut,
    body_bytes: usize,
    mut kept: Kept,
) -> Result<BytesMut, NoBody> {
    read_body(stream, bytes, body_bytes, &mut kept).await?;
    Ok(split_off(bytes, body_bytes))
}

fn split_off(bytes: &mut BytesMut, body_bytes: usize) -> BytesMut {
    let body = bytes.split_to(body_bytes);
    if bytes.is_empty() {
        // An idle connection keeps no buffer.
        *bytes = BytesMut::new();
    }
    body
}

async fn read_body(
    stream: &TcpStream,
    bytes: &mut BytesMut,
    body_bytes: usize,
    kept: &mut Kept,
) -> Result<(), NoBody> {
    let mut pace = Pace::default();
    while bytes.len() < body_bytes {
        kept.set(bytes.len()).map_err(NoBody::Refused)?;
        let (asked, before) = (Instant::now(), bytes.len());
        match tokio::time::timeout(pace.patience(), stream.readable()).await {
            Err(_) => return Err(NoBody::Refused(too_slow())),
            Ok(Err(_)) => return Err(NoBody::Broken),
            Ok(Ok(())) => {}
        }
        let take = |fresh: &mut [u8]| {
            bytes.extend_from_slice(fresh);
            Flow::Go
        };
        if read_ready(stream, take) == Some(Flow::End) {
            return Err(NoBody::Broken);
        }
        pace.came(bytes.len() - before, asked.elapsed());
    }
    Ok(())
}

/// Leaves a body out that is here already; false if some of it is still to come.
pub(crate) fn skip_body(bytes: &mut BytesMut, body_bytes: usize) -> bool {
    let here = bytes.len() >= body_bytes;
    if here {
        drop(split_off(bytes, body_bytes));
    }
    here
}

/// Takes what is still to come of a body and throws it away: a client that still sends would not read the
/// answer. The connection is to be closed afterwards.
pub(crate) async fn throw_away_body(stream: &TcpStream, bytes: &mut BytesMut, body_bytes: usize) {
    let rest = body_bytes.saturating_sub(std::mem::take(bytes).len());
    let _late = tokio::time::timeout(UNWANTED_TIME, throw_away(stream, rest)).await;
}

async fn throw_away(stream: &TcpStream, mut rest: usize) -> io::Result<()> {
    while rest > 0 {
        stream.readable().await?;
        let take = |fresh: &mut [u8]| {
            rest = rest.saturating_sub(fresh.len());
            Flow::Go
        };
        if read_ready(stream, take) == Some(Flow::End) {
            break;
        }
    }
    Ok(())
}
