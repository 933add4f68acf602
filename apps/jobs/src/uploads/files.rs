//! The files of jobs: one folder an upload, named by us.
//!
//! ```text
//! <data_dir>/uploads/<upload id>/data           the bytes; while they arrive, its length is the
//!                                               upload's offset
//!                               /report.html    the report, there only when it is whole
//!                               /report.tmp     a report in the making
//! <data_dir>/partials/<upload id>/data          a part of a file, until it is joined with the others
//!                                /about.json    how long it will be
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
        Self::in_folder(data_dir.join("uploads"))
    }

    /// The files of partial uploads.
    pub(crate) fn partial(data_dir: &Path) -> io::Result<Self> {
        Self::in_folder(data_dir.join("partials"))
    }

    fn in_folder(uploads: PathBuf) -> io::Result<Self> {
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

    /// What a partial upload said of itself.
    pub(crate) fn about(&self, id: UploadId) -> PathBuf {
        self.of(id).join("about.json")
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

    /// Fills an upload that was made without bytes with those of others, in their order, each so long as it
    /// says.
    ///
    /// Cost: their bytes are copied, where the file system can by reference.
    pub(crate) async fn join(&self, id: UploadId, parts: Vec<(PathBuf, u64)>) -> io::Result<()> {
        let data = self.data(id);
        blocking(move || {
            // All are opened first: whoever removes one meanwhile takes nothing from what is read.
            let opened = parts.iter().map(|(path, _)| std::fs::File::open(path));
            let opened = opened.collect::<io::Result<Vec<_>>>()?;
            let mut whole = std::fs::OpenOptions::new().write(true).open(data)?;
            for (mut part, (_, size_bytes)) in opened.into_iter().zip(parts) {
                let copied = io::copy(&mut part, &mut whole)?;
                if copied != size_bytes {
                    return Err(io::Error::other(format!("a part has {copied} bytes and not {size_bytes}")));
                }
            }
            whole.sync_all()
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

    /// As [`Files::remove`], before anything runs.
    pub(crate) fn remove_now(&self, id: UploadId) -> io::Result<()> {
        gone(std::fs::remove_dir_all(self.of(id)))
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
