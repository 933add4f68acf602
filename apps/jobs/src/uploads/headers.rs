//! The headers of tus, checked.

use anywire_app::http::ApiError;
use anywire_codes::Code;
use axum::http::{HeaderMap, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::{
    api::errors::Invalid,
    domain::{JobId, UploadId},
};

/// The version of tus that is spoken here.
pub(super) const VERSION: &str = "1.0.0";
/// The longest `Upload-Metadata`, in bytes.
const METADATA_BYTES_MAX: usize = 4096;
/// The longest file name that is kept, in characters.
const FILENAME_CHARS_MAX: usize = 200;

/// Header names.
pub(super) mod tus {
    use axum::http::HeaderName;

    pub(in crate::uploads) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
    pub(in crate::uploads) const VERSION: HeaderName = HeaderName::from_static("tus-version");
    pub(in crate::uploads) const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
    pub(in crate::uploads) const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
    pub(in crate::uploads) const CHECKSUM_ALGORITHM: HeaderName =
        HeaderName::from_static("tus-checksum-algorithm");
    pub(in crate::uploads) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
    pub(in crate::uploads) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
    pub(in crate::uploads) const DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
    pub(in crate::uploads) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
    pub(in crate::uploads) const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
    pub(in crate::uploads) const CONCAT: HeaderName = HeaderName::from_static("upload-concat");
    pub(in crate::uploads) const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
    pub(in crate::uploads) const METHOD_OVERRIDE: HeaderName =
        HeaderName::from_static("x-http-method-override");
}

/// What an upload says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The header as it came.
    pub(super) raw: String,
    /// The file's name without folders; `upload.csv` if none was given.
    pub(super) filename: String,
    /// The name for its job.
    pub(super) session_id: Option<JobId>,
}

/// A part of a final upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: UploadId,
    /// Its address as it was given, without a query: a token may stand there.
    pub(super) address: String,
}

/// What an upload is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Concat {
    /// A whole file.
    Whole,
    /// A part of one.
    Partial,
    /// These parts, one after the other.
    Final(Vec<Part>),
}

/// `Upload-Concat`: `partial`, or `final;` and the addresses of partial uploads.
pub(super) fn concat(headers: &HeaderMap, parts_max: usize) -> Result<Concat, ApiError> {
    let Some(value) = headers.get(tus::CONCAT) else { return Ok(Concat::Whole) };
    let text = String::from_utf8_lossy(value.as_bytes());
    Ok(parse_concat(text.trim(), parts_max)?)
}

fn parse_concat(text: &str, parts_max: usize) -> Result<Concat, Invalid> {
    if text == "partial" {
        return Ok(Concat::Partial);
    }
    let list = text.strip_prefix("final;").ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        Invalid(format!("Upload-Concat is {shown:?}; send partial, or final; and the addresses of the parts"))
    })?;
    let named = list.split_ascii_whitespace().take(parts_max + 1);
    let parts = named.map(part).collect::<Result<Vec<_>, _>>()?;
    match parts.len() {
        0 => Err(Invalid(format!("Upload-Concat names no parts; send 1 to {parts_max}"))),
        count if count > parts_max => {
            Err(Invalid(format!("Upload-Concat names more than {parts_max} parts; send 1 to {parts_max}")))
        }
        _ => Ok(Concat::Final(parts)),
    }
}

/// A part by its address, absolute or not: the last piece of its path is its name.
fn part(address: &str) -> Result<Part, Invalid> {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let id = path.rsplit('/').next().and_then(UploadId::parse);
    id.map(|id| Part { id, address: path.to_owned() }).ok_or_else(|| {
        let shown: String = address.chars().take(100).collect();
        Invalid(format!("Upload-Concat: {shown:?} is no address of an upload; send its Location"))
    })
}

/// What `Location` has before the upload's name.
///
/// Relative to the address that was asked for it holds behind a proxy that puts a path in front, which only
/// the client knows. A page that asks its own server may give that address without a host, and then
/// `tus-js-client` resolves nothing against it: such pages get the whole path, with the prefix that the proxy
/// names.
pub(super) fn folder_of_uploads(headers: &HeaderMap) -> String {
    let is_page = headers.contains_key(header::ORIGIN);
    let is_own = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    if !(is_page && is_own) {
        return "uploads/".to_owned();
    }
    let prefix = headers.get("x-forwarded-prefix").and_then(|prefix| prefix.to_str().ok());
    let prefix = prefix.map(|prefix| prefix.trim_end_matches('/')).filter(|prefix| is_path(prefix));
    format!("{}/api/uploads/", prefix.unwrap_or_default())
}

