//! Figures for the metrics page, in the Prometheus text format.

use std::{fmt::Write, sync::atomic::Ordering};

use crate::{
    domain::{Job, Status},
    service::JobService,
};

/// All figures of the application.
pub(crate) fn text(service: &JobService) -> String {
    let (statuses, open) = {
        let model = service.model();
        (Status::ALL.map(|status| (status, model.count(status))), model.uploads(Job::is_unfinished_upload))
    };
    let mut text = String::new();
    head(&mut text, "anywire_jobs", "gauge", "Jobs by status.");
    for (status, count) in statuses {
        line(&mut text, &format!("anywire_jobs{{status=\"{}\"}}", status.as_str()), count as u64);
    }
    head(&mut text, "anywire_jobs_uploads_open", "gauge", "Uploads of which bytes are missing.");
    line(&mut text, "anywire_jobs_uploads_open", open as u64);
    head(&mut text, "anywire_jobs_upload_bytes_total", "counter", "Bytes received by uploads.");
    line(&mut text, "anywire_jobs_upload_bytes_total", service.received_bytes.load(Ordering::Relaxed));
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, value: u64) {
    let _ = writeln!(text, "{name} {value}");
}
