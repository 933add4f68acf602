//! Who reports under which name: how far a host's clock is off, and whether two machines share a name.
//!
//! Invariant: known since the start of this server only, and of no more hosts than may report.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::domain::{HostName, clocks::shift};

/// How many instances of a host are remembered.
const INSTANCES_MAX: usize = 16;
/// For how long two instances that took turns count as two machines.
const REMEMBERED: Duration = Duration::from_secs(300);

/// All that report.
#[derive(Debug, Default)]
pub(crate) struct Reporters {
    by_host: HashMap<HostName, Reporting>,
}

#[derive(Debug, Default)]
struct Reporting {
    /// By how much the host's times are moved, in milliseconds.
    shift_ms: i64,
    /// Who reported and when last, the newest first.
    instances: VecDeque<(String, Instant)>,
    /// When one reported again after another had.
    took_turns: Option<Instant>,
}

impl Reporters {
    /// Takes note of a report; says by how much its times are to be moved.
    pub(crate) fn heard(
        &mut self,
        host: &HostName,
        instance: Option<&str>,
        skew_ms: i64,
        hosts_max: usize,
    ) -> i64 {
        if !self.by_host.contains_key(host) && self.by_host.len() >= hosts_max {
            return shift(0, skew_ms);
        }
        let reporting = self.by_host.entry(host.clone()).or_default();
        reporting.shift_ms = shift(reporting.shift_ms, skew_ms);
        if let Some(instance) = instance {
            reporting.heard(instance);
        }
        reporting.shift_ms
    }

    /// How many machines report under a name, as far as their reports tell.
    pub(crate) fn machines(&self, host: &HostName) -> usize {
        self.by_host.get(host).map_or(1, Reporting::machines)
    }

    pub(crate) fn forget(&mut self, host: &HostName) {
        self.by_host.remove(host);
    }
}

impl Reporting {
    fn heard(&mut self, instance: &str) {
        let now = Instant::now();
        let known = self.instances.iter().position(|(one, _)| one == instance);
        // One that reports for the first time may be the last one, started anew.
        if known.is_some_and(|at| at > 0) {
            self.took_turns = Some(now);
        }
        known.and_then(|at| self.instances.remove(at));
        self.instances.push_front((instance.to_owned(), now));
        self.instances.truncate(INSTANCES_MAX);
    }

    fn machines(&self) -> usize {
        let recent = |at: &Instant| at.elapsed() < REMEMBERED;
        if !self.took_turns.as_ref().is_some_and(recent) {
            return 1;
        }
        self.instances.iter().filter(|(_, at)| recent(at)).count().max(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn instances_that_take_turns_are_several_machines_and_one_started_anew_is_none() {
        let host = HostName::new("web-1").expect("a name");
        let mut reporters = Reporters::default();
        let mut machines = |instance: &str| {
            reporters.heard(&host, Some(instance), 0, 9);
            reporters.machines(&host)
        };
        assert_eq!(["a", "a", "b", "b", "c"].map(&mut machines), [1, 1, 1, 1, 1]);
        assert_eq!(
            ["d", "c", "d"].map(&mut machines),
            [1, 4, 4],
            "c came again; a and b may be others still"
        );
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(machines("d"), 1);
        assert_eq!(machines("c"), 2);
    }

    #[test]
    fn hosts_beyond_the_limit_are_moved_and_not_remembered() {
        let name = |text: &str| HostName::new(text).expect("a name");
        let mut reporters = Reporters::default();
        assert_eq!(reporters.heard(&name("one"), None, 5000, 1), 5000);
        assert_eq!(reporters.heard(&name("one"), None, 4000, 1), 5000);
        assert_eq!(reporters.heard(&name("two"), Some("x"), 5000, 1), 5000);
        assert_eq!(reporters.heard(&name("two"), Some("y"), 4000, 1), 4000);
        assert_eq!(reporters.by_host.len(), 1);
    }
}
