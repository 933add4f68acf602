//! Removes jobs that are forgotten, uploads that are too old, and events and records that nobody needs any
//! more.

use std::sync::Arc;

use anywire_app::CallKey;

use crate::{
    domain::{Job, JobError, JobId, Status, Upload},
    events::{Change, progress_channel},
    service::{ChangeError, JobService, Outcome, Ruling, to_the_end},
};

/// Records are replaced by a snapshot when there are this many, and this many a job.
const RECORDS_MIN: u64 = 20_000;
const RECORDS_PER_JOB: u64 = 50;

/// Marks as interrupted what ran when the server stopped without a word, and removes files of jobs that are
/// gone.
pub(crate) async fn after_restart(service: &Arc<JobService>) -> Result<(), ChangeError> {
    for entry in service.entries(|job| job.status == Status::Running) {
        service.change(&entry.job.id, None, |job| Ok(job.decide_interrupt())).await?;
    }
    let uploads = service.files.list().unwrap_or_default();
    for upload in uploads {
        let known = service.model().of_upload(upload).is_some();
        if !known && let Err(error) = service.files.remove(upload).await {
            tracing::warn!(%upload, %error, "the files of an upload without a job cannot be removed");
        }
    }
    let known = service.entries(|job| job.spec.is_some()).iter().map(|entry| entry.job.number).collect();
    if let Err(error) = service.run_files.keep_only(known).await {
        tracing::warn!(%error, "the files of commands without a job cannot be removed; the next start tries again");
    }
    Ok(())
}

/// Forgets a finished job, its files and its events. Once begun it is finished, whoever waits for it.
pub(crate) async fn forget(
    service: &Arc<JobService>,
    id: &JobId,
    key: Option<CallKey>,
) -> Result<(), ChangeError> {
    let (service, id) = (Arc::clone(service), id.clone());
    to_the_end(async move { forget_now(&service, &id, key).await }).await
}

/// Removes a job whose beginning was refused in the end, whatever it stands at.
pub(crate) async fn withdraw(service: &Arc<JobService>, id: &JobId) -> Result<(), ChangeError> {
    remove_by(service, id, None, |_| Ok(Some(Change::Withdrawn))).await
}

async fn forget_now(service: &Arc<JobService>, id: &JobId, key: Option<CallKey>) -> Result<(), ChangeError> {
    remove_by(service, id, key, Job::decide_forget).await
}

async fn remove_by(
    service: &Arc<JobService>,
    id: &JobId,
    key: Option<CallKey>,
    rule: impl FnMut(&Job) -> Ruling + Send + 'static,
) -> Result<(), ChangeError> {
    let job = service.find(id).ok().map(|entry| entry.job);
    let outcome = service.change(id, key, rule).await?;
    debug_assert!(matches!(outcome, Outcome::Gone));
    let Some(job) = job else { return Ok(()) };
    if let Some(upload) = &job.upload {
        service.writers.stop(upload.id);
        if let Err(error) = service.files.remove(upload.id).await {
            tracing::warn!(session_id = %id, %error, "the files of a forgotten job cannot be removed; the next start tries again");
        }
    }
    if job.spec.is_some()
        && let Err(error) = service.run_files.remove(&job).await
    {
        tracing::warn!(session_id = %id, %error, "the files of a forgotten command cannot be removed; the next start tries again");
    }
    let channel = progress_channel(id);
    let newest = service.context.log.newest(&channel);
    if let Err(error) = service.context.log.trim(channel, newest).await {
        tracing::warn!(session_id = %id, %error, "the events of a forgotten job stay until their age removes them");
    }
    Ok(())
}

/// Removes the bytes of an upload; its job stays, with its report if it has one.
pub(crate) async fn remove_upload(service: &Arc<JobService>, id: &JobId) -> Result<(), ChangeError> {
    let entry = service.find(id)?;
    let Some(upload) = &entry.job.upload else { return Ok(()) };
    let once = |job: &Job| {
        let there = job.upload.as_ref().is_some_and(|upload| !upload.removed);
        Ok(there.then_some(Change::UploadRemoved))
    };
    service.change(id, None, once).await?;
    service.writers.stop(upload.id);
    if let Err(error) = service.files.remove_data(upload.id).await {
        tracing::warn!(session_id = %id, %error, "the bytes of an upload cannot be removed; they go with the job");
    }
    Ok(())
}

