//! `anywire-bench`: what a delivery, a reconnection and a publication cost, against the floor and peers.
//!
//! `fanout` measures delivery, `jitter` resuming, `publish` committing, `churn` connecting, `parse` reading
//! publications. README.md says how to read the figures.

mod child;
mod churn;
mod failure;
mod fanout;
mod floor;
mod jitter;
mod load;
mod machine;
mod parse;
mod peers;
mod process;
mod publish;
mod setup;
mod stats;
mod table;
mod verdict;
mod wire;

use clap::{Parser, Subcommand};
use failure::Outcome;
use std::process::ExitCode;
use verdict::Verdict;

#[derive(Debug, Parser)]
#[command(name = "anywire-bench", about = "Load, jitter and publish benchmarks, against the floor and peers")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Server CPU per delivery, latency and memory per connection, beside the floor and peers.
    Fanout(fanout::Options),
    /// Whether everybody gets everything while connections are killed all the time, and how fast they catch
    /// up.
    Jitter(jitter::Options),
    /// Durable events a second over HTTP, and how long their publishers wait.
    Publish(publish::Options),
    /// How fast clients can connect, subscribe and go.
    Churn(churn::Options),
    /// What a publication costs from received bytes to the batch to append, over each transport.
    Parse(parse::Options),
    /// Everything, one after the other.
    All(Everything),
    /// The floor alone: a server that only writes ready bytes.
    Floor(floor::Options),
    #[command(hide = true)]
    Load(load::Options),
    #[command(hide = true)]
    Launch(child::Launch),
}

#[derive(Debug, clap::Args)]
struct Everything {
    /// Small numbers, for a few seconds each: only shows that everything works.
    #[arg(long)]
    smoke: bool,
}

/// What `all` runs, as one would type it.
const EVERYTHING: [&[&str]; 8] = [
    &["fanout", "--all", "--transport", "all"],
    &["jitter", "--switch"],
    &["jitter", "--switch", "--restart"],
    &["jitter", "--transport", "socketio", "--restart", "--peers", "anywire,socketio"],
    &["jitter", "--transport", "socketio-polling", "--restart", "--peers", "anywire,socketio"],
    &["publish"],
    &["churn"],
    &["parse"],
];

fn main() -> ExitCode {
    match run(CommandLine::parse().command) {
        Ok(Verdict::Sound) => ExitCode::SUCCESS,
        Ok(Verdict::Unsound) => ExitCode::from(2),
        Err(failure) => {
            eprintln!("anywire-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome<Verdict> {
    let sound = |()| Verdict::Sound;
    match command {
        Command::Floor(options) => floor::run(&options).map(sound),
        Command::Load(options) => load::run(options).map(sound),
        Command::Launch(options) => child::launch(&options).map(sound),
        Command::Fanout(options) => measured(|| fanout::run(&options)),
        Command::Jitter(options) => measured(|| jitter::run(&options)),
        Command::Publish(options) => measured(|| publish::run(&options)),
        Command::Churn(options) => measured(|| churn::run(&options)),
        Command::Parse(options) => parse::run(&options),
        Command::All(everything) => run_everything(&everything),
    }
}

/// A benchmark with children: they end with it, however it ends.
fn measured(bench: impl FnOnce() -> Outcome<Verdict>) -> Outcome<Verdict> {
    child::stop_all_on_interrupt()?;
    bench()
}

fn run_everything(everything: &Everything) -> Outcome<Verdict> {
    let mut verdict = Verdict::Sound;
    for words in EVERYTHING {
        let smoke = everything.smoke.then_some("--smoke");
        let typed = ["anywire-bench"].iter().chain(words).copied().chain(smoke);
        println!();
        if run(CommandLine::parse_from(typed).command)? == Verdict::Unsound {
            verdict = Verdict::Unsound;
        }
    }
    Ok(verdict)
}
