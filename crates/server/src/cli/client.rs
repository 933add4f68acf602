//! `anywire publish` and `anywire tail`: a running server from the terminal.
//!
//! Knows: PROTOCOL.md, sections 5 and 7. Does not know: how a server works.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    time::Duration,
};

use serde_json::{Value, json};

use super::{PublishArgs, ServerArgs, TailArgs};

/// The pauses before another try, in seconds.
const BACK_OFF_S: [u64; 6] = [1, 2, 4, 8, 16, 30];

pub(super) fn agent() -> ureq::Agent {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

pub(super) fn authorization(server: &ServerArgs) -> Option<String> {
    server.token.as_ref().map(|token| format!("Bearer {token}"))
}

/// The words of an error answer.
pub(super) fn refusal(status: u16, body: &str) -> String {
    let message = serde_json::from_str::<Value>(body).ok();
    let message = message.as_ref().and_then(|body| body["message"].as_str()).unwrap_or(body);
    format!("the server answered {status}: {message}")
}

pub(super) fn publish(args: &PublishArgs) -> Result<(), String> {
    let mut text = args.data.clone();
    if text == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
    }
    let data: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let body = json!({ "channel": args.channel, "event": args.event, "data": data }).to_string();
    let mut request = agent().post(format!("{}/anywire/publish", args.server.url));
    request = request.header("Content-Type", "application/json");
    if let Some(value) = authorization(&args.server) {
        request = request.header("Authorization", value);
    }
    if let Some(key) = &args.idempotency_key {
        request = request.header("Idempotency-Key", key);
    }
    let failed = |error: ureq::Error| format!("{}: {error}", args.server.url);
    let mut response = request.send(&body).map_err(failed)?;
    let answer = response.body_mut().read_to_string().map_err(failed)?;
    if !response.status().is_success() {
        return Err(refusal(response.status().as_u16(), &answer));
    }
    println!("{answer}");
    Ok(())
}

pub(super) fn tail(args: &TailArgs) -> Result<(), String> {
    let mut after = args.after.clone();
    let mut failures = 0;
    loop {
        match follow(args, &mut after) {
            Ok(Ended::Closed) => return Ok(()),
            Ok(Ended::Again { heard }) => failures = if heard { 0 } else { failures + 1 },
            Err(message) => return Err(message),
        }
        let pause = BACK_OFF_S[failures.min(BACK_OFF_S.len() - 1)];
        eprintln!("anywire: the connection to {} ended; trying again in {pause} s", args.server.url);
        std::thread::sleep(Duration::from_secs(pause));
    }
}

enum Ended {
    /// Nobody reads our output any more.
    Closed,
    /// The connection broke; whether anything came over it.
    Again { heard: bool },
}

fn follow(args: &TailArgs, after: &mut Option<String>) -> Result<Ended, String> {
    let mut request =
        agent().get(format!("{}/anywire/sse", args.server.url)).query("channels", args.channels.join(","));
    if let Some(cursor) = after.as_ref() {
        request = request.query("after", cursor);
    }
    if let Some(value) = authorization(&args.server) {
        request = request.header("Authorization", value);
    }
    let Ok(mut response) = request.call() else { return Ok(Ended::Again { heard: false }) };
    let status = response.status().as_u16();
    if status >= 500 || status == 429 {
        return Ok(Ended::Again { heard: false });
    }
    if status != 200 {
        let body = response.body_mut().read_to_string().unwrap_or_default();
        return Err(refusal(status, &body));
    }
    let mut heard = false;
    let mut gap = false;
    for line in BufReader::new(response.body_mut().as_reader()).lines() {
        let Ok(line) = line else { break };
        heard = true;
        if let Some(cursor) = line.strip_prefix("id: ") {
            *after = Some(cursor.to_owned());
        } else if let Some(event) = line.strip_prefix("event: ") {
            gap = event == "gap";
        } else if let Some(data) = line.strip_prefix("data: ") {
            if gap {
                eprintln!("anywire: gap: {data}");
            } else if !data.starts_with("{\"retry_ms\"") && writeln!(std::io::stdout(), "{data}").is_err() {
                return Ok(Ended::Closed);
            }
        } else if line.is_empty() {
            gap = false;
        }
    }
    Ok(Ended::Again { heard })
}
