//! The rules of a job: which command is carried out when. A job and a command go in, a [`Change`] or a
//! [`Refusal`] comes out.
//!
//! ```text
//!             ┌────────────── retried ───────────────┐
//!             ▼                                      │
//! started ▶ running ◀─ step ─ interrupted ──▶ cancelled
//!             │  ▲                 ▲                 ▲
//!  upload     ▼  │ step            │ restart         │ cancel
//!  complete  queued ───────────────┴─────────────────┤
//!             └──▶ running ──▶ succeeded | failed ───┘ (failed can be retried)
//! ```
//! An interrupted job goes on by itself when whoever drives it reports the next step: for a backend elsewhere
//! our restart is a pause.
//!
//! Invariant: a decision that changes nothing is `None`: nothing is published then.

use crate::{
    domain::{
        Artefact, CommandSpec, Job, JobError, JobId, Json, Metadata, Percent, STEPS_MAX, Status, Upload,
    },
    events::Change,
};

/// Why a command was refused. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such job.
    #[error("there is no job {id}; start it with POST /api/progress, or see GET /api/jobs")]
    NotFound {
        /// The name that was asked for.
        id: String,
    },
    /// A job of this name is there already.
    #[error("job {id} is there already and is {}; choose another session_id, retry it, or DELETE /api/jobs/{id} first", .status.as_str())]
    Exists {
        /// Its name.
        id: JobId,
        /// How it stands.
        status: Status,
    },
    /// The job's status does not allow it.
    #[error("job {id} is {}: {action} is not possible; {way_out}", .status.as_str())]
    Illegal {
        /// Its name.
        id: JobId,
        /// How it stands.
        status: Status,
        /// What was wanted.
        action: &'static str,
        /// What is possible instead.
        way_out: &'static str,
    },
    /// Every step has begun.
    #[error(
        "job {id} has {total_steps} steps and all have begun: {name:?} cannot; start the job with a greater total_steps"
    )]
    TooManySteps {
        /// Its name.
        id: JobId,
        /// How many steps it has.
        total_steps: u32,
        /// The step that was to begin.
        name: String,
    },
    /// A later step runs already.
    #[error(
        "job {id} is at step {step}: step {number}, {name:?}, cannot begin after it; send a greater number, or none for the next one"
    )]
    StepBehind {
        /// Its name.
        id: JobId,
        /// The step it is at.
        step: u32,
        /// The number of the step that was to begin.
        number: u32,
        /// Its name.
        name: String,
    },
    /// The server drives this job itself.
    #[error("job {id} is driven by its upload: {action} is not possible; cancel or retry it")]
    DrivenByUpload {
        /// Its name.
        id: JobId,
        /// What was wanted.
        action: &'static str,
    },
    /// The server runs its command.
    #[error("job {id} is driven by its command: {action} is not possible; cancel or retry it")]
    DrivenByCommand {
        /// Its name.
        id: JobId,
        /// What was wanted.
        action: &'static str,
    },
    /// The bytes of its upload are gone.
    #[error("the upload of job {id} was removed: {action} is not possible; upload the file again")]
    UploadRemoved {
        /// Its name.
        id: JobId,
        /// What was wanted.
        action: &'static str,
    },
    /// As many jobs as allowed are unfinished.
    #[error("{open} jobs are unfinished, the limit; end some of them, or raise jobs.jobs_open_max")]
    TooManyOpen {
        /// How many.
        open: usize,
    },
    /// All jobs together take as much memory as allowed.
    #[error(
        "jobs take {bytes} bytes of memory, the limit is {max} (jobs.memory_bytes_max): end and forget some, or send less of steps and metadata"
    )]
    TooMuchMemory {
        /// How many.
        bytes: u64,
        /// How many are allowed.
        max: u64,
    },
    /// The work that wants it belongs to an earlier attempt.
    #[error("job {id} was retried since")]
    Superseded {
        /// Its name.
        id: JobId,
    },
}

/// The step of a command that has named none yet.
pub(crate) const ONLY_STEP: &str = "run";

