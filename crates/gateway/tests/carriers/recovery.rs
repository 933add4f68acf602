//! A connection that breaks, over every carrier: who asked for it comes back as who it was and goes on where
//! it stopped.

use serde_json::{Value, json};

use crate::{
    over_every_carrier,
    peer::{Carrier, Peer},
    server,
    support::Server,
};

over_every_carrier!(
    a_client_that_comes_back_has_lost_nothing_and_is_who_it_was,
    recovery_works_before_the_first_event_was_seen,
    rooms_joined_after_connecting_are_recovered_too,
    what_retention_took_meanwhile_is_told_by_a_gap,
    an_offset_that_is_none_falls_back_to_what_the_server_knows,
    without_recovery_a_client_goes_on_with_what_is_published_then,
    a_client_that_says_its_last_cursor_loses_nothing,
);

const RECOVERING: &str = "/recovering";

/// What `socket.io-client` says when it comes back.
fn back(joined: &Value, offset: Option<&Value>) -> String {
    let mut auth = json!({ "pid": joined["pid"], "recover": true });
    if let Some(offset) = offset {
        auth["offset"] = offset.clone();
    }
    auth.to_string()
}

/// The number of the next event, and its cursor.
async fn numbered(peer: &mut Peer<'_>, namespace: &str) -> (Value, Value) {
    let args = peer.event(namespace).await.args;
    (args[1].clone(), args.get(2).cloned().unwrap_or_default())
}

async fn a_client_that_comes_back_has_lost_nothing_and_is_who_it_was(carrier: Carrier) {
    let server = server().await;
    let (mut peer, joined) = Peer::joined(&server, carrier, RECOVERING, "").await;
    let mut last = Value::Null;
    for number in 0..20 {
        server.publish("recovering", &number.to_string()).await;
        if number % 5 == 4 {
            // What came meanwhile was not seen: the last cursor that was is said.
            peer.cut().await;
            let said = (last != Value::Null).then_some(&last);
            let (again, same) = Peer::joined(&server, carrier, RECOVERING, &back(&joined, said)).await;
            assert_eq!(same, joined, "the same ids");
            peer = again;
        }
        let (seen, cursor) = numbered(&mut peer, RECOVERING).await;
        assert_eq!(seen, json!(number));
        last = cursor;
    }
}

async fn recovery_works_before_the_first_event_was_seen(carrier: Carrier) {
    let server = server().await;
    let (peer, joined) = Peer::joined(&server, carrier, "/", "{\"recover\":true,\"channels\":[\"a\"]}").await;
    peer.cut().await;
    server.publish("a", "1").await;
    server.publish("a", "2").await;
    let (mut peer, same) = Peer::joined(&server, carrier, "/", &back(&joined, None)).await;
    assert_eq!(same, joined);
    for number in [1, 2] {
        assert_eq!(numbered(&mut peer, "/").await.0, json!(number));
    }
}

async fn rooms_joined_after_connecting_are_recovered_too(carrier: Carrier) {
    let server = server().await;
    let (mut peer, joined) = Peer::joined(&server, carrier, RECOVERING, "").await;
    assert_eq!(peer.ask(RECOVERING, "[\"subscribe\",\"room\"]", &[]).await["ok"], json!(true));
    server.publish("room", "1").await;
    let (_, cursor) = numbered(&mut peer, RECOVERING).await;
    peer.cut().await;
    server.publish("room", "2").await;
    let (mut peer, _) = Peer::joined(&server, carrier, RECOVERING, &back(&joined, Some(&cursor))).await;
    assert_eq!(numbered(&mut peer, RECOVERING).await.0, json!(2));
}

async fn what_retention_took_meanwhile_is_told_by_a_gap(carrier: Carrier) {
    let server = server().await;
    let auth = "{\"recover\":true,\"channels\":[\"few_a\"]}";
    let (mut peer, joined) = Peer::joined(&server, carrier, "/", auth).await;
    server.publish("few_a", "0").await;
    let (_, cursor) = numbered(&mut peer, "/").await;
    peer.cut().await;
    server.publish_many("few_a", (1..30).map(|number| number.to_string())).await;
    let (mut peer, _) = Peer::joined(&server, carrier, "/", &back(&joined, Some(&cursor))).await;
    let gap = peer.event("/").await.args;
    assert_eq!((&gap[0], &gap[1]["reason"]), (&json!("gap"), &json!("trimmed")));
    assert_eq!((&gap[1]["from"], &gap[1]["channels"]), (&cursor, &json!(["few_a"])));
    for number in 20..30 {
        assert_eq!(
            numbered(&mut peer, "/").await.0,
            json!(number),
            "what is kept, and the gap names the rest"
        );
    }
}

async fn an_offset_that_is_none_falls_back_to_what_the_server_knows(carrier: Carrier) {
    let server = server().await;
    let (mut peer, joined) = Peer::joined(&server, carrier, RECOVERING, "").await;
    server.publish("recovering", "1").await;
    numbered(&mut peer, RECOVERING).await;
    peer.cut().await;
    server.publish("recovering", "2").await;
    let garbage = json!("no cursor at all");
    let (mut peer, _) = Peer::joined(&server, carrier, RECOVERING, &back(&joined, Some(&garbage))).await;
    assert_eq!(numbered(&mut peer, RECOVERING).await.0, json!(2));
}

async fn without_recovery_a_client_goes_on_with_what_is_published_then(carrier: Carrier) {
    let server = server().await;
    let (mut peer, joined) = Peer::joined(&server, carrier, "/", "").await;
    server.publish("lobby", "1").await;
    assert_eq!(peer.event("/").await.args, [json!("x"), json!(1)], "its handlers get one argument");
    peer.cut().await;
    server.publish("lobby", "2").await;
    let (mut peer, another) = Peer::joined(&server, carrier, "/", "").await;
    assert_ne!(another["sid"], joined["sid"]);
    server.publish("lobby", "3").await;
    assert_eq!(peer.event("/").await.args[1], json!(3));
}

/// As `python-socketio` is told to do it: it has no recovery of its own, but says a cursor with its auth.
async fn a_client_that_says_its_last_cursor_loses_nothing(carrier: Carrier) {
    let server = server().await;
    let (mut peer, _) = Peer::joined(&server, carrier, "/", "{\"recover\":true}").await;
    let mut after = resumed(&server, &mut peer, 0).await;
    for round in 1..4 {
        peer.cut().await;
        server.publish("lobby", &format!("{}", round * 10)).await;
        let auth = json!({ "recover": true, "after": after }).to_string();
        (peer, _) = Peer::joined(&server, carrier, "/", &auth).await;
        let (missed, _) = numbered(&mut peer, "/").await;
        assert_eq!(missed, json!(round * 10), "what was published while nobody was there");
        after = resumed(&server, &mut peer, round * 10 + 1).await;
    }
}

/// Publishes a number, and returns the cursor with which it arrives.
async fn resumed(server: &Server, peer: &mut Peer<'_>, number: u64) -> Value {
    server.publish("lobby", &number.to_string()).await;
    let (seen, cursor) = numbered(peer, "/").await;
    assert_eq!(seen, json!(number));
    cursor
}
