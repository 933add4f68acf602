//! Engine.IO over HTTP on a socket that the gateway owns: the polls and posts of a session, and the beginning
//! of WebSockets.

use std::{io, net::IpAddr, pin::Pin, sync::Arc};

use anywire_protocol::{engineio::EngineError, websocket::Accepted};
use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

use super::{
    requests::EngineRequest,
    session::{GivenUp, Instead},
    state::Session,
    upgrade::{self, Taken},
    websocket,
};
use crate::{
    Gateway,
    delivery::Wait,
    http1::body::{NoBody, skip_body, take_body, throw_away_body},
    http1::connection::fetch,
    http1::{reply::render, socket::write_all, waiting::watch_socket},
    listener::cleartext::CleartextIo,
    reply::Reply,
};

/// Serves what was asked for; true if the connection may bring another request.
///
/// Each kind is a box of its own: a connection that stays keeps only what it needs.
pub(crate) fn serve<'a>(
    gateway: &'a Arc<Gateway>,
    stream: &'a Arc<TcpStream>,
    asked: EngineRequest,
    origin: Option<Box<str>>,
    address: IpAddr,
    bytes: &'a mut BytesMut,
    body_bytes: usize,
) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
    let answering = Answering { gateway, stream, origin };
    match asked {
        EngineRequest::Refused(error) => {
            Box::pin(async move { answering.refuse_post(&error, bytes, body_bytes).await })
        }
        EngineRequest::Open(inbound, counted) => {
            Box::pin(
                async move { answering.send(Reply::packets(Session::open(gateway, inbound, counted))).await },
            )
        }
        EngineRequest::Poll(session, arrival) => Box::pin(async move {
            let poll = PollRequest { answering, session: &session, arrival };
            poll.serve(bytes).await.unwrap_or(false)
        }),
        EngineRequest::Post(session) => {
            Box::pin(async move { answering.post(&session, bytes, body_bytes).await })
        }
        EngineRequest::Connect(accepted, inbound) => Box::pin(async move {
            let rest = bytes.split();
            if answering.switch(&accepted).await {
                websocket::serve_direct(gateway, stream, inbound, rest).await;
            }
            false
        }),
        EngineRequest::Stray(accepted) => Box::pin(async move {
            if answering.switch(&accepted).await {
                let _gone = write_all(stream, &upgrade::stray_frame()).await;
            }
            false
        }),
        EngineRequest::Upgrade(accepted, session) => Box::pin(async move {
            let rest = bytes.split().freeze();
            if let Some(taken) = Box::pin(answering.upgrade(&accepted, session, rest)).await {
                websocket::go_on_direct(gateway, stream, taken, address).await;
            }
            false
        }),
    }
}

/// Who gets the answers, and over what.
struct Answering<'a> {
    gateway: &'a Arc<Gateway>,
    stream: &'a Arc<TcpStream>,
    /// Of the page that may read them.
    origin: Option<Box<str>>,
}

impl Answering<'_> {
    /// Answers; whether the connection goes on.
    fn send(&self, reply: Reply) -> impl Future<Output = bool> + Send {
        let recipient = self.gateway.admission.recipient(self.origin.as_deref());
        render(&self.gateway.metrics, reply, recipient).send(self.stream)
    }

    fn switch(&self, accepted: &Accepted) -> impl Future<Output = bool> + Send + use<'_> {
        let recipient = self.gateway.admission.recipient(None);
        render(&self.gateway.metrics, Reply::switching(accepted), recipient).send(self.stream)
    }

    /// Answers a WebSocket for a session, and tries it; the session is let go of when it is taken over.
    async fn upgrade(&self, accepted: &Accepted, session: Arc<Session>, rest: Bytes) -> Option<Box<Taken>> {
        if !self.switch(accepted).await {
            return None;
        }
        let io = CleartextIo::new(Arc::clone(self.stream), rest);
        upgrade::try_over(self.gateway, io, &session).await.map(Box::new)
    }

    /// Refuses what may have a body: one that is here already is left out, else the connection ends, since
    /// nobody reads it.
    async fn refuse_post(&self, error: &EngineError, bytes: &mut BytesMut, body_bytes: usize) -> bool {
        if skip_body(bytes, body_bytes) {
            return self.send(Reply::engine_error(error)).await;
        }
        let recipient = self.gateway.admission.recipient(self.origin.as_deref()).last();
        render(&self.gateway.metrics, Reply::engine_error(error), recipient).send(self.stream).await;
        throw_away_body(self.stream, bytes, body_bytes).await;
        false
    }

    /// Reads a post's body and takes it.
    async fn post(&self, session: &Session, bytes: &mut BytesMut, body_bytes: usize) -> bool {
        let limit = session.message_bytes_max(self.gateway);
        if body_bytes > limit {
            return self.refuse_post(&session.too_large(self.gateway, limit), bytes, body_bytes).await;
        }
        let kept = self.gateway.admission.unfinished.keep_nothing();
        let body = match take_body(self.stream, bytes, body_bytes, kept).await {
            Ok(body) => body,
            Err(NoBody::Broken) => return false,
            Err(NoBody::Refused(refusal)) => {
                return self.refuse_post(&session.give_up(self.gateway, refusal), bytes, body_bytes).await;
            }
        };
        match session.post(self.gateway, &body).await {
            Ok(()) => self.send(Reply::taken()).await,
            Err(error) => self.send(Reply::engine_error(&error)).await,
        }
    }
}

/// One poll.
struct PollRequest<'a> {
    answering: Answering<'a>,
    session: &'a Arc<Session>,
    arrival: u64,
}

impl PollRequest<'_> {
    /// Answers it; whether the connection goes on.
    async fn serve(&self, bytes: &mut BytesMut) -> io::Result<bool> {
        let Answering { gateway, stream, origin } = &self.answering;
        let direct = Some((Arc::clone(stream), origin.clone()));
        let turn = match self.session.begin_poll(gateway, self.arrival, direct).await {
            Ok(turn) => turn,
            Err(Instead::Packet(packet)) => return self.answer(Bytes::from_static(packet.as_bytes())).await,
            Err(Instead::Error(error)) => return self.refuse(&error).await,
        };
        let reader = self.session.reader();
        reader.wake_on_answer(false);
        let _guard = GivenUp { gateway, session: self.session, turn };
        let mut fetched = None;
        loop {
            match reader.advance_wait(&gateway.delivery, turn, fetched.take()) {
                Wait::Answer(payload) => return self.answer(payload).await,
                Wait::Answered(Some(rest)) => return write_all(stream, &rest).await.map(|()| true),
                Wait::Answered(None) => return Ok(true),
                Wait::Refused => return self.refuse(&EngineError::BadRequest).await,
                Wait::Behind(request) => fetched = fetch(gateway, request).await,
                Wait::Waits => self.sleep(turn, bytes).await?,
            }
        }
    }

    async fn refuse(&self, error: &EngineError) -> io::Result<bool> {
        Ok(self.answering.send(Reply::engine_error(error)).await)
    }

    async fn answer(&self, payload: Bytes) -> io::Result<bool> {
        Ok(self.answering.send(Reply::packets(payload)).await)
    }

    /// Sleeps; who gives a poll up has ended the session, since nobody knows whether its answer was on the
    /// way.
    async fn sleep(&self, turn: u32, bytes: &mut BytesMut) -> io::Result<()> {
        let reader = self.session.reader();
        let waits = || reader.waits(turn);
        if watch_socket(self.answering.stream, bytes, reader, waits).await? && !waits() {
            // It may have been meant for a poll on another connection.
            reader.pass_on();
        }
        Ok(())
    }
}
