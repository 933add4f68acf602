//! Headers of which there is one: two say two things, and neither is chosen.

use anywire_protocol::{Code, Refusal};

/// Those that the gateway's own routes read.
pub(crate) const OWN: [&str; 7] = [
    "Authorization",
    "Content-Length",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "Origin",
    "Sec-Fetch-Site",
];
/// Those of which several lines are one list (RFC 9110, section 5.3).
const LISTS: [&str; 1] = ["If-None-Match"];

/// All that are read, with those of applications.
pub(crate) fn with_others(others: &[&'static str]) -> Vec<&'static str> {
    let is_known = |name: &&&str| OWN.iter().chain(&LISTS).any(|known| known.eq_ignore_ascii_case(name));
    OWN.iter().chain(others.iter().filter(|name| !is_known(name))).copied().collect()
}

/// The first of these names that a head has twice.
pub(crate) fn repeated<'n, 'a>(
    names: &'n [&'static str],
    lines: impl Iterator<Item = &'a str>,
) -> Option<&'n str> {
    let mut seen = 0_u64;
    for line in lines {
        // A comparison of lengths nearly always.
        let Some(place) = names.iter().position(|name| name.eq_ignore_ascii_case(line)) else { continue };
        let bit = 1_u64.checked_shl(u32::try_from(place).ok()?)?;
        if seen & bit != 0 {
            return Some(names[place]);
        }
        seen |= bit;
    }
    None
}

/// What is said of it.
pub(crate) fn refusal(name: &str) -> Refusal {
    let message = format!("the header {name} stands in the request more than once; send it once");
    Refusal::new(Code::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_which_there_is_one_is_found_where_it_stands_twice() {
        let names = with_others(&["Upload-Length", "If-None-Match", "content-type"]);
        assert_eq!(names.len(), OWN.len() + 1);
        let found = |lines: &[&str]| repeated(&names, lines.iter().copied()).map(str::to_owned);
        assert_eq!(found(&["Host", "origin", "Accept", "upload-length", "Accept"]), None);
        assert_eq!(found(&["If-None-Match", "if-none-match"]), None);
        let twice = ["idempotency-key", "Accept", "Idempotency-Key"];
        assert_eq!(found(&twice).as_deref(), Some("Idempotency-Key"));
        assert_eq!(found(&["Upload-Length", "UPLOAD-LENGTH"]).as_deref(), Some("Upload-Length"));
    }
}
