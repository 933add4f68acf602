//! Which figures a rule can be about. Pure.

use std::collections::BTreeSet;

/// Seconds since a host was last heard of: no figure of a sample, since it grows while none comes.
pub(crate) const SILENCE: &str = "silence";
/// The figures that a host can have whatever its cores and disks are.
pub(crate) const FIGURES: [&str; 33] = [
    "cpu",
    "memory",
    "memory_used",
    "swap",
    "load1",
    "load5",
    "load15",
    "disk",
    "disk_read",
    "disk_written",
    "received",
    "sent",
    "process_cpu",
    "process_memory",
    "process_threads",
    "process_files",
    "memory_per_connection",
    "connections",
    "connections_websocket",
    "connections_sse",
    "connections_longpoll",
    "connections_poll",
    "connections_socketio",
    "events",
    "bytes",
    "deliveries",
    "delivery_p50",
    "delivery_p99",
    "commit_p50",
    "commit_p99",
    "resumes",
    "gaps",
    "slow_readers",
];
/// What the figures of cores and disks begin with.
const FAMILIES: [&str; 4] = ["core:", "disk:", "disk_read:", "disk_written:"];
/// How many figures of cores and disks a refusal names.
const NAMED_MAX: usize = 40;

/// Whether a host may have a figure of this name, or may have had one: disks come and go.
pub(crate) fn is_figure(name: &str) -> bool {
    FIGURES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Whether the names of any figures begin so.
pub(crate) fn begins_figures(prefix: &str) -> bool {
    let mut all = FIGURES.iter().chain(&FAMILIES);
    is_figure(prefix) || all.any(|name| name.starts_with(prefix))
}

/// The figures there are: the fixed ones, and those of the cores and disks that hosts have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    of_hosts: BTreeSet<String>,
}

impl Figures {
    /// With those that the hosts' newest samples have.
    pub(crate) fn with(names: impl IntoIterator<Item = String>) -> Self {
        Self { of_hosts: names.into_iter().filter(|name| !FIGURES.contains(&name.as_str())).collect() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        name == SILENCE || FIGURES.contains(&name) || self.of_hosts.contains(name)
    }

    /// All of them, as a refusal names them.
    pub(crate) fn named(&self) -> String {
        let mut names: Vec<&str> = FIGURES.to_vec();
        names.push(SILENCE);
        names.extend(self.of_hosts.iter().take(NAMED_MAX).map(String::as_str));
        let more = self.of_hosts.len().saturating_sub(NAMED_MAX);
        let rest = if more > 0 { format!(" and {more} more of cores and disks") } else { String::new() };
        names.join(", ") + &rest
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sample::tests::sample, *};

    #[test]
    fn every_figure_of_a_sample_is_one_that_a_rule_can_be_about() {
        let mut full = sample(0, 50.0);
        full.disks[0].written_per_second = Some(1.0);
        full.memory.swap_total = 1 << 20;
        full.process.open_files = Some(9);
        full.memory_per_connection = Some(1);
        let mut delivery = anywire_app::DeliveryFigures::default();
        for latency in [&mut delivery.delivery_latency_ms, &mut delivery.commit_latency_ms] {
            (latency.p50, latency.p99) = (Some(1.0), Some(2.0));
        }
        full.delivery = Some(delivery);
        let mut names: Vec<String> = full.metrics().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names.iter().find(|name| !is_figure(name)), None);
        names.retain(|name| !name.contains(':'));
        names.sort_unstable();
        let mut expected = FIGURES.to_vec();
        expected.sort_unstable();
        assert_eq!(names, expected);
    }

    #[test]
    fn cores_and_disks_are_figures_where_a_host_has_them() {
        let figures = Figures::with(["cpu".to_owned(), "disk:/data".to_owned()]);
        assert!(figures.has("cpu") && figures.has("disk:/data") && figures.has(SILENCE));
        assert!(!figures.has("disk:/") && !figures.has("cpuu") && !figures.has("core:9"));
        assert!(figures.named().ends_with("slow_readers, silence, disk:/data"), "{}", figures.named());
    }
}
