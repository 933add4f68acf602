//! The server's own routes: health, what it does, the network lab, single sockets, and the API itself.

use anywire_app::description::{Answer, Content, Operation, Parameter};
use serde_json::json;

use crate::{api, overview, sockets};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        health(),
        live(),
        ready(),
        metrics(),
        overview(),
        list_clients(),
        list_channels(),
        lab(),
        set_lab(),
        restart(),
        description(),
        docs(),
        emit_to_socket(),
        disconnect_socket(),
        disconnect_clients(),
    ]
}

fn health() -> Operation {
    Operation::get("/api/health", "health")
        .is("Health", "How the server is")
        .about("Everything about its health in one object.")
        .open()
        .writes::<api::Health>(
            200,
            "It is live and ready.",
            json!({
                "status": "ok", "live": true, "ready": true, "version": "0.1.0", "epoch": "1f0c93ab",
                "tail": "1f0c93ab-18", "uptime_s": 3_600,
                "storage": { "engine": "embedded", "state": "ok", "bytes": 1_048_576 },
            }),
        )
        .refuses(
            403,
            &["origin_forbidden", "host_forbidden"],
            "origin \"https://evil.example\" is not allowed; add it to auth.origins",
        )
        .answers(
            Answer::new(
                503,
                "It is live, and starts, stops or cannot write: `storage.state` says what is wrong.",
            )
            .with(Content::answer::<api::Health>()),
        )
}

fn live() -> Operation {
    Operation::get("/api/health/live", "live")
        .is("Health", "Whether the process runs")
        .about("For a supervisor that restarts what does not answer.")
        .open()
        .writes::<api::Live>(200, "It does.", json!({ "live": true }))
        .refuses(
            403,
            &["origin_forbidden", "host_forbidden"],
            "origin \"https://evil.example\" is not allowed; add it to auth.origins",
        )
}

fn ready() -> Operation {
    Operation::get("/api/health/ready", "ready")
        .is("Health", "Whether it can be sent work")
        .about("For a load balancer.")
        .open()
        .writes::<api::Ready>(200, "It can.", json!({ "ready": true }))
        .refuses(
            403,
            &["origin_forbidden", "host_forbidden"],
            "origin \"https://evil.example\" is not allowed; add it to auth.origins",
        )
        .writes::<api::Ready>(503, "It cannot write now.", json!({ "ready": false }))
}

fn metrics() -> Operation {
    Operation::get("/metrics", "metrics")
        .is("Observe", "Metrics")
        .about("OpenMetrics text, as Prometheus reads it. docs/metrics.md explains every name.")
        .answers(Answer::new(200, "The page.").with(Content::text("application/openmetrics-text").example(json!("# HELP anywire_events Events appended.\n# TYPE anywire_events counter\nanywire_events_total 120\n# EOF\n"))))
        .guarded()
        .refuses(500, &["internal"], "this is a bug; see the server's log")
}

fn overview() -> Operation {
    Operation::get("/api/overview", "overview")
        .is("Observe", "One sample of what goes on")
        .about(
            "What the console's *Overview* shows. It is published every second on the channel `$overview` \
                 too, while anybody is subscribed.",
        )
        .writes::<overview::OverviewSample>(
            200,
            "The newest sample.",
            json!({
                "time": "2026-01-23T10:00:03.000Z",
                "connections": { "websocket": 3, "sse": 1, "longpoll": 0, "poll": 2, "socketio": 0 },
                "events_total": 120, "events_per_second": 4.0, "bytes_per_second": 812.0,
                "deliveries_total": 500, "deliveries_per_second": 12.0,
                "delivery_latency_ms": { "p50": 0.4, "p99": 2.1 },
                "commit_latency_ms": { "p50": 0.8, "p99": 3.0 }, "resumes_total": 4, "gaps_total": 0,
                "slow_readers": 0, "memory_bytes": 31_000_000, "tail": "1f0c93ab-18",
            }),
        )
        .guarded()
}

fn list_clients() -> Operation {
    Operation::get("/api/delivery/clients", "listClients")
        .is("Observe", "Who is connected")
        .about("Every client with its transport, cursor and lag.")
        .takes(
            Parameter::query("limit", "The most entries of the answer.")
                .schema(json!({ "type": "integer", "minimum": 0, "maximum": 1_000, "default": 200 }))
                .example(json!(200)),
        )
        .writes::<api::Clients>(
            200,
            "The clients.",
            json!({
                "total": 1,
                "clients": [
                    {
                        "client": "c-17", "transport": "websocket", "address": "127.0.0.1", "user": null,
                        "channels": ["a"], "cursor": "1f0c93ab-18", "acked": null, "lag": 0,
                        "state": "live", "connected_at": "2026-01-23T10:00:03.000Z", "resumes": 1,
                        "gaps": 0, "delivered": 120, "bytes": 15_360, "carrier": null, "namespaces": [],
                    },
                ],
            }),
        )
        .refuses_invalid()
        .guarded()
}

fn list_channels() -> Operation {
    Operation::get("/api/channels", "listChannels")
        .is("Observe", "Which channels there are")
        .about("Channels with kept events, in the order of their names.")
        .takes(Parameter::query("prefix", "Only channels whose names begin so.").example(json!("progress_")))
        .takes(
            Parameter::query("limit", "The most entries of the answer.")
                .schema(json!({ "type": "integer", "minimum": 0, "maximum": 1_000, "default": 200 }))
                .example(json!(200)),
        )
        .writes::<api::Channels>(
            200,
            "The channels.",
            json!({ "channels": [{ "channel": "news", "events": 18, "last_offset": 18, "subscribers": 2 }] }),
        )
        .refuses_invalid()
        .guarded()
}

