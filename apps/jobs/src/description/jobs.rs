//! The routes of jobs.

use anywire_app::description::{Answer, Content, Header, Operation, Parameter};
use anywire_csv_report as report_options;
use serde_json::json;

use super::shared::*;
use crate::{api::body::shape::*, domain::JobId};

pub(super) fn operations() -> Vec<Operation> {
    vec![list_jobs(), forget_job(), report(), uploaded_file()]
}

fn list_jobs() -> Operation {
    Operation::get("/api/jobs", "listJobs")
        .is("Jobs", "Jobs, the newest first")
        .about("Subscribe to `system_status` from `cursor` to hear of every change of a status.")
        .takes(
            Parameter::query("state", "Only jobs with this status.")
                .of::<StatusFilter>()
                .example(json!("running")),
        )
        .takes(Parameter::query("kind", "Only jobs of this kind.").of::<KindFilter>().example(json!("video")))
        .takes(
            Parameter::query("limit", "The most jobs of the answer.")
                .schema(json!({ "type": "integer", "minimum": 1, "maximum": 500, "default": 50 }))
                .example(json!(50)),
        )
        .takes(
            Parameter::query("before", "Only jobs older than this one: the last of the page before.")
                .of::<JobId>()
                .example(json!("import-7")),
        )
        .writes::<Jobs>(
            200,
            "The jobs.",
            json!({
                "jobs": [
                    {
                        "session_id": "import-7", "title": "Import", "status": "running", "step": 1,
                        "total_steps": 3, "step_name": "read", "percent": 12.5, "message": "1 of 8 files",
                        "metadata": {},
                        "steps": [
                            {
                                "index": 1, "name": "read", "started_at": "2026-01-23T10:00:03.000Z",
                                "duration_ms": null,
                            },
                        ],
                        "result": null, "error": null, "created_at": "2026-01-23T10:00:03.000Z",
                        "updated_at": "2026-01-23T10:00:03.000Z", "kind": "progress", "attempt": 0,
                        "queue_position": null, "cursor": "1f0c93ab-18",
                    },
                ],
                "cursor": "1f0c93ab-18",
            }),
        )
        .refuses_invalid()
        .guarded()
}

fn forget_job() -> Operation {
    Operation::delete("/api/jobs/{id}", "forgetJob")
        .is("Jobs", "Forget a finished job")
        .about("And its files.")
        .takes(job_id_parameter())
        .takes(Parameter::idempotency_key())
        .answers(Answer::new(204, "It is forgotten."))
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

fn report() -> Operation {
    let reading = report_options::OPTIONS.into_iter().map(|option| {
        let about = format!("{} `auto`, the default, leaves it to the server.", option.about);
        let schema = json!({ "type": "string", "pattern": option.pattern });
        Parameter::query(option.name, &about).schema(schema)
    });
    let operation = Operation::get("/api/jobs/{id}/report", "report")
        .is("Jobs", "The report of an upload")
        .about(
            "A self-contained page without scripts, in English or Vietnamese. With any choice of how the file is \
             to be read, the report is made anew at once, and not kept.",
        )
        .takes(job_id_parameter())
        .takes(
            Parameter::query("lang", "The language: `en` or `vi`. Default: what `Accept-Language` asks for.")
                .example(json!("en")),
        )
        .takes(
            Parameter::query("form", "`none` leaves out the form that offers another reading, for a copy.")
                .schema(json!({ "type": "string", "enum": ["none"] })),
        );
    reading
        .fold(operation, Operation::takes)
        .takes(
            Parameter::query("column.1", "What column 1 holds; likewise `column.2` and so on, at most 500.")
                .schema(json!({ "type": "string", "enum": ["auto", "number", "date", "boolean", "text", "verbatim"] })),
        )
        .answers(Answer::new(200, "The page.").with(Content::text("text/html")))
        .refuses(400, &["invalid_request"], "decimal is \"dot\"; use auto, point or comma")
        .guarded()
        .refuses(
            404,
            &["not_found", "no_report", "no_upload"],
            "there is no job x; start it with POST /api/progress, or see GET /api/jobs",
        )
        .refuses(503, &["storage_failed", "busy", "shutting_down"], "storing failed; see the server's log")
}

fn uploaded_file() -> Operation {
    Operation::get("/api/jobs/{id}/upload", "uploadedFile")
        .is("Jobs", "The uploaded file")
        .about("As it came.")
        .takes(job_id_parameter())
        .answers(
            Answer::new(200, "Its bytes.")
                .header(Header::new("Content-Disposition", "The name it had.").optional())
                .with(Content::other(
                    "application/octet-stream",
                    json!({ "type": "string", "contentMediaType": "application/octet-stream" }),
                )),
        )
        .guarded()
        .refuses(
            404,
            &["not_found", "no_upload"],
            "there is no job x; start it with POST /api/progress, or see GET /api/jobs",
        )
        .refuses(503, &["storage_failed"], "storing failed; see the server's log")
}