/// Whether a text is a plain path.
fn is_path(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    text.starts_with('/') && !text.starts_with("//") && text.bytes().all(plain)
}

/// Refuses another version of tus with 412.
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(tus::RESUMABLE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match given.as_deref() {
        Some(VERSION) => Ok(()),
        other => {
            let named = other.map_or("missing".to_owned(), |text| format!("{text:?}"));
            let message = format!("Tus-Resumable is {named}; this server speaks {VERSION}");
            Err(ApiError::new(Code::TusVersion, message))
        }
    }
}

/// `Upload-Length` in bytes.
pub(super) fn upload_length(headers: &HeaderMap) -> Result<u64, ApiError> {
    if headers.contains_key(tus::DEFER_LENGTH) {
        return Err(Invalid("Upload-Defer-Length is not supported; send Upload-Length".to_owned()).into());
    }
    number(headers, &tus::LENGTH, "Upload-Length")
}

/// `Upload-Length` of a final upload, which needs none.
pub(super) fn length_of_final(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    if headers.contains_key(tus::LENGTH) { upload_length(headers).map(Some) } else { Ok(None) }
}

/// `Upload-Offset` in bytes.
pub(super) fn upload_offset(headers: &HeaderMap) -> Result<u64, ApiError> {
    number(headers, &tus::OFFSET, "Upload-Offset")
}

fn number(headers: &HeaderMap, name: &axum::http::HeaderName, shown: &str) -> Result<u64, ApiError> {
    let Some(value) = headers.get(name) else {
        return Err(Invalid(format!("{shown} is missing; send a number of bytes")).into());
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or_else(|| Invalid(format!("{shown} is {text:?}; send a number of bytes")).into())
}

/// Whether a request carries bytes of the upload.
pub(super) fn has_chunk(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value == CHUNK_TYPE)
}

/// Refuses other content types with 415.
pub(super) fn check_chunk_type(headers: &HeaderMap) -> Result<(), ApiError> {
    if has_chunk(headers) {
        return Ok(());
    }
    let message = format!("Content-Type must be {CHUNK_TYPE}");
    Err(ApiError::new(Code::MediaType, message))
}

const CHUNK_TYPE: &str = "application/offset+octet-stream";

/// `Upload-Metadata`: `key base64, key base64, key`.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Metadata, ApiError> {
    let raw = headers.get(tus::METADATA).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok(parse_metadata(raw.unwrap_or_default())?)
}

fn parse_metadata(raw: String) -> Result<Metadata, Invalid> {
    if raw.len() > METADATA_BYTES_MAX {
        return Err(Invalid(format!(
            "Upload-Metadata has {} bytes; at most {METADATA_BYTES_MAX} are allowed",
            raw.len()
        )));
    }
    if !raw.bytes().all(|c| c == b' ' || c.is_ascii_graphic()) {
        return Err(Invalid(
            "Upload-Metadata holds other than visible ASCII; encode values as base64".to_owned(),
        ));
    }
    let (mut filename, mut session_id) = (None, None);
    for pair in raw.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        match key {
            "filename" | "name" if filename.is_none() => filename = Some(decode(key, value)?),
            "session_id" => {
                let id = JobId::new(&decode(key, value)?);
                session_id = Some(id.map_err(|error| Invalid(format!("Upload-Metadata: {error}")))?);
            }
            _ => decode(key, value).map(|_| ())?,
        }
    }
    let filename = filename.map(|name| base_name(&name)).filter(|name| !name.is_empty());
    Ok(Metadata { raw, filename: filename.unwrap_or_else(|| "upload.csv".to_owned()), session_id })
}

fn decode(key: &str, value: &str) -> Result<String, Invalid> {
    let wrong = |what: &str| {
        Invalid(format!("Upload-Metadata: the value of {key} is no {what}; send UTF-8 as base64"))
    };
    let bytes = BASE64_STANDARD.decode(value.trim()).map_err(|_| wrong("base64"))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // Only names that we use must be texts.
        Err(_) if !matches!(key, "filename" | "name" | "session_id") => Ok(String::new()),
        Err(_) => Err(wrong("UTF-8")),
    }
}

/// The name without folders and control characters: it is shown and offered for saving.
fn base_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    name.chars().filter(|c| !c.is_control()).take(FILENAME_CHARS_MAX).collect::<String>().trim().to_owned()
}

/// A checksum that a chunk must have.
#[derive(Debug, Clone)]
pub(super) enum Checksum {
    /// SHA-1.
    Sha1(Sha1, Vec<u8>),
    /// SHA-256.
    Sha256(Sha256, Vec<u8>),
}

