//! Posts records to an HTTP address.

use std::time::Duration;

use ureq::{Agent, http::Uri};

use super::error::{Failure, ProcessingError};
use crate::{config::PipelineConfig, domain::LogId, topics::Record};

/// How many characters of an answer are shown.
const ANSWER_MAX: u64 = 200;

pub(super) struct Sink {
    agent: Agent,
    url: String,
}

impl Sink {
    pub(super) fn new(url: &str, config: &PipelineConfig) -> Result<Self, ProcessingError> {
        let wrong = |detail: String| ProcessingError::Sink { url: url.to_owned(), detail };
        let uri: Uri = url.parse().map_err(|error: ureq::http::uri::InvalidUri| wrong(error.to_string()))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("it has no scheme that is known".to_owned()));
        }
        let settings = Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(config.sink_timeout_ms)))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Ok(Self { agent: settings.into(), url: url.to_owned() })
    }

    /// Posts a record. The sink knows a repeated one by its `Idempotency-Key`.
    pub(super) async fn send(&self, record: &Record) -> Result<(), Failure> {
        let place = &record.place;
        let mut request = self
            .agent
            .post(&self.url)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", LogId::of(record).to_string())
            .header("Anywire-Topic", place.partition.topic.as_str())
            .header("Anywire-Partition", place.partition.number.to_string())
            .header("Anywire-Offset", place.offset.to_string());
        // A key that is no header text is left out: the place says which record it is.
        if let Some(key) = record.content.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) {
            let plain = key.bytes().all(|byte| byte.is_ascii_graphic());
            request = if plain { request.header("Anywire-Key", key) } else { request };
        }
        // An empty body says nothing of whether there was a value.
        if record.content.value.is_none() {
            request = request.header("Anywire-Tombstone", "true");
        }
        let value = record.content.value.clone().unwrap_or_default();
        let sent = tokio::task::spawn_blocking(move || answer(request.send(&value[..]))).await;
        sent.unwrap_or_else(|error| Err(Failure::Passing(format!("posting was cut off: {error}"))))
    }
}

fn answer(sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(), Failure> {
    let mut response = match sent {
        Ok(response) => response,
        Err(ureq::Error::Timeout(_)) => return Err(Failure::Passing("Connection timeout".to_owned())),
        Err(error) => return Err(Failure::Passing(format!("the sink cannot be reached: {error}"))),
    };
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let text = response.body_mut().with_config().limit(4096).read_to_string().unwrap_or_default();
    let text: String =
        text.chars().filter(|c| !c.is_control()).take(usize::try_from(ANSWER_MAX).unwrap_or(0)).collect();
    let message = format!("the sink answered {status}{}{text}", if text.is_empty() { "" } else { ": " });
    // 408 and 429 say "not now"; any other 4xx says that this record will never do.
    let passing = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
    Err(if passing { Failure::Passing(message) } else { Failure::Record(message) })
}
