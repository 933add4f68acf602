//! Parameters, headers and examples that several routes of jobs have.

use anywire_app::description::{Header, Operation, Parameter};
use serde_json::{Value, json};

use crate::domain::JobId;

/// What a call is told whose first answer is not kept.
pub(super) const ANSWER_GONE: &str = "this call was made before, with Idempotency-Key \"7d9e…\", and was \
     carried out on job x; its answer is not kept any more: see GET /api/progress/x";

/// What calls on a job are refused with.
pub(super) trait OfAJob {
    /// There is no such job.
    fn refuses_no_job(self) -> Self;
}

impl OfAJob for Operation {
    fn refuses_no_job(self) -> Self {
        let message = "there is no job x; start it with POST /api/progress, or see GET /api/jobs";
        self.refuses(404, &["not_found"], message)
    }
}

pub(super) fn job_id_parameter() -> Parameter {
    Parameter::path("id", "The job's `session_id`.").of::<JobId>().example(json!("import-7")).shared("JobId")
}

pub(super) fn tus_resumable_parameter() -> Parameter {
    Parameter::header("Tus-Resumable", "The version of tus.")
        .required()
        .schema(json!({ "type": "string", "const": "1.0.0" }))
        .example(json!("1.0.0"))
        .shared("TusResumable")
}

pub(super) fn upload_checksum_parameter() -> Parameter {
    Parameter::header(
        "Upload-Checksum",
        "The digest of this body, as base64: a chunk that does not have it is dropped.",
    )
    .schema(json!({ "type": "string", "pattern": "^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$" }))
    .example(json!("sha256 pkBbPPrNBmwQOhQrnmyirMTp1xbUUQqc4r7VPlfAvag="))
    .shared("UploadChecksum")
}

pub(super) fn upload_concat_parameter() -> Parameter {
    Parameter::header(
        "Upload-Concat",
        "`partial`, or `final;` and the addresses of parts with spaces between.",
    )
    .schema(json!({ "type": "string", "pattern": "^(partial|final;.+)$" }))
    .example(json!("partial"))
}

pub(super) fn upload_concat_header() -> Header {
    Header::new(
        "Upload-Concat",
        "Of a part `partial`; of what was joined `final;` and the addresses of its parts.",
    )
    .optional()
}

pub(super) fn upload_id_parameter() -> Parameter {
    Parameter::path("id", "The last part of the upload's `Location`.")
        .example(json!("8a5e7a1f-0c93-4b1d-8a5e-7a1f0c93ab1d"))
        .shared("UploadId")
}

pub(super) fn etag_header() -> Header {
    Header::new("ETag", "The cursor in quotes.").shared()
}

pub(super) fn tus_resumable_header() -> Header {
    Header::new("Tus-Resumable", "The version of tus that is spoken.")
        .schema(json!({ "type": "string", "const": "1.0.0" }))
        .shared()
}

pub(super) fn tus_version_header() -> Header {
    Header::new("Tus-Version", "All versions.").shared()
}

pub(super) fn tus_extension_header() -> Header {
    Header::new("Tus-Extension", "What is supported beyond the core.").shared()
}

pub(super) fn tus_checksum_algorithm_header() -> Header {
    Header::new("Tus-Checksum-Algorithm", "For `Upload-Checksum`.").shared()
}

pub(super) fn tus_max_size_header() -> Header {
    Header::new("Tus-Max-Size", "The largest upload, in bytes (`jobs.upload_bytes_max`).")
        .schema(json!({ "type": "integer", "minimum": 0 }))
        .shared()
}

pub(super) fn location_header() -> Header {
    Header::new("Location", "Where the upload is: relative to the address that was asked, or the whole path.")
        .shared()
}

pub(super) fn anywire_session_header() -> Header {
    Header::new("Anywire-Session", "The name of its job.").of::<JobId>().shared()
}

pub(super) fn upload_expires_header() -> Header {
    Header::new("Upload-Expires", "When it is removed if no more bytes come.").optional().shared()
}

pub(super) fn upload_offset_header() -> Header {
    Header::new("Upload-Offset", "How many bytes are here.")
        .schema(json!({ "type": "integer", "minimum": 0 }))
        .shared()
}

pub(super) fn upload_length_header() -> Header {
    Header::new("Upload-Length", "How long the file is.")
        .schema(json!({ "type": "integer", "minimum": 0 }))
        .shared()
}

pub(super) fn example_job() -> Value {
    json!({
        "session_id": "import-7", "title": "Import", "status": "running", "step": 1, "total_steps": 3,
        "step_name": "read", "percent": 12.5, "message": "1 of 8 files", "metadata": {},
        "steps": [{ "index": 1, "name": "read", "started_at": "2026-01-23T10:00:03.000Z", "duration_ms": null }],
        "result": null, "error": null, "created_at": "2026-01-23T10:00:03.000Z",
        "updated_at": "2026-01-23T10:00:03.000Z", "kind": "progress", "attempt": 0,
        "queue_position": null, "cursor": "1f0c93ab-18",
    })
}
