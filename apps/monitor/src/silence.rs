//! How long hosts have been silent. It is measured by a clock that nobody sets: a wall clock that is put
//! ahead makes no host silent, and one that is put back hides none.
//!
//! Invariant: silence begins at the start of this server at the earliest: nobody could be heard before.

use std::{collections::HashMap, time::Duration};

use anywire_log::Offset;
use tokio::time::Instant;

use crate::domain::HostName;

/// A host of which nothing was heard for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Silent {
    pub(crate) host: HostName,
    /// Where its newest sample is.
    pub(crate) newest: Offset,
    /// For how long.
    pub(crate) silent: Duration,
}

/// When each host was last heard of.
#[derive(Debug, Default)]
pub(crate) struct Silences {
    heard: HashMap<HostName, (Offset, Instant)>,
}

impl Silences {
    /// Takes note of the newest samples of all hosts; says how long each has been silent.
    pub(crate) fn of(&mut self, newest: &[(HostName, Offset)]) -> Vec<Silent> {
        let now = Instant::now();
        let before = std::mem::take(&mut self.heard);
        let since = |name: &HostName, offset: &Offset| match before.get(name) {
            Some((seen, at)) if seen == offset => *at,
            _ => now,
        };
        self.heard = newest.iter().map(|(host, at)| (host.clone(), (*at, since(host, at)))).collect();
        let silent = |(host, at): &(HostName, Offset)| Silent {
            host: host.clone(),
            newest: *at,
            silent: now - since(host, at),
        };
        newest.iter().map(silent).collect()
    }
}
