//! Bytes of an upload go from a request to its file.
//!
//! They are written as they come, never held whole; whatever ends the request, what came stays, and the next
//! request goes on after it. The last byte comes with a sync.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anywire_app::http::ApiError;
use anywire_codes::Code;
use anywire_log::Timestamp;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::{fs::File, io::AsyncWriteExt};

use super::{
    files::Files,
    headers::Checksum,
    room::{self, LOOK_EVERY_BYTES},
    writers::Writer,
};
use crate::{
    api::errors::file_error,
    decisions::Refusal,
    domain::{Job, JobId, Status, UploadId},
    service::{ChangeError, JobService, Ruling, to_the_end},
};

/// Writes a body to an upload from `offset` on, and returns the offset after it.
///
/// The work is done in a task of its own: when the connection breaks, what came is still written down.
pub(super) async fn receive(
    service: &Arc<JobService>,
    upload: UploadId,
    offset: u64,
    checksum: Option<Checksum>,
    body: Body,
) -> Result<u64, ApiError> {
    let service = Arc::clone(service);
    to_the_end(async move { receive_now(&service, upload, offset, checksum, body).await }).await
}

/// Every byte is here: the report can be made.
pub(super) async fn finish(service: &Arc<JobService>, id: &JobId) -> Result<(), ChangeError> {
    service.change(id, None, Job::decide_queue).await.map(|_| ())
}

/// Another request writes, and did not end in time.
pub(super) fn locked(upload: UploadId) -> ApiError {
    let message =
        format!("another request writes to upload {upload}; ask for its offset and go on from there");
    ApiError::new(Code::UploadLocked, message)
}

async fn receive_now(
    service: &Arc<JobService>,
    upload: UploadId,
    offset: u64,
    checksum: Option<Checksum>,
    body: Body,
) -> Result<u64, ApiError> {
    let writer = service.writers.enter(upload).await.map_err(|_| locked(upload))?;
    let missing = || ApiError::new(Code::NotFound, format!("there is no upload {upload} any more"));
    let place = Place::of(service, upload).ok_or_else(missing)?;
    let received = place.files.received(upload).await.map_err(|_| missing())?;
    check_offset(upload, offset, received)?;
    place.job.as_deref().map_or(Ok(()), check_open)?;
    room::check_still(service).await?;
    check_length(&body, place.size.saturating_sub(offset), place.size)?;
    // An interrupted job goes on with the first byte; a running one is updated at its interval.
    if let Some(job) = place.job.as_ref().filter(|job| offset < place.size && job.status != Status::Running) {
        service.change(&job.id, None, move |job| job.decide_bytes(offset)).await.map_err(stopped)?;
    }
    let reported = place.job.as_ref().map_or(Timestamp::from_millis(0), |job| job.updated_at);
    let mut chunk = Chunk { service, place: &place, upload, begin: offset, at: offset, reported, checksum };
    let ended = chunk.receive(&writer, body).await;
    let kept = chunk.keep(ended).await?;
    if let Some(job) = place.job.as_ref().filter(|job| kept == place.size && job.step() <= 1) {
        finish(service, &job.id).await.map_err(stopped)?;
    }
    Ok(kept)
}

/// Where bytes go.
struct Place<'a> {
    /// The job that is told of them; a partial upload has none.
    job: Option<Arc<Job>>,
    files: &'a Files,
    /// How long the upload will be.
    size: u64,
}

impl<'a> Place<'a> {
    fn of(service: &'a JobService, upload: UploadId) -> Option<Self> {
        if let Some(partial) = service.partials.get(upload) {
            return Some(Self { job: None, files: &service.partials.files, size: partial.size_bytes });
        }
        let job = service.model().of_upload(upload).map(|entry| Arc::clone(&entry.job))?;
        let size = job.upload.as_ref()?.size_bytes;
        Some(Self { job: Some(job), files: &service.files, size })
    }
}

