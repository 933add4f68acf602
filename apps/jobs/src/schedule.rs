//! What happens by itself: reports are made in turn, what is too old or too many goes, the log is kept short.
//!
//! Knows: limits and who is next. Does not know: how a report is made, HTTP.
//!
//! Invariants:
//! - At most `reports_running_max` reports are made at once; others wait in the order in which their files were complete.
//! - When the server stops, every report in the making is marked as interrupted before [`run`] ends.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    board::Entry,
    desk::{ChangeError, Desk, Outcome},
    domain::{Job, JobError, JobId, Status, Upload},
    events::{Change, KeyUse, jobs_channel, progress_channel, snapshots},
    pipeline,
};

/// How often limits of age are looked at.
const ROUND: Duration = Duration::from_secs(30);
/// Records are replaced by snapshots when there are this many, and this many a job.
const RECORDS_MIN: u64 = 20_000;
const RECORDS_PER_JOB: u64 = 50;
/// How many jobs one batch of snapshots holds.
const SNAPSHOTS_A_BATCH: usize = 100;

/// Does what is to be done until the server stops.
pub(crate) async fn run(desk: Arc<Desk>) {
    let mut reports = JoinSet::new();
    let mut round = tokio::time::interval(ROUND);
    loop {
        start_queued(&desk, &mut reports);
        forget_surplus(&desk).await;
        tokio::select! {
            () = desk.context.shutdown.cancelled() => break,
            () = desk.wake.notified() => {}
            Some(_) = reports.join_next() => {}
            _ = round.tick() => keep_limits(&desk).await,
        }
    }
    while reports.join_next().await.is_some() {}
}

/// What ran when the server stopped without a word is interrupted; files of jobs that are gone are removed.
pub(crate) async fn after_restart(desk: &Arc<Desk>) -> Result<(), ChangeError> {
    for entry in entries(desk, |job| job.status == Status::Running) {
        desk.change(&entry.job.id, None, |job| Ok(job.wish_interrupt())).await?;
    }
    let uploads = desk.files.list().unwrap_or_default();
    for upload in uploads {
        let known = desk.board.read().of_upload(upload).is_some();
        if !known && let Err(error) = desk.files.remove(upload).await {
            tracing::warn!(%upload, %error, "the files of an upload without a job cannot be removed");
        }
    }
    Ok(())
}

/// Forgets a finished job, its files and its events.
pub(crate) async fn forget(desk: &Arc<Desk>, id: &JobId, key: Option<KeyUse>) -> Result<(), ChangeError> {
    let upload = desk.find(id).ok().and_then(|entry| entry.job.upload.as_ref().map(|upload| upload.id));
    let outcome = desk.change(id, key, Job::wish_forget).await?;
    debug_assert!(matches!(outcome, Outcome::Gone));
    if let Some(upload) = upload {
        desk.writers.stop(upload);
        if let Err(error) = desk.files.remove(upload).await {
            tracing::warn!(session_id = %id, %error, "the files of a forgotten job cannot be removed; the next start tries again");
        }
    }
    let channel = progress_channel(id);
    let newest = desk.context.log.newest(&channel);
    if let Err(error) = desk.context.log.trim(channel, newest).await {
        tracing::warn!(session_id = %id, %error, "the events of a forgotten job stay until their age removes them");
    }
    Ok(())
}

/// The bytes of an upload go; its job stays, with its report if it has one.
pub(crate) async fn remove_upload(desk: &Arc<Desk>, id: &JobId) -> Result<(), ChangeError> {
    let entry = desk.find(id)?;
    let Some(upload) = &entry.job.upload else { return Ok(()) };
    let once = |job: &Job| {
        let there = job.upload.as_ref().is_some_and(|upload| !upload.removed);
        Ok(there.then_some(Change::UploadRemoved))
    };
    desk.change(id, None, once).await?;
    desk.writers.stop(upload.id);
    if let Err(error) = desk.files.remove_data(upload.id).await {
        tracing::warn!(session_id = %id, %error, "the bytes of an upload cannot be removed; they go with the job");
    }
    Ok(())
}

fn entries(desk: &Desk, of: impl Fn(&Job) -> bool) -> Vec<Entry> {
    desk.board.read().newest_first().filter(|entry| of(&entry.job)).cloned().collect()
}

fn start_queued(desk: &Arc<Desk>, reports: &mut JoinSet<()>) {
    let free = desk.config.reports_running_max.saturating_sub(reports.len());
    let waiting = desk.board.read().count(Status::Queued);
    if free == 0 || waiting == 0 || desk.context.shutdown.is_cancelled() {
        return;
    }
    // The work of an earlier attempt may still be on its way out.
    let mut queued = entries(desk, |job| job.status == Status::Queued && !desk.is_run(&job.id));
    queued.sort_by_key(|entry| (entry.job.updated_at, entry.job.number));
    for entry in queued.into_iter().take(free) {
        let stop = desk.begin_run(&entry.job.id);
        let desk = Arc::clone(desk);
        reports.spawn(async move {
            pipeline::run(&desk, &entry.job, stop).await;
            desk.end_run(&entry.job.id);
        });
    }
}

