//! The files of runs.
//!
//! ```text
//! <data_dir>/runs/<number>.<attempt>/files/     what the command leaves: its working directory, if it has
//!                                               no other
//!                                   /log/<n>    lines of its output from the n-th on
//! ```
//! `number` is the job's place in the order of creation: no name that a client chose is ever part of a path,
//! but those of files that a command made, and these are checked.

use std::{
    io,
    path::{Path, PathBuf},
};

use anywire_csv_report::{Ticker, checksum};

use crate::{
    disk::{blocking, gone},
    domain::{Artefact, Job, is_artefact_name},
};

/// How many files of one run can be downloaded.
pub(crate) const ARTEFACTS_MAX: usize = 200;
/// How deep a folder is looked into when its size is measured.
const DEPTH_MAX: usize = 16;

/// Where runs are.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    folder: PathBuf,
}

impl Runs {
    /// Runs under a directory, which is made if it is not there.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = std::path::absolute(data_dir)?.join("runs");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn of(&self, job: &Job) -> PathBuf {
        self.folder.join(format!("{}.{}", job.number, job.attempt))
    }

    /// Where the command leaves its files.
    pub(crate) fn files(&self, job: &Job) -> PathBuf {
        self.of(job).join("files")
    }

    /// Where its lines are.
    pub(crate) fn log(&self, job: &Job) -> PathBuf {
        self.of(job).join("log")
    }

    /// A fresh folder for this attempt; those of earlier attempts go.
    pub(crate) async fn begin(&self, job: &Job) -> io::Result<()> {
        self.remove(job).await?;
        tokio::fs::create_dir_all(self.files(job)).await?;
        tokio::fs::create_dir_all(self.log(job)).await
    }

    /// Removes everything of a job.
    pub(crate) async fn remove(&self, job: &Job) -> io::Result<()> {
        let (folder, number) = (self.folder.clone(), job.number);
        blocking(move || remove_where(&folder, |other| other == number)).await
    }

    /// Removes the runs of jobs that are not there any more.
    pub(crate) async fn keep_only(&self, known: std::collections::HashSet<u64>) -> io::Result<()> {
        let folder = self.folder.clone();
        blocking(move || remove_where(&folder, |number| !known.contains(&number))).await
    }

    /// The file of an artefact, if it is one: a plain file of a plain name.
    pub(crate) async fn artefact(&self, job: &Job, name: &str) -> Option<PathBuf> {
        let path = self.files(job).join(name);
        let there = is_artefact_name(name)
            && tokio::fs::symlink_metadata(&path).await.is_ok_and(|file| file.is_file());
        there.then_some(path)
    }

    /// The artefacts that are there, by name, at most [`ARTEFACTS_MAX`]; and how many bytes all files take.
    pub(crate) async fn scan(&self, job: &Job) -> io::Result<(Vec<Artefact>, u64)> {
        let folder = self.files(job);
        blocking(move || {
            let mut found = Vec::new();
            let mut bytes = 0;
            measure(&folder, 0, &mut bytes, &mut |name, size_bytes| {
                if is_artefact_name(name) {
                    found.push(Artefact { name: name.to_owned(), size_bytes, sha256: None });
                }
            })?;
            found.sort_by(|one, other| one.name.cmp(&other.name));
            found.truncate(ARTEFACTS_MAX);
            Ok((found, bytes))
        })
        .await
    }

    /// The artefacts that are there, each with its checksum: what is served whole is checked against it.
    ///
    /// Cost: every byte of them is read.
    pub(crate) async fn ready(&self, job: &Job) -> io::Result<Vec<Artefact>> {
        let folder = self.files(job);
        let (files, _) = self.scan(job).await?;
        blocking(move || {
            let ready = files.into_iter().map(|file| {
                let sha256 = checksum(&folder.join(&file.name), &Ticker::default()).ok();
                Artefact { sha256, ..file }
            });
            Ok(ready.collect())
        })
        .await
    }
}

/// Links are neither followed nor counted: they may lead anywhere.
fn measure(folder: &Path, depth: usize, bytes: &mut u64, found: &mut dyn FnMut(&str, u64)) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A command works in there meanwhile: what is gone is gone.
        let Ok(file) = entry.metadata() else { continue };
        if file.is_dir() && depth < DEPTH_MAX {
            gone(measure(&entry.path(), depth + 1, bytes, found))?;
        } else if file.is_file() {
            *bytes += file.len();
            if let Some(name) = entry.file_name().to_str().filter(|_| depth == 0) {
                found(name, file.len());
            }
        }
    }
    Ok(())
}

fn remove_where(folder: &Path, unwanted: impl Fn(u64) -> bool) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.split_once('.')?.0.parse().ok());
        if number.is_some_and(&unwanted) {
            gone(std::fs::remove_dir_all(entry.path()))?;
        }
    }
    Ok(())
}
