//! Bodies that the HTTP library brings, taken whole.

use anywire_protocol::Refusal;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::Gateway;

/// Why there is no body.
pub(crate) enum BodyError {
    /// It has more bytes than it may.
    TooLarge,
    /// It broke off: what the library says.
    Broken(String),
    /// There is no room for it at the moment.
    Busy(Refusal),
}

/// Takes a body of at most so many bytes. What is here of it counts among the bytes of unfinished requests.
pub(crate) async fn read_body(gateway: &Gateway, body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    let mut kept = gateway.admission.unfinished.keep_nothing();
    let mut whole = BytesMut::new();
    let mut body = Limited::new(body, bytes_max);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
            true => BodyError::TooLarge,
            false => BodyError::Broken(error.to_string()),
        })?;
        if let Ok(data) = frame.into_data() {
            kept.set(whole.len() + data.len()).map_err(BodyError::Busy)?;
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}
