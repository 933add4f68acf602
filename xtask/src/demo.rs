//! `cargo xtask demo`: from a fresh clone to an open console with real data in it.

mod feed;
mod kafka;
mod prices;

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    process::{self, Group, elapsed, watched},
    tools, workspace,
};

/// How often the server is started again when it dies. More means that it cannot run here.
const RESTARTS_MAX: u32 = 5;
/// The profile in Cargo.toml that builds fast what runs fast enough.
const PROFILE: &str = "demo";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    listen: String,
    data: PathBuf,
    open: bool,
    feed: bool,
    kafka: bool,
}

/// Builds, starts, feeds, and stays until Ctrl-C.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let options = parse(arguments)?;
    check_address(&options.listen)?;
    if options.kafka {
        kafka::check_tools()?;
    }
    let started = Instant::now();
    build(started, options.kafka)?;
    // Beside the server all the time, through its restarts too.
    let _broker = if options.kafka { Some(kafka::start(&options.data)?) } else { None };
    name_missing();
    step(4, "starting the server", started);
    let mut restarts = 0;
    loop {
        let (mut server, url) = serve(&options, PROFILE)?;
        if restarts == 0 {
            announce(&url, started);
            if options.open {
                open(&url);
            }
        }
        let feeder = options.feed.then(|| feed::start(&url));
        let ended = server.wait(|| ());
        drop(feeder);
        match ended {
            Err(_) => {
                println!("\nstopped; the data stays in {}", options.data.display());
                return Ok(());
            }
            Ok(status) if status.success() => return Ok(()),
            Ok(status) if restarts == RESTARTS_MAX => return Err(format!("the server died again: {status}")),
            Ok(status) => println!("the server ended ({status}); starting it again on the same data"),
        }
        restarts += 1;
        process::pause(Duration::from_secs(1));
    }
}

/// Feeds the server of the tests as the demo would, and waits for what one sees then: a report, and prices.
pub(crate) fn smoke() -> Result<(), Failure> {
    let data = workspace::target().join("demo-smoke");
    // A folder that an earlier run left behind has the report already.
    let _absent = std::fs::remove_dir_all(&data);
    let listen = "127.0.0.1:0".to_owned();
    let options = Options { listen, data, open: false, feed: true, kafka: false };
    let (server, url) = serve(&options, workspace::CI)?;
    let seen = feed::check(&url);
    drop(server);
    let _left_behind = std::fs::remove_dir_all(&options.data);
    seen
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        listen: "127.0.0.1:8000".to_owned(),
        data: workspace::root().join("data/demo"),
        open: true,
        feed: true,
        kafka: false,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().cloned().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--listen" => options.listen = value()?,
            "--data" => options.data = PathBuf::from(value()?),
            "--no-open" => options.open = false,
            "--no-feed" => options.feed = false,
            "--kafka" => options.kafka = true,
            other => {
                return Err(format!(
                    "demo does not know {other:?}; it knows --listen ADDR, --data DIR, --no-open, --no-feed, --kafka"
                ));
            }
        }
    }
    Ok(options)
}

/// Says now what would only be found after minutes of building.
fn check_address(listen: &str) -> Result<(), Failure> {
    match TcpListener::bind(listen) {
        Ok(_closed) => Ok(()),
        Err(error) => Err(format!(
            "nobody can listen on {listen} ({error}): end what is there, or choose another address, \
             as in `cargo xtask demo --listen 127.0.0.1:8001`"
        )),
    }
}

/// Console and server, with a word on what is going on all the while.
fn build(started: Instant, kafka: bool) -> Result<(), Failure> {
    let npm = tools::present("node") && tools::present("npm");
    if npm {
        step(1, "installing the console's packages (npm ci)", started);
        let ready = console_command(&["ci", "--no-audit", "--no-fund"], "npm ci").and_then(|()| {
            step(2, "building the console (vite)", started);
            console_command(&["run", "build"], "npm run build")
        });
        if let Err(error) = ready {
            if process::interrupted() {
                return Err(error);
            }
            println!(
                "      {error}: going on without the console; the API works, the page says how to get it"
            );
        }
    } else {
        step(1, "Node 20.19 or npm is missing: going on without the console", started);
        println!(
            "      to get it: install Node 20.19 or newer (https://nodejs.org/, on Debian 13 `apt install nodejs npm`)"
        );
        println!("      and run `cargo xtask demo` again");
    }
    step(3, "building the server (cargo build; a few minutes the first time)", started);
    let mut cargo = Command::new(workspace::cargo());
    cargo.args(["build", "--profile", PROFILE, "-p", "anywire"]).current_dir(workspace::root());
    if kafka {
        cargo.args(["--features", "kafka"]);
    }
    watched(&mut cargo, "cargo build")
}

