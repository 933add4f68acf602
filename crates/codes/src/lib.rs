//! The table of wire codes (PROTOCOL.md, sections 11 and 12): permanent, and the only place that knows the
//! HTTP status, the WebSocket close code, and whether and when to try again.

mod cause;
pub mod conditional;
pub mod query;
pub mod sse;

/// One error a client can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request's form is wrong.
    InvalidRequest,
    /// A text that should be a cursor is none.
    InvalidCursor,
    /// A text that should be a channel name is none.
    InvalidChannel,
    /// An event name or payload is wrong.
    InvalidEvent,
    /// A token or key is missing or wrong.
    Unauthorized,
    /// A token has run out.
    TokenExpired,
    /// The token does not allow it.
    Forbidden,
    /// The page's origin is not listed.
    OriginForbidden,
    /// The `Host` is not a loopback name, and the server is open to loopback only.
    HostForbidden,
    /// There is nothing at this path.
    NotFound,
    /// The path knows other methods.
    MethodNotAllowed,
    /// An idempotency key was used for another body.
    IdempotencyConflict,
    /// Something is larger than its limit.
    TooLarge,
    /// The request's address and headers are larger than they may be.
    HeadTooLarge,
    /// The request's body came too slowly.
    RequestTimeout,
    /// More channels than a connection may have.
    TooManyChannels,
    /// More connections than allowed.
    TooManyConnections,
    /// More requests than allowed.
    RateLimited,
    /// The disk is full.
    StorageFull,
    /// Storing failed.
    StorageFailed,
    /// The commit queue is full.
    Busy,
    /// The server is stopping.
    ShuttingDown,
    /// The network lab blocks this transport.
    TransportBlocked,
    /// A bug.
    Internal,
    /// There is a job of that name.
    JobExists,
    /// The job is in a state that does not allow it.
    IllegalTransition,
    /// The call was made before, and its answer is not kept any more.
    AnswerGone,
    /// The job's steps are used up.
    TooManySteps,
    /// The job is driven by its upload.
    DrivenByUpload,
    /// The job is driven by its command.
    DrivenByCommand,
    /// No command of that name is configured.
    UnknownCommand,
    /// The command left no such file.
    NoFile,
    /// The uploaded file is gone.
    UploadRemoved,
    /// As many jobs as allowed are unfinished.
    TooManyJobs,
    /// As many uploads as allowed are unfinished.
    TooManyUploads,
    /// Another version of tus.
    TusVersion,
    /// Another content type than the route takes.
    MediaType,
    /// The upload stands at another place.
    OffsetConflict,
    /// The chunk is not what its checksum says.
    ChecksumMismatch,
    /// A newer request writes this upload.
    UploadLocked,
    /// The upload's job was cancelled.
    UploadStopped,
    /// The body broke off.
    BodyBroken,
    /// The job has no report.
    NoReport,
    /// The job has no uploaded file.
    NoUpload,
    /// The host has not reported lately.
    NoSample,
    /// The server itself has this name.
    HostTaken,
    /// As many hosts as allowed report.
    TooManyHosts,
    /// There is no such topic.
    UnknownTopic,
    /// The broker cannot be reached.
    BrokerAway,
    /// The broker refused.
    BrokerFailed,
    /// A consumer of that name runs.
    ConsumerRuns,
    /// As many consumers as allowed run.
    TooManyConsumers,
    /// The record has not failed.
    NotFailed,
    /// The record is not kept any more.
    RecordGone,
    /// An account or a key has this name.
    NameTaken,
    /// It is the last account that may do everything.
    LastAdmin,
    /// As many as allowed are there.
    LimitReached,
}

struct Row {
    code: Code,
    text: &'static str,
    http: u16,
    close: Option<u16>,
    retry: Retry,
}

/// Whether the same request may succeed later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// Never.
    No,
    /// After something else has changed, or with a back-off of the client's own.
    Yes,
    /// After so many milliseconds, where nobody knows better.
    After(u32),
}

const fn row(code: Code, text: &'static str, http: u16, close: Option<u16>, retry: Retry) -> Row {
    Row { code, text, http, close, retry }
}

