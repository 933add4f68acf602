//! Figures for the metrics page, in the Prometheus text format.

use std::fmt::Write;

use crate::state::PipelineState;

/// All figures of the application.
pub(crate) fn text(state: &PipelineState) -> String {
    let statistics = state.records.read().statistics(state.context.clock.now());
    let totals = statistics.totals;
    let mut text = String::new();
    // Gauges: a failed record that is processed after all moves from one to the other.
    head(&mut text, "anywire_pipeline_records", "Records by outcome, each counted once.");
    for (outcome, count) in [
        ("received", totals.total_messages),
        ("processed", totals.processed_messages),
        ("failed", totals.failed_messages),
    ] {
        line(&mut text, &format!("anywire_pipeline_records{{outcome=\"{outcome}\"}}"), count);
    }
    head(&mut text, "anywire_pipeline_consumers", "Consumers that run here.");
    line(&mut text, "anywire_pipeline_consumers", statistics.active_consumers as u64);
    head(&mut text, "anywire_pipeline_broker_up", "Whether the broker answers.");
    let group = state.group_state.newest();
    line(&mut text, "anywire_pipeline_broker_up", u64::from(group.is_up()));
    head(
        &mut text,
        "anywire_pipeline_lag_records",
        "Records that the group has not committed, over all partitions.",
    );
    line(&mut text, "anywire_pipeline_lag_records", group.lag_records());
    text
}

fn head(text: &mut String, name: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn line(text: &mut String, name: &str, value: u64) {
    let _ = writeln!(text, "{name} {value}");
}
