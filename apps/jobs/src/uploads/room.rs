//! Room for uploads: how many may be unfinished, and whether what is announced fits on the disk.
//!
//! The log is on that disk too, and has to be able to say what becomes of an upload. So a part of the disk is
//! kept for it: what is announced must fit beside that part and what other uploads still miss, and bytes are
//! taken only while half of it is there, whoever took the rest.

use std::sync::atomic::Ordering;

use anywire_app::http::ApiError;
use anywire_codes::Code;

use crate::{
    api::errors::file_error,
    disk::{blocking, free_bytes},
    domain::Job,
    service::JobService,
};

/// After how many bytes of a request it is looked again whether there is room.
pub(super) const LOOK_EVERY_BYTES: u64 = 8 << 20;

/// A place among the open uploads, held until the upload is in the model or among the parts.
pub(super) struct Place<'a> {
    service: &'a JobService,
    size_bytes: u64,
}

impl<'a> Place<'a> {
    /// Takes a place for an upload of so many bytes.
    pub(super) async fn take(service: &'a JobService, size_bytes: u64) -> Result<Self, ApiError> {
        let making = service.creating.fetch_add(1, Ordering::AcqRel);
        let announced = service.announced_bytes.fetch_add(size_bytes, Ordering::AcqRel);
        let place = Self { service, size_bytes };
        let open = making + service.model().uploads(Job::is_unfinished_upload) + service.partials.count();
        if open >= service.config.uploads_open_max {
            let message = format!(
                "{open} uploads are unfinished, the limit; finish or DELETE some of them, or raise jobs.uploads_open_max"
            );
            return Err(ApiError::new(Code::TooManyUploads, message));
        }
        let missing = announced + service.model().missing_bytes() + service.partials.missing_bytes();
        check_room(service, size_bytes, missing).await?;
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.service.creating.fetch_sub(1, Ordering::AcqRel);
        self.service.announced_bytes.fetch_sub(self.size_bytes, Ordering::AcqRel);
    }
}

/// Refuses a file for which there is no room beside what other uploads still miss.
async fn check_room(service: &JobService, size_bytes: u64, missing: u64) -> Result<(), ApiError> {
    let (free, reserve) = (free(service).await?, service.config.disk_reserve_bytes);
    if fits(size_bytes, free, missing, reserve) {
        return Ok(());
    }
    let message = format!(
        "the file has {size_bytes} bytes, and the disk has {free} free, of which unfinished uploads still need {missing} \
         and {reserve} are kept for the log (jobs.disk_reserve_bytes); free disk space, or send a smaller file"
    );
    Err(ApiError::new(Code::StorageFull, message))
}

/// The same for parts that are joined: until they are removed, they are there twice.
pub(super) async fn check_joining(service: &JobService, total_bytes: u64) -> Result<(), ApiError> {
    let missing = service.model().missing_bytes() + service.partials.missing_bytes();
    check_room(service, total_bytes, missing).await
}

/// Refuses more bytes while less than half of what is kept for the log is free.
pub(super) async fn check_still(service: &JobService) -> Result<(), ApiError> {
    let (free, reserve) = (free(service).await?, service.config.disk_reserve_bytes);
    if free >= reserve / 2 {
        return Ok(());
    }
    let message = format!(
        "the disk has {free} bytes free, less than half of the {reserve} that are kept for the log \
         (jobs.disk_reserve_bytes); what came is kept, free disk space and go on from there"
    );
    Err(ApiError::new(Code::StorageFull, message))
}

async fn free(service: &JobService) -> Result<u64, ApiError> {
    let folder = service.context.data_dir.clone();
    let free = blocking(move || free_bytes(&folder)).await;
    free.map_err(|error| file_error("looking for room on the disk", &error))
}

fn fits(size_bytes: u64, free: u64, missing: u64, reserve: u64) -> bool {
    let needed = size_bytes.saturating_add(missing).saturating_add(reserve);
    // One without bytes takes nothing from anybody.
    size_bytes == 0 || needed <= free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_fits_beside_other_uploads_and_what_is_kept_for_the_log() {
        assert!(fits(50, 100, 20, 30));
        assert!(!fits(51, 100, 20, 30));
        assert!(!fits(1, 100, 71, 30));
        assert!(!fits(1, 100, u64::MAX, 30));
        assert!(fits(0, 10, 20, 30));
    }
}
