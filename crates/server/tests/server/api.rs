//! The server's own routes, as docs/http-api.md has them.

use std::net::{SocketAddr, TcpStream};

use serde_json::json;

use crate::support::{PATIENCE, Server, server};

const KEY: &str = "0123456789abcdef";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_says_that_it_lives_and_is_ready_and_where_the_log_stands() {
    let server = server(&[]).await;
    let health = server.get("/api/health").await;
    assert_eq!(health.status, 200);
    let body = health.json();
    assert_eq!((&body["status"], &body["live"], &body["ready"]), (&json!("ok"), &json!(true), &json!(true)));
    assert_eq!(body["storage"]["engine"], "memory");
    assert_eq!(body["storage"]["state"], "ok");
    let (epoch, tail) = (body["epoch"].as_str().expect("an epoch"), body["tail"].as_str().expect("a tail"));
    assert!(tail.starts_with(epoch), "{body}");
    assert_eq!(server.get("/api/health/live").await.json(), json!({ "live": true }));
    assert_eq!(server.get("/api/health/ready").await.json(), json!({ "ready": true }));
    assert_eq!(health.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_keys_are_set_health_stays_open_and_figures_need_a_key() {
    let server = server(&[&format!("auth.api_keys=[\"{KEY}\"]")]).await;
    for open in ["/api/health", "/api/health/live", "/api/health/ready", "/api/openapi.json", "/api/docs"] {
        assert_eq!(server.get(open).await.status, 200, "{open}");
    }
    let guarded =
        ["/metrics", "/api/overview", "/api/delivery/clients", "/api/channels", "/api/lab", "/api/jobs"];
    let bearer = format!("Bearer {KEY}");
    for path in guarded {
        let refused = server.get(path).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["code"]),
            (401, &json!("unauthorized")),
            "{path}"
        );
        let allowed = server.send("GET", path, &[("Authorization", &bearer)], "").await;
        assert_eq!(allowed.status, 200, "{path}: {}", allowed.text);
    }
    let refused = server.get(&format!("/api/overview?token={KEY}")).await;
    assert_eq!(refused.status, 401, "a key in an address is in the logs of proxies");
}

