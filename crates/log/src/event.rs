//! Events and what is published to make them.
//!
//! Invariant: an event never changes. Beside its content it has [`ENCODING_SLOTS`] places in which a codec
//! may leave the bytes it made of it, so that an event is encoded at most once a protocol however many
//! readers it has.

use std::{
    borrow::Borrow,
    hash::{BuildHasher as _, Hasher as _},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

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
///
/// ```text
///  of a back end   key
///  of a client     scope SP key               the scope tells clients apart
///                  scope SP SP digest         where that would have more than 255 bytes
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// The longest key, with its scope, in bytes.
const KEY_BYTES_MAX: usize = 255;

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
        if is_key(key) {
            return Ok(Self(key.into()));
        }
        Err(IdempotencyKeyError { key: key.chars().take(64).collect() })
    }

    /// The key that a log has kept, as [`IdempotencyKey::as_str`] gives it.
    ///
    /// # Errors
    /// When it is none.
    pub fn stored(text: &str) -> Result<Self, IdempotencyKeyError> {
        match text.split_once(' ') {
            Some((scope, key)) if is_key(scope) && is_key(key.strip_prefix(' ').unwrap_or(key)) => {
                Ok(Self(text.into()))
            }
            _ => Self::new(text),
        }
    }

    /// The same key as one of a client's own: it says nothing about the same key of anybody else. The scope
    /// is of at most 64 visible ASCII characters; in others they are left out.
    #[must_use]
    pub fn within(&self, scope: &str) -> Self {
        let scope: String = scope.chars().filter(char::is_ascii_graphic).take(64).collect();
        if scope.len() + 1 + self.0.len() <= KEY_BYTES_MAX {
            return Self(format!("{scope} {}", self.0).into());
        }
        // Whoever finds two keys of one digest has confused their own publications only.
        let digest = [0x616e_7977, 0x6972_656b].map(|seed| {
            let mut hasher = foldhash::fast::FixedState::with_seed(seed).build_hasher();
            hasher.write(self.0.as_bytes());
            hasher.finish()
        });
        Self(format!("{scope}  {:016x}{:016x}", digest[0], digest[1]).into())
    }

    /// Whose it is; empty where it is a back end's.
    #[must_use]
    pub fn scope(&self) -> &str {
        self.0.split_once(' ').map_or("", |(scope, _)| scope)
    }

    /// The key as it was given, or its digest.
    #[must_use]
    pub fn given(&self) -> &str {
        self.0.rsplit_once(' ').map_or(&self.0, |(_, key)| key)
    }

    /// The key as a log keeps it, with its scope.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for IdempotencyKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn is_key(text: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic())
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
    /// Where the memory of its encodings is counted.
    counted: OnceLock<EncodedBytes>,
}

/// How much memory the encodings of events take, in bytes: of all that were given this counter and are alive.
#[derive(Debug, Clone, Default)]
pub(crate) struct EncodedBytes(Arc<AtomicI64>);

impl EncodedBytes {
    /// How much.
    pub(crate) fn get(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }

    fn add(&self, bytes: i64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Event {
    /// Gives a publication its place.
    #[must_use]
    pub fn new(offset: Offset, time: Timestamp, publication: Publication) -> Self {
        let Publication { channel, name, payload } = publication;
        Self { offset, channel, name, time, payload, encodings: Default::default(), counted: OnceLock::new() }
    }

    /// The bytes a codec made of this event; `encode` runs at most once a slot.
    ///
    /// Cost: one atomic load once it is there.
    ///
    /// # Panics
    /// When `slot` is not below [`ENCODING_SLOTS`]: a bug of the codec.
    pub fn encoding(&self, slot: usize, encode: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.encodings[slot].get_or_init(|| {
            let encoded = encode(self);
            if let Some(counted) = self.counted.get() {
                counted.add(encoded_memory_bytes(&encoded));
            }
            encoded
        })
    }

    /// From now on the memory of its encodings is counted here. To be called before anybody encodes it.
    pub(crate) fn count_encodings(&self, counted: &EncodedBytes) {
        let _first = self.counted.set(counted.clone());
    }

    /// What the event takes in memory without its encodings, in bytes, as the allocator hands it out.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let texts =
            [self.channel.as_str(), self.name.as_str()].map(|text| allocated(text.len() + COUNTS_BYTES));
        let parts = texts.iter().sum::<usize>() + allocated(self.payload.as_bytes().len());
        (allocated(size_of::<Self>() + COUNTS_BYTES) + parts) as u64
    }

    /// What the event weighs in memory limits, in bytes: its texts and payload plus a constant for the
    /// structure around them. Retention by bytes counts the same, so a limit means the same in every engine.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        let content = self.channel.as_str().len() + self.name.as_str().len() + self.payload.as_bytes().len();
        content as u64 + EVENT_OVERHEAD_BYTES
    }
}