fn check_offset(upload: UploadId, offset: u64, received: u64) -> Result<(), ApiError> {
    if offset == received {
        return Ok(());
    }
    let message =
        format!("Upload-Offset is {offset}, and upload {upload} has {received} bytes; go on from there");
    Err(ApiError::new(Code::OffsetConflict, message))
}

fn check_open(job: &Job) -> Result<(), ApiError> {
    if job.upload.as_ref().is_some_and(|upload| !upload.parts.is_empty()) {
        let message = "this upload was joined from its parts and takes no bytes; upload another file anew";
        return Err(ApiError::new(Code::UploadStopped, message));
    }
    if matches!(job.status, Status::Cancelled | Status::Failed) {
        return Err(stopped(
            Refusal::Illegal {
                id: job.id.clone(),
                status: job.status,
                action: "receiving bytes",
                way_out: "retry it first",
            }
            .into(),
        ));
    }
    Ok(())
}

/// A body that says beforehand that it is too long is refused before anything is written.
pub(super) fn check_length(body: &Body, missing: u64, size: u64) -> Result<(), ApiError> {
    let length = http_body::Body::size_hint(body).exact();
    if length.is_some_and(|length| length > missing) { Err(past_the_end(size)) } else { Ok(()) }
}

fn past_the_end(size: u64) -> ApiError {
    let message = format!("the body goes past the {size} bytes of Upload-Length; send only what is missing");
    ApiError::new(Code::TooLarge, message)
}

/// A job that stopped meanwhile is not revived by a late update.
fn waiting_for_bytes(job: &Job, received: u64) -> Ruling {
    let waits = job.status == Status::Running
        && job.upload.as_ref().is_some_and(|upload| received < upload.size_bytes);
    if waits { job.decide_bytes(received) } else { Ok(None) }
}

/// A job that does not wait for bytes any more. 409 would make clients try again at once; 403 makes them
/// stop.
fn stopped(error: ChangeError) -> ApiError {
    match error {
        ChangeError::Refused(refusal) => ApiError::new(Code::UploadStopped, refusal.to_string()),
        other => other.into(),
    }
}

/// One request's bytes on their way to the file.
struct Chunk<'a> {
    service: &'a Arc<JobService>,
    place: &'a Place<'a>,
    upload: UploadId,
    /// Where this request began.
    begin: u64,
    /// Where the file is.
    at: u64,
    /// When the job's progress was last published.
    reported: Timestamp,
    checksum: Option<Checksum>,
}

