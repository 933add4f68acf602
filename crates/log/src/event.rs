//! Events and what is published to make them.
//!
//! Invariant: an event never changes. Beside its content it has [`ENCODING_SLOTS`] places in which a codec
//! may leave the bytes it made of it, so that an event is encoded at most once a protocol however many
//! readers it has.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{Channel, Offset, Timestamp};

/// How many encodings of itself an event can hold.
pub const ENCODING_SLOTS: usize = 5;

/// The place for what an application makes of its own events; the others belong to the transports.
pub const APPLICATION_SLOT: usize = 4;

/// What a publication carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A JSON text without line breaks (they are white space in JSON; the publish side turns them into
    /// spaces).
    Json(Bytes),
    /// Bytes.
    Binary(Bytes),
}

impl Payload {
    /// The content as bytes, whatever its kind.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        match self {
            Self::Json(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// JSON `null`.
    #[must_use]
    pub const fn null() -> Self {
        Self::Json(Bytes::from_static(b"null"))
    }
}

/// The name of an event: 1 to 255 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventName(Arc<str>);

/// Why a text is not an event name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no event name; expected 1 to 255 bytes without control characters")]
pub struct EventNameError {
    /// The text, cut to 64 characters.
    pub name: String,
}

impl EventName {
    /// Checks a text and makes it an event name.
    ///
    /// # Errors
    /// When the text is empty, longer than 255 bytes, or holds a control character.
    pub fn new(name: &str) -> Result<Self, EventNameError> {
        if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
            return Err(EventNameError { name: name.chars().take(64).collect() });
        }
        Ok(Self(Arc::from(name)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key by which a repeated publication is known: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// Why a text is not an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key:?} is no idempotency key; expected 1 to 255 visible ASCII characters")]
pub struct IdempotencyKeyError {
    /// The text, cut to 64 characters.
    pub key: String,
}

impl IdempotencyKey {
    /// Checks a text and makes it a key.
    ///
    /// # Errors
    /// When the text is empty, too long, or holds anything but visible ASCII.
    pub fn new(key: &str) -> Result<Self, IdempotencyKeyError> {
        if key.is_empty() || key.len() > 255 || !key.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(IdempotencyKeyError { key: key.chars().take(64).collect() });
        }
        Ok(Self(key.into()))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What somebody publishes: an event that has no place in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Where it goes.
    pub channel: Channel,
    /// What happened.
    pub name: EventName,
    /// What there is to say about it.
    pub payload: Payload,
}

/// One event of the log.
#[derive(Debug)]
pub struct Event {
    /// Its place in the log.
    pub offset: Offset,
    /// The channel it was published to.
    pub channel: Channel,
    /// What happened.
    pub name: EventName,
    /// When the log took it.
    pub time: Timestamp,
    /// What there is to say about it.
    pub payload: Payload,
    encodings: [OnceLock<Bytes>; ENCODING_SLOTS],
}

impl Event {
    /// Gives a publication its place.
    #[must_use]
    pub fn new(offset: Offset, time: Timestamp, publication: Publication) -> Self {
        let Publication { channel, name, payload } = publication;
        Self { offset, channel, name, time, payload, encodings: Default::default() }
    }

    /// The bytes a codec made of this event; `encode` runs at most once a slot.
    ///
    /// Cost: one atomic load once it is there.
    ///
    /// # Panics
    /// When `slot` is not below [`ENCODING_SLOTS`]: a bug of the codec.
    pub fn encoding(&self, slot: usize, encode: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.encodings[slot].get_or_init(|| encode(self))
    }

    /// What the event weighs in memory limits, in bytes: its texts and payload plus a constant for the
    /// structure around them. Retention by bytes counts the same, so a limit means the same in every engine.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        let content = self.channel.as_str().len() + self.name.as_str().len() + self.payload.as_bytes().len();
        content as u64 + EVENT_OVERHEAD_BYTES
    }
}

/// What an event costs beside its content: the structure and its places in the tail and the store.
const EVENT_OVERHEAD_BYTES: u64 = 64;

impl PartialEq for Event {
    /// Two events are equal when their content is; what codecs left in them does not count.
    fn eq(&self, other: &Self) -> bool {
        self.offset == other.offset
            && self.time == other.time
            && self.channel == other.channel
            && self.name == other.name
            && self.payload == other.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_encoded_once_a_slot() {
        let publication = Publication {
            channel: Channel::new("a").expect("a name"),
            name: EventName::new("x").expect("a name"),
            payload: Payload::null(),
        };
        let event = Event::new(Offset::new(1), Timestamp::from_millis(0), publication);
        let first = event.encoding(0, |_| Bytes::from_static(b"first")).clone();
        let again = event.encoding(0, |_| Bytes::from_static(b"again")).clone();
        assert_eq!((first.as_ref(), again.as_ref()), (&b"first"[..], &b"first"[..]));
        assert_eq!(event.encoding(1, |_| Bytes::from_static(b"other")).as_ref(), b"other");
    }
}
