//! The files of jobs: one folder an upload, named by us.
//!
//! ```text
//! <data_dir>/uploads/<upload id>/data           the bytes; while they arrive, its length is the upload's offset
//!                               /report.html    the report, there only when it is whole
//!                               /report.tmp     a report in the making
//! ```
//! No name that a client chose is ever part of a path.
//!
//! Knows: paths. Does not know: jobs, HTTP.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The name of an upload: a UUID that we made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(uuid::Uuid);

impl UploadId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// The upload of that name, as we wrote it: anything else is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.parse().ok().map(Self)?;
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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

/// What is gone already need not be removed.
pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A new name in a folder survives a crash only when the folder itself is synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_made_are_uploads() {
        let id = UploadId::random();
        assert_eq!(UploadId::parse(&id.to_string()), Some(id));
        for text in ["", "..", "../x", "a/b", &id.to_string().to_uppercase(), &format!("{{{id}}}")] {
            assert_eq!(UploadId::parse(text), None, "{text:?}");
        }
    }

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
