//! Real data for a demonstration: a price file that becomes a report, and prices that go on arriving.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::prices;
use crate::{Failure, http, process};

const UPLOADS: &str = "/api/uploads";
/// The sample's job: a second start finds it and does not upload again.
const SESSION: &str = "demo-prices";
/// Bytes a request: small enough that the page shows the upload moving.
const PART: usize = 64 << 10;
/// Between two ticks of the price.
const TICK: Duration = Duration::from_millis(500);

/// How often [`check`] looks, a tick apart.
const LOOKS_MAX: u32 = 120;

/// Ends the feed when it is dropped.
pub(super) struct Feed(Arc<AtomicBool>);

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Feeds a server until the sample has its report and a price is in the log.
pub(super) fn check(url: &str) -> Result<(), Failure> {
    let address = url.strip_prefix("http://").ok_or_else(|| format!("{url} is no plain HTTP"))?;
    upload(address)?;
    let feed = start(url);
    let asked = [format!("/api/jobs/{SESSION}/report"), "/anywire/poll?channels=prices&after=0".to_owned()];
    let seen = asked.iter().zip(["<html", "\"tick\""]).try_for_each(|(path, holds)| {
        let mut last = String::new();
        for _ in 0..LOOKS_MAX {
            let answer = http::send(address, "GET", path, &[], b"")?;
            last = refused(&format!("GET {path}"), &answer);
            if answer.status == 200 && last.contains(holds) {
                return Ok(());
            }
            process::pause(TICK);
        }
        Err(format!("{holds} is not there yet: {last}"))
    });
    drop(feed);
    seen
}

/// Feeds a server in the background. What does not work is said, and is no reason to stop.
pub(super) fn start(url: &str) -> Feed {
    let ended = Arc::new(AtomicBool::new(false));
    let feed = Feed(Arc::clone(&ended));
    let Some(address) = url.strip_prefix("http://").map(str::to_owned) else {
        println!("the feed speaks plain HTTP only: nothing is published");
        return feed;
    };
    std::thread::spawn(move || {
        if let Err(error) = upload(&address) {
            println!("the sample report: {error}");
        }
        if let Err(error) = tick(&address, &ended) {
            println!("the price feed ends: {error}");
        }
    });
    feed
}

/// Uploads the sample in parts, as a browser would (tus 1.0).
fn upload(address: &str) -> Result<(), Failure> {
    let known = http::send(address, "GET", &format!("/api/progress/{SESSION}"), &[], b"")?;
    if known.status == 200 {
        return Ok(());
    }
    let csv = prices::csv().into_bytes();
    let metadata =
        format!("filename {},session_id {}", base64(b"FPT hourly prices.csv"), base64(SESSION.as_bytes()));
    let headers = [version(), ("Upload-Length", csv.len().to_string()), ("Upload-Metadata", metadata)];
    let made = http::send(address, "POST", UPLOADS, &headers, b"")?;
    let location = made.header("location").ok_or_else(|| refused(&format!("POST {UPLOADS}"), &made))?;
    let path = resolve(UPLOADS, location);
    let mut offset = 0;
    for part in csv.chunks(PART) {
        let headers = [
            version(),
            ("Upload-Offset", offset.to_string()),
            ("Content-Type", "application/offset+octet-stream".to_owned()),
        ];
        let taken = http::send(address, "PATCH", &path, &headers, part)?;
        if taken.status != 204 {
            return Err(refused(&format!("PATCH {path}"), &taken));
        }
        offset += part.len();
        process::pause(Duration::from_millis(150));
    }
    println!("uploaded a sample of {} kB: see Jobs", csv.len() / 1000);
    Ok(())
}

/// The path that a `Location` names in the answer to a request for `base` (RFC 9110, section 10.2.2): a whole
/// address, a whole path, or one beside `base`.
fn resolve(base: &str, location: &str) -> String {
    if let Some((_, rest)) = location.split_once("://") {
        return rest.find('/').map_or("/", |start| &rest[start..]).to_owned();
    }
    let folder = base.rfind('/').map_or("/", |end| &base[..=end]);
    if location.starts_with('/') { location.to_owned() } else { format!("{folder}{location}") }
}

/// Publishes a price twice a second until it is ended.
fn tick(address: &str, ended: &AtomicBool) -> Result<(), Failure> {
    let mut walk = prices::Walk::new(7, 84.20);
    while !ended.load(Ordering::Relaxed) && process::pause(TICK) {
        let bar = walk.next();
        let body = format!(
            r#"{{"channel":"prices","event":"tick","data":{{"symbol":"FPT","price":{:.2},"volume":{}}}}}"#,
            bar.close, bar.volume
        );
        let headers = [("Content-Type", "application/json".to_owned())];
        // A restart from the network lab takes a moment; ticks that fall into it are not published.
        if let Ok(answer) = http::send(address, "POST", "/anywire/publish", &headers, body.as_bytes())
            && matches!(answer.status, 400..=499)
            && answer.status != 429
        {
            return Err(refused("POST /anywire/publish", &answer));
        }
    }
    Ok(())
}

fn version() -> (&'static str, String) {
    ("Tus-Resumable", "1.0.0".to_owned())
}

fn refused(what: &str, answer: &http::Answer) -> Failure {
    format!("{what} answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body))
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word =
            three.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let sign = ALPHABET[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(sign) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_resolved_against_the_address_that_was_asked() {
        let check = |location: &str, path: &str| assert_eq!(resolve(UPLOADS, location), path);
        check("uploads/7", "/api/uploads/7");
        check("/pre/api/uploads/7", "/pre/api/uploads/7");
        check("http://127.0.0.1:8000/api/uploads/7", "/api/uploads/7");
        check("http://127.0.0.1:8000", "/");
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
