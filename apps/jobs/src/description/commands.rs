//! The routes of commands.

use anywire_app::description::{Answer, Content, Operation, Parameter, schemas::After};
use serde_json::json;

use super::shared::*;
use crate::api::body::{Cleaned, Commands, Log, VideoStarted, shape::*};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        list_commands(),
        run_command(),
        create_video(),
        follow_job(),
        job_status(),
        clean_up(),
        command_log(),
        add_log(),
        command_file(),
    ]
}

fn list_commands() -> Operation {
    Operation::get("/api/commands", "listCommands")
        .is("Commands", "The commands there are")
        .about("Those of the configuration, and `video`.")
        .writes::<Commands>(
            200,
            "They.",
            json!({
                "commands": [
                    {
                        "name": "video", "title": "Video", "parameters": ["language", "message"],
                        "parser": "json", "timeout_ms": 3_600_000,
                    },
                ],
                "adhoc": false, "running_max": 2,
            }),
        )
        .guarded()
        .refuses(503, &["storage_failed"], "storing failed; see the server's log")
}

fn run_command() -> Operation {
    Operation::post("/api/commands", "runCommand")
        .is("Commands", "Run a command")
        .about(
            "A command of the configuration by its name, or a command line (`argv`) where \
                 `jobs.commands_adhoc` allows it. It waits in the queue until it is its turn.",
        )
        .takes(Parameter::idempotency_key())
        .reads::<RunCommand>(
            json!({ "command": "video", "parameters": { "message": "Tides", "language": "en" } }),
        )
        .writes::<Job>(
            201,
            "It waits for its turn, or runs.",
            json!({
                "session_id": "build-1", "title": "Build", "status": "queued", "step": 0, "total_steps": 1,
                "step_name": null, "percent": 0, "message": null, "metadata": {}, "steps": [],
                "result": null, "error": null, "created_at": "2026-01-23T10:00:03.000Z",
                "updated_at": "2026-01-23T10:00:03.000Z", "kind": "command", "attempt": 0,
                "queue_position": 1, "cursor": "1f0c93ab-18",
                "command": { "order": "configured", "name": "build" },
            }),
        )
        .refuses(410, &["answer_gone"], ANSWER_GONE)
        .refuses(400, &["invalid_request"], "command \"x\" needs the parameter \"a\"; send it in parameters")
        .guarded()
        .refuses(
            404,
            &["unknown_command"],
            "there is no command \"x\"; there are video; add it to the configuration as [jobs.commands.x]",
        )
        .refuses(
            409,
            &["job_exists", "idempotency_conflict"],
            "job build-1 is there already and is running; choose another session_id, retry it, or DELETE \
                 /api/jobs/build-1 first",
        )
        .refuses_large()
        .refuses(
            429,
            &["too_many_jobs"],
            "10000 jobs are unfinished, the limit; end some of them, or raise jobs.jobs_open_max",
        )
        .appends()
}

fn create_video() -> Operation {
    Operation::post("/api/chat/create-video", "createVideo")
        .is("Commands", "Make a video of a message")
        .about(
            "A script is written, spoken, drawn and encoded, a step each. Follow it on \
                 `progress_<job_id>`, or at `stream_url`.",
        )
        .takes(Parameter::idempotency_key())
        .reads::<CreateVideo>(json!({ "message": "Make a video about tides" }))
        .writes::<VideoStarted>(
            202,
            "The work begins in the background.",
            json!({
                "job_id": "8c6bbd54-4a0a-4f3e-9c53-2f0f9be5b0a1",
                "stream_url": "/api/video-progress/8c6bbd54-4a0a-4f3e-9c53-2f0f9be5b0a1",
                "status_url": "/api/video-progress/8c6bbd54-4a0a-4f3e-9c53-2f0f9be5b0a1/status",
            }),
        )
        .refuses(410, &["answer_gone"], ANSWER_GONE)
        .refuses(400, &["invalid_request"], "message is missing; send 1 to 2000 characters")
        .guarded()
        .refuses(404, &["unknown_command"], "there is no command \"video\"")
        .refuses(
            409,
            &["job_exists", "idempotency_conflict"],
            "job build-1 is there already and is running; choose another session_id, retry it, or DELETE \
                 /api/jobs/build-1 first",
        )
        .refuses_large()
        .refuses(
            429,
            &["too_many_jobs"],
            "10000 jobs are unfinished, the limit; end some of them, or raise jobs.jobs_open_max",
        )
        .appends()
}

