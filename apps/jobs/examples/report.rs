//! Makes the report of a CSV file without a server, and says how long each step took and how much memory it
//! needed.
//!
//! ```text
//! cargo run --release -p anywire-jobs --example report -- prices.csv report.html
//! ```

use std::{error::Error, sync::Arc};

use anywire_app::{AppContext, Application};
use anywire_jobs::{Jobs, JobsConfig, channels};
use anywire_log::{
    Channel, Clock, Followed, Log, MemoryEngine, Position, Retention, RetentionRules, SystemClock, TailConfig,
};
use axum::{Router, body::Body, http::Request};
use base64::{Engine, prelude::BASE64_STANDARD};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: report <file.csv> <report.html>".into());
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rules = RetentionRules::new(channels(), Retention::default());
    let log = Log::start(
        Arc::new(MemoryEngine::new(rules.clone(), Arc::clone(&clock))?),
        rules,
        TailConfig::default(),
    );
    let data_dir = std::env::temp_dir().join(format!("anywire-report-{}", std::process::id()));
    let shutdown = CancellationToken::new();
    let context =
        AppContext { log: Arc::clone(&log), clock, data_dir: data_dir.clone(), shutdown: shutdown.clone() };
    let jobs = Jobs::start(context, JobsConfig::default()).await?;
    let router = jobs.routes();
    let run = tokio::spawn(jobs.run());

    let id = upload(&router, &file).await?;
    let state = ended(&log, &id).await?;
    describe(&state);
    let report = Request::get(format!("/api/jobs/{id}/report")).body(Body::empty())?;
    let page = router.oneshot(report).await?.into_body().collect().await?.to_bytes();
    std::fs::write(&out, &page)?;
    println!("{out}: {} bytes; memory at most {}", page.len(), peak_memory());
    shutdown.cancel();
    run.await?;
    std::fs::remove_dir_all(data_dir)?;
    Ok(())
}

async fn upload(router: &Router, path: &str) -> Result<String, Box<dyn Error>> {
    let file = tokio::fs::File::open(path).await?;
    let size = file.metadata().await?.len();
    let name = std::path::Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path);
    let chunks = futures_util::stream::try_unfold(file, async |mut file| {
        let mut chunk = vec![0; 64 << 10];
        let count = file.read(&mut chunk).await?;
        chunk.truncate(count);
        Ok::<_, std::io::Error>((count > 0).then_some((chunk, file)))
    });
    let request = Request::post("/api/uploads")
        .header("tus-resumable", "1.0.0")
        .header("upload-length", size)
        .header("upload-metadata", format!("filename {}", BASE64_STANDARD.encode(name)))
        .header("content-type", "application/offset+octet-stream")
        .body(Body::from_stream(chunks))?;
    let answer = router.clone().oneshot(request).await?;
    match answer.headers().get("anywire-session") {
        Some(id) => Ok(id.to_str()?.to_owned()),
        None => Err(format!("the upload was refused: {answer:?}").into()),
    }
}

async fn ended(log: &Arc<Log>, id: &str) -> Result<Value, Box<dyn Error>> {
    let mut follow = log.follow(&[Channel::new(&format!("progress_{id}"))?], Position::Oldest);
    loop {
        let Followed::Events(events) = follow.next().await? else { continue };
        for event in events {
            let state: Value = serde_json::from_slice(event.payload.as_bytes())?;
            if matches!(state["status"].as_str(), Some("succeeded" | "failed")) {
                return Ok(state);
            }
        }
    }
}

fn describe(state: &Value) {
    for step in state["steps"].as_array().into_iter().flatten() {
        println!("{:>10} {:>6} ms", step["name"].as_str().unwrap_or_default(), step["duration_ms"]);
    }
    println!("{} {}{}", state["status"], state["result"], state["error"]);
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
