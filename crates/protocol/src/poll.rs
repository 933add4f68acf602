//! Answers to polls (PROTOCOL.md, section 6): bodies, cursors, and what caches may do with them.

use anywire_log::{Cursor, Event, Gap};
use bytes::Bytes;
use std::sync::Arc;

use crate::{
    json::{event_size_hint, separate, write_cursor, write_event, write_gap},
    slots,
};

/// The most events of one answer.
pub const EVENTS_MAX: usize = 1000;
/// About the most payload bytes of one answer.
pub const BYTES_MAX: usize = 1 << 20;

/// What a cache may do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caching {
    /// Not at all.
    Never,
    /// Keep it for a second: it leads on to the newest by its own cursor.
    Briefly,
    /// Keep it: the same URL will always have this answer.
    Immutable,
}

impl Caching {
    /// The `Cache-Control` header. Answers to requests with credentials are for that client alone.
    #[must_use]
    pub const fn header(self, credentials: bool) -> &'static str {
        match (self, credentials) {
            (Self::Immutable, false) => "public, max-age=3600, immutable",
            (Self::Immutable, true) => "private, max-age=3600, immutable",
            (Self::Briefly, false) => "public, max-age=1",
            (Self::Briefly, true) => "private, max-age=1",
            (Self::Never, _) => "no-store",
        }
    }
}

/// One answer with events or a gap (status 200).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The JSON body.
    pub body: Bytes,
    /// Where to go on.
    pub cursor: Cursor,
    /// What caches may do with it.
    pub caching: Caching,
}

impl Answer {
    /// The same answer, which caches may keep no better than this.
    #[must_use]
    pub fn at_most(self, caching: Caching) -> Self {
        Self { caching: self.caching.min(caching), ..self }
    }
}

/// Makes an answer.
///
/// `full` says that a limit cut it: such an answer never changes, if its position does not (see
/// [`Answer::at_most`]).
#[must_use]
pub fn answer(cursor: Cursor, events: &[Arc<Event>], gap: Option<&Gap>, full: bool) -> Answer {
    let size = events.iter().map(|event| event_size_hint(event)).sum::<usize>();
    let mut body = Vec::with_capacity(size + 128);
    body.extend_from_slice(b"{\"cursor\":\"");
    write_cursor(&mut body, cursor);
    body.extend_from_slice(b"\",\"events\":[");
    for (index, event) in events.iter().enumerate() {
        separate(&mut body, index);
        body.extend_from_slice(event_json(event));
    }
    body.extend_from_slice(b"],\"gap\":");
    match gap {
        Some(gap) => write_gap(&mut body, "", gap),
        None => body.extend_from_slice(b"null"),
    }
    body.push(b'}');
    let caching = match (gap.is_some() || events.is_empty(), full) {
        (true, _) => Caching::Never,
        (false, true) => Caching::Immutable,
        (false, false) => Caching::Briefly,
    };
    Answer { body: body.into(), cursor, caching }
}

/// An event's JSON, made once.
fn event_json(event: &Event) -> &Bytes {
    event.encoding(slots::POLL, |event| {
        let mut out = Vec::with_capacity(event_size_hint(event));
        write_event(&mut out, "", event);
        out.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_is_never_kept_and_a_full_one_for_ever() {
        let cursor: Cursor = "1f0c93ab-5".parse().expect("a cursor");
        let empty = answer(cursor, &[], None, false);
        assert_eq!(empty.body.as_ref(), br#"{"cursor":"1f0c93ab-5","events":[],"gap":null}"#);
        assert_eq!(empty.caching, Caching::Never);
        assert_eq!(Caching::Immutable.header(true), "private, max-age=3600, immutable");
        assert_eq!(empty.at_most(Caching::Immutable).caching, Caching::Never);
    }
}
