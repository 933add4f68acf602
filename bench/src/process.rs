//! What a process and its children have cost: processor time and resident memory, read from `/proc`.
//!
//! Processor time comes from `schedstat` (nanoseconds on a processor, summed over all threads) where the kernel has it,
//! else from `stat` (ticks of 10 ms). Time of threads that have ended is missing from the first.
//!
//! Knows: `/proc`. Does not know: what the processes are.

use std::fs;

/// Length of a tick in `/proc/PID/stat`; 100 Hz on every Linux a user meets.
const TICK_NS: u64 = 10_000_000;

/// A process and everything it started (nginx works in a child of its master).
#[derive(Debug, Clone)]
pub(crate) struct Processes(Vec<u32>);

impl Processes {
    /// The process and its descendants as they are now.
    pub(crate) fn of(root: u32) -> Self {
        let parents = all_parents();
        let mut family = vec![root];
        let mut at = 0;
        while at < family.len() {
            let parent = family[at];
            family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        Self(family)
    }

    /// This process alone.
    pub(crate) fn own() -> Self {
        Self(vec![std::process::id()])
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Nanoseconds of processor time used so far.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.0.iter().map(|pid| cpu_ns(*pid)).sum()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.0.iter().map(|pid| resident_bytes(*pid)).sum()
    }
}

fn all_parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, parent_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

fn cpu_ns(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let scheduled: u64 = threads
        .into_iter()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| schedstat_ns(&text))
        .sum();
    if scheduled > 0 {
        return scheduled;
    }
    fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|text| stat_ns(&text)).unwrap_or(0)
}

fn resident_bytes(pid: u32) -> u64 {
    let read = |file: &str, key: &str| {
        fs::read_to_string(format!("/proc/{pid}/{file}")).ok().and_then(|text| kilobytes(&text, key))
    };
    // smaps_rollup counts pages; status keeps a counter a thread and may lag by some hundred kilobytes.
    read("smaps_rollup", "Rss:").or_else(|| read("status", "VmRSS:")).unwrap_or(0)
}

fn schedstat_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// Fields after the command's name, which may itself hold spaces and parentheses.
fn stat_fields(text: &str) -> Option<Vec<&str>> {
    Some(text.rsplit_once(')')?.1.split_ascii_whitespace().collect())
}

fn parent_of(stat: &str) -> Option<u32> {
    stat_fields(stat)?.get(1)?.parse().ok()
}

fn stat_ns(stat: &str) -> Option<u64> {
    let fields = stat_fields(stat)?;
    let user: u64 = fields.get(11)?.parse().ok()?;
    let system: u64 = fields.get(12)?.parse().ok()?;
    Some((user + system) * TICK_NS)
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    let number: u64 = line[key.len()..].split_ascii_whitespace().next()?.parse().ok()?;
    Some(number * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_a_name_with_spaces_and_parentheses() {
        let stat = "42 (a (b) c) S 7 42 42 0 -1 4194560 100 0 0 0 12 34 0 0 20 0 1 0 100 1000 10";
        assert_eq!(parent_of(stat), Some(7));
        assert_eq!(stat_ns(stat), Some(46 * TICK_NS));
    }

    #[test]
    fn schedstat_counts_nanoseconds_on_a_processor() {
        assert_eq!(schedstat_ns("587492196 68637 7\n"), Some(587_492_196));
        assert_eq!(schedstat_ns(""), None);
    }

    #[test]
    fn resident_memory_is_found_by_its_key() {
        let text = "55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss:                1780 kB\nPss: 3 kB\n";
        assert_eq!(kilobytes(text, "Rss:"), Some(1780 * 1024));
        assert_eq!(kilobytes(text, "VmRSS:"), None);
    }

    #[test]
    fn a_running_process_has_used_processor_time_and_memory() {
        let own = Processes::of(std::process::id());
        assert!(own.cpu_ns() > 0);
        assert!(own.resident_bytes() > 0);
    }
}
