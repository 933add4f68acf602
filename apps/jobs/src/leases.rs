//! Who drives a job elsewhere, and when they were last heard of here.
//!
//! Invariant: nothing of it is in the log. Another server interrupts only what it heard of itself, and
//! after a restart every job is interrupted until its driver calls again.

use std::collections::HashMap;

use anywire_log::Timestamp;
use parking_lot::Mutex;

use crate::{
    domain::{JobId, Status},
    projection::ReadModel,
};

/// When which driver was last heard of.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<JobId, Timestamp>>);

impl Leases {
    /// Whoever drives a job called.
    pub(crate) fn heard(&self, id: &JobId, at: Timestamp) {
        self.0.lock().insert(id.clone(), at);
    }

    /// Jobs that run and whose driver has been silent for longer than its lease. What has no lease or
    /// does not run any more is forgotten.
    pub(crate) fn run_out(&self, model: &ReadModel, now: Timestamp) -> Vec<JobId> {
        let mut run_out = Vec::new();
        self.0.lock().retain(|id, heard| {
            let job = model.get(id).map(|entry| &entry.job);
            let running = job.filter(|job| job.status == Status::Running);
            let Some((lease_ms, job)) = running.and_then(|job| Some((job.lease_ms?, job))) else {
                return false;
            };
            // The clock may have been ahead when the job changed.
            let changed = if job.updated_at <= now { job.updated_at } else { *heard };
            let silent = now.millis_since((*heard).max(changed)) > lease_ms;
            if silent {
                run_out.push(id.clone());
            }
            !silent
        });
        run_out
    }
}
