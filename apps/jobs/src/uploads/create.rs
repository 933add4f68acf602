//! How an upload begins: a whole file, a part of one, or parts that are joined.
//!
//! Invariant: everything that can be refused beforehand is, before anything is made; what is refused after
//! that leaves nothing behind.

use std::{path::PathBuf, sync::Arc};

use anywire_app::{CallKey, http::ApiError};
use anywire_codes::Code;
use anywire_log::KeyScope;
use axum::{
    body::Body,
    http::{HeaderMap, Method},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use super::{
    headers::{self, Checksum, Concat, Metadata, Part, tus},
    partials::Partial,
    receive,
    room::{self, Place},
};
use crate::{
    api::errors::{Invalid, file_error},
    decisions::Refusal,
    domain::{JobId, REPORT_STEPS, Upload, UploadId},
    events::Change,
    retention,
    service::{ChangeError, JobService, Outcome},
};

/// A creation as it was asked for, checked.
pub(super) struct Creation {
    kind: Kind,
    metadata: Metadata,
    key: Option<CallKey>,
    /// Whether the first bytes come along, and their checksum.
    chunk: Option<Option<Checksum>>,
}

enum Kind {
    Whole(u64),
    Partial(u64),
    Final(Vec<Part>, Option<u64>),
}

/// What was made.
pub(super) struct Made {
    pub(super) upload: UploadId,
    /// Its job; a part has none.
    pub(super) job: Option<JobId>,
    /// How much of it is here, where bytes came along.
    pub(super) offset: Option<u64>,
}

/// Where bytes of an upload begin.
const BEGIN: u64 = 0;

impl Creation {
    /// Reads and checks what a request asks for.
    pub(super) fn read(
        service: &JobService,
        headers: &HeaderMap,
        scope: Option<&KeyScope>,
        body: &Body,
    ) -> Result<Self, ApiError> {
        let kind = match headers::concat(headers, service.config.uploads_open_max)? {
            Concat::Whole => Kind::Whole(length(service, headers)?),
            Concat::Partial => Kind::Partial(length(service, headers)?),
            Concat::Final(parts) => Kind::Final(parts, headers::length_of_final(headers)?),
        };
        let has_chunk = headers::has_chunk(headers);
        match kind {
            Kind::Final(..) if has_chunk => {
                let message = "a final upload has no bytes of its own; send it without a body";
                return Err(Invalid(message.to_owned()).into());
            }
            Kind::Whole(size) | Kind::Partial(size) if has_chunk => receive::check_length(body, size, size)?,
            _ => {}
        }
        let chunk = has_chunk.then(|| headers::checksum(headers)).transpose()?;
        Ok(Self { kind, metadata: headers::metadata(headers)?, key: call_key(headers, scope)?, chunk })
    }

    /// Makes the upload, and its job if it has one, and takes the bytes that came along.
    pub(super) async fn carry_out(self, service: &Arc<JobService>, body: Body) -> Result<Made, ApiError> {
        let Self { kind, metadata, key, chunk } = self;
        match kind {
            Kind::Whole(size) => whole(service, size, metadata, key, chunk, body).await,
            Kind::Partial(size) => partial(service, size, metadata, chunk, body).await,
            Kind::Final(parts, size) => join(service, parts, size, metadata, key).await,
        }
    }
}

fn length(service: &JobService, headers: &HeaderMap) -> Result<u64, ApiError> {
    let size = headers::upload_length(headers)?;
    check_size(service, size, "Upload-Length is")?;
    Ok(size)
}

fn check_size(service: &JobService, size: u64, what: &str) -> Result<(), ApiError> {
    let limit = service.config.upload_bytes_max;
    if size <= limit {
        return Ok(());
    }
    let message = format!("{what} {size} bytes; at most {limit} are allowed (jobs.upload_bytes_max)");
    Err(ApiError::new(Code::TooLarge, message))
}

/// The caller's key. The bytes that come along are no part of the call: they may be sent otherwise.
fn call_key(headers: &HeaderMap, scope: Option<&KeyScope>) -> Result<Option<CallKey>, ApiError> {
    let named = [tus::LENGTH, tus::METADATA, tus::CONCAT];
    let values = named.map(|name| headers.get(name).map_or(&b""[..], |value| value.as_bytes()));
    let key = CallKey::of(headers, scope, &Method::POST, "/api/uploads", &values.join(&b'\n'));
    key.map_err(|message| Invalid(message).into())
}

async fn whole(
    service: &Arc<JobService>,
    size: u64,
    metadata: Metadata,
    key: Option<CallKey>,
    chunk: Option<Option<Checksum>>,
    body: Body,
) -> Result<Made, ApiError> {
    if let Some(made) = made_before(service, key.as_ref()).await? {
        return Ok(made);
    }
    let keyed = key.is_some();
    let begun = {
        let _place = Place::take(service, size).await?;
        begin(service, size, metadata, Source::default(), key).await?
    };
    let (upload, job) = match begun {
        Begun::New(upload, job) => (upload, job),
        Begun::Before(made) => return Ok(*made),
    };
    let filled = match chunk {
        Some(checksum) => receive::receive(service, upload, BEGIN, checksum, body).await.map(Some),
        None if size == 0 => receive::finish(service, &job).await.map(|()| None).map_err(ApiError::from),
        None => Ok(None),
    };
    match filled {
        Ok(offset) => Ok(Made { upload, job: Some(job), offset }),
        // Who has a key finds it again by that.
        Err(error) if keyed && error.code() == Code::BodyBroken => Err(error),
        Err(error) => {
            retention::withdraw(service, &job).await?;
            Err(in_vain(error))
        }
    }
}

async fn partial(
    service: &Arc<JobService>,
    size_bytes: u64,
    metadata: Metadata,
    chunk: Option<Option<Checksum>>,
    body: Body,
) -> Result<Made, ApiError> {
    let upload = {
        let _place = Place::take(service, size_bytes).await?;
        let partial = Partial { size_bytes, metadata: metadata.raw };
        let made = service.partials.create(partial, service.now()).await;
        made.map_err(|error| file_error("making the upload's file", &error))?
    };
    let Some(checksum) = chunk else { return Ok(Made { upload, job: None, offset: None }) };
    match receive::receive(service, upload, BEGIN, checksum, body).await {
        Ok(offset) => Ok(Made { upload, job: None, offset: Some(offset) }),
        Err(error) => {
            let removed = service.partials.remove(upload).await;
            removed.map_err(|error| file_error("removing the upload", &error))?;
            Err(in_vain(error))
        }
    }
}

/// The words of an error promise that what came is kept; without an answer nobody would know where.
fn in_vain(error: ApiError) -> ApiError {
    if error.code() != Code::BodyBroken {
        return error;
    }
    let message = "the body ended early and the upload was not made; begin again. With an Idempotency-Key what comes \
                   is kept, and the same request says where to go on";
    ApiError::new(Code::BodyBroken, message)
}

/// Joins parts in their order, and makes one job of the whole.
async fn join(
    service: &Arc<JobService>,
    parts: Vec<Part>,
    size: Option<u64>,
    metadata: Metadata,
    key: Option<CallKey>,
) -> Result<Made, ApiError> {
    let (parts, addresses): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.id, part.address)).unzip();
    // The parts are gone after it: who asks again, because the answer was lost, must be known without them.
    let key = key.unwrap_or_else(|| joint_key(&parts));
    if let Some(made) = made_before(service, Some(&key)).await? {
        return Ok(Made { offset: None, ..made });
    }
    let (files, total) = files_of(service, &parts).await?;
    if size.is_some_and(|size| size != total) {
        let message = format!(
            "Upload-Length is {}, and the parts have {total} bytes together; leave it out",
            size.unwrap_or(0)
        );
        return Err(Invalid(message).into());
    }
    check_size(service, total, "the parts have together")?;
    room::check_joining(service, total).await?;
    let source = Source { ids: parts.clone(), addresses, files };
    let (upload, job) = match begin(service, total, metadata, source, Some(key)).await? {
        Begun::New(upload, job) => (upload, job),
        Begun::Before(made) => return Ok(*made),
    };
    receive::finish(service, &job).await?;
    for part in parts {
        if let Err(error) = service.partials.remove(part).await {
            tracing::warn!(%part, %error, "a part that was joined cannot be removed; the next start tries again");
        }
    }
    Ok(Made { upload, job: Some(job), offset: None })
}