const TABLE: [Row; 57] = [
    row(Code::InvalidRequest, "invalid_request", 400, None, Retry::No),
    row(Code::InvalidCursor, "invalid_cursor", 400, None, Retry::No),
    row(Code::InvalidChannel, "invalid_channel", 400, None, Retry::No),
    row(Code::InvalidEvent, "invalid_event", 400, None, Retry::No),
    row(Code::Unauthorized, "unauthorized", 401, Some(4001), Retry::No),
    row(Code::TokenExpired, "token_expired", 401, Some(4001), Retry::Yes),
    row(Code::Forbidden, "forbidden", 403, None, Retry::No),
    row(Code::OriginForbidden, "origin_forbidden", 403, None, Retry::No),
    row(Code::HostForbidden, "host_forbidden", 403, None, Retry::No),
    row(Code::NotFound, "not_found", 404, None, Retry::No),
    row(Code::MethodNotAllowed, "method_not_allowed", 405, None, Retry::No),
    row(Code::IdempotencyConflict, "idempotency_conflict", 409, None, Retry::No),
    row(Code::TooLarge, "too_large", 413, Some(1009), Retry::No),
    row(Code::HeadTooLarge, "head_too_large", 431, None, Retry::No),
    row(Code::RequestTimeout, "request_timeout", 408, None, Retry::Yes),
    row(Code::TooManyChannels, "too_many_channels", 400, None, Retry::No),
    row(Code::TooManyConnections, "too_many_connections", 429, Some(4029), Retry::After(1000)),
    row(Code::RateLimited, "rate_limited", 429, None, Retry::After(1000)),
    row(Code::StorageFull, "storage_full", 507, None, Retry::After(5000)),
    row(Code::StorageFailed, "storage_failed", 503, None, Retry::After(5000)),
    row(Code::Busy, "busy", 503, None, Retry::After(1000)),
    row(Code::ShuttingDown, "shutting_down", 503, Some(1012), Retry::After(1000)),
    row(Code::TransportBlocked, "transport_blocked", 403, None, Retry::Yes),
    row(Code::Internal, "internal", 500, Some(1011), Retry::Yes),
    // Those of the applications (docs/http-api.md).
    row(Code::JobExists, "job_exists", 409, None, Retry::No),
    row(Code::IllegalTransition, "illegal_transition", 409, None, Retry::No),
    row(Code::AnswerGone, "answer_gone", 410, None, Retry::No),
    row(Code::TooManySteps, "too_many_steps", 409, None, Retry::No),
    row(Code::DrivenByUpload, "driven_by_upload", 409, None, Retry::No),
    row(Code::DrivenByCommand, "driven_by_command", 409, None, Retry::No),
    row(Code::UnknownCommand, "unknown_command", 404, None, Retry::No),
    row(Code::NoFile, "no_file", 404, None, Retry::No),
    row(Code::UploadRemoved, "upload_removed", 409, None, Retry::No),
    row(Code::TooManyJobs, "too_many_jobs", 429, None, Retry::Yes),
    row(Code::TooManyUploads, "too_many_uploads", 429, None, Retry::Yes),
    row(Code::TusVersion, "tus_version", 412, None, Retry::No),
    row(Code::MediaType, "media_type", 415, None, Retry::No),
    row(Code::OffsetConflict, "offset_conflict", 409, None, Retry::No),
    row(Code::ChecksumMismatch, "checksum_mismatch", 460, None, Retry::Yes),
    row(Code::UploadLocked, "upload_locked", 423, None, Retry::Yes),
    row(Code::UploadStopped, "upload_stopped", 403, None, Retry::No),
    row(Code::BodyBroken, "body_broken", 400, None, Retry::Yes),
    row(Code::NoReport, "no_report", 404, None, Retry::No),
    row(Code::NoUpload, "no_upload", 404, None, Retry::No),
    row(Code::NoSample, "no_sample", 404, None, Retry::No),
    row(Code::HostTaken, "host_taken", 409, None, Retry::No),
    row(Code::TooManyHosts, "too_many_hosts", 429, None, Retry::No),
    row(Code::UnknownTopic, "unknown_topic", 404, None, Retry::No),
    row(Code::BrokerAway, "broker_away", 503, None, Retry::After(5000)),
    row(Code::BrokerFailed, "broker_failed", 502, None, Retry::Yes),
    row(Code::ConsumerRuns, "consumer_runs", 409, None, Retry::No),
    row(Code::TooManyConsumers, "too_many_consumers", 409, None, Retry::No),
    row(Code::NotFailed, "not_failed", 409, None, Retry::No),
    row(Code::RecordGone, "record_gone", 410, None, Retry::No),
    row(Code::NameTaken, "name_taken", 409, None, Retry::No),
    row(Code::LastAdmin, "last_admin", 409, None, Retry::No),
    row(Code::LimitReached, "limit_reached", 409, None, Retry::No),
];

