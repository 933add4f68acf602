//! People: accounts, their sessions at the console, API keys made while the server runs, what was taken back,
//! and the audit trail.
//!
//! ```text
//!  sign-in, Access page ──▶ api ──▶ service: decide, one batch with its entry ──▶ log `$access`, `$audit`
//!  anywire user, anywire key ─┘          ▲                                         │ committed
//!                                        └────────── state: everybody ◀────────────┘
//!  gateway ── whose session, whose key, does it still stand? ──▶ state
//! ```
//!
//! Mounting: give [`channels`] to the log's retention rules, open [`People`], give [`People::directory`] to
//! the gateway, serve its routes, spawn its `run`. When [`People::ended`] resolves, connections are to end
//! whose principals do not stand any more.

mod api;
mod audit;
mod cookie;
mod decisions;
mod description;
mod guesses;
mod hex;
mod metrics;
mod passwords;
mod records;
mod service;
mod state;

use std::{net::IpAddr, sync::Arc};

use anywire_access::{ACCESS_CHANNEL, AUDIT_CHANNEL, Caller, Principal, Roles};
use anywire_app::{AppContext, Application, Metric, Owned};
use anywire_log::{BoxFuture, ChannelPattern, ReadError, Retention, RetentionRule};
use tokio::sync::watch;

use service::PeopleService;

pub use description::operations as description;

/// A password that nobody guesses.
///
/// # Errors
/// What the system said, if it has no randomness.
pub fn make_password() -> Result<String, String> {
    passwords::make().map_err(|error| error.to_string())
}

/// The retention its channels need.
#[must_use]
pub fn channels() -> Vec<RetentionRule> {
    const DAY_MS: u64 = 24 * 3600 * 1000;
    let rule = |name: &str, retention| RetentionRule { pattern: ChannelPattern::new(name), retention };
    let source = Retention {
        age_max_ms: 36_500 * DAY_MS,
        events_max: 10_000_000,
        bytes_max: 8 << 30,
        ..Retention::default()
    };
    let audit = Retention {
        age_max_ms: 90 * DAY_MS,
        events_max: 10_000_000,
        bytes_max: 2 << 30,
        ..Retention::default()
    };
    vec![rule(ACCESS_CHANNEL, source), rule(AUDIT_CHANNEL, audit)]
}

/// The application.
pub struct People {
    service: PeopleService,
    context: AppContext,
}

impl People {
    /// Reads everybody from the log.
    ///
    /// # Errors
    /// [`ReadError`] of the engine.
    pub async fn open(context: AppContext, roles: Roles) -> Result<Arc<Self>, ReadError> {
        let service = PeopleService::open(&context.log, Arc::clone(&context.clock), roles).await?;
        Ok(Arc::new(Self { service, context }))
    }

    /// The routes for whoever may write the server's files, and so may do everything: for the first account,
    /// before there is anybody to ask.
    pub fn routes_for_files(&self) -> axum::Router {
        let caller = Caller {
            principal: Principal::everybody(),
            address: IpAddr::from([0, 0, 0, 0]),
            session: None,
            secure: false,
            foreign: None,
        };
        api::routes(self.service.clone()).layer(axum::Extension(caller))
    }

    /// Whom to ask who somebody is.
    #[must_use]
    pub fn directory(&self) -> Arc<dyn anywire_access::People> {
        Arc::new(self.service.clone())
    }

    /// Counts the times at which somebody's rights ended.
    #[must_use]
    pub fn ended(&self) -> watch::Receiver<u64> {
        self.service.signals.ends.subscribe()
    }
}

impl Application for People {
    fn name(&self) -> &'static str {
        "access"
    }

    fn routes(&self) -> axum::Router {
        api::routes(self.service.clone())
    }

    fn run(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(self.service.clone().run(self.context.clone()))
    }

    fn owns(&self) -> Vec<Owned> {
        vec![Owned::state(ACCESS_CHANNEL), Owned::state(AUDIT_CHANNEL)]
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::of(&self.service)
    }
}
