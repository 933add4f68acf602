//! What must hold for any report of a machine and any rules: the bodies of fuzz targets in `/fuzz`.

use anywire_app::read_json;

use crate::{
    domain::{CORES_MAX, DISKS_MAX, Figures, REPORT_SAMPLES_MAX, RULES_MAX, Rule, clocks::move_before},
    wire::{Report, Rules},
};

#[cfg(test)]
#[path = "../../../fuzz/smoke.rs"]
mod smoke;

/// A report is understood within its limits, and its samples put in order, or refused; so are rules.
pub fn monitor_bodies(data: &[u8]) {
    if let Ok(report) = read_json::<Report>(data) {
        check_report(report);
    }
    if let Ok(Rules { rules }) = read_json::<Rules>(data) {
        assert!(rules.len() <= RULES_MAX);
        if Rule::check_all(&rules, &[], &Figures::default()).is_ok() {
            assert!(rules.iter().all(|rule| rule.raise.is_finite() && rule.clear.is_finite()));
        }
    }
}

fn check_report(report: Report) {
    assert!(report.samples.len() <= REPORT_SAMPLES_MAX);
    let mut samples = report.samples;
    samples.retain(|sample| sample.check().is_ok());
    for sample in &samples {
        assert!(sample.cpu.cores.len() <= CORES_MAX && sample.disks.len() <= DISKS_MAX);
        assert!(sample.metrics().all(|(_, value)| (0.0..=1e18).contains(&value)));
    }
    let sent_at = samples.last().map_or(0, |sample| sample.time);
    move_before(&mut samples, sent_at);
    assert!(samples.is_sorted_by_key(|sample| sample.time));
    assert!(samples.iter().all(|sample| sample.time <= sent_at));
}

#[cfg(test)]
mod tests {
    #[test]
    fn bodies_keep_their_promises_for_any_bytes() {
        super::smoke::check("monitor_bodies", 5_000, super::monitor_bodies);
    }
}