fn joint_key(parts: &[UploadId]) -> CallKey {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part.to_string()));
    CallKey { key: format!("Upload-Concat {}", BASE64_STANDARD.encode(hash.finalize())), call: 0 }
}

/// The files of parts, each whole, and how long they are together.
async fn files_of(service: &JobService, parts: &[UploadId]) -> Result<(Vec<(PathBuf, u64)>, u64), ApiError> {
    let (mut files, mut total) = (Vec::new(), 0_u64);
    for part in parts {
        let missing = || {
            let message = format!("Upload-Concat: there is no partial upload {part}; send its bytes again");
            ApiError::new(Code::NotFound, message)
        };
        let size = service.partials.get(*part).ok_or_else(missing)?.size_bytes;
        let received = service.partials.files.received(*part).await.map_err(|_| missing())?;
        if received != size {
            let message = format!(
                "Upload-Concat: {received} of the {size} bytes of {part} are here; send the rest first"
            );
            return Err(Invalid(message).into());
        }
        files.push((service.partials.files.data(*part), size));
        total = total.saturating_add(size);
    }
    Ok((files, total))
}

/// What an earlier call under the same key made.
async fn made_before(service: &JobService, key: Option<&CallKey>) -> Result<Option<Made>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    let call = service.model().calls().find(key).map_err(ChangeError::from)?.cloned();
    let Some(call) = call else { return Ok(None) };
    // Another job may have got the name since.
    let entry = service.find(&call.id).ok();
    let entry = entry.filter(|entry| call.update.is_some_and(|update| update.get() == entry.job.number + 1));
    let upload = entry.as_ref().and_then(|entry| entry.job.upload.as_ref()).map(|upload| upload.id);
    let gone = || ChangeError::AnswerGone { key: key.given().to_owned(), id: call.id.clone() };
    let upload = upload.ok_or_else(gone)?;
    let offset = service.files.received(upload).await.ok();
    Ok(Some(Made { upload, job: Some(call.id), offset }))
}

