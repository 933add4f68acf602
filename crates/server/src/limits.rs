//! What the system lets this process have.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that are not connections: the log's files, uploads, the listeners, the runtime.
const RESERVE: u64 = 200;

/// Raises the limit of open files as far as the system allows, and returns how many connections there may be:
/// as many as are configured, or as many as the system has descriptors for.
pub(crate) fn fit_connections(connections_max: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files could not be raised");
    }
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let fitting = connections_within(open_files);
    if fitting >= connections_max {
        return connections_max;
    }
    tracing::warn!(
        open_files,
        connections = fitting,
        "limits.connections_max = {connections_max} needs more open files than the system allows; raise that with \
         `ulimit -n` or LimitNOFILE="
    );
    fitting
}

/// How many connections so many descriptors are enough for. Those over the limit have one too while they are
/// told so.
fn connections_within(open_files: u64) -> usize {
    // Where there are very few, the log manages with less: it can close files and open them again.
    let room = open_files.saturating_sub(RESERVE.min(open_files / 2));
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let fits = |connections: usize| {
        connections.saturating_add(anywire_gateway::turned_away_at_once(connections)) <= room
    };
    let most = room.saturating_sub(anywire_gateway::turned_away_at_once(room));
    let spare = room - most;
    (most..=most + spare).rev().find(|connections| fits(*connections)).unwrap_or(most).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_log() {
        let check = |open_files: u64, connections: usize| {
            assert_eq!(connections_within(open_files), connections, "of {open_files}");
        };
        check(64, 28);
        check(256, 114);
        check(1024, 760);
        check(19_264, 19_000);
        check(65_536, 65_272);
        check(2, 1);
    }
}