/// What a step says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepCommand {
    /// Its name; the name of the current step changes that one.
    pub name: String,
    /// Its number; none for the one after the current.
    pub number: Option<u32>,
    /// What to show.
    pub message: Option<String>,
    /// How much of the whole is done.
    pub percent: Option<Percent>,
    /// Members to set; null removes one.
    pub metadata: Metadata,
    /// How many steps there are, if that has turned out otherwise.
    pub total_steps: Option<u32>,
    /// Files that are ready.
    pub artefacts: Vec<Artefact>,
}

impl Job {
    /// The next step begins, or the current one changes.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended, has no step left, or is driven by its upload.
    pub fn decide_step(&self, command: StepCommand) -> Result<Option<Change>, Refusal> {
        self.driven_over_the_api("a step")?;
        self.open("a step", "retry it first")?;
        self.step_change(command)
    }

    /// As [`Job::decide_step`], for the work on an upload; `attempt` is the one the work belongs to.
    pub(crate) fn decide_own_step(
        &self,
        attempt: u32,
        command: StepCommand,
    ) -> Result<Option<Change>, Refusal> {
        self.same_attempt(attempt)?;
        self.active("a step", "retry it first")?;
        self.step_change(command)
    }

    fn step_change(&self, command: StepCommand) -> Result<Option<Change>, Refusal> {
        let is_current = command.number.is_none_or(|number| number == self.step());
        if self.step_name() != Some(command.name.as_str()) || !is_current {
            return self.next_step(command).map(Some);
        }
        let total_steps = self.changed_total(&command)?;
        let StepCommand { message, percent, metadata, artefacts, .. } = command;
        let message = message.filter(|message| self.message.as_ref() != Some(message));
        let percent = percent.filter(|percent| *percent != self.percent);
        let metadata = metadata.news_to(&self.metadata);
        let artefacts: Vec<_> = artefacts.into_iter().filter(|file| !self.artefacts.contains(file)).collect();
        let same = message.is_none() && percent.is_none() && metadata.is_empty() && artefacts.is_empty();
        let same = same && total_steps.is_none() && self.status == Status::Running;
        Ok((!same).then_some(Change::StepChanged {
            message,
            percent,
            metadata,
            total_steps,
            received_bytes: None,
            artefacts,
        }))
    }

    /// How many steps there are, if that has turned out otherwise; not fewer than have begun.
    fn changed_total(&self, command: &StepCommand) -> Result<Option<u32>, Refusal> {
        let Some(mut total) = command.total_steps.filter(|total| *total != self.total_steps) else {
            return Ok(None);
        };
        if self.is_own_command() {
            total = total.max(self.step()).min(STEPS_MAX);
        }
        if total < self.step() {
            let (id, name) = (self.id.clone(), command.name.clone());
            return Err(Refusal::TooManySteps { id, total_steps: total, name });
        }
        Ok(Some(total).filter(|total| *total != self.total_steps))
    }

    fn next_step(&self, command: StepCommand) -> Result<Change, Refusal> {
        let StepCommand { name, number, message, percent, metadata, total_steps, .. } = command;
        let mut total = total_steps.unwrap_or(self.total_steps).clamp(1, STEPS_MAX);
        let own = self.is_own_command();
        // From its start a command has a step; the first name it says is the name of that.
        let renames = own && self.step() == 1 && self.step_name() == Some(ONLY_STEP);
        let before = self.step() - u32::from(renames);
        let mut step = number.unwrap_or(before + 1);
        // What a command will do is known only while it does it.
        if own {
            step = step.max(before + 1);
            total = total.max(step).min(STEPS_MAX);
        }
        if step <= before {
            return Err(Refusal::StepBehind { id: self.id.clone(), step: before, number: step, name });
        }
        if step > total {
            return Err(Refusal::TooManySteps { id: self.id.clone(), total_steps: total, name });
        }
        let begun = Percent::of(u64::from(step - 1), u64::from(total));
        let percent = percent.unwrap_or_else(|| begun.max(self.percent));
        let total_steps = Some(total).filter(|total| *total != self.total_steps);
        let number = Some(step).filter(|step| *step != before + 1);
        Ok(Change::StepBegan { name, number, message, percent, metadata, total_steps, renames })
    }

