//! A server inside the test's process, and an HTTP client of one request a connection.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anywire::{Anywire, Settings};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// How long anything may take before a test gives up on it; nothing is measured against it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) anywire: Arc<Anywire>,
    pub(crate) address: SocketAddr,
    _data: TempDir,
}

/// A server on a free port that keeps its events in memory, with further settings as `KEY=VALUE`.
pub(crate) async fn server(settings: &[&str]) -> Server {
    let data = tempfile::tempdir().expect("a directory");
    let mut all = Settings::default();
    let own = ["engine=memory".to_owned(), format!("data={}", data.path().display())];
    for setting in own.iter().map(String::as_str).chain(settings.iter().copied()) {
        all.add_flag(setting).expect("a known setting");
    }
    let anywire = Anywire::start(all.finish().expect("sound settings")).await.expect("a start");
    let listener = anywire.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let serving = Arc::clone(&anywire);
    tokio::spawn(async move { serving.serve(listener).await.expect("serving") });
    Server { anywire, address, _data: data }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn read(response: hyper::Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("a body in time");
        let text = String::from_utf8_lossy(&body.expect("a whole body").to_bytes()).into_owned();
        Self { status: head.status, headers: head.headers, text }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible ASCII"))
    }
}

/// Makes a request; a body is sent as JSON unless the headers say otherwise.
pub(crate) fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Request<Full<Bytes>> {
    let mut builder =
        Request::builder().method(Method::from_bytes(method.as_bytes()).expect("a method")).uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        builder = builder.header("Content-Type", "application/json");
    }
    builder.body(Full::from(body.to_owned())).expect("a request")
}

/// Sends one request on a new connection.
pub(crate) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    let response =
        tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("an answer in time");
    Answer::read(response.expect("an answer")).await
}

impl Server {
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let host = self.address.to_string();
        let mut all = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "Host") {
            all.push(("Host", &host));
        }
        send(self.address, request(method, target, &all, body)).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    pub(crate) async fn post(&self, target: &str, body: &str) -> Answer {
        self.send("POST", target, &[], body).await
    }
}
