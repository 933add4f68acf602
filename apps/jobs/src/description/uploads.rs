//! The routes of uploads.

use anywire_app::description::{Answer, Content, Header, Operation, Parameter};
use serde_json::json;

use super::shared::*;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        upload_options(),
        create_upload(),
        one_upload_options(),
        upload_offset(),
        send_bytes(),
        remove_upload(),
        overridden_upload(),
    ]
}

fn upload_options() -> Operation {
    Operation::options("/api/uploads", "uploadOptions")
        .is("Uploads", "What uploads can do")
        .about("tus 1.0: versions, extensions and limits.")
        .answers(
            Answer::new(204, "In the headers.")
                .header(tus_resumable_header())
                .header(tus_version_header())
                .header(tus_extension_header())
                .header(tus_checksum_algorithm_header())
                .header(tus_max_size_header()),
        )
        .guarded()
}

fn create_upload() -> Operation {
    Operation::post("/api/uploads", "createUpload")
        .is("Uploads", "Begin an upload")
        .about("Makes the upload and its job. With the content type `application/offset+octet-stream` the \
                 first bytes come along; what is refused then leaves nothing behind. A CSV file becomes a report \
                 in nine steps. With `Upload-Concat: partial` it is a part, which is no job; the parts are joined \
                 to one file and one job by `Upload-Concat: final;` and their addresses, in their order. With an \
                 `Idempotency-Key` a repetition is answered with the same `Location`, and says how much is here.")
        .takes(Parameter::idempotency_key())
        .extension("x-curl", json!("curl -i -X POST '{origin}/api/uploads' \\\n{key}  -H 'Tus-Resumable: 1.0.0' \\\n  -H \"Upload-Length: $(stat -c %s prices.csv)\" \\\n  -H \"Upload-Metadata: filename $(printf prices.csv | base64)\" \\\n  -H 'Content-Type: application/offset+octet-stream' \\\n  --data-binary @prices.csv"))
        .takes(tus_resumable_parameter())
        .takes(Parameter::header("Upload-Length", "How long the file or the part is, in bytes. Needed, but for a final upload.").schema(json!({ "type": "integer", "minimum": 0 })).example(json!(28)))
        .takes(Parameter::header("Upload-Metadata", "`filename` and `session_id`, as `key base64` pairs with commas between.").example(json!("filename cHJpY2VzLmNzdg==")))
        .takes(upload_concat_parameter())
        .takes(upload_checksum_parameter())
        .body_or_none([Content::other("application/offset+octet-stream", json!({ "type": "string", "contentMediaType": "application/octet-stream" })).example(json!("date,close\n2026-01-23,101.5\n"))])
        .answers(Answer::new(201, "It is at `Location`; its job is `Anywire-Session`.").header(tus_resumable_header()).header(location_header()).header(anywire_session_header().optional()).header(upload_expires_header()).header(Header::new("Upload-Offset", "How much is here, if bytes came along.").schema(json!({ "type": "integer", "minimum": 0 })).optional()))
        .answers(refusal(400, &["invalid_request", "body_broken"], "\"limit\" is \"many\"; expected a whole number from 1 to 1000"))
        .refuses(401, &["unauthorized", "token_expired"], "no token was given; send \"Authorization: Bearer <token>\" or ?token=")
        .refuses(403, &["forbidden", "origin_forbidden", "host_forbidden", "upload_stopped"], "the token does not allow to subscribe to channel news; ask for one that does")
        .answers(refusal(404, &["not_found"], "there is no job x; start it with POST /api/progress, or see GET /api/jobs"))
        .answers(Answer::refusal(409, &["job_exists", "offset_conflict", "idempotency_conflict"], "job x is there already and is running; choose another session_id, retry it, or DELETE \
                 /api/jobs/x first").header(tus_resumable_header()))
        .answers(refusal(410, &["answer_gone"], ANSWER_GONE))
        .answers(refusal(412, &["tus_version"], "Tus-Resumable is missing; this server speaks 1.0.0"))
        .answers(refusal(413, &["too_large"], "\"data\" has 1048577 bytes, the limit is 1048576 (limits.message_bytes_max)"))
        .answers(refusal(423, &["upload_locked"], "another request writes to upload 8a5e…; ask for its offset and go on from there"))
        .answers(Answer::refusal(429, &["too_many_uploads", "too_many_jobs"], "64 uploads are unfinished, the limit; finish or DELETE some of them, or raise \
                 jobs.uploads_open_max").header(tus_resumable_header()))
        .answers(refusal(460, &["checksum_mismatch"], "the bytes do not have the digest of Upload-Checksum and were dropped; send them again"))
        .answers(refusal(503, &["storage_failed", "busy", "shutting_down"], "storing failed; see the server's log"))
        .answers(refusal(507, &["storage_full"], "the disk is full; free disk space. Reading goes on."))
}

