//! What jobs count, for the metrics page.

use std::sync::atomic::Ordering;

use anywire_app::Metric;

use crate::{
    domain::{Job, Status},
    service::JobService,
};

/// All metrics of the application.
pub(crate) fn of(service: &JobService) -> Vec<Metric> {
    let (statuses, open) = {
        let model = service.model();
        let count = |status: Status| (status.as_str(), model.count(status) as u64);
        let open = model.uploads(Job::is_unfinished_upload) + service.partials.count();
        (Status::ALL.map(count), open as u64)
    };
    let memory = service.model().memory_bytes() as u64;
    let received = service.received_bytes.load(Ordering::Relaxed);
    let damaged = service.integrity.damaged.load(Ordering::Relaxed);
    vec![
        Metric::gauges("anywire_jobs", "Jobs by status.", "status", statuses),
        Metric::gauge("anywire_jobs_memory_bytes", "What all jobs take in memory, about.", memory),
        Metric::gauge(
            "anywire_jobs_uploads_open",
            "Uploads of which bytes are missing, and parts that are not joined.",
            open,
        ),
        Metric::counter("anywire_jobs_upload_bytes", "Bytes received by uploads.", received),
        Metric::counter(
            "anywire_jobs_damaged_files",
            "Downloads refused because the stored file is another than it was.",
            damaged,
        ),
    ]
}
