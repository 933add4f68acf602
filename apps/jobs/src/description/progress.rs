//! The routes of progress.

use anywire_app::description::{Answer, Content, Operation, Parameter};
use serde_json::json;

use super::shared::*;
use crate::api::body::shape::*;

pub(super) fn operations() -> Vec<Operation> {
    vec![start_job(), job(), step(), alive(), complete(), fail(), cancel(), retry()]
}

fn start_job() -> Operation {
    Operation::post("/api/progress", "startJob")
        .is("Progress", "Start a job")
        .about("Any back end may drive a job; everybody follows it on the channel `progress_<session_id>`.")
        .takes(Parameter::idempotency_key())
        .reads::<StartJob>(json!({ "session_id": "import-7", "title": "Import", "total_steps": 3 }))
        .writes::<Job>(201, "It runs. Subscribe from `cursor` and nothing falls between.", example_job())
        .refuses(410, &["answer_gone"], ANSWER_GONE)
        .refuses_invalid()
        .guarded()
        .refuses(
            409,
            &["job_exists", "idempotency_conflict"],
            "job x is there already and is running; choose another session_id, retry it, or DELETE \
                 /api/jobs/x first",
        )
        .refuses_large()
        .refuses(
            429,
            &["too_many_jobs"],
            "10000 jobs are unfinished, the limit; end some of them, or raise jobs.jobs_open_max",
        )
        .appends()
}

fn job() -> Operation {
    Operation::get("/api/progress/{id}", "job")
        .is("Progress", "The state of a job")
        .about("The data of the event `progress_update`, with every step, and an `ETag`.")
        .takes(job_id_parameter())
        .takes(Parameter::if_none_match())
        .answers(
            Answer::new(200, "The state.")
                .header(etag_header())
                .with(Content::answer::<Job>().example(example_job())),
        )
        .answers(Answer::new(304, "Unchanged since `If-None-Match`.").header(etag_header()))
        .guarded()
        .refuses_no_job()
}

fn step() -> Operation {
    Operation::post("/api/progress/{id}/step", "step")
        .is("Progress", "Begin the next step")
        .about(
            "Or, with the name of the current step, change its message, percentage, metadata or how many \
                 steps there are. A member of `metadata` that is null is removed. With `step` it is the step of that \
                 number, and those before it are passed over.",
        )
        .takes(job_id_parameter())
        .takes(Parameter::idempotency_key())
        .reads::<StepJob>(json!({ "name": "read", "message": "1 of 8 files", "percent": 12.5 }))
        .writes::<Job>(200, "The state.", example_job())
        .refuses(410, &["answer_gone"], ANSWER_GONE)
        .refuses_invalid()
        .guarded()
        .refuses_no_job()
        .refuses(
            409,
            &[
                "illegal_transition",
                "too_many_steps",
                "driven_by_upload",
                "idempotency_conflict",
                "driven_by_command",
            ],
            "job x is succeeded: a step is not possible; retry it first",
        )
        .refuses_large()
        .appends()
}

fn alive() -> Operation {
    Operation::post("/api/progress/{id}/alive", "alive")
        .is("Progress", "Say that the job is still driven")
        .about(
            "Any call of whoever drives a job says so; this one nothing else. A job with `lease_ms` is \
             `interrupted` after so long without a call, and goes on by the next one.",
        )
        .takes(job_id_parameter())
        .takes(Parameter::idempotency_key())
        .body_or_none([Content::request::<Nothing>().example(json!({}))])
        .answers(Answer::new(204, "It is known. Nothing is published, unless the job was interrupted."))
        .refuses_invalid()
        .guarded()
        .refuses_no_job()
        .refuses(
            409,
            &["illegal_transition", "driven_by_upload", "idempotency_conflict", "driven_by_command"],
            "job x is succeeded: a sign of life is not possible; retry it first",
        )
        .refuses(410, &["answer_gone"], ANSWER_GONE)
        .refuses_large()
        .appends()
}

fn complete() -> Operation {
    Operation::post("/api/progress/{id}/complete", "complete")
        .is("Progress", "End a job well")
        .about("With a result: any JSON value.")
        .takes(job_id_parameter())
        .takes(Parameter::idempotency_key())
        .body_or_none([Content::request::<CompleteJob>().example(json!({ "result": { "rows": 1_200 } }))])
        .writes::<Job>(200, "The state.", example_job())
        .refuses(410, &["answer_gone"], ANSWER_GONE)
        .refuses_invalid()
        .guarded()
        .refuses_no_job()
        .refuses(
            409,
            &["illegal_transition", "driven_by_upload", "idempotency_conflict", "driven_by_command"],
            "job x is succeeded: a step is not possible; retry it first",
        )
        .refuses_large()
        .appends()
}

fn fail() -> Operation {
    Operation::post("/api/progress/{id}/fail", "fail")
        .is("Progress", "End a job with an error")
        .about("A text, or an object that says where.")
        .takes(job_id_parameter())
        .takes(Parameter::idempotency_key())
        .reads::<FailJob>(
            json!({ "error": { "message": "no such column", "step": "parse", "line": 3, "column": 9 } }),
        )
        .writes::<Job>(200, "The state.", example_job())
        .refuses(410, &["answer_gone"], ANSWER_GONE)
        .refuses_invalid()
        .guarded()
        .refuses_no_job()
        .refuses(
            409,
            &["illegal_transition", "driven_by_upload", "idempotency_conflict", "driven_by_command"],
            "job x is succeeded: a step is not possible; retry it first",
        )
        .refuses_large()
        .appends()
}

fn cancel() -> Operation {
    Operation::post("/api/progress/{id}/cancel", "cancel")
        .is("Progress", "Cancel a job")
        .about("Work on its upload stops.")
        .takes(job_id_parameter())
        .takes(Parameter::idempotency_key())
        .body_or_none([Content::request::<Nothing>().example(json!({}))])
        .writes::<Job>(200, "The state.", example_job())
        .refuses(410, &["answer_gone"], ANSWER_GONE)
        .refuses_invalid()
        .guarded()
        .refuses_no_job()
        .refuses(
            409,
            &["illegal_transition", "idempotency_conflict"],
            "job x is succeeded: a step is not possible; retry it first",
        )
        .refuses_large()
        .appends()
}

fn retry() -> Operation {
    Operation::post("/api/progress/{id}/retry", "retry")
        .is("Progress", "Run a job again")
        .about(
            "A job that failed, was cancelled or interrupted. A report goes on with the bytes that are \
                 here.",
        )
        .takes(job_id_parameter())
        .takes(Parameter::idempotency_key())
        .body_or_none([Content::request::<Nothing>().example(json!({}))])
        .writes::<Job>(200, "The state.", example_job())
        .refuses(410, &["answer_gone"], ANSWER_GONE)
        .refuses_invalid()
        .guarded()
        .refuses_no_job()
        .refuses(
            409,
            &["illegal_transition", "driven_by_upload", "upload_removed", "idempotency_conflict"],
            "job x is succeeded: a step is not possible; retry it first",
        )
        .refuses_large()
        .refuses(
            429,
            &["too_many_jobs"],
            "10000 jobs are unfinished, the limit; end some of them, or raise jobs.jobs_open_max",
        )
        .appends()
}
