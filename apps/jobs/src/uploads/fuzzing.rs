//! What must hold for any headers of an upload: the body of a fuzz target in `/fuzz`.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::{self, Concat};

/// Small, so that it is met often.
const PARTS_MAX: usize = 3;

/// Lines of `name: value` are headers that are understood within their limits, or refused.
pub fn fuzz_headers(data: &[u8]) {
    let mut given = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..at], line.get(at + 1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            given.append(name, value);
        }
    }
    if let Ok(Concat::Final(parts)) = headers::concat(&given, PARTS_MAX) {
        assert!((1..=PARTS_MAX).contains(&parts.len()));
        assert!(parts.iter().all(|part| part.address.ends_with(&part.id.to_string())));
        assert!(parts.iter().all(|part| !part.address.contains(['?', '#'])));
    }
    if let Ok(metadata) = headers::metadata(&given) {
        let name = metadata.filename;
        assert!(!name.is_empty() && name.chars().count() <= 200, "{name:?}");
        assert!(!name.contains(['/', '\\']) && !name.contains(char::is_control), "{name:?}");
    }
    if let Ok(Some(checksum)) = headers::checksum(&given) {
        let _fits_or_not = checksum.matches();
    }
    let folder = headers::folder_of_uploads(&given);
    assert!(folder.ends_with("uploads/") && folder.is_ascii() && !folder.starts_with("//"), "{folder:?}");
    let _understood_or_refused = (
        headers::check_version(&given),
        headers::upload_length(&given),
        headers::length_of_final(&given),
        headers::upload_offset(&given),
        headers::check_chunk_type(&given),
    );
}
