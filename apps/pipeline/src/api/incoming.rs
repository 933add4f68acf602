//! A body on its way to be checked as a whole: it waits in a file that goes when nobody needs it any more.

use std::{io, path::PathBuf};

use anywire_app::{ApiError, AppContext};
use anywire_codes::Code;
use axum::body::{Body, HttpBody as _};
use futures_util::StreamExt as _;
use tempfile::{NamedTempFile, TempPath};
use tokio::io::AsyncWriteExt as _;

use super::errors::internal;

/// Where bodies wait.
fn folder(context: &AppContext) -> PathBuf {
    context.data_dir.join("incoming")
}

/// Removes what a run that was killed left behind.
pub(crate) fn clear(context: &AppContext) {
    if let Err(error) = std::fs::remove_dir_all(folder(context))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "files of an earlier run could not be removed");
    }
}

/// Writes a body to a file.
///
/// # Errors
/// The body is cut off or larger than `bytes_max`, or the disk does not take it.
pub(super) async fn spool(context: &AppContext, body: Body, bytes_max: u64) -> Result<TempPath, ApiError> {
    let folder = folder(context);
    let made = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        NamedTempFile::new_in(&folder)
    });
    let (file, path) = made.await.map_err(internal)?.map_err(|error| disk(&error))?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut stream = body.into_data_stream();
    let mut bytes = 0_u64;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        bytes += chunk.len() as u64;
        if bytes > bytes_max {
            return Err(too_large(bytes_max));
        }
        file.write_all(&chunk).await.map_err(|error| disk(&error))?;
    }
    file.flush().await.map_err(|error| disk(&error))?;
    Ok(path)
}

/// Refuses a body that says beforehand that it is too long, before any of it is asked for.
pub(super) fn check_length(body: &Body, bytes_max: u64) -> Result<(), ApiError> {
    if body.size_hint().lower() > bytes_max { Err(too_large(bytes_max)) } else { Ok(()) }
}

fn too_large(bytes_max: u64) -> ApiError {
    let message =
        format!("the file is larger than {bytes_max} bytes, pipeline.csv_bytes_max; nothing was sent");
    ApiError::new(Code::TooLarge, message)
}

fn broken(error: &axum::Error) -> ApiError {
    let message = format!("the file was cut off: {error}; nothing was sent, send it again");
    ApiError::new(Code::BodyBroken, message)
}

fn disk(error: &io::Error) -> ApiError {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::StorageFull,
        _ => Code::StorageFailed,
    };
    ApiError::new(code, format!("keeping the file failed: {error}; see the server's disk"))
}
