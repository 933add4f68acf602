//! The consumers that run here: starting, stopping, as many as are wanted.
//!
//! Knows: who runs and who shall run. Does not know: what a consumer does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::ConsumerId,
    events::{Activity, Change, ConsumerStatus, Wanted},
    plant::Plant,
    worker::{Progress, Worker},
};

/// The consumers that run here, by name.
#[derive(Default)]
pub(crate) struct Crew {
    running: Mutex<BTreeMap<ConsumerId, Running>>,
    /// One wish after the other.
    wishes: tokio::sync::Mutex<()>,
}

struct Running {
    stop: CancellationToken,
    progress: Arc<Mutex<Progress>>,
    /// Taken by whoever waits for its end.
    task: Option<JoinHandle<()>>,
}

/// Why a consumer was not started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CrewError {
    #[error("{count} consumers run, as many as pipeline.consumers_max allows; stop one first")]
    TooMany { count: usize },
    #[error("consumer {id} runs already; stop it first, or start one of another name")]
    Runs { id: ConsumerId },
    #[error("there is no consumer {id} that runs; GET /api/consumers lists all")]
    Unknown { id: ConsumerId },
    #[error("the server is stopping")]
    Stopping,
}

/// A consumer as the API shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    pub(crate) consumer_id: ConsumerId,
    pub(crate) status: Activity,
    pub(crate) group: String,
    pub(crate) partitions: Vec<ShownPartition>,
    pub(crate) processed: u64,
    pub(crate) failed: u64,
    pub(crate) error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShownPartition {
    pub(crate) topic: String,
    pub(crate) partition: u32,
}

impl Plant {
    /// The consumers that run, and those that did.
    pub(crate) fn consumers(&self) -> Vec<Shown> {
        let running = self.crew.running.lock();
        let board = self.board.read();
        let mut ids: Vec<&ConsumerId> = board.consumers().keys().chain(running.keys()).collect();
        ids.sort_by_key(|id| natural(id.as_str()));
        ids.dedup();
        ids.into_iter().map(|id| self.shown(id, running.get(id))).collect()
    }

    fn shown(&self, id: &ConsumerId, running: Option<&Running>) -> Shown {
        let progress = running.map(|running| running.progress.lock().clone()).unwrap_or_default();
        let partitions = progress.partitions.into_iter();
        Shown {
            consumer_id: id.clone(),
            status: if running.is_some() { Activity::Active } else { Activity::Inactive },
            group: self.config.group.clone(),
            partitions: partitions
                .map(|partition| ShownPartition {
                    topic: partition.topic.as_str().to_owned(),
                    partition: partition.number,
                })
                .collect(),
            processed: progress.processed,
            failed: progress.failed,
            error: progress.error,
        }
    }

    /// Starts the consumers that shall run after a restart.
    pub(crate) async fn start_wanted(self: &Arc<Self>) {
        // A wish that comes meanwhile must find those who run under their names.
        let _one = self.crew.wishes.lock().await;
        let before = self.board.read().wanted().map(<[ConsumerId]>::to_vec);
        let numbered = |number| ConsumerId::numbered(&self.config.consumer_prefix, number);
        let ids = before.unwrap_or_else(|| (1..=self.config.consumers).map(numbered).collect());
        for id in ids.into_iter().take(self.config.consumers_max) {
            self.launch(id).await;
        }
    }

    /// Starts one more consumer, under a name or the first free one.
    pub(crate) async fn start(self: &Arc<Self>, id: Option<ConsumerId>) -> Result<Shown, CrewError> {
        let _one = self.crew.wishes.lock().await;
        let id = self.free_name(id)?;
        self.launch(id.clone()).await;
        self.remember_wanted().await?;
        let running = self.crew.running.lock();
        Ok(self.shown(&id, running.get(&id)))
    }

    /// Stops a consumer: what it is doing is finished, the rest is for the others.
    pub(crate) async fn stop(&self, id: &ConsumerId) -> Result<(), CrewError> {
        let _one = self.crew.wishes.lock().await;
        self.end(id).await?;
        self.remember_wanted().await
    }

    /// Starts or stops consumers until so many run; those with the greatest numbers go first.
    pub(crate) async fn scale(self: &Arc<Self>, count: usize) -> Result<(), CrewError> {
        let _one = self.crew.wishes.lock().await;
        if count > self.config.consumers_max {
            return Err(CrewError::TooMany { count: self.config.consumers_max });
        }
        loop {
            let mut ids: Vec<ConsumerId> = self.crew.running.lock().keys().cloned().collect();
            ids.sort_by_key(|id| natural(id.as_str()));
            match ids.pop() {
                Some(last) if ids.len() >= count => self.end(&last).await?,
                last if ids.len() + usize::from(last.is_some()) < count => {
                    self.launch(self.free_name(None)?).await
                }
                _ => return self.remember_wanted().await,
            }
        }
    }

