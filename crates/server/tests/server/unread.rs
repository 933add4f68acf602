//! Refusals before a body was read, and heads that are too large: the client gets its answer over every wire,
//! also one that sends everything first and reads then.

use futures_util::StreamExt;
use http_body_util::BodyExt;
use hyper::{Request, Version};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    description::{description, example, operations, prepared},
    replies::House,
    support::{PATIENCE, request},
    tls::Http,
};

/// Sends all of a request, and reads the answer then: to its end, or as far as `Content-Length` says.
async fn send_first(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str, body: &[u8]) -> String {
    let asking = async {
        let head = format!("{head}\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("the head leaves");
        stream.write_all(body).await.expect("the body leaves");
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let count = stream.read_buf(&mut answer).await.expect("an answer");
            assert!(count > 0, "the answer ended early: {}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8(answer).expect("text")
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("in time")
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

const REFUSED: [(&str, &str, &str); 4] = [
    ("PUT", "/nope", "404"),
    ("POST", "/nope", "404"),
    ("PUT", "/api/health", "405"),
    ("POST", "/anywire/publish", "413"),
];
const SIZES: [usize; 3] = [10, 100_000, 6_000_000];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_a_body_first_reads_why_it_was_refused() {
    let house = House::open(&["limits.message_bytes_max=5", "limits.request_bytes_max=9"]).await;
    for (method, path, status) in REFUSED {
        for size in SIZES {
            let (head, body) = (format!("{method} {path} HTTP/1.1"), vec![b'x'; size]);
            let cleartext = TcpStream::connect(house.cleartext).await.expect("a connection");
            let answers = [
                send_first(cleartext, &head, &body).await,
                send_first(house.secure.connect(b"http/1.1").await, &head, &body).await,
            ];
            for answer in answers {
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status}")),
                    "{method} {path} {size}: {answer}"
                );
                assert!(answer.contains("\"code\""), "{method} {path} {size}: {answer}");
                let closes = answer.to_lowercase().contains("connection: close");
                assert!(closes || size < 1_000_000, "{method} {path} {size}: {answer}");
            }
            let mut two = Http::open(&house.secure, Version::HTTP_2).await;
            let body = "x".repeat(size);
            // The connection goes on for other streams.
            for _ in 0..2 {
                let target = format!("https://localhost{path}");
                let response = two.send(request(method, &target, &[], &body)).await;
                assert_eq!(response.status().as_str(), status, "{method} {path} {size}");
                let answer = response.into_body().collect().await.expect("a whole answer").to_bytes();
                assert!(answer.starts_with(b"{\"code\""), "{method} {path} {size}: {answer:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_first_is_not_told_to_go_on_with_what_is_refused() {
    let house = House::open(&["limits.message_bytes_max=5", "limits.request_bytes_max=9"]).await;
    for path in ["/nope", "/anywire/publish"] {
        let head = format!("POST {path} HTTP/1.1\r\nExpect: 100-continue");
        let request = format!("{head}\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n");
        let mut stream = house.secure.connect(b"http/1.1").await;
        stream.write_all(request.as_bytes()).await.expect("the head leaves");
        let mut answer = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer));
        read.await.expect("in time").expect("the end of the connection");
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_one_limit_over_every_wire() {
    let house = House::open(&[]).await;
    for (bytes, status) in [(30_000, 400), (33_000, 431), (60_000, 431)] {
        for path in ["/anywire/poll?channels=", "/anywire/sse?channels=", "/api/jobs?x="] {
            let target = format!("{path}{}", "a".repeat(bytes));
            let seen = house.ask_all(&crate::replies::asking("GET", &target, &[], "")).await;
            let code = if status == 431 { "head_too_large" } else { "invalid_" };
            assert_eq!(seen.status, status, "{path} {bytes}: {seen:?}");
            assert!(seen.text.contains(code), "{path} {bytes}: {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_told_so() {
    let house = House::open(&[]).await;
    let endless = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(200_000));
    for (request, status, code) in [
        ("GET / HTTP/1.1\r\nno header\r\n\r\n", "400", "invalid_request"),
        (endless.as_str(), "431", "head_too_large"),
    ] {
        let mut stream = TcpStream::connect(house.cleartext).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("it leaves");
        let mut answer = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer));
        read.await.expect("in time").expect("an answer, and the end");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code), "{answer}");
    }
}

/// Sends bytes and no more, and reads all that comes.
async fn send_all(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
    let asking = async {
        stream.write_all(bytes).await.expect("they leave");
        let mut answer = Vec::new();
        // A peer that ends TLS without saying so is none of our business here.
        let _end = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the end of the connection")
}

async fn over_both(house: &House, bytes: &[u8]) -> [String; 2] {
    let cleartext = TcpStream::connect(house.cleartext).await.expect("a connection");
    [send_all(cleartext, bytes).await, send_all(house.secure.connect(b"http/1.1").await, bytes).await]
}

/// The head of a request of the description, without its end.
fn head_of<B>(request: &Request<B>) -> String {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", request.method(), request.uri());
    for (name, value) in request.headers().iter().filter(|(name, _)| *name != "host") {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().expect("ASCII")));
    }
    head
}

#[track_caller]
fn assert_last_refusal(what: &str, answer: &str) {
    let lower = answer.to_lowercase();
    let (head, body) = lower.split_once("\r\n\r\n").unwrap_or_default();
    assert!(answer.starts_with("HTTP/1.1 4"), "{what}: {answer}");
    assert!(body.starts_with(r#"{"code":""#) && body.contains(r#""message":""#), "{what}: {answer}");
    for line in ["connection: close", "cache-control: no-store", "content-type: application/json"] {
        assert!(head.lines().any(|other| other == line), "{what}: {line}: {answer}");
    }
}

const BODY_METHODS: [&str; 3] = ["post", "put", "patch"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_asks_for_a_body_that_is_too_large_for_it() {
    let whole = description();
    let house = House::open(&["jobs.upload_bytes_max=1000", "pipeline.csv_bytes_max=1000000"]).await;
    let (_, upload) = prepared(&house.secure.server.anywire).await;
    for (path, method, operation) in operations(&whole) {
        if !BODY_METHODS.contains(&method) || operation.get("requestBody").is_none() {
            continue;
        }
        let request = example(&whole, &path, method, operation, &upload);
        let head = format!("{}Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", head_of(&request));
        for answer in over_both(&house, head.as_bytes()).await {
            assert_last_refusal(&format!("{method} {path}"), &answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_refused_by_every_route_and_ends_the_connection() {
    let whole = description();
    let house = House::open(&[]).await;
    let (_, upload) = prepared(&house.secure.server.anywire).await;
    for (path, method, operation) in operations(&whole) {
        if !BODY_METHODS.contains(&method) || operation.get("requestBody").is_none() {
            continue;
        }
        let request = example(&whole, &path, method, operation, &upload);
        let broken = format!("{}Transfer-Encoding: chunked\r\n\r\nzz\r\n", head_of(&request));
        for answer in over_both(&house, broken.as_bytes()).await {
            assert_last_refusal(&format!("{method} {path}"), &answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_a_body_before_its_length_is_told_so() {
    let house = House::open(&[]).await;
    for path in ["/anywire/publish", "/api/progress", "/api/producers/send/csv?topic=orders"] {
        let request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{");
        let mut stream = TcpStream::connect(house.cleartext).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("it leaves");
        stream.shutdown().await.expect("the end");
        let mut answer = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer));
        read.await.expect("in time").expect("an answer, and the end");
        assert_last_refusal(path, &answer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_sound_head_is_refused_in_words_at_once_and_later() {
    let house = House::open(&[]).await;
    let crowd = "X: y\r\n".repeat(500);
    let long = "a".repeat(70_000);
    let page = "Origin: http://localhost:5173\r\n";
    for (line, lines, words) in [
        ("GET /api/health HTTP/1.1", crowd.as_str(), "head_too_large"),
        (&format!("GET /{long} HTTP/1.1"), "", "head_too_large"),
        ("POST /api/progress HTTP/1.1", "Content-Length: 4\r\nContent-Length: 5\r\n", "several"),
        ("POST /api/progress HTTP/1.1", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "one of them"),
        ("POST /api/progress HTTP/1.1", "Content-Length: 4, 4\r\n", "4, 4"),
        ("POST /anywire/publish HTTP/1.1", "Content-Length: +4\r\n", "+4"),
        ("POST /api/progress HTTP/1.1", "Content-Length: -1\r\n", "-1"),
        ("POST /api/progress HTTP/1.1", "Content-Length: 0x10\r\n", "0x10"),
        ("POST /api/progress HTTP/1.1", "Transfer-Encoding: xchunked\r\n", "xchunked"),
        ("GET api/health HTTP/1.1", "", "api/health"),
        ("PUT /api/health HTTP/1.1", "no header\r\n", "header name"),
        ("\u{16}\u{3}\u{1}", "", "TLS"),
    ] {
        let faulty = format!("{line}\r\nHost: localhost\r\n{page}{lines}\r\n");
        let shown: String = faulty.chars().take(60).collect();
        let mut answers = over_both(&house, faulty.as_bytes()).await.to_vec();
        // On a connection that was asked something before, and together with that.
        for together in [false, true] {
            let cleartext = TcpStream::connect(house.cleartext).await.expect("a connection");
            answers.push(after_another(cleartext, together, faulty.as_bytes()).await);
            let secure = house.secure.connect(b"http/1.1").await;
            answers.push(after_another(secure, together, faulty.as_bytes()).await);
        }
        for answer in answers {
            assert_last_refusal(&shown, &answer);
            assert!(answer.contains(words), "{shown}: {answer}");
            let lower = answer.to_lowercase();
            assert!(lower.contains("access-control-allow-origin: http://localhost:5173"), "{answer}");
        }
    }
}

/// What is answered to bytes that follow two requests of the HTTP library's with bodies.
async fn after_another(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    together: bool,
    bytes: &[u8],
) -> String {
    let head = "POST /api/progress HTTP/1.1\r\nHost: localhost\r\n";
    let first = format!(
        "{head}Content-Length: 1\r\n\r\n{{{head}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n0\r\n\r\n"
    );
    let asking = async {
        let all = if together { [first.as_bytes(), bytes].concat() } else { first.into_bytes() };
        stream.write_all(&all).await.expect("it leaves");
        let mut answer = Vec::new();
        while count_of_refusals(&answer) < 2 {
            assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "it ended");
        }
        if !together {
            answer.extend(send_all(&mut stream, bytes).await.into_bytes());
        } else {
            let _end = stream.read_to_end(&mut answer).await;
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answers = tokio::time::timeout(PATIENCE, asking).await.expect("in time");
    let last = answers.match_indices("HTTP/1.1 ").map(|(at, _)| at).nth(2).expect("a third answer");
    answers[last..].to_owned()
}

fn count_of_refusals(answers: &[u8]) -> usize {
    String::from_utf8_lossy(answers).matches("\"message\":").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_together_are_answered_in_order_whatever_body_they_have() {
    let house = House::open(&[]).await;
    let publish = |n: u32, body: &str| {
        let event = format!(r#"{{"channel":"a","data":{n}}}"#);
        match body {
            "chunked" => {
                format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n0\r\n\r\n", event.len())
            }
            _ => format!("Content-Length: {}\r\n\r\n{event}", event.len()),
        }
    };
    let mut all = String::new();
    for n in 0..200 {
        let body = if n % 3 == 0 { "chunked" } else { "" };
        all.push_str("POST /anywire/publish HTTP/1.1\r\nHost: localhost\r\n");
        all.push_str(&publish(n, body));
        all.push_str("HEAD /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    all.push_str("GET /anywire/poll?channels=a&after=0&limit=1000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    for answers in over_both(&house, all.as_bytes()).await {
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 401, "{answers}");
        let events: Vec<_> =
            answers.rsplit("\r\n\r\n").next().unwrap_or_default().split("\"data\":").skip(1).collect();
        for (n, event) in events.iter().enumerate() {
            assert!(event.starts_with(&format!("{}}}", n % 200)), "{n}: {event}");
        }
    }
}

/// Time passes at once where nothing else happens.
#[tokio::test]
async fn a_head_or_body_that_comes_too_slowly_is_told_so_over_every_wire() {
    let house = House::open(&[]).await;
    let half_a_body = "POST /api/progress HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    for slow in ["PUT /api/health HTTP/1.1\r\nHost: localhost\r\nX: ", "GET /anywire/poll?ch", half_a_body] {
        for asked_before in [false, true] {
            // One after the other: time passes for a connection that waits, too.
            let cleartext = TcpStream::connect(house.cleartext).await.expect("a connection");
            let over_cleartext = slowly(cleartext, asked_before, slow).await;
            let secure = house.secure.connect(b"http/1.1").await;
            for answer in [over_cleartext, slowly(secure, asked_before, slow).await] {
                assert_last_refusal(slow, &answer);
                assert!(answer.contains("request_timeout"), "{slow}: {answer}");
            }
        }
    }
    let io = hyper_util::rt::TokioIo::new(house.secure.connect(b"h2").await);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.expect("HTTP/2");
    tokio::spawn(connection);
    let first = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(hyper::body::Frame::data(
        bytes::Bytes::from_static(b"{"),
    ))]);
    let body = http_body_util::StreamBody::new(first.chain(futures_util::stream::pending()));
    let request = Request::post("https://localhost/api/progress").body(body).expect("a request");
    tokio::time::pause();
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(answer.status(), 408);
    let text = answer.into_body().collect().await.expect("a body").to_bytes();
    assert!(text.starts_with(b"{\"code\":\"request_timeout\""), "{text:?}");
}

/// What is answered to bytes after which nothing comes, on a connection that may have been idle for a while.
async fn slowly(mut stream: impl AsyncRead + AsyncWrite + Unpin, asked_before: bool, slow: &str) -> String {
    let mut answer = Vec::new();
    if asked_before {
        let first = "PUT /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(first.as_bytes()).await.expect("it leaves");
        while answer.is_empty() || !is_whole(&answer) {
            assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "it ended");
        }
        answer.clear();
    }
    tokio::time::pause();
    if asked_before {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
    stream.write_all(slow.as_bytes()).await.expect("it leaves");
    let _end = stream.read_to_end(&mut answer).await;
    tokio::time::resume();
    String::from_utf8_lossy(&answer).into_owned()
}
