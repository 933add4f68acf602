//! `anywire user`, `anywire key` and `anywire revoke`: on the files of a server that does not run, or by
//! asking one that does. Before its first start there is nobody to ask; while it runs, the files are its own.

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    sync::Arc,
};

use anywire_log::Log;
use anywire_store::OpenError;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{
    client::{agent, refusal},
    serve::FilesArgs,
};
use crate::{StartError, assembly::people_of_files, sections::EngineKind};

/// The longest answer that is read of people on files.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How many entries are asked for at once.
const PAGE: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add an account: anywire user add anna --role admin.
    Add {
        /// Its name.
        name: String,
        /// A role it has: admin, operator, viewer, publisher, or one of auth.roles; may be repeated.
        #[arg(long, value_name = "ROLE", required = true)]
        role: Vec<String>,
        /// Read the password from standard input. Without this it is asked for on a terminal, and else made.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// List the accounts.
    List(ReachArgs),
    /// Let nobody sign in to an account any more, and end its sessions.
    Disable {
        /// Its name.
        name: String,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Let people sign in to an account again.
    Enable {
        /// Its name.
        name: String,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Give an account another password, and end its sessions.
    Passwd {
        /// Its name.
        name: String,
        /// Read the password from standard input. Without this it is asked for on a terminal, and else made.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        reach: ReachArgs,
    },
}

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make an API key: anywire key add reports --role publisher.
    Add {
        /// Its name.
        name: String,
        /// A role it has; may be repeated.
        #[arg(long, value_name = "ROLE")]
        role: Vec<String>,
        /// What it may do beside that, such as jobs:read or subscribe:news_*; may be repeated.
        #[arg(long, value_name = "GRANT")]
        grant: Vec<String>,
        /// When it ends, such as 2027-01-31T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        ends: Option<String>,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// List the keys that were made so.
    List(ReachArgs),
    /// Take a key back.
    Revoke {
        /// Its name.
        name: String,
        #[command(flatten)]
        reach: ReachArgs,
    },
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    what: RevokeWhat,
    #[command(flatten)]
    reach: ReachArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct RevokeWhat {
    /// Every session of this account, and every token of this user (`sub`) that was made until now.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// One session, by its id.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// One token, by its `jti`.
    #[arg(long, value_name = "ID")]
    token_id: Option<String>,
}

#[derive(Debug, Args)]
struct ReachArgs {
    #[command(flatten)]
    files: FilesArgs,
    /// The address of a running server. Without it: the files, or whoever runs on them.
    #[arg(long, value_name = "URL", env = "ANYWIRE_URL")]
    url: Option<String>,
    /// A key of that server with the right access:manage.
    #[arg(long, value_name = "KEY", env = "ANYWIRE_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// Whoever does what is asked: the routes are the same.
enum Reach {
    Files { runtime: tokio::runtime::Runtime, log: Arc<Log>, routes: Router },
    Server { url: String, key: Option<String> },
}

impl ReachArgs {
    fn reach(&self) -> Result<Reach, String> {
        let server = |url: String| Reach::Server { url, key: self.key.clone() };
        if let Some(url) = &self.url {
            return Ok(server(url.trim_end_matches('/').to_owned()));
        }
        let config = self.files.config()?;
        let scheme = if config.server.tls.certificate.is_some() { "https" } else { "http" };
        let own = format!("{scheme}://{}", config.server.listen);
        if config.server.engine == EngineKind::Memory {
            return Ok(server(own));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| format!("the runtime could not start: {error}"))?;
        match runtime.block_on(people_of_files(config)) {
            Ok((log, people)) => Ok(Reach::Files { runtime, log, routes: people.routes_for_files() }),
            // Whoever holds the files is the one to ask.
            Err(StartError::Engine(OpenError::Locked { .. })) => Ok(server(own)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Reach {
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let body = body.map(Value::to_string);
        let (status, text) = match self {
            Self::Files { runtime, routes, .. } => {
                runtime.block_on(answer(routes.clone(), method, path, body))?
            }
            Self::Server { url, key } => asked(url, key.as_deref(), method, path, body)?,
        };
        match status {
            200..=299 => Ok(serde_json::from_str(&text).unwrap_or(Value::Null)),
            401 if matches!(self, Self::Server { .. }) => Err(format!(
                "{}; set ANYWIRE_KEY to a key of the server with the right access:manage, or stop the server and try again",
                refusal(status, &text)
            )),
            _ => Err(refusal(status, &text)),
        }
    }

    /// All of a list, page by page.
    fn list(&self, what: &str) -> Result<Vec<Value>, String> {
        let mut all = Vec::new();
        let mut path = format!("/api/access/{what}?limit={PAGE}");
        loop {
            let mut page = self.ask("GET", &path, None)?;
            match page[what].take() {
                Value::Array(entries) => all.extend(entries),
                _ => return Err(format!("the server has no list of {what}; it may be an older one")),
            }
            let Some(next) = page["next"].as_str() else { return Ok(all) };
            // Names and ids need no escapes but one.
            path = format!("/api/access/{what}?limit={PAGE}&after={}", next.replace('+', "%2B"));
        }
    }

    /// The id of an account or a key, by its name.
    fn id(&self, what: &str, name: &str) -> Result<String, String> {
        let all = self.list(what)?;
        let found = all.iter().find(|one| one["name"] == name).and_then(|one| one["id"].as_str());
        let one = what.trim_end_matches('s');
        found
            .map(str::to_owned)
            .ok_or_else(|| format!("there is no {one} {name:?}; `anywire {one} list` shows those there are"))
    }

    /// What was written must be on the disk before anybody is told.
    fn close(self) {
        if let Self::Files { runtime, log, .. } = self {
            runtime.block_on(log.engine().close());
        }
    }
}

async fn answer(
    routes: Router,
    method: &str,
    path: &str,
    body: Option<String>,
) -> Result<(u16, String), String> {
    let request = Request::builder().method(method).uri(path).header("Content-Type", "application/json");
    let request = request.body(Body::from(body.unwrap_or_default())).map_err(|error| error.to_string())?;
    let Ok(response) = routes.oneshot(request).await;
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.map_err(|error| error.to_string())?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

fn asked(
    url: &str,
    key: Option<&str>,
    method: &str,
    path: &str,
    body: Option<String>,
) -> Result<(u16, String), String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("{url}: {error}; name the running server by --url, or stop it to work on its files")
    };
    let request = ureq::http::Request::builder().method(method).uri(format!("{url}{path}"));
    let request = request.header("Content-Type", "application/json");
    let request = match key {
        Some(key) => request.header("Authorization", format!("Bearer {key}")),
        None => request,
    };
    let request = request.body(body.unwrap_or_default()).map_err(|error| failed(&error))?;
    let mut response = agent().run(request).map_err(|error| failed(&error))?;
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().map_err(|error| failed(&error))?;
    Ok((status, text))
}

/// Does something, and closes what was opened for it.
fn with(reach: &ReachArgs, act: impl FnOnce(&Reach) -> Result<(), String>) -> Result<(), String> {
    let reach = reach.reach()?;
    let done = act(&reach);
    reach.close();
    done
}

pub(super) fn user(args: &UserArgs) -> Result<(), String> {
    match &args.command {
        UserCommand::Add { name, role, password_stdin, reach } => {
            let password = password(*password_stdin)?;
            with(reach, |reach| {
                let wish = json!({ "name": name, "password": password, "roles": role });
                let added = reach.ask("POST", "/api/access/users", Some(&wish))?;
                println!("{name} is added, with {}", named("role", role));
                if let Some(made) = added["password"].as_str() {
                    println!("password: {made}");
                }
                Ok(())
            })
        }
        UserCommand::List(reach) => with(reach, |reach| {
            for user in reach.list("users")? {
                let state = if user["disabled"] == true { "disabled" } else { "enabled" };
                println!("{}\t{}\t{state}", text(&user["name"]), texts(&user["roles"]));
            }
            Ok(())
        }),
        UserCommand::Disable { name, reach } => change(reach, name, &json!({ "disabled": true })),
        UserCommand::Enable { name, reach } => change(reach, name, &json!({ "disabled": false })),
        UserCommand::Passwd { name, password_stdin, reach } => {
            let given = password(*password_stdin)?;
            let made = given.is_none().then(anywire_people::make_password).transpose()?;
            let password = given.or_else(|| made.clone());
            change(reach, name, &json!({ "password": password }))?;
            if let Some(made) = made {
                println!("password: {made}");
            }
            Ok(())
        }
    }
}

fn change(reach: &ReachArgs, name: &str, wish: &Value) -> Result<(), String> {
    with(reach, |reach| {
        let id = reach.id("users", name)?;
        reach.ask("PATCH", &format!("/api/access/users/{id}"), Some(wish)).map(drop)
    })
}

pub(super) fn key(args: &KeyArgs) -> Result<(), String> {
    match &args.command {
        KeyCommand::Add { name, role, grant, ends, reach } => with(reach, |reach| {
            let mut wish = json!({ "name": name, "roles": role, "grants": grant });
            if let Some(ends) = ends {
                wish["ends_at"] = json!(ends);
            }
            let made = reach.ask("POST", "/api/access/keys", Some(&wish))?;
            println!("{}", text(&made["key"]));
            Ok(())
        }),
        KeyCommand::List(reach) => with(reach, |reach| {
            for key in reach.list("keys")? {
                let rights = [texts(&key["roles"]), texts(&key["grants"])];
                let rights: Vec<String> = rights.into_iter().filter(|one| !one.is_empty()).collect();
                let (ends, used) = (&key["ends_at"], &key["used_at"]);
                let ends = ends.as_str().map_or_else(|| "never ends".to_owned(), |at| format!("ends {at}"));
                let used = used.as_str().map_or_else(|| "not used yet".to_owned(), |at| format!("used {at}"));
                println!("{}\t{}\t{ends}\t{used}", text(&key["name"]), rights.join(", "));
            }
            Ok(())
        }),
        KeyCommand::Revoke { name, reach } => with(reach, |reach| {
            let id = reach.id("keys", name)?;
            reach.ask("DELETE", &format!("/api/access/keys/{id}"), None).map(drop)
        }),
    }
}

pub(super) fn revoke(args: &RevokeArgs) -> Result<(), String> {
    let RevokeWhat { user, session, token_id } = &args.what;
    let mut wish = json!({});
    for (member, value) in [("user", user), ("session", session), ("token_id", token_id)] {
        if let Some(value) = value {
            wish[member] = json!(value);
        }
    }
    with(&args.reach, |reach| reach.ask("POST", "/api/access/revoke", Some(&wish)).map(drop))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> String {
    let all: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    all.join(", ")
}

fn named(what: &str, names: &[String]) -> String {
    let several = if names.len() > 1 { "s" } else { "" };
    format!("the {what}{several} {}", names.join(", "))
}

/// The password that is given; none where one is to be made.
fn password(from_stdin: bool) -> Result<Option<String>, String> {
    let stdin = std::io::stdin();
    let failed = |error: std::io::Error| format!("standard input: {error}");
    let mut line = String::new();
    if from_stdin {
        stdin.lock().read_line(&mut line).map_err(failed)?;
        return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if !stdin.is_terminal() {
        return Ok(None);
    }
    eprint!("Password (nothing: one is made): ");
    let _best_effort = std::io::stderr().flush();
    let before = tcgetattr(&stdin).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &silent).map_err(|error| failed(error.into()))?;
    let read = stdin.lock().read_line(&mut line);
    let restored = tcsetattr(&stdin, OptionalActions::Now, &before);
    eprintln!();
    read.map_err(failed)?;
    restored.map_err(|error| failed(error.into()))?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    Ok(Some(password).filter(|password| !password.is_empty()))
}
