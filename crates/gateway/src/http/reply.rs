//! The writer of answers for the HTTP library.

use anywire_protocol::Refusal;
use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{
    admission::cors::Cors,
    reply::{Content, Reply},
};

/// A refusal as an answer.
pub(crate) struct Refused(pub(crate) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        Reply::from(self.0).into_response()
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let body = match self.content {
            Content::Whole(body) => Body::from(body),
            Content::None | Content::Stream => Body::empty(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            set(response.headers_mut(), name, &value.to_string());
        }
        if self.personal {
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("Authorization"));
        }
        response
    }
}

/// Sets a header; what is no value of one is left out.
fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

/// What a page asks before it sends a request: the headers it would like to send.
pub(super) struct Preflight(Option<String>);

impl Preflight {
    /// The one in a request, if it is one.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let headers = request.headers();
        let asks = request.method() == Method::OPTIONS
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|names| names.to_str().ok());
        asks.then(|| Self(asked.map(str::to_owned)))
    }
}

/// Every text of the server is UTF-8. Who is not told guesses, and reads other letters.
fn name_charset(headers: &mut HeaderMap) {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let bare = |kind: &&str| kind.starts_with("text/") && !kind.to_ascii_lowercase().contains("charset=");
    if let Some(kind) = kind.filter(bare) {
        let kind = format!("{kind}; charset=utf-8");
        set(headers, "content-type", &kind);
    }
}

/// Nobody takes an answer for what it does not say it is, and the address of a page, which may hold a token,
/// goes to no other site.
fn guard(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind.is_some_and(|kind| kind.starts_with(b"text/html"))
        && !headers.contains_key(header::REFERRER_POLICY)
    {
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    }
}

/// What caches and pages of other origins have to know of every answer.
pub(super) fn for_pages(
    headers: &mut HeaderMap,
    cors: &Cors,
    origin: Option<&str>,
    preflight: Option<&Preflight>,
) {
    let others = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
    let asked = preflight.map(|_| header::ACCESS_CONTROL_REQUEST_HEADERS.as_str());
    let vary = std::iter::once("Origin").chain(asked).chain(others).collect::<Vec<_>>().join(", ");
    set(headers, "vary", &vary);
    name_charset(headers);
    guard(headers);
    for (name, value) in origin.iter().flat_map(|origin| cors.answer(origin)) {
        set(headers, name, value);
    }
    let allowed = preflight.filter(|_| origin.is_some());
    for (name, value) in allowed.iter().flat_map(|preflight| cors.preflight(preflight.0.as_deref())) {
        set(headers, name, &value);
    }
}