fn one_upload_options() -> Operation {
    Operation::options("/api/uploads/{id}", "oneUploadOptions")
        .is("Uploads", "What uploads can do")
        .about("As for all of them.")
        .takes(upload_id_parameter())
        .answers(
            Answer::new(204, "In the headers.")
                .header(tus_resumable_header())
                .header(tus_version_header())
                .header(tus_extension_header())
                .header(tus_checksum_algorithm_header())
                .header(tus_max_size_header()),
        )
        .guarded()
}

fn upload_offset() -> Operation {
    Operation::head("/api/uploads/{id}", "uploadOffset")
        .is("Uploads", "Where an upload stands")
        .about("Ask after a broken connection, then send what is missing.")
        .takes(upload_id_parameter())
        .takes(tus_resumable_parameter())
        .answers(
            Answer::new(200, "In the headers.")
                .header(tus_resumable_header())
                .header(upload_offset_header())
                .header(upload_length_header())
                .header(anywire_session_header().optional())
                .header(upload_expires_header())
                .header(upload_concat_header())
                .header(Header::new("Upload-Metadata", "As it was sent.").optional()),
        )
        .answers(Answer::new(401, "`unauthorized` · `token_expired`"))
        .answers(Answer::new(403, "`forbidden` · `origin_forbidden` · `host_forbidden`"))
        .answers(Answer::new(404, "`not_found`").header(tus_resumable_header()))
        .answers(Answer::new(410, "`upload_removed`").header(tus_resumable_header()))
        .answers(Answer::new(412, "`tus_version`").header(tus_resumable_header()))
        .answers(Answer::new(423, "`upload_locked`").header(tus_resumable_header()))
        .answers(Answer::new(503, "`storage_failed`").header(tus_resumable_header()))
}

fn send_bytes() -> Operation {
    Operation::patch("/api/uploads/{id}", "sendBytes")
        .is("Uploads", "Send bytes")
        .about("From where the upload stands. What came before a connection broke is kept.")
        .extension("x-curl", json!("curl -i -X PATCH '{origin}/api/uploads/8a5e7a1f-0c93-4b1d-8a5e-7a1f0c93ab1d' \\\n{key}  -H 'Tus-Resumable: 1.0.0' -H 'Upload-Offset: 0' \\\n  -H 'Content-Type: application/offset+octet-stream' \\\n  --data-binary @prices.csv"))
        .takes(upload_id_parameter())
        .takes(tus_resumable_parameter())
        .takes(Parameter::header("Upload-Offset", "Where these bytes begin.").required().schema(json!({ "type": "integer", "minimum": 0 })).example(json!(0)))
        .takes(upload_checksum_parameter())
        .body([Content::other("application/offset+octet-stream", json!({ "type": "string", "contentMediaType": "application/octet-stream" })).example(json!("date,close\n2026-01-23,101.5\n"))])
        .answers(Answer::new(204, "They are here.").header(tus_resumable_header()).header(upload_offset_header()).header(upload_expires_header()))
        .answers(refusal(400, &["invalid_request", "body_broken"], "\"limit\" is \"many\"; expected a whole number from 1 to 1000"))
        .refuses(401, &["unauthorized", "token_expired"], "no token was given; send \"Authorization: Bearer <token>\" or ?token=")
        .refuses(403, &["forbidden", "origin_forbidden", "host_forbidden", "upload_stopped"], "the token does not allow to subscribe to channel news; ask for one that does")
        .answers(refusal(404, &["not_found"], "there is no job x; start it with POST /api/progress, or see GET /api/jobs"))
        .answers(refusal(409, &["offset_conflict"], "Upload-Offset is 0, and upload 8a5e… has 512 bytes; go on from there"))
        .answers(refusal(410, &["upload_removed"], "upload 8a5e… was removed; upload the file again"))
        .answers(refusal(412, &["tus_version"], "Tus-Resumable is missing; this server speaks 1.0.0"))
        .answers(refusal(413, &["too_large"], "\"data\" has 1048577 bytes, the limit is 1048576 (limits.message_bytes_max)"))
        .answers(refusal(415, &["media_type"], "Content-Type must be application/offset+octet-stream"))
        .answers(refusal(423, &["upload_locked"], "another request writes to upload 8a5e…; ask for its offset and go on from there"))
        .answers(refusal(460, &["checksum_mismatch"], "the bytes do not have the digest of Upload-Checksum and were dropped; send them again"))
        .answers(refusal(503, &["storage_failed", "busy", "shutting_down"], "storing failed; see the server's log"))
        .answers(refusal(507, &["storage_full"], "the disk is full; free disk space. Reading goes on."))
}