    /// Lines of output came from a command that runs elsewhere. An interrupted one goes on by that.
    pub(crate) fn decide_lines(&self) -> Result<Option<Change>, Refusal> {
        let way_out = "only a running job that was started with argv takes lines";
        if !matches!(self.spec, Some(CommandSpec::Remote { .. })) {
            return Err(self.illegal("a line of output", way_out));
        }
        self.open("a line of output", way_out)?;
        Ok(self.goes_on())
    }

    /// Whoever drives it says that it still does. An interrupted one goes on by that.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended or is driven by this server.
    pub fn decide_alive(&self) -> Result<Option<Change>, Refusal> {
        self.driven_over_the_api("a sign of life")?;
        self.open("a sign of life", "retry it first")?;
        Ok(self.goes_on())
    }

    fn goes_on(&self) -> Option<Change> {
        (self.status == Status::Interrupted).then(|| Change::StepChanged {
            message: None,
            percent: None,
            metadata: Metadata::default(),
            total_steps: None,
            received_bytes: None,
            artefacts: Vec::new(),
        })
    }

    /// Bytes of the upload arrived: `received_bytes` are here now.
    ///
    /// # Errors
    /// [`Refusal`] when the job does not wait for bytes any more.
    pub fn decide_bytes(&self, received_bytes: u64) -> Result<Option<Change>, Refusal> {
        let upload = self.own_upload("receiving bytes")?;
        self.open("receiving bytes", "retry it first")?;
        let same = upload.received_bytes == received_bytes && self.status == Status::Running;
        let past = self.status == Status::Queued || self.step() > 1;
        if same || past {
            return Ok(None);
        }
        let change = Change::StepChanged {
            message: None,
            percent: Some(Upload { received_bytes, ..upload.clone() }.percent()),
            metadata: Metadata::default(),
            total_steps: None,
            received_bytes: Some(received_bytes),
            artefacts: Vec::new(),
        };
        Ok(Some(change))
    }

    /// Every byte is here: the report can be made.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended.
    pub fn decide_queue(&self) -> Result<Option<Change>, Refusal> {
        self.own_upload("making the report")?;
        self.open("making the report", "retry it first")?;
        let waiting = self.status != Status::Queued && self.step() <= 1;
        Ok(waiting.then_some(Change::Queued))
    }

    /// It is done.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended or is driven by its upload.
    pub fn decide_complete(&self, result: Option<Json>) -> Result<Option<Change>, Refusal> {
        self.driven_over_the_api("completing")?;
        self.open("completing", "retry it first")?;
        Ok(Some(Change::Succeeded { result }))
    }

    /// As [`Job::decide_complete`], for the work on an upload.
    pub(crate) fn decide_own_complete(&self, attempt: u32, result: Json) -> Result<Option<Change>, Refusal> {
        self.same_attempt(attempt)?;
        self.active("completing", "retry it first")?;
        Ok(Some(Change::Succeeded { result: Some(result) }))
    }

    /// It cannot go on.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended or is driven by its upload.
    pub fn decide_fail(&self, error: JobError) -> Result<Option<Change>, Refusal> {
        self.driven_over_the_api("failing")?;
        self.open("failing", "it has ended already")?;
        let step = error.step.or_else(|| self.step_name().map(str::to_owned));
        Ok(Some(Change::Failed { error: JobError { step, ..error } }))
    }

    /// As [`Job::decide_fail`], for the work on an upload.
    pub(crate) fn decide_own_fail(&self, attempt: u32, error: JobError) -> Result<Option<Change>, Refusal> {
        self.same_attempt(attempt)?;
        self.open("failing", "it has ended already")?;
        let step = error.step.or_else(|| self.step_name().map(str::to_owned));
        Ok(Some(Change::Failed { error: JobError { step, ..error } }))
    }

    /// Somebody does not want it any more.
    ///
    /// # Errors
    /// [`Refusal`] when the job has ended.
    pub fn decide_cancel(&self) -> Result<Option<Change>, Refusal> {
        self.open("cancelling", "it has ended already")?;
        Ok(Some(Change::Cancelled))
    }

    /// The server stops, or nobody has moved the job for too long.
    #[must_use]
    pub fn decide_interrupt(&self) -> Option<Change> {
        (self.status == Status::Running).then_some(Change::Interrupted)
    }