fn follow_job() -> Operation {
    Operation::get("/api/video-progress/{id}", "followJob")
        .is("Commands", "One job as server-sent events")
        .about("`open`, then events `progress`, and at the end `completed`, `failed` or `cancelled`, each with the whole \
                 state; `heartbeat` every 30 s; `gap` where events are gone; `error` with the detail. After \
                 ten minutes the stream ends with `timeout`, and `Last-Event-ID` goes on. A browser that asks \
                 for a job that is not there gets an `error` event, everybody else a 404.")
        .takes(job_id_parameter())
        .takes(Parameter::query("after", "Where to go on. Default: the state of now comes first.").of::<After>().example(json!("0")))
        .takes(Parameter::query("log", "With `1`, lines of the command's output come too, as `log`.").example(json!("1")))
        .takes(Parameter::header("Last-Event-ID", "Where to go on; wins over `after`.").example(json!("1f0c93ab-18")))
        .takes(Parameter::query("lastEventId", "As `Last-Event-ID`, for libraries that cannot set the header.").example(json!("1f0c93ab-18")))
        .answers(Answer::new(200, "The stream.").with(Content::text("text/event-stream").example(json!("id: 1f0c93ab-18\nevent: progress\ndata: {\"job_id\":\"import-7\",\"step\":1,\"step_name\":\"read\"}\n\n"))))
        .answers(Answer::new(204, "The job has ended, and `Last-Event-ID` is its end: there is nothing more to come."))
        .refuses(400, &["invalid_request"], "after: \"x\" is no cursor")
        .guarded()
        .refuses(404, &["not_found"], "there is no job import-7; start it with POST /api/progress, or see GET /api/jobs")
        .refuses(503, &["storage_failed"], "storing failed; see the server's log")
}

fn job_status() -> Operation {
    Operation::get("/api/video-progress/{id}/status", "jobStatus")
        .is("Commands", "The same state without a stream")
        .about("As `GET /api/progress/{id}`, with `job_id` and, once it is made, `video`.")
        .takes(job_id_parameter())
        .writes::<VideoJob>(
            200,
            "The state.",
            json!({
                "job_id": "import-7", "session_id": "import-7", "title": "Import", "status": "running",
                "step": 1, "total_steps": 3, "step_name": "read", "percent": 12.5,
                "message": "1 of 8 files", "metadata": {},
                "steps": [
                    {
                        "index": 1, "name": "read", "started_at": "2026-01-23T10:00:03.000Z",
                        "duration_ms": null,
                    },
                ],
                "result": null, "error": null, "created_at": "2026-01-23T10:00:03.000Z",
                "updated_at": "2026-01-23T10:00:03.000Z", "kind": "progress", "attempt": 0,
                "queue_position": null, "cursor": "1f0c93ab-18",
            }),
        )
        .guarded()
        .refuses(
            404,
            &["not_found"],
            "there is no job import-7; start it with POST /api/progress, or see GET /api/jobs",
        )
        .refuses(503, &["storage_failed"], "storing failed; see the server's log")
}

