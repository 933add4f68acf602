//! What a process and its children have cost: processor time and resident memory, read from `/proc`.
//!
//! Processor time comes from `schedstat` (nanoseconds on a processor, summed over all threads that live)
//! where the kernel has it, and from `stat` (ticks of 10 ms, threads that have ended included). What the
//! second has more is what ended threads used: without it a server whose idle threads end would seem to give
//! time back.

use std::{cell::Cell, fs, thread, time::Duration};

/// Length of a tick in `/proc/PID/stat`; 100 Hz on every Linux a user meets.
const TICK_NS: u64 = 10_000_000;

/// `stat` is rounded down to a tick, once for user and once for system time: a difference below that may be
/// rounding.
const ROUNDING_NS: u64 = 2 * TICK_NS;

/// After connecting, until memory is read: buffers of the handshakes are given back meanwhile.
const SETTLE: Duration = Duration::from_millis(1500);
const SETTLE_FEW: Duration = Duration::from_millis(200);

/// A process and everything it started (nginx works in a child of its master).
#[derive(Debug, Clone)]
pub(crate) struct Processes(Vec<Process>);

#[derive(Debug, Clone)]
struct Process {
    pid: u32,
    /// Processor time of its threads that have ended, as far as it was noticed. It only grows.
    ended_ns: Cell<u64>,
}

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
        Self(family.into_iter().map(Process::new).collect())
    }

    /// This process alone.
    pub(crate) fn own() -> Self {
        Self(vec![Process::new(std::process::id())])
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Nanoseconds of processor time used so far.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.0.iter().map(Process::cpu_ns).sum()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.0.iter().map(|process| resident_bytes(process.pid)).sum()
    }

    /// Bytes by which resident memory has grown since it was `before`, for each connection that was made
    /// since. Waits until the handshakes are forgotten.
    pub(crate) fn bytes_per_connection(&self, before: u64, connections: usize) -> f64 {
        thread::sleep(if connections < 500 { SETTLE_FEW } else { SETTLE });
        self.resident_bytes().saturating_sub(before) as f64 / connections.max(1) as f64
    }
}

impl Process {
    fn new(pid: u32) -> Self {
        Self { pid, ended_ns: Cell::new(0) }
    }

    fn cpu_ns(&self) -> u64 {
        // First the one that may lack a thread which ends in between: the time of one that lives is never
        // taken for an ended one's.
        let counted =
            fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok().and_then(|text| stat_ns(&text));
        let (counted, scheduled) = (counted.unwrap_or(0), scheduled_ns(self.pid));
        let ended = ended_ns(self.ended_ns.get(), counted, scheduled);
        self.ended_ns.set(ended);
        scheduled + ended
    }
}

/// Processor time of ended threads: what was known of it, or what the whole process has more than its living
/// threads.
fn ended_ns(known: u64, counted: u64, scheduled: u64) -> u64 {
    let more = counted.saturating_sub(scheduled);
    // Without `schedstat` everything counts as ended, and grows tick by tick.
    if scheduled == 0 || more > known + ROUNDING_NS { more.max(known) } else { known }
}

fn all_parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, parent_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// Nanoseconds of all threads that live.
fn scheduled_ns(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads
        .into_iter()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| schedstat_ns(&text))
        .sum()
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
    fn what_ended_threads_used_is_not_given_back() {
        let ms = |count: u64| count * 1_000_000;
        // All threads live; `stat` is behind by its rounding.
        assert_eq!(ended_ns(0, ms(990), ms(1_005)), 0);
        // A thread that used 200 ms has ended.
        assert_eq!(ended_ns(0, ms(1_190), ms(1_000)), ms(190));
        // Nothing ended since: rounding is no reason to change it.
        assert_eq!(ended_ns(ms(190), ms(1_400), ms(1_201)), ms(190));
        assert_eq!(ended_ns(ms(190), ms(1_390), ms(1_210)), ms(190));
        // A kernel without `schedstat`.
        assert_eq!(ended_ns(ms(190), ms(200), 0), ms(200));
    }

    #[test]
    fn a_thread_that_ends_takes_no_time_away() {
        let own = Processes::own();
        let busy = std::thread::spawn(|| {
            let mut sum = 0_u64;
            let own = Processes::own();
            while own.cpu_ns() < 100_000_000 {
                sum = (0..100_000_u64).fold(sum, u64::wrapping_add);
            }
            sum
        });
        let _sum = busy.join().expect("it only adds");
        assert!(own.cpu_ns() >= 100_000_000 - ROUNDING_NS);
    }

    #[test]
    fn a_running_process_has_used_processor_time_and_memory() {
        let own = Processes::of(std::process::id());
        assert!(own.cpu_ns() > 0);
        assert!(own.resident_bytes() > 0);
    }
}