impl Code {
    /// Every code there is.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.code)
    }

    fn row(self) -> &'static Row {
        // The table is in the order of the enum; a test holds it so.
        &TABLE[self as usize]
    }

    /// Whether it is one of the transports and the server (PROTOCOL.md, section 11), and not of an
    /// application alone (docs/http-api.md).
    #[must_use]
    pub fn is_of_the_protocol(self) -> bool {
        self as usize <= Self::Internal as usize
    }

    /// The code as it stands in `"code"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().text
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(self) -> u16 {
        self.row().http
    }

    /// The WebSocket close code, if the connection ends with it.
    #[must_use]
    pub fn close_code(self) -> Option<u16> {
        self.row().close
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn retry(self) -> bool {
        self.row().retry != Retry::No
    }

    /// When the same request may succeed, in milliseconds, where nobody knows better.
    #[must_use]
    pub fn retry_after_ms(self) -> Option<u32> {
        if let Retry::After(retry_ms) = self.row().retry { Some(retry_ms) } else { None }
    }
}

/// An error on its way to a client: a code, and words that name the thing, its value and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refusal {
    /// What clients act on.
    pub code: Code,
    /// What people read.
    pub message: String,
    /// When to try again, in milliseconds, where that is known.
    pub retry_ms: Option<u32>,
}

impl Refusal {
    /// A refusal, with the time to try again that its code has.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_ms: code.retry_after_ms() }
    }

    /// The same, with a time to try again that is known better.
    #[must_use]
    pub fn retry_after_ms(self, retry_ms: u32) -> Self {
        Self { retry_ms: Some(retry_ms), ..self }
    }

    /// The body of the HTTP answer.
    #[must_use]
    pub fn body(&self) -> String {
        serde_json::json!({ "code": self.code.as_str(), "message": self.message }).to_string()
    }

    /// The same where no header says when to try again.
    fn event_data(&self) -> String {
        let mut body = serde_json::json!({ "code": self.code.as_str(), "message": self.message });
        if let Some(retry_ms) = self.retry_ms {
            body["retry_ms"] = retry_ms.into();
        }
        body.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.code as usize, index, "{}", row.text);
        }
    }

    #[test]
    fn every_code_stands_in_protocol_md_with_its_status() {
        let document = include_str!("../../../PROTOCOL.md");
        for code in Code::all().filter(|code| code.is_of_the_protocol()) {
            let line = document.lines().find(|line| line.starts_with(&format!("| `{}` |", code.as_str())));
            let line = line.unwrap_or_else(|| panic!("{} is not in PROTOCOL.md", code.as_str()));
            assert!(line.contains(&format!("| {}", code.http_status())), "{line}");
            if let Some(close) = code.close_code() {
                assert!(line.contains(&format!("| {close} |")), "{line}");
            }
            assert_eq!(line.contains("Retry-After"), code.retry_after_ms().is_some(), "{line}");
        }
    }

    #[test]
    fn every_further_code_stands_in_http_api_md_with_its_status() {
        let document = include_str!("../../../docs/http-api.md");
        for code in Code::all().filter(|code| !code.is_of_the_protocol()) {
            let name = format!("`{}`", code.as_str());
            let mut rows = document.lines().filter(|line| line.starts_with("| `"));
            let line = rows.find(|line| line.split(" | ").next().is_some_and(|cell| cell.contains(&name)));
            let line = line.unwrap_or_else(|| panic!("{name} is in no table of docs/http-api.md"));
            assert!(line.contains(&format!(" | {} |", code.http_status())), "{line}");
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_back_where_its_code_does() {
        assert_eq!(Refusal::new(Code::Busy, "full").retry_ms, Some(1000));
        assert_eq!(Refusal::new(Code::Busy, "full").retry_after_ms(9).retry_ms, Some(9));
        assert_eq!(Refusal::new(Code::Forbidden, "no").retry_ms, None);
    }
}
