//! What happens by itself: reports are made in turn, what is too old or too many goes, the log is kept short.
//!
//! Knows: limits and who is next. Does not know: how a report is made, HTTP.
//!
//! Invariants:
//! - At most `reports_running_max` reports are made at once; others wait in the order in which their files were complete.
//! - At most `commands_running_max` commands run at once, likewise.
//! - When the server stops, every report in the making and every command is marked as interrupted before [`run`] ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anywire_log::Batch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    board::Entry,
    command::runner,
    desk::{ChangeError, Desk, Outcome},
    domain::{Job, JobError, JobId, Status, Upload},
    events::{Change, KeyUse, jobs_channel, progress_channel, snapshots, update},
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
    let (mut reports, mut commands) = (JoinSet::new(), JoinSet::new());
    let mut places = Places::default();
    let mut round = tokio::time::interval(ROUND);
    loop {
        start_reports(&desk, &mut reports);
        start_commands(&desk, &mut commands);
        places.tell(&desk).await;
        forget_surplus(&desk).await;
        tokio::select! {
            () = desk.context.shutdown.cancelled() => break,
            () = desk.wake.notified() => {}
            Some(_) = reports.join_next() => {}
            Some(_) = commands.join_next() => {}
            _ = round.tick() => keep_limits(&desk).await,
        }
    }
    while reports.join_next().await.is_some() {}
    while commands.join_next().await.is_some() {}
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
    let known = entries(desk, |job| job.order.is_some()).iter().map(|entry| entry.job.number).collect();
    if let Err(error) = desk.run_files.keep_only(known).await {
        tracing::warn!(%error, "the files of commands without a job cannot be removed; the next start tries again");
    }
    Ok(())
}