fn remove_upload() -> Operation {
    Operation::delete("/api/uploads/{id}", "removeUpload")
        .is("Uploads", "Remove an upload")
        .about("Its job is cancelled if it is not finished.")
        .takes(upload_id_parameter())
        .takes(tus_resumable_parameter())
        .answers(Answer::new(204, "It is removed.").header(tus_resumable_header()))
        .guarded()
        .answers(refusal(
            404,
            &["not_found"],
            "there is no job x; start it with POST /api/progress, or see GET /api/jobs",
        ))
        .answers(refusal(
            409,
            &["illegal_transition"],
            "job x is succeeded: a step is not possible; retry it first",
        ))
        .answers(refusal(410, &["upload_removed"], "upload 8a5e… was removed; upload the file again"))
        .answers(refusal(412, &["tus_version"], "Tus-Resumable is missing; this server speaks 1.0.0"))
        .answers(refusal(
            503,
            &["storage_failed", "busy", "shutting_down"],
            "storing failed; see the server's log",
        ))
        .answers(refusal(507, &["storage_full"], "the disk is full; free disk space. Reading goes on."))
}

/// What is asked; [`overridden_upload`] says what is answered.
fn overridden_call() -> Operation {
    Operation::post("/api/uploads/{id}", "overriddenUpload")
        .is("Uploads", "PATCH, DELETE or HEAD for clients that can only POST")
        .about("`X-HTTP-Method-Override` names the method; parameters and answers are that method's.")
        .takes(upload_id_parameter())
        .takes(
            Parameter::header("X-HTTP-Method-Override", "The method that is meant.")
                .required()
                .schema(json!({ "type": "string", "enum": ["PATCH", "DELETE", "HEAD"] }))
                .example(json!("PATCH")),
        )
        .takes(tus_resumable_parameter())
        .takes(
            Parameter::header("Upload-Offset", "For `PATCH`: where these bytes begin.")
                .schema(json!({ "type": "integer", "minimum": 0 }))
                .example(json!(0)),
        )
        .takes(upload_checksum_parameter())
        .body_or_none([Content::other(
            "application/offset+octet-stream",
            json!({ "type": "string", "contentMediaType": "application/octet-stream" }),
        )
        .example(json!("date,close\n2026-01-23,101.5\n"))])
}

fn overridden_upload() -> Operation {
    overridden_call()
        .answers(Answer::new(200, "As `HEAD`.").header(tus_resumable_header()))
        .answers(Answer::new(204, "As `PATCH` and `DELETE`.").header(tus_resumable_header()))
        .answers(refusal(
            400,
            &["invalid_request", "body_broken"],
            "\"limit\" is \"many\"; expected a whole number from 1 to 1000",
        ))
        .refuses(
            401,
            &["unauthorized", "token_expired"],
            "no token was given; send \"Authorization: Bearer <token>\" or ?token=",
        )
        .refuses(
            403,
            &["forbidden", "origin_forbidden", "host_forbidden", "upload_stopped"],
            "the token does not allow to subscribe to channel news; ask for one that does",
        )
        .answers(refusal(
            404,
            &["not_found"],
            "there is no job x; start it with POST /api/progress, or see GET /api/jobs",
        ))
        .answers(refusal(405, &["method_not_allowed"], "/anywire/publish does not answer GET; see Allow"))
        .answers(refusal(
            409,
            &["offset_conflict", "illegal_transition"],
            "Upload-Offset is 0, and upload 8a5e… has 512 bytes; go on from there",
        ))
        .answers(refusal(410, &["upload_removed"], "upload 8a5e… was removed; upload the file again"))
        .answers(refusal(412, &["tus_version"], "Tus-Resumable is missing; this server speaks 1.0.0"))
        .answers(refusal(
            413,
            &["too_large"],
            "\"data\" has 1048577 bytes, the limit is 1048576 (limits.message_bytes_max)",
        ))
        .answers(refusal(415, &["media_type"], "Content-Type must be application/offset+octet-stream"))
        .answers(refusal(
            423,
            &["upload_locked"],
            "another request writes to upload 8a5e…; ask for its offset and go on from there",
        ))
        .answers(refusal(
            460,
            &["checksum_mismatch"],
            "the bytes do not have the digest of Upload-Checksum and were dropped; send them again",
        ))
        .answers(refusal(
            503,
            &["storage_failed", "busy", "shutting_down"],
            "storing failed; see the server's log",
        ))
        .answers(refusal(507, &["storage_full"], "the disk is full; free disk space. Reading goes on."))
}

/// A refusal that says which version of tus is spoken.
fn refusal(status: u16, codes: &[&str], message: &str) -> Answer {
    Answer::refusal(status, codes, message).header(tus_resumable_header())
}
