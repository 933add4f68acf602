//! The collector: one look at this machine and this process.
//!
//! Only what is shown is asked for, and what is dear is asked for seldom: a look must cost less than half a
//! percent of a core at one a second. Each second: processors, memory, load, network, the process. Every ten
//! seconds: disks and open files.

use std::time::Instant;

use anywire_app::DeliveryFigures;
use sysinfo::{
    CpuRefreshKind, DiskRefreshKind, Disks, MemoryRefreshKind, Networks, Pid, ProcessRefreshKind,
    ProcessesToUpdate, RefreshKind, System, get_current_pid,
};

use crate::domain::{CORES_MAX, Cpu, DISKS_MAX, Disk, HostName, Memory, Network, Process, Sample};

/// How many looks there are between two at what is dear, at one look a second.
const SELDOM_MS: u64 = 10_000;
/// Interfaces that carry what another one carries too, or that never leave the machine.
const INNER_INTERFACES: [&str; 5] = ["lo", "veth", "docker", "br-", "virbr"];
/// File systems that are views of others or of no disk.
const NO_DISKS: [&str; 4] = ["overlay", "tmpfs", "squashfs", "devtmpfs"];
/// Below this many connections what one costs is lost in the noise.
const CONNECTIONS_MIN: u64 = 10;

/// Why nothing can be collected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this system does not tell its figures: {detail}; set monitor.collect = false")]
pub struct CollectError {
    /// What it said.
    pub detail: String,
}

/// Looks at this machine and process.
pub struct Collector {
    system: System,
    networks: Networks,
    disks: Disks,
    pid: Pid,
    started: Instant,
    /// When the last look was.
    looked: Option<Instant>,
    /// When disks were last looked at.
    disks_looked: Option<Instant>,
    shown_disks: Vec<Disk>,
    open_files: Option<u64>,
    /// The process's memory at its leanest moment without connections.
    lean_memory: Option<u64>,
}

impl Collector {
    /// Makes the first look: rates and processor times count from here. [`Heartbeat`](super::Heartbeat) says
    /// when the next one has something to tell.
    ///
    /// # Errors
    /// [`CollectError`] where the system tells nothing.
    pub fn new() -> Result<Self, CollectError> {
        let detail = |error: &dyn std::fmt::Display| CollectError { detail: error.to_string() };
        let kinds = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::everything());
        let system = System::new_with_specifics(kinds).map_err(|error| detail(&error))?;
        let pid = get_current_pid().map_err(|error| detail(&error))?;
        let mut collector = Self {
            system,
            networks: Networks::new_with_refreshed_list().map_err(|error| detail(&error))?,
            disks: Disks::new().map_err(|error| detail(&error))?,
            pid,
            started: Instant::now(),
            looked: None,
            disks_looked: None,
            shown_disks: Vec::new(),
            open_files: None,
            lean_memory: None,
        };
        collector.refresh();
        collector.look_at_disks();
        collector.open_files = count_open_files();
        collector.looked = Some(Instant::now());
        Ok(collector)
    }

    /// The name the system has.
    #[must_use]
    pub fn host_name() -> HostName {
        HostName::lossy(&System::host_name().unwrap_or_default())
    }

    /// Looks again.
    pub fn collect(&mut self, time_ms: i64, interval_ms: u32, delivery: Option<DeliveryFigures>) -> Sample {
        self.refresh();
        let seconds = self.looked.map(|looked| looked.elapsed().as_secs_f64());
        self.looked = Some(Instant::now());
        let due =
            self.disks_looked.is_none_or(|looked| looked.elapsed().as_millis() as u64 + 50 >= SELDOM_MS);
        if due {
            self.look_at_disks();
            self.open_files = count_open_files();
        }
        let process = self.process();
        let memory_per_connection = self.memory_per_connection(process.memory, delivery.as_ref());
        let load = System::load_average().map_or([0.0; 3], |load| [load.one, load.five, load.fifteen]);
        Sample {
            time: time_ms,
            interval_ms,
            cpu: self.cpu(),
            load,
            memory: self.memory(),
            disks: self.shown_disks.clone(),
            network: seconds.map(|seconds| self.network(seconds)),
            process,
            uptime_s: System::uptime().unwrap_or_default(),
            delivery,
            memory_per_connection,
        }
    }

    fn refresh(&mut self) {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[self.pid]), false, kind);
        self.networks.refresh(true);
    }

    fn cpu(&self) -> Cpu {
        let cores = self.system.cpus().iter().take(CORES_MAX);
        Cpu {
            percent: round(f64::from(self.system.global_cpu_usage()), 1),
            cores: cores.map(|core| round(f64::from(core.usage()), 1)).collect(),
        }
    }

    fn memory(&self) -> Memory {
        let (total, available) = (self.system.total_memory(), self.system.available_memory());
        Memory {
            total,
            available,
            used: total.saturating_sub(available),
            swap_total: self.system.total_swap(),
            swap_used: self.system.used_swap(),
        }
    }

    fn network(&self, seconds: f64) -> Network {
        let inner = |name: &std::ffi::OsStr| {
            let name = name.to_string_lossy();
            INNER_INTERFACES.iter().any(|prefix| name.starts_with(prefix))
        };
        let outer = || self.networks.iter().filter(|(name, _)| !inner(name)).map(|(_, data)| data);
        let rate = |bytes: u64| (bytes as f64 / seconds.max(0.001)).round();
        Network {
            received_per_second: rate(outer().map(sysinfo::NetworkData::received).sum()),
            sent_per_second: rate(outer().map(sysinfo::NetworkData::transmitted).sum()),
        }
    }

    fn process(&self) -> Process {
        let own = self.system.process(self.pid);
        Process {
            cpu_percent: own.map_or(0.0, |own| round(f64::from(own.cpu_usage()), 1)),
            memory: own.map_or(0, sysinfo::Process::memory),
            threads: count_threads(),
            open_files: self.open_files,
            uptime_s: self.started.elapsed().as_secs(),
        }
    }

    fn look_at_disks(&mut self) {
        let seconds = self.disks_looked.map(|looked| looked.elapsed().as_secs_f64());
        let kind = DiskRefreshKind::nothing().with_storage().with_io_usage();
        self.disks.refresh_specifics(true, kind);
        self.disks_looked = Some(Instant::now());
        let mut shown: Vec<Disk> = Vec::new();
        let mut seen: Vec<&std::ffi::OsStr> = Vec::new();
        let mut all: Vec<&sysinfo::Disk> = self.disks.iter().collect();
        all.sort_by_key(|disk| disk.mount_point().as_os_str().len());
        for disk in all {
            let root = disk.mount_point().as_os_str() == "/";
            let real = !NO_DISKS.iter().any(|kind| disk.file_system() == *kind);
            // A device that is mounted twice is one disk: its shortest mount names it.
            if disk.total_space() == 0 || !(real || root) || (seen.contains(&disk.name()) && !root) {
                continue;
            }
            seen.push(disk.name());
            shown.push(shown_disk(disk, seconds));
        }
        shown.truncate(DISKS_MAX);
        self.shown_disks = shown;
    }

    fn memory_per_connection(&mut self, memory: u64, delivery: Option<&DeliveryFigures>) -> Option<u64> {
        let open = delivery?.connections.open();
        if open == 0 {
            self.lean_memory = Some(self.lean_memory.map_or(memory, |lean| lean.min(memory)));
        }
        let lean = self.lean_memory.filter(|_| open >= CONNECTIONS_MIN)?;
        Some(memory.saturating_sub(lean) / open)
    }
}

