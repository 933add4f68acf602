//! What the pipeline counts, for the metrics page.

use anywire_app::Metric;

use crate::state::PipelineState;

/// All metrics of the application.
pub(crate) fn of(state: &PipelineState) -> Vec<Metric> {
    let statistics = state.records.read().statistics(state.context.clock.now());
    let (totals, group) = (statistics.totals, state.group_state.newest());
    let outcomes = [
        ("received", totals.total_messages),
        ("processed", totals.processed_messages),
        ("failed", totals.failed_messages),
    ];
    let lag = "Records that the group has not committed, over all partitions.";
    vec![
        // Gauges: a failed record that is processed after all moves from one to the other.
        Metric::gauges(
            "anywire_pipeline_records",
            "Records by outcome, each counted once.",
            "outcome",
            outcomes,
        ),
        Metric::gauge(
            "anywire_pipeline_consumers",
            "Consumers that run here.",
            statistics.active_consumers as u64,
        ),
        Metric::gauge("anywire_pipeline_broker_up", "Whether the broker answers.", u64::from(group.is_up())),
        Metric::gauge("anywire_pipeline_lag_records", lag, group.lag_records()),
    ]
}
