//! The command line: `serve`, `publish`, `tail`, `run`, `monitor`, `user`, `key`, `revoke`, `token`, `check`,
//! `config`.

mod check;
mod client;
mod monitor;
mod people;
mod run;
mod serve;
mod token;

use std::process::ExitCode;

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
    Serve(serve::ServeArgs),
    /// Publish an event to a running server.
    Publish(client::PublishArgs),
    /// Print the events of channels as they come, one JSON object a line.
    Tail(client::TailArgs),
    /// Run a command here and let others watch it on a running server: `anywire run -- make all`.
    Run(run::RunArgs),
    /// Report this machine's performance to a running server, until it is stopped.
    Monitor(monitor::MonitorArgs),
    /// Add, list and change the accounts of people.
    User(people::UserArgs),
    /// Make, list and take back API keys.
    Key(people::KeyArgs),
    /// Take sessions and tokens back.
    Revoke(people::RevokeArgs),
    /// Sign a token to try rights with, or check one.
    Token(token::TokenArgs),
    /// What a server starts beside itself.
    #[command(hide = true, disable_help_flag = true)]
    Worker {
        /// What it does, and with what.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Verify everything that a stopped server has stored, and say what would be lost.
    Check(check::CheckArgs),
    /// Print the settings a server would run with, as a TOML file without secrets, or all that exist.
    Config(ConfigArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    #[command(flatten)]
    settings: serve::ServeArgs,
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
        Command::User(args) => people::user(&args),
        Command::Key(args) => people::key(&args),
        Command::Revoke(args) => people::revoke(&args),
        Command::Token(args) => token::run(&args),
        Command::Check(args) => match check::run(&args) {
            Ok(status) => return status,
            Err(message) => Err(message),
        },
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
    let mut config = serve::config(&args.settings).map_err(|error: ConfigError| error.to_string())?;
    for key in config.take_secrets() {
        println!("# {key} is set and not shown (hidden)");
    }
    print!("{}", config.to_toml().map_err(|error| error.to_string())?);
    Ok(())
}
