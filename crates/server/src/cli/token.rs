//! `anywire token`: signs a token to try rights with, or says of one what it may do.

use anywire_access::{Access, Claims, sign};
use anywire_log::{Clock as _, SystemClock};
use anywire_protocol::json::iso_time;
use clap::{Args, Subcommand};

use super::serve::FilesArgs;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: Option<TokenCommand>,
    #[command(flatten)]
    sign: SignArgs,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Say whose a key or a token is and what it may do, or why it is not taken.
    Check {
        /// The key or token; `-` reads it from standard input.
        token: String,
        #[command(flatten)]
        files: FilesArgs,
    },
}

#[derive(Debug, Args)]
struct SignArgs {
    /// Whose it is (`sub`).
    #[arg(long, value_name = "ID", required = true)]
    user: Option<String>,
    /// A role it gives, one of auth.jwt_roles_allowed; may be repeated.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// A pattern of channels that may be followed; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<String>,
    /// A pattern of channels that may be published to; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<String>,
    /// How long it lasts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=525_600))]
    minutes: u32,
    #[command(flatten)]
    files: FilesArgs,
}

pub(super) fn run(args: &TokenArgs) -> Result<(), String> {
    match &args.command {
        Some(TokenCommand::Check { token, files }) => check(token, files),
        None => sign_one(&args.sign),
    }
}

fn sign_one(args: &SignArgs) -> Result<(), String> {
    let config = args.files.config()?.gateway.auth.access();
    let claims = Claims {
        user: args.user.clone().unwrap_or_default(),
        roles: args.role.clone(),
        subscribe: args.subscribe.clone(),
        publish: args.publish.clone(),
        minutes: args.minutes,
    };
    println!("{}", sign(&config, &claims, SystemClock.now()).map_err(|error| error.to_string())?);
    Ok(())
}

fn check(token: &str, files: &FilesArgs) -> Result<(), String> {
    let mut line = String::new();
    let token = match token {
        "-" => {
            let read = std::io::stdin().read_line(&mut line);
            read.map_err(|error| format!("standard input: {error}"))?;
            line.trim()
        }
        token => token,
    };
    let config = files.config()?.gateway.auth.access();
    let access = Access::new(&config).map_err(|error| error.to_string())?;
    let principal = access.principal(token, SystemClock.now());
    let principal = principal.map_err(|refused| format!("it would be refused: {refused}"))?;
    println!("{principal}");
    println!("id: {}", principal.id());
    println!("ends: {}", principal.expires_at().map_or_else(|| "never".to_owned(), iso_time));
    for grant in principal.grants() {
        println!("may: {grant}");
    }
    Ok(())
}
