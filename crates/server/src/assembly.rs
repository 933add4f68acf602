//! What is wired to what.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anywire_access::Roles;
use anywire_app::{AppContext, Application, ApplicationMetrics, Owned};
use anywire_gateway::{
    AuthError, Gate, Gateway, GatewayConfig, GatewayError, LimitsConfig, MAIN_LISTENER, MetricsCollector,
    PageHeaders, ServeError, Tls, TlsError,
};
use anywire_jobs::Jobs;
use anywire_log::{
    ChannelPattern, Clock, Engine, Keep, Log, MemoryEngine, Retention, RetentionRule, RetentionRules,
    SteadyClock, TailConfig,
};
use anywire_monitor::{Monitor, MonitorConfig};
use anywire_people::People;
use anywire_pipeline::{Pipeline, PipelineConfig};
use anywire_redis_emitter::{Emitters, Rules};
use anywire_store::{EmbeddedConfig, EmbeddedEngine};
use axum::Router;
use prometheus_client::registry::Registry;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::{self, ApiState},
    config::{Config, EngineKind, ServerConfig, TlsSection},
    console,
    memory::{self, Shares},
    meter::Meter,
    openapi,
    overview::{OVERVIEW_CHANNEL, Overview},
    restart::Restart,
    sockets,
    storage::{LOG_FOLDER, StorageMetrics, private_folder},
};

