//! The consumers that run here: starting, stopping, as many as are wanted.
//!
//! Invariant: one change of the pool after the other; who runs is in the log before it is answered.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::{sync::MutexGuard, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::ConsumerId,
    events::{Activity, Change, ConsumerStatus, Wanted},
    state::PipelineState,
};

pub(crate) mod attempt;
pub(crate) mod dead_letter;
mod worker;

use worker::{Progress, Worker};

/// The consumers that run here, by name.
pub(crate) struct ConsumerPool {
    pub(crate) state: Arc<PipelineState>,
    running: Mutex<BTreeMap<ConsumerId, Running>>,
    /// Held by whoever changes the pool: whether those were started that ran before the restart.
    changing: tokio::sync::Mutex<bool>,
}

struct Running {
    stop: CancellationToken,
    progress: Arc<Mutex<Progress>>,
    /// Taken by whoever waits for its end.
    task: Option<JoinHandle<()>>,
}

/// Why a consumer was not started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConsumerError {
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
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Consumer")]
pub(crate) struct Shown {
    pub(crate) consumer_id: ConsumerId,
    pub(crate) status: Activity,
    pub(crate) group: String,
    pub(crate) partitions: Vec<ShownPartition>,
    /// Records since it started.
    pub(crate) processed: u64,
    /// Records since it started.
    pub(crate) failed: u64,
    /// What keeps it from going on.
    pub(crate) error: Option<String>,
}

/// A partition that a consumer reads.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ConsumerPartition")]
pub(crate) struct ShownPartition {
    pub(crate) topic: String,
    pub(crate) partition: u32,
}

impl ConsumerPool {
    /// A pool in which nobody runs yet.
    pub(crate) fn new(state: Arc<PipelineState>) -> Arc<Self> {
        Arc::new(Self { state, running: Mutex::default(), changing: tokio::sync::Mutex::default() })
    }

    /// The consumers that run, and those that did.
    pub(crate) fn consumers(&self) -> Vec<Shown> {
        let running = self.running.lock();
        let records = self.state.records.read();
        let mut ids: Vec<&ConsumerId> = records.consumers().keys().chain(running.keys()).collect();
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
            group: self.state.config.group.clone(),
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
        let _one = self.change().await;
    }

    /// Waits until nobody else changes the pool. Whoever is the first starts those that shall run after a
    /// restart: a change finds them, and does not make them forgotten.
    async fn change(self: &Arc<Self>) -> MutexGuard<'_, bool> {
        let mut started = self.changing.lock().await;
        if !std::mem::replace(&mut *started, true) {
            self.launch_wanted().await;
        }
        started
    }

    async fn launch_wanted(self: &Arc<Self>) {
        let before = self.state.records.read().wanted().map(<[ConsumerId]>::to_vec);
        let numbered = |number| ConsumerId::numbered(&self.state.config.consumer_prefix, number);
        let ids = before.unwrap_or_else(|| (1..=self.state.config.consumers).map(numbered).collect());
        for id in ids.into_iter().take(self.state.config.consumers_max) {
            self.launch(id).await;
        }
    }

    /// Starts one more consumer, under a name or the first free one.
    pub(crate) async fn start(self: &Arc<Self>, id: Option<ConsumerId>) -> Result<Shown, ConsumerError> {
        let _one = self.change().await;
        let id = self.free_name(id)?;
        self.launch(id.clone()).await;
        self.remember_wanted().await?;
        let running = self.running.lock();
        Ok(self.shown(&id, running.get(&id)))
    }

    /// Stops a consumer: what it is doing is finished, the rest is for the others.
    pub(crate) async fn stop(self: &Arc<Self>, id: &ConsumerId) -> Result<(), ConsumerError> {
        let _one = self.change().await;
        self.end(id).await?;
        self.remember_wanted().await
    }

    /// Starts or stops consumers until so many run; those with the greatest numbers go first.
    pub(crate) async fn scale(self: &Arc<Self>, count: usize) -> Result<(), ConsumerError> {
        let _one = self.change().await;
        if count > self.state.config.consumers_max {
            return Err(ConsumerError::TooMany { count: self.state.config.consumers_max });
        }
        loop {
            let mut ids: Vec<ConsumerId> = self.running.lock().keys().cloned().collect();
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
        let _one = self.changing.lock().await;
        let ids: Vec<ConsumerId> = self.running.lock().keys().cloned().collect();
        for id in &ids {
            if let Some(running) = self.running.lock().get(id) {
                running.stop.cancel();
            }
        }
        for id in ids {
            let _gone = self.end(&id).await;
        }
    }

    fn free_name(&self, asked: Option<ConsumerId>) -> Result<ConsumerId, ConsumerError> {
        let running = self.running.lock();
        if self.state.context.shutdown.is_cancelled() {
            return Err(ConsumerError::Stopping);
        }
        if running.len() >= self.state.config.consumers_max {
            return Err(ConsumerError::TooMany { count: running.len() });
        }
        if let Some(id) = asked {
            return if running.contains_key(&id) { Err(ConsumerError::Runs { id }) } else { Ok(id) };
        }
        let mut names = (1..).map(|number| ConsumerId::numbered(&self.state.config.consumer_prefix, number));
        names.find(|id| !running.contains_key(id)).ok_or(ConsumerError::Stopping)
    }

    async fn launch(self: &Arc<Self>, id: ConsumerId) {
        let stop = self.state.context.shutdown.child_token();
        let progress = Arc::new(Mutex::new(Progress::default()));
        let worker = Worker {
            state: Arc::clone(&self.state),
            id: id.clone(),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
        };
        self.announce(&id, Activity::Active).await;
        let task = tokio::spawn(keep_working(worker));
        self.running.lock().insert(id, Running { stop, progress, task: Some(task) });
    }

    async fn end(&self, id: &ConsumerId) -> Result<(), ConsumerError> {
        let task = {
            let mut running = self.running.lock();
            let running = running.get_mut(id).ok_or_else(|| ConsumerError::Unknown { id: id.clone() })?;
            running.stop.cancel();
            running.task.take()
        };
        // Until it has ended it is shown as running: it may still be at a record.
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(consumer = %id, %error, "a consumer ended by a bug of ours");
        }
        self.running.lock().remove(id);
        self.announce(id, Activity::Inactive).await;
        Ok(())
    }

    async fn announce(&self, id: &ConsumerId, status: Activity) {
        tracing::info!(consumer = %id, ?status, "[ConsumersGateway] Broadcasted consumer-status-changed for {id}");
        let timestamp = self.state.context.clock.now();
        let change = Change::Consumer(ConsumerStatus { consumer_id: id.clone(), status, timestamp });
        if self.state.journal.write(vec![change]).await.is_err()
            || self.state.journal.barrier().await.is_err()
        {
            tracing::debug!(consumer = %id, "the log is closed: nobody is told");
        }
    }

    async fn remember_wanted(&self) -> Result<(), ConsumerError> {
        let consumers = self.running.lock().keys().cloned().collect();
        let written = self.state.journal.write(vec![Change::Wanted(Wanted { consumers })]).await;
        written.map_err(|_| ConsumerError::Stopping)?;
        self.state.journal.barrier().await.map_err(|_| ConsumerError::Stopping)
    }
}

/// Works, and joins again when the group or the broker put it out.
async fn keep_working(worker: Worker) {
    const WAIT_MAX: Duration = Duration::from_secs(10);
    let mut wait = Duration::from_millis(200);
    while !worker.stop.is_cancelled() {
        let state = &worker.state;
        let ended = match state.topics.join(&state.config.group, worker.id.as_str(), &state.consumed) {
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
