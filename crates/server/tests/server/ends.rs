//! Rights that end, end connections: on every transport, within a second, and nobody else's.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tokio_websockets::{ClientBuilder, Message};

use crate::{
    access::{BEARER, OWN, PASSWORD, cookie, guarded, sign_in, signed_in},
    support::{PATIENCE, Server, server},
};

type Socket = tokio_websockets::WebSocketStream<tokio_websockets::MaybeTlsStream<TcpStream>>;

/// A WebSocket of a page of the server itself, with a cookie.
async fn websocket(server: &Server, path: &str, cookie: &str) -> Socket {
    let own = format!("http://{}", server.address);
    websocket_from(server, path, cookie, &own).await
}

async fn websocket_from(server: &Server, path: &str, cookie: &str, origin: &str) -> Socket {
    let uri = format!("ws://{}{path}", server.address).parse().expect("an address");
    let value = |text: &str| text.parse().expect("a header");
    let builder = ClientBuilder::from_uri(uri)
        .add_header("cookie".parse().expect("a name"), value(cookie))
        .expect("allowed")
        .add_header("origin".parse().expect("a name"), value(origin))
        .expect("allowed");
    let builder = match path.starts_with("/anywire") {
        true => builder
            .add_header("sec-websocket-protocol".parse().expect("a name"), value("anywire.v1"))
            .expect("allowed"),
        false => builder,
    };
    builder.connect().await.expect("a WebSocket").0
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text.to_owned())).await.expect("sent");
}

async fn next(socket: &mut Socket) -> Option<Message> {
    tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time").and_then(Result::ok)
}

/// The next text that holds these words.
async fn hear(socket: &mut Socket, words: &str) -> String {
    let heard = tokio::time::timeout(PATIENCE, hear_at_last(socket, words));
    heard.await.unwrap_or_else(|_| panic!("{words} does not come"))
}

async fn hear_at_last(socket: &mut Socket, words: &str) -> String {
    loop {
        let message = next(socket).await.unwrap_or_else(|| panic!("it ended before {words}"));
        if let Some(text) = message.as_text().filter(|text| text.contains(words)) {
            return text.to_owned();
        }
    }
}

/// The code it is closed with.
async fn close_code(socket: &mut Socket) -> Option<u16> {
    while let Some(message) = next(socket).await {
        if let Some((code, _)) = message.as_close() {
            return Some(code.into());
        }
    }
    None
}

