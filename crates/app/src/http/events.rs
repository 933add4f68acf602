//! Server-Sent Events of an application: the answer, and how one event is written.

use anywire_codes::sse;
use anywire_log::Cursor;
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

/// An answer that is a stream of events: nothing on the way may keep it or change it.
#[must_use]
pub fn event_stream(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(sse::CONTENT_TYPE)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

/// One event on such a stream.
#[derive(Debug, Clone, Copy)]
pub struct EventFrame<'a> {
    /// What a client is to wait before it comes again, in milliseconds.
    pub retry_ms: Option<u32>,
    /// Where `Last-Event-ID` goes on.
    pub id: Option<Cursor>,
    /// The name of the event.
    pub name: &'a str,
    /// The data: one line, as JSON without line breaks is.
    pub data: &'a str,
}

impl<'a> EventFrame<'a> {
    /// An event without a place of its own.
    #[must_use]
    pub fn new(name: &'a str, data: &'a str) -> Self {
        Self { retry_ms: None, id: None, name, data }
    }

    /// The same with its place.
    #[must_use]
    pub fn at(self, id: Cursor) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let retry = self.retry_ms.map_or_else(String::new, |retry_ms| format!("retry: {retry_ms}\n"));
        let id = self.id.map_or_else(String::new, |cursor| format!("id: {cursor}\n"));
        format!("{retry}{id}event: {}\ndata: {}\n\n", self.name, self.data).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_place_its_name_and_one_line_of_data() {
        let cursor = "1f0c93ab-18".parse().expect("a cursor");
        let frame = EventFrame::new("progress", "{}").at(cursor).bytes();
        assert_eq!(frame, b"id: 1f0c93ab-18\nevent: progress\ndata: {}\n\n");
        let frame = EventFrame { retry_ms: Some(30_000), ..EventFrame::new("error", "{}") }.bytes();
        assert_eq!(frame, b"retry: 30000\nevent: error\ndata: {}\n\n");
    }
}
