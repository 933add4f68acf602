//! Engine.IO over HTTP on a socket that the gateway owns: the polls and posts of a session, and the beginning of WebSockets.
//!
//! Knows: the heads of these answers. Does not know: TLS and HTTP/2, which come by the HTTP library (see `http`).

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use anywire_protocol::{engineio::EngineError, websocket::Accepted};
use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

use super::{
    Asked,
    session::{GivenUp, Instead, Session},
    upgrade::{self, Taken},
    websocket,
};
use crate::{
    Gateway,
    accept::CleartextIo,
    body::{take_body, throw_away_body},
    direct::{cors_headers, watch_socket},
    drive::{fetch, write_all},
    fanout::{Wait, payload_head},
};

/// Serves what was asked for; true if the connection may bring another request.
///
/// Each kind is a box of its own: a connection that stays keeps only what it needs.
pub(crate) fn serve<'a>(
    gateway: &'a Arc<Gateway>,
    stream: &'a Arc<TcpStream>,
    asked: Asked,
    origin: Option<&str>,
    address: IpAddr,
    bytes: &'a mut BytesMut,
    body_bytes: usize,
) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
    let headers = cors_headers(origin);
    match asked {
        Asked::Refused(error) => Box::pin(async move {
            // A body that nobody reads would be taken for the next request.
            answer_error(stream, &error, &headers).await && body_bytes == 0
        }),
        Asked::Open(inbound, counted) => Box::pin(async move {
            let payload = Session::open(gateway, inbound, counted);
            write_all(stream, &[payload_head(payload.len(), &headers), payload].concat()).await.is_ok()
        }),
        Asked::Poll(session, arrival) => Box::pin(async move {
            let poll = PollRequest { gateway, stream, session: &session, arrival, headers };
            poll.serve(bytes).await.is_ok()
        }),
        Asked::Post(session) => {
            Box::pin(async move { post(gateway, stream, &session, &headers, bytes, body_bytes).await })
        }
        Asked::Connect(accepted, inbound) => Box::pin(async move {
            let rest = bytes.split();
            if Box::pin(write_all(stream, &accepted.response())).await.is_ok() {
                websocket::serve_direct(gateway, stream, inbound, rest).await;
            }
            false
        }),
        Asked::Stray(accepted) => Box::pin(async move {
            let _gone = write_all(stream, &[accepted.response(), upgrade::stray_frame()].concat()).await;
            false
        }),
        Asked::Upgrade(accepted, session) => Box::pin(async move {
            let rest = bytes.split().freeze();
            if let Some(taken) = Box::pin(upgrade_on(gateway, stream, &accepted, session, rest)).await {
                websocket::go_on_direct(gateway, stream, taken, address).await;
            }
            false
        }),
    }
}

/// Answers a WebSocket for a session, and tries it; the session is let go of when it is taken over.
async fn upgrade_on(
    gateway: &Arc<Gateway>,
    stream: &Arc<TcpStream>,
    accepted: &Accepted,
    session: Arc<Session>,
    rest: Bytes,
) -> Option<Box<Taken>> {
    write_all(stream, &accepted.response()).await.ok()?;
    let io = CleartextIo::new(Arc::clone(stream), rest);
    upgrade::try_over(gateway, io, &session).await.map(Box::new)
}

async fn answer_error(stream: &TcpStream, error: &EngineError, headers: &str) -> bool {
    let body = error.body();
    let status = http::StatusCode::from_u16(error.status()).unwrap_or(http::StatusCode::BAD_REQUEST);
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nVary: Origin\r\nContent-Length: {}\r\n{headers}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or("Error"),
        body.len(),
    );
    write_all(stream, &[head.as_bytes(), body.as_bytes()].concat()).await.is_ok()
}

/// Reads a post's body and takes it.
async fn post(
    gateway: &Arc<Gateway>,
    stream: &TcpStream,
    session: &Session,
    headers: &str,
    bytes: &mut BytesMut,
    body_bytes: usize,
) -> bool {
    let limit = gateway.socketio.config.payload_bytes_max;
    if body_bytes > limit {
        let _gone = answer_error(stream, &session.too_large(gateway, limit), headers).await;
        throw_away_body(stream, bytes, body_bytes).await;
        return false;
    }
    let Some(body) = take_body(stream, bytes, body_bytes).await else { return false };
    match session.post(gateway, &body).await {
        Ok(()) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\nVary: Origin\r\nContent-Length: 2\r\n{headers}\r\nok"
            );
            write_all(stream, head.as_bytes()).await.is_ok()
        }
        Err(error) => answer_error(stream, &error, headers).await,
    }
}

/// One poll.
struct PollRequest<'a> {
    gateway: &'a Arc<Gateway>,
    stream: &'a Arc<TcpStream>,
    session: &'a Arc<Session>,
    arrival: u64,
    headers: String,
}

impl PollRequest<'_> {
    async fn serve(&self, bytes: &mut BytesMut) -> io::Result<()> {
        let direct = Some((Arc::clone(self.stream), self.headers.as_str().into()));
        let turn = match self.session.begin_poll(self.gateway, self.arrival, direct).await {
            Ok(turn) => turn,
            Err(Instead::Word(word)) => return self.answer(Bytes::from_static(word.as_bytes())).await,
            Err(Instead::Error(error)) => return self.refuse(&error).await,
        };
        let reader = self.session.reader();
        reader.wake_on_answer(false);
        let _guard = GivenUp { gateway: self.gateway, session: self.session, turn };
        let mut fetched = None;
        loop {
            match reader.advance_wait(&self.gateway.delivery, turn, fetched.take()) {
                Wait::Answer(payload) => return self.answer(payload).await,
                Wait::Answered(Some(rest)) => return write_all(self.stream, &rest).await,
                Wait::Answered(None) => return Ok(()),
                Wait::Refused => return self.refuse(&EngineError::BadRequest).await,
                Wait::Behind(request) => fetched = fetch(self.gateway, request).await,
                Wait::Waits => self.sleep(turn, bytes).await?,
            }
        }
    }

    async fn refuse(&self, error: &EngineError) -> io::Result<()> {
        self.gateway.metrics.refusals.fetch_add(1, Relaxed);
        match answer_error(self.stream, error, &self.headers).await {
            true => Ok(()),
            false => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    async fn answer(&self, payload: Bytes) -> io::Result<()> {
        write_all(self.stream, &[payload_head(payload.len(), &self.headers), payload].concat()).await
    }

    /// Sleeps; who gives a poll up has ended the session, since nobody knows whether its answer was on the way.
    async fn sleep(&self, turn: u32, bytes: &mut BytesMut) -> io::Result<()> {
        let reader = self.session.reader();
        let waits = || reader.waits(turn);
        if watch_socket(self.stream, bytes, reader, waits).await? && !waits() {
            // It may have been meant for a poll on another connection.
            reader.pass_on();
        }
        Ok(())
    }
}
