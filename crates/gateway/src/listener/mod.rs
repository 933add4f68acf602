//! The listener: connections are accepted, counted, and served on their socket or by the HTTP library.

pub(crate) mod cleartext;
mod frames;
pub(crate) mod judging;
pub(crate) mod linger;
mod surplus;
pub(crate) mod tls;
mod unread;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::TcpKeepalive;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt;

use crate::{
    Gateway,
    admission::place::{Arrival, ListenerName, MAIN_LISTENER, PeerAddress, Place, Protected, arrival},
    http::streams::Carrier,
    http1::{
        server,
        unanswered::{HEAD_TIME, KEEP_ALIVE},
    },
    timed::{Timed, TimedTasks},
};
use cleartext::CleartextIo;
use frames::Counted;
use judging::{Judged, LIBRARY_HEAD_BYTES_MAX};
use linger::Lingering;
use tls::Tls;

/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How many requests may be under way at once on an HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 128;
/// How many reset streams an HTTP/2 connection may have that nobody has dealt with yet.
const HTTP2_RESETS_MAX: usize = 32;
/// How many bytes a stream of HTTP/2 may have under way in each direction.
const HTTP2_STREAM_BYTES_MAX: usize = 256 << 10;
/// How many bytes of bodies an HTTP/2 connection may have under way.
const HTTP2_CONNECTION_BYTES_MAX: u32 = 1 << 20;
/// How long accepting pauses when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How a connection on which nothing moves is probed by the system.
const PROBES: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));

/// Why serving could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not one an open server may listen on.
    #[error(transparent)]
    Auth(#[from] crate::admission::auth::AuthError),
    /// The listener has no address.
    #[error("the listener has no address: {0}")]
    Listener(#[from] io::Error),
}

impl Gateway {
    /// Serves a listener until [`Gateway::shut_down`]: the gateway's transports on their sockets, everything
    /// else by `app` (which should hold [`Gateway::routes`] too, for TLS and HTTP/2).
    ///
    /// # Errors
    /// [`ServeError`] if this address must not be served.
    pub async fn serve(
        self: &Arc<Self>,
        listener: TcpListener,
        app: Router,
        tls: Option<Tls>,
    ) -> Result<(), ServeError> {
        self.serve_as(MAIN_LISTENER, listener, app, tls).await
    }

    /// The same under a name, by which Socket.IO namespaces may be told apart.
    ///
    /// # Errors
    /// [`ServeError`] if this address must not be served.
    pub async fn serve_as(
        self: &Arc<Self>,
        name: &str,
        listener: TcpListener,
        app: Router,
        tls: Option<Tls>,
    ) -> Result<(), ServeError> {
        let name: Arc<str> = name.into();
        self.admission.gate.check_address(listener.local_addr()?.ip())?;
        loop {
            let (stream, peer) = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
                () = self.admission.closing.cancelled() => return Ok(()),
            };
            self.accept(stream, peer, &name, app.clone(), tls.clone());
        }
    }

    fn accept(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        name: &Arc<str>,
        app: Router,
        tls: Option<Tls>,
    ) {
        let now_ms = u64::try_from(self.clock.now().as_millis()).unwrap_or_default();
        if self.lab.cut_until_ms(now_ms) > 0 {
            return;
        }
        let address = peer.ip().to_canonical();
        let counted = match self.admission.count(address) {
            Ok(counted) => counted,
            Err(refusal) => {
                self.metrics.connections_refused.fetch_add(1, Relaxed);
                tracing::warn!(%address, %refusal, "a connection was refused");
                // Inside TLS there would be a handshake to wait for.
                if tls.is_none() {
                    surplus::turn_away(self, stream, refusal);
                }
                return;
            }
        };
        // Two small writes in a row would otherwise wait for each other's acknowledgement.
        let _best_effort = stream.set_nodelay(true);
        // A peer that vanished (a phone out of reach, a laptop asleep) says nothing, and who waits for it
        // would wait for ever.
        let _best_effort = socket2::SockRef::from(&stream).set_tcp_keepalive(&PROBES);
        let arrival = AtomicU64::new(self.socketio.next_arrival());
        let (gateway, place) = (Arc::clone(self), Place { address, listener: Arc::clone(name), arrival });
        self.metrics.sockets.fetch_add(1, Relaxed);
        let task = async move {
            tokio::select! {
                // First, so that a connection that is cut serves nothing any more.
                biased;
                () = gateway.lab.next_cut() => {}
                () = serve_connection(&gateway, stream, &place, app, tls) => {}
            }
            gateway.metrics.sockets.fetch_sub(1, Relaxed);
            drop(counted);
        };
        self.tasks.spawn(Timed::new(&self.metrics, task));
    }
}

async fn serve_connection(
    gateway: &Arc<Gateway>,
    stream: TcpStream,
    place: &Place,
    app: Router,
    tls: Option<Tls>,
) {
    // Boxed, here and below: what is rare must not make the future of every idle connection larger.
    if let Some(tls) = tls {
        return Box::pin(serve_tls(gateway, stream, place, app, tls)).await;
    }
    let stream = Arc::new(stream);
    if let Some(bytes) = server::serve(gateway, &stream, place).await {
        let http2 = bytes.starts_with(b"PRI");
        let io = CleartextIo::new(stream, bytes.freeze());
        Box::pin(serve_http(gateway, io, app, place, (http2, None))).await;
    }
}

