//! What the routes read and write, as types: their schemas are the description's.

use anywire_app::description::schemas::{CursorText, Time, True};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{ConsumerId, Entry, ShownPlace},
    topics::Record,
};

/// The largest body of a call that is no record, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;
/// How many bytes of a value are shown.
const SHOWN_BYTES_MAX: usize = 256 << 10;

/// The topics that can be produced to.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Topics {
    /// `embedded` or `kafka`.
    #[schemars(extend("enum" = ["embedded", "kafka"]))]
    pub(super) kind: &'static str,
    pub(super) topics: Vec<Topic>,
}

/// One topic.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Topic {
    pub(super) topic: String,
    /// How many partitions it has.
    pub(super) partitions: u32,
    /// Whether consumers read it.
    pub(super) consumed: bool,
}

/// A record that the broker has.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent {
    #[schemars(with = "True")]
    pub(super) success: bool,
    pub(super) topic: String,
    #[schemars(with = "ShownPlace")]
    pub(super) record: Option<ShownPlace>,
    #[schemars(with = "Time")]
    pub(super) timestamp: String,
}

/// A file that the broker has.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileSent {
    #[schemars(with = "True")]
    pub(super) success: bool,
    pub(super) topic: String,
    /// How many rows were sent.
    pub(super) row_count: u64,
    /// In how many records.
    pub(super) batches: u64,
    /// The encoding the file was read in.
    pub(super) encoding: &'static str,
    /// What stands between its fields: a sign, `tab` or `space`.
    pub(super) delimiter: String,
    /// The line that names the columns, from 1; what is above it was left out.
    #[schemars(range(min = 1))]
    pub(super) header_line: u64,
    /// Where the first record is; null of a file without rows.
    pub(super) first: Option<ShownPlace>,
    /// Where the last record is.
    pub(super) last: Option<ShownPlace>,
    #[schemars(with = "Time")]
    pub(super) timestamp: String,
}

/// A new record with the same key, headers and value.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Replayed {
    #[schemars(with = "True")]
    pub(super) success: bool,
    #[schemars(with = "ShownPlace")]
    pub(super) record: Option<ShownPlace>,
}

/// A consumer to start.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct StartConsumer {
    /// Its name; without one it gets the first that is free.
    #[schemars(with = "Option<ConsumerId>")]
    pub(super) consumer_id: Option<String>,
}

/// How many consumers shall run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScaleConsumers {
    /// At most `pipeline.consumers_max`, which is 1 to 64.
    #[schemars(range(max = 64))]
    pub(super) count: usize,
}

/// Records with their state.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LogEntries<'a> {
    /// Subscribe to `pipeline` from here, or ask on.
    #[schemars(with = "CursorText")]
    pub(super) cursor: String,
    pub(super) logs: Vec<&'a Entry>,
}

/// One record, with what it holds.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RecordDetail {
    pub(super) log: Entry,
    /// Null when its topic keeps it no more.
    pub(super) record: Option<RecordContent>,
}

/// What a record holds.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RecordContent {
    key: Option<ShownBytes>,
    headers: Vec<RecordHeader>,
    /// Null of a tombstone.
    value: Option<ShownBytes>,
    #[schemars(with = "Time")]
    timestamp: String,
}

/// A header of a record. One without a value is not one with an empty value.
#[derive(Serialize, JsonSchema)]
struct RecordHeader {
    name: String,
    value: Option<ShownBytes>,
}

/// Bytes for people: as text where they are one, else in base64; at most 256 KiB of them.
#[derive(Serialize, JsonSchema)]
struct ShownBytes {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    base64: Option<String>,
    /// How many there are.
    bytes: usize,
    /// Whether there are more than are shown.
    truncated: bool,
}

impl RecordContent {
    pub(super) fn of(record: &Record) -> Self {
        let header = |(name, value): &(String, Option<bytes::Bytes>)| RecordHeader {
            name: name.clone(),
            value: value.as_deref().map(ShownBytes::of),
        };
        Self {
            key: record.content.key.as_deref().map(ShownBytes::of),
            headers: record.content.headers.iter().map(header).collect(),
            value: record.content.value.as_deref().map(ShownBytes::of),
            timestamp: anywire_app::time::iso(record.time),
        }
    }
}

impl ShownBytes {
    fn of(bytes: &[u8]) -> Self {
        let shown = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
        let truncated = shown.len() < bytes.len();
        let (text, base64) = match std::str::from_utf8(shown) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(error) if truncated && error.error_len().is_none() => {
                (Some(String::from_utf8_lossy(&shown[..error.valid_up_to()]).into_owned()), None)
            }
            Err(_) => (None, Some(STANDARD.encode(shown))),
        };
        Self { text, base64, bytes: bytes.len(), truncated }
    }
}
