//! What must hold for any body, address and output that jobs are given: the bodies of fuzz targets in `/fuzz`.

use anywire_app::http::Query;
use axum::http::Uri;

use crate::{
    api::request,
    commands::{Lines, ParsedLine, Parser},
    domain::{ParserKind, STEPS_MAX},
};

pub use crate::uploads::fuzz_headers as tus_headers;

#[cfg(test)]
#[path = "../../../fuzz/smoke.rs"]
mod smoke;

/// Each body is understood within its limits, or refused with a message that is not much longer than what it
/// names; so is the query of the list.
pub fn job_bodies(data: &[u8]) {
    let mut refusals = Vec::new();
    check_start(request::start(data), &mut refusals);
    check_run(request::run(data), &mut refusals);
    if let Some(video) = taken(request::video(data), &mut refusals) {
        assert!(!video.message.trim().is_empty() && video.message.chars().count() <= 2000);
    }
    if let Some(output) = taken(request::log(data), &mut refusals) {
        assert!((1..=2000).contains(&output.lines.len()) && output.first != Some(0));
    }
    if let Some(step) = taken(request::step(data), &mut refusals) {
        assert!(step.name.chars().count() <= 100 && step.number.is_none_or(|number| number <= STEPS_MAX));
        let metadata = serde_json::to_string(&step.metadata).expect("it is JSON");
        assert!(metadata.len() <= (16 << 10) + 16 && !metadata.contains('\n'));
    }
    if let Some(Some(result)) = taken(request::complete(data), &mut refusals) {
        assert!(result.get().len() <= 64 << 10 && !result.get().contains(['\n', '\r']));
    }
    if let Some(error) = taken(request::fail(data), &mut refusals) {
        assert!(!error.message.trim().is_empty() && error.message.chars().count() <= 4000);
    }
    taken(request::cleanup(data), &mut refusals);
    taken(request::nothing(data), &mut refusals);
    // A refusal shows what it is about, not all that was sent.
    assert!(refusals.iter().all(|message| message.len() <= 1000 + data.len()), "{refusals:?}");
    let text = std::str::from_utf8(data).unwrap_or_default();
    if let Ok(uri) = format!("/?{text}").parse::<Uri>()
        && let Ok(list) = Query::of(&uri).and_then(|query| request::list(&query))
    {
        assert!((1..=500).contains(&list.limit));
    }
}

fn taken<T>(found: Result<T, crate::api::errors::Invalid>, refusals: &mut Vec<String>) -> Option<T> {
    found.map_err(|error| refusals.push(error.0)).ok()
}

fn check_start(found: Result<request::Start, crate::api::errors::Invalid>, refusals: &mut Vec<String>) {
    let Some(start) = taken(found, refusals) else { return };
    assert!(!start.title.trim().is_empty() && start.title.chars().count() <= 200);
    assert!((1..=STEPS_MAX).contains(&start.total_steps));
    assert!(start.argv.is_none_or(|argv| (1..=256).contains(&argv.len())));
    assert!(start.lease_ms.is_none_or(|lease_ms| request::LEASE_MS.contains(&lease_ms)));
}

fn check_run(found: Result<request::Run, crate::api::errors::Invalid>, refusals: &mut Vec<String>) {
    let Some(run) = taken(found, refusals) else { return };
    if let crate::domain::CommandSpec::AdHoc { argv, .. } = run.spec {
        assert!((1..=256).contains(&argv.len()) && argv.iter().all(|text| !text.contains('\0')));
    }
}

/// However a command's output is cut, the same lines come out of it, and what they say is within the limits.
/// The first byte chooses the cuts and the parser.
pub fn command_output(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let whole = lines([bytes].into_iter());
    assert_eq!(lines(bytes.chunks(usize::from(choice >> 2) + 1)), whole, "the cuts show");
    let (kind, pattern) = match choice % 4 {
        0 => (ParserKind::Lines, None),
        1 => (ParserKind::Json, None),
        2 => (ParserKind::Ffmpeg, None),
        _ => (ParserKind::Pattern, Some(r"(?<step>\w+) (?<done>\d+)/(?<total>\d+) (?<message>.*)")),
    };
    let mut parser = Parser::new(kind, pattern).expect("a pattern of ours");
    for line in whole {
        check_line(&parser.read(&line));
    }
}

fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    for piece in pieces {
        lines.push(piece, |line| found.push(line));
    }
    lines.finish(|line| found.push(line));
    found
}

fn check_line(line: &ParsedLine) {
    // What was cut ends with one sign more.
    let fits = |text: &Option<String>, most: usize| {
        text.as_ref().is_none_or(|text| text.chars().count() <= most + 1)
    };
    assert!(fits(&line.step, 100) && fits(&line.message, 500) && fits(&line.error, 4000), "{line:?}");
    assert!(line.percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)), "{line:?}");
    let numbers = line.number.into_iter().chain(line.total_steps);
    assert!(numbers.into_iter().all(|number| (1..=STEPS_MAX).contains(&number)), "{line:?}");
}

#[cfg(test)]
mod tests {
    use super::smoke::check;

    #[test]
    fn bodies_keep_their_promises_for_any_bytes() {
        check("job_bodies", 5_000, super::job_bodies);
    }

    #[test]
    fn output_keeps_its_promises_for_any_bytes() {
        check("command_output", 500, super::command_output);
    }

    #[test]
    fn headers_of_uploads_keep_their_promises_for_any_bytes() {
        check("tus_headers", 5_000, super::tus_headers);
    }
}
