//! The native transports (PROTOCOL.md), which the gateway serves.

use anywire_app::description::{
    Answer, Content, Header, Operation, Parameter,
    schemas::{After, ChannelName, CursorText},
};
use serde_json::json;

use super::wire;

pub(super) fn operations() -> Vec<Operation> {
    vec![publish(), poll(), sse(), websocket(), presence(), ticket()]
}

fn publish() -> Operation {
    Operation::post("/anywire/publish", "publish")
        .is("Publish", "Publish events")
        .about(
            "Appends one event, or a batch of which all or none is in the log. The answer comes when the \
                 events are committed; on a durable channel that means synced to disk.",
        )
        .takes(Parameter::idempotency_key())
        .body([Content::request::<wire::PublishRequest>()
            .named_example(
                "one",
                "one event",
                json!({ "channel": "news", "event": "created", "data": { "id": 1 } }),
            )
            .named_example(
                "batch",
                "a batch",
                json!({
                    "events": [
                        { "channel": "a", "event": "x", "data": 1 },
                        { "channel": "b", "event": "y", "data": null },
                    ],
                }),
            )
            .named_example(
                "bytes",
                "bytes",
                json!({ "channel": "files", "event": "chunk", "encoding": "base64", "data": "AAEC" }),
            )])
        .answers(
            Answer::new(
                200,
                "Committed. `duplicate` is there when the idempotency key was used before: nothing was \
                 appended.",
            )
            .with(
                Content::answer::<wire::Published>()
                    .named_example("fresh", "appended", json!({ "cursor": "1f0c93ab-18", "offsets": [18] }))
                    .named_example(
                        "repeated",
                        "the key was used before",
                        json!({ "cursor": "1f0c93ab-18", "offsets": [18], "duplicate": true }),
                    ),
            ),
        )
        .refuses(
            400,
            &["invalid_request", "invalid_channel", "invalid_event", "too_many_channels"],
            "\"limit\" is \"many\"; expected a whole number from 1 to 1000",
        )
        .guarded()
        .refuses(
            409,
            &["idempotency_conflict"],
            "the idempotency key \"k\" was used for another body; use a new key",
        )
        .refuses_large()
        .refuses(
            429,
            &["rate_limited", "too_many_connections"],
            "more than 100 events a second (limits.publish_per_second); wait 10 ms",
        )
        .appends()
}

fn poll() -> Operation {
    Operation::get("/anywire/poll", "poll")
        .is("Subscribe", "Poll, or wait for the next event")
        .about("With `wait=0` the answer comes at once; with `wait` above 0 it comes as soon as there is an \
                 event, or after that time. The answer's cursor is canonical: everybody who is caught up asks \
                 for the same URL, so a CDN may keep it.")
        .takes(channels_parameter())
        .takes(after_parameter())
        .takes(Parameter::query("wait", "How long to wait for an event, in seconds.").schema(json!({ "type": "integer", "minimum": 0, "maximum": 60, "default": 0 })).example(json!(25)))
        .takes(Parameter::query("limit", "The most events of one answer.").schema(json!({ "type": "integer", "minimum": 1, "maximum": 1_000, "default": 1_000 })).example(json!(100)))
        .takes(client_parameter())
        .takes(token_parameter())
        .takes(Parameter::header("If-None-Match", "The `ETag` of the last answer; counts with `wait=0`.").example(json!("\"1f0c93ab-18\"")))
        .answers(Answer::new(200, "Events, or the cursor to begin with.").header(anywire_cursor_header()).header(etag_header()).with(Content::answer::<wire::PollAnswer>()
            .named_example("events", "an event", json!({
                "cursor": "1f0c93ab-18",
                "events": [
                    {
                        "channel": "news", "event": "created", "offset": 18,
                        "time": "2026-01-23T10:00:03.000Z", "data": { "id": 1 },
                    },
                ],
                "gap": null,
            }))
            .named_example("gap", "a gap", json!({
                "cursor": "1f0c93ab-90", "events": [],
                "gap": {
                    "from": "1f0c93ab-5", "to": "1f0c93ab-90", "channels": ["a", "b"], "reason": "trimmed",
                    "lost": { "a": 70, "b": 90 },
                },
            }))))
        .answers(Answer::new(204, "Nothing new: ask again with the cursor in `Anywire-Cursor`.").header(anywire_cursor_header()).header(etag_header()))
        .answers(Answer::new(304, "Nothing new, and `If-None-Match` names the cursor.").header(anywire_cursor_header()).header(etag_header()))
        .refuses(400, &["invalid_request", "invalid_cursor", "invalid_channel", "too_many_channels"], "\"limit\" is \"many\"; expected a whole number from 1 to 1000")
        .guarded()
        .refuses(429, &["too_many_connections", "rate_limited"], "19000 connections, the limit (limits.connections_max)")
        .refuses(503, &["storage_failed", "shutting_down"], "storing failed; see the server's log")
}

