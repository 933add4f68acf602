//! The command line: what it prints, what it refuses, and how a server ends.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
};

use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::{
    process::{Process, program, run, words},
    support::PATIENCE,
};

/// One GET over a new connection: everything the server says until it ends it.
fn get(process: &Process, target: &str) -> String {
    let mut stream = connect(process, target);
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

fn connect(process: &Process, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(process.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", process.address);
    stream.write_all(head.as_bytes()).expect("a request");
    stream
}

fn publish(process: &Process, channel: &str, data: &str) -> std::process::Output {
    run(&["publish", channel, data, "--url", &process.url(), "--event", "x"])
}

#[test]
fn serve_prints_one_line_with_its_address_and_ends_well_on_a_signal() {
    let data = tempfile::tempdir().expect("a directory");
    let process = Process::serve("127.0.0.1:0", data.path(), &[]);
    let expected = format!("Anywire {} is ready at http://{}\n", env!("CARGO_PKG_VERSION"), process.address);
    assert_eq!(process.line, expected);
    assert_ne!(process.address.port(), 0);
    assert!(get(&process, "/api/health/ready").ends_with("{\"ready\":true}"));
    process.terminate();
    assert_eq!(process.ended(), (Some(0), String::new()));
}

#[test]
fn a_signal_tells_every_client_when_to_come_back() {
    let data = tempfile::tempdir().expect("a directory");
    let process = Process::serve("127.0.0.1:0", data.path(), &[]);
    let mut stream = BufReader::new(connect(&process, "/anywire/sse?channels=a"));
    let mut line = String::new();
    while !line.starts_with("id: ") {
        line.clear();
        assert!(stream.read_line(&mut line).expect("a line") > 0, "the stream ended");
    }
    process.terminate();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the end of the stream");
    assert!(rest.contains("event: goodbye\nretry: ") && rest.contains("data: {\"retry_ms\":"), "{rest}");
    assert_eq!(process.ended().0, Some(0));
}

#[test]
fn an_unknown_setting_stops_the_start_and_names_its_place_and_the_nearest_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data").display().to_string();
    let file = directory.path().join("anywire.toml");
    std::fs::write(&file, "[limits]\nchanels_max = 3\n").expect("a file");
    let file = file.display().to_string();
    let by_file = program(&["serve", "--listen", "127.0.0.1:0", "--data", &data, "--config", &file]).output();
    let by_flag =
        program(&["serve", "--listen", "127.0.0.1:0", "--data", &data, "--set", "limits.chanels_max=3"])
            .output();
    let by_environment = program(&["serve", "--listen", "127.0.0.1:0", "--data", &data])
        .env("ANYWIRE_LIMITS__CHANELS_MAX", "3")
        .output();
    let cases =
        [(by_file, "anywire.toml"), (by_flag, "--set"), (by_environment, "ANYWIRE_LIMITS__CHANELS_MAX")];
    for (output, place) in cases {
        let output = output.expect("the program runs");
        let said = words(&output);
        assert_eq!(output.status.code(), Some(1), "{place}: {said}");
        assert!(output.stdout.is_empty(), "{place}");
        for part in [
            place,
            "limits.chanels_max",
            "did you mean \"limits.channels_max\"?",
            "anywire config --reference",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
    assert!(!directory.path().join("data").exists(), "nothing was made");
}

#[test]
fn an_address_that_others_reach_needs_keys() {
    let data = tempfile::tempdir().expect("a directory");
    let data = data.path().display().to_string();
    let output = run(&["serve", "--listen", "0.0.0.0:0", "--data", &data]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("auth.api_keys") && said.contains("127.0.0.1"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn an_origin_that_cannot_be_one_stops_the_start_and_shows_the_right_form() {
    let data = tempfile::tempdir().expect("a directory");
    let data = data.path().display().to_string();
    for (origin, form) in
        [("app.example.com", "https://app.example.com"), ("https://a.example/app", "https://a.example")]
    {
        let setting = format!("auth.origins=[\"{origin}\"]");
        let output = run(&["serve", "--listen", "127.0.0.1:0", "--data", &data, "--set", &setting]);
        let said = words(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("auth.origins: \"{origin}\"")), "{said}");
        assert!(said.contains(&format!("write \"{form}\"")), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_second_server_on_the_same_directory_or_port_is_told_so() {
    let data = tempfile::tempdir().expect("a directory");
    let first = Process::serve("127.0.0.1:0", data.path(), &[]);
    let same = data.path().display().to_string();
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--data", &same]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&same) && said.contains("another"), "{said}");

    let other = tempfile::tempdir().expect("a directory");
    let (listen, other) = (first.address.to_string(), other.path().display().to_string());
    let output = run(&["serve", "--listen", &listen, "--data", &other]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {listen}")), "{said}");
    assert!(said.contains("--listen"), "it says the way out: {said}");
    assert!(get(&first, "/api/health/ready").ends_with("{\"ready\":true}"), "the first is undisturbed");
}

#[test]
fn tls_without_its_files_is_refused_before_anything_is_announced() {
    let data = tempfile::tempdir().expect("a directory");
    let data = data.path().display().to_string();
    let output =
        run(&["serve", "--listen", "127.0.0.1:0", "--data", &data, "--set", "tls.certificate=/none.pem"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("tls.key is missing"), "{}", words(&output));
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let both = ["--set", "tls.certificate=/none.pem", "--set", "tls.key=/none.key"];
    let output = run(&[["serve", "--listen", "127.0.0.1:0", "--data", &data].as_slice(), &both].concat());
    assert!(words(&output).contains("/none.pem"), "{}", words(&output));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

#[test]
fn config_shows_what_holds_and_hides_what_is_secret() {
    let secrets = [
        "0123456789abcdef-key",
        "0123456789abcdef0123456789abcdef-secret",
        "0123456789abcdef-named",
        "0123456789abcdef0123456789abcdef-rotated",
        "0123456789abcdef0123456789abcdef-issuer",
    ];
    let named = format!("auth.keys=[{{name='a',roles=['viewer'],key='{}'}}]", secrets[2]);
    let rotated = format!("auth.jwt_secrets=[{{kid='a',secret='{}'}}]", secrets[3]);
    let issuer = format!("auth.issuers=[{{issuer='a',secret='{}'}}]", secrets[4]);
    let (keys, secret) =
        (format!("auth.api_keys=[\"{}\"]", secrets[0]), format!("auth.jwt_secret={}", secrets[1]));
    let more = ["--set", &named, "--set", &rotated, "--set", &issuer, "--set", "limits.channels_max=77"];
    let output = run(&[["config", "--set", &keys, "--set", &secret].as_slice(), &more].concat());
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(shown.contains("channels_max = 77") && shown.contains("(hidden)"), "{shown}");
    for secret in secrets {
        assert!(!shown.contains(secret) && !words(&output).contains(secret), "{shown}");
    }
    let reference = run(&["config", "--reference"]);
    assert!(String::from_utf8_lossy(&reference.stdout).starts_with("# Configuration"));
}

#[test]
fn the_settings_that_are_shown_can_be_read_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("anywire.toml");
    let given = r#"
        listen = "127.0.0.1:0"
        heartbeat_ms = 2000
        [jobs.commands.build]
        argv = ["make", "{target}"]
        parser = "pattern"
        pattern = 'at (?<percent>\d+)'
        set = { A = "x \"y\"" }
        [[retention]]
        pattern = "news*"
        events_max = 7
        [[socketio.namespaces]]
        name = "/chat"
        [pipeline]
        topics = ["orders", "payments"]
        kafka_options = ["client.rack=a", "sasl.password=open-sesame"]
    "#;
    std::fs::write(&file, given).expect("written");
    let shown = |file: &std::path::Path, more: &[&str]| {
        let file = file.display().to_string();
        let output = run(&[&["config", "--config", &file][..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let first = shown(&file, &["--set", "limits.channels_max=77", "--classic-ports"]);
    assert!(first.contains("client.rack=a") && !first.contains("open-sesame"), "{first}");
    assert!(first.contains("# pipeline.kafka_options is set and not shown"), "{first}");
    let again = folder.path().join("again.toml");
    std::fs::write(&again, &first).expect("written");
    let settings =
        |text: &str| text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    assert_eq!(settings(&shown(&again, &[])), settings(&first));
    for expected in ["channels_max = 77", "heartbeat_ms = 2000", "[jobs.commands.build]", "classic-3001"] {
        assert!(first.contains(expected), "{expected} in {first}");
    }
}

#[test]
fn a_number_outside_its_range_stops_the_start_with_its_key_its_value_and_the_range() {
    for (setting, refusal) in [
        ("jobs.reports_running_max=0", "jobs.reports_running_max is 0; set it between 1 and 64"),
        ("limits.connections_max=0", "limits.connections_max is 0; set it between 1 and 1000000"),
        ("socketio.redis.rooms_max=0", "socketio.redis.rooms_max is 0; set it between 1 and 10000"),
    ] {
        for command in ["config", "serve"] {
            let output = run(&[command, "--set", setting]);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{}", words(&output));
            assert!(words(&output).contains(refusal), "{}", words(&output));
        }
    }
}

#[test]
fn publish_says_what_was_done_and_what_was_refused() {
    let data = tempfile::tempdir().expect("a directory");
    let process = Process::serve("127.0.0.1:0", data.path(), &[]);
    let done = publish(&process, "news", "{\"id\":2}");
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    let answer: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(answer["offsets"].as_array().map(Vec::len), Some(1), "{answer}");
    let refused = publish(&process, "no good", "1");
    assert_eq!(refused.status.code(), Some(1));
    assert!(words(&refused).contains("the server answered 400: "), "{}", words(&refused));
    let nobody = run(&["publish", "news", "1", "--url", "http://127.0.0.1:9"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(words(&nobody).contains("http://127.0.0.1:9"), "{}", words(&nobody));
}

#[test]
fn tail_goes_on_where_it_was_when_the_server_is_killed_and_started_again() {
    let data = tempfile::tempdir().expect("a directory");
    let first = Process::serve("127.0.0.1:0", data.path(), &[]);
    let listen = first.address.to_string();
    for number in 0..5 {
        assert!(publish(&first, "numbers", &number.to_string()).status.success());
    }
    let mut tail = program(&["tail", "numbers", "--after", "0", "--url", &first.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("tail starts");
    let mut lines = BufReader::new(tail.stdout.take().expect("its output")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("another line").expect("text");
        serde_json::from_str(&line).expect("an event")
    };
    let seen: Vec<Value> = (0..3).map(|_| next()["data"].clone()).collect();
    first.kill();
    let second = Process::serve(&listen, data.path(), &[]);
    for number in 5..10 {
        assert!(publish(&second, "numbers", &number.to_string()).status.success());
    }
    let all: Vec<Value> = seen.into_iter().chain((3..10).map(|_| next()["data"].clone())).collect();
    assert_eq!(all, (0..10).map(Value::from).collect::<Vec<_>>(), "none is missing, none came twice");
    tail.kill().expect("a kill");
    tail.wait().expect("its end");
}

#[test]
fn tail_leaves_a_server_that_vanished_without_a_word_and_goes_on_from_its_cursor() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let mut tail = program(&["tail", "numbers", "--url", &url, "--heartbeat-ms", "1000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("tail starts");
    let accept = || {
        let mut stream = BufReader::new(silent.accept().expect("a connection").0);
        let mut line = String::new();
        stream.read_line(&mut line).expect("a request");
        (stream, line)
    };
    let (mut vanished, line) = accept();
    assert!(line.starts_with("GET /anywire/sse?channels=numbers "), "{line}");
    let said = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1f0c93ab-5\ndata: {}\n\n";
    vanished.get_mut().write_all(said.as_bytes()).expect("an event");
    // The first connection is still open: only its silence tells.
    let (_again, line) = accept();
    assert!(line.starts_with("GET /anywire/sse?channels=numbers&after=1f0c93ab-5 "), "{line}");
    drop(vanished);
    tail.kill().expect("a kill");
    tail.wait().expect("its end");
    let endless = run(&["tail", "numbers", "--url", &url, "--heartbeat-ms", "1"]);
    assert!(words(&endless).contains("1000..=300000"), "{}", words(&endless));
}

#[test]
fn tail_ends_with_the_servers_words_when_it_is_refused() {
    let data = tempfile::tempdir().expect("a directory");
    let process = Process::serve("127.0.0.1:0", data.path(), &["auth.api_keys=[\"0123456789abcdef\"]"]);
    let refused = run(&["tail", "news", "--url", &process.url()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(words(&refused).contains("the server answered 401: no token was given"), "{}", words(&refused));
    let wrong =
        run(&["tail", "news", "--after", "x", "--url", &process.url(), "--token", "0123456789abcdef"]);
    assert!(words(&wrong).contains("the server answered 400: "), "{}", words(&wrong));
}

#[test]
fn the_lab_restarts_the_server_on_the_same_address_and_data() {
    let data = tempfile::tempdir().expect("a directory");
    let mut process = Process::serve("127.0.0.1:0", data.path(), &["lab=true"]);
    assert!(publish(&process, "a", "1").status.success());
    let mut stream = TcpStream::connect(process.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let head =
        format!("POST /api/lab/restart HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", process.address);
    stream.write_all(head.as_bytes()).expect("a request");
    let mut taken = String::new();
    BufReader::new(stream).read_line(&mut taken).expect("an answer");
    assert!(taken.starts_with("HTTP/1.1 202"), "{taken}");
    assert_eq!(process.next_line(), process.line, "it is ready again, at the same address");
    assert!(get(&process, "/api/lab").contains("\"restarting\":false"));
    assert!(get(&process, "/anywire/poll?channels=a&after=0").contains("\"data\":1"));
    process.terminate();
    assert_eq!(process.ended().0, Some(0));
}

/// The limit stands for a full disk: no file may grow past it, and whoever tries is told, not killed.
#[test]
fn a_server_that_cannot_write_says_so_keeps_reading_and_recovers() {
    let data = tempfile::tempdir().expect("a directory");
    let mut shell = std::process::Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_anywire");
    let directory = data.path().display().to_string();
    let script = r#"trap '' XFSZ; exec "$0" serve --listen 127.0.0.1:0 --data "$1" --set stop_ms=2000"#;
    let process = Process::spawn({
        shell.args(["-c", script, binary, &directory]);
        shell
    });
    assert!(publish(&process, "a", "1").status.success());
    let nothing = Rlimit { current: Some(1), maximum: None };
    prlimit(Some(process.pid()), Resource::Fsize, nothing).expect("a limit");
    let refused = publish(&process, "a", "2");
    assert_eq!(refused.status.code(), Some(1), "{}", words(&refused));
    let health = get(&process, "/api/health");
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("\"ready\":false"), "{health}");
    assert!(health.contains("\"live\":true"), "{health}");
    assert!(get(&process, "/api/health/ready").starts_with("HTTP/1.1 503"));
    assert!(get(&process, "/api/health/live").starts_with("HTTP/1.1 200"));
    assert!(get(&process, "/anywire/poll?channels=a&after=0").contains("\"data\":1"), "reading goes on");
    prlimit(Some(process.pid()), Resource::Fsize, Rlimit { current: None, maximum: None }).expect("no limit");
    let started = std::time::Instant::now();
    while !publish(&process, "a", "3").status.success() {
        assert!(started.elapsed() < PATIENCE, "it did not recover");
    }
    assert!(get(&process, "/api/health").starts_with("HTTP/1.1 200"));
}
