//! Alerts to a webhook: one POST an alert, tried again while the other side is in trouble.
//!
//! Limits: a request takes 10 s at most; five tries, 1, 2, 4 and 8 s apart; so many a minute as the
//! configuration allows. While one alert is tried again the next ones wait, so that they arrive in order.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{config::MonitorConfig, domain::Alert};

const TRIES: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Done,
    /// The other side refused; the same again would be refused again.
    Refused(String),
    /// Nothing answered, or it is in trouble.
    Trouble(String),
}

/// Sends what comes until the server stops.
pub(crate) async fn run(
    config: MonitorConfig,
    mut outbox: mpsc::Receiver<Alert>,
    shutdown: CancellationToken,
) {
    let Some(url) = config.webhook_url.clone() else { return };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let mut sent: Vec<Instant> = Vec::new();
    loop {
        let alert = tokio::select! {
            alert = outbox.recv() => alert,
            () = shutdown.cancelled() => None,
        };
        let Some(alert) = alert else { return };
        sent.retain(|at| at.elapsed() < MINUTE);
        if sent.len() >= config.webhook_per_minute_max as usize {
            tracing::warn!(rule = %alert.rule, "monitor.webhook_per_minute_max is reached: an alert is dropped");
            continue;
        }
        sent.push(Instant::now());
        let body = serde_json::to_string(&alert).unwrap_or_default();
        let post = || post(agent.clone(), url.clone(), config.webhook_token.clone(), body.clone());
        tokio::select! {
            () = deliver(post, &url) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn deliver<F: Future<Output = Outcome>>(post: impl Fn() -> F, url: &str) {
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_secs(1 << (attempt - 1))).await;
        }
        match post().await {
            Outcome::Done => return,
            Outcome::Refused(why) => {
                tracing::warn!(url, why, "the webhook refused an alert");
                return;
            }
            Outcome::Trouble(why) => tracing::info!(url, why, attempt, "the webhook could not be reached"),
        }
    }
    tracing::warn!(url, tries = TRIES, "an alert could not be posted and is dropped");
}

async fn post(agent: ureq::Agent, url: String, token: Option<String>, body: String) -> Outcome {
    let send = move || {
        let mut request = agent.post(&url).header("Content-Type", "application/json");
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        match request.send(&body) {
            Ok(answer) => judge(answer.status().as_u16()),
            Err(error) => Outcome::Trouble(error.to_string()),
        }
    };
    // The client blocks: it has a thread for that.
    tokio::task::spawn_blocking(send).await.unwrap_or_else(|error| Outcome::Trouble(error.to_string()))
}

fn judge(status: u16) -> Outcome {
    match status {
        200..=299 => Outcome::Done,
        408 | 425 | 429 | 500..=599 => Outcome::Trouble(format!("status {status}")),
        _ => Outcome::Refused(format!("status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    async fn tries(outcome: Outcome) -> u32 {
        let count = AtomicU32::new(0);
        let post = || {
            count.fetch_add(1, Relaxed);
            std::future::ready(outcome.clone())
        };
        deliver(post, "http://example").await;
        count.load(Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_is_tried_again_five_times_and_a_refusal_never() {
        assert_eq!(tries(judge(204)).await, 1);
        assert_eq!(tries(judge(400)).await, 1);
        assert_eq!(tries(judge(503)).await, TRIES);
        assert_eq!(tries(judge(429)).await, TRIES);
    }
}