fn sse() -> Operation {
    Operation::get("/anywire/sse", "sse")
        .is("Subscribe", "Server-sent events")
        .about("A stream of blocks. The first is `event: open` with `retry:` and the cursor; events follow \
                 with `id:` and `data:` and without a name; `event: gap` names what is lost; `event: \
                 heartbeat` after 25 s of silence carries the cursor; `event: goodbye` precedes an orderly end. The stream ends only when the server stops, the \
                 token runs out or the client leaves.")
        .extension("x-streaming", json!(true))
        .takes(channels_parameter())
        .takes(after_parameter())
        .takes(Parameter::header("Last-Event-ID", "Where to go on: what a browser sends by itself when it reconnects. Wins over `after`.").example(json!("1f0c93ab-18")))
        .takes(last_event_id_parameter())
        .takes(presence_parameter())
        .takes(client_parameter())
        .takes(token_parameter())
        .answers(Answer::new(200, "The stream.").with(Content::text("text/event-stream").example(json!("retry: 1000\nid: 1f0c93ab-17\nevent: open\ndata: {\"cursor\":\"1f0c93ab-17\"}\n\nid: 1f0c93ab-18\ndata: {\"channel\":\"news\",\"event\":\"created\",\"offset\":18,\"time\":\"2026-01-23T10:00:03.000Z\",\"data\":{\"id\":1}}\n\n"))))
        .refuses(400, &["invalid_request", "invalid_cursor", "invalid_channel", "too_many_channels"], "\"limit\" is \"many\"; expected a whole number from 1 to 1000")
        .guarded()
        .refuses(429, &["too_many_connections", "rate_limited"], "19000 connections, the limit (limits.connections_max)")
        .refuses(503, &["storage_failed", "shutting_down"], "storing failed; see the server's log")
}

fn websocket() -> Operation {
    Operation::get("/anywire/ws", "websocket")
        .is("Subscribe", "WebSocket")
        .about(
            "RFC 6455, version 13, subprotocol `anywire.v1`. Frames are text with one JSON object each: \
                 `subscribe`, `unsubscribe`, `publish`, `presence`, `auth`, `ack`, `ping` from the client; \
                 `event`, `gap`, `heartbeat`, `goodbye`, `error` and the answers from the server. \
                 PROTOCOL.md, section 8, has them all.",
        )
        .extension("x-streaming", json!(true))
        .takes(
            Parameter::header("Upgrade", "The upgrade.")
                .required()
                .schema(json!({ "type": "string", "const": "websocket" })),
        )
        .takes(
            Parameter::header("Connection", "The upgrade.")
                .required()
                .schema(json!({ "type": "string", "const": "Upgrade" })),
        )
        .takes(
            Parameter::header("Sec-WebSocket-Version", "RFC 6455.")
                .required()
                .schema(json!({ "type": "string", "const": "13" })),
        )
        .takes(
            Parameter::header("Sec-WebSocket-Key", "16 random bytes as base64.")
                .required()
                .example(json!("dGhlIHNhbXBsZSBub25jZQ==")),
        )
        .takes(
            Parameter::header("Sec-WebSocket-Protocol", "Subprotocols; `anywire.v1` is chosen.")
                .example(json!("anywire.v1")),
        )
        .takes(client_parameter())
        .takes(token_parameter())
        .answers(Answer::new(101, "The connection is a WebSocket now."))
        .refuses(
            400,
            &["invalid_request", "invalid_channel"],
            "\"limit\" is \"many\"; expected a whole number from 1 to 1000",
        )
        .refuses(
            401,
            &["unauthorized", "token_expired"],
            "no token was given; send \"Authorization: Bearer <token>\" or ?token=",
        )
        .refuses(
            403,
            &["forbidden", "origin_forbidden", "host_forbidden", "transport_blocked"],
            "the token does not allow to subscribe to channel news; ask for one that does",
        )
        .refuses(405, &["invalid_request"], "\"limit\" is \"many\"; expected a whole number from 1 to 1000")
        .answers(
            Answer::refusal(
                426,
                &["invalid_request"],
                "\"limit\" is \"many\"; expected a whole number from 1 to 1000",
            )
            .header(Header::new("Sec-WebSocket-Version", "The version that is spoken.").optional())
            .header(Header::new("Upgrade", "What to upgrade to.").optional()),
        )
        .refuses(
            429,
            &["too_many_connections", "rate_limited"],
            "19000 connections, the limit (limits.connections_max)",
        )
        .refuses(503, &["shutting_down"], "the server is stopping; come back then")
}

