//! Bodies that the HTTP library brings, taken whole.

use std::fmt::Display;

use anywire_protocol::{Code, Refusal};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::{Gateway, transports::publish::BODY_BROKEN};

/// Why there is no body.
pub(crate) enum BodyError {
    /// It has more bytes than it may.
    TooLarge,
    /// It broke off: what the library says.
    Broken(String),
    /// There is no room for it at the moment.
    Busy(Refusal),
}

/// Takes a body of at most so many bytes, or says in the words of `too_large` how many there are: before it
/// comes, if its length is told.
pub(crate) async fn read_within(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    too_large: impl Fn(&dyn Display) -> Refusal,
) -> Result<Bytes, Refusal> {
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if let Some(bytes) = declared.filter(|bytes| *bytes > bytes_max) {
        return Err(too_large(&bytes));
    }
    read_body(gateway, body, bytes_max).await.map_err(|error| match error {
        BodyError::TooLarge => too_large(&format!("more than {bytes_max}")),
        BodyError::Broken(why) => Refusal::new(Code::BodyBroken, format!("{BODY_BROKEN} ({why})")),
        BodyError::Busy(refusal) => refusal,
    })
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
