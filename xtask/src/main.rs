//! `cargo xtask`: the one entry point for people and CI.

mod bench;
mod demo;
mod failure;
mod http;
mod licences;
mod npm;
mod process;
mod ship;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use failure::Failure;
use test::Scope;

const HELP: &str = "\
Anywire's one entry point.

usage: cargo xtask COMMAND [OPTIONS]

  demo     builds the console and the server, starts the server with real data and opens the console
             --listen ADDR      address and port (default 127.0.0.1:8000)
             --data DIR         where the log lives (default data/demo)
             --no-open          do not open a browser
             --no-feed          publish nothing and upload nothing
             --kafka            with a Kafka broker beside it (needs Java and Maven, or docker compose): the pipeline reads its topics
  check    format, lints, house rules, licences and unit tests: what answers within minutes
  test     runs every test there is and ends with `N passed, N failed`; both take
             --list             names the stages
             --only NAME        runs one stage and the build that it needs (may be repeated; also NAME,NAME)
             --fail-fast        starts nothing more once a stage has failed
  tidy     checks the sources against STYLE.md, ARCHITECTURE.md and PROTOCOL.md
             --verbose          also names the longest files and functions
             --wide             also names what xtask/ratchet.txt still allows
             --circles          draws the circles of files, and nothing else
             --ratchet          lowers the numbers of xtask/ratchet.txt to what is true now
  ship     builds the program as it is shipped: target/shipped/anywire, its debug lines in anywire.debug
  bench    builds the program as it is shipped and the bench, and runs one: fanout, jitter, publish, churn
             NAME [ARGS…]       without NAME all of them run; JSON goes to target/bench/
             --smoke            small numbers: shows that it runs, measures nothing
  help     this text

environment:
  ANYWIRE_ALLOW_MISSING=a,b   stages of `test` that may fail to run for want of a tool (named, counted as neither passed nor failed)
  ANYWIRE_CRASH_ROUNDS=N      rounds of kill -9 in the e2e crash suite (default 5)
";

fn main() -> ExitCode {
    process::watch_signals();
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = if arguments.is_empty() { "help".to_owned() } else { arguments.remove(0) };
    let asks =
        command != "bench" && arguments.iter().any(|argument| argument == "--help" || argument == "-h");
    let done = match command.as_str() {
        _ if asks => {
            print!("{HELP}");
            Ok(())
        }
        "demo" => demo::run(&arguments),
        "check" => test::run(Scope::Check, &arguments),
        "test" => test::run(Scope::Everything, &arguments),
        "stage" => test::stage(&arguments),
        "tidy" => tidy::run(&arguments),
        "ship" => ship::build(false),
        "bench" => bench::run(&arguments),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no command {other:?}; `cargo xtask help` names them")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if process::interrupted() => ExitCode::from(130),
        Err(message) => {
            if !message.is_empty() {
                eprintln!("xtask {command}: {message}");
            }
            ExitCode::FAILURE
        }
    }
}