fn shown_disk(disk: &sysinfo::Disk, seconds: Option<f64>) -> Disk {
    let usage = disk.usage();
    let rate = |bytes: u64| seconds.map(|seconds| (bytes as f64 / seconds.max(0.001)).round());
    Disk {
        mount: disk.mount_point().to_string_lossy().chars().take(60).collect(),
        total: disk.total_space(),
        used: disk.total_space().saturating_sub(disk.available_space()),
        read_per_second: rate(usage.read_bytes),
        written_per_second: rate(usage.written_bytes),
    }
}

/// Threads of this process, where the system tells it (proc(5), field 20 of `stat`).
fn count_threads() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold spaces: fields count from behind its closing parenthesis.
    text.rsplit_once(')')?.1.split_whitespace().nth(17)?.parse().ok()
}

/// Open files of this process. Linux tells their number as the directory's size since 6.2 (proc_pid_fd(5));
/// before, they are counted, which with ten thousand connections takes milliseconds.
fn count_open_files() -> Option<u64> {
    let told = std::fs::metadata("/proc/self/fd").ok()?.len();
    if told > 0 { Some(told) } else { count_listed_files() }
}

/// The same by looking at each, the file this looks through left out.
fn count_listed_files() -> Option<u64> {
    Some((std::fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proc_field(path: &str, name: &str) -> u64 {
        let text = std::fs::read_to_string(path).expect("proc");
        let line = text.lines().find(|line| line.starts_with(name)).expect("the field");
        line.split_whitespace().nth(1).expect("a value").parse().expect("a number")
    }

    #[test]
    fn what_is_collected_agrees_with_proc() {
        let mut collector = Collector::new().expect("a collector");
        let sample = collector.collect(0, 1000, None);
        assert_eq!(sample.check(), Ok(()));
        assert_eq!(sample.memory.total, proc_field("/proc/meminfo", "MemTotal:") * 1024);
        assert_eq!(sample.memory.used + sample.memory.available, sample.memory.total);
        assert_eq!(sample.memory.swap_total, proc_field("/proc/meminfo", "SwapTotal:") * 1024);
        let cores = std::fs::read_to_string("/proc/stat").expect("proc");
        let cores = cores.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
        assert_eq!(sample.cpu.cores.len(), cores.min(CORES_MAX));
        assert_eq!(sample.process.threads.map(|count| count > 0), Some(true));
        assert!(sample.process.memory > 1 << 20, "{}", sample.process.memory);
        assert!(sample.disks.len() <= DISKS_MAX);
        assert!(sample.network.is_some());
    }

    #[test]
    fn open_files_are_told_as_they_are_listed() {
        let held: Vec<_> =
            (0..200).map(|_| std::fs::File::open("/proc/self/stat").expect("a file")).collect();
        let (told, listed) = (count_open_files().expect("proc"), count_listed_files().expect("proc"));
        assert!(told >= 200 && told.abs_diff(listed) < 100, "{told} told, {listed} listed");
        drop(held);
    }

    #[test]
    fn a_connection_costs_what_the_process_grew_over_its_leanest_moment() {
        let mut collector = Collector::new().expect("a collector");
        let mut figures = DeliveryFigures::default();
        assert_eq!(collector.memory_per_connection(1000, Some(&figures)), None);
        assert_eq!(collector.memory_per_connection(900, Some(&figures)), None);
        figures.connections.websocket = 9;
        assert_eq!(collector.memory_per_connection(2000, Some(&figures)), None, "too few to tell");
        figures.connections.websocket = 100;
        assert_eq!(collector.memory_per_connection(2900, Some(&figures)), Some(20));
        assert_eq!(collector.memory_per_connection(2900, None), None);
    }
}
