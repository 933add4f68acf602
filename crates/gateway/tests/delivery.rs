//! Events over real sockets: every transport, resumption, gaps, slow readers.

mod support;

use std::time::Duration;

use anywire_gateway::{AuthConfig, GatewayConfig, Transport};
use serde_json::json;
use support::{PATIENCE, SECRET, in_seconds, server, server_with, token};
use tokio::io::AsyncReadExt;

fn numbers(range: std::ops::Range<i64>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_gets_history_and_live_as_one_sequence() {
    for tail_bytes_max in [0, 64 << 20] {
        let server = server_with(GatewayConfig::default(), tail_bytes_max).await;
        server.publish_many("a", numbers(0..1000)).await;
        let mut socket = server.websocket().await;
        let subscribed = socket.subscribe(&["a"], Some("0")).await;
        assert_eq!(subscribed["cursor"], server.cursor(0));
        for number in 1000..1100 {
            server.publish("a", &number.to_string()).await;
        }
        assert_eq!(socket.data(1100).await, (0..1100).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transport_goes_on_where_another_stopped() {
    let server = server().await;
    server.publish_many("a", numbers(0..10)).await;
    let cursor = server.cursor(4);
    let mut socket = server.websocket().await;
    socket.subscribe(&["a"], Some(&cursor)).await;
    assert_eq!(socket.data(6).await, (4..10).collect::<Vec<_>>());
    let mut sse = server
        .request(&format!(
            "GET /anywire/sse?channels=a HTTP/1.1\nHost: 127.0.0.1\nLast-Event-ID: {cursor}\n\n"
        ))
        .await;
    let text = sse.until("\"data\":9}\n\n").await;
    let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids, (4..=10).map(|offset| server.cursor(offset)).collect::<Vec<_>>());
    let mut poll = server.get(&format!("/anywire/poll?channels=a&after={cursor}")).await;
    let text = poll.until("\"gap\":null}").await;
    assert!(text.contains(&format!("Anywire-Cursor: {}", server.cursor(10))), "{text}");
    assert_eq!(text.matches("\"event\":\"x\"").count(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_resumes_and_a_page_that_begins_with_a_state_does_not() {
    let server = server().await;
    server.publish_many("a", numbers(0..10)).await;
    let cursor = server.cursor(4);
    let resumes = || server.gateway.metrics().resumes.load(std::sync::atomic::Ordering::Relaxed);
    let after = |name: &str| format!("/anywire/sse?channels=a&after={cursor}{name}");
    // A page reads a state and follows it from there; so does the next page on the same connection.
    let mut page = server.websocket_of("?client=page-1").await;
    page.subscribe(&["a"], Some(&cursor)).await;
    page.data(6).await;
    page.subscribe(&["b"], Some(&cursor)).await;
    server.get(&after("&client=page-2")).await.until("\"data\":9}\n\n").await;
    server.get(&after("")).await.until("\"data\":9}\n\n").await;
    server.get(&format!("/anywire/poll?channels=a&after={cursor}")).await.until("\"gap\":null}").await;
    assert_eq!(resumes(), 0);
    drop(page);
    // It comes back, over the same wire and another.
    let mut page = server.websocket_of("?client=page-1").await;
    page.subscribe(&["a"], Some(&cursor)).await;
    page.data(6).await;
    page.subscribe(&["b"], Some(&cursor)).await;
    assert_eq!(resumes(), 1, "once a connection");
    server.get(&after("&client=page-1")).await.until("\"data\":9}\n\n").await;
    assert_eq!(resumes(), 2);
    // A browser says what it had last.
    let head = format!("GET /anywire/sse?channels=a HTTP/1.1\nHost: 127.0.0.1\nLast-Event-ID: {cursor}\n\n");
    server.request(&head).await.until("\"data\":9}\n\n").await;
    server.get(&format!("/anywire/sse?channels=a&lastEventId={cursor}")).await.until("\"data\":9}\n\n").await;
    assert_eq!(resumes(), 4);
    let listed = server.gateway.clients(10).1;
    assert!(listed.iter().all(|client| client.resumes <= 1), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_polls_while_its_connection_opens_is_listed_once() {
    let server = server().await;
    let mut sse = server.get("/anywire/sse?channels=a&client=page-1").await;
    sse.until("\n\n").await;
    for client in ["page-1", "page-2"] {
        let mut poll = server.get(&format!("/anywire/poll?channels=a&client={client}")).await;
        poll.until("HTTP/1.1 200").await;
    }
    let (total, clients) = server.gateway.clients(10);
    let mut listed: Vec<_> = clients.iter().map(|one| (one.client.as_str(), one.transport)).collect();
    listed.sort_by_key(|(client, _)| *client);
    assert_eq!((total, listed), (2, vec![("page-1", Transport::Sse), ("page-2", Transport::Poll)]));
    assert_eq!(server.gateway.pollers(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_subscription_with_an_older_cursor_catches_up_before_anything_else() {
    let server = server().await;
    server.publish_many("b", numbers(0..5)).await;
    let mut socket = server.websocket().await;
    socket.subscribe(&["a"], None).await;
    server.publish("a", "100").await;
    assert_eq!(socket.data(1).await, [100]);
    socket.subscribe(&["b"], Some("0")).await;
    server.publish("a", "101").await;
    assert_eq!(socket.data(6).await, [0, 1, 2, 3, 4, 101]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_told_on_every_transport_and_delivery_goes_on() {
    let server = server().await;
    server.publish_many("few_a", numbers(0..30)).await;
    let cursor = server.cursor(5);
    let mut socket = server.websocket().await;
    socket.subscribe(&["few_a"], Some(&cursor)).await;
    let gap = socket.expect("gap").await;
    assert_eq!(gap["from"], cursor);
    assert_eq!(
        (&gap["to"], &gap["lost"], &gap["reason"]),
        (&json!(server.cursor(20)), &json!({"few_a": 20}), &json!("trimmed"))
    );
    assert_eq!(socket.data(10).await, (20..30).collect::<Vec<_>>());
    let mut sse = server.get(&format!("/anywire/sse?channels=few_a&after={cursor}")).await;
    let text = sse.until("\"data\":29}\n\n").await;
    assert!(text.contains("event: gap\ndata: {\"from\""), "{text}");
    let mut poll = server.get(&format!("/anywire/poll?channels=few_a&after={cursor}")).await;
    let text = poll.until("\"lost\":{\"few_a\":20}}").await;
    assert!(text.contains("Cache-Control: no-store"), "{text}");
    assert_eq!(text.matches("\"event\":\"x\"").count(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_cursor_and_one_past_the_tail_are_gaps_never_a_hang() {
    let server = server().await;
    server.publish("a", "7").await;
    for (cursor, reason) in [("00000000-1".to_owned(), "epoch"), (server.cursor(999), "ahead")] {
        let mut socket = server.websocket().await;
        socket.subscribe(&["a"], Some(&cursor)).await;
        assert_eq!(socket.expect("gap").await["reason"], reason);
        assert_eq!(socket.data(1).await, [7]);
        let mut poll = server.get(&format!("/anywire/poll?channels=a&after={cursor}&wait=20")).await;
        poll.until(&format!("\"reason\":\"{reason}\"")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_reading_keeps_its_place_and_others_go_on() {
    let server = server_with(GatewayConfig::default(), 1 << 20).await;
    let mut slow = server.get("/anywire/sse?channels=a&after=0").await;
    slow.until("id: ").await;
    let mut quick = server.websocket().await;
    quick.subscribe(&["a"], Some("0")).await;
    let big = format!("\"{}\"", "x".repeat(10_000));
    for _ in 0..20 {
        server.publish_many("a", std::iter::repeat_n(big.clone(), 100)).await;
    }
    for _ in 0..2000 {
        quick.expect("event").await;
    }
    let (_, clients) = server.gateway.clients(10);
    let blocked = clients.iter().find(|client| client.transport == Transport::Sse).expect("it is connected");
    assert_eq!(blocked.state, "blocked");
    assert!(blocked.lag > 0);
    let mut received = 0;
    let mut rest = std::mem::take(&mut slow.read);
    let mut buffer = vec![0; 1 << 20];
    while received < 2000 {
        received += rest.matches("\n\n").count();
        let keep = rest.rfind("\n\n").map_or(0, |at| at + 1);
        rest.drain(..keep);
        if received >= 2000 {
            break;
        }
        let count = tokio::time::timeout(PATIENCE, slow.stream.read(&mut buffer)).await.expect("more comes");
        let count = count.expect("a read");
        assert!(count > 0, "the slow reader was thrown out after {received}");
        rest.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_answers_as_soon_as_there_is_something_and_keeps_the_connection() {
    let server = server().await;
    let mut poll = server.get("/anywire/poll?channels=a&wait=30").await;
    let mut cursor = String::new();
    for number in 0..5 {
        if number > 0 {
            poll.send(&format!(
                "GET /anywire/poll?channels=a&wait=30&after={cursor} HTTP/1.1\nHost: 127.0.0.1\n\n"
            ))
            .await;
        }
        while server.gateway.metrics().connections(Transport::LongPoll) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.publish("a", &number.to_string()).await;
        let text = poll.until("\"gap\":null}").await.to_owned();
        assert!(text.contains(&format!("\"data\":{number}}}")), "{text}");
        let (_, rest) = text.split_once("{\"cursor\":\"").expect("a cursor");
        cursor = rest.split('"').next().expect("a cursor").to_owned();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipelined_poll_is_answered_after_the_first() {
    let server = server().await;
    let one = "GET /anywire/poll?channels=a&wait=30 HTTP/1.1\nHost: 127.0.0.1\n\n";
    let mut poll =
        server.request(&format!("{one}GET /anywire/poll?channels=a HTTP/1.1\nHost: 127.0.0.1\n\n")).await;
    while server.gateway.metrics().connections(Transport::LongPoll) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.publish("a", "1").await;
    poll.until("\"events\":[],\"gap\":null}").await;
    assert_eq!(poll.read.matches("HTTP/1.1 200 OK").count(), 2, "{}", poll.read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_new_is_204_then_304_by_entity_tag() {
    let server = server().await;
    let offset = server.publish("a", "1").await;
    server.publish("other", "2").await;
    let cursor = server.cursor(offset);
    let mut poll = server.get(&format!("/anywire/poll?channels=a&after={}", server.cursor(offset + 1))).await;
    let text = poll.until("\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 204"), "{text}");
    assert!(text.contains(&format!("Anywire-Cursor: {cursor}\r\n")), "the cursor is canonical: {text}");
    let tagged = format!(
        "GET /anywire/poll?channels=a&after={cursor} HTTP/1.1\nHost: 127.0.0.1\nIf-None-Match: \"{cursor}\"\n\n"
    );
    poll.send(&tagged).await;
    assert!(poll.until("\r\n\r\n").await.starts_with("HTTP/1.1 304"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_carries_the_cursor_of_the_tail() {
    let config = GatewayConfig { heartbeat_ms: 1000, ..GatewayConfig::default() };
    let server = server_with(config, 64 << 20).await;
    let mut socket = server.websocket().await;
    socket.subscribe(&["a"], None).await;
    let offset = server.publish("other", "1").await;
    let heartbeat = socket.expect("heartbeat").await;
    assert_eq!(heartbeat["cursor"], server.cursor(offset));
    let mut sse = server.get("/anywire/sse?channels=a").await;
    sse.until("event: heartbeat\ndata: {\"cursor\":\"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_and_leaving_are_events_and_presence_lists_who_is_there() {
    let server = server().await;
    let mut watcher = server.websocket().await;
    watcher.subscribe(&["$presence:who_a"], None).await;
    let mut sse = server.get("/anywire/sse?channels=who_a&presence=1&client=ann").await;
    sse.until("id: ").await;
    let join = watcher.expect("event").await;
    assert_eq!((&join["event"], &join["data"]["client"]), (&json!("join"), &json!("ann")));
    watcher.send(r#"{"op":"presence","id":9,"channel":"who_a"}"#).await;
    let presence = watcher.expect("presence").await;
    assert_eq!((&presence["id"], presence["members"].as_array().map(Vec::len)), (&json!(9), Some(1)));
    drop(sse);
    let leave = watcher.expect("event").await;
    assert_eq!((&leave["event"], &leave["data"]["client"]), (&json!("leave"), &json!("ann")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_tells_everybody_when_to_come_back_and_ends_their_connections() {
    let server = server().await;
    let mut socket = server.websocket().await;
    socket.subscribe(&["a"], None).await;
    let mut sse = server.get("/anywire/sse?channels=a").await;
    sse.until("id: ").await;
    let mut poll = server.get("/anywire/poll?channels=a&wait=30").await;
    while server.gateway.metrics().connections(Transport::LongPoll) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.gateway.shut_down(PATIENCE).await;
    assert!(socket.expect("goodbye").await["retry_ms"].as_u64().is_some());
    sse.until("event: goodbye\nretry: ").await;
    let answer = poll.until("\"message\":").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nRetry-After: "), "{answer}");
    assert!(answer.contains("\"code\":\"shutting_down\""), "{answer}");
    assert!(sse.ends().await && poll.ends().await);
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "the listener is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_connection_leaves_nothing_behind() {
    let server = server().await;
    for _ in 0..3 {
        let mut socket = server.websocket().await;
        socket.subscribe(&["a", "b"], None).await;
        let mut sse = server.get("/anywire/sse?channels=a").await;
        sse.until("id: ").await;
    }
    while server.gateway.clients(10).0 > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let channel = anywire_log::Channel::new("a").expect("a name");
    assert_eq!(server.gateway.subscribers(&channel), 0);
    assert_eq!(server.gateway.metrics().connections(Transport::WebSocket), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_each_get_every_event_once_under_concurrent_publishing() {
    let server = std::sync::Arc::new(server().await);
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move {
                let mut socket = server.websocket().await;
                socket.subscribe(&["a"], Some("0")).await;
                let mut offsets = Vec::new();
                for _ in 0..400 {
                    offsets.push(socket.expect("event").await["offset"].as_u64().expect("an offset"));
                }
                offsets
            })
        })
        .collect();
    let publishers: Vec<_> = (0..4)
        .map(|_| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move {
                for number in 0..100 {
                    server.publish("a", &number.to_string()).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.expect("no panic");
    }
    for reader in readers {
        assert_eq!(reader.await.expect("no panic"), (1..=400).collect::<Vec<u64>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_subscribes_again_without_a_cursor_loses_nothing_it_is_still_waiting_for() {
    let server = server().await;
    server.publish_many("a", numbers(0..1000)).await;
    let mut socket = server.websocket().await;
    let subscribe = |after: &str| format!("{{\"op\":\"subscribe\",\"channels\":[\"a\"]{after}}}");
    socket.send_together(&[&subscribe(",\"after\":\"0\""), &subscribe("")]).await;
    let mut data = Vec::new();
    while data.len() < 1000 {
        let frame = socket.next().await;
        if frame["op"] == "event" {
            data.push(frame["data"].as_i64().expect("a number"));
        }
    }
    assert_eq!(data, (0..1000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cache_may_keep_depends_on_where_a_poll_begins() {
    let server = server().await;
    for channel in ["a", "last_a"] {
        server.publish_many(channel, numbers(0..3)).await;
    }
    let cursor = server.cursor(1);
    let cases = [
        (format!("channels=a&after={cursor}&limit=1"), "public, max-age=3600, immutable"),
        (format!("channels=a&after={cursor}&limit=9"), "public, max-age=1"),
        ("channels=a&after=0&limit=1".to_owned(), "public, max-age=1"),
        (format!("channels=last_a&after={cursor}&limit=1"), "public, max-age=1"),
    ];
    for (query, expected) in cases {
        // A second header keeps the request off the direct path.
        for extra in ["", "Content-Length: 0\n"] {
            let head = format!("GET /anywire/poll?{query} HTTP/1.1\nHost: 127.0.0.1\n{extra}\n");
            let mut poll = server.request(&head).await;
            let text = poll.until("\"gap\":null}").await.to_ascii_lowercase();
            assert!(text.contains(&format!("cache-control: {expected}\r\n")), "{query}: {text}");
        }
    }
    let mut poll = server.get("/anywire/poll?channels=b&wait=30&limit=1").await;
    while server.gateway.metrics().connections(Transport::LongPoll) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.publish("b", "1").await;
    let text = poll.until("\"gap\":null}").await;
    assert!(text.contains("Cache-Control: no-store\r\n"), "it began where the log ended then: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_ends_in_time_while_events_of_other_channels_never_pause() {
    let server = std::sync::Arc::new(server_with(GatewayConfig::default(), 1 << 20).await);
    let mut busy = server.websocket().await;
    busy.subscribe(&["few_busy"], None).await;
    let reading = tokio::spawn(async move {
        loop {
            busy.next().await;
        }
    });
    let publishing = {
        let server = std::sync::Arc::clone(&server);
        tokio::spawn(async move {
            loop {
                server.publish("few_busy", "1").await;
                tokio::task::yield_now().await;
            }
        })
    };
    let mut poll =
        server.get(&format!("/anywire/poll?channels=quiet&wait=1&after={}", server.cursor(0))).await;
    assert!(poll.until("\r\n\r\n").await.starts_with("HTTP/1.1 204"));
    publishing.abort();
    reading.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_does_not_outlive_its_token() {
    let auth = AuthConfig { jwt_secret: Some(SECRET.into()), ..AuthConfig::default() };
    let server = server_with(GatewayConfig { auth, ..GatewayConfig::default() }, 1 << 20).await;
    let big = format!("\"{}\"", "x".repeat(10_000));
    server.publish_many("a", std::iter::repeat_n(big, 2000)).await;
    let token = token(&json!({ "sub": "ann", "exp": in_seconds(2), "subscribe": ["a"] }));
    let mut slow = server.get(&format!("/anywire/sse?channels=a&after=0&token={token}")).await;
    slow.until("id: ").await;
    assert_eq!(server.gateway.clients(10).1[0].user.as_deref(), Some("ann"));
    // It reads no more: its socket stays full.
    while server.gateway.metrics().connections(Transport::Sse) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
