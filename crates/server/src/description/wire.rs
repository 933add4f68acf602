//! What the native transports read and write (PROTOCOL.md), as types with a schema: the gateway itself has no
//! types for them, since an event is never parsed and written again on its way.

#![expect(dead_code, reason = "these types are there for their schemas")]

use std::collections::BTreeMap;

use anywire_app::description::schemas::{Anything, ChannelName, CursorText, EventNameText, Time, True};
use schemars::JsonSchema;

/// A publication whose data is JSON.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct JsonPublication {
    channel: ChannelName,
    /// What happened. Default `message`.
    event: Option<EventNameText>,
    /// Any JSON value. Default null.
    data: Option<serde_json::Value>,
    #[schemars(default)]
    encoding: (),
}

/// A publication whose data is bytes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct BytesPublication {
    channel: ChannelName,
    /// What happened. Default `message`.
    event: Option<EventNameText>,
    /// The bytes as base64.
    #[schemars(
        extend("contentEncoding" = "base64"),
        regex(pattern = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$")
    )]
    data: String,
    #[schemars(with = "Base64")]
    encoding: Base64,
}

/// How bytes are written into JSON.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
enum Base64 {
    Base64,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Publication {
    Json(JsonPublication),
    Bytes(BytesPublication),
}

/// Publications of which all or none is in the log.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct PublicationBatch {
    #[schemars(length(min = 1, max = 10_000))]
    events: Vec<Publication>,
}

/// One publication, or a batch.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum PublishRequest {
    Json(JsonPublication),
    Bytes(BytesPublication),
    Batch(PublicationBatch),
}

/// Where the events are.
#[derive(JsonSchema)]
pub(crate) struct Published {
    cursor: CursorText,
    /// Their places in the log, in the order of the publications.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    offsets: Vec<u64>,
    /// Nothing was appended: the key was used before.
    #[schemars(with = "True", default, skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

/// One event.
#[derive(JsonSchema)]
pub(crate) struct Event {
    channel: ChannelName,
    event: EventNameText,
    /// Its place in the log.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    offset: u64,
    time: Time,
    /// `data` is bytes.
    #[schemars(with = "Base64", skip_serializing_if = "Option::is_none")]
    encoding: Option<Base64>,
    /// What was published.
    data: Anything,
}

/// Events that this reader needed and cannot get any more.
#[derive(JsonSchema)]
struct Gap {
    from: CursorText,
    to: CursorText,
    channels: Vec<ChannelName>,
    reason: GapReason,
    /// For each channel, the greatest offset that is gone.
    lost: BTreeMap<String, u64>,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
enum GapReason {
    /// Retention removed events.
    Trimmed,
    /// They cannot be read any more: a file of the log is damaged or missing.
    Damaged,
    /// The cursor is from another incarnation of the log.
    Epoch,
    /// The cursor is past the tail.
    Ahead,
}

/// What a poll brings.
#[derive(JsonSchema)]
pub(crate) struct PollAnswer {
    cursor: CursorText,
    events: Vec<Event>,
    gap: Option<Gap>,
}

/// What a ticket is wanted for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct TicketRequest {
    /// The channels that may be followed with it; without them, everything that its owner may do.
    #[schemars(default, length(max = 128))]
    channels: Vec<ChannelName>,
}

/// A ticket.
#[derive(JsonSchema)]
pub(crate) struct Ticket {
    ticket: String,
    /// Until when it can be used, once.
    expires_at: Time,
}

/// Who is on a channel.
#[derive(JsonSchema)]
pub(crate) struct PresenceAnswer {
    channel: ChannelName,
    cursor: CursorText,
    members: Vec<Member>,
}

/// One who is on a channel.
#[derive(JsonSchema)]
struct Member {
    /// Its name.
    client: String,
    /// The `sub` of its token.
    user: Option<String>,
    joined_at: Time,
}
