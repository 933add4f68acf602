//! Hosts, samples, rules and alerts. Pure.

mod alert;
pub(crate) mod clocks;
mod figure;
mod host_name;
mod rule;
pub(crate) mod sample;
mod watch;

pub(crate) use alert::{Alert, AlertState, EndedBy};
pub(crate) use figure::{FIGURES, Figures, SILENCE, begins_figures, is_figure};
pub use host_name::{HostName, HostNameError};
pub(crate) use rule::RULES_MAX;
pub use rule::{Rule, RuleError, Side};
pub(crate) use sample::{CORES_MAX, DISKS_MAX, REPORT_SAMPLES_MAX, check_time, step_of};
pub use sample::{Cpu, Disk, Memory, Network, Process, Sample, SampleError};
pub(crate) use watch::{Turn, Watch};
