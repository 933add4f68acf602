//! How much memory the process may use, and how much of it defaults take.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A limit above this is none.
const UNLIMITED: u64 = 1 << 60;

/// How large the parts are whose size is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// The newest events in memory.
    pub(crate) tail_bytes: u64,
    /// The events of channels that are not durable.
    pub(crate) ephemeral_bytes: u64,
    /// Batches that wait for their commit.
    pub(crate) queue_bytes: u64,
    /// A segment of the log: it is read whole when it is merged or mended.
    pub(crate) segment_bytes: u64,
    /// Requests that have not come whole.
    pub(crate) unfinished_bytes: u64,
}

impl Shares {
    const DEFAULT_BYTES: u64 = 64 << 20;

    /// What fits into so much memory; docs/deploying.md has the sum.
    pub(crate) fn of(limit: Option<u64>) -> Self {
        let part =
            |parts: u64| limit.map_or(Self::DEFAULT_BYTES, |limit| Self::DEFAULT_BYTES.min(limit / parts));
        Self {
            tail_bytes: part(8),
            ephemeral_bytes: part(8),
            queue_bytes: part(16),
            segment_bytes: part(16),
            unfinished_bytes: part(8),
        }
    }
}

/// How much memory this process may use: the smallest limit of its control groups, or what the machine has.
pub(crate) fn limit() -> Option<u64> {
    limit_under(Path::new("/"))
}

fn limit_under(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
        match controllers {
            "" => Some((root.join("sys/fs/cgroup"), group, "memory.max")),
            _ if controllers.split(',').any(|one| one == "memory") => {
                Some((root.join("sys/fs/cgroup/memory"), group, "memory.limit_in_bytes"))
            }
            _ => None,
        }
    });
    let limits = limits.flat_map(|(mount, group, file)| files_of(&mount, group, file));
    let limits = limits.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    limits.chain(machine(root)).filter(|limit| *limit < UNLIMITED).min()
}

/// The files with the limits of a group and of those that it is in. In a container the innermost may stand
/// where the outermost is elsewhere.
fn files_of(mount: &Path, group: &str, file: &str) -> Vec<PathBuf> {
    let group = Path::new(group.trim_start_matches('/'));
    group.ancestors().map(|group| mount.join(group).join(file)).collect()
}

fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit where these files are there.
    fn limit_with(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        limit_under(root.path())
    }

    #[test]
    fn the_smallest_limit_of_the_groups_around_counts() {
        let meminfo = ("proc/meminfo", "MemTotal:       24105 kB\nMemFree: 1 kB\n");
        assert_eq!(limit_with(&[]), None);
        assert_eq!(limit_with(&[meminfo]), Some(24_105 << 10));
        let v2 = ("proc/self/cgroup", "0::/system.slice/anywire.service\n");
        let inner = ("sys/fs/cgroup/system.slice/anywire.service/memory.max", "max\n");
        let outer = ("sys/fs/cgroup/system.slice/memory.max", "134217728\n");
        assert_eq!(limit_with(&[v2, inner, outer]), Some(128 << 20));
        assert_eq!(limit_with(&[v2, inner, outer, meminfo]), Some(24_105 << 10));
        let v1 = ("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/docker/1f\n0::/\n");
        let unlimited = ("sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit_with(&[v1, unlimited]), None);
        let container = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
        assert_eq!(limit_with(&[v1, container]), Some(128 << 20));
    }

    #[test]
    fn the_parts_fit_into_little_memory_and_are_the_defaults_in_much() {
        let [tail_bytes, ephemeral_bytes, queue_bytes, segment_bytes, unfinished_bytes] = [64 << 20; 5];
        let most = Shares { tail_bytes, ephemeral_bytes, queue_bytes, segment_bytes, unfinished_bytes };
        assert_eq!(Shares::of(None), most);
        assert_eq!(Shares::of(Some(1 << 30)), most);
        let [tail_bytes, ephemeral_bytes, unfinished_bytes] = [16 << 20; 3];
        let [queue_bytes, segment_bytes] = [8 << 20; 2];
        let little = Shares { tail_bytes, ephemeral_bytes, queue_bytes, segment_bytes, unfinished_bytes };
        assert_eq!(Shares::of(Some(128 << 20)), little);
    }
}