/// Forgets the oldest finished jobs where there are more than are kept, or all take more memory than they
/// may.
pub(crate) async fn forget_surplus(service: &Arc<JobService>) {
    let (finished, bytes) = {
        let model = service.model();
        (model.finished(), model.memory_bytes() as u64)
    };
    let mut surplus = finished.saturating_sub(service.config.jobs_finished_max);
    // A little is free again before a job is refused.
    let mut surplus_bytes = bytes.saturating_sub(service.config.memory_bytes_max / 10 * 9);
    if (surplus, surplus_bytes) == (0, 0) {
        return;
    }
    let mut oldest = service.entries(|job| job.status.is_finished());
    oldest.sort_by_key(|entry| (entry.job.updated_at, entry.job.number));
    for entry in oldest {
        if (surplus, surplus_bytes) == (0, 0) {
            break;
        }
        surplus = surplus.saturating_sub(1);
        surplus_bytes = surplus_bytes.saturating_sub(entry.job.memory_bytes() as u64);
        logged(&entry.job.id, forget(service, &entry.job.id, None).await);
    }
}

/// Keeps the limits of age, and the log short.
pub(crate) async fn keep_limits(service: &Arc<JobService>) {
    let now = service.steady();
    let silent = |upload: &Upload| now.millis_since(upload.heard_at) > service.config.upload_expires_ms;
    let expired = |job: &Job| job.is_unfinished_upload() && job.upload.as_ref().is_some_and(silent);
    for entry in service.entries(expired) {
        logged(&entry.job.id, expire(service, &entry.job).await);
    }
    for part in service.partials.silent_since(now.minus_millis(service.config.upload_expires_ms)) {
        service.writers.stop(part);
        if let Err(error) = service.partials.remove(part).await {
            tracing::warn!(%part, %error, "a partial upload cannot be removed; the next start tries again");
        }
    }
    let idle = |job: &Job| now.millis_since(job.updated_at) > service.config.job_idle_ms;
    let driven = |job: &Job| job.upload.is_some() || job.is_own_command();
    let abandoned = |job: &Job| job.status == Status::Running && !driven(job) && idle(job);
    for entry in service.entries(abandoned) {
        let interrupted = service.change(&entry.job.id, None, |job| Ok(job.decide_interrupt())).await;
        logged(&entry.job.id, interrupted.map(|_| ()));
    }
    clean_up(service, service.config.events_kept_ms).await;
    compact(service).await;
}

/// Marks as interrupted whatever is driven elsewhere by somebody who has not been heard of for too long.
pub(crate) async fn end_leases(service: &Arc<JobService>) {
    let run_out = service.leases.run_out(&service.model(), service.steady());
    for id in run_out {
        let interrupted = service.change(&id, None, |job| Ok(job.decide_interrupt())).await;
        logged(&id, interrupted.map(|_| ()));
    }
}

/// Removes the events of jobs that ended so long ago, but for the last of each: that is what a late reader
/// needs. How many jobs, and how many events.
pub(crate) async fn clean_up(service: &Arc<JobService>, kept_ms: u64) -> (usize, u64) {
    let (now, log) = (service.steady(), &service.context.log);
    let (mut jobs, mut removed) = (0, 0);
    let old = |job: &Job| job.status.is_finished() && now.millis_since(job.updated_at) >= kept_ms;
    for entry in service.entries(old) {
        let channel = progress_channel(&entry.job.id);
        let kept = || log.engine().channel_state(&channel).map_or(0, |state| state.events);
        let before = kept();
        if before <= 1 {
            continue;
        }
        // Nobody writes to it meanwhile: a retry would make what is here the past of a running job.
        let _turn = service.lock(&entry.job.id).await;
        if service.find(&entry.job.id).is_ok_and(|now| now.cursor == entry.cursor) {
            if let Err(error) = log.trim(channel.clone(), entry.cursor.previous()).await {
                tracing::warn!(session_id = %entry.job.id, %error, "old events stay until the next round");
            }
            let gone = before.saturating_sub(kept());
            jobs += usize::from(gone > 0);
            removed += gone;
        }
    }
    (jobs, removed)
}

async fn expire(service: &Arc<JobService>, job: &Job) -> Result<(), ChangeError> {
    let hours = service.config.upload_expires_ms / 3_600_000;
    let message =
        format!("no byte arrived for {hours} hours and the upload was removed; upload the file again");
    let (attempt, error) = (job.attempt, JobError { step: None, message, line: None, column: None });
    if !matches!(job.status, Status::Failed | Status::Cancelled) {
        service.change(&job.id, None, move |job| job.decide_own_fail(attempt, error.clone())).await?;
    }
    remove_upload(service, &job.id).await
}

/// Replaces the records by a snapshot where there are many.
async fn compact(service: &JobService) {
    let jobs = service.model().newest_first().count() as u64;
    if service.records() < RECORDS_MIN.max(jobs * RECORDS_PER_JOB) {
        return;
    }
    if let Err(error) = service.shorten().await {
        tracing::warn!(%error, "channel jobs could not be shortened; the next round tries again");
    }
}

fn logged(id: &JobId, result: Result<(), ChangeError>) {
    if let Err(error) = result {
        tracing::warn!(session_id = %id, %error, "a job could not be cleaned up; the next round tries again");
    }
}