fn presence() -> Operation {
    Operation::get("/anywire/presence", "presence")
        .is("Subscribe", "Who is on a channel")
        .about(
            "The members of a channel whose retention rule says `presence = true`, with the cursor from \
                 which their joins and leaves follow on the channel `$presence:<channel>`.",
        )
        .takes(
            Parameter::query("channel", "The one channel.")
                .required()
                .of::<ChannelName>()
                .example(json!("room")),
        )
        .takes(token_parameter())
        .writes::<wire::PresenceAnswer>(
            200,
            "The members.",
            json!({
                "channel": "room", "cursor": "1f0c93ab-18",
                "members": [{ "client": "c-17", "user": "u1", "joined_at": "2026-01-23T10:00:03.000Z" }],
            }),
        )
        .refuses(
            400,
            &["invalid_request", "invalid_cursor", "invalid_channel", "too_many_channels"],
            "\"limit\" is \"many\"; expected a whole number from 1 to 1000",
        )
        .guarded()
}

fn ticket() -> Operation {
    Operation::post("/anywire/tickets", "ticket")
        .is("Subscribe", "A ticket for an address")
        .about(
            "For what cannot send headers (`EventSource`, a browser's WebSocket, a video, a download): put it into \
                 the address as `?ticket=`, once and within 30 s. It has the rights of who asked, and their end; with \
                 `channels` only that of following these. It is also good as the token of `auth`, over WebSocket and \
                 Socket.IO.",
        )
        .body_or_none([Content::request::<wire::TicketRequest>().example(json!({ "channels": ["news"] }))])
        .writes::<wire::Ticket>(
            201,
            "The ticket.",
            json!({ "ticket": "ticket_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "expires_at": "2026-01-23T10:00:33.000Z" }),
        )
        .refuses(
            400,
            &["invalid_request", "invalid_channel", "too_many_channels"],
            "the body is not {\"channels\":[…]}: unknown field `channel`, expected `channels` at line 1 column 10",
        )
        .guarded()
        .refuses_large()
        .refuses(415, &["media_type"], "a form could have sent this body from any page; send it as application/json, or what it is")
        .refuses(429, &["rate_limited"], "more than 500 handshakes a second (limits.handshake_per_second); wait 2 ms")
        .refuses(503, &["busy"], "100000 tickets wait to be used, the limit; ask again in a second")
}

fn channels_parameter() -> Parameter {
    Parameter::query("channels", "The channels, with commas between.")
        .required()
        .schema(json!({
            "type": "array", "items": { "$ref": "#/components/schemas/ChannelName" }, "minItems": 1,
            "maxItems": 128,
        }))
        .example(json!(["news"]))
        .with("style", json!("form"))
        .with("explode", json!(false))
        .shared("Channels")
}

fn after_parameter() -> Parameter {
    Parameter::query(
        "after",
        "Where to start: a cursor, or `0` for the oldest kept event of each channel. Without it, at \
             the tail.",
    )
    .of::<After>()
    .example(json!("0"))
    .shared("After")
}

fn last_event_id_parameter() -> Parameter {
    Parameter::query(
        "lastEventId",
        "As `Last-Event-ID`, for libraries that cannot set the header, which wins over it. Also spelled \
             `Last-Event-ID`, `lastEventID` or `last_event_id`.",
    )
    .example(json!("1f0c93ab-18"))
}

fn client_parameter() -> Parameter {
    Parameter::query(
        "client",
        "The client's name for itself: its entry in *Delivery* survives a change of transport.",
    )
    .schema(json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" }))
    .example(json!("c-17"))
    .shared("Client")
}

fn token_parameter() -> Parameter {
    Parameter::query(
        "token",
        "The token, where headers cannot be set (`EventSource`, a browser's WebSocket). A ticket is better there: `ticket`.",
    )
    .shared("Token")
}

fn presence_parameter() -> Parameter {
    Parameter::query("presence", "`1` makes the client a member of its channels.")
        .schema(json!({ "type": "string", "enum": ["0", "1", "true", "false"] }))
        .example(json!("1"))
        .shared("Presence")
}

fn anywire_cursor_header() -> Header {
    Header::new("Anywire-Cursor", "Where the answer ends; ask on from here.").of::<CursorText>().shared()
}

fn etag_header() -> Header {
    Header::new("ETag", "The cursor in quotes.").shared()
}