    /// Once more. `received_bytes` is how much of its upload is here.
    ///
    /// # Errors
    /// [`Refusal`] when the job has not ended, has succeeded, or its upload is gone.
    pub fn decide_retry(&self, received_bytes: Option<u64>) -> Result<Option<Change>, Refusal> {
        if !matches!(self.status, Status::Failed | Status::Cancelled | Status::Interrupted) {
            return Err(
                self.illegal("retrying", "only a failed, cancelled or interrupted job can be retried")
            );
        }
        if self.upload.is_some() {
            self.own_upload("retrying")?;
        }
        Ok(Some(Change::Retried { received_bytes }))
    }

    /// Nobody needs it any more.
    ///
    /// # Errors
    /// [`Refusal`] when somebody still works on it.
    pub fn decide_forget(&self) -> Result<Option<Change>, Refusal> {
        if !self.status.is_finished() {
            return Err(self.illegal("forgetting", "cancel it first"));
        }
        Ok(Some(Change::Forgotten))
    }

    fn driven_over_the_api(&self, action: &'static str) -> Result<(), Refusal> {
        match self.upload {
            Some(_) => Err(Refusal::DrivenByUpload { id: self.id.clone(), action }),
            None if self.is_own_command() => Err(Refusal::DrivenByCommand { id: self.id.clone(), action }),
            None => Ok(()),
        }
    }

    fn own_upload(&self, action: &'static str) -> Result<&Upload, Refusal> {
        let gone = || Refusal::UploadRemoved { id: self.id.clone(), action };
        self.upload.as_ref().filter(|upload| !upload.removed).ok_or_else(gone)
    }

    fn same_attempt(&self, attempt: u32) -> Result<(), Refusal> {
        if self.attempt == attempt { Ok(()) } else { Err(Refusal::Superseded { id: self.id.clone() }) }
    }

    /// An interrupted job counts as open: see the module's head.
    fn open(&self, action: &'static str, way_out: &'static str) -> Result<(), Refusal> {
        let ended = matches!(self.status, Status::Succeeded | Status::Failed | Status::Cancelled);
        if ended { Err(self.illegal(action, way_out)) } else { Ok(()) }
    }

    fn active(&self, action: &'static str, way_out: &'static str) -> Result<(), Refusal> {
        if self.status.is_finished() { Err(self.illegal(action, way_out)) } else { Ok(()) }
    }

    fn illegal(&self, action: &'static str, way_out: &'static str) -> Refusal {
        Refusal::Illegal { id: self.id.clone(), status: self.status, action, way_out }
    }
}

#[cfg(test)]
mod tests {
    use anywire_log::{Offset, Timestamp};

    use super::*;
    use crate::events::Record;

    const STARTED: Change =
        Change::Started { title: String::new(), total_steps: 2, upload: None, lease_ms: None, spec: None };
    const INTERRUPTED: Change = Change::Interrupted;

    /// A job after these changes.
    fn given(changes: &[Change]) -> Job {
        let session_id = JobId::new("a").expect("a name");
        let apply = |job: Option<Job>, change: &Change| {
            let at = Timestamp::from_millis(0);
            let record = Record { session_id: session_id.clone(), at, key: None, change: change.clone() };
            change.apply(job.as_ref(), &record, Offset::ZERO)
        };
        changes.iter().fold(None, apply).expect("a job")
    }

    fn step(name: &str) -> StepCommand {
        StepCommand { name: name.to_owned(), ..StepCommand::default() }
    }

    fn step_began(name: &str, percent: f64) -> Change {
        Change::StepBegan {
            name: name.to_owned(),
            number: None,
            message: None,
            percent: Percent::new(percent).expect("a share"),
            metadata: Metadata::default(),
            total_steps: None,
            renames: false,
        }
    }

    fn refused(ruling: Result<Option<Change>, Refusal>, words: &str) {
        let message = ruling.expect_err("refused").to_string();
        assert!(message.contains(words), "{message}");
    }

