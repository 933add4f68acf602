//! The description of the whole API: the server's own routes, the native transports and the applications',
//! with what they share.
//! `api/openapi.json` is what [`document`] gives; a test holds the one to the other.

use anywire_app::description::{self, Operation};
use serde_json::{Value, json};

mod own;
mod transports;
mod wire;

/// The description (OpenAPI 3.1).
#[must_use]
pub fn document() -> Value {
    let operations: Vec<Operation> = [
        transports::operations(),
        own::operations(),
        anywire_people::description(),
        anywire_jobs::description(),
        anywire_monitor::description(),
        anywire_pipeline::description(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let codes: Vec<&str> = anywire_protocol::Code::all().map(|code| code.as_str()).collect();
    description::document(head(), &operations, &codes)
}

/// What is said once, of all of it.
fn head() -> Value {
    let mut head = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Anywire",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Live updates over any wire.",
            "description": "One numbered log, from which every client gets every event over WebSocket, SSE, long-polling \
                or polling, and moves among them with a cursor without losing or repeating one. Errors have \
                the body `{\"code\",\"message\"}` everywhere; times are ISO-8601 UTC with milliseconds. An address and \
                headers of more than 32 KiB are refused everywhere (431 `head_too_large`). On a \
                loopback address without keys the server is open to loopback pages only; with keys, back \
                ends send an API key and clients a token.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "This server." }],
        "security": [{ "bearer": [] }, { "token": [] }, { "session": [] }, {}],
        "components": { "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key, or a JWT with `sub`, `exp`, and the channel patterns `subscribe` and `publish`.",
            },
            "token": {
                "type": "apiKey",
                "in": "query",
                "name": "token",
                "description": "The same in the query, where headers cannot be set; no API keys.",
            },
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": "__Host-anywire",
                "description": "A session at the console (without TLS the cookie is called `anywire`). It counts for this server's own pages.",
            },
        } },
    });
    head["tags"] = tags();
    head
}

/// The groups of operations, in the order in which a page shows them.
fn tags() -> Value {
    let tag = |(name, description): (&str, &str)| json!({ "name": name, "description": description });
    [
        ("Publish", "Into the log."),
        ("Subscribe", "The native transports, and who is there."),
        ("Health", "For supervisors and load balancers; open to everybody."),
        (
            "Access",
            "Who somebody is: sessions at the console, accounts, API keys, and the audit trail. What manages them needs the right `access:manage`.",
        ),
        (
            "Observe",
            "What the server does. For back ends and the console: needs the right `server:read` where keys are set.",
        ),
        ("Network lab", "Faults on purpose; needs `--lab`."),
        ("Progress", "Jobs that a back end drives step by step."),
        ("Jobs", "All jobs, and what came out of them."),
        ("Commands", "Command lines as jobs, videos among them."),
        ("Uploads", "Resumable uploads by tus 1.0; every upload is a job."),
        (
            "Performance",
            "Samples of this server and of other hosts: polled, streamed, and as history; alerts.",
        ),
        ("This description", "The API about itself."),
        ("Sockets", "One Socket.IO client, from a back end; needs the right `server:manage` where keys are set."),
        (
            "Pipeline",
            "Records of Kafka or embedded topics: produced, consumed, shown live on channel `pipeline`.",
        ),
    ]
    .into_iter()
    .map(tag)
    .collect()
}