/// How often retention is applied.
const RETENTION_EVERY: Duration = Duration::from_secs(1);
/// How long somebody may take from being let in to being seen among those who are connected.
const LATECOMERS: Duration = Duration::from_millis(500);
/// How many connections may wait to be accepted, as far as the system allows. After a restart all clients
/// come back at once: whoever finds no room tries again only after a second.
const BACKLOG: u32 = 4096;

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine could not open its directory.
    #[error(transparent)]
    Engine(#[from] anywire_store::OpenError),
    /// A directory or an address could not be used.
    #[error("{what}: {error}")]
    Io {
        /// What.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}; {way_out}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
        /// What to do about it.
        way_out: &'static str,
    },
    /// The gateway's settings are not sound.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The address must not be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The certificate files are not sound.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Half of what TLS needs.
    #[error("tls.certificate and tls.key go together; {missing} is missing")]
    HalfTls {
        /// The one that is missing.
        missing: &'static str,
    },
    /// Two listeners have one name.
    #[error(
        "two listeners are called {name:?}; give each in `listeners` a name of its own (the main one is \"main\")"
    )]
    ListenerName {
        /// The name.
        name: String,
    },
    /// A namespace is for a listener that there is not.
    #[error("namespace {namespace:?} is for listener {listener:?}, which is not in `listeners`")]
    NoListener {
        /// The namespace.
        namespace: String,
        /// The listener.
        listener: String,
    },
    /// Who somebody is cannot be found out.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Accounts could not be read.
    #[error("accounts cannot be read from the log: {0}")]
    People(#[from] anywire_log::ReadError),
    /// The jobs application could not start.
    #[error("jobs: {0}")]
    Jobs(#[from] anywire_jobs::StartError),
    /// The monitor application could not start.
    #[error("monitor: {0}")]
    Monitor(#[from] anywire_monitor::StartError),
    /// The pipeline application could not start.
    #[error("pipeline: {0}")]
    Pipeline(#[from] anywire_pipeline::StartError),
    /// A setting of the emitters is not sound.
    #[error(transparent)]
    Emitters(#[from] anywire_redis_emitter::ConfigError),
}

/// One server, assembled.
pub struct Anywire {
    log: Arc<Log>,
    gateway: Arc<Gateway>,
    api: Arc<ApiState>,
    people: Arc<People>,
    applications: Vec<Arc<dyn Application>>,
    config: ServerConfig,
    tls: Option<Tls>,
    shutdown: CancellationToken,
    /// The applications' background work: it ends before the log is closed.
    background: TaskTracker,
}

impl Anywire {
    /// Opens the log and starts everything behind the listener. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] names what is in the way.
    pub async fn start(mut config: Config) -> Result<Arc<Self>, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SteadyClock::default());
        let tls = tls(&config.server.tls)?;
        check_listeners(&config)?;
        // For those who ask other servers; a second call finds the first one's choice.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        make_data(&config.server)?;
        let rules = rules(&config.server, &config.monitor, &config.pipeline);
        let shares = memory_shares(&config.server, &mut config.gateway);
        let engine =
            engine(&config.server, shares, config.accept_loss, rules.clone(), Arc::clone(&clock)).await?;
        let log = Log::start(engine, rules, TailConfig { bytes_max: shares.tail_bytes });
        let message_bytes_max = config.gateway.limits.message_bytes_max;
        let gateway = with_states(config.gateway);
        let shutdown = CancellationToken::new();
        let context = |name: &str| AppContext {
            log: Arc::clone(&log),
            clock: Arc::clone(&clock),
            data_dir: config.server.data.join(name),
            shutdown: shutdown.clone(),
        };
        let roles = Roles::new(&gateway.auth.roles).map_err(AuthError::from)?;
        let people = People::open(context("access"), roles).await?;
        let gate = Gate::with_people(&gateway.auth, Arc::clone(&clock), people.directory())?;
        let gateway =
            Gateway::start_for(Arc::clone(&log), gateway, Arc::clone(&clock), &page_headers(), gate)?;
        if config.server.lab {
            gateway.lab().enable();
        }
        let jobs = Jobs::start(context("jobs"), config.jobs).await?;
        let mut meter = Meter::new(&gateway);
        let meter = Box::new(move || meter.figures());
        let monitor = Monitor::start(context("monitor"), config.monitor, meter).await?;
        let pipeline = Pipeline::start(context("pipeline"), config.pipeline, None).await?;
        let mut applications: Vec<Arc<dyn Application>> = vec![jobs, monitor, pipeline];
        let mut owned = keep_channels(&gateway, &applications);
        owned.extend(keep_channels(&gateway, &[Arc::clone(&people) as Arc<dyn Application>]));
        let rules = Rules { message_bytes_max, owned };
        applications.push(Emitters::new(context("emitters"), config.emitters, rules)?);
        let background = TaskTracker::new();
        background.spawn(Arc::clone(&people).run());
        applications.iter().for_each(|one| drop(background.spawn(Arc::clone(one).run())));
        tokio::spawn(end_what_is_over(Arc::clone(&gateway), people.ended(), shutdown.clone()));
        let overview = Overview::start(&gateway, shutdown.clone());
        tokio::spawn(apply_retention(Arc::clone(&log), clock, shutdown.clone()));
        let mut registry = Registry::default();
        let all = [&[Arc::clone(&people) as Arc<dyn Application>], applications.as_slice()].concat();
        registry.register_collector(Box::new(MetricsCollector(Arc::clone(gateway.metrics()))));
        registry.register_collector(Box::new(StorageMetrics(Arc::clone(&log))));
        registry.register_collector(Box::new(ApplicationMetrics(all)));
        let api = Arc::new(ApiState {
            log: Arc::clone(&log),
            gateway: Arc::clone(&gateway),
            overview,
            registry,
            restart: Restart::default(),
        });
        Ok(Arc::new(Self {
            log,
            gateway,
            api,
            people,
            applications,
            config: config.server,
            tls,
            shutdown,
            background,
        }))
    }

    /// The log, for programs that publish and read inside the process.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The gateway, for programs that serve it themselves.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Waits until somebody asks for a restart.
    pub(crate) async fn restart_wanted(&self) {
        self.api.restart.wanted().await;
    }

    /// Every route there is: transports, applications, API and console.
    pub fn router(self: &Arc<Self>) -> Router {
        let own = api::routes(&self.api).merge(sockets::routes(&self.gateway));
        let own = self.gateway.guard("server", own);
        let guarded = self
            .applications
            .iter()
            .fold(own, |all, one| all.merge(self.gateway.guard(one.name(), one.routes())));
        let people = self.gateway.identify(self.people.routes());
        let open =
            self.gateway.routes().merge(people).merge(api::open_routes(&self.api)).merge(openapi::routes());
        let client = self.gateway.socketio_path().map_or_else(Router::new, console::client_routes);
        let routes = open.merge(client).merge(guarded);
        self.gateway
            .protect(routes.method_not_allowed_fallback(api::method_not_allowed).fallback(console::serve))
    }

    /// Binds the configured address. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] names the address.
    pub fn bind(&self, address: SocketAddr) -> Result<TcpListener, StartError> {
        self.gateway.gate().check_address(address.ip()).map_err(ServeError::from)?;
        listen(address).map_err(|error| StartError::Listen { address, way_out: way_out(error.kind()), error })
    }

    /// Serves a listener until [`Anywire::stop`].
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn serve(self: &Arc<Self>, listener: TcpListener) -> Result<(), StartError> {
        self.serve_as(MAIN_LISTENER, listener).await
    }

    /// The same under a name, by which Socket.IO namespaces can be told apart.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn serve_as(self: &Arc<Self>, name: &str, listener: TcpListener) -> Result<(), StartError> {
        Ok(self.gateway.serve_as(name, listener, self.router(), self.tls.clone()).await?)
    }

    /// Binds every listener but the main one, as configured.
    ///
    /// # Errors
    /// [`StartError`] names the address.
    pub fn bind_others(&self) -> Result<Vec<(String, TcpListener)>, StartError> {
        let mut bound = Vec::new();
        for section in &self.config.listeners {
            bound.push((section.name.clone(), self.bind(section.listen)?));
        }
        Ok(bound)
    }

    /// Stops in order: nobody is let in, everybody is told, applications have ended, the log is closed.
    pub async fn stop(&self) {
        let patience = Duration::from_millis(self.config.stop_ms);
        // At once, also for long answers of applications: a connection that waits for more of one would not
        // end.
        self.shutdown.cancel();
        self.gateway.shut_down(patience).await;
        self.background.close();
        if tokio::time::timeout(patience, self.background.wait()).await.is_err() {
            tracing::warn!("an application did not end in time");
        }
        self.log.engine().close().await;
    }
}

/// Lets nobody else write to what belongs to the applications; all that it is.
fn keep_channels(gateway: &Gateway, applications: &[Arc<dyn Application>]) -> Vec<Owned> {
    let mut all = Vec::new();
    for application in applications {
        for owned in application.owns() {
            gateway.keep_channels(application.name(), owned.pattern.clone(), owned.by_server_alone);
            all.push(owned);
        }
    }
    all
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Or else connections that have just ended would keep a server from starting again.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn way_out(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => {
            "stop the program that listens there, or choose another address with --listen (port 0 takes a free one)"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for privileged programs: choose another with --listen"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose another with --listen",
        _ => "choose another address with --listen",
    }
}

/// Each event of a job holds its whole state: a Socket.IO client that subscribes to a job gets the newest at
/// once.
fn with_states(mut config: GatewayConfig) -> GatewayConfig {
    for section in &mut config.socketio.namespaces {
        section.newest_first.push("progress_*".to_owned());
    }
    config
}

/// What pages of other origins may send and read, as the applications have it.
fn page_headers() -> PageHeaders {
    PageHeaders {
        allowed: anywire_jobs::ALLOWED_HEADERS.to_vec(),
        exposed: anywire_jobs::EXPOSED_HEADERS.to_vec(),
    }
}

/// Listeners have names of their own, and namespaces name those there are.
fn check_listeners(config: &Config) -> Result<(), StartError> {
    let mut names = vec![MAIN_LISTENER];
    for section in &config.server.listeners {
        if names.contains(&section.name.as_str()) {
            return Err(StartError::ListenerName { name: section.name.clone() });
        }
        names.push(&section.name);
    }
    for section in &config.gateway.socketio.namespaces {
        if let Some(listener) =
            section.listener.as_ref().filter(|listener| !names.contains(&listener.as_str()))
        {
            let (namespace, listener) = (section.name.clone(), listener.clone());
            return Err(StartError::NoListener { namespace, listener });
        }
    }
    Ok(())
}

/// The certificate files are read before anything is made or announced: a server that cannot be reached is
/// not ready.
fn tls(section: &TlsSection) -> Result<Option<Tls>, StartError> {
    match (&section.certificate, &section.key) {
        (Some(certificate), Some(key)) => Ok(Some(Tls::from_files(certificate, key)?)),
        (None, None) => Ok(None),
        (Some(_), None) => Err(StartError::HalfTls { missing: "tls.key" }),
        (None, Some(_)) => Err(StartError::HalfTls { missing: "tls.certificate" }),
    }
}

/// The rules of retention: those of accounts first, which nobody overrules; then the configuration's, so that
/// it can overrule those of the applications.
fn rules(config: &ServerConfig, monitor: &MonitorConfig, pipeline: &PipelineConfig) -> RetentionRules {
    let mut rules: Vec<RetentionRule> = anywire_people::channels();
    rules.extend(config.retention.iter().map(|section| section.rule()));
    rules.push(RetentionRule {
        pattern: ChannelPattern::new(OVERVIEW_CHANNEL),
        // It never gets too old: the newest sample is there for whoever comes.
        retention: Retention { keep: Keep::Latest, age_max_ms: u64::MAX, ..Retention::ephemeral() },
    });
    rules.extend(anywire_jobs::channels());
    rules.extend(anywire_monitor::channels(monitor));
    rules.extend(anywire_pipeline::channels(pipeline));
    rules.extend(anywire_gateway::socketio_channels());
    RetentionRules::new(rules, Retention::default())
}

/// How large the parts are that take most of the memory.
fn memory_shares(config: &ServerConfig, gateway: &mut GatewayConfig) -> Shares {
    let limit = memory::limit();
    let fitting = Shares::of(limit);
    let unfinished = &mut gateway.limits.unfinished_bytes_max;
    if *unfinished == LimitsConfig::default().unfinished_bytes_max {
        *unfinished = usize::try_from(fitting.unfinished_bytes).unwrap_or(*unfinished).max(1 << 20);
    }
    let tail_bytes = config.tail.bytes_max.unwrap_or(fitting.tail_bytes);
    let ephemeral_bytes = config.ephemeral.bytes_max.unwrap_or(fitting.ephemeral_bytes);
    let unfinished_bytes = *unfinished as u64;
    let shares = Shares { tail_bytes, ephemeral_bytes, unfinished_bytes, ..fitting };
    let Shares { queue_bytes, segment_bytes, .. } = shares;
    tracing::info!(
        limit,
        tail_bytes,
        ephemeral_bytes,
        unfinished_bytes,
        queue_bytes,
        segment_bytes,
        "memory"
    );
    shares
}

/// The log and its people on the files of a server that does not run, for the command line.
pub(crate) async fn people_of_files(mut config: Config) -> Result<(Arc<Log>, Arc<People>), StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SteadyClock::default());
    make_data(&config.server)?;
    let rules = rules(&config.server, &config.monitor, &config.pipeline);
    let shares = memory_shares(&config.server, &mut config.gateway);
    let engine = engine(&config.server, shares, false, rules.clone(), Arc::clone(&clock)).await?;
    let log = Log::start(engine, rules, TailConfig { bytes_max: shares.tail_bytes });
    let roles = Roles::new(&config.gateway.auth.roles).map_err(AuthError::from)?;
    let (data_dir, shutdown) = (config.server.data.clone(), CancellationToken::new());
    let context = AppContext { log: Arc::clone(&log), clock, data_dir, shutdown };
    Ok((log, People::open(context, roles).await?))
}