/// Keys of every role, and a token that may give one.
async fn server_with_roles() -> crate::support::Server {
    let key = |role: &str| format!("{{name=\"{role}\",key=\"{role}-0123456789\",roles=[\"{role}\"]}}");
    let own = "{name=\"jobs only\",key=\"jobs-only-0123456789\",grants=[\"jobs:read\"]}";
    let keys = ["admin", "operator", "viewer", "publisher"].map(key).join(",");
    server(&[&format!("auth.keys=[{keys},{own}]")]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_reads_and_changes_what_it_may_and_is_told_which_right_is_missing() {
    let server = server_with_roles().await;
    let routes = [
        ("GET", "/metrics", "server:read"),
        ("GET", "/api/overview", "server:read"),
        ("GET", "/api/delivery/clients", "server:read"),
        ("POST", "/api/sockets/emit", "server:manage"),
        ("GET", "/api/jobs", "jobs:read"),
        ("HEAD", "/api/uploads/none", "jobs:read"),
        ("POST", "/api/uploads", "jobs:manage"),
        ("DELETE", "/api/jobs/none", "jobs:manage"),
        ("GET", "/api/performance/alerts", "monitor:read"),
        ("PUT", "/api/performance/alerts", "monitor:manage"),
        ("GET", "/api/producers/topics", "pipeline:read"),
        ("POST", "/api/consumers", "pipeline:manage"),
    ];
    let reads = ["server:read", "jobs:read", "monitor:read", "pipeline:read"];
    for (method, path, right) in routes {
        let (app, action) = right.split_once(':').expect("two parts");
        for (who, may) in [
            ("admin", true),
            ("operator", action == "read" || app != "server"),
            ("viewer", reads.contains(&right)),
            ("publisher", false),
            ("jobs-only", right == "jobs:read"),
        ] {
            let bearer = format!("Bearer {who}-0123456789");
            let answer = server.send(method, path, &[("Authorization", &bearer)], "").await;
            let status = answer.status.as_u16();
            assert_eq!(
                !matches!(status, 401 | 403),
                may,
                "{who}: {method} {path} is {status} {}",
                answer.text
            );
            if !may && method != "HEAD" {
                let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
                assert!(message.contains(&format!("the right {right}")), "{who}: {message}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_that_somebody_gives_calls_say_nothing_about_anybody_elses() {
    let server = server_with_roles().await;
    let start = async |who: &str, title: &str| {
        let bearer = format!("Bearer {who}-0123456789");
        let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "k")];
        let body = format!("{{\"title\":\"{title}\",\"total_steps\":1}}");
        let answer = server.send("POST", "/api/progress", &headers, &body).await;
        (answer.status.as_u16(), answer.json()["session_id"].as_str().unwrap_or_default().to_owned())
    };
    let (admins, operators) = (start("admin", "a").await, start("operator", "b").await);
    assert_eq!((admins.0, operators.0), (201, 201));
    assert_ne!(admins.1, operators.1);
    for (who, title, before) in [("admin", "a", &admins), ("operator", "b", &operators)] {
        assert_eq!(&start(who, title).await.1, &before.1, "{who}: the same call again");
        assert_eq!(start(who, "c").await.0, 409, "{who}: another call");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_has_every_figure_the_console_shows() {
    let server = server(&[]).await;
    let overview = server.get("/api/overview").await.json();
    let names: Vec<&str> = overview.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = vec![
        "time",
        "connections",
        "events_total",
        "events_per_second",
        "bytes_per_second",
        "deliveries_total",
        "deliveries_per_second",
        "delivery_latency_ms",
        "commit_latency_ms",
        "resumes_total",
        "gaps_total",
        "slow_readers",
        "memory_bytes",
        "tail",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    for transport in ["websocket", "sse", "longpoll", "poll", "socketio"] {
        assert!(overview["connections"][transport].is_u64(), "{overview}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_and_clients_are_listed_and_a_wrong_limit_is_refused_by_name() {
    let server = server(&[]).await;
    for channel in ["list_a", "list_b", "other"] {
        let published = server.post("/anywire/publish", &format!("{{\"channel\":\"{channel}\"}}")).await;
        assert_eq!(published.status, 200, "{}", published.text);
    }
    let channels = server.get("/api/channels?prefix=list_").await.json();
    let names: Vec<&str> = channels["channels"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["channel"].as_str())
        .collect();
    assert_eq!(names, ["list_a", "list_b"]);
    assert_eq!(channels["channels"][0]["events"], 1);
    assert_eq!(
        server.get("/api/channels?prefix=list_&limit=1").await.json()["channels"][0]["channel"],
        "list_a"
    );

    let poll = server.get("/anywire/poll?channels=list_a&after=0&client=me-1").await;
    assert_eq!(poll.status, 200);
    let clients = server.get("/api/delivery/clients").await.json();
    assert_eq!(clients["total"], 1);
    let client = &clients["clients"][0];
    assert_eq!((&client["client"], &client["transport"]), (&json!("me-1"), &json!("poll")));
    assert_eq!((&client["channels"], &client["state"]), (&json!(["list_a"]), &json!("polling")));
    assert_eq!((&client["user"], &client["acked"]), (&json!(null), &json!(null)));

    for target in ["/api/channels?limit=many", "/api/delivery/clients?limit=1001"] {
        let refused = server.get(target).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["code"]),
            (400, &json!("invalid_request")),
            "{target}"
        );
        assert!(refused.text.contains("limit"), "{}", refused.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_lab_no_fault_can_be_switched_on() {
    let server = server(&[]).await;
    assert_eq!(server.get("/api/lab").await.json()["enabled"], false);
    for (path, body) in [("/api/lab", "{\"block_websocket\":true}"), ("/api/lab/restart", "")] {
        let refused = server.post(path, body).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (403, &json!("forbidden")), "{path}");
        assert!(refused.text.contains("--lab"), "{}", refused.text);
    }
    assert_eq!(server.get("/api/lab").await.json()["restarting"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lab_blocks_websocket_until_it_is_told_otherwise() {
    let server = server(&["lab=true"]).await;
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let state = server.post("/api/lab", "{\"block_websocket\":true}").await.json();
    let expected = json!({ "enabled": true, "block_websocket": true, "buffer_sse": false, "cut_until": null, "restarting": false });
    assert_eq!(state, expected);
    let blocked = server.send("GET", "/anywire/ws", &upgrade, "").await;
    assert_eq!((blocked.status.as_u16(), &blocked.json()["code"]), (403, &json!("transport_blocked")));
    server.post("/api/lab", "{\"block_websocket\":false,\"buffer_sse\":true}").await;
    let state = server.get("/api/lab").await.json();
    assert_eq!((&state["block_websocket"], &state["buffer_sse"]), (&json!(false), &json!(true)));
    assert_eq!(server.send("GET", "/anywire/ws", &upgrade, "").await.status, 101);
    for wrong in ["{\"block\":true}", "{\"cut_ms\":60001}", "[", "{\"buffer_sse\":1}"] {
        let refused = server.post("/api/lab", wrong).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["code"]),
            (400, &json!("invalid_request")),
            "{wrong}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_for_a_restart_is_taken_and_shown() {
    let server = server(&["lab=true"]).await;
    let taken = server.post("/api/lab/restart", "").await;
    assert_eq!((taken.status.as_u16(), &taken.json()["restarting"]), (202, &json!(true)));
    assert_eq!(server.get("/api/lab").await.json()["restarting"], true);
}

async fn preflight(server: &Server, path: &str, origin: &str) -> crate::support::Answer {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "authorization"),
    ];
    server.send("OPTIONS", path, &headers, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_listed_origin_may_ask_send_and_read_what_it_needs() {
    let settings =
        [format!("auth.api_keys=[\"{KEY}\"]"), "auth.origins=[\"https://app.example.com\"]".to_owned()];
    let server = server(&[&settings[0], &settings[1]]).await;
    for path in ["/anywire/publish", "/api/uploads/x", "/api/overview", "/api/health"] {
        let answer = preflight(&server, path, "https://app.example.com").await;
        assert_eq!(answer.status, 204, "{path}: {}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com");
        for method in ["GET", "HEAD", "POST", "PATCH", "DELETE"] {
            assert!(answer.header("access-control-allow-methods").contains(method), "{method}");
        }
        for name in [
            "Authorization",
            "Idempotency-Key",
            "Last-Event-ID",
            "Tus-Resumable",
            "Upload-Offset",
            "Upload-Checksum",
        ] {
            assert!(answer.header("access-control-allow-headers").contains(name), "{name}");
        }
    }
    let page = [("Origin", "https://app.example.com"), ("Authorization", "Bearer 0123456789abcdef")];
    // The poll is answered on the gateway's own path, the others by the HTTP library.
    let poll: &[&str] = &["Anywire-Cursor", "ETag", "Retry-After"];
    let all: &[&str] =
        &["Anywire-Cursor", "Anywire-Session", "Retry-After", "Location", "Tus-Resumable", "Upload-Offset"];
    for (path, names) in
        [("/anywire/poll?channels=a", poll), ("/anywire/presence?channel=a", all), ("/api/jobs", all)]
    {
        let answer = server.send("GET", path, &page, "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let exposed = answer.header("access-control-expose-headers");
        for name in names {
            assert!(exposed.contains(name), "{path}: {name} in {exposed:?}");
        }
        let varies: Vec<_> =
            answer.headers.get_all("vary").iter().filter_map(|value| value.to_str().ok()).collect();
        assert!(varies.join(",").contains("Origin"), "{path}: {varies:?}");
    }
    let stranger = preflight(&server, "/anywire/publish", "https://evil.example").await;
    assert_eq!((stranger.status.as_u16(), &stranger.json()["code"]), (403, &json!("origin_forbidden")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_listed_origin_may_read_why_it_was_refused_and_every_refusal_counts() {
    let settings =
        [format!("auth.api_keys=[\"{KEY}\"]"), "auth.origins=[\"https://app.example.com\"]".to_owned()];
    let server = server(&[&settings[0], &settings[1]]).await;
    let paths =
        ["/anywire/poll?channels=a", "/anywire/sse?channels=a", "/anywire/presence?channel=a", "/api/jobs"];
    for path in paths {
        let headers = [("Origin", "https://app.example.com"), ("Authorization", "Bearer wrong")];
        let refused = server.send("GET", path, &headers, "").await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["code"]),
            (401, &json!("unauthorized")),
            "{path}"
        );
        assert_eq!(refused.header("access-control-allow-origin"), "https://app.example.com", "{path}");
        let stranger = server.send("GET", path, &[("Origin", "https://evil.example")], "").await;
        assert_eq!(
            (stranger.status.as_u16(), stranger.header("access-control-allow-origin")),
            (403, ""),
            "{path}"
        );
    }
    let bearer = format!("Bearer {KEY}");
    let metrics = server.send("GET", "/metrics", &[("Authorization", &bearer)], "").await.text;
    assert!(metrics.contains(&format!("anywire_refusals_total {}\n", 2 * paths.len())), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deep_link_is_a_page_and_what_is_missing_is_said_to_be() {
    let server = server(&[]).await;
    for path in ["/", "/jobs/import-7", "/jobs/build-1.2", "/jobs/report.csv", "/delivery"] {
        let page = server.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert!(page.text.to_ascii_lowercase().contains("<!doctype html>"), "{path}");
    }
    for path in ["/assets/none.js", "/assets/a/none.js", "/none.js"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    for (method, path) in
        [("GET", "/api/none"), ("GET", "/anywire/none"), ("POST", "/none"), ("GET", "/api/")]
    {
        let missing = server.send(method, path, &[], "").await;
        assert_eq!((missing.status.as_u16(), &missing.json()["code"]), (404, &json!("not_found")), "{path}");
        assert!(missing.text.contains("/api/docs"), "{}", missing.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_text_says_that_it_is_utf_8() {
    let server = server(&[]).await;
    let opening = server.get("/socket.io/?EIO=4&transport=polling").await;
    let session = opening.text.split('"').nth(3).expect("a session").to_owned();
    let posted = format!("/socket.io/?EIO=4&transport=polling&sid={session}");
    let mut texts = vec![server.post(&posted, "3").await, opening];
    for path in ["/", "/api/docs", "/none.txt", "/api/health?%ff", "/metrics"] {
        texts.push(server.get(path).await);
    }
    for text in texts {
        let kind = text.header("content-type").to_ascii_lowercase();
        assert!(kind.ends_with("; charset=utf-8") || kind == "application/json", "{kind}: {}", text.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_a_route_does_not_know_is_named_with_those_it_does() {
    let server = server(&[]).await;
    let cases = [
        ("GET", "/anywire/publish", "POST"),
        ("DELETE", "/api/health", "GET,HEAD"),
        ("PUT", "/api/jobs", "GET,HEAD"),
        ("GET", "/api/uploads", "POST,OPTIONS"),
    ];
    for (method, path, allowed) in cases {
        let refused = server.send(method, path, &[], "").await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["code"]),
            (405, &json!("method_not_allowed")),
            "{path}"
        );
        let mut named: Vec<&str> = refused.header("allow").split(',').map(str::trim).collect();
        let mut expected: Vec<&str> = allowed.split(',').collect();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_page_comes_with_a_policy_that_lets_nothing_else_in() {
    let server = server(&[]).await;
    let page = server.get("/api/docs").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'self' 'unsafe-inline';"), "{policy}");
    // Everything is in the one file, apart from the description and the icon.
    for attribute in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!page.text.contains(attribute), "{attribute}");
    }
}

#[tokio::test]
async fn all_clients_of_a_server_that_starts_again_find_room_to_wait() {
    let server = server(&[]).await;
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    // Nobody accepts here: they are where clients are while the server reads its log.
    let listener = server.anywire.bind(address).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    for _ in 0..600 {
        waiting.push(TcpStream::connect_timeout(&address, PATIENCE).expect("room"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_an_application_owns_no_client_s_token_publishes_to() {
    // {"sub":"ann","exp":4102444800,"subscribe":["*"],"publish":["*"]}
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDAsInN1YnNjcmliZSI6WyIqIl0sInB1Ymxpc2giOlsiKiJdfQ.f4G1UuIphpA5rV4ZZMazY6wOR1wr4Idfnzj8AiCGit0";
    let settings =
        [format!("auth.api_keys=[\"{KEY}\"]"), "auth.jwt_secret=0123456789abcdef0123456789abcdef".to_owned()];
    let server = server(&settings.each_ref().map(String::as_str)).await;
    for (channel, owner, by_server_alone) in [
        ("jobs", "jobs", true),
        ("progress_42", "jobs", false),
        ("system_status", "jobs", false),
        ("performance", "monitor", true),
        ("performance:5s", "monitor", true),
        ("performance:alerts", "monitor", true),
        ("performance_web1", "monitor", false),
        ("performance_web1:5s", "monitor", false),
        ("pipeline", "pipeline", true),
        ("pipeline_state", "pipeline", true),
    ] {
        let body = json!({ "channel": channel, "data": 1 }).to_string();
        let publish = async |key: &str| {
            let bearer = format!("Bearer {key}");
            server.send("POST", "/anywire/publish", &[("Authorization", &bearer)], &body).await
        };
        let refused = publish(token).await;
        assert_eq!(refused.status, 403, "{channel}: {}", refused.text);
        let told = format!("channel {channel} belongs to the application {owner}");
        assert!(refused.text.contains(&told), "{}", refused.text);
        let status = if by_server_alone { 403 } else { 200 };
        assert_eq!(publish(KEY).await.status, status, "{channel}");
    }
}
