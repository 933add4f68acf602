//! `anywire serve`: settings are gathered, everything starts, signals end it.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use toml::Value;

use crate::{
    Anywire, Config, ConfigError, Settings, classic, conformance,
    limits::fit_connections,
    logging,
    restart::{LISTEN_VARIABLE, replace_process},
};

/// Where settings come from.
#[derive(Debug, Default, Args)]
pub(super) struct ServeArgs {
    /// The address to listen on, such as 127.0.0.1:8000; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The directory for events and files.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Allow the network lab to break connections on purpose.
    #[arg(long)]
    lab: bool,
    /// Also listen on the ports that front ends of single services were written for: 3000, 3001, 5000, 8000,
    /// 8050.
    #[arg(long)]
    classic_ports: bool,
    /// Open a damaged log with what can be read of it: readers are told exactly what is lost. For one start.
    #[arg(long)]
    accept_loss: bool,
    /// Answer as the official Socket.IO test suites expect; for tests only.
    #[arg(long, hide = true)]
    socketio_conformance: bool,
    /// Any setting, such as limits.channels_max=64; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Where a server's settings and files are, for those who do not run it.
#[derive(Debug, Clone, Args)]
pub(super) struct FilesArgs {
    /// The server's directory for events and files.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Its TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any of its settings, such as auth.jwt_secret=…; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl FilesArgs {
    /// The settings the server would run with.
    pub(super) fn config(&self) -> Result<Config, String> {
        let Self { data, config: file, set } = self.clone();
        let args = ServeArgs { data, config: file, set, ..ServeArgs::default() };
        config(&args).map_err(|error| error.to_string())
    }
}

pub(super) fn config(args: &ServeArgs) -> Result<Config, ConfigError> {
    let mut settings = Settings::default();
    if let Some(file) = &args.config {
        settings.add_file(file.clone())?;
    }
    settings.add_environment(std::env::vars())?;
    for text in &args.set {
        settings.add_flag(text)?;
    }
    if let Some(listen) = args.listen {
        settings.set("listen", Value::String(listen.to_string()), "--listen")?;
    }
    if let Some(data) = &args.data {
        settings.set("data", Value::String(data.display().to_string()), "--data")?;
    }
    if args.socketio_conformance {
        conformance::configure(&mut settings)?;
    }
    if args.lab {
        settings.set("lab", Value::Boolean(true), "--lab")?;
    }
    if let Ok(listen) = std::env::var(LISTEN_VARIABLE) {
        settings.set("listen", Value::String(listen), LISTEN_VARIABLE)?;
    }
    let mut config = settings.finish()?;
    config.accept_loss = args.accept_loss;
    if args.classic_ports {
        classic::open(&mut config);
    }
    Ok(config)
}

pub(super) fn run(args: &ServeArgs) -> Result<(), String> {
    let mut config = config(args).map_err(|error| error.to_string())?;
    let left_out = Arc::new(logging::start(&config.server.logging)?);
    let limits = &mut config.gateway.limits;
    limits.connections_max = fit_connections(limits.connections_max);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime could not start: {error}"))?;
    runtime.spawn(Arc::clone(&left_out).report());
    let again = runtime.block_on(serve(config, args.socketio_conformance))?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    left_out.report_all();
    match again {
        Some(address) => Err(format!("the restart failed: {}", replace_process(address))),
        None => Ok(()),
    }
}

/// Serves until a signal (`None`) or until a restart is wanted (the address to listen on again).
async fn serve(config: Config, conformance: bool) -> Result<Option<SocketAddr>, String> {
    let text = |error: crate::StartError| error.to_string();
    let scheme = if config.server.tls.certificate.is_some() { "https" } else { "http" };
    let listen = config.server.listen;
    let (version, data, engine) = (env!("CARGO_PKG_VERSION"), &config.server.data, config.server.engine);
    tracing::info!(data = %data.display(), ?engine, "Anywire {version} starts");
    let anywire = Anywire::start(config).await.map_err(text)?;
    if conformance {
        conformance::install(&anywire);
    }
    let listener = anywire.bind(listen).map_err(text)?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    for (name, listener) in anywire.bind_others().map_err(text)? {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        tracing::info!(name, %address, "listening here too");
        let anywire = Arc::clone(&anywire);
        tokio::spawn(async move { anywire.serve_as(&name, listener).await });
    }
    let serving = {
        let anywire = Arc::clone(&anywire);
        tokio::spawn(async move { anywire.serve(listener).await })
    };
    // Before anybody learns that we are here: whoever is told may end us at once.
    let mut signals = Signals::listen();
    announce(scheme, address);
    let restart = tokio::select! {
        served = serving => return match served {
            Ok(Err(error)) => Err(text(error)),
            _ => Ok(None),
        },
        () = signals.next() => false,
        () = anywire.restart_wanted() => true,
    };
    tracing::info!(restart, "stopping");
    tokio::select! {
        () = anywire.stop() => {}
        () = signals.next() => tracing::warn!("a second signal: not waiting any longer"),
    }
    Ok(restart.then_some(address))
}

/// The one line that says the server is ready, and where.
fn announce(scheme: &str, address: SocketAddr) {
    let mut out = std::io::stdout().lock();
    let version = env!("CARGO_PKG_VERSION");
    // Nobody may be reading: that is no reason not to serve.
    let _ok = writeln!(out, "Anywire {version} is ready at {scheme}://{address}").and_then(|()| out.flush());
}

/// SIGTERM and SIGINT, noted from the moment this is made.
struct Signals(Option<(Signal, Signal)>);

impl Signals {
    fn listen() -> Self {
        let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        Self(terminate.ok().zip(interrupt.ok()))
    }

    async fn next(&mut self) {
        let Some((terminate, interrupt)) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
