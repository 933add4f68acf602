//! `anywire publish` and `anywire tail`: a running server from the terminal.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    time::Duration,
};

use clap::Args;
use serde_json::{Value, value::RawValue};

/// The pauses before another try, in seconds.
const BACK_OFF_S: [u64; 6] = [1, 2, 4, 8, 16, 30];

/// How a running server is reached.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The server's address.
    #[arg(long, default_value = "http://127.0.0.1:8000", env = "ANYWIRE_URL")]
    pub(super) url: String,
    /// An API key or a token.
    #[arg(long, env = "ANYWIRE_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The channel.
    channel: String,
    /// What there is to say: a JSON text, or any text, which becomes a JSON string. `-` reads it from
    /// standard input.
    data: String,
    /// What happened.
    #[arg(long, default_value = "message")]
    event: String,
    /// The key by which a repetition is known.
    #[arg(long)]
    idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The channels.
    #[arg(required = true)]
    channels: Vec<String>,
    /// Where to start: a cursor, or 0 for the oldest kept event. Without it, at the tail.
    #[arg(long)]
    after: Option<String>,
    /// The server's heartbeat_ms: a connection over which nothing comes for twice as long is dead, and made
    /// anew.
    #[arg(long, value_name = "MS", default_value_t = 25_000, value_parser = clap::value_parser!(u64).range(1_000..=300_000))]
    heartbeat_ms: u64,
}

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
    let body = publication(&args.channel, &args.event, &text);
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

/// What is posted. JSON goes as it was typed, number by number; any other text becomes a JSON string.
fn publication(channel: &str, event: &str, text: &str) -> String {
    let typed = serde_json::from_str::<&RawValue>(text).map(|json| json.get().to_owned());
    let data = typed.unwrap_or_else(|_| Value::from(text).to_string());
    let [channel, event] = [channel, event].map(|name| Value::from(name).to_string());
    format!("{{\"channel\":{channel},\"event\":{event},\"data\":{data}}}")
}

pub(super) fn tail(args: &TailArgs) -> Result<(), String> {
    let mut after = args.after.clone();
    let mut failures = 0;
    loop {
        let pause = match follow(args, &mut after) {
            Ok(Ended::Closed) => return Ok(()),
            Ok(Ended::Again { heard, why }) => {
                let pause = BACK_OFF_S[if heard { 0 } else { failures.min(BACK_OFF_S.len() - 1) }];
                failures = if heard { 0 } else { failures + 1 };
                eprintln!("anywire: {}: {why}; trying again in {pause} s", args.server.url);
                pause
            }
            Err(message) => return Err(message),
        };
        std::thread::sleep(Duration::from_secs(pause));
    }
}

enum Ended {
    /// Nobody reads our output any more.
    Closed,
    /// The connection broke, or there was none; whether anything came over it.
    Again { heard: bool, why: String },
}

fn follow(args: &TailArgs, after: &mut Option<String>) -> Result<Ended, String> {
    let silence = Duration::from_millis(2 * args.heartbeat_ms);
    let mut request = agent().get(format!("{}/anywire/sse", args.server.url));
    // A server that vanishes without a word says nothing more: PROTOCOL.md, section 14.
    request = request.config().timeout_per_read(Some(silence)).build();
    request = request.query("channels", args.channels.join(","));
    if let Some(cursor) = after.as_ref() {
        request = request.query("after", cursor);
    }
    if let Some(value) = authorization(&args.server) {
        request = request.header("Authorization", value);
    }
    let again = |heard, why: &dyn std::fmt::Display| Ok(Ended::Again { heard, why: why.to_string() });
    let mut response = match request.call() {
        Ok(response) => response,
        Err(ureq::Error::BadUri(why)) => {
            return Err(format!("--url {:?} is no address: {why}", args.server.url));
        }
        Err(error) => return again(false, &error),
    };
    let status = response.status().as_u16();
    if status != 200 {
        let body = response.body_mut().read_to_string().unwrap_or_default();
        let refusal = refusal(status, &body);
        return if status >= 500 || status == 429 { again(false, &refusal) } else { Err(refusal) };
    }
    let mut heard = false;
    let mut block = Block::default();
    for line in BufReader::new(response.body_mut().as_reader()).lines() {
        let line = match line {
            Ok(line) => line,
            Err(error) => return again(heard, &error),
        };
        heard = true;
        if !line.is_empty() {
            block.add(&line);
            continue;
        }
        let Block { id, event, data } = std::mem::take(&mut block);
        match (event.as_deref(), data) {
            (None, Some(data)) if writeln!(std::io::stdout(), "{data}").is_err() => return Ok(Ended::Closed),
            (Some("gap"), Some(data)) => eprintln!("anywire: gap: {data}"),
            _ => {}
        }
        // Only now: of a block that is cut off, the event comes again.
        *after = id.or(after.take());
    }
    again(heard, &"the connection ended")
}

/// One block of the stream, as far as it came.
#[derive(Default)]
struct Block {
    id: Option<String>,
    event: Option<String>,
    data: Option<String>,
}

impl Block {
    fn add(&mut self, line: &str) {
        match line.split_once(": ") {
            Some(("id", value)) => self.id = Some(value.to_owned()),
            Some(("event", value)) => self.event = Some(value.to_owned()),
            Some(("data", value)) => self.data = Some(value.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_published_as_it_was_typed_and_other_text_as_a_string() {
        for typed in ["9007199254740993", "[1.10, 1E400]", r#"{"b":1,"a":-0.0,"b":2}"#, "\"x\""] {
            let body = publication("a", "e", typed);
            assert_eq!(body, format!(r#"{{"channel":"a","event":"e","data":{typed}}}"#));
        }
        let body = publication("a\"b", "e", "plain {text}");
        assert_eq!(body, r#"{"channel":"a\"b","event":"e","data":"plain {text}"}"#);
    }

    #[test]
    fn a_block_is_what_its_lines_say_and_comments_are_nothing() {
        let mut block = Block::default();
        for line in [": heartbeat", "retry: 1000", "id: 1f0c93ab-5", "data: {\"a\": 1}"] {
            block.add(line);
        }
        let Block { id, event, data } = block;
        assert_eq!((id.as_deref(), event, data.as_deref()), (Some("1f0c93ab-5"), None, Some("{\"a\": 1}")));
    }
}
