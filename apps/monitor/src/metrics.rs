//! Figures for the metrics page, in the Prometheus text format.
//!
//! Knows: names and help texts. Does not know: who asks.

use std::fmt::Write as _;

use crate::desk::Desk;

/// All figures of the application.
pub(crate) fn text(desk: &Desk) -> String {
    let hosts = desk.hosts();
    let now = desk.context.clock.now().as_millis();
    let silent = |interval: u32, time: i64| (now - time) * 2 > i64::from(interval) * 5;
    let stale = hosts
        .iter()
        .filter(|host| {
            host.newest().is_none_or(|newest| silent(newest.sample.interval_ms, newest.sample.time))
        })
        .count();
    let gauges = [
        ("anywire_monitor_hosts", "Hosts that report, this one included.", hosts.len()),
        ("anywire_monitor_hosts_stale", "Hosts that have been silent for longer than their interval.", stale),
        ("anywire_monitor_alerts", "Alerts that stand.", desk.alerts.active().len()),
    ];
    let mut text = String::new();
    for (name, help, value) in gauges {
        // Writing to a String cannot fail.
        let _ok = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    text
}