enum Begun {
    New(UploadId, JobId),
    /// Another request under the same key was faster.
    Before(Box<Made>),
}

/// The parts that an upload is joined from, and their files; none of one that comes in one piece.
#[derive(Default)]
struct Source {
    ids: Vec<UploadId>,
    addresses: Vec<String>,
    files: Vec<(PathBuf, u64)>,
}

/// Makes an upload's file and its job, both or neither.
async fn begin(
    service: &Arc<JobService>,
    size_bytes: u64,
    metadata: Metadata,
    source: Source,
    key: Option<CallKey>,
) -> Result<Begun, ApiError> {
    let id = metadata.session_id.unwrap_or_else(JobId::random);
    // With a key it may be the job of the same call, which is decided below.
    if let Some(entry) = service.find(&id).ok().filter(|_| key.is_none()) {
        return Err(Refusal::Exists { id, status: entry.job.status }.into());
    }
    let upload = Upload {
        id: UploadId::random(),
        filename: metadata.filename,
        size_bytes,
        received_bytes: 0,
        metadata: metadata.raw,
        heard_at: service.now(),
        removed: false,
        parts: source.ids,
        part_addresses: source.addresses,
    };
    let name = upload.id;
    let begun = match make_file(service, name, source.files).await {
        Ok(()) => begin_job(service, id, upload, key).await,
        Err(error) => Err(file_error("making the upload's file", &error)),
    };
    if !matches!(begun, Ok(Begun::New(..))) {
        // The next start would remove it too: it has no job.
        let _removed = service.files.remove(name).await;
    }
    begun
}

async fn make_file(service: &JobService, id: UploadId, files: Vec<(PathBuf, u64)>) -> std::io::Result<()> {
    service.files.create(id).await?;
    if files.is_empty() { Ok(()) } else { service.files.join(id, files).await }
}

async fn begin_job(
    service: &Arc<JobService>,
    id: JobId,
    upload: Upload,
    key: Option<CallKey>,
) -> Result<Begun, ApiError> {
    let total_steps = u32::try_from(REPORT_STEPS.len()).unwrap_or(u32::MAX);
    let (name, title) = (upload.id, upload.filename.clone());
    let started = Change::Started { title, total_steps, upload: Some(upload), lease_ms: None, spec: None };
    match service.begin(&id, key.clone(), started).await? {
        Outcome::Before(..) => {
            let made = made_before(service, key.as_ref()).await?;
            made.map(|made| Begun::Before(Box::new(made))).ok_or_else(|| ChangeError::Stopped.into())
        }
        Outcome::Now(_) | Outcome::Gone => Ok(Begun::New(name, id)),
    }
}