async fn subscribed(server: &Server, cookie: &str) -> Socket {
    let mut socket = websocket(server, "/anywire/ws", cookie).await;
    say(&mut socket, r#"{"op":"subscribe","channels":["a"]}"#).await;
    hear(&mut socket, "subscribed").await;
    socket
}

/// A GET on a connection of its own, and its first bytes up to an empty line.
async fn open_stream(server: &Server, target: &str, cookie: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(server.address).await.expect("a connection");
    let mut stream = BufReader::new(stream);
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", server.address);
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    loop {
        let before = head.len();
        let read = tokio::time::timeout(PATIENCE, stream.read_line(&mut head)).await.expect("in time");
        assert!(read.expect("a line") > 0, "it ended after {head:?}");
        if head[before..].trim().is_empty() {
            return head;
        }
    }
}

/// Everything up to the end of the connection.
async fn rest(stream: &mut BufReader<TcpStream>) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _maybe_reset = read.expect("it ends in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Somebody connected in every way there is.
struct Everywhere {
    websocket: Socket,
    socketio: Socket,
    sse: BufReader<TcpStream>,
    poll: BufReader<TcpStream>,
}

impl Everywhere {
    async fn connect(server: &Server, cookie: &str) -> Self {
        let websocket = subscribed(server, cookie).await;
        let mut socketio = websocket_io(server, cookie).await;
        hear(&mut socketio, "40{").await;
        let mut sse = open_stream(server, "/anywire/sse?channels=a", cookie).await;
        assert!(read_head(&mut sse).await.starts_with("HTTP/1.1 200"));
        let poll = open_stream(server, "/anywire/poll?channels=a&wait=50", cookie).await;
        // They are there when the list of clients has all four.
        for _ in 0..500 {
            let clients = server.send("GET", "/api/delivery/clients", &[BEARER], "").await.json();
            if clients["clients"]
                .as_array()
                .is_some_and(|all| all.iter().filter(|one| one["user"] == "anna").count() == 4)
            {
                return Self { websocket, socketio, sse, poll };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("they are not all connected");
    }

    /// All of them end because rights did.
    async fn end(mut self) {
        let told = hear(&mut self.websocket, "\"error\"").await;
        assert!(told.contains("unauthorized"), "{told}");
        assert_eq!(close_code(&mut self.websocket).await, Some(4001));
        assert!(hear(&mut self.socketio, "41").await.starts_with("41"), "io server disconnect");
        rest(&mut self.sse).await;
        let answer = rest(&mut self.poll).await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("unauthorized"), "{answer}");
    }
}

async fn websocket_io(server: &Server, cookie: &str) -> Socket {
    let mut socket = websocket(server, "/socket.io/?EIO=4&transport=websocket", cookie).await;
    hear(&mut socket, "0{").await;
    say(&mut socket, r#"40{"channels":["a"]}"#).await;
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_of_a_session_ends_its_connections_and_nobody_elses() {
    let server = guarded().await;
    let bens = signed_in(&server, "ben", "viewer").await;
    let mut other = subscribed(&server, &bens).await;
    signed_in(&server, "anna", "viewer").await;
    let users = server.send("GET", "/api/access/users", &[BEARER], "").await.json();
    let anna = format!("/api/access/users/{}", users["users"][0]["id"].as_str().expect("an id"));
    for ending in ["sign-out", "sign-out-everywhere", "revoke user", "revoke session", "roles", "disable"] {
        let cookie = cookie(&sign_in(&server, "anna", PASSWORD, &[]).await);
        let all = Everywhere::connect(&server, &cookie).await;
        let with = [("Cookie", cookie.as_str()), OWN];
        let session = server.send("GET", "/api/access/me", &with, "").await.json()["session"]
            .as_str()
            .map(str::to_owned);
        let session = json!({ "session": session }).to_string();
        let ended = match ending {
            "sign-out" | "sign-out-everywhere" => {
                server.send("POST", &format!("/api/access/{ending}"), &with, "").await
            }
            "revoke user" => server.send("POST", "/api/access/revoke", &[BEARER], r#"{"user":"anna"}"#).await,
            "revoke session" => server.send("POST", "/api/access/revoke", &[BEARER], &session).await,
            "roles" => server.send("PATCH", &anna, &[BEARER], r#"{"roles":["operator"]}"#).await,
            _ => server.send("PATCH", &anna, &[BEARER], r#"{"disabled":true}"#).await,
        };
        assert!(ended.status.is_success(), "{ending}: {}", ended.text);
        all.end().await;
        let still = server.send("GET", "/api/access/me", &with, "").await.json()["name"].clone();
        let stays = ending == "roles";
        assert_eq!(still, if stays { json!("anna") } else { json!(null) }, "{ending}");
    }
    say(&mut other, r#"{"op":"ping"}"#).await;
    hear(&mut other, "pong").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_of_an_application_ends_with_the_session_that_asked_for_it() {
    let server = guarded().await;
    let cookie = signed_in(&server, "anna", "viewer").await;
    let job = r#"{"session_id":"j1","title":"a","total_steps":2}"#;
    assert_eq!(server.send("POST", "/api/progress", &[BEARER], job).await.status, 201);
    let mut stream = open_stream(&server, "/api/video-progress/j1", &cookie).await;
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    let with = [("Cookie", cookie.as_str()), OWN];
    assert_eq!(server.send("POST", "/api/access/sign-out", &with, "").await.status, 204);
    // The last chunk: the answer is over, the connection may bring another request.
    let mut line = String::new();
    while line != "0\r\n" {
        line.clear();
        let read = tokio::time::timeout(PATIENCE, stream.read_line(&mut line)).await.expect("in time");
        assert!(read.expect("a line") > 0, "it broke off");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_taken_back_ends_its_connections_and_opens_nothing_more() {
    let secret = "0123456789abcdef0123456789abcdef";
    let server =
        server(&["auth.api_keys=['0123456789abcdef']", &format!("auth.jwt_secret='{secret}'")]).await;
    let token = |jti: &str, age_s: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now").as_secs();
        let now = i64::try_from(now).expect("fits");
        let claims = json!({
            "sub": "u1", "jti": jti, "iat": now - age_s, "exp": now + 600, "subscribe": ["a"],
        });
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
    };
    let old = token("t1", 60);
    let mut socket = websocket(&server, &format!("/anywire/ws?token={old}&channels=a"), "x=y").await;
    say(&mut socket, r#"{"op":"subscribe","channels":["a"]}"#).await;
    hear(&mut socket, "subscribed").await;
    let poll = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str())];
        server.send("GET", "/anywire/poll?channels=a", &headers, "").await
    };
    assert_eq!(poll(&old).await.status, 200);
    let revoked = server.send("POST", "/api/access/revoke", &[BEARER], r#"{"token_id":"t1"}"#).await;
    assert_eq!(revoked.status, 204);
    assert_eq!(close_code(&mut socket).await, Some(4001));
    let refused = poll(&old).await;
    assert!(refused.status == 401 && refused.text.contains("taken back"), "{}", refused.text);
    let other = token("t2", 60);
    assert_eq!(poll(&other).await.status, 200, "another token of the same user");
    server.send("POST", "/api/access/revoke", &[BEARER], r#"{"user":"u1"}"#).await;
    assert_eq!(poll(&other).await.status, 401, "every token that was made until now");
    assert_eq!(poll(&token("t3", -30)).await.status, 200, "one that is made later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_account_ends_whoever_got_in_because_there_was_none() {
    let server = server(&[]).await;
    let mut socket = subscribed(&server, "x=y").await;
    let wish = json!({ "name": "anna", "roles": ["admin"] }).to_string();
    assert_eq!(server.post("/api/access/users", &wish).await.status, 201);
    assert_eq!(close_code(&mut socket).await, Some(4001));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_ends_connections_by_user_client_or_session() {
    let server = guarded().await;
    let cookie = signed_in(&server, "anna", "viewer").await;
    let with = [("Cookie", cookie.as_str()), OWN];
    let me = server.send("GET", "/api/access/me", &with, "").await.json();
    for whose in
        [json!({ "user": "anna" }), json!({ "client": "phone" }), json!({ "session": me["session"] })]
    {
        let mut socket = websocket(&server, "/anywire/ws?client=phone", &cookie).await;
        say(&mut socket, r#"{"op":"subscribe","channels":["a"]}"#).await;
        hear(&mut socket, "subscribed").await;
        let ended = server.send("POST", "/api/clients/disconnect", &[BEARER], &whose.to_string()).await;
        assert_eq!(ended.text, r#"{"disconnected":1}"#, "{whose}");
        hear(&mut socket, "goodbye").await;
        assert_eq!(close_code(&mut socket).await, Some(1012));
    }
    let nobody = server.send("POST", "/api/clients/disconnect", &[BEARER], r#"{"user":"nobody"}"#).await;
    assert_eq!(nobody.text, r#"{"disconnected":0}"#);
    let both = r#"{"user":"a","client":"b"}"#;
    assert_eq!(server.send("POST", "/api/clients/disconnect", &[BEARER], both).await.status, 400);
    let refused = server.send("POST", "/api/clients/disconnect", &with, r#"{"user":"anna"}"#).await;
    assert_eq!(refused.json()["code"], "forbidden", "a viewer ends nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_of_another_page_is_nobodys_whatever_cookie_it_brings() {
    let server =
        server(&["auth.api_keys=['0123456789abcdef']", "auth.origins=['https://app.example']"]).await;
    let cookie = signed_in(&server, "anna", "admin").await;
    let mut native = websocket_from(&server, "/anywire/ws", &cookie, "https://app.example").await;
    say(&mut native, r#"{"op":"subscribe","channels":["a"]}"#).await;
    assert!(hear(&mut native, "error").await.contains("unauthorized"));
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut socketio = websocket_from(&server, path, &cookie, "https://app.example").await;
    hear(&mut socketio, "0{").await;
    say(&mut socketio, "40").await;
    let refused = hear(&mut socketio, "44").await;
    assert!(refused.contains("unauthorized"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_opens_every_transport_once_with_the_rights_of_who_asked_and_their_end() {
    let server = guarded().await;
    let cookie = signed_in(&server, "anna", "viewer").await;
    let with = [("Cookie", cookie.as_str()), OWN];
    let ticket = async |body: &str| {
        let made = server.send("POST", "/anywire/tickets", &with, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()["ticket"].as_str().expect("a ticket").to_owned()
    };
    for target in ["/anywire/poll?channels=a", "/anywire/presence?channel=a", "/api/jobs?limit=5"] {
        let target = format!("{target}&ticket={}", ticket("").await);
        let answer = server.get(&target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text);
        let twice = server.get(&target).await;
        assert_eq!((twice.status.as_u16(), &twice.json()["code"]), (401, &json!("unauthorized")));
        assert!(twice.text.contains("the ticket was used before"), "{}", twice.text);
    }
    let publication = r#"{"channel":"a","event":"e","data":1}"#;
    let target = format!("/anywire/publish?ticket={}", ticket("").await);
    assert_eq!(server.post(&target, publication).await.json()["code"], "forbidden", "she may not");

    let mut sse =
        open_stream(&server, &format!("/anywire/sse?channels=a&ticket={}", ticket("").await), "x=y").await;
    assert!(read_head(&mut sse).await.starts_with("HTTP/1.1 200"));
    let own = format!("http://{}", server.address);
    let path = format!("/anywire/ws?ticket={}", ticket("").await);
    let mut by_address = websocket_from(&server, &path, "x=y", &own).await;
    let mut by_auth = websocket_from(&server, "/anywire/ws", "x=y", &own).await;
    let auth = json!({ "op": "auth", "token": ticket("").await }).to_string();
    say(&mut by_auth, &auth).await;
    hear(&mut by_auth, "authorized").await;
    for socket in [&mut by_address, &mut by_auth] {
        say(socket, r#"{"op":"subscribe","channels":["a"]}"#).await;
        hear(socket, "subscribed").await;
    }
    let path = format!("/socket.io/?EIO=4&transport=websocket&ticket={}", ticket("").await);
    let mut socketio = websocket_from(&server, &path, "x=y", &own).await;
    hear(&mut socketio, "0{").await;
    say(&mut socketio, r#"40{"channels":["a"]}"#).await;
    hear(&mut socketio, "40{").await;
    let connect = json!({ "channels": ["a"], "token": ticket("").await }).to_string();
    let mut other = websocket_from(&server, "/socket.io/?EIO=4&transport=websocket", "x=y", &own).await;
    hear(&mut other, "0{").await;
    say(&mut other, &format!("40{connect}")).await;
    hear(&mut other, "40{").await;

    let narrow = ticket(r#"{"channels":["a"]}"#).await;
    let refused = server.get(&format!("/anywire/poll?channels=b&ticket={narrow}")).await;
    assert_eq!(refused.json()["code"], "forbidden");
    let narrow = ticket(r#"{"channels":["a"]}"#).await;
    assert_eq!(server.get(&format!("/api/jobs?ticket={narrow}")).await.json()["code"], "forbidden");
    let narrow = ticket(r#"{"channels":["a"]}"#).await;
    let mut narrowed = open_stream(&server, &format!("/anywire/sse?channels=a&ticket={narrow}"), "x=y").await;
    assert!(read_head(&mut narrowed).await.starts_with("HTTP/1.1 200"));

    let unused = ticket("").await;
    assert_eq!(server.send("POST", "/api/access/sign-out", &with, "").await.status, 204);
    for socket in [&mut by_address, &mut by_auth] {
        assert_eq!(close_code(socket).await, Some(4001));
    }
    hear(&mut socketio, "41").await;
    hear(&mut other, "41").await;
    rest(&mut sse).await;
    rest(&mut narrowed).await;
    assert_eq!(server.get(&format!("/api/jobs?ticket={unused}")).await.status, 401, "it ended with her");
}

#[tokio::test]
async fn a_ticket_is_for_who_says_who_they_are_and_never_for_another_page() {
    let server = guarded().await;
    let cookie = signed_in(&server, "anna", "admin").await;
    assert_eq!(server.post("/anywire/tickets", "").await.status, 401);
    let foreign = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(
        server.send("POST", "/anywire/tickets", &foreign, "").await.json()["code"],
        "origin_forbidden"
    );
    let own = [("Cookie", cookie.as_str()), OWN];
    for (body, code) in [
        (r#"{"channels":["$access"]}"#, "forbidden"),
        (r#"{"channels":["a b"]}"#, "invalid_channel"),
        (r#"{"channel":"a"}"#, "invalid_request"),
        ("{", "invalid_request"),
    ] {
        assert_eq!(server.send("POST", "/anywire/tickets", &own, body).await.json()["code"], code, "{body}");
    }
    let made = server.send("POST", "/anywire/tickets", &[BEARER], "").await;
    assert_eq!(made.header("cache-control"), "no-store");
    let ticket = made.json()["ticket"].as_str().expect("a ticket").to_owned();
    let published = r#"{"channel":"a","event":"e","data":1}"#;
    let target = format!("/anywire/publish?ticket={ticket}");
    assert_eq!(server.post(&target, published).await.status, 200, "a key's ticket has its rights");
}
