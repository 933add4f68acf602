//! What the monitor counts, for the metrics page.

use anywire_app::Metric;

use crate::service::MonitorService;

/// All metrics of the application.
pub(crate) fn of(service: &MonitorService) -> Vec<Metric> {
    let now = service.now();
    let state = service.read();
    let newest = state.hosts().map(|(_, host)| host.newest.as_ref());
    let stale = newest.filter(|newest| newest.is_none_or(|newest| newest.is_stale(now))).count();
    let silent = "Hosts that have been silent for longer than their interval.";
    vec![
        Metric::gauge(
            "anywire_monitor_hosts",
            "Hosts that report, this one included.",
            state.hosts().len() as u64,
        ),
        Metric::gauge("anywire_monitor_hosts_stale", silent, stale as u64),
        Metric::gauge("anywire_monitor_alerts", "Alerts that stand.", state.alerts.active.len() as u64),
    ]
}
