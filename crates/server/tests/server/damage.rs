//! A damaged log, as the person sees it who has to start the server again.

use std::{fs, path::Path};

use crate::process::{Process, program, run, words};

fn ask(server: &Process, method: &str, path: &str, body: &str) -> serde_json::Value {
    let url = format!("http://{}{path}", server.address);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let answer = match method {
        "GET" => agent.get(&url).call(),
        _ => agent.post(&url).send(body),
    };
    let text = answer.expect("an answer").body_mut().read_to_string().expect("text");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn with_wrong_byte(log: &Path) {
    let mut bytes = fs::read(log).expect("the segment");
    let at = (0..bytes.len()).find(|at| bytes[*at..].starts_with(b"number 3")).expect("a payload");
    bytes[at] = b'N';
    fs::write(log, bytes).expect("it can be written");
}

#[test]
fn a_damaged_log_is_named_checked_and_opened_with_what_can_be_read() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Process::serve("127.0.0.1:0", data.path(), &[]);
    for number in 1..=5 {
        let body = format!(r#"{{"channel":"news","data":"number {number}"}}"#);
        ask(&server, "POST", "/anywire/publish", &body);
    }
    let answer = ask(&server, "GET", "/anywire/poll?channels=news&after=0", "");
    let whole = answer["events"].as_array().expect("events").clone();
    let epoch = ask(&server, "GET", "/api/health", "")["epoch"].as_str().expect("an epoch").to_owned();
    server.terminate();
    assert_eq!(server.ended().0, Some(0));
    let shown = data.path().display().to_string();
    let sound = run(&["check", &shown]);
    assert!(sound.status.success(), "{}", words(&sound));
    assert!(String::from_utf8_lossy(&sound.stdout).contains("everything is as it was written"));
    let log = data.path().join("log");
    let segments = fs::read_dir(&log).expect("the log").map(|entry| entry.expect("an entry").path());
    let segment = segments.filter(|path| path.extension().is_some_and(|end| end == "log")).max();
    let segment = segment.expect("a segment");
    with_wrong_byte(&segment);
    let refused = run(&["serve", "--listen", "127.0.0.1:0", "--data", &shown]);
    let said = words(&refused);
    assert!(!refused.status.success() && said.contains(&segment.display().to_string()), "{said}");
    assert!(said.contains("--accept-loss") && said.contains("anywire check"), "{said}");
    let checked = run(&["check", &shown]);
    assert_eq!(checked.status.code(), Some(1));
    let third = whole[2]["offset"].as_u64().expect("an offset");
    let line = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(line.contains(&format!("lost: offsets {third} to {third}")), "{line}");
    for accepts in [true, false] {
        let mut starting = program(&["serve", "--listen", "127.0.0.1:0", "--data", &shown]);
        starting.args(accepts.then_some("--accept-loss"));
        let server = Process::spawn(starting);
        let health = ask(&server, "GET", "/api/health", "");
        let state = health["storage"]["state"].as_str().expect("a state");
        assert!(health["ready"] == true && state.contains(&segment.display().to_string()), "{state}");
        let after = third - 1;
        let first = ask(&server, "GET", &format!("/anywire/poll?channels=news&after={epoch}-{after}"), "");
        assert_eq!(first["gap"]["reason"], "damaged", "{first}");
        assert_eq!(first["gap"]["lost"]["news"], third, "{first}");
        let rest: Vec<_> =
            first["events"].as_array().expect("events").iter().map(|one| &one["data"]).collect();
        assert_eq!(rest, ["number 4", "number 5"]);
        server.terminate();
        assert_eq!(server.ended().0, Some(0));
    }
}