fn make_data(config: &ServerConfig) -> Result<(), StartError> {
    let what = || format!("data {}", config.data.display());
    private_folder(&config.data).map_err(|error| StartError::Io { what: what(), error })
}

/// The one place where an engine is chosen.
async fn engine(
    config: &ServerConfig,
    shares: Shares,
    accept_loss: bool,
    rules: RetentionRules,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Engine>, StartError> {
    match config.engine {
        EngineKind::Memory => {
            let failed =
                |error| StartError::Io { what: "no randomness for the log's epoch".to_owned(), error };
            Ok(Arc::new(MemoryEngine::new(rules, clock).map_err(failed)?))
        }
        EngineKind::Embedded => {
            let mut embedded = EmbeddedConfig::new(config.data.join(LOG_FOLDER));
            embedded.accept_loss = accept_loss;
            embedded.queue_bytes_max = shares.queue_bytes;
            embedded.segment_bytes_max = shares.segment_bytes;
            embedded.scrub_bytes_per_s = config.scrub_bytes_per_s;
            embedded.ephemeral_bytes_max = shares.ephemeral_bytes;
            let open = move || EmbeddedEngine::open(embedded, rules, clock);
            match tokio::task::spawn_blocking(open).await {
                Ok(engine) => Ok(Arc::new(engine?)),
                Err(error) => {
                    Err(StartError::Io { what: "opening the log".into(), error: io::Error::other(error) })
                }
            }
        }
    }
}

/// Ends the connections of whoever is not any more who they were, soon after they are not.
async fn end_what_is_over(
    gateway: Arc<Gateway>,
    mut ended: watch::Receiver<u64>,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            changed = ended.changed() => if changed.is_err() { return },
            () = shutdown.cancelled() => return,
        }
        let count = gateway.end_revoked();
        // Once more, for who was just being let in.
        tokio::time::sleep(LATECOMERS).await;
        let count = count + gateway.end_revoked();
        tracing::info!(count, "connections were ended, of whoever has other rights now");
    }
}

async fn apply_retention(log: Arc<Log>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let mut every = tokio::time::interval(RETENTION_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let (log, now) = (Arc::clone(&log), clock.steady());
        // Off the async threads: an engine may delete files.
        let _done = tokio::task::spawn_blocking(move || log.enforce_retention(now)).await;
    }
}
