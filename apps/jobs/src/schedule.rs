//! The background work: starts reports and commands in turn, and stops those of jobs that have ended.
//!
//! Invariants:
//! - At most `reports_running_max` reports are made at once; others wait in the order in which their files
//!   were complete. At most `commands_running_max` commands run at once, likewise.
//! - When the server stops, every report in the making and every command is marked as interrupted before
//!   [`run`] ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    commands::runner,
    domain::{Job, JobId},
    reports, retention,
    service::JobService,
};

/// How often limits of age are checked.
const ROUND: Duration = Duration::from_secs(30);
/// How often those who drive jobs elsewhere are looked after.
const LEASES: Duration = Duration::from_secs(5);
/// How many places of each queue are published as they change; a place further back is only in the state of
/// the job.
const PLACES_PUBLISHED: usize = 100;

/// Runs until the server stops.
pub(crate) async fn run(service: Arc<JobService>) {
    let (mut reports, mut commands) = (JoinSet::new(), JoinSet::new());
    let mut places = Places::default();
    let mut round = tokio::time::interval(ROUND);
    let mut leases = tokio::time::interval(LEASES);
    loop {
        stop_unwanted(&service);
        start_reports(&service, &mut reports);
        start_commands(&service, &mut commands);
        places.publish(&service).await;
        retention::forget_surplus(&service).await;
        tokio::select! {
            () = service.context.shutdown.cancelled() => break,
            () = service.wake.notified() => {}
            Some(_) = reports.join_next() => {}
            Some(_) = commands.join_next() => {}
            _ = leases.tick() => retention::end_leases(&service).await,
            _ = round.tick() => retention::keep_limits(&service).await,
        }
    }
    while reports.join_next().await.is_some() {}
    while commands.join_next().await.is_some() {}
}

/// Stops the work on jobs that have ended, and requests that bring bytes for them.
fn stop_unwanted(service: &JobService) {
    let model = service.model();
    service.work.stop_unwanted(&model);
    service
        .writers
        .stop_where(|upload| model.of_upload(upload).is_some_and(|entry| !entry.job.takes_bytes()));
}

fn start_reports(service: &Arc<JobService>, reports: &mut JoinSet<()>) {
    let free = service.config.reports_running_max.saturating_sub(reports.len());
    for (job, stop) in take_queued(service, free, |job| !job.is_own_command()) {
        let service = Arc::clone(service);
        reports.spawn(async move {
            reports::run(&service, &job, stop).await;
            service.work.end(&job.id);
        });
    }
}

fn start_commands(service: &Arc<JobService>, commands: &mut JoinSet<()>) {
    let free = service.config.commands_running_max.saturating_sub(commands.len());
    for (job, stop) in take_queued(service, free, Job::is_own_command) {
        let service = Arc::clone(service);
        commands.spawn(async move {
            runner::run(&service, &job, stop).await;
            service.work.end(&job.id);
        });
    }
}

/// Those whose turn it is, at most `free`.
fn take_queued(
    service: &JobService,
    free: usize,
    of: impl Fn(&Job) -> bool,
) -> Vec<(Arc<Job>, CancellationToken)> {
    if free == 0 || service.context.shutdown.is_cancelled() {
        return Vec::new();
    }
    let model = service.model();
    // The work of an earlier attempt may still be on its way out.
    let next = model.queued().map(|entry| &entry.job).filter(|job| of(job) && !service.work.has(&job.id));
    next.take(free).map(|job| (Arc::clone(job), service.work.begin(job))).collect()
}

/// The places in the queue that were published.
#[derive(Default)]
struct Places(HashMap<JobId, usize>);

impl Places {
    /// Publishes the states of jobs whose place has changed. It is no change of the job: nothing of it is
    /// kept.
    async fn publish(&mut self, service: &Arc<JobService>) {
        let waiting = service.work.places(&service.model(), PLACES_PUBLISHED);
        let moved = |(id, place): &(JobId, usize)| self.0.get(id).is_some_and(|known| known != place);
        let news: Vec<JobId> = waiting.iter().filter(|one| moved(one)).map(|(id, _)| id.clone()).collect();
        self.0 = waiting.into_iter().collect();
        if !news.is_empty()
            && let Err(error) = service.publish_places(news).await
        {
            tracing::warn!(%error, "places in the queue could not be published");
        }
    }
}
