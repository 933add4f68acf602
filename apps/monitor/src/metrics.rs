//! The monitor's part of the metrics page, in the Prometheus text format.

use std::fmt::Write as _;

use crate::service::MonitorService;

/// All metrics of the application.
pub(crate) fn text(service: &MonitorService) -> String {
    let now = service.now();
    let (hosts, stale, alerts) = {
        let state = service.read();
        let silent = |newest: &crate::projection::Newest| newest.sample.is_stale(now);
        let stale = state.hosts().filter(|(_, host)| host.newest.as_ref().is_none_or(silent)).count();
        (state.hosts().len(), stale, state.alerts.active.len())
    };
    let gauges = [
        ("anywire_monitor_hosts", "Hosts that report, this one included.", hosts),
        ("anywire_monitor_hosts_stale", "Hosts that have been silent for longer than their interval.", stale),
        ("anywire_monitor_alerts", "Alerts that stand.", alerts),
    ];
    let mut text = String::new();
    for (name, help, value) in gauges {
        // Writing to a String cannot fail.
        let _ok = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    text
}
