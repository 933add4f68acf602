//! Commands as processes of a real server: `anywire run`, and what is left when the server is killed.

use std::{
    io::Read,
    net::TcpStream,
    process::{Child, Stdio},
    time::Instant,
};

use serde_json::Value;

use crate::{
    process::{Process, program, words},
    support::PATIENCE,
};

pub(crate) fn get(process: &Process, target: &str) -> Value {
    use std::io::Write;
    let mut stream = TcpStream::connect(process.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", process.address);
    stream.write_all(head.as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let body = text.split_once("\r\n\r\n").expect("a body").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn post(process: &Process, target: &str, body: &str) {
    use std::io::Write;
    let mut stream = TcpStream::connect(process.address).expect("a connection");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        process.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 20"), "{text}");
}

/// The head of an answer, in small letters.
fn head(process: &Process, target: &str) -> String {
    use std::io::Write;
    let mut stream = TcpStream::connect(process.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", process.address);
    stream.write_all(head.as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text.split_once("\r\n\r\n").expect("a head").0.to_ascii_lowercase()
}

/// Asks again until it fits.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

fn log(process: &Process, id: &str) -> Vec<String> {
    let page = get(process, &format!("/api/jobs/{id}/log"));
    let lines = page["lines"].as_array().cloned().unwrap_or_default();
    lines.iter().map(|line| line["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// `anywire run` with a script, whose output nobody sees here.
fn run_script(server: &Process, script: &str) -> Child {
    let mut run = program(&["run", "--url", &server.url(), "--", "sh", "-c", script]);
    run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
}

/// The id of the one command that runs.
fn running_job(server: &Process) -> String {
    until("the job", || {
        let jobs = get(server, "/api/jobs?kind=command&state=running");
        jobs["jobs"][0]["session_id"].as_str().map(str::to_owned)
    })
}

/// The id in the link that `run` prints first.
fn linked(said: &str) -> String {
    let link = said.lines().next().and_then(|line| line.rsplit('/').next());
    link.expect("a link").to_owned()
}

#[test]
fn a_command_of_a_terminal_is_live_on_the_server_and_its_status_is_passed_on() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Process::serve("127.0.0.1:0", data.path(), &[]);
    let script = "echo '[1/2] one'; echo talk >&2; echo '[2/2] two'; exit 3";
    let output = program(&["run", "--url", &server.url(), "--title", "Build", "--", "sh", "-c", script])
        .output()
        .expect("it runs");
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()),
        (Some(3), "[1/2] one\n[2/2] two\n")
    );
    let said = words(&output);
    assert!(said.contains(&format!("live at {}/jobs/", server.url())) && said.contains("talk"), "{said}");
    let id = linked(&said);
    let state = get(&server, &format!("/api/progress/{id}"));
    assert_eq!(
        (&state["status"], &state["kind"], &state["title"]),
        (&"failed".into(), &"command".into(), &"Build".into())
    );
    assert_eq!(state["steps"][1]["name"], "two");
    let message = state["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("sh ended with status 3: ") && message.contains("[2/2] two"), "{message}");
    let mut lines = log(&server, &id);
    lines.sort();
    assert_eq!(lines, ["[1/2] one", "[2/2] two", "talk"]);
    let missing =
        program(&["run", "--url", &server.url(), "--", "no-such-program"]).output().expect("it runs");
    assert_eq!(missing.status.code(), Some(127));
    let nobody = program(&["run", "--url", "http://127.0.0.1:1", "--", "true"]).output().expect("it runs");
    assert!(nobody.status.code() == Some(1) && words(&nobody).contains("127.0.0.1:1"), "{}", words(&nobody));
}

#[test]
fn cancelling_on_the_server_ends_the_command_in_the_terminal() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Process::serve("127.0.0.1:0", data.path(), &[]);
    let url = server.url();
    let running = std::thread::spawn(move || {
        program(&["run", "--url", &url, "--", "sh", "-c", "setsid sleep 600 & echo $!; echo $$; wait"])
            .output()
    });
    let id = running_job(&server);
    let pids = until("its lines", || Some(log(&server, &id)).filter(|lines| lines.len() == 2));
    post(&server, &format!("/api/progress/{id}/cancel"), "");
    let output = running.join().expect("joined").expect("it ran");
    assert_ne!(output.status.code(), Some(0));
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
}

#[test]
fn a_command_of_a_terminal_outlives_its_server_and_nothing_it_says_is_lost_or_told_twice() {
    let data = tempfile::tempdir().expect("a directory");
    let gate = |name: &str| data.path().join(name).display().to_string();
    let server = Process::serve("127.0.0.1:0", data.path(), &[]);
    let wait = |name: &str| format!("until [ -e {} ]; do sleep 0.02; done", gate(name));
    let script = format!(
        "echo one; {}; echo two; echo three >&2; touch {}; {}; echo four",
        wait("away"),
        gate("said"),
        wait("back")
    );
    let mut running = run_script(&server, &script);
    let id = running_job(&server);
    until("its line", || (log(&server, &id) == ["one"]).then_some(()));
    let address = server.address.to_string();
    server.kill();
    std::fs::write(gate("away"), "").expect("written");
    until("what nobody hears", || std::path::Path::new(&gate("said")).exists().then_some(()));
    let server = Process::serve(&address, data.path(), &[]);
    // It says nothing now; that it runs is seen all the same.
    until("its revival", || {
        (get(&server, &format!("/api/progress/{id}"))["status"] == "running").then_some(())
    });
    std::fs::write(gate("back"), "").expect("written");
    assert_eq!(running.wait().expect("its end").code(), Some(0));
    assert_eq!(get(&server, &format!("/api/progress/{id}"))["status"], "succeeded");
    let mut lines = log(&server, &id);
    lines.sort();
    assert_eq!(lines, ["four", "one", "three", "two"]);
}

#[test]
fn a_terminal_that_ends_its_command_cancels_the_job() {
    use rustix::process::{Pid, Signal, kill_process};
    let data = tempfile::tempdir().expect("a directory");
    let server = Process::serve("127.0.0.1:0", data.path(), &[]);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut running = run_script(&server, "echo $$; sleep 600");
        let id = running_job(&server);
        let pids = until("its line", || Some(log(&server, &id)).filter(|lines| lines.len() == 1));
        kill_process(Pid::from_child(&running), signal).expect("a signal");
        assert_ne!(running.wait().expect("its end").code(), Some(0));
        assert_eq!(get(&server, &format!("/api/progress/{id}"))["status"], "cancelled");
        assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
    }
}

#[test]
fn no_process_is_left_when_the_server_is_killed() {
    let data = tempfile::tempdir().expect("a directory");
    let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; sleep 600' & echo $$; wait; sleep 600";
    let argv = format!("jobs.commands.stubborn.argv={}", toml::Value::from(vec!["sh", "-c", script]));
    let settings = [argv.as_str(), "jobs.command_stop_ms=200"];
    let server = Process::serve("127.0.0.1:0", data.path(), &settings);
    post(&server, "/api/commands", r#"{"session_id":"a","command":"stubborn"}"#);
    let pids = until("its lines", || Some(log(&server, "a")).filter(|lines| lines.len() == 2));
    assert!(pids.iter().all(|pid| runs(pid)), "{pids:?}");
    server.kill();
    until("the end of the processes", || (!pids.iter().any(|pid| runs(pid))).then_some(()));
    let again = Process::serve("127.0.0.1:0", data.path(), &settings);
    assert_eq!(get(&again, "/api/progress/a")["status"], "interrupted");
}

#[test]
fn the_texts_that_a_command_leaves_are_served_as_utf_8() {
    let data = tempfile::tempdir().expect("a directory");
    let script = "for end in txt log csv md; do echo Nguyễn > \"$ANYWIRE_FILES/name.$end\"; done";
    let argv = format!("jobs.commands.leave.argv=[\"sh\",\"-c\",{}]", serde_json::json!(script));
    let process = Process::serve("127.0.0.1:0", data.path(), &[&argv]);
    post(&process, "/api/commands", r#"{"session_id":"a","command":"leave"}"#);
    until("the end", || (get(&process, "/api/progress/a")["status"] == "succeeded").then_some(()));
    for end in ["txt", "log", "csv", "md"] {
        let head = head(&process, &format!("/api/jobs/a/files/name.{end}"));
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(
            head.lines()
                .any(|line| line.starts_with("content-type: text/") && line.ends_with("; charset=utf-8")),
            "{head}"
        );
    }
}