fn clean_up() -> Operation {
    Operation::post("/api/video-progress/cleanup", "cleanUp")
        .is("Commands", "Remove old events")
        .about(
            "Of every job that ended so long ago all events go but the last. It also happens by itself, \
                 by `jobs.events_kept_ms`. What runs is never touched.",
        )
        .takes(Parameter::idempotency_key())
        .body_or_none([Content::request::<CleanUp>().example(json!({ "older_than_s": 3_600 }))])
        .writes::<Cleaned>(200, "What went.", json!({ "jobs_cleaned": 3, "events_removed": 120 }))
        .refuses(400, &["invalid_request"], "older_than_s is -1; send a whole number from 0")
        .guarded()
        .refuses_large()
        .refuses(
            429,
            &["too_many_jobs"],
            "10000 jobs are unfinished, the limit; end some of them, or raise jobs.jobs_open_max",
        )
        .appends()
}

fn command_log() -> Operation {
    Operation::get("/api/jobs/{id}/log", "commandLog")
        .is("Commands", "The output of a command")
        .about("Where `n` jumps, lines were cut. Follow `progress_<id>` after `cursor` for event `log`, \
                 which brings further lines.")
        .takes(job_id_parameter())
        .takes(Parameter::query("after", "Only lines after this one.").schema(json!({ "type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64 })).example(json!(0)))
        .takes(Parameter::query("limit", "The most lines of the answer.").schema(json!({ "type": "integer", "minimum": 1, "maximum": 2_000, "default": 2_000 })).example(json!(100)))
        .writes::<Log>(200, "Lines.", json!({
                "attempt": 0,
                "lines": [{ "n": 1, "at": "2026-01-23T10:00:03.000Z", "stream": "out", "text": "[1/9] Linking" }],
                "newest": 1, "cut": 0, "cursor": "1f0c93ab-18",
            }))
        .refuses(400, &["invalid_request"], "after is \"x\"; use a whole number from 0")
        .guarded()
        .refuses(404, &["not_found"], "there is no job import-7; start it with POST /api/progress, or see GET /api/jobs")
        .refuses(503, &["storage_failed"], "storing failed; see the server's log")
}

fn add_log() -> Operation {
    Operation::post("/api/jobs/{id}/log", "addLog")
        .is("Commands", "Lines of a command that runs elsewhere")
        .about("For a job that was started with `argv`. An interrupted one runs again.")
        .takes(job_id_parameter())
        .takes(Parameter::idempotency_key())
        .reads::<AddLog>(
            json!({ "lines": ["[1/9] Linking", { "text": "warning: unused", "stream": "err" }], "first": 1 }),
        )
        .answers(Answer::new(204, "They are kept, and those who look have them."))
        .refuses(400, &["invalid_request"], "lines is missing; send 1 to 2000 texts")
        .guarded()
        .refuses(
            404,
            &["not_found"],
            "there is no job import-7; start it with POST /api/progress, or see GET /api/jobs",
        )
        .refuses(
            409,
            &["illegal_transition"],
            "job import-7 is running: a line of output is not possible; only a running job that was \
                 started with argv takes lines",
        )
        .refuses_large()
        .refuses(
            429,
            &["too_many_jobs"],
            "10000 jobs are unfinished, the limit; end some of them, or raise jobs.jobs_open_max",
        )
        .appends()
}

fn command_file() -> Operation {
    Operation::get("/api/jobs/{id}/files/{name}", "commandFile")
        .is("Commands", "A file that a command left")
        .about("Whole, or the part that `Range` asks for.")
        .takes(job_id_parameter())
        .takes(
            Parameter::path("name", "Its name.")
                .schema(json!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$" }))
                .example(json!("video.mp4")),
        )
        .takes(Parameter::header("Range", "Which part.").example(json!("bytes=0-99")))
        .answers(Answer::new(200, "All of it.").with(Content::text("*/*")))
        .answers(Answer::new(206, "The part.").with(Content::text("*/*")))
        .answers(Answer::new(304, "It has not changed since `If-Modified-Since`."))
        .guarded()
        .refuses(404, &["not_found", "no_file"], "job import-7 has no file \"x\"; see artefacts in its state")
        .answers(Answer::new(416, "There is no such part."))
        .refuses(503, &["storage_failed"], "storing failed; see the server's log")
}
