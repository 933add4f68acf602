//! One HTTP reply: every route answers alike over cleartext HTTP/1.1, HTTP/1.1 under TLS, and HTTP/2.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use anywire_gateway::MAIN_LISTENER;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Version, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    description::{description, example, operations, prepared},
    support::PATIENCE,
    tls::{Http, Secure, secure},
};

/// What a connection may add to an answer of its own.
const OF_THE_CONNECTION: [&str; 5] = ["date", "connection", "keep-alive", "transfer-encoding", "upgrade"];
/// Headers whose value is another on every server.
const OF_THE_SERVER: [&str; 8] = [
    "anywire-cursor",
    "anywire-session",
    "content-length",
    "etag",
    // Its name says whether TLS protects it.
    "set-cookie",
    "last-modified",
    "location",
    "upload-expires",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Cleartext,
    Tls,
    Http2,
}

const WIRES: [Wire; 3] = [Wire::Cleartext, Wire::Tls, Wire::Http2];

/// One server with a listener of each kind.
pub(crate) struct House {
    pub(crate) secure: Secure,
    pub(crate) cleartext: SocketAddr,
}

#[derive(Debug, Clone)]
pub(crate) struct Asking {
    method: String,
    path: String,
    host: &'static str,
    headers: Vec<(String, String)>,
    body: String,
}

