//! What this server works on: reports in the making and commands that run, and who waits for a place among
//! them.
//!
//! Not part of the read model: another server on the same log works on other jobs.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Job, JobId, Status},
    projection::ReadModel,
};

/// Work by job.
pub(crate) struct WorkInProgress {
    shutdown: CancellationToken,
    by_job: Mutex<HashMap<JobId, Attempt>>,
}

struct Attempt {
    number: u32,
    /// Cancelled when the work is to stop.
    stop: CancellationToken,
}

impl WorkInProgress {
    /// Nothing is worked on; all work stops at `shutdown`.
    pub(crate) fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, by_job: Mutex::default() }
    }

    /// Records that work on a job begins. The work is to stop when the token is cancelled.
    pub(crate) fn begin(&self, job: &Job) -> CancellationToken {
        let stop = self.shutdown.child_token();
        let attempt = Attempt { number: job.attempt, stop: stop.clone() };
        self.by_job.lock().insert(job.id.clone(), attempt);
        stop
    }

    /// Records that work on a job has ended.
    pub(crate) fn end(&self, id: &JobId) {
        self.by_job.lock().remove(id);
    }

    /// Whether somebody works on a job.
    pub(crate) fn has(&self, id: &JobId) -> bool {
        self.by_job.lock().contains_key(id)
    }

    /// Stops work that nobody wants any more: the job has ended, was retried or is gone. The log says so,
    /// whoever wrote it: a request whose connection broke right after it, or another server.
    pub(crate) fn stop_unwanted(&self, model: &ReadModel) {
        for (id, attempt) in &*self.by_job.lock() {
            let wanted = model
                .get(id)
                .is_some_and(|entry| entry.job.attempt == attempt.number && !entry.job.status.is_finished());
            if !wanted {
                attempt.stop.cancel();
            }
        }
    }

    /// The place of a job in its queue, from 1, while it waits there. Reports and commands wait for different
    /// things.
    pub(crate) fn place(&self, model: &ReadModel, job: &Job) -> Option<usize> {
        let by_job = self.by_job.lock();
        if job.status != Status::Queued || by_job.contains_key(&job.id) {
            return None;
        }
        let waiting = model
            .queued()
            .map(|entry| &entry.job)
            .filter(|other| other.is_own_command() == job.is_own_command());
        let before = waiting.take_while(|other| other.id != job.id);
        Some(before.filter(|other| !by_job.contains_key(&other.id)).count() + 1)
    }

    /// The jobs that wait and their places, each queue up to a number of places.
    pub(crate) fn places(&self, model: &ReadModel, places_max: usize) -> Vec<(JobId, usize)> {
        let by_job = self.by_job.lock();
        let mut next = [1, 1];
        let mut found = Vec::new();
        for entry in model.queued().filter(|entry| !by_job.contains_key(&entry.job.id)) {
            let place = &mut next[usize::from(entry.job.is_own_command())];
            if *place <= places_max {
                found.push((entry.job.id.clone(), *place));
            }
            *place += 1;
        }
        found
    }
}
