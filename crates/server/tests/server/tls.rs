//! TLS by certificate files: every transport over it, HTTP/1.1 and HTTP/2, and the resumption of sessions.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Version,
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, pki_types::ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_websockets::Message;

use crate::support::{Answer, PATIENCE, Server, request, server};

pub(crate) struct Secure {
    pub(crate) server: Server,
    roots: RootCertStore,
    _files: tempfile::TempDir,
}

/// A server with a certificate of its own, and further settings.
pub(crate) async fn secure(further: &[&str]) -> Secure {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let files = tempfile::tempdir().expect("a directory");
    let (certificate, key) = (files.path().join("certificate.pem"), files.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    let settings =
        [format!("tls.certificate={}", certificate.display()), format!("tls.key={}", key.display())];
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let own = settings.iter().map(String::as_str);
    let settings: Vec<&str> = own.chain(further.iter().copied()).collect();
    Secure { server: server(&settings).await, roots, _files: files }
}

impl Secure {
    fn client(&self, protocol: &[u8]) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions");
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }

    pub(crate) async fn connect(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        connect(self.server.address, self.client(protocol)).await
    }
}

async fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(config).connect(name, stream).await.expect("a TLS handshake")
}

/// A connection of one of the two versions.
pub(crate) enum Http {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Http {
    pub(crate) async fn open(secure: &Secure, version: Version) -> Self {
        if version == Version::HTTP_2 {
            let io = TokioIo::new(secure.connect(b"h2").await);
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
            tokio::spawn(connection);
            return Self::Two(sender);
        }
        let io = TokioIo::new(secure.connect(b"http/1.1").await);
        let (sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        Self::One(sender)
    }

    pub(crate) async fn send(&mut self, mut request: Request<Full<Bytes>>) -> hyper::Response<Incoming> {
        let sent = match self {
            Self::One(sender) => {
                sender.ready().await.expect("a connection that is open");
                sender.send_request(request)
            }
            Self::Two(sender) => {
                *request.version_mut() = Version::HTTP_2;
                let sending = sender.send_request(request);
                return tokio::time::timeout(PATIENCE, sending).await.expect("in time").expect("an answer");
            }
        };
        tokio::time::timeout(PATIENCE, sent).await.expect("in time").expect("an answer")
    }

    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> hyper::Response<Incoming> {
        // HTTP/2 takes the host from the target, HTTP/1.1 from the header.
        let request = match self {
            Self::One(_) => {
                let mut all = vec![("Host", "localhost")];
                all.extend_from_slice(headers);
                request(method, path, &all, body)
            }
            Self::Two(_) => request(method, &format!("https://localhost{path}"), headers, body),
        };
        self.send(request).await
    }
}

impl Http {
    async fn publish(&mut self, data: u32) {
        let body = format!(r#"{{"channel":"a","data":{data}}}"#);
        // Read to its end: HTTP/1.1 takes the next request only then.
        let answer = Answer::read(self.ask("POST", "/anywire/publish", &[], &body).await).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

/// Reads a stream until it holds `wanted`.
async fn until(response: &mut hyper::Response<Incoming>, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let frame = tokio::time::timeout(PATIENCE, response.body_mut().frame()).await;
        let frame = frame.unwrap_or_else(|_| panic!("{wanted:?} did not come; so far: {text}"));
        let data = frame.expect("the stream goes on").expect("sound bytes").into_data();
        text.push_str(&String::from_utf8_lossy(&data.unwrap_or_default()));
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_polling_and_streaming_work_over_both_versions_and_go_on_at_the_cursor() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let secure = secure(&[]).await;
        let mut publisher = Http::open(&secure, version).await;
        let published = publisher.ask("POST", "/anywire/publish", &[], r#"{"channel":"a","data":1}"#).await;
        assert_eq!(published.version(), version);
        let cursor = Answer::read(published).await.json()["cursor"].as_str().expect("a cursor").to_owned();

        let polled =
            Answer::read(publisher.ask("GET", "/anywire/poll?channels=a&after=0", &[], "").await).await;
        assert_eq!(polled.header("anywire-cursor"), cursor);
        assert_eq!(polled.json()["events"][0]["data"], 1);

        let mut reader = Http::open(&secure, version).await;
        let mut stream = reader.ask("GET", "/anywire/sse?channels=a&after=0", &[], "").await;
        assert_eq!((stream.status().as_u16(), stream.version()), (200, version));
        until(&mut stream, "\"data\":1}\n\n").await;
        publisher.publish(2).await;
        until(&mut stream, "\"data\":2}\n\n").await;
        drop((stream, reader));

        publisher.publish(3).await;
        let mut again = Http::open(&secure, version).await;
        let mut stream = again.ask("GET", "/anywire/sse?channels=a", &[("Last-Event-ID", &cursor)], "").await;
        let text = until(&mut stream, "\"data\":3}\n\n").await;
        assert!(text.contains("\"data\":2}") && !text.contains("\"data\":1}"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stream_of_http2_counts_as_a_connection_and_only_while_it_lasts() {
    let secure = secure(&["limits.connections_max=10"]).await;
    let mut http = Http::open(&secure, Version::HTTP_2).await;
    let path = "/anywire/sse?channels=a";
    let mut streams = Vec::new();
    for number in 1..=10 {
        let stream = http.ask("GET", path, &[], "").await;
        assert_eq!(stream.status(), 200, "stream {number}");
        streams.push(stream);
    }
    for path in [path, "/anywire/poll?channels=a&wait=60"] {
        let refused = Answer::read(http.ask("GET", path, &[], "").await).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (429, &json!("too_many_connections")));
    }
    let quick = Answer::read(http.ask("GET", "/anywire/poll?channels=a", &[], "").await).await;
    assert_eq!(quick.status, 200, "what is answered at once is no connection");
    drop(streams);
    while http.ask("GET", path, &[], "").await.status() != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_over_http2_is_answered_by_the_event_it_waits_for() {
    let secure = secure(&[]).await;
    let mut publisher = Http::open(&secure, Version::HTTP_2).await;
    let mut reader = Http::open(&secure, Version::HTTP_2).await;
    let waiting = tokio::spawn(async move {
        Answer::read(reader.ask("GET", "/anywire/poll?channels=a&after=0&wait=60", &[], "").await).await
    });
    publisher.publish(7).await;
    assert_eq!(waiting.await.expect("an answer").json()["events"][0]["data"], 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_over_tls_subscribes_publishes_and_goes_on_at_its_cursor() {
    let secure = secure(&[]).await;
    let mut socket = websocket(&secure).await;
    socket.send(r#"{"op":"subscribe","id":1,"channels":["a"],"after":"0"}"#).await;
    assert_eq!(socket.next("subscribed").await["id"], 1);
    socket.send(r#"{"op":"publish","id":2,"channel":"a","event":"x","data":1}"#).await;
    let published = socket.next("published").await;
    assert_eq!(socket.next("event").await["data"], 1);
    drop(socket);
    let mut other = websocket(&secure).await;
    other.send(r#"{"op":"publish","id":1,"channel":"a","event":"x","data":2}"#).await;
    other.next("published").await;
    let cursor = published["cursor"].as_str().expect("a cursor");
    other.send(&format!(r#"{{"op":"subscribe","id":2,"channels":["a"],"after":"{cursor}"}}"#)).await;
    other.next("subscribed").await;
    assert_eq!(other.next("event").await["data"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socketio_client_polls_over_http2_and_a_websocket_takes_over() {
    let secure = secure(&[]).await;
    let mut http = Http::open(&secure, Version::HTTP_2).await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let opening = Answer::read(http.ask("GET", path, &[], "").await).await.text;
    let opening: Value = serde_json::from_str(&opening[1..]).expect("JSON");
    let session = opening["sid"].as_str().expect("an id");
    let path = format!("{path}&sid={session}");
    let subscribe = "40\u{1e}421[\"subscribe\",\"a\"]";
    assert_eq!(Answer::read(http.ask("POST", &path, &[], subscribe).await).await.text, "ok");
    let joined = Answer::read(http.ask("GET", &path, &[], "").await).await.text;
    assert!(joined.starts_with("40{") && joined.contains("\u{1e}431["), "{joined}");
    let mut poller = Http::open(&secure, Version::HTTP_2).await;
    let poll = path.clone();
    let waiting =
        tokio::spawn(async move { Answer::read(poller.ask("GET", &poll, &[], "").await).await.text });
    http.publish(1).await;
    assert_eq!(waiting.await.expect("an answer"), "42[\"message\",1]");
    let upgrade = format!("/socket.io/?EIO=4&transport=websocket&sid={session}");
    let mut socket = websocket_at(&secure, &upgrade).await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    http.publish(2).await;
    socket.send("5").await;
    http.publish(3).await;
    assert_eq!([socket.text().await, socket.text().await], ["42[\"message\",2]", "42[\"message\",3]"]);
}

struct Socket {
    stream: tokio_websockets::WebSocketStream<TlsStream<TcpStream>>,
    kept: Vec<Value>,
}

async fn websocket(secure: &Secure) -> Socket {
    websocket_at(secure, "/anywire/ws").await
}

async fn websocket_at(secure: &Secure, path: &str) -> Socket {
    let uri = format!("wss://localhost{path}").parse().expect("a URI");
    let builder = tokio_websockets::ClientBuilder::from_uri(uri);
    let (stream, _) = builder.connect_on(secure.connect(b"http/1.1").await).await.expect("an upgrade");
    Socket { stream, kept: Vec::new() }
}

impl Socket {
    async fn send(&mut self, text: &str) {
        self.stream.send(Message::text(text.to_owned())).await.expect("a send");
    }

    async fn text(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.packet()).await.expect("a packet in time")
    }

    /// The next packet that is no ping of Engine.IO.
    async fn packet(&mut self) -> String {
        loop {
            let message = self.stream.next().await.expect("the connection is open").expect("a sound frame");
            match message.as_text().expect("text") {
                "2" => self.send("3").await,
                packet => return packet.to_owned(),
            }
        }
    }

    /// The next frame with this `op`; an event may come before the answer to its publication.
    async fn next(&mut self, op: &str) -> Value {
        if let Some(index) = self.kept.iter().position(|frame| frame["op"] == op) {
            return self.kept.remove(index);
        }
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("a frame in time");
            let message = message.expect("the connection is open").expect("a sound frame");
            let Some(text) = message.as_text() else { continue };
            let frame: Value = serde_json::from_str(text).expect("JSON");
            if frame["op"] == op {
                return frame;
            }
            assert_ne!(frame["op"], "error", "{frame}");
            self.kept.push(frame);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_resumes_its_session() {
    let secure = secure(&[]).await;
    let config = secure.client(b"http/1.1");
    let kinds = [HandshakeKind::Full, HandshakeKind::Resumed];
    for kind in kinds {
        let stream = connect(secure.server.address, Arc::clone(&config)).await;
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
        // The tickets come with the first answer.
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let answer =
            sender.send_request(request("GET", "/api/health/live", &[("Host", "localhost")], "")).await;
        assert_eq!(Answer::read(answer.expect("an answer")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cleartext_on_a_tls_port_gets_no_answer_and_disturbs_nobody() {
    let secure = secure(&[]).await;
    let mut stream = TcpStream::connect(secure.server.address).await.expect("a connection");
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("a write");
    let mut said = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut said);
    // The server may also reset the connection.
    let _ended = tokio::time::timeout(PATIENCE, read).await.expect("the connection ends");
    assert!(!String::from_utf8_lossy(&said).contains("HTTP/1.1"), "{said:?}");
    let mut other = Http::open(&secure, Version::HTTP_2).await;
    assert_eq!(other.ask("GET", "/api/health/live", &[], "").await.status(), 200);
}
