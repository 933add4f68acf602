//! What every stream of server-sent events has in common, whoever serves it: its type, where a client goes
//! on, and how a client hears of a refusal that sees nothing but events.

use crate::Refusal;

/// The type of a stream. Without its charset some clients read the text as Latin-1, to which a byte of many a
/// letter is a line break.
pub const CONTENT_TYPE: &str = "text/event-stream; charset=utf-8";

/// Whether `Accept` asks for a stream of events by name, as `EventSource` does and clients of plain HTTP do
/// not.
#[must_use]
pub fn accepts(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("text/event-stream"))
}

/// Whether a query parameter means what the header `Last-Event-ID` does. Libraries that cannot set the header
/// send it so, in as many spellings as there are libraries.
#[must_use]
pub fn is_last_event_id(parameter: &str) -> bool {
    let letters = parameter.bytes().filter(|byte| !matches!(byte, b'-' | b'_'));
    letters.map(|byte| byte.to_ascii_lowercase()).eq(*b"lasteventid")
}

/// Where a client goes on: `Last-Event-ID`, else a parameter that [means the same](is_last_event_id), else
/// `after`. Each is passed over where it is empty.
#[must_use]
pub fn resume_from<'a>(
    header: Option<&'a str>,
    parameter: Option<&'a str>,
    after: Option<&'a str>,
) -> Option<&'a str> {
    [header, parameter, after].into_iter().flatten().map(str::trim).find(|text| !text.is_empty())
}

/// A refusal as the only event of a stream: `EventSource` gives up for good over every status but 200, and
/// shows no page its body. It comes again after `retry_ms`.
#[must_use]
pub fn refusal_event(refusal: &Refusal, retry_ms: u32) -> String {
    format!("retry: {retry_ms}\nevent: error\ndata: {}\n\n", refusal.event_data())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn the_parameter_is_known_in_every_spelling() {
        for name in ["lastEventId", "Last-Event-ID", "lastEventID", "last_event_id", "LASTEVENTID"] {
            assert!(is_last_event_id(name), "{name}");
        }
        for name in ["lastEvent", "lastEventIds", "last event id", "after", ""] {
            assert!(!is_last_event_id(name), "{name}");
        }
    }

    #[test]
    fn the_newest_word_of_a_client_counts() {
        assert_eq!(resume_from(Some("1"), Some("2"), Some("3")), Some("1"));
        assert_eq!(resume_from(Some(" "), Some("2"), Some("3")), Some("2"));
        assert_eq!(resume_from(None, Some(""), Some("3")), Some("3"));
        assert_eq!(resume_from(None, None, None), None);
    }

    #[test]
    fn a_refusal_is_an_event_with_its_code_and_when_to_come_back() {
        assert!(accepts(Some("text/event-stream")) && accepts(Some("text/html, TEXT/Event-Stream;q=0.9")));
        assert!(!accepts(Some("*/*")) && !accepts(None));
        let refusal = Refusal::new(Code::Busy, "full").retry_after_ms(1500);
        assert_eq!(
            refusal_event(&refusal, 1500),
            "retry: 1500\nevent: error\ndata: {\"code\":\"busy\",\"message\":\"full\",\"retry_ms\":1500}\n\n"
        );
        let refusal = Refusal::new(Code::NotFound, "none");
        assert_eq!(
            refusal_event(&refusal, 30_000),
            "retry: 30000\nevent: error\ndata: {\"code\":\"not_found\",\"message\":\"none\"}\n\n"
        );
    }
}
