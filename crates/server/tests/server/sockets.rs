//! Socket.IO clients as a back end sees them over HTTP, and listeners with namespaces of their own.

use std::{net::SocketAddr, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

use crate::support::{PATIENCE, server};

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn join(address: SocketAddr) -> (Self, Value) {
        let uri = format!("ws://{address}/socket.io/?EIO=4&transport=websocket").parse().expect("a URI");
        let (socket, _) = ClientBuilder::from_uri(uri).connect().await.expect("an upgrade");
        let mut socket = Self(socket);
        assert!(socket.next().await.starts_with("0{"));
        socket.send("40").await;
        let joined = socket.next().await;
        (socket, serde_json::from_str(&joined[2..]).expect("JSON"))
    }

    async fn next(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.packet()).await.expect("something came")
    }

    /// The next packet that is no ping.
    async fn packet(&mut self) -> String {
        loop {
            let message = self.0.next().await.expect("open").expect("a frame");
            match message.as_text().expect("text") {
                "2" => self.send("3").await,
                packet => return packet.to_owned(),
            }
        }
    }

    async fn send(&mut self, packet: &str) {
        self.0.send(Message::text(packet.to_owned())).await.expect("a send");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_end_emits_to_one_socket_asks_it_and_puts_it_out() {
    let server = server(&[]).await;
    let (mut socket, joined) = Socket::join(server.address).await;
    let id = &joined["sid"];
    let emit = async |members: Value| {
        let mut body = json!({ "socket": id, "event": "hello" });
        body.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        server.post("/api/sockets/emit", &body.to_string()).await
    };
    let answer = emit(json!({ "args": [1, { "a": 2 }] })).await;
    assert_eq!(answer.json(), json!({ "answered": false, "answer": null }));
    assert_eq!(socket.next().await, r#"42["hello",1,{"a":2}]"#);
    emit(json!({ "args": [{ "$binary": "AAEC" }] })).await;
    assert_eq!(socket.next().await, r#"451-["hello",{"_placeholder":true,"num":0}]"#);
    let attachment = socket.0.next().await.expect("open").expect("a frame");
    assert_eq!(attachment.as_payload()[..], [0, 1, 2]);
    let (asked, ()) = tokio::join!(emit(json!({ "timeout_ms": 30_000 })), async {
        assert_eq!(socket.next().await, r#"420["hello"]"#);
        socket.send(r#"430["yes"]"#).await;
    });
    assert_eq!(asked.json(), json!({ "answered": true, "answer": ["yes"] }));
    let typed = r#"{"z":1.10,"b":1E400,"c":9007199254740993,"d":-0.0,"e":"\u00e9","a":{"x":1,"x":2}}"#;
    let body = format!(r#"{{"socket":{id},"event":"hello","args":[{typed}],"timeout_ms":30000}}"#);
    let (asked, ()) = tokio::join!(server.post("/api/sockets/emit", &body), async {
        assert_eq!(socket.next().await, format!(r#"421["hello",{typed}]"#));
        socket.send(&format!("431[{typed}]")).await;
    });
    assert_eq!(asked.text, format!(r#"{{"answered":true,"answer":[{typed}]}}"#));
    assert_eq!(emit(json!({ "timeout_ms": 1 })).await.json()["answered"], json!(false));
    assert_eq!(socket.next().await, r#"422["hello"]"#);
    assert_eq!(emit(json!({ "timeout_ms": 0 })).await.status, 400);
    for (own, heard) in [("gap", "event:gap"), ("connect", "event:connect"), ("gapp", "gapp")] {
        emit(json!({ "event": own })).await;
        assert_eq!(socket.next().await, format!("42[\"{heard}\"]"));
    }
    for no_name in [String::new(), "a\nb".into(), "x".repeat(256)] {
        let answer = emit(json!({ "event": no_name })).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (400, &json!("invalid_event")));
    }
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let body = format!("\u{feff}{{\"socket\":{id},\"event\":\"hello\",\"args\":[{{}}]}}");
    assert_eq!(server.post("/api/sockets/emit", &body).await.status, 200, "a byte order mark is passed over");
    assert_eq!(socket.next().await, r#"42["hello",{}]"#);
    let too_deep = server.post("/api/sockets/emit", &body.replace("{}", &deep)).await;
    assert_eq!(too_deep.json()["code"], json!("invalid_request"));
    let clients = server.get("/api/delivery/clients").await.json();
    let client = &clients["clients"][0];
    assert_eq!((&client["transport"], &client["carrier"]), (&json!("socketio"), &json!("websocket")));
    assert_eq!(client["namespaces"], json!([{ "name": "/", "socket": id, "user": null, "rooms": [] }]));
    let body = json!({ "socket": id }).to_string();
    assert_eq!(server.post("/api/sockets/disconnect", &body).await.json(), json!({ "disconnected": true }));
    assert_eq!(socket.next().await, "41");
    let gone = server.post("/api/sockets/disconnect", &body).await;
    assert_eq!((gone.status.as_u16(), gone.json()["code"].clone()), (404, json!("not_found")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_listener_has_namespaces_of_its_own() {
    let server = server(&[
        r#"listeners=[{name="pipeline",listen="127.0.0.1:0"}]"#,
        r#"socketio.namespaces=[{name="/",listener="pipeline",channels=["feed"],welcome_event="connection-success"},{name="/"}]"#,
    ])
    .await;
    let (name, listener) = server.anywire.bind_others().expect("a free port").remove(0);
    let address = listener.local_addr().expect("an address");
    let serving = Arc::clone(&server.anywire);
    tokio::spawn(async move { serving.serve_as(&name, listener).await });
    let (mut other, _) = Socket::join(address).await;
    assert_eq!(other.next().await, r#"42["connection-success",null]"#);
    let (mut main, _) = Socket::join(server.address).await;
    let body = r#"{"channel":"feed","event":"stats-updated","data":{"n":1}}"#;
    assert_eq!(server.post("/anywire/publish", body).await.status, 200);
    assert_eq!(other.next().await, r#"42["stats-updated",{"n":1}]"#);
    main.send(r#"421["subscribe","feed"]"#).await;
    assert!(main.next().await.starts_with("431["), "nothing of the other listener's came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_subscribes_to_a_job_gets_its_state_at_once_and_then_every_change() {
    let server = server(&[]).await;
    let job = r#"{"session_id":"import-7","title":"Import","total_steps":3}"#;
    assert_eq!(server.post("/api/progress", job).await.status, 201);
    let (mut socket, _) = Socket::join(server.address).await;
    socket.send(r#"421["subscribe","progress_import-7"]"#).await;
    let answer = socket.next().await;
    assert!(answer.starts_with(r#"431[{"#) && answer.contains(r#""ok":true"#), "{answer}");
    let mut update = async || {
        let packet = socket.next().await;
        let array = packet.strip_prefix("42").unwrap_or_else(|| panic!("{packet} is no event"));
        serde_json::from_str::<Value>(array).expect("JSON")
    };
    let state = update().await;
    assert_eq!((&state[0], &state[1]["session_id"]), (&json!("progress_update"), &json!("import-7")));
    let step = r#"{"name":"parse"}"#;
    assert_eq!(server.post("/api/progress/import-7/step", step).await.status, 200);
    assert_eq!(update().await[1]["step_name"], "parse");
}
