//! Engine.IO by the HTTP library: posts, and everything over TLS, HTTP/2 and other people's servers.

use std::{net::IpAddr, sync::Arc};

use anywire_protocol::engineio::EngineError;
use axum::{
    body::Body,
    extract::{Request as HttpRequest, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::{
    requests::{EngineRequest, Request, engine_request},
    session::{GivenUp, Instead},
    state::{Inbound, Session},
    upgrade, websocket,
};
use crate::{
    Gateway,
    admission::place::{Arrival, ListenerName, MAIN_LISTENER},
    delivery::Wait,
    http::{
        body::{BodyError, read_body},
        request::{address, credentials},
        upgrade::switch,
    },
    http1::connection::fetch,
    http1::socket::write_all,
    listener::cleartext::with_plain_socket,
    reply::Reply,
};

/// Answers an Engine.IO request.
pub(crate) async fn respond(State(gateway): State<Arc<Gateway>>, mut request: HttpRequest) -> Response {
    let address = address(&request);
    let listener = match request.extensions().get::<ListenerName>() {
        Some(ListenerName(name)) => Arc::clone(name),
        None => Arc::from(MAIN_LISTENER),
    };
    let arrival = request.extensions().get::<Arrival>().map(|Arrival(number)| *number);
    let asked = {
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let asking = Request {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or(""),
            credentials: credentials(&request),
            address,
            listener: &listener,
            arrival: arrival.unwrap_or_else(|| gateway.socketio.next_arrival()),
        };
        engine_request(&gateway, &asking, headers)
    };
    let (accepted, begun) = match asked {
        EngineRequest::Refused(error) => return refused(&error),
        EngineRequest::Open(inbound, counted) => return packets(Session::open(&gateway, inbound, counted)),
        EngineRequest::Poll(session, arrival) => return poll(&gateway, &session, arrival).await,
        EngineRequest::Post(session) => return post(&gateway, &session, request.into_body()).await,
        EngineRequest::Connect(accepted, inbound) => (accepted, Begun::New(inbound)),
        EngineRequest::Stray(accepted) => (accepted, Begun::Stray),
        EngineRequest::Upgrade(accepted, session) => (accepted, Begun::Session(session)),
    };
    let serve = move |gateway, upgraded| serve_upgraded(gateway, upgraded, begun, address);
    switch(&gateway, &mut request, &accepted, serve)
}

fn refused(error: &EngineError) -> Response {
    Reply::engine_error(error).into_response()
}

fn packets(payload: Bytes) -> Response {
    Reply::packets(payload).into_response()
}

async fn poll(gateway: &Arc<Gateway>, session: &Session, arrival: u64) -> Response {
    let turn = match session.begin_poll(gateway, arrival, None).await {
        Ok(turn) => turn,
        Err(Instead::Packet(packet)) => return packets(Bytes::from_static(packet.as_bytes())),
        Err(Instead::Error(error)) => return refused(&error),
    };
    let _guard = GivenUp { gateway, session, turn };
    let mut fetched = None;
    loop {
        match session.reader().advance_wait(&gateway.delivery, turn, fetched.take()) {
            Wait::Answer(bytes) | Wait::Answered(Some(bytes)) => return packets(bytes),
            Wait::Answered(None) | Wait::Refused => return refused(&EngineError::BadRequest),
            Wait::Behind(request) => fetched = fetch(gateway, request).await,
            Wait::Waits => session.reader().woken().await,
        }
    }
}

async fn post(gateway: &Arc<Gateway>, session: &Session, body: Body) -> Response {
    let limit = session.message_bytes_max(gateway);
    let body = match read_body(gateway, body, limit).await {
        Ok(body) => body,
        Err(BodyError::Busy(refusal)) => return refused(&session.give_up(gateway, refusal)),
        Err(BodyError::TooLarge | BodyError::Broken(_)) => {
            return refused(&session.too_large(gateway, limit));
        }
    };
    match session.post(gateway, &body).await {
        Ok(()) => Reply::taken().into_response(),
        Err(error) => refused(&error),
    }
}

/// What a WebSocket begins with.
enum Begun {
    New(Box<Inbound>),
    Session(Arc<Session>),
    Stray,
}

async fn serve_upgraded(gateway: Arc<Gateway>, upgraded: Upgraded, begun: Begun, address: IpAddr) {
    let (plain, other) = match with_plain_socket(upgraded) {
        Ok((stream, read)) => (Some((stream, read)), None),
        Err(upgraded) => (None, Some(TokioIo::new(upgraded))),
    };
    match (begun, plain, other) {
        (Begun::New(inbound), Some((stream, read)), _) => {
            websocket::serve_direct(&gateway, &stream, inbound, read.as_ref().into()).await;
        }
        (Begun::New(inbound), None, Some(stream)) => websocket::serve_woken(gateway, stream, inbound).await,
        (Begun::Session(session), Some((stream, read)), _) => {
            let io = crate::listener::cleartext::CleartextIo::new(Arc::clone(&stream), read);
            if let Some(taken) = upgrade::try_over(&gateway, io, &session).await {
                drop(session);
                websocket::go_on_direct(&gateway, &stream, Box::new(taken), address).await;
            }
        }
        (Begun::Session(session), None, Some(mut stream)) => {
            if let Some(taken) = upgrade::try_over(&gateway, &mut stream, &session).await {
                drop(session);
                websocket::go_on_woken(gateway, stream, taken, address).await;
            }
        }
        (Begun::Stray, Some((stream, _)), _) => {
            let _gone = write_all(&stream, &upgrade::stray_frame()).await;
        }
        (Begun::Stray, None, Some(mut stream)) => {
            let _gone = stream.write_all(&upgrade::stray_frame()).await;
            let _gone = stream.shutdown().await;
        }
        (_, None, None) => {}
    }
}