/// Forgets a finished job, its files and its events.
pub(crate) async fn forget(desk: &Arc<Desk>, id: &JobId, key: Option<KeyUse>) -> Result<(), ChangeError> {
    let job = desk.find(id).ok().map(|entry| entry.job);
    let upload = job.as_ref().and_then(|job| job.upload.as_ref().map(|upload| upload.id));
    let outcome = desk.change(id, key, Job::wish_forget).await?;
    debug_assert!(matches!(outcome, Outcome::Gone));
    if let Some(upload) = upload {
        desk.writers.stop(upload);
        if let Err(error) = desk.files.remove(upload).await {
            tracing::warn!(session_id = %id, %error, "the files of a forgotten job cannot be removed; the next start tries again");
        }
    }
    if let Some(job) = job.filter(|job| job.order.is_some())
        && let Err(error) = desk.run_files.remove(&job).await
    {
        tracing::warn!(session_id = %id, %error, "the files of a forgotten command cannot be removed; the next start tries again");
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

fn start_reports(desk: &Arc<Desk>, reports: &mut JoinSet<()>) {
    let free = desk.config.reports_running_max.saturating_sub(reports.len());
    for (job, stop) in take_queued(desk, free, |job| !job.is_own_command()) {
        let desk = Arc::clone(desk);
        reports.spawn(async move {
            pipeline::run(&desk, &job, stop).await;
            desk.end_run(&job.id);
        });
    }
}

fn start_commands(desk: &Arc<Desk>, commands: &mut JoinSet<()>) {
    let free = desk.config.commands_running_max.saturating_sub(commands.len());
    for (job, stop) in take_queued(desk, free, Job::is_own_command) {
        let desk = Arc::clone(desk);
        commands.spawn(async move {
            runner::run(&desk, &job, stop).await;
            desk.end_run(&job.id);
        });
    }
}

/// Those whose turn it is, at most `free`.
fn take_queued(
    desk: &Arc<Desk>,
    free: usize,
    of: impl Fn(&Job) -> bool,
) -> Vec<(Arc<Job>, CancellationToken)> {
    if free == 0 || desk.context.shutdown.is_cancelled() {
        return Vec::new();
    }
    let board = desk.board.read();
    // The work of an earlier attempt may still be on its way out.
    let next =
        board.queued().map(|entry| &entry.job).filter(|job| of(job) && !desk.is_run(&job.id)).take(free);
    let next: Vec<_> = next.cloned().collect();
    drop(board);
    next.into_iter().map(|job| (Arc::clone(&job), desk.begin_run(&job.id))).collect()
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
    let driven = |job: &Job| job.upload.is_some() || job.is_own_command();
    let abandoned = |job: &Job| job.status == Status::Running && !driven(job) && idle(job);
    for entry in entries(desk, abandoned) {
        let interrupted = desk.change(&entry.job.id, None, |job| Ok(job.wish_interrupt())).await;
        logged(&entry.job.id, interrupted.map(|_| ()));
    }
    clean_up(desk, desk.config.events_kept_ms).await;
    compact(desk).await;
}

/// Removes the events of jobs that ended so long ago, but for the last of each: that is what a late reader needs. How many jobs, and how many
/// events.
pub(crate) async fn clean_up(desk: &Arc<Desk>, kept_ms: u64) -> (usize, u64) {
    let (now, log) = (desk.now(), &desk.context.log);
    let (mut jobs, mut removed) = (0, 0);
    for entry in entries(desk, |job| job.status.is_finished() && now.millis_since(job.updated_at) >= kept_ms)
    {
        let channel = progress_channel(&entry.job.id);
        let kept = || log.engine().channel_state(&channel).map_or(0, |state| state.events);
        let before = kept();
        if before <= 1 {
            continue;
        }
        // Nobody writes to it meanwhile: a retry would make what is here the past of a running job.
        let _turn = desk.lock(&entry.job.id).await;
        if desk.find(&entry.job.id).is_ok_and(|now| now.cursor == entry.cursor) {
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

/// How many places of each queue are told as they change; further back only who asks is told.
const PLACES_TOLD: usize = 100;

/// The places in the queue that were told.
#[derive(Default)]
struct Places(HashMap<JobId, usize>);

impl Places {
    /// Tells those whose place has changed. It is no change of the job: nothing of it is kept.
    async fn tell(&mut self, desk: &Arc<Desk>) {
        let waiting = places(desk);
        let moved = |(id, place): &(JobId, usize)| self.0.get(id).is_some_and(|told| told != place);
        let news: Vec<JobId> = waiting.iter().filter(|one| moved(one)).map(|(id, _)| id.clone()).collect();
        self.0 = waiting.into_iter().collect();
        if !news.is_empty()
            && let Err(error) = desk.tell_places(&news).await
        {
            tracing::warn!(%error, "places in the queue could not be told");
        }
    }
}

fn places(desk: &Desk) -> Vec<(JobId, usize)> {
    let board = desk.board.read();
    let mut next = [1, 1];
    let mut found = Vec::new();
    for entry in board.queued().filter(|entry| !desk.is_run(&entry.job.id)) {
        let place = &mut next[usize::from(entry.job.is_own_command())];
        if *place <= PLACES_TOLD {
            found.push((entry.job.id.clone(), *place));
        }
        *place += 1;
    }
    found
}

impl Desk {
    /// Publishes the states of jobs that wait. No decision on them happens meanwhile, so none of them is out of date.
    async fn tell_places(&self, ids: &[JobId]) -> Result<(), ChangeError> {
        let mut locks = Vec::new();
        for id in sorted(ids) {
            locks.push(self.lock(&id).await);
        }
        let jobs = ids.iter().filter_map(|id| self.find(id).ok()).map(|entry| entry.job);
        let updates: Vec<_> =
            jobs.filter_map(|job| self.place(&job).map(|place| update(&job, Some(place)))).collect();
        if !updates.is_empty() {
            self.context.log.append(Batch::new(updates)).await?;
        }
        Ok(())
    }

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