    /// Stops all, because the server stops. They are wanted again after the restart.
    pub(crate) async fn stop_all(&self) {
        let _one = self.crew.wishes.lock().await;
        let ids: Vec<ConsumerId> = self.crew.running.lock().keys().cloned().collect();
        for id in &ids {
            if let Some(running) = self.crew.running.lock().get(id) {
                running.stop.cancel();
            }
        }
        for id in ids {
            let _gone = self.end(&id).await;
        }
    }

    fn free_name(&self, wish: Option<ConsumerId>) -> Result<ConsumerId, CrewError> {
        let running = self.crew.running.lock();
        if self.context.shutdown.is_cancelled() {
            return Err(CrewError::Stopping);
        }
        if running.len() >= self.config.consumers_max {
            return Err(CrewError::TooMany { count: running.len() });
        }
        if let Some(id) = wish {
            return if running.contains_key(&id) { Err(CrewError::Runs { id }) } else { Ok(id) };
        }
        let mut names = (1..).map(|number| ConsumerId::numbered(&self.config.consumer_prefix, number));
        names.find(|id| !running.contains_key(id)).ok_or(CrewError::Stopping)
    }

    async fn launch(self: &Arc<Self>, id: ConsumerId) {
        let stop = self.context.shutdown.child_token();
        let progress = Arc::new(Mutex::new(Progress::default()));
        let worker = Worker {
            plant: Arc::clone(self),
            id: id.clone(),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
        };
        self.announce(&id, Activity::Active).await;
        let task = tokio::spawn(keep_working(worker));
        self.crew.running.lock().insert(id, Running { stop, progress, task: Some(task) });
    }

    async fn end(&self, id: &ConsumerId) -> Result<(), CrewError> {
        let task = {
            let mut running = self.crew.running.lock();
            let running = running.get_mut(id).ok_or_else(|| CrewError::Unknown { id: id.clone() })?;
            running.stop.cancel();
            running.task.take()
        };
        // Until it has ended it is shown as running: it may still be at a record.
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(consumer = %id, %error, "a consumer ended by a bug of ours");
        }
        self.crew.running.lock().remove(id);
        self.announce(id, Activity::Inactive).await;
        Ok(())
    }

    async fn announce(&self, id: &ConsumerId, status: Activity) {
        tracing::info!(consumer = %id, ?status, "[ConsumersGateway] Broadcasted consumer-status-changed for {id}");
        let timestamp = self.context.clock.now();
        let change = Change::Consumer(ConsumerStatus { consumer_id: id.clone(), status, timestamp });
        if self.journal.write(vec![change]).await.is_err() || self.journal.barrier().await.is_err() {
            tracing::debug!(consumer = %id, "the log is closed: nobody is told");
        }
    }

    async fn remember_wanted(&self) -> Result<(), CrewError> {
        let consumers = self.crew.running.lock().keys().cloned().collect();
        let written = self.journal.write(vec![Change::Wanted(Wanted { consumers })]).await;
        written.map_err(|_| CrewError::Stopping)?;
        self.journal.barrier().await.map_err(|_| CrewError::Stopping)
    }
}

/// Works, and joins again when the group or the broker put it out.
async fn keep_working(worker: Worker) {
    const WAIT_MAX: Duration = Duration::from_secs(10);
    let mut wait = Duration::from_millis(200);
    while !worker.stop.is_cancelled() {
        let plant = &worker.plant;
        let ended = match plant.topics.join(&plant.config.group, worker.id.as_str(), &plant.consumed) {
            Ok(mut member) => {
                let ended = worker.run(&mut *member).await;
                member.leave().await;
                ended
            }
            Err(error) => Err(error),
        };
        worker.progress.lock().partitions.clear();
        let Err(error) = ended else { return };
        tracing::warn!(consumer = %worker.id, %error, "a consumer joins its group again");
        worker.progress.lock().error = Some(error.to_string());
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(WAIT_MAX),
            () = worker.stop.cancelled() => {}
        }
    }
}

/// `consumer-10` after `consumer-9`.
fn natural(name: &str) -> (String, u64, String) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.to_owned(), name[stem.len()..].parse().unwrap_or(0), name.to_owned())
}