impl Checksum {
    /// Takes bytes in.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hash, _) => hash.update(bytes),
            Self::Sha256(hash, _) => hash.update(bytes),
        }
    }

    /// Whether the bytes are the ones that were meant.
    pub(super) fn matches(self) -> bool {
        match self {
            Self::Sha1(hash, expected) => hash.finalize().as_slice() == expected,
            Self::Sha256(hash, expected) => hash.finalize().as_slice() == expected,
        }
    }
}

/// `Upload-Checksum`: an algorithm and a digest as base64.
pub(super) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, ApiError> {
    let Some(value) = headers.get(tus::CHECKSUM) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    Ok(Some(parse_checksum(&text)?))
}

fn parse_checksum(text: &str) -> Result<Checksum, Invalid> {
    let (algorithm, digest) = text.split_once(' ').unwrap_or((text, ""));
    let wrong = || Invalid(format!("Upload-Checksum: {digest:?} is no digest of {algorithm} as base64"));
    let expected = BASE64_STANDARD.decode(digest.trim()).map_err(|_| wrong())?;
    let (checksum, bytes) = match algorithm {
        "sha1" => (Checksum::Sha1(Sha1::new(), expected.clone()), 20),
        "sha256" => (Checksum::Sha256(Sha256::new(), expected.clone()), 32),
        other => {
            return Err(Invalid(format!(
                "Upload-Checksum: algorithm {other:?} is not supported; use sha1 or sha256"
            )));
        }
    };
    if expected.len() == bytes { Ok(checksum) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_gives_the_file_name_without_folders_and_the_session() {
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        let raw =
            format!("filename {}, session_id {},empty", encode("C:\\x\\..\\giá vàng.csv"), encode("s-1"));
        let metadata = parse_metadata(raw.clone()).expect("metadata");
        assert_eq!((metadata.filename.as_str(), metadata.raw), ("giá vàng.csv", raw));
        assert_eq!(metadata.session_id.map(|id| id.to_string()).as_deref(), Some("s-1"));
    }

    #[test]
    fn a_file_without_a_usable_name_gets_one() {
        for raw in ["", "filename", &format!("filename {}", BASE64_STANDARD.encode("../"))] {
            assert_eq!(parse_metadata(raw.to_owned()).expect(raw).filename, "upload.csv");
        }
    }

    #[test]
    fn wrong_metadata_and_checksums_are_refused_by_name() {
        let message = |error: Invalid| error.0;
        assert!(
            message(parse_metadata("filename ???".to_owned()).expect_err("wrong"))
                .contains("filename is no base64")
        );
        assert!(message(parse_metadata("x".repeat(5000)).expect_err("long")).contains("5000 bytes"));
        assert!(message(parse_checksum("md5 AAAA").expect_err("md5")).contains("use sha1 or sha256"));
        assert!(message(parse_checksum("sha1 AAAA").expect_err("short")).contains("no digest of sha1"));
    }

    #[test]
    fn parts_are_named_by_their_addresses_however_these_are_written() {
        let (one, two) = (UploadId::random(), UploadId::random());
        let text = format!("final;/api/uploads/{one} https://x.example/behind/api/uploads/{two}?token=a/b");
        let part = |id, address| Part { id, address };
        let parts = vec![
            part(one, format!("/api/uploads/{one}")),
            part(two, format!("https://x.example/behind/api/uploads/{two}")),
        ];
        assert_eq!(parse_concat(&text, 2), Ok(Concat::Final(parts)));
        assert_eq!(parse_concat("partial", 2), Ok(Concat::Partial));
        let refused = |text: &str, words: &str| {
            let error = parse_concat(text, 2).expect_err(text).0;
            assert!(error.contains(words), "{error}");
        };
        refused("whole", "\"whole\"; send partial, or final;");
        refused("final;", "names no parts; send 1 to 2");
        refused(&format!("final;{one} {two} {one}"), "names more than 2 parts");
        refused("final;/api/uploads/x", "\"/api/uploads/x\" is no address of an upload");
    }

    #[test]
    fn a_checksum_matches_its_bytes_only() {
        let header = format!("sha1 {}", BASE64_STANDARD.encode(Sha1::digest(b"abc")));
        for (bytes, expected) in [(&b"abc"[..], true), (b"abd", false)] {
            let mut checksum = parse_checksum(&header).expect("a checksum");
            checksum.update(&bytes[..1]);
            checksum.update(&bytes[1..]);
            assert_eq!(checksum.matches(), expected);
        }
    }
}