async fn serve_tls(gateway: &Arc<Gateway>, stream: TcpStream, place: &Place, app: Router, tls: Tls) {
    let address = place.address;
    match tokio::time::timeout(HANDSHAKE_TIME, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            serve_http(gateway, stream, app, place, (http2, Some(Protected))).await;
        }
        Ok(Err(error)) => tracing::debug!(%address, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%address, "a TLS handshake took too long"),
    }
}

/// Serves a connection by the HTTP library; whether it is one of HTTP/2, and whether TLS protects it.
async fn serve_http<S>(
    gateway: &Arc<Gateway>,
    stream: S,
    app: Router,
    place: &Place,
    (http2, protected): (bool, Option<Protected>),
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (address, listener) = (place.address, ListenerName(Arc::clone(&place.listener)));
    let first = AtomicU64::new(place.arrival.swap(0, Relaxed));
    let counting = Arc::clone(gateway);
    let carrier = Carrier::default();
    let seen = carrier.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let open = carrier.open();
        request.extensions_mut().insert(carrier.clone());
        request.extensions_mut().insert(PeerAddress(address));
        request.extensions_mut().insert(listener.clone());
        if let Some(protected) = protected {
            request.extensions_mut().insert(protected);
        }
        request.extensions_mut().insert(Arrival(arrival(&first, &counting)));
        let (request, unread) = unread::watch(request, &counting.admission.closing);
        let answered = app.clone().oneshot(request);
        let answering = carrier.clone();
        async move {
            let Ok(mut response) = answered.await;
            without_length(&mut response);
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                answering.upgrade();
            }
            if let Some(unread) = unread {
                unread.settle(&mut response);
            }
            Ok::<_, Infallible>(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _open = &open;
                    frame
                }))
            }))
        }
    });
    let stream = Lingering::new(stream);
    let closing = gateway.admission.closing.cancelled();
    let served = if http2 {
        // Nobody holds a connection by saying nothing on it.
        let end = async {
            tokio::select! { () = closing => true, began = until_idle(&seen) => began }
        };
        let stream = TokioIo::new(Counted::new(stream));
        let connection = http2_builder(gateway).serve_connection(stream, service);
        until_end(connection, end, |connection| connection.graceful_shutdown()).await
    } else {
        let end = async {
            closing.await;
            true
        };
        // Which sees to the time that a head has.
        let stream = TokioIo::new(Judged::new(stream, Arc::clone(gateway), address, seen));
        let connection = http1_builder().serve_connection(stream, service).with_upgrades();
        until_end(connection, end, |connection| connection.graceful_shutdown()).await
    };
    if let Err(error) = served {
        tracing::debug!(%address, %error, "a connection broke off");
    }
}

/// How HTTP/1.1 is served.
fn http1_builder() -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.max_buf_size(LIBRARY_HEAD_BYTES_MAX as usize).header_read_timeout(None);
    builder
}

/// How HTTP/2 is served, and what one connection of it may have under way.
fn http2_builder(gateway: &Gateway) -> hyper::server::conn::http2::Builder<TimedTasks> {
    let tasks = TimedTasks(Arc::clone(&gateway.metrics));
    let mut builder = hyper::server::conn::http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(LIBRARY_HEAD_BYTES_MAX)
        // Of streams that are begun and reset (CVE-2023-44487), and of those that are wrong: then the
        // connection ends.
        .max_pending_accept_reset_streams(HTTP2_RESETS_MAX)
        .max_local_error_reset_streams(HTTP2_RESETS_MAX)
        // What one connection may make the server keep: answers that are not read, and bodies.
        .max_send_buf_size(HTTP2_STREAM_BYTES_MAX)
        .initial_stream_window_size(HTTP2_STREAM_BYTES_MAX as u32)
        .initial_connection_window_size(HTTP2_CONNECTION_BYTES_MAX)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Serves a connection until it ends, or until it is to: then what is under way is finished. One that has
/// brought no request is let go of.
async fn until_end<C>(
    connection: C,
    end: impl Future<Output = bool>,
    finish: impl FnOnce(Pin<&mut C>),
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    tokio::pin!(connection, end);
    tokio::select! {
        served = connection.as_mut() => return served,
        began = end => {
            if !began {
                return Ok(());
            }
        }
    }
    finish(connection.as_mut());
    connection.await
}

/// Waits until a connection has brought no first request in time, or none for long; whether there was one.
async fn until_idle(carrier: &Carrier) -> bool {
    tokio::time::sleep(HEAD_TIME).await;
    let mut seen = 0;
    while carrier.requests() > seen || !carrier.is_idle() {
        seen = carrier.requests();
        tokio::time::sleep(KEEP_ALIVE).await;
    }
    seen > 0
}

/// Takes the length from answers that have no body: the router gives them one (RFC 9110, section 8.6).
fn without_length(response: &mut Response<Body>) {
    let status = response.status();
    if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
}
