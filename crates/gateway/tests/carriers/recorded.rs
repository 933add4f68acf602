//! What two clients really send, packet by packet as recorded from `socket.io-client` 4.8.4 and
//! `python-socketio` 5.18.1: they differ in how they put packets together, in when they change over, in where
//! they count from, and in how they write text.

use serde_json::{Value, json};

use crate::{
    peer::{Carrier, Peer},
    server,
};

/// One step of a recording: a payload that is posted, or a message with its attachments.
struct Step {
    /// Joined in one payload where the client polls.
    packets: &'static [&'static str],
    attachments: &'static [&'static [u8]],
}

const FILE: &str =
    "[\"file\",{\"part\":{\"_placeholder\":true,\"num\":0}},{\"_placeholder\":true,\"num\":1}]";
const BYTES: &[&[u8]] = &[&[1, 2, 3], &[4]];

const fn step(packets: &'static [&'static str]) -> Step {
    Step { packets, attachments: &[] }
}

/// It counts acknowledgements from 0 over a namespace, and writes text as UTF-8.
const JAVASCRIPT: &[Step] = &[
    step(&["40/chat,{\"channels\":[\"a\"]}"]),
    step(&["42/chat,0[\"subscribe\",\"room-1\"]"]),
    step(&["42/chat,1[\"said\",{\"text\":\"xin chào\"},2]"]),
    Step {
        packets: &[
            "452-/chat,2[\"file\",{\"part\":{\"_placeholder\":true,\"num\":0}},{\"_placeholder\":true,\"num\":1}]",
        ],
        attachments: BYTES,
    },
    step(&["42/chat,[\"plain\"]"]),
];

/// It joins all its namespaces at once, counts from 1, and escapes whatever is not ASCII.
const PYTHON: &[Step] = &[
    step(&["40{\"channels\":[\"a\"]}", "40/chat,{\"channels\":[\"a\"]}"]),
    step(&["42/chat,1[\"subscribe\",\"room-1\"]"]),
    step(&["42/chat,2[\"said\",{\"text\":\"xin ch\\u00e0o\"},2]"]),
    Step {
        packets: &[
            "452-/chat,3[\"file\",{\"part\":{\"_placeholder\":true,\"num\":0}},{\"_placeholder\":true,\"num\":1}]",
        ],
        attachments: BYTES,
    },
    step(&["42/chat,[\"plain\"]"]),
];

/// Sends what was recorded, and checks what every client is answered.
async fn check(recording: &[Step], carrier: Carrier, first_id: u64) {
    let server = server().await;
    let begins = if carrier == Carrier::WebSocket { carrier } else { Carrier::Polling };
    let mut peer = Peer::open(&server, begins).await;
    // In Python it changes over before it joins, in JavaScript while it does.
    let early = first_id == 1;
    if carrier == Carrier::Upgraded && early {
        peer.change_over().await;
    }
    for (index, step) in recording.iter().enumerate() {
        let polls = carrier == Carrier::Polling || (carrier == Carrier::Upgraded && !early && index == 0);
        if polls && step.attachments.is_empty() {
            peer.post(&step.packets.join("\u{1e}")).await;
        } else {
            for packet in step.packets {
                peer.send(packet, step.attachments).await;
            }
        }
        if carrier == Carrier::Upgraded && !early && index == 0 {
            peer.change_over().await;
        }
    }
    let answers = [
        peer.acknowledgement("/chat", first_id).await,
        peer.acknowledgement("/chat", first_id + 1).await,
        peer.acknowledgement("/chat", first_id + 2).await,
    ];
    assert_eq!(answers[0], json!({ "ok": true, "channels": ["room-1"], "cursor": server.cursor(0) }));
    assert_eq!(answers[1], json!({ "ok": true, "offsets": [1], "cursor": server.cursor(1) }));
    assert_eq!(answers[2], json!({ "ok": true, "offsets": [2], "cursor": server.cursor(2) }));
    assert_eq!(peer.event("/chat").await.args[0], json!("welcome"));
    let said = peer.event("/chat").await.args;
    assert_eq!(said, [json!("said"), json!({ "text": "xin chào" }), json!(2)]);
    let file = peer.event("/chat").await;
    assert_eq!(json!(file.args), serde_json::from_str::<Value>(FILE).expect("JSON"));
    assert_eq!(file.attachments, BYTES);
    assert_eq!(peer.event("/chat").await.args, [json!("plain")]);
    server.publish("room-1", "1").await;
    server.publish("a", "2").await;
    for number in [1, 2] {
        assert_eq!(peer.event("/chat").await.args[1], json!(number), "joined with its auth, and later");
    }
}

mod javascript {
    use super::{Carrier, JAVASCRIPT, check};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_it_sends_by_polling_is_understood() {
        check(JAVASCRIPT, Carrier::Polling, 0).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_it_sends_over_websocket_is_understood() {
        check(JAVASCRIPT, Carrier::WebSocket, 0).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_it_sends_as_it_changes_over_is_understood() {
        check(JAVASCRIPT, Carrier::Upgraded, 0).await;
    }
}

mod python {
    use super::{Carrier, PYTHON, check};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_it_sends_by_polling_is_understood() {
        check(PYTHON, Carrier::Polling, 1).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_it_sends_over_websocket_is_understood() {
        check(PYTHON, Carrier::WebSocket, 1).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_it_sends_as_it_changes_over_is_understood() {
        check(PYTHON, Carrier::Upgraded, 1).await;
    }
}