async fn forget_surplus(desk: &Arc<Desk>) {
    let finished = desk.board.read().finished();
    let surplus = finished.saturating_sub(desk.config.jobs_finished_max);
    if surplus == 0 {
        return;
    }
    let mut oldest = entries(desk, |job| job.status.is_finished());
    oldest.sort_by_key(|entry| (entry.job.updated_at, entry.job.number));
    for entry in oldest.into_iter().take(surplus) {
        logged(&entry.job.id, forget(desk, &entry.job.id, None).await);
    }
}

async fn keep_limits(desk: &Arc<Desk>) {
    let now = desk.now();
    let silent = |upload: &Upload| now.millis_since(upload.heard_at) > desk.config.upload_expires_ms;
    let expired = |job: &Job| is_unfinished_upload(job) && job.upload.as_ref().is_some_and(silent);
    for entry in entries(desk, expired) {
        logged(&entry.job.id, expire(desk, &entry.job).await);
    }
    let idle = |job: &Job| now.millis_since(job.updated_at) > desk.config.job_idle_ms;
    let abandoned = |job: &Job| job.status == Status::Running && job.upload.is_none() && idle(job);
    for entry in entries(desk, abandoned) {
        let interrupted = desk.change(&entry.job.id, None, |job| Ok(job.wish_interrupt())).await;
        logged(&entry.job.id, interrupted.map(|_| ()));
    }
    compact(desk).await;
}

/// Whether a job still waits for bytes, or would when retried.
pub(crate) fn is_unfinished_upload(job: &Job) -> bool {
    job.upload.as_ref().is_some_and(|upload| !upload.removed && !upload.is_complete())
}

async fn expire(desk: &Arc<Desk>, job: &Job) -> Result<(), ChangeError> {
    let hours = desk.config.upload_expires_ms / 3_600_000;
    let message =
        format!("no byte arrived for {hours} hours and the upload was removed; upload the file again");
    let (attempt, error) = (job.attempt, JobError { step: None, message, line: None, column: None });
    if !matches!(job.status, Status::Failed | Status::Cancelled) {
        desk.change(&job.id, None, move |job| job.wish_own_fail(attempt, error)).await?;
    }
    remove_upload(desk, &job.id).await
}

/// Replaces the records of all jobs by one snapshot each, and trims what was before.
async fn compact(desk: &Arc<Desk>) {
    let (records, jobs, through) = {
        let board = desk.board.read();
        (board.records(), board.newest_first().count() as u64, board.taken())
    };
    if records < RECORDS_MIN.max(jobs * RECORDS_PER_JOB) {
        return;
    }
    match snapshot_all(desk).await {
        Ok(()) => {
            if let Err(error) = desk.context.log.trim(jobs_channel(), through).await {
                tracing::warn!(%error, "channel jobs could not be trimmed; the next round tries again");
            }
        }
        Err(error) => {
            tracing::warn!(%error, "snapshots of jobs could not be written; the next round tries again")
        }
    }
}

async fn snapshot_all(desk: &Arc<Desk>) -> Result<(), ChangeError> {
    let ids: Vec<JobId> = entries(desk, |_| true).into_iter().map(|entry| entry.job.id.clone()).collect();
    desk.board.write().compacted(ids.len() as u64);
    for ids in ids.chunks(SNAPSHOTS_A_BATCH) {
        desk.snapshot(ids).await?;
    }
    Ok(())
}

fn logged(id: &JobId, result: Result<(), ChangeError>) {
    if let Err(error) = result {
        tracing::warn!(session_id = %id, %error, "a job could not be cleaned up; the next round tries again");
    }
}

impl Desk {
    /// Writes these jobs as they stand; no decision on them happens meanwhile.
    async fn snapshot(&self, ids: &[JobId]) -> Result<(), ChangeError> {
        let mut locks = Vec::new();
        for id in sorted(ids) {
            locks.push(self.lock(&id).await);
        }
        let jobs: Vec<_> = {
            let board = self.board.read();
            ids.iter().filter_map(|id| board.get(id)).map(|entry| Arc::clone(&entry.job)).collect()
        };
        if !jobs.is_empty() {
            self.context.log.append(snapshots(&jobs, self.now())).await?;
        }
        Ok(())
    }
}

/// Locks of many jobs are taken in one order, or two who take them could wait for each other.
fn sorted(ids: &[JobId]) -> Vec<JobId> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}
