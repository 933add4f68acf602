//! What every stream of server-sent events has in common, whoever serves it: its type, where a client goes
//! on, and how a client hears of a refusal that sees nothing but events.

use anywire_log::{CursorError, Position};

use crate::{Code, Refusal};

/// The type of a stream. Without its charset some clients read the text as Latin-1, to which a byte of many a
/// letter is a line break.
pub const CONTENT_TYPE: &str = "text/event-stream; charset=utf-8";

/// Whether `Accept` asks for a stream of events by name, as `EventSource` does and clients of plain HTTP do
/// not. Who gives it the weight 0 does not want one (RFC 9110, section 12.4.2).
#[must_use]
pub fn accepts(accept: Option<&str>) -> bool {
    accept.unwrap_or_default().split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_stream = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/event-stream"));
        is_stream && !parts.any(is_weight_of_nothing)
    })
}

/// Whether a parameter is `q=0`, with as many zeros as it may have.
fn is_weight_of_nothing(parameter: &str) -> bool {
    let weight = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    weight.is_some_and(|(_, weight)| weight.trim().parse().is_ok_and(|weight: f32| weight <= 0.0))
}

/// Whether a query parameter means what the header `Last-Event-ID` does. Libraries that cannot set the header
/// send it so, in as many spellings as there are libraries.
#[must_use]
pub fn is_last_event_id(parameter: &str) -> bool {
    let letters = parameter.bytes().filter(|byte| !matches!(byte, b'-' | b'_'));
    letters.map(|byte| byte.to_ascii_lowercase()).eq(*b"lasteventid")
}

/// Where a client goes on: `Last-Event-ID`, else a parameter that [means the same](is_last_event_id), else
/// `after`. Empty ones say nothing.
///
/// # Errors
/// `invalid_cursor`; for an `after` also where another wins over it.
pub fn start(
    header: Option<&str>,
    parameter: Option<&str>,
    after: Option<&str>,
) -> Result<Option<Position>, Refusal> {
    let said = |text: &&str| !text.is_empty();
    let after = after.map(str::trim).filter(said).map(|text| position("after", text)).transpose()?;
    let last = [header, parameter].into_iter().flatten().map(str::trim).find(said);
    last.map_or(Ok(after), |text| position("Last-Event-ID", text).map(Some))
}

/// The position that a text names.
///
/// # Errors
/// `invalid_cursor`, with the name of what held it; for an empty text too.
pub fn position(name: &str, text: &str) -> Result<Position, Refusal> {
    text.parse().map_err(|error: CursorError| Refusal::new(Code::InvalidCursor, format!("{name}: {error}")))
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
        let found = |header, parameter, after| {
            start(header, parameter, after).map(|position| {
                position.map(|position| match position {
                    Position::After(cursor) => cursor.offset.get(),
                    other => panic!("{other:?}"),
                })
            })
        };
        let [one, two, three] = ["1f0c93ab-1", "1f0c93ab-2", "1f0c93ab-3"].map(Some);
        assert_eq!(found(one, two, three), Ok(Some(1)));
        assert_eq!(found(Some(" "), two, three), Ok(Some(2)));
        assert_eq!(found(None, Some(""), three), Ok(Some(3)));
        assert_eq!(found(None, Some(" "), Some("")), Ok(None));
        assert_eq!(found(None, None, None), Ok(None));
    }

    #[test]
    fn what_is_no_cursor_is_refused_by_its_name_also_where_another_wins() {
        let refused = |header, parameter, after, words: &str| {
            let refusal = start(header, parameter, after).expect_err(words);
            assert_eq!(refusal.code, Code::InvalidCursor);
            assert!(refusal.message.starts_with(words), "{}", refusal.message);
        };
        refused(None, Some("bad"), None, "Last-Event-ID: \"bad\"");
        refused(Some("bad"), Some("0"), None, "Last-Event-ID: \"bad\"");
        refused(None, Some("0"), Some("bad"), "after: \"bad\"");
    }

    #[test]
    fn a_refusal_is_an_event_with_its_code_and_when_to_come_back() {
        assert!(accepts(Some("text/event-stream")) && accepts(Some("text/html, TEXT/Event-Stream;q=0.9")));
        assert!(!accepts(Some("*/*")) && !accepts(None) && !accepts(Some("text/event-streams")));
        for refused in ["text/event-stream;q=0", "text/event-stream ; Q = 0.000, */*;q=1"] {
            assert!(!accepts(Some(refused)), "{refused}");
        }
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
