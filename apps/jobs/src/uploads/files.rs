//! The files of jobs: one folder an upload, named by us.
//!
//! ```text
//! <data_dir>/uploads/<upload id>/data           the bytes; while they arrive, its length is the
//!                                               upload's offset
//!                               /report.html    the report, there only when it is whole
//!                               /report.tmp     a report in the making
//! ```
//! No name that a client chose is ever part of a path.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    disk::{blocking, gone, sync_folder},
    domain::UploadId,
};

/// Where files are.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    uploads: PathBuf,
}

impl Files {
    /// Files under a directory, which is made if it is not there.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let uploads = data_dir.join("uploads");
        std::fs::create_dir_all(&uploads)?;
        Ok(Self { uploads })
    }

    fn of(&self, id: UploadId) -> PathBuf {
        self.uploads.join(id.to_string())
    }

    /// The bytes.
    pub(crate) fn data(&self, id: UploadId) -> PathBuf {
        self.of(id).join("data")
    }

    /// The report.
    pub(crate) fn report(&self, id: UploadId) -> PathBuf {
        self.of(id).join("report.html")
    }

    /// A report in the making.
    pub(crate) fn draft(&self, id: UploadId) -> PathBuf {
        self.of(id).join("report.tmp")
    }

    /// Makes an upload without bytes, so that it is there after a crash.
    pub(crate) async fn create(&self, id: UploadId) -> io::Result<()> {
        let (uploads, folder, data) = (self.uploads.clone(), self.of(id), self.data(id));
        blocking(move || {
            std::fs::create_dir(&folder)?;
            std::fs::File::create_new(data)?.sync_all()?;
            sync_folder(&folder)?;
            sync_folder(&uploads)
        })
        .await
    }

    /// How many bytes are here.
    pub(crate) async fn received(&self, id: UploadId) -> io::Result<u64> {
        tokio::fs::metadata(self.data(id)).await.map(|metadata| metadata.len())
    }

    /// A report in the making becomes the report.
    pub(crate) async fn publish(&self, id: UploadId) -> io::Result<()> {
        let (folder, draft, report) = (self.of(id), self.draft(id), self.report(id));
        blocking(move || {
            std::fs::File::open(&draft)?.sync_all()?;
            std::fs::rename(draft, report)?;
            sync_folder(&folder)
        })
        .await
    }

    /// Removes the bytes; a report stays.
    pub(crate) async fn remove_data(&self, id: UploadId) -> io::Result<()> {
        gone(tokio::fs::remove_file(self.data(id)).await)
    }

    /// Removes everything of an upload.
    pub(crate) async fn remove(&self, id: UploadId) -> io::Result<()> {
        gone(tokio::fs::remove_dir_all(self.of(id)).await)
    }

    /// The uploads that have a folder.
    pub(crate) fn list(&self) -> io::Result<Vec<UploadId>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.uploads)? {
            found.extend(entry?.file_name().to_str().and_then(UploadId::parse));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn removing_twice_is_no_error() {
        let folder = tempfile::tempdir().expect("a directory");
        let files = Files::open(folder.path()).expect("opened");
        let id = UploadId::random();
        files.create(id).await.expect("created");
        assert_eq!(files.list().expect("listed"), [id]);
        files.remove(id).await.expect("removed");
        files.remove(id).await.expect("removed again");
        assert!(files.list().expect("listed").is_empty());
    }
}