impl Chunk<'_> {
    fn size(&self) -> u64 {
        self.place.size
    }

    async fn receive(&mut self, writer: &Writer<'_>, mut body: Body) -> Result<(), ApiError> {
        let path = self.place.files.data(self.upload);
        let opened = tokio::fs::OpenOptions::new().append(true).open(path).await;
        let mut file = opened.map_err(|error| file_error("opening the upload", &error))?;
        let ended = self.write_all(&mut file, writer, &mut body).await;
        let complete = self.at == self.size();
        let synced = async {
            file.flush().await?;
            // Until then a crash costs at most bytes that the file's length does not count either: the client
            // sends them again.
            if complete { file.sync_all().await } else { Ok(()) }
        };
        synced.await.map_err(|error| file_error("writing the upload", &error))?;
        ended
    }

    async fn write_all(
        &mut self,
        file: &mut File,
        writer: &Writer<'_>,
        body: &mut Body,
    ) -> Result<(), ApiError> {
        while self.at < self.size() {
            let Some(bytes) = self.next(writer, body).await? else { break };
            self.write(file, &bytes).await?;
        }
        Ok(())
    }

    /// The next bytes of the body; none when it has ended.
    async fn next(&self, writer: &Writer<'_>, body: &mut Body) -> Result<Option<Bytes>, ApiError> {
        let idle = Duration::from_millis(self.service.config.upload_idle_ms);
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(idle, body.frame()) => frame,
                () = writer.stop.cancelled() => return Err(locked(self.upload)),
                () = self.service.context.shutdown.cancelled() => return Err(ChangeError::Stopped.into()),
            };
            match frame {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Ok(Some(Err(error))) => return Err(broken(&error.to_string())),
                Err(_) => return Err(broken(&format!("no byte came for {} s", idle.as_secs()))),
            }
        }
    }

    async fn write(&mut self, file: &mut File, bytes: &[u8]) -> Result<(), ApiError> {
        let count = bytes.len() as u64;
        if count > self.size() - self.at {
            return Err(past_the_end(self.size()));
        }
        file.write_all(bytes).await.map_err(|error| file_error("writing the upload", &error))?;
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        if (self.at + count) / LOOK_EVERY_BYTES > self.at / LOOK_EVERY_BYTES {
            room::check_still(self.service).await?;
        }
        self.at += count;
        self.service.received_bytes.fetch_add(count, Ordering::Relaxed);
        self.report().await
    }

    /// The progress of the job, if there is one, at most every `progress_interval_ms`. A chunk with a
    /// checksum counts when it is verified.
    async fn report(&mut self) -> Result<(), ApiError> {
        let now = self.service.now();
        let Some(job) = &self.place.job else {
            self.service.partials.heard(self.upload, self.at, now);
            return Ok(());
        };
        let early = now.millis_since(self.reported) < self.service.config.progress_interval_ms;
        if early || self.checksum.is_some() || self.at == self.size() {
            return Ok(());
        }
        self.reported = now;
        let received = self.at;
        self.service
            .change(&job.id, None, move |job| job.decide_bytes(received))
            .await
            .map(|_| ())
            .map_err(stopped)
    }

    /// Settles what stays of the chunk, and returns where the upload is now.
    async fn keep(&mut self, ended: Result<(), ApiError>) -> Result<u64, ApiError> {
        let complete = ended.is_ok();
        if let Some(checksum) = self.checksum.take()
            && !(complete && checksum.matches())
        {
            self.discard().await?;
            ended?;
            let message =
                "the bytes do not have the digest of Upload-Checksum and were dropped; send them again";
            return Err(ApiError::new(Code::ChecksumMismatch, message));
        }
        if let Some(job) = self.place.job.as_ref().filter(|_| self.at > self.begin && self.at < self.size()) {
            self.report_soon(&job.id);
        }
        // The last byte counts even if the connection broke right after it.
        if self.at < self.size() {
            ended?;
        }
        Ok(self.at)
    }

    /// What this request brought is told when the interval allows it, also if no other request follows:
    /// clients that send small chunks would else make more updates than anybody can see.
    fn report_soon(&self, id: &JobId) {
        let interval = self.service.config.progress_interval_ms;
        let wait = interval.saturating_sub(self.service.now().millis_since(self.reported));
        if !self.service.writers.plan_report(self.upload) {
            return;
        }
        let (service, id, upload) = (Arc::clone(self.service), id.clone(), self.upload);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            service.writers.report_begun(upload);
            // A job that was cancelled meanwhile refuses: its state says the rest.
            if let Ok(received) = service.files.received(upload).await {
                let told = service.change(&id, None, move |job| waiting_for_bytes(job, received)).await;
                tracing::trace!(%upload, ?told, "the progress of an upload");
            }
        });
    }

    async fn discard(&mut self) -> Result<(), ApiError> {
        let cut = async {
            let file =
                tokio::fs::OpenOptions::new().write(true).open(self.place.files.data(self.upload)).await?;
            file.set_len(self.begin).await?;
            file.sync_data().await
        };
        self.at = self.begin;
        if self.place.job.is_none() {
            self.service.partials.heard(self.upload, self.at, self.service.now());
        }
        cut.await.map_err(|error| file_error("dropping the chunk", &error))
    }
}

fn broken(why: &str) -> ApiError {
    let message =
        format!("the body ended early: {why}; what came is kept, ask for the offset and go on from there");
    ApiError::new(Code::BodyBroken, message)
}
