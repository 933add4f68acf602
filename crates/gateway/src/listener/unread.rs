//! Bodies that a route did not read to their end: a client that is still sending does not read the answer
//! yet, so the rest is taken and thrown away, up to a limit.
//!
//! Invariant: an answer that leaves more than that unread says that the connection ends with it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Body};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::place::SlowBody,
    http1::{body::UNWANTED_TIME, pace::Pace},
};

/// How many bytes of a body that nobody wants are taken.
const UNWANTED_BYTES_MAX: u64 = 64 << 20;
/// How many bytes of it still let the connection bring another request.
const KEEP_ALIVE_BYTES_MAX: u64 = 1 << 20;

/// What is known of a request's body while it is answered.
pub(super) struct Unread {
    progress: Arc<Progress>,
    slow: SlowBody,
    /// Its length, where the request says it.
    bytes: Option<u64>,
    http1: bool,
    waits_for_continue: bool,
}

/// How far a body was read.
#[derive(Default)]
struct Progress {
    /// To its end.
    ended: AtomicBool,
    /// To where it is no body: what follows is not known.
    broken: AtomicBool,
}

impl Progress {
    fn is_over(&self) -> bool {
        self.ended.load(Relaxed) || self.broken.load(Relaxed)
    }
}

/// Wraps a request's body, so that what is left of it is known and taken.
pub(super) fn watch(
    mut request: Request<Incoming>,
    closing: &CancellationToken,
) -> (Request<Body>, Option<Unread>) {
    if request.body().is_end_stream() {
        return (request.map(Body::new), None);
    }
    let progress = Arc::new(Progress::default());
    let slow = SlowBody::default();
    request.extensions_mut().insert(slow.clone());
    let waits_for_continue = request.headers().contains_key(header::EXPECT);
    let unread = Unread {
        progress: Arc::clone(&progress),
        slow: slow.clone(),
        bytes: request.body().size_hint().exact(),
        http1: request.version() < Version::HTTP_2,
        waits_for_continue,
    };
    let watched = |body| Watched {
        body: Some(body),
        progress,
        slow,
        pace: Pace::default(),
        waiting: None,
        asked: !waits_for_continue,
        closing: closing.clone(),
    };
    (request.map(|body| Body::new(watched(body))), Some(unread))
}

impl Unread {
    /// Says that the connection ends with the answer, if it does.
    pub(super) fn settle(&self, response: &mut Response<Body>) {
        let short = self.bytes.is_some_and(|bytes| bytes <= KEEP_ALIVE_BYTES_MAX) && !self.waits_for_continue;
        let goes_on = short && !self.slow.is();
        let unread = !goes_on && !self.progress.ended.load(Relaxed);
        let ends = unread || self.progress.broken.load(Relaxed);
        if self.http1 && ends && !response.status().is_informational() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// A body that has to come at a pace, and is read on when its reader drops it before its end.
struct Watched {
    body: Option<Incoming>,
    progress: Arc<Progress>,
    slow: SlowBody,
    pace: Pace,
    /// Since when the client is waited for, and until when at most.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Whether the client sends it without being told to go on (RFC 9110, section 10.1.1), or was told.
    asked: bool,
    closing: CancellationToken,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.asked = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(cx);
        let ended = match &polled {
            Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
            Poll::Ready(None) => true,
            Poll::Ready(Some(Err(_))) => {
                self.progress.broken.store(true, Relaxed);
                false
            }
            Poll::Pending if self.is_too_slow(cx) => {
                self.slow.tell();
                return Poll::Ready(Some(Err("the body came too slowly".into())));
            }
            Poll::Pending => false,
        };
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let waited = self.waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
            self.pace.came(frame.data_ref().map_or(0, Bytes::len), waited);
        }
        if ended {
            self.progress.ended.store(true, Relaxed);
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Watched {
    /// Whether the client was waited for too long.
    fn is_too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        let pace = &self.pace;
        let begin = || (Instant::now(), Box::pin(tokio::time::sleep(pace.patience())));
        let (_, until) = self.waiting.get_or_insert_with(begin);
        until.as_mut().poll(cx).is_ready()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A client that waits to be told to go on sends nothing.
        if self.progress.is_over() || !self.asked {
            return;
        }
        if let (Some(body), Ok(runtime)) = (self.body.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(throw_away(body, self.closing.clone()));
        }
    }
}

async fn throw_away(mut body: Incoming, closing: CancellationToken) {
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            if bytes > UNWANTED_BYTES_MAX {
                return;
            }
        }
    };
    tokio::select! {
        _late = tokio::time::timeout(UNWANTED_TIME, reading) => {}
        () = closing.cancelled() => {}
    }
}
