//! How a command ended, in words for whoever watches it and for whoever sits at the terminal.

use anywire_jobs::{Ended, Json};
use serde_json::json;

use super::pending::Pending;

/// A body that says no more than the path.
pub(super) const NOTHING: &str = "{}";

/// How it ended, and whether because somebody here wanted it to.
pub(super) struct End {
    pub(super) ended: Ended,
    pub(super) by_hand: bool,
}

pub(super) fn last_word(end: &End, program: &str, pending: &mut Pending) -> (&'static str, String) {
    match (&end.ended, pending.error.take()) {
        _ if end.by_hand => ("cancel", NOTHING.to_owned()),
        (Ended::Exited(0), None) => {
            // As the command wrote it.
            ("complete", format!(r#"{{"result":{}}}"#, pending.result.as_ref().map_or("null", Json::get)))
        }
        (_, Some(error)) => ("fail", json!({ "error": error }).to_string()),
        (ended, None) => {
            let why = [words(ended, program), Vec::from(std::mem::take(&mut pending.last)).join(" / ")];
            let said = why.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(": ");
            ("fail", json!({ "error": said }).to_string())
        }
    }
}

/// For whoever sits at the terminal; nobody may.
pub(super) fn say(words: &str) {
    use std::io::Write as _;
    let _gone = writeln!(std::io::stderr(), "anywire: {words}");
}

pub(super) fn words(ended: &Ended, program: &str) -> String {
    match ended {
        Ended::Exited(code) => format!("{program} ended with status {code}"),
        Ended::Signalled(signal) => format!("{program} was ended by signal {signal}"),
        Ended::Missing => format!("there is no program {program} here"),
        Ended::Unusable(why) => format!("{program} could not be run: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_says_who_ended_it() {
        let end = |ended, by_hand| End { ended, by_hand };
        let mut pending = Pending::default();
        pending.result = serde_json::from_str("1.10").ok();
        assert_eq!(last_word(&end(Ended::Signalled(15), true), "x", &mut pending).0, "cancel");
        assert_eq!(
            last_word(&end(Ended::Exited(0), false), "x", &mut pending),
            ("complete", r#"{"result":1.10}"#.to_owned())
        );
        pending.error = Some("no".to_owned());
        assert_eq!(
            last_word(&end(Ended::Exited(1), false), "x", &mut pending),
            ("fail", r#"{"error":"no"}"#.to_owned())
        );
        let mut fails = |words: &str| {
            let expected = ("fail", json!({ "error": words }).to_string());
            assert_eq!(last_word(&end(Ended::Exited(1), false), "x", &mut pending), expected);
            (0..9).for_each(|number| pending.line(true, &number.to_string()));
        };
        fails("x ended with status 1");
        fails("x ended with status 1: 6 / 7 / 8");
    }
}