/// What videos need: everything else works without.
fn name_missing() {
    let missing: Vec<&str> =
        ["ffmpeg", "espeak-ng"].into_iter().filter(|program| process::find(program).is_none()).collect();
    if !missing.is_empty() {
        let names = missing.join(" and ");
        println!(
            "      {names} missing: going on without videos (Debian: apt install {} fonts-dejavu-core)",
            missing.join(" ")
        );
    }
}

fn console_command(arguments: &[&str], what: &str) -> Result<(), Failure> {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(workspace::root().join("console"));
    watched(&mut npm, what)
}

fn step(number: u32, what: &str, started: Instant) {
    println!("[{number}/4] {what}  ({} so far)", elapsed(started.elapsed()));
}

/// Starts the server and waits for the line with its address.
fn serve(options: &Options, profile: &str) -> Result<(Group, String), Failure> {
    std::fs::create_dir_all(&options.data)
        .map_err(|error| format!("{} cannot be made: {error}", options.data.display()))?;
    let mut command = Command::new(workspace::built(profile, "anywire"));
    command.args(["serve", "--listen", &options.listen, "--lab", "--data"]).arg(&options.data);
    if options.kafka {
        command.arg("--set").arg(format!("pipeline.kafka=\"{}\"", kafka::brokers()));
    }
    let mut server = Group::start(command.stdout(Stdio::piped()))?;
    let (heard, lines) = mpsc::channel();
    if let Some(output) = server.stdout() {
        process::forward(output, heard);
    }
    loop {
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => {
                if let Some(url) = find_url(&line) {
                    return Ok((server, url));
                }
            }
            Err(_) if process::interrupted() => return Err("interrupted".to_owned()),
            Err(_) => {
                if let Some(status) = server.ended() {
                    return Err(format!(
                        "the server did not start ({status}); its message is above. Is {} in use?",
                        options.listen
                    ));
                }
            }
        }
    }
}

/// The first address in a line.
fn find_url(line: &str) -> Option<String> {
    let start = line.find("http://").or_else(|| line.find("https://"))?;
    let url: String =
        line[start..].chars().take_while(|sign| !sign.is_whitespace() && !"\"'<>,".contains(*sign)).collect();
    Some(url.trim_end_matches('/').to_owned())
}

fn announce(url: &str, started: Instant) {
    let line = format!("Anywire is ready:  {url}");
    let rule = "─".repeat(line.chars().count() + 4);
    println!("\n┌{rule}┐\n│  {line}  │\n└{rule}┘");
    println!("ready after {} · Ctrl-C stops everything\n", elapsed(started.elapsed()));
}

/// Opens the page where there is a desktop to open it on.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let desktop = cfg!(target_os = "macos")
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if desktop && process::find(program).is_some() {
        let started = Command::new(program)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Err(error) = started {
            println!("{program} does not start ({error}): open the address yourself");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let arguments = ["--listen", "127.0.0.1:9", "--data", "d", "--no-open"].map(str::to_owned);
        let options = parse(&arguments).expect("known options");
        assert_eq!(
            (options.listen.as_str(), options.data.as_path()),
            ("127.0.0.1:9", std::path::Path::new("d"))
        );
        assert!(!options.open && options.feed);
        assert!(parse(&["--port".to_owned()]).is_err());
        assert!(parse(&["--data".to_owned()]).is_err());
    }

    #[test]
    fn an_address_that_is_taken_is_told_before_anything_is_built() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("it is bound").to_string();
        let told = check_address(&address).expect_err("it is taken");
        assert!(told.contains(&address) && told.contains("--listen"), "{told}");
        drop(taken);
        assert_eq!(check_address(&address), Ok(()));
    }

    #[test]
    fn the_address_is_found_in_the_ready_line() {
        let check = |line: &str, url: Option<&str>| assert_eq!(find_url(line).as_deref(), url);
        check("anywire is ready at http://127.0.0.1:8000/", Some("http://127.0.0.1:8000"));
        check("{\"url\":\"http://127.0.0.1:8000\",\"a\":1}", Some("http://127.0.0.1:8000"));
        check("starting", None);
    }
}