    #[test]
    fn a_step_begins_after_the_one_before_it_and_its_repetition_changes_nothing() {
        let job = given(&[STARTED]);
        assert_eq!(job.decide_step(step("one")), Ok(Some(step_began("one", 0.0))));
        let job = given(&[STARTED, step_began("one", 0.0)]);
        assert_eq!(job.decide_step(step("one")), Ok(None));
        assert_eq!(job.decide_step(step("two")), Ok(Some(step_began("two", 50.0))));
        let job = given(&[STARTED, step_began("one", 0.0), step_began("two", 50.0)]);
        refused(job.decide_step(step("three")), "has 2 steps and all have begun");
    }

    #[test]
    fn a_step_with_a_number_is_that_step_and_none_goes_back() {
        let job = given(&[Change::Started {
            title: String::new(),
            total_steps: 9,
            upload: None,
            lease_ms: None,
            spec: None,
        }]);
        let seven = StepCommand { number: Some(7), ..step("link") };
        let change = job.decide_step(seven.clone()).expect("decided").expect("a change");
        let Change::StepBegan { number, percent, .. } = &change else { panic!("{change:?}") };
        assert_eq!((*number, *percent), (Some(7), Percent::of(6, 9)));
        let record =
            Record { session_id: job.id.clone(), at: job.created_at, key: None, change: change.clone() };
        let job = change.apply(Some(&job), &record, Offset::ZERO).expect("a job");
        assert_eq!((job.step(), job.steps.len()), (7, 1));
        assert_eq!(job.decide_step(seven), Ok(None));
        refused(job.decide_step(StepCommand { number: Some(3), ..step("x") }), "is at step 7: step 3, \"x\"");
        refused(job.decide_step(StepCommand { number: Some(10), ..step("x") }), "has 9 steps");
        let next = job.decide_step(StepCommand { number: Some(8), ..step("link") });
        assert!(matches!(next, Ok(Some(Change::StepBegan { number: None, .. }))), "{next:?}");
    }

    #[test]
    fn how_many_steps_there_are_may_change_while_one_runs() {
        let job = given(&[STARTED, step_began("one", 0.0), step_began("two", 50.0)]);
        let more = StepCommand { total_steps: Some(5), ..step("two") };
        let change = job.decide_step(more).expect("decided").expect("a change");
        assert!(matches!(change, Change::StepChanged { total_steps: Some(5), .. }), "{change:?}");
        refused(job.decide_step(StepCommand { total_steps: Some(1), ..step("two") }), "has 1 steps");
        assert_eq!(job.decide_step(StepCommand { total_steps: Some(2), ..step("two") }), Ok(None));
    }

    #[test]
    fn an_interrupted_job_goes_on_with_the_next_step_and_an_ended_one_does_not() {
        let job = given(&[STARTED, INTERRUPTED]);
        assert_eq!(job.decide_step(step("one")), Ok(Some(step_began("one", 0.0))));
        for end in [Change::Cancelled, Change::Succeeded { result: None }] {
            refused(
                given(&[STARTED, end]).decide_step(step("one")),
                "a step is not possible; retry it first",
            );
        }
    }

    #[test]
    fn only_a_job_that_ended_without_a_result_is_retried_and_only_once_an_attempt() {
        refused(given(&[STARTED]).decide_retry(None), "only a failed, cancelled or interrupted job");
        let retried = Change::Retried { received_bytes: None };
        let job = given(&[STARTED, Change::Cancelled]);
        assert_eq!(job.decide_retry(None), Ok(Some(retried.clone())));
        let job = given(&[STARTED, Change::Cancelled, retried]);
        assert_eq!((job.status, job.attempt), (Status::Running, 1));
        refused(job.decide_own_step(0, step("late")), "was retried since");
    }

    #[test]
    fn a_job_is_cancelled_once_and_forgotten_only_when_it_has_ended() {
        assert_eq!(given(&[STARTED]).decide_cancel(), Ok(Some(Change::Cancelled)));
        refused(given(&[STARTED]).decide_forget(), "cancel it first");
        let job = given(&[STARTED, Change::Cancelled]);
        refused(job.decide_cancel(), "it has ended already");
        assert_eq!((job.decide_interrupt(), job.decide_forget()), (None, Ok(Some(Change::Forgotten))));
    }
}
