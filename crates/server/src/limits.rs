//! What the system lets this process have.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that are not connections: files, the listener, the runtime.
const RESERVE: u64 = 200;

/// Raises the limit of open files as far as the system allows, and warns when it is too low for the
/// configured connections.
pub(crate) fn raise_open_files(connections_max: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files could not be raised");
    }
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = connections_max as u64 + RESERVE;
    if open_files < wanted {
        tracing::warn!(
            open_files,
            wanted,
            "the system allows fewer open files than limits.connections_max needs; raise it with `ulimit -n`"
        );
    }
}
