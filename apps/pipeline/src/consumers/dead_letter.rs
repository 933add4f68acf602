//! Dead letters: records that failed, with headers that say where they come from and why they are here.

use anywire_app::time::iso;
use bytes::Bytes;

use crate::{
    domain::{ConsumerId, LogId},
    events::{Change, DeadLettered},
    topics::{NewRecord, Place, Record},
};

pub(super) fn dead_lettered(record: &Record, place: Place) -> Change {
    Change::DeadLettered(DeadLettered {
        log_id: LogId::of(record),
        topic: place.partition.topic.as_str().to_owned(),
        partition: place.partition.number,
        offset: place.offset,
    })
}

/// A record as it was, with headers that say where it comes from and why it is here.
pub(super) fn dead_letter(record: &Record, reason: &str, consumer: &ConsumerId) -> NewRecord {
    let Place { partition, offset } = &record.place;
    let mut letter = record.content.clone();
    letter.headers.extend([
        mark("reason", reason.to_owned()),
        mark("topic", partition.topic.as_str().to_owned()),
        mark("partition", partition.number.to_string()),
        mark("offset", offset.to_string()),
        mark("time", iso(record.time)),
        mark("consumer", consumer.as_str().to_owned()),
    ]);
    letter
}

/// A dead letter with nothing but what it says: the record stays where it was, and that is written on it.
pub(super) fn empty_letter(letter: NewRecord, bytes: usize) -> NewRecord {
    let mut headers = letter.headers;
    headers.retain(|(name, _)| name.starts_with(DEAD_LETTER_PREFIX));
    headers.push(mark(LEFT_OUT, format!("{bytes} bytes, more than this topic takes")));
    NewRecord { key: None, headers, value: None }
}

/// Whether a dead letter does not hold its record.
pub(crate) fn is_empty_letter(letter: &NewRecord) -> bool {
    let left_out = |name: &str| name.strip_prefix(DEAD_LETTER_PREFIX) == Some(LEFT_OUT);
    letter.headers.iter().any(|(name, _)| left_out(name))
}

fn mark(name: &str, value: String) -> (String, Option<Bytes>) {
    (format!("{DEAD_LETTER_PREFIX}{name}"), Some(Bytes::from(value)))
}

/// The header of a dead letter whose record was left out.
const LEFT_OUT: &str = "left-out";

/// What the names of the headers begin with that a dead letter got.
pub(crate) const DEAD_LETTER_PREFIX: &str = "anywire-dead-letter-";

#[cfg(test)]
mod tests {
    use anywire_log::Timestamp;

    use super::*;
    use crate::topics::{Partition, TopicName};

    #[test]
    fn a_dead_letter_that_does_not_fit_says_where_its_record_is_and_leaves_it_out() {
        let partition = Partition { topic: TopicName::new("t").expect("a name"), number: 3 };
        let content = NewRecord {
            key: Some(Bytes::from_static(b"k")),
            headers: vec![("own".to_owned(), None)],
            value: Some(Bytes::from_static(b"v")),
        };
        let place = Place { partition, offset: 7 };
        let record = Record { place, time: Timestamp::from_millis(0), content: content.clone() };
        let letter = dead_letter(&record, "bad", &ConsumerId::new("c").expect("a name"));
        assert_eq!(
            (&letter.key, &letter.value, &letter.headers[0]),
            (&content.key, &content.value, &content.headers[0])
        );
        assert!(!is_empty_letter(&letter));
        let letter = empty_letter(letter, 2_000_000);
        assert!(is_empty_letter(&letter) && letter.key.is_none() && letter.value.is_none());
        let said = |name: &str| {
            letter.headers.iter().find(|(header, _)| header == name).and_then(|(_, value)| value.clone())
        };
        assert_eq!(said("anywire-dead-letter-offset").as_deref(), Some(&b"7"[..]));
        assert_eq!(said("anywire-dead-letter-reason").as_deref(), Some(&b"bad"[..]));
        assert_eq!(said("own"), None);
    }
}
