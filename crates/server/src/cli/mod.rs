//! The command line: `serve`, `publish`, `tail`, `run`, `monitor`, `config`.

mod client;
mod monitor;
mod run;
mod serve;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{config::ConfigError, reference};

/// Live updates over any wire.
#[derive(Debug, Parser)]
#[command(name = "anywire", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server.
    Serve(ServeArgs),
    /// Publish an event to a running server.
    Publish(PublishArgs),
    /// Print the events of channels as they come, one JSON object a line.
    Tail(TailArgs),
    /// Run a command here and let others watch it on a running server: `anywire run -- make all`.
    Run(RunArgs),
    /// Report this machine's performance to a running server, until it is stopped.
    Monitor(MonitorArgs),
    /// What a server starts beside itself.
    #[command(hide = true, disable_help_flag = true)]
    Worker {
        /// What it does, and with what.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Show the settings a server would run with, or all that exist.
    Config(ConfigArgs),
}

/// Where settings come from.
#[derive(Debug, Args)]
struct ServeArgs {
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
    /// Answer as the official Socket.IO test suites expect; for tests only.
    #[arg(long, hide = true)]
    socketio_conformance: bool,
    /// Any setting, such as limits.channels_max=64; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// How a running server is reached.
#[derive(Debug, Args)]
struct ServerArgs {
    /// The server's address.
    #[arg(long, default_value = "http://127.0.0.1:8000", env = "ANYWIRE_URL")]
    url: String,
    /// An API key or a token.
    #[arg(long, env = "ANYWIRE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Debug, Args)]
struct PublishArgs {
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
struct TailArgs {
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

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// What people call it. Default: the command line.
    #[arg(long)]
    title: Option<String>,
    /// How its output becomes progress: lines, json or ffmpeg.
    #[arg(long, default_value = "lines")]
    parser: String,
    /// A regular expression with groups named step, percent, message, or done and total.
    #[arg(long, value_name = "REGEX")]
    pattern: Option<String>,
    /// The command and its arguments, after `--`.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
struct MonitorArgs {
    /// The address of the server that shows it, such as https://status.example.
    #[arg(long, value_name = "URL")]
    to: String,
    /// An API key of that server.
    #[arg(long, env = "ANYWIRE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The name of this machine there; without it, the one the system has.
    #[arg(long)]
    host: Option<String>,
    /// The time between two samples, in milliseconds, 250 to 60000.
    #[arg(long, default_value_t = 1000)]
    interval_ms: u32,
}

#[derive(Debug, Args)]
struct ConfigArgs {
    #[command(flatten)]
    settings: ServeArgs,
    /// Print every setting there is, as a Markdown page.
    #[arg(long)]
    reference: bool,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Publish(args) => client::publish(&args),
        Command::Tail(args) => client::tail(&args),
        Command::Run(args) => match run::run(&args) {
            Ok(status) => return status,
            Err(message) => Err(message),
        },
        Command::Monitor(args) => monitor::run(&args),
        Command::Config(args) => show_config(&args),
        Command::Worker { arguments } => return anywire_jobs::worker(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("anywire: {message}");
            ExitCode::FAILURE
        }
    }
}

fn show_config(args: &ConfigArgs) -> Result<(), String> {
    if args.reference {
        print!("{}", reference::markdown());
        return Ok(());
    }
    let config = serve::config(&args.settings).map_err(|error: ConfigError| error.to_string())?;
    println!("{:#?}", serve::without_secrets(config));
    Ok(())
}
