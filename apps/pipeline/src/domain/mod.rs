//! The nouns of the pipeline: records on their way, consumers, counters.

use std::{collections::BTreeSet, fmt};

use anywire_app::description::schemas::Time;
use anywire_log::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use uuid::Uuid;

use crate::topics::{Place, Record, TopicName};

mod spans;

pub(crate) use spans::Spans;

/// The id under which a record's life is shown. It is made from the record's place and time: delivered again,
/// it is the same record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(crate) struct LogId(#[schemars(with = "String", extend("format" = "uuid"))] Uuid);

impl LogId {
    /// The id of a record. The time tells two records apart that had one place in topics of one name, one
    /// after the other.
    #[must_use]
    pub(crate) fn of(record: &Record) -> Self {
        let Place { partition, offset } = &record.place;
        let mut hash = Sha1::new();
        hash.update(partition.topic.as_str());
        hash.update([0]);
        hash.update(partition.number.to_be_bytes());
        hash.update(offset.to_be_bytes());
        hash.update(record.time.as_millis().to_be_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        Self(uuid::Builder::from_sha1_bytes(first).into_uuid())
    }

    /// Reads an id.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a consumer: 1 to 64 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`: in an address those are
/// folders, also escaped, and no browser could stop such a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct ConsumerId(#[schemars(regex(pattern = "^[a-zA-Z0-9._-]{1,64}$"))] String);

/// Why a text is no name of a consumer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is no name of a consumer; expected 1 to 64 of a-z A-Z 0-9 . _ -, and neither . nor .., such as consumer-2"
)]
pub(crate) struct ConsumerIdError {
    /// The text, cut to 64 characters.
    pub(crate) name: String,
}

impl ConsumerId {
    /// Checks a text and makes it a name.
    ///
    /// # Errors
    /// [`ConsumerIdError`].
    pub(crate) fn new(name: &str) -> Result<Self, ConsumerIdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_folder = matches!(name, "." | "..");
        if (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !is_folder {
            return Ok(Self(name.to_owned()));
        }
        Err(ConsumerIdError { name: name.chars().take(64).collect() })
    }

    /// The name that a consumer without one gets: `<prefix>-<number>`.
    #[must_use]
    pub(crate) fn numbered(prefix: &str, number: usize) -> Self {
        Self(format!("{prefix}-{number}"))
    }

    /// The name.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConsumerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum DataType {
    /// One message.
    #[serde(rename = "SINGLE_MESSAGE")]
    Single,
    /// Rows of a CSV file.
    #[serde(rename = "CSV_BATCH")]
    Csv,
}

/// The header that says what a record holds, and the one that says how many rows.
pub(crate) const DATA_TYPE_HEADER: &str = "anywire-data-type";
/// How many rows a record holds, in decimal.
pub(crate) const ROW_COUNT_HEADER: &str = "anywire-row-count";

impl DataType {
    /// How it is written.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "SINGLE_MESSAGE",
            Self::Csv => "CSV_BATCH",
        }
    }

    /// What a record holds, and how many rows: by its headers, else one message.
    #[must_use]
    pub(crate) fn of(record: &Record) -> (Self, u64) {
        let header = |name: &str| {
            let found = record.content.headers.iter().find(|(header, _)| header == name);
            found.and_then(|(_, value)| value.as_ref())
        };
        match header(DATA_TYPE_HEADER) {
            Some(value) if value == Self::Csv.as_str() => {
                let rows =
                    header(ROW_COUNT_HEADER).and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
                (Self::Csv, rows.unwrap_or(1))
            }
            _ => (Self::Single, 1),
        }
    }
}

/// Where a record is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "RecordStatus")]
pub(crate) enum Status {
    /// A consumer has it.
    Received,
    /// It is being processed, for the first time or again.
    Processing,
    /// It was.
    Processed,
    /// It could not be, and is a dead letter.
    Failed,
}

impl Status {
    /// Whether nothing more happens by itself.
    #[must_use]
    pub(crate) const fn is_final(self) -> bool {
        matches!(self, Self::Processed | Self::Failed)
    }
}

/// A record on its way, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "LogEntry")]
pub(crate) struct Entry {
    /// Its id.
    pub(crate) log_id: LogId,
    /// Its topic.
    pub(crate) topic: String,
    /// Its partition.
    pub(crate) partition: u32,
    /// Its offset, as text: it may be greater than JavaScript's numbers hold exactly.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub(crate) offset: u64,
    /// What it holds.
    pub(crate) data_type: DataType,
    /// How many rows.
    pub(crate) row_count: u64,
    /// Where it is.
    pub(crate) status: Status,
    /// Why it failed, when it did.
    pub(crate) error: Option<String>,
    /// Who processed it, once somebody did.
    pub(crate) consumer_id: Option<String>,
    /// How often its processing began.
    pub(crate) attempts: u32,
    /// When a consumer got it, the last time.
    #[serde(with = "anywire_app::time::iso_text")]
    #[schemars(with = "Time")]
    pub(crate) received_at: Timestamp,
    /// When its processing began, the last time.
    #[serde(serialize_with = "anywire_app::time::iso_text_or_null::serialize")]
    #[schemars(with = "Option<Time>")]
    pub(crate) started_at: Option<Timestamp>,
    /// When it was processed or failed.
    #[serde(serialize_with = "anywire_app::time::iso_text_or_null::serialize")]
    #[schemars(with = "Option<Time>")]
    pub(crate) finished_at: Option<Timestamp>,
    /// Where it lies among the dead letters, when it does.
    #[serde(serialize_with = "place")]
    #[schemars(with = "Option<ShownPlace>")]
    pub(crate) dead_letter: Option<Place>,
}

fn as_text<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

fn place<S: serde::Serializer>(place: &Option<Place>, serializer: S) -> Result<S::Ok, S::Error> {
    place.as_ref().map(ShownPlace::of).serialize(serializer)
}

/// Where a record is, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Place")]
pub(crate) struct ShownPlace {
    #[schemars(with = "TopicName")]
    topic: String,
    partition: u32,
    /// As text: it may be greater than a double holds.
    #[schemars(regex(pattern = "^[0-9]+$"))]
    offset: String,
}

impl ShownPlace {
    /// That of a place.
    #[must_use]
    pub(crate) fn of(place: &Place) -> Self {
        Self {
            topic: place.partition.topic.as_str().to_owned(),
            partition: place.partition.number,
            offset: place.offset.to_string(),
        }
    }
}

/// The counters. Every record counts once, however often it was delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Totals {
    /// Records received.
    pub(crate) total_messages: u64,
    /// Of them processed.
    pub(crate) processed_messages: u64,
    /// Of them failed, and not processed since.
    pub(crate) failed_messages: u64,
}

/// How far a partition is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks {
    /// These were received.
    pub(crate) received: Spans,
    /// These were finished.
    pub(crate) finished: Spans,
    /// Those of them that failed and were not processed since.
    pub(crate) failed: BTreeSet<u64>,
}