fn lab() -> Operation {
    Operation::get("/api/lab", "lab")
        .is("Network lab", "Which faults are on")
        .about("`enabled` is false without `--lab`; then nothing can be switched.")
        .writes::<api::Lab>(
            200,
            "The state.",
            json!({
                "enabled": true, "block_websocket": false, "buffer_sse": false, "cut_until": null,
                "restarting": false,
            }),
        )
        .guarded()
}

fn set_lab() -> Operation {
    Operation::post("/api/lab", "setLab")
        .is("Network lab", "Switch faults on and off")
        .about(
            "Members that are absent stay as they are. `cut_ms` ends every connection and lets nobody in \
                 for so long; 0 ends a cut.",
        )
        .reads::<api::LabChange>(json!({ "block_websocket": true }))
        .writes::<api::Lab>(
            200,
            "The new state.",
            json!({
                "enabled": true, "block_websocket": true, "buffer_sse": false, "cut_until": null,
                "restarting": false,
            }),
        )
        .refuses_invalid()
        .guarded()
        .refuses_large()
}

fn restart() -> Operation {
    Operation::post("/api/lab/restart", "restart")
        .is("Network lab", "Restart the server")
        .about("It stops gracefully and starts again on the same data and address.")
        .extension("x-disruptive", json!(true))
        .writes::<api::Lab>(
            202,
            "It will.",
            json!({
                "enabled": true, "block_websocket": false, "buffer_sse": false, "cut_until": null,
                "restarting": true,
            }),
        )
        .guarded()
}

fn description() -> Operation {
    Operation::get("/api/openapi.json", "description")
        .is("This description", "This description")
        .about("OpenAPI 3.1.")
        .open()
        .answers(
            Answer::new(200, "It.").with(Content::other("application/json", json!({ "type": "object" }))),
        )
        .refuses(
            403,
            &["origin_forbidden", "host_forbidden"],
            "origin \"https://evil.example\" is not allowed; add it to auth.origins",
        )
}

fn docs() -> Operation {
    Operation::get("/api/docs", "docs")
        .is("This description", "A page to read it")
        .about("This one, if you read it in a browser.")
        .open()
        .answers(Answer::new(200, "The page.").with(Content::text("text/html")))
        .refuses(
            403,
            &["origin_forbidden", "host_forbidden"],
            "origin \"https://evil.example\" is not allowed; add it to auth.origins",
        )
}

fn emit_to_socket() -> Operation {
    Operation::post("/api/sockets/emit", "emitToSocket")
        .is("Sockets", "Emit an event to one Socket.IO client")
        .about(
            "With `timeout_ms` the client is asked to acknowledge, and the request waits that long for \
                 it. A volatile event is dropped unless the client can take it at once. The client must be \
                 connected to this process.",
        )
        .reads::<sockets::Emit>(
            json!({ "socket": "kUeY3KoQgUUs0674u4-0", "event": "refresh", "args": [{ "why": "new data" }] }),
        )
        .writes::<sockets::Emitted>(
            200,
            "It was sent; whether and what the client answered.",
            json!({ "answered": true, "answer": ["ok"] }),
        )
        .refuses(400, &["invalid_request", "invalid_event"], "\"timeout_ms\" is 0; expected 1 to 60000")
        .guarded()
        .refuses(404, &["not_found"], "no socket \"kUeY3KoQgUUs0674u4-0\" is connected to this process")
        .refuses_large()
        .refuses(503, &["busy"], "100000 answers are waited for already, the limit; ask more slowly")
}

fn disconnect_socket() -> Operation {
    Operation::post("/api/sockets/disconnect", "disconnectSocket")
        .is("Sockets", "Put a Socket.IO client out of its namespace")
        .about("It hears `io server disconnect` and does not come back by itself.")
        .reads::<sockets::Disconnect>(json!({ "socket": "kUeY3KoQgUUs0674u4-0" }))
        .writes::<sockets::Disconnected>(200, "It is out.", json!({ "disconnected": true }))
        .refuses(400, &["invalid_request", "invalid_event"], "\"timeout_ms\" is 0; expected 1 to 60000")
        .guarded()
        .refuses(404, &["not_found"], "no socket \"kUeY3KoQgUUs0674u4-0\" is connected to this process")
        .refuses_large()
}

fn disconnect_clients() -> Operation {
    Operation::post("/api/clients/disconnect", "disconnectClients")
        .is("Observe", "End connections")
        .about(
            "Of a user, a client or a session, over every transport: WebSocket and server-sent events hear \
                 `goodbye`, Socket.IO `io server disconnect`, a waiting poll is answered 503. Whoever still may, \
                 comes back: `POST /api/access/revoke` is for those who are not to.",
        )
        .reads::<sockets::Ending>(json!({ "user": "u1" }))
        .writes::<sockets::EndedClients>(200, "They are over.", json!({ "disconnected": 2 }))
        .refuses(
            400,
            &["invalid_request"],
            "name one of \"user\", \"client\" and \"session\", and only one",
        )
        .guarded()
        .refuses_large()
}