pub(crate) fn asking(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Asking {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Asking {
        method: method.into(),
        path: path.into(),
        host: "localhost",
        headers: headers.iter().map(own).collect(),
        body: body.into(),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl House {
    pub(crate) async fn open(settings: &[&str]) -> Self {
        let secure = secure(settings).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let cleartext = listener.local_addr().expect("an address");
        let anywire = Arc::clone(&secure.server.anywire);
        tokio::spawn(async move {
            let served = anywire.gateway().serve_as(MAIN_LISTENER, listener, anywire.router(), None);
            served.await.expect("serving");
        });
        Self { secure, cleartext }
    }

    async fn ask(&self, wire: Wire, asking: &Asking) -> Seen {
        let request = request(wire, asking);
        let response = match wire {
            Wire::Cleartext => {
                let stream = TcpStream::connect(self.cleartext).await.expect("a connection");
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
                tokio::spawn(connection);
                Http::One(sender).send(request).await
            }
            Wire::Tls => Http::open(&self.secure, Version::HTTP_11).await.send(request).await,
            Wire::Http2 => Http::open(&self.secure, Version::HTTP_2).await.send(request).await,
        };
        self.seen(response).await
    }

    async fn seen(&self, response: hyper::Response<Incoming>) -> Seen {
        let (head, body) = response.into_parts();
        assert!(head.headers.contains_key("date"), "{head:?}");
        if !head.status.is_informational() {
            assert_eq!(
                head.headers.get("x-content-type-options").map(|value| value.as_bytes()),
                Some(&b"nosniff"[..])
            );
            let kind = head.headers.get("content-type").map_or(&b""[..], |value| value.as_bytes());
            assert_eq!(
                head.headers.contains_key("referrer-policy"),
                kind.starts_with(b"text/html"),
                "{head:?}"
            );
        }
        let mut headers = BTreeMap::new();
        for name in head.headers.keys().filter(|name| !OF_THE_CONNECTION.contains(&name.as_str())) {
            let values = head.headers.get_all(name).iter().map(|value| value.to_str().expect("ASCII"));
            headers.insert(name.to_string(), self.alike(&values.collect::<Vec<_>>().join(" | ")));
        }
        let endless = head.status == 101 || head.headers.get("content-type").is_some_and(is_stream);
        let text = if endless {
            String::new()
        } else {
            let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("a body in time");
            String::from_utf8_lossy(&body.expect("a whole body").to_bytes()).into_owned()
        };
        Seen { status: head.status.as_u16(), headers, text: self.alike(&text) }
    }

    /// The text with what is this server's own.
    fn alike(&self, text: &str) -> String {
        let epoch = self.secure.server.anywire.log().epoch().to_string();
        text.replace(&epoch, "<epoch>").replace("https://localhost", "http://localhost")
    }

    /// Asks over every wire and expects one answer.
    pub(crate) async fn ask_all(&self, asking: &Asking) -> Seen {
        let cleartext = self.ask(Wire::Cleartext, asking).await;
        for wire in [Wire::Tls, Wire::Http2] {
            assert_eq!(self.ask(wire, asking).await, cleartext, "{wire:?} and cleartext: {asking:?}");
        }
        cleartext
    }
}

fn is_stream(kind: &hyper::header::HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"text/event-stream")
}

fn request(wire: Wire, asking: &Asking) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(asking.method.as_str());
    // HTTP/2 takes the host from the target, HTTP/1.1 from the header.
    builder = match wire {
        Wire::Http2 => builder.uri(format!("https://{}{}", asking.host, asking.path)),
        Wire::Cleartext | Wire::Tls => builder.uri(&asking.path).header("Host", asking.host),
    };
    for (name, value) in &asking.headers {
        // Any bytes: clients send them too.
        builder = builder.header(name, value.as_bytes());
    }
    builder.body(Full::from(asking.body.clone())).expect("a request")
}

/// An example of the description as it is sent here.
async fn asking_of(example: Request<axum::body::Body>) -> Asking {
    let (head, body) = example.into_parts();
    let headers = head.headers.iter().filter(|(name, _)| *name != "host");
    let text = |value: &hyper::header::HeaderValue| value.to_str().expect("ASCII").to_owned();
    let body = body.collect().await.expect("a body").to_bytes();
    Asking {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        host: "localhost",
        headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// What of an answer is the same on every server: values of JSON are left out, but for their kind.
fn outline(seen: &Seen) -> (u16, BTreeMap<&str, &str>, Value) {
    let value = |name: &str, value: &'static str| if OF_THE_SERVER.contains(&name) { value } else { "" };
    let headers = seen.headers.iter().map(|(name, text)| {
        let hidden = value(name, "<another>");
        (name.as_str(), if hidden.is_empty() { text.as_str() } else { hidden })
    });
    let body = match serde_json::from_str(&seen.text) {
        Ok(body) if seen.status < 400 => shape(&body),
        Ok(body) => body,
        Err(_) => json!(seen.text.is_empty()),
    };
    (seen.status, headers.collect(), body)
}

fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(_) => json!([]),
        // A figure may not be there yet.
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => json!(0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_of_the_description_answers_alike_over_every_wire() {
    let whole = description();
    let mut houses = Vec::new();
    for wire in WIRES {
        let house = House::open(&[]).await;
        let (_, upload) = prepared(&house.secure.server.anywire).await;
        houses.push((wire, house, upload));
    }
    // After the first account or key nobody gets in who does not say who they are.
    let closes =
        |operation: &Value| ["addUser", "addKey"].iter().any(|name| operation["operationId"] == *name);
    let mut all = operations(&whole);
    all.sort_by_key(|(_, _, operation)| closes(operation));
    for (path, method, operation) in all {
        let mut first: Option<Seen> = None;
        for (wire, house, upload) in &houses {
            if *wire == Wire::Http2 && path == "/anywire/ws" {
                // HTTP/2 has no such thing.
                continue;
            }
            let asking = asking_of(example(&whole, &path, method, operation, upload)).await;
            let seen = house.ask(*wire, &asking).await;
            if let Some(first) = &first {
                assert_eq!(outline(&seen), outline(first), "{method} {path} over {wire:?}");
            }
            first.get_or_insert(seen);
        }
    }
}

const EVIL: (&str, &str) = ("Origin", "https://evil.example");
const PAGE: (&str, &str) = ("Origin", "http://localhost:5173");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_refused_alike_over_every_wire() {
    let settings = ["limits.message_bytes_max=100", "limits.request_bytes_max=1000"];
    let house = House::open(&settings).await;
    let large = format!(r#"{{"channel":"a","data":"{}"}}"#, "x".repeat(200));
    let too_large = format!(r#"{{"channel":"a","data":"{}"}}"#, "x".repeat(2000));
    let cases = [
        ("GET", "/anywire/poll?channels=a,,b", "", 400),
        ("GET", "/anywire/poll", "", 400),
        ("GET", "/anywire/poll?channels=a&after=x", "", 400),
        ("GET", "/anywire/poll?channels=a&wait=99", "", 400),
        ("GET", "/anywire/sse?channels=a,,b", "", 400),
        ("GET", "/anywire/sse", "", 400),
        ("GET", "/anywire/presence?channel=a,b", "", 400),
        ("GET", "/anywire/ws", "", 426),
        ("POST", "/anywire/ws", "", 405),
        ("POST", "/anywire/publish", "{", 400),
        ("POST", "/anywire/publish", r#"{"channel":"$sys"}"#, 403),
        ("POST", "/anywire/publish", &large, 413),
        ("POST", "/anywire/publish", &too_large, 413),
        ("GET", "/anywire/publish", "", 405),
        ("DELETE", "/anywire/publish", "", 405),
        ("POST", "/anywire/poll?channels=a", "", 405),
        ("PUT", "/anywire/sse?channels=a", "x", 405),
        ("OPTIONS", "/anywire/publish", "", 405),
        ("PUT", "/api/health", "", 405),
        ("GET", "/api/nothing", "", 404),
        ("GET", "/anywire/nothing", "", 404),
        ("POST", "/nothing", "x", 404),
        ("HEAD", "/anywire/presence", "", 400),
        ("GET", "/socket.io/?EIO=3&transport=polling", "", 400),
        ("GET", "/socket.io/?EIO=4&transport=pigeon", "", 400),
        ("GET", "/socket.io/?EIO=4&transport=polling&sid=nobody", "", 400),
        ("POST", "/socket.io/?EIO=4&transport=polling&sid=nobody", "40", 400),
        ("POST", "/socket.io/?EIO=4&transport=polling", "40", 400),
        ("PUT", "/socket.io/?EIO=4&transport=polling", "", 400),
        ("GET", "/socket.io/?EIO=4&transport=websocket", "", 400),
    ];
    for (method, path, body, status) in cases {
        for headers in [&[][..], &[PAGE]] {
            let seen = house.ask_all(&asking(method, path, headers, body)).await;
            assert_eq!(seen.status, status, "{method} {path}: {seen:?}");
            let named = seen.headers.get("access-control-allow-origin");
            assert_eq!(named.is_some(), !headers.is_empty(), "{method} {path}: {seen:?}");
        }
        let seen = house.ask_all(&asking(method, path, &[EVIL], body)).await;
        assert_eq!(seen.status, 403, "{method} {path}: {seen:?}");
        let mut elsewhere = asking(method, path, &[], body);
        elsewhere.host = "evil.example";
        assert_eq!(house.ask_all(&elsewhere).await.status, 403, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_key_is_told_so_alike_over_every_wire() {
    let house = House::open(&["auth.api_keys=[\"0123456789abcdef\"]"]).await;
    let paths = [
        ("GET", "/anywire/poll?channels=a&after=0"),
        ("GET", "/anywire/sse?channels=a"),
        ("GET", "/anywire/presence?channel=a"),
        ("POST", "/anywire/publish"),
        ("GET", "/api/overview"),
        ("GET", "/metrics"),
        ("POST", "/api/progress"),
    ];
    for (method, path) in paths {
        for headers in [&[][..], &[("Authorization", "Bearer wrong")], &[("Authorization", "Basic YTpi")]] {
            let seen = house.ask_all(&asking(method, path, headers, "")).await;
            assert_eq!(seen.status, 401, "{method} {path}: {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_has_already_is_not_sent_again_over_any_wire() {
    let house = House::open(&[]).await;
    let published = r#"{"channel":"a","data":{"n":1}}"#;
    let published = house.ask(Wire::Http2, &asking("POST", "/anywire/publish", &[], published)).await;
    let published: Value = serde_json::from_str(&published.text).expect("JSON");
    let read = house.ask_all(&asking("GET", "/anywire/poll?channels=a&after=0", &[PAGE], "")).await;
    let exposed = &read.headers["access-control-expose-headers"];
    for name in ["Anywire-Cursor", "ETag", "Retry-After", "Location", "Upload-Offset"] {
        assert!(exposed.split(", ").any(|other| other == name), "{name}: {exposed}");
    }
    let epoch = house.secure.server.anywire.log().epoch().to_string();
    let cursor = published["cursor"].as_str().expect("a cursor").replace("<epoch>", &epoch);
    let path = format!("/anywire/poll?channels=a&after={cursor}");
    let tags = [
        (format!("\"{cursor}\""), 304),
        (format!("W/\"{cursor}\""), 304),
        (format!("\"x,y\", W/\"{cursor}\""), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 204),
        (cursor.clone(), 204),
    ];
    for (tag, status) in &tags {
        let seen = house.ask_all(&asking("GET", &path, &[("If-None-Match", tag)], "")).await;
        assert_eq!((seen.status, seen.text.as_str()), (*status, ""), "{tag}: {seen:?}");
        assert_eq!(seen.headers.get("content-length"), None, "{tag}: {seen:?}");
        assert_eq!(seen.headers["vary"], "Origin, Authorization");
    }
    // Several lines are one list.
    let mut lines = asking("GET", &path, &[("If-None-Match", "\"x\"")], "");
    lines.headers.push(("If-None-Match".into(), tags[0].0.clone()));
    assert_eq!(house.ask_all(&lines).await.status, 304);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_begins_a_stream_or_asks_first_looks_alike_over_every_wire() {
    let house = House::open(&[]).await;
    let preflight = [PAGE, ("Access-Control-Request-Method", "POST")];
    for path in ["/anywire/publish", "/anywire/poll", "/socket.io/", "/api/uploads", "/api/nothing"] {
        let seen = house.ask_all(&asking("OPTIONS", path, &preflight, "")).await;
        assert_eq!(seen.status, if path == "/api/nothing" { 204 } else { seen.status }, "{seen:?}");
        assert!(seen.headers["access-control-allow-headers"].contains("Upload-Metadata"), "{seen:?}");
    }
    let seen = house.ask_all(&asking("GET", "/anywire/sse?channels=a", &[PAGE], "")).await;
    assert_eq!(seen.headers["cache-control"], "no-cache, no-transform");
    house.ask_all(&asking("GET", "/anywire/poll?channels=a", &[PAGE], "")).await;
    house.ask_all(&asking("GET", "/anywire/poll?channels=a&wait=1", &[PAGE], "")).await;
    house.ask_all(&asking("HEAD", "/anywire/poll?channels=a", &[], "")).await;
    let opening = asking("GET", "/socket.io/?EIO=4&transport=polling", &[PAGE], "");
    let cleartext = house.ask(Wire::Cleartext, &opening).await;
    for wire in [Wire::Tls, Wire::Http2] {
        let seen = house.ask(wire, &opening).await;
        assert_eq!((seen.status, &seen.headers), (200, &cleartext.headers), "{wire:?}");
    }
    // HTTP/2 has no such thing.
    for path in ["/anywire/ws", "/socket.io/?EIO=4&transport=websocket"] {
        let upgrade = [
            PAGE,
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let asking = asking("GET", path, &upgrade, "");
        let cleartext = house.ask(Wire::Cleartext, &asking).await;
        assert_eq!(cleartext.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(house.ask(Wire::Tls, &asking).await, cleartext, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_no_text_is_refused_by_every_route_with_a_code() {
    let whole = description();
    let house = House::open(&[]).await;
    let mut paths: Vec<(String, String)> = operations(&whole)
        .into_iter()
        .filter(|(path, method, _)| path.contains('{') && *method != "options")
        .map(|(path, method, _)| (method.to_uppercase(), path))
        .collect();
    let served_beside = ["/favicon.ico", "/robots.txt", "/assets/x.js", "/socket.io/x.js", "/socket.io/%ff"];
    paths.extend(served_beside.map(|path| ("GET".to_owned(), path.to_owned())));
    for (method, path) in paths {
        let target: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { "%ff" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        let tus = [("Tus-Resumable", "1.0.0")];
        let seen = house.ask_all(&asking(&method, &target, &tus, "")).await;
        assert!(seen.status >= 400, "{method} {target}: {seen:?}");
        assert_eq!(seen.headers["cache-control"], "no-store", "{method} {target}: {seen:?}");
        assert_eq!(seen.headers["content-type"], "application/json", "{method} {target}: {seen:?}");
        if method != "HEAD" {
            let body: Value = serde_json::from_str(&seen.text).expect(&target);
            assert!(body["code"].is_string() && body["message"].is_string(), "{target}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_large_is_refused_after_the_place_over_every_wire() {
    let house = House::open(&[]).await;
    let long = format!("/anywire/poll?channels={}", "a".repeat(40_000));
    let crowd = |count: usize| (0..count).map(|n| (format!("X-{n}"), "y".to_owned())).collect::<Vec<_>>();
    let (just, far) = (crowd(101), crowd(1_500));
    for (method, path, more) in [
        ("GET", long.as_str(), &[][..]),
        ("POST", &long, &[]),
        ("PUT", &long, &[]),
        ("GET", "/api/health", &just),
        ("PUT", "/socket.io/?EIO=4&transport=polling", &just),
        ("HEAD", "/api/health", &far),
    ] {
        for (origin, status) in [(PAGE, 431), (EVIL, 403)] {
            let mut asking = asking(method, path, &[origin], "");
            asking.headers.extend(more.iter().cloned());
            let seen = house.ask_all(&asking).await;
            assert_eq!(seen.status, status, "{method} {origin:?}: {seen:?}");
            assert_eq!(seen.headers.contains_key("access-control-allow-origin"), status == 431, "{seen:?}");
            if method != "HEAD" {
                assert_eq!(seen.text.contains("head_too_large"), status == 431, "{seen:?}");
            }
        }
    }
    // With the host there are as many as there may be.
    let mut asking = asking("GET", "/api/health/live", &[], "");
    asking.headers = crowd(99);
    assert_eq!(house.ask_all(&asking).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_no_page_has_is_refused_alike_over_every_wire() {
    let house = House::open(&[r#"auth.origins=["* credentials"]"#]).await;
    for origin in ["https://\u{ff41}pp.example.com", "https://\u{e4}pp.example.com", "\u{fffd}"] {
        for path in ["/anywire/poll?channels=a", "/api/health", "/anywire/sse?channels=a"] {
            let seen = house.ask_all(&asking("GET", path, &[("Origin", origin)], "")).await;
            assert_eq!(seen.status, 403, "{path} {origin}: {seen:?}");
            assert!(seen.text.contains("origin_forbidden"), "{path} {origin}: {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_of_which_there_is_one_is_refused_where_it_stands_twice() {
    let house = House::open(&[]).await;
    let publication = r#"{"channel":"a","data":1}"#;
    let tus = ("Tus-Resumable", "1.0.0");
    for (method, path, body, name, values) in [
        ("POST", "/anywire/publish", publication, "Idempotency-Key", ["one", "two"]),
        ("POST", "/anywire/publish", publication, "Authorization", ["Bearer a", "Bearer b"]),
        ("GET", "/anywire/sse?channels=a", "", "Last-Event-ID", ["", "1"]),
        ("GET", "/anywire/poll?channels=a", "", "Origin", [PAGE.1, PAGE.1]),
        ("POST", "/socket.io/?EIO=4&transport=polling", "40", "Content-Type", ["text/plain", "text/html"]),
        ("POST", "/api/progress", "{}", "Idempotency-Key", ["one", "one"]),
        ("POST", "/api/uploads", "", "Upload-Length", ["1", "2"]),
        ("PATCH", "/api/uploads/x", "", "Upload-Offset", ["0", "0"]),
    ] {
        let headers = [tus, (name, values[0]), (name, values[1])];
        let seen = house.ask_all(&asking(method, path, &headers, body)).await;
        assert_eq!(seen.status, 400, "{method} {path} {name}: {seen:?}");
        assert!(seen.text.contains(&format!("the header {name} ")), "{method} {path} {name}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_count_as_one_header_however_they_come() {
    let house = House::open(&[]).await;
    let cookies: Vec<String> = (0..120).map(|n| format!("c{n}=x")).collect();
    let mut crumbs = asking("GET", "/api/health/live", &[], "");
    crumbs.headers = cookies.iter().map(|cookie| ("Cookie".to_owned(), cookie.clone())).collect();
    let one = cookies.join("; ");
    let joined = asking("GET", "/api/health/live", &[("Cookie", &one)], "");
    assert_eq!(house.ask(Wire::Http2, &crumbs).await.status, 200);
    assert_eq!(house.ask_all(&joined).await.status, 200);
}
