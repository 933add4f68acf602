//! The audit trail: who did what to whom, from where; events on the channel `$audit`.

use std::{collections::HashMap, sync::Arc};

use anywire_access::{AUDIT_CHANNEL, Caller};
use anywire_app::time;
use anywire_log::{Channel, Event, Followed, Log, Position, Publication, ReadError, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::records::{WriteError, publication};

/// How often one and the same refusal is written down at most.
const REFUSALS_EVERY_MS: u64 = 60_000;
/// How many kinds of refusals are counted at once; more are written down by nobody until a minute is over.
const REFUSALS_MAX: usize = 10_000;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Who did it: the id of a principal, or what is no one's.
    pub(crate) who: String,
    /// What they are called.
    pub(crate) name: Option<String>,
    /// What they did, such as `sign-in`.
    pub(crate) what: &'static str,
    /// To whom or what.
    pub(crate) whom: Option<String>,
    /// From where; none where it was done on the server's own machine, on its files.
    pub(crate) address: Option<String>,
    /// What more there is to say.
    pub(crate) detail: Option<String>,
}

impl Entry {
    /// An entry about what a caller did.
    pub(crate) fn of(caller: &Caller, what: &'static str) -> Self {
        Self {
            who: caller.principal.id().to_owned(),
            name: caller.principal.name().map(str::to_owned),
            what,
            whom: None,
            address: Some(caller.address.to_string()).filter(|_| !caller.address.is_unspecified()),
            detail: None,
        }
    }

    #[must_use]
    pub(crate) fn whom(self, whom: impl Into<String>) -> Self {
        Self { whom: Some(whom.into()), ..self }
    }

    #[must_use]
    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    pub(crate) fn publication(&self) -> Result<Publication, WriteError> {
        publication(AUDIT_CHANNEL, self.what, self)
    }
}

/// One entry as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AuditEntry {
    /// Where it stands: ask for what comes `after` it.
    pub(crate) cursor: String,
    #[serde(with = "time::iso_text")]
    pub(crate) time: Timestamp,
    /// What was done: `sign-in`, `sign-in-refused`, `sign-out`, `user-added`, ….
    pub(crate) what: String,
    /// Who did it: an id.
    pub(crate) who: String,
    /// What they are called.
    pub(crate) name: Option<String>,
    /// To whom or what.
    pub(crate) whom: Option<String>,
    /// From where; `null` where it was done at the server's own files.
    pub(crate) address: Option<String>,
    /// What more there is to say.
    pub(crate) detail: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    who: String,
    name: Option<String>,
    whom: Option<String>,
    address: Option<String>,
    detail: Option<String>,
}

impl AuditEntry {
    fn of(log: &Log, event: &Event) -> Option<Self> {
        let written: Written = serde_json::from_slice(event.payload.as_bytes()).ok()?;
        let Written { who, name, whom, address, detail } = written;
        let (cursor, what) = (log.cursor(event.offset).to_string(), event.name.as_str().to_owned());
        Some(Self { cursor, time: event.time, what, who, name, whom, address, detail })
    }
}

/// Up to `max` entries from a position on.
pub(crate) async fn read(
    log: &Arc<Log>,
    channel: &Channel,
    position: Position,
    max: usize,
) -> Result<Vec<AuditEntry>, ReadError> {
    let mut entries = Vec::new();
    let mut follow = log.follow(std::slice::from_ref(channel), position);
    while let Some(found) = follow.ready().await? {
        let Followed::Events(events) = found else { continue };
        for event in &events {
            if entries.len() == max {
                return Ok(entries);
            }
            entries.extend(AuditEntry::of(log, event));
        }
    }
    Ok(entries)
}

/// Refusals, of which many are alike: one of a kind is written down a minute, with how many there were.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<String, Count, foldhash::fast::RandomState>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    since: u64,
    written_at: Timestamp,
}

impl Refusals {
    /// Counts one; how many there were since the last that was written down, if this one is to be.
    pub(crate) fn count(&self, kind: &str, now: Timestamp) -> Option<u64> {
        let mut counts = self.0.lock();
        if let Some(count) = counts.get_mut(kind) {
            count.since += 1;
            if now.millis_since(count.written_at) < REFUSALS_EVERY_MS {
                return None;
            }
            count.written_at = now;
            return Some(std::mem::take(&mut count.since));
        }
        if counts.len() >= REFUSALS_MAX {
            counts.retain(|_, count| now.millis_since(count.written_at) < REFUSALS_EVERY_MS);
        }
        if counts.len() >= REFUSALS_MAX {
            return None;
        }
        counts.insert(kind.to_owned(), Count { since: 0, written_at: now });
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_one_kind_are_written_down_once_a_minute_with_their_number() {
        let refusals = Refusals::default();
        let at = |ms| Timestamp::from_millis(ms);
        assert_eq!(refusals.count("anna", at(0)), Some(1));
        for ms in 1..=3 {
            assert_eq!(refusals.count("anna", at(ms)), None);
        }
        assert_eq!(refusals.count("ben", at(4)), Some(1), "another kind");
        assert_eq!(refusals.count("anna", at(60_000)), Some(4));
        for number in 0..2 * REFUSALS_MAX {
            let _counted = refusals.count(&number.to_string(), at(60_001));
        }
        assert!(refusals.0.lock().len() <= REFUSALS_MAX);
    }
}