/// What retention counts for an event beside its content. It is the same in every engine and on the disk, so
/// it is no measure of memory: that is [`Event::memory_bytes`].
const EVENT_OVERHEAD_BYTES: u64 = 64;
/// The reference counts before what is shared.
const COUNTS_BYTES: usize = 2 * size_of::<usize>();
/// What an encoding has beside its bytes: what shares them, and what was allocated for them and not used.
const ENCODING_OVERHEAD_BYTES: usize = 64;

/// What an allocator takes for so many bytes: sizes are rounded up to steps of an eighth of the next power of
/// two (mimalloc, jemalloc), small ones to 16.
pub(crate) const fn allocated(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=128 => bytes.next_multiple_of(16),
        _ => bytes.next_multiple_of(bytes.next_power_of_two() / 8),
    }
}

fn encoded_memory_bytes(encoded: &Bytes) -> i64 {
    i64::try_from(allocated(encoded.len() + ENCODING_OVERHEAD_BYTES)).unwrap_or(i64::MAX)
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Some(counted) = self.counted.get() {
            let encodings = self.encodings.iter().filter_map(OnceLock::get);
            counted.add(-encodings.map(encoded_memory_bytes).sum::<i64>());
        }
    }
}

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
    fn encodings_are_counted_as_long_as_their_event_is_there() {
        let counted = EncodedBytes::default();
        let publication = |payload| Publication {
            channel: Channel::new("a").expect("a name"),
            name: EventName::new("x").expect("a name"),
            payload,
        };
        let event = Event::new(Offset::new(1), Timestamp::from_millis(0), publication(Payload::null()));
        event.count_encodings(&counted);
        event.encoding(0, |_| Bytes::from_static(&[0; 1000]));
        event.encoding(0, |_| Bytes::from_static(&[0; 1000]));
        assert_eq!(counted.get(), 1280);
        event.encoding(1, |_| Bytes::from_static(&[0; 100]));
        assert_eq!(counted.get(), 1280 + 192);
        let larger = Payload::Binary(Bytes::from_static(&[0; 5000]));
        let larger = Event::new(Offset::new(1), Timestamp::from_millis(0), publication(larger));
        assert_eq!(larger.memory_bytes() - event.memory_bytes(), 5120 - 16);
        drop(event);
        assert_eq!(counted.get(), 0);
    }

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
    #[test]
    fn a_key_of_a_client_is_kept_with_its_scope_whatever_its_length() {
        for length in [1, 100, 234, 235, 255] {
            let key = IdempotencyKey::new(&"k".repeat(length)).expect("a key");
            let own = key.within("0123456789abcdefghij");
            assert!(own.as_str().len() <= 255, "{length}");
            assert_eq!((own.scope(), key.scope()), ("0123456789abcdefghij", ""));
            assert_eq!(IdempotencyKey::stored(own.as_str()), Ok(own.clone()), "{length}");
            assert_eq!(IdempotencyKey::stored(key.as_str()), Ok(key.clone()), "{length}");
            assert_ne!(own, key.within("other"));
            assert_eq!(own.given() == key.as_str(), length <= 234, "{length}");
            assert!(IdempotencyKey::new(own.as_str()).is_err(), "nobody gives the key of somebody else");
        }
        let long = |last: &str| IdempotencyKey::new(&("k".repeat(254) + last)).expect("a key").within("s");
        assert_ne!(long("a"), long("b"));
        for text in ["", " ", "a ", " a", "a   b", "a b c"] {
            assert!(IdempotencyKey::stored(text).is_err(), "{text:?}");
        }
    }
}
